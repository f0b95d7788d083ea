package promotion

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"daybook/domain/decidertest"
	"daybook/domain/money/pricing"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

var promotions = decidertest.Decider[Command, Event, State]{Decide: Decide, Evolve: Evolve}

type row = decidertest.Case[Command, Event]

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func money(text string, currency string) unit.Money {
	m, err := unit.ParseMoney(text, currency)
	if err != nil {
		panic(err)
	}
	return m
}

func eur(text string) unit.Money { return money(text, "EUR") }

func percent(text string) unit.Percent { return mustPercent(text) }

// spring is 10 % off each line, and uses every member that an item promotion can have.
func spring() Define {
	return Define{ID: "spring", Kind: pricing.Coupon, Class: pricing.ItemClass, Terms: Terms{
		Title:  "Spring",
		Action: pricing.Action{Type: pricing.PercentOff, Percent: percent("10"), Target: pricing.Target{SKUs: []unit.SKU{"MUG"}, Categories: []string{"cups"}}, IncludeOverridden: true},
		Conditions: pricing.Conditions{
			MinSubtotal: []unit.Money{eur("20")}, Measure: pricing.OfList, MinQuantity: 2, Of: pricing.Target{Categories: []string{"cups"}},
			Groups: []string{"trade"}, Countries: []string{"DE"}, Channels: []string{"web"}, FirstOrder: true, Days: []int{1, 2}, FromHour: 9, UntilHour: 17,
		},
		Priority: 5, Exclusive: pricing.EndsItsClass, Window: pricing.Window{From: noon, Until: noon.Add(time.Hour)},
		Limits: pricing.Limits{Uses: 2, UsesPerCustomer: 1, Budget: []unit.Money{eur("10")}}, KeepUseAfterCancel: true,
	}}
}

// ship is free shipping with some methods.
func ship() Define {
	return Define{ID: "ship", Kind: pricing.Automatic, Class: pricing.ShippingClass, Active: true, Terms: Terms{
		Title: "Free shipping", Action: pricing.Action{Type: pricing.FreeShipping, Target: pricing.Target{Methods: []string{"post"}}},
		Conditions: pricing.Conditions{MinSubtotal: []unit.Money{eur("50")}, Measure: pricing.AfterOrder},
	}}
}

func created(d Define) Created {
	return Created{ID: d.ID, Kind: d.Kind, Class: d.Class, Terms: d.Terms}
}

func held(order unit.OrderID, amount string) UseHeld {
	return UseHeld{OrderID: order, CartID: "c-" + unit.CartID(order), Amount: eur(amount), ExpiresAt: noon}
}

func hold(order unit.OrderID, amount string) HoldUse {
	return HoldUse{OrderID: order, CartID: "c-" + unit.CartID(order), Amount: eur(amount), ExpiresAt: noon}
}

func once(h HoldUse) HoldUse {
	h.Limit = 1
	return h
}

