package cart

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"daybook/domain/contact"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// model keeps the cart a second time, computed from its events by code that shares nothing with
// Evolve. The test compares the two after each command.
type model struct {
	events   []Event
	lines    map[int]Line
	numbers  map[int]bool // ever used
	frozen   *CheckoutStarted
	done     *CheckoutStarted // that succeeded
	outcomes map[unit.OrderID]Event
	ended    bool
	merged   *MergedInto // under way, or done
	attempts int
}

func (b *model) enter(t *rapid.T, e Event) {
	b.events = append(b.events, e)
	if refused, ok := e.(CheckoutRefused); ok && b.done != nil && b.done.OrderID == refused.OrderID {
		if !refused.OrderIDTaken || fmt.Sprint(refused.Lines) != fmt.Sprint(b.done.Lines) {
			t.Fatalf("withdrawn as %+v, it was %+v", refused, b.done)
		}
		b.frozen, b.done, b.ended = b.done, nil, false
		delete(b.outcomes, refused.OrderID)
	}
	_, declines := e.(MergeDeclined)
	_, moves := e.(CustomerChanged)
	follows := moves && b.done != nil // a cart follows the order that it has become
	if b.ended && !declines && !follows {
		t.Fatalf("%T after the end", e)
	}
	switch e.(type) {
	case MergeRefused:
		if b.merged == nil {
			t.Fatalf("%T without a merge", e)
		}
	case MergeDeclined: // at any time
	case CheckoutRefused, CheckedOut:
		if b.frozen == nil {
			t.Fatalf("%T without a checkout", e)
		}
	case Opened, LineAdded, QuantityChanged, LineRemoved, CustomerChanged, CountryChanged, DetailsSet, CouponAdded, CouponRemoved, ShippingChosen, DiscountGiven, DiscountWithdrawn, TaxStatusSet, CheckoutStarted, Abandoned, Expired, MergedInto, MergedFrom:
		if b.frozen != nil || b.merged != nil {
			t.Fatalf("%T while frozen", e)
		}
	}
	switch e := e.(type) {
	case Opened:
	case LineAdded:
		if b.numbers[e.Number] {
			t.Fatalf("line number %d is used twice", e.Number)
		}
		b.numbers[e.Number] = true
		b.lines[e.Number] = e.Line
	case QuantityChanged:
		line := b.lines[e.Line]
		line.Quantity = e.Quantity
		b.lines[e.Line] = line
	case CustomerChanged, CountryChanged, DetailsSet, CouponAdded, CouponRemoved, ShippingChosen, DiscountGiven, DiscountWithdrawn, TaxStatusSet: // checked by checkFrozen
	case LineRemoved:
		delete(b.lines, e.Line)
	case CheckoutStarted:
		b.frozen = &e
		b.checkFrozen(t)
	case CheckoutRefused:
		b.decide(t, e.OrderID, e)
	case CheckedOut:
		b.done = b.frozen
		b.decide(t, e.OrderID, e)
		b.ended = true
	case Abandoned, Expired:
		b.ended = true
	case MergedInto:
		if b.attempts++; e.Attempt != b.attempts || len(b.lines) == 0 {
			t.Fatalf("merge %d of %d lines is said to be %d", b.attempts, len(b.lines), e.Attempt)
		}
		b.merged = &e
	case MergeRefused:
		if e.Attempt != b.merged.Attempt || e.Target != b.merged.Target {
			t.Fatalf("%+v ends %+v", e, b.merged)
		}
		b.merged = nil
	case MergedFrom, MergeDeclined:
	}
}

func (b *model) decide(t *rapid.T, id unit.OrderID, outcome Event) {
	if b.frozen.OrderID != id {
		t.Fatalf("order %s decided while %s is checked out", id, b.frozen.OrderID)
	}
	if earlier, twice := b.outcomes[id]; twice {
		t.Fatalf("order %s has two outcomes: %T, %T", id, earlier, outcome)
	}
	b.outcomes[id] = outcome
	b.checkFrozen(t)
	b.frozen = nil
}

// checkFrozen checks that the lines which a checkout froze are the lines of the cart. It is called
// when the checkout starts and when it ends.
func (b *model) checkFrozen(t *rapid.T) {
	if len(b.frozen.Lines) != len(b.lines) {
		t.Fatalf("%d lines frozen, the cart has %d", len(b.frozen.Lines), len(b.lines))
	}
	for _, line := range b.frozen.Lines {
		if mine := b.lines[line.Number]; mine.Quantity != line.Quantity || !mine.Price.Equal(line.Price) {
			t.Fatalf("line %d frozen as %v, it is %v", line.Number, line, mine)
		}
	}
}

func pounds(n int) unit.Money {
	return unit.Money{Amount: decimal.NewFromInt(int64(n)), Currency: "GBP"}
}

