package giftcard

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"daybook/domain/decidertest"
	"daybook/domain/unit"
)

var cards = decidertest.Decider[Command, Event, State]{Decide: Decide, Evolve: Evolve}

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

var (
	issuing = Issue{ID: "g1", Kind: Card, Amount: eur("50"), ExpiresAt: noon.AddDate(1, 0, 0), Reason: "thanks", Now: noon}
	issued  = Issued{ID: "g1", Kind: Card, Amount: eur("50"), ExpiresAt: noon.AddDate(1, 0, 0), Reason: "thanks"}
	credit  = Issued{ID: "a1", Kind: Account, Amount: eur("5"), CustomerID: "ann"}
	late    = noon.AddDate(1, 0, 0)
)

func holding(order unit.OrderID, amount string) Hold {
	return Hold{OrderID: order, CartID: "c", Amount: eur(amount), ExpiresAt: noon.Add(time.Hour), Now: noon}
}

func held(order unit.OrderID, amount string) Held {
	return Held{OrderID: order, CartID: "c", Amount: eur(amount), ExpiresAt: noon.Add(time.Hour)}
}

func rows(testing.TB) map[string]row {
	sold := issuing
	sold.Sold, sold.Reason = &Sold{OrderID: "o-9", Line: 1, Unit: 2}, ""
	soldEvent := issued
	soldEvent.Sold, soldEvent.Reason = sold.Sold, ""
	other := issuing
	other.Amount = eur("60")
	afterwards := holding("o-1", "1")
	afterwards.Now = late
	more := Issue{ID: "a1", Kind: Account, Amount: eur("2.50"), CustomerID: "ann", Now: noon}
	dollars := more
	dollars.Amount = money("1", "USD")
	ofBob := more
	ofBob.CustomerID = "bob"
	fine := holding("o-1", "0.001")
	usd := holding("o-1", "1")
	usd.Amount = money("1", "USD")
	paid := []Event{issued, held("o-1", "30"), Redeemed{"o-1", eur("30")}}
	return map[string]row{
		"a card is issued":                              {When: issuing, Then: []Event{issued}},
		"a unit of an order is sold as a card":          {When: sold, Then: []Event{soldEvent}},
		"it is sold once":                               {Given: []Event{soldEvent}, When: sold, Nothing: true},
		"a card is issued once":                         {Given: []Event{issued, held("o-1", "30")}, When: issuing, Nothing: true},
		"a card is not issued again with other content": {Given: []Event{issued}, When: other, Refused: ErrExists},
		"a card has a time that has not passed":         {When: Issue{ID: "g1", Kind: Card, Amount: eur("1"), ExpiresAt: noon, Now: noon}, Refused: ErrInvalid.With("", map[string]any{"field": "/expires_at"})},
		"a card has an amount":                          {When: Issue{ID: "g1", Kind: Card, Amount: eur("0")}, Refused: ErrInvalid.With("", map[string]any{"field": "/amount"})},
		"a card has no customer":                        {When: Issue{ID: "g1", Kind: Card, Amount: eur("1"), CustomerID: "ann"}, Refused: ErrInvalid.With("", map[string]any{"field": "/customer_id"})},
		"a credit account has a customer":               {When: Issue{ID: "a1", Kind: Account, Amount: eur("1")}, Refused: ErrInvalid.With("", map[string]any{"field": "/customer_id"})},
		"a credit account gets more":                    {Given: []Event{credit}, When: more, Then: []Event{Issued{ID: "a1", Kind: Account, Amount: eur("2.50"), CustomerID: "ann"}}, Repeats: true},
		"the currency is fixed":                         {Given: []Event{credit}, When: dollars, Refused: ErrCurrency.With("", map[string]any{"currency": unit.Currency("EUR")})},
		"the customer is fixed":                         {Given: []Event{credit}, When: ofBob, Refused: ErrExists},
		"an account that was disabled gets no more":     {Given: []Event{credit, Disabled{Amount: eur("5")}}, When: more, Refused: ErrDisabled},
		"a code is shown":                               {Given: []Event{issued}, When: ShowCode{}, Then: []Event{CodeShown{}}},
		"a code is shown once":                          {Given: []Event{issued, CodeShown{}}, When: ShowCode{}, Refused: ErrCodeShown},
		"an account has no code":                        {Given: []Event{credit}, When: ShowCode{}, Refused: ErrNotFound},
		"the code of a disabled card is not shown":      {Given: []Event{issued, Disabled{Amount: eur("50")}}, When: ShowCode{}, Refused: ErrDisabled},
		"money is held":                                 {Given: []Event{issued}, When: holding("o-1", "30"), Then: []Event{held("o-1", "30")}},
		"an order holds once":                           {Given: []Event{issued, held("o-1", "30")}, When: holding("o-1", "30"), Nothing: true},
		"two orders do not hold the same money":         {Given: []Event{issued, held("o-1", "30")}, When: holding("o-2", "20.01"), Refused: ErrInsufficient.With("", map[string]any{"available": eur("20"), "requested": eur("20.01")})},
		"two orders hold all of it":                     {Given: []Event{issued, held("o-1", "30")}, When: holding("o-2", "20"), Then: []Event{held("o-2", "20")}},
		"nothing finer than the currency is held":       {Given: []Event{issued}, When: fine, Refused: ErrInvalid},
		"no other currency is held":                     {Given: []Event{issued}, When: usd, Refused: ErrCurrency},
		"no money is held of no card":                   {When: holding("o-1", "1"), Refused: ErrNotFound},
		"nothing is held at the end of its time":        {Given: []Event{issued}, When: afterwards, Refused: ErrExpired},
		"nothing is held of a disabled card":            {Given: []Event{issued, Disabled{Amount: eur("50")}}, When: holding("o-1", "1"), Refused: ErrDisabled},
		"what is due is redeemed":                       {Given: []Event{issued, held("o-1", "30")}, When: Redeem{"o-1", eur("25")}, Then: []Event{Redeemed{"o-1", eur("25")}}},
		"no more is redeemed than is held":              {Given: []Event{issued, held("o-1", "30")}, When: Redeem{"o-1", eur("31")}, Then: []Event{Redeemed{"o-1", eur("30")}}},
		"it is redeemed once":                           {Given: paid, When: Redeem{"o-1", eur("30")}, Nothing: true},
		"if nothing is due, it is given back":           {Given: []Event{issued, held("o-1", "30")}, When: Redeem{"o-1", eur("0")}, Then: []Event{Released{"o-1", eur("30"), NothingDue}}},
		"a hold is given back":                          {Given: []Event{issued, held("o-1", "30")}, When: Release{"o-1", OrderExpired}, Then: []Event{Released{"o-1", eur("30"), OrderExpired}}},
		"what is not held is not given back":            {Given: paid, When: Release{"o-1", Canceled}, Nothing: true},
		"a refund comes back":                           {Given: paid, When: CreditBack{"r-1", "o-1", eur("30")}, Then: []Event{CreditedBack{"r-1", "o-1", eur("30")}}},
		"no more comes back than was paid":              {Given: append(paid[:3:3], CreditedBack{"r-1", "o-1", eur("20")}), When: CreditBack{"r-2", "o-1", eur("10.01")}, Refused: ErrBackTooMuch.With("", map[string]any{"limit": eur("10"), "requested": eur("10.01")})},
		"nothing comes back to no card":                 {When: CreditBack{"r-1", "o-1", eur("1")}, Refused: ErrNotFound},
		"nothing of another currency comes back":        {Given: paid, When: CreditBack{"r-1", "o-1", money("1", "USD")}, Refused: ErrCurrency},
		"nothing comes back to a disabled card":         {Given: append(paid[:3:3], Disabled{Amount: eur("20")}), When: CreditBack{"r-1", "o-1", eur("1")}, Refused: ErrDisabled},
		"nothing comes back to an expired card":         {Given: append(paid[:3:3], Expired{eur("20")}), When: CreditBack{"r-1", "o-1", eur("1")}, Refused: ErrExpired},
		"a card expires with what is free":              {Given: []Event{issued, held("o-1", "30")}, When: Expire{late}, Then: []Event{Expired{eur("20")}}},
		"it expires once":                               {Given: []Event{issued, Expired{eur("50")}}, When: Expire{late}, Nothing: true},
		"it does not expire before its time":            {Given: []Event{issued}, When: Expire{late.Add(-1)}, Nothing: true},
		"a card without end does not expire":            {Given: []Event{credit}, When: Expire{late}, Nothing: true},
		"what was held can be redeemed after the end":   {Given: []Event{issued, held("o-1", "30"), Expired{eur("20")}}, When: Redeem{"o-1", eur("25")}, Then: []Event{Redeemed{"o-1", eur("25")}, Expired{eur("5")}}},
		"what is given back after the end is gone":      {Given: []Event{issued, held("o-1", "30"), Expired{eur("20")}}, When: Release{"o-1", Canceled}, Then: []Event{Released{"o-1", eur("30"), Canceled}, Expired{eur("30")}}},
		"a card is disabled":                            {Given: []Event{issued, held("o-1", "30")}, When: Disable{Reason: "stolen"}, Then: []Event{Disabled{Amount: eur("20"), Reason: "stolen"}}},
		"it is disabled once":                           {Given: []Event{issued, Disabled{Amount: eur("50")}}, When: Disable{}, Nothing: true},
		"no card is disabled if there is none":          {When: Disable{}, Refused: ErrNotFound},
		"a card whose purchase is undone ends":          {Given: []Event{issued, held("o-1", "30")}, When: Revoke{"EUR"}, Then: []Event{Disabled{Amount: eur("20")}}},
		"it ends once":                                  {Given: []Event{issued, Disabled{Amount: eur("50")}}, When: Revoke{"EUR"}, Nothing: true},
		"an expired card has nothing left":              {Given: []Event{issued, Expired{eur("50")}}, When: Revoke{"EUR"}, Then: []Event{Disabled{Amount: eur("0")}}},
		"a card can end before it is issued":            {When: Revoke{"EUR"}, Then: []Event{Disabled{Amount: eur("0")}}},
		"then it is never issued":                       {Given: []Event{Disabled{Amount: eur("0")}}, When: issuing, Refused: ErrDisabled},
		"what is given back to a disabled card is gone": {Given: []Event{issued, held("o-1", "30"), Disabled{Amount: eur("20")}}, When: Release{"o-1", Canceled}, Then: []Event{Released{"o-1", eur("30"), Canceled}, Disabled{Amount: eur("30")}}},
	}
}