func rows(testing.TB) map[string]row {
	s := created(spring())
	changed := spring()
	changed.Title = "Early spring"
	active := spring()
	active.Active = true
	bad := spring()
	bad.Action.Percent = percent("101")
	return map[string]row{
		"a promotion is made":                                  {When: spring(), Then: []Event{s}},
		"a promotion is made and counts at once":               {When: ship(), Then: []Event{created(ship()), Activated{}}},
		"made again changes nothing":                           {Given: []Event{s}, When: spring(), Nothing: true},
		"terms are changed":                                    {Given: []Event{s}, When: changed, Then: []Event{Changed{changed.Terms}}},
		"it is activated":                                      {Given: []Event{s}, When: active, Then: []Event{Activated{}}},
		"it is stopped":                                        {Given: []Event{s, Activated{}}, When: spring(), Then: []Event{Deactivated{}}},
		"the kind is fixed":                                    {Given: []Event{s}, When: with(spring(), func(d *Define) { d.Kind = pricing.Automatic }), Refused: ErrFixed.With("", map[string]any{"field": "/kind"})},
		"the class is fixed":                                   {Given: []Event{s}, When: Define{ID: "spring", Kind: pricing.Coupon, Class: pricing.ShippingClass, Terms: ship().Terms}, Refused: ErrFixed.With("", map[string]any{"field": "/class"})},
		"a wrong definition is refused":                        {When: bad, Refused: ErrInvalid.With("", map[string]any{"field": "/action/percent"})},
		"it ends for good":                                     {Given: []Event{s}, When: End{Reason: "sold out"}, Then: []Event{Ended{Reason: "sold out"}}},
		"it ends once":                                         {Given: []Event{s, Ended{}}, When: End{}, Nothing: true},
		"one that was never made cannot end":                   {When: End{}, Refused: ErrNotFound},
		"one that has ended cannot be changed":                 {Given: []Event{s, Ended{}}, When: spring(), Refused: ErrEnded},
		"one that has ended cannot be held":                    {Given: []Event{s, Ended{}}, When: hold("o-1", "1"), Refused: ErrEnded},
		"one that was never made cannot be held":               {When: hold("o-1", "1"), Refused: ErrNotFound},
		"codes are asked for":                                  {Given: []Event{s}, When: RequestCodes{Codes: []string{"TEN"}}, Then: []Event{CodesRequested{Codes: []string{"TEN"}}}, Repeats: true},
		"codes are asked for by their stored form":             {Given: []Event{s}, When: RequestCodes{Codes: []string{"TEN", "t-en"}}, Refused: ErrInvalid.With("", map[string]any{"field": "/codes/1"})},
		"no codes are asked for":                               {Given: []Event{s}, When: RequestCodes{}, Refused: ErrInvalid.With("", map[string]any{"field": "/codes"})},
		"one that was never made gets no codes":                {When: RequestCodes{Codes: []string{"TEN"}}, Refused: ErrNotFound},
		"one that has ended gets no codes":                     {Given: []Event{s, Ended{}}, When: RequestCodes{Codes: []string{"TEN"}}, Refused: ErrEnded},
		"one that has ended gives codes back":                  {Given: []Event{s, Ended{}}, When: RequestCodes{Codes: []string{"TEN"}, Withdraw: true}, Then: []Event{CodesRequested{Codes: []string{"TEN"}, Withdraw: true}}, Repeats: true},
		"a use is held":                                        {Given: []Event{s}, When: hold("o-1", "3.50"), Then: []Event{held("o-1", "3.50")}},
		"a stopped promotion is held, because it was promised": {Given: []Event{s, Activated{}, Deactivated{}}, When: hold("o-1", "1"), Then: []Event{held("o-1", "1")}},
		"a use is held once":                                   {Given: []Event{s, held("o-1", "1")}, When: hold("o-1", "1"), Nothing: true},
		"the last use is held":                                 {Given: []Event{s, held("o-1", "1")}, When: hold("o-2", "1"), Then: []Event{held("o-2", "1")}},
		"no use is held beyond the limit":                      {Given: []Event{s, held("o-1", "1"), held("o-2", "1")}, When: hold("o-3", "1"), Refused: ErrExhausted.With("", map[string]any{"promotion_id": "spring", "limit": 2})},
		"a final use counts":                                   {Given: []Event{s, held("o-1", "1"), UseCommitted{"o-1", eur("1")}, held("o-2", "1")}, When: hold("o-3", "1"), Refused: ErrExhausted.With("", map[string]any{"promotion_id": "spring", "limit": 2})},
		"a use that was given back does not":                   {Given: []Event{s, held("o-1", "1"), held("o-2", "1"), UseReleased{"o-1", eur("1"), false, NotPlaced}}, When: hold("o-3", "1"), Then: []Event{held("o-3", "1")}},
		"a use that expired does not":                          {Given: []Event{s, held("o-1", "1"), held("o-2", "1"), UseExpired{"o-1", eur("1")}}, When: hold("o-3", "1"), Then: []Event{held("o-3", "1")}},
		"the budget is a limit, too":                           {Given: []Event{s, held("o-1", "6")}, When: hold("o-2", "4.01"), Refused: ErrExhausted.With("", map[string]any{"promotion_id": "spring", "left": eur("4"), "requested": eur("4.01")})},
		"the last of the budget is held":                       {Given: []Event{s, held("o-1", "6"), UseCommitted{"o-1", eur("6")}}, When: hold("o-2", "4"), Then: []Event{held("o-2", "4")}},
		"another currency is not of the budget":                {Given: []Event{s, held("o-1", "10")}, When: HoldUse{OrderID: "o-2", Amount: money("99", "USD"), ExpiresAt: noon}, Then: []Event{UseHeld{OrderID: "o-2", Amount: money("99", "USD"), ExpiresAt: noon}}},
		"nothing finer than the currency is held":              {Given: []Event{s}, When: hold("o-1", "0.001"), Refused: ErrInvalid.With("", map[string]any{"field": "/amount"})},
		"a customer has one use":                               {When: once(hold("o-1", "1")), Then: []Event{held("o-1", "1")}},
		"a customer has no second use":                         {Given: []Event{held("o-1", "1")}, When: once(hold("o-2", "1")), Refused: ErrUsedByCustomer.With("", map[string]any{"limit": 1})},
		"nor after a final one":                                {Given: []Event{held("o-1", "1"), UseCommitted{"o-1", eur("1")}}, When: once(hold("o-2", "1")), Refused: ErrUsedByCustomer.With("", map[string]any{"limit": 1})},
		"a use becomes final":                                  {Given: []Event{s, held("o-1", "1")}, When: CommitUse{"o-1"}, Then: []Event{UseCommitted{"o-1", eur("1")}}},
		"a use becomes final once":                             {Given: []Event{s, held("o-1", "1"), UseCommitted{"o-1", eur("1")}}, When: CommitUse{"o-1"}, Nothing: true},
		"a use is given back":                                  {Given: []Event{s, held("o-1", "1")}, When: ReleaseUse{OrderID: "o-1", Reason: Canceled}, Then: []Event{UseReleased{"o-1", eur("1"), false, Canceled}}},
		"a use expires with its order":                         {Given: []Event{s, held("o-1", "1")}, When: ReleaseUse{OrderID: "o-1", Expired: true}, Then: []Event{UseExpired{"o-1", eur("1")}}},
		"what is not held is not given back":                   {Given: []Event{s, held("o-1", "1")}, When: ReleaseUse{OrderID: "o-2", Reason: NotPlaced}, Nothing: true},
		"a final use is given back":                            {Given: []Event{s, held("o-1", "1"), UseCommitted{"o-1", eur("1")}}, When: ReleaseUse{OrderID: "o-1", Reason: Canceled, Committed: true, Amount: eur("1")}, Then: []Event{UseReleased{"o-1", eur("1"), true, Canceled}}},
		"a use of a confirmed order that is still held":        {Given: []Event{s, held("o-1", "1")}, When: ReleaseUse{OrderID: "o-1", Reason: Canceled, Committed: true, Amount: eur("1")}, Then: []Event{UseReleased{"o-1", eur("1"), false, Canceled}}},
	}
}