func command(t *rapid.T) Command {
	line := rapid.IntRange(1, 5)
	quantity := rapid.Int64Range(0, 3)
	order := func() unit.OrderID { return unit.OrderID(fmt.Sprintf("o%d", rapid.IntRange(1, 4).Draw(t, "order"))) }
	switch rapid.IntRange(0, 21).Draw(t, "command") {
	case 0, 1, 2, 3:
		return AddLine{SKU: "LAMP", Join: rapid.Bool().Draw(t, "join"), Quantity: unit.Quantity(quantity.Draw(t, "quantity")), Offer: Offer{
			Kind:  rapid.SampledFrom([]unit.Kind{unit.Stocked, unit.Service}).Draw(t, "kind"),
			Price: pounds(rapid.IntRange(-2, 5).Draw(t, "price")),
		}}
	case 4:
		return ChangeQuantity{Line: line.Draw(t, "line"), Quantity: unit.Quantity(quantity.Draw(t, "quantity"))}
	case 5:
		return RemoveLine{Line: line.Draw(t, "line")}
	case 6, 7:
		return StartCheckout{OrderID: order(), ReserveUntil: deadline}
	case 8:
		return RefuseCheckout{OrderID: order()}
	case 9:
		return CompleteCheckout{OrderID: order()}
	case 10:
		return WithdrawCheckout{OrderID: order()}
	case 12:
		return ChangeCustomer{CustomerID: unit.CustomerID(fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "customer")))}
	case 21:
		return FollowOrder{OrderID: order(), CustomerID: "1"}
	case 13:
		return ChangeCountry{Country: rapid.SampledFrom([]string{"", "France", "EIRE"}).Draw(t, "country")}
	case 14:
		return SetLines{rapid.SliceOfN(rapid.Custom(func(t *rapid.T) LineQuantity {
			return LineQuantity{line.Draw(t, "line"), unit.Quantity(quantity.Draw(t, "quantity"))}
		}), 0, 4).Draw(t, "lines")}
	case 15:
		return MergeInto{Target: unit.CartID(fmt.Sprintf("c%d", rapid.IntRange(1, 3).Draw(t, "other")))}
	case 16:
		return RefuseMerge{Attempt: rapid.IntRange(0, 3).Draw(t, "attempt")}
	case 17:
		return MergeFrom{Source: "c9", Attempt: 1, Lines: []Line{
			{Number: 1, SKU: "LAMP", Kind: unit.Stocked, Quantity: 2, Price: pounds(1)}, {Number: 2, SKU: "LAMP", Kind: unit.Stocked, Quantity: 1, Price: pounds(rapid.IntRange(-1, 2).Draw(t, "price"))},
		}}
	case 18:
		return DeclineMerge{Source: "c9", Attempt: 1}
	case 20:
		return SetDetails{Details: contact.Details{Email: rapid.SampledFrom([]string{"", "a@b.example"}).Draw(t, "email"), Shipping: &contact.Address{Lines: []string{"1"}, Country: rapid.SampledFrom([]unit.Country{"GB", "FR"}).Draw(t, "to")}}}
	case 11:
		return Open{CartID: "c1", Currency: "GBP"}
	}
	if rapid.IntRange(0, 4).Draw(t, "end") == 0 {
		return Abandon{}
	}
	return Expire{}
}

func TestAnyScriptKeepsTheInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := model{lines: map[int]Line{}, numbers: map[int]bool{}, outcomes: map[unit.OrderID]Event{}}
		var s State
		t.Repeat(map[string]func(*rapid.T){
			"command": func(t *rapid.T) {
				cmd := command(t)
				if withdraw, ok := cmd.(WithdrawCheckout); ok && b.done != nil {
					withdraw.Lines = b.done.Lines
					cmd = withdraw
				}
				events, err := Decide(cmd, s)
				if _, refused := errors.AsType[*rule.Rejection](err); err != nil && (!refused || len(events) > 0) {
					t.Fatalf("%T: error %v with %d events", cmd, err, len(events))
				}
				for _, e := range events {
					b.enter(t, e)
					s = Evolve(s, e)
				}
				switch cmd.(type) { //nolint:gochecksumtype // those that happen again
				case AddLine, MergeFrom, DeclineMerge, SetDetails:
					return
				}
				if again, err := Decide(cmd, s); err == nil && len(again) > 0 {
					t.Fatalf("%T asked twice happens twice", cmd)
				}
			},
			"restart from the snapshot": func(t *rapid.T) { s = readBack(t, written(t, s)) },
			"":                          func(t *rapid.T) { checkReplay(t, b.events, s) },
		})
	})
}

func written(t *rapid.T, s State) string {
	data, err := json.Marshal(s, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func readBack(t *rapid.T, data string) (s State) {
	if err := json.Unmarshal([]byte(data), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// checkReplay checks that the recorded events, read back from their JSON, give the same state, and
// that the snapshot does, too.
func checkReplay(t *rapid.T, events []Event, s State) {
	var replayed State
	for _, e := range events {
		typ, data, err := Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := Decode(typ, data)
		if err != nil {
			t.Fatal(err)
		}
		replayed = Evolve(replayed, decoded)
	}
	want := written(t, s)
	if got := written(t, replayed); got != want {
		t.Fatalf("replayed, the state is\n     %s\nand was %s", got, want)
	}
	if got := written(t, readBack(t, want)); got != want {
		t.Fatalf("the snapshot reads back as\n     %s\nfrom %s", got, want)
	}
}

// An event that was recorded never changes. If the cart changes later, the event must still have
// its old lines.
func TestAnEventKeepsItsLines(t *testing.T) {
	s := carts.Fold(Opened{CartID: "c1", Currency: "GBP"}, LineAdded{Line{Number: 1, SKU: "LAMP", Kind: unit.Stocked, Quantity: 3, Price: money(t, "1", "GBP")}})
	events, err := Decide(StartCheckout{OrderID: "o1", ReserveUntil: deadline}, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Concat(events, []Event{CheckoutRefused{OrderID: "o1"}, QuantityChanged{Line: 1, Quantity: 9}}) {
		s = Evolve(s, e)
	}
	if got, want := events[0].(CheckoutStarted).Lines[0].Quantity, unit.Quantity(3); got != want {
		t.Errorf("the frozen line has %d units, want %d", got, want)
	}
}