func TestGiftCard(t *testing.T) { cards.Run(t, rows(t)) }

func TestEveryRefusalHasARow(t *testing.T) { cards.EveryRefusalHasARow(t, Rejections, rows(t)) }

func TestEveryTextIsChecked(t *testing.T) { cards.EveryTextIsChecked(t, nil, rows(t)) }

func TestWireForm(t *testing.T) {
	sold := issued
	sold.Sold = &Sold{OrderID: "o-9", Line: 1, Unit: 2}
	decidertest.Codec[Event]{Encode: Encode, Decode: Decode}.Golden(t, []Event{
		issued, sold, credit,
		CodeShown{},
		held("o-1", "30"),
		Redeemed{"o-1", eur("25")},
		Released{"o-1", eur("30"), NotPlaced},
		CreditedBack{"r-1", "o-1", eur("1")},
		Expired{eur("5")},
		Disabled{Amount: eur("5"), Reason: "stolen"},
	})
}

func TestIDs(t *testing.T) {
	if CardID("ab") == AccountID("ab", "EUR") || AccountID("ann", "EUR") == AccountID("ann", "USD") || AccountID("ann", "EUR") == AccountID("bob", "EUR") {
		t.Error("two of them have one id")
	}
}

// Whatever is asked, in any order: the balance never falls below zero or below what is held, and
// the sums of all events give it.
func TestBalanceHoldsWhateverIsAsked(t *testing.T) {
	happened := map[string]int{}
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 2))
		state := cards.Fold(issued)
		sum := eur("50")
		for range 40 {
			order := unit.OrderID(fmt.Sprintf("o-%d", random.IntN(6)))
			amount := eur(fmt.Sprintf("%d.%02d", random.IntN(30), random.IntN(100)))
			var cmd Command
			switch random.IntN(9) {
			case 0, 1, 2:
				h := holding(order, "1")
				h.Amount = amount
				cmd = h
			case 3, 4:
				cmd = Redeem{order, amount}
			case 5:
				cmd = Release{order, Canceled}
			case 6, 7:
				cmd = CreditBack{"r", order, amount}
			case 8:
				switch random.IntN(30) {
				case 0:
					cmd = Expire{late}
				case 1:
					cmd = Disable{}
				default:
					continue
				}
			}
			events, err := Decide(cmd, state)
			if err != nil {
				happened["refused"]++
			}
			for _, event := range events {
				happened[fmt.Sprintf("%T", event)]++
				state = Evolve(state, event)
				switch e := event.(type) {
				case Redeemed:
					sum = sum.Minus(e.Amount)
				case CreditedBack:
					sum = sum.Plus(e.Amount)
				case Expired:
					sum = sum.Minus(e.Amount)
				case Disabled:
					sum = sum.Minus(e.Amount)
				case Issued, CodeShown, Held, Released:
				}
			}
			switch {
			case state.Balance.Sign() < 0, state.free().Sign() < 0:
				t.Fatalf("seed %d: balance %s, held %s", seed, state.Balance, state.HeldInAll())
			case !state.Balance.Equal(sum):
				t.Fatalf("seed %d: balance %s, and the events add up to %s", seed, state.Balance, sum)
			case (state.Expired || state.Disabled) && state.free().Sign() != 0:
				t.Fatalf("seed %d: %s are free on a card that has ended", seed, state.free())
			}
		}
	}
	for _, rare := range []string{"refused", "giftcard.Redeemed", "giftcard.Released", "giftcard.CreditedBack", "giftcard.Expired", "giftcard.Disabled"} {
		if happened[rare] < 500 {
			t.Errorf("%s happened %d times: too quiet to prove anything", rare, happened[rare])
		}
	}
}