func with(d Define, change func(*Define)) Define {
	change(&d)
	return d
}

func TestPromotion(t *testing.T) { promotions.Run(t, rows(t)) }

func TestEveryRefusalHasARow(t *testing.T) {
	// The service refuses with ErrCustomerUnknown, because it alone knows who buys.
	decided := slices.DeleteFunc(slices.Clone(Rejections), func(r *rule.Rejection) bool { return r == ErrCustomerUnknown })
	promotions.EveryRefusalHasARow(t, decided, rows(t))
}

func TestEveryTextIsChecked(t *testing.T) {
	promotions.EveryTextIsChecked(t, map[string]string{"Define.Conditions.Of.Methods": "a condition is about lines, so every method is refused; see TestFaults"}, rows(t))
}

func TestWireForm(t *testing.T) {
	// ofCustomer is an event about the uses of one customer, which has another wire name. The type
	// is declared here because switches over events must not know it.
	type ofCustomer struct {
		Event `json:"event"`
	}
	encode := func(e Event) (string, []byte, error) {
		if of, is := e.(ofCustomer); is {
			return EncodeCustomer(of.Event)
		}
		return Encode(e)
	}
	decode := func(typ string, data []byte) (Event, error) {
		if !slices.Contains(CustomerTypes(), typ) {
			return Decode(typ, data)
		}
		e, err := DecodeCustomer(typ, data)
		return ofCustomer{e}, err
	}
	d := spring()
	uses := []Event{held("o-1", "3.50"), UseCommitted{"o-1", eur("3.50")}, UseReleased{"o-1", eur("3.50"), true, Canceled}, UseReleased{"o-1", eur("3.50"), false, NotPlaced}, UseExpired{"o-1", eur("3.50")}}
	samples := append([]Event{created(d), created(ship()), Changed{d.Terms}, Activated{}, Deactivated{}, Ended{Reason: "sold out"}, CodesRequested{Codes: []string{"TEN", "A_B.C"}}, CodesRequested{Codes: []string{"TEN"}, Withdraw: true}}, uses...)
	for _, use := range uses {
		samples = append(samples, ofCustomer{use})
	}
	decidertest.Codec[Event]{Encode: encode, Decode: decode}.Golden(t, samples)
}

func TestUsesOfCustomersHaveNamesOfTheirOwn(t *testing.T) {
	for _, event := range []Event{held("o-1", "1"), UseCommitted{"o-1", eur("1")}, UseReleased{"o-1", eur("1"), false, Canceled}, UseExpired{"o-1", eur("1")}} {
		typ, data, err := EncodeCustomer(event)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeCustomer(typ, data)
		if err != nil || fmt.Sprint(back) != fmt.Sprint(event) {
			t.Errorf("%s: got %v, %v, want %v", typ, back, err, event)
		}
		if _, err := Decode(typ, data); err == nil {
			t.Errorf("%s is read as an event of a promotion", typ)
		}
	}
	if got := len(CustomerTypes()); got != 4 {
		t.Errorf("%d types", got)
	}
}

// The name of a stream shows neither the customer nor the promotion, and two of them never share a
// stream.
func TestStreamsOfCustomers(t *testing.T) {
	names := map[string]bool{}
	for _, id := range []string{
		CustomerUses("spring", CustomerKey("ann")), CustomerUses("spring", EmailKey("ann")), CustomerUses("summer", CustomerKey("ann")),
		FirstOrder(CustomerKey("ann")), FirstOrder(EmailKey("ann")),
	} {
		names[CustomerStream(id)] = true
	}
	if len(names) != 5 {
		t.Errorf("%d streams: %v", len(names), names)
	}
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		of     Define
		change func(*Define)
		want   string
	}{
		"no id":                      {spring(), func(d *Define) { d.ID = "" }, "/promotion_id"},
		"an id with a blank":         {spring(), func(d *Define) { d.ID = "a b" }, "/promotion_id"},
		"an unknown kind":            {spring(), func(d *Define) { d.Kind = "manual" }, "/kind"},
		"an unknown class":           {spring(), func(d *Define) { d.Class = "cart" }, "/class"},
		"no title":                   {spring(), func(d *Define) { d.Title = "" }, "/title"},
		"an action of another class": {spring(), func(d *Define) { d.Action.Type = pricing.FreeShipping }, "/action/type"},
		"no percent":                 {spring(), func(d *Define) { d.Action.Percent = unit.Percent{} }, "/action/percent"},
		"an amount that is not used": {spring(), func(d *Define) { d.Action.Amounts = []unit.Money{eur("1")} }, "/action/amounts"},
		"no amount":                  {spring(), func(d *Define) { d.Action = pricing.Action{Type: pricing.FixedOff} }, "/action/amounts"},
		"an amount of zero":          {spring(), func(d *Define) { d.Action = pricing.Action{Type: pricing.FixedOff, Amounts: []unit.Money{eur("0")}} }, "/action/amounts/0/amount"},
		"too fine an amount": {spring(), func(d *Define) {
			d.Action = pricing.Action{Type: pricing.FixedOff, Amounts: []unit.Money{eur("0.001")}}
		}, "/action/amounts/0/amount"},
		"a currency twice": {spring(), func(d *Define) {
			d.Action = pricing.Action{Type: pricing.FixedOff, Amounts: []unit.Money{eur("1"), eur("2")}}
		}, "/action/amounts/1/currency"},
		"an unknown currency": {spring(), func(d *Define) {
			d.Action = pricing.Action{Type: pricing.FixedOff, Amounts: []unit.Money{{Currency: "XXX"}}}
		}, "/action/amounts/0/currency"},
		"buy nothing":                  {spring(), func(d *Define) { d.Action = pricing.Action{Type: pricing.BuyXGetY, Get: 1} }, "/action/buy"},
		"get nothing":                  {spring(), func(d *Define) { d.Action = pricing.Action{Type: pricing.BuyXGetY, Buy: 1} }, "/action/get"},
		"sets below zero":              {spring(), func(d *Define) { d.Action = pricing.Action{Type: pricing.BuyXGetY, Buy: 1, Get: 1, MaxSets: -1} }, "/action/max_sets"},
		"sets without sets":            {spring(), func(d *Define) { d.Action.Buy = 1 }, "/action/buy"},
		"methods of items":             {spring(), func(d *Define) { d.Action.Target.Methods = []string{"post"} }, "/action/target/methods"},
		"SKUs of shipping":             {ship(), func(d *Define) { d.Action.Target.SKUs = []unit.SKU{"MUG"} }, "/action/target/skus"},
		"a SKU in small letters":       {spring(), func(d *Define) { d.Action.Target.SKUs = []unit.SKU{"mug"} }, "/action/target/skus/0"},
		"overridden lines of shipping": {ship(), func(d *Define) { d.Action.IncludeOverridden = true }, "/action/include_overridden"},
		"a measure that comes later":   {spring(), func(d *Define) { d.Conditions.Measure = pricing.AfterOrder }, "/conditions/measure"},
		"a measure of nothing":         {spring(), func(d *Define) { d.Conditions.MinSubtotal = nil }, "/conditions/measure"},
		"an eighth day":                {spring(), func(d *Define) { d.Conditions.Days = []int{8} }, "/conditions/days/0"},
		"a day twice":                  {spring(), func(d *Define) { d.Conditions.Days = []int{1, 1} }, "/conditions/days/1"},
		"hours that end first":         {spring(), func(d *Define) { d.Conditions.UntilHour = 9 }, "/conditions/until_hour"},
		"an unknown country":           {spring(), func(d *Define) { d.Conditions.Countries = []string{"XX"} }, "/conditions/countries/0"},
		"a window that ends first":     {spring(), func(d *Define) { d.Window.Until = d.Window.From }, "/window/until"},
		"uses below zero":              {spring(), func(d *Define) { d.Limits.Uses = -1 }, "/limits/uses"},
		"uses per customer below zero": {spring(), func(d *Define) { d.Limits.UsesPerCustomer = -1 }, "/limits/uses_per_customer"},
		"two budgets":                  {spring(), func(d *Define) { d.Limits.Budget = []unit.Money{eur("1"), money("1", "USD")} }, "/limits/budget"},
		"methods of a condition":       {spring(), func(d *Define) { d.Conditions.Of.Methods = []string{"post"} }, "/conditions/of/methods"},
		"an unknown exclusivity":       {spring(), func(d *Define) { d.Exclusive = "most" }, "/exclusive"},
		"too high a priority":          {spring(), func(d *Define) { d.Priority = MaxPriority + 1 }, "/priority"},
	} {
		d := c.of
		c.change(&d)
		found := d.Faults()
		if len(found) != 1 || found[0].Path != c.want {
			t.Errorf("%s: got %v, want one at %s", name, found, c.want)
		}
	}
}

// Whatever is asked, in any order and however often: there are never more uses than the limit,
// never more than the budget, and what is held has one end.
func TestLimitsHoldWhateverIsAsked(t *testing.T) {
	exhausted, given := 0, 0
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 1))
		d := spring()
		d.Limits = pricing.Limits{Uses: 1 + random.IntN(4), Budget: []unit.Money{eur("20")}}
		state := promotions.Fold(created(d))
		orders := map[unit.OrderID]string{}
		for range 60 {
			order := unit.OrderID(fmt.Sprintf("o-%d", random.IntN(10)))
			amount := fmt.Sprint(1 + random.IntN(9))
			var cmd Command
			switch random.IntN(4) {
			case 0, 1:
				if orders[order] != "" && orders[order] != "held" {
					continue // the command id of the hold keeps an order from a second one
				}
				cmd = hold(order, amount)
			case 2:
				cmd = CommitUse{order}
			case 3:
				if orders[order] == "back" {
					continue // as above
				}
				was := orders[order] == "final"
				cmd = ReleaseUse{OrderID: order, Reason: Canceled, Committed: was, Amount: eur("0")}
			}
			events, err := Decide(cmd, state)
			if err != nil {
				exhausted++
				continue
			}
			for _, event := range events {
				state = Evolve(state, event)
				switch event.(type) {
				case UseHeld:
					orders[order] = "held"
				case UseCommitted:
					orders[order] = "final"
				case UseReleased:
					orders[order] = "back"
					given++
				case Created, Changed, Activated, Deactivated, Ended, CodesRequested, UseExpired:
				}
			}
			if state.Uses() > d.Limits.Uses || state.Spent("EUR").Compare(eur("20")) > 0 || state.Uses() < 0 {
				t.Fatalf("seed %d: %d uses of %d, %s spent", seed, state.Uses(), d.Limits.Uses, state.Spent("EUR"))
			}
		}
		live := 0
		for _, how := range orders {
			if how == "held" || how == "final" {
				live++
			}
		}
		if live != state.Uses() {
			t.Fatalf("seed %d: %d orders have a use, the promotion counts %d", seed, live, state.Uses())
		}
	}
	if exhausted < 1000 || given < 1000 {
		t.Errorf("%d refusals, %d uses given back: too quiet to prove anything", exhausted, given)
	}
}
