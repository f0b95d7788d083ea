package commands_test

import (
	"context"
	"strings"
	"testing"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// overhearing is a store that calls hear before each append.
type overhearing struct {
	eventstore.Store
	hear func(stream string)
}

func (o *overhearing) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	o.hear(stream)
	return o.Store.Append(ctx, stream, expected, events)
}

// While a request carries out a process, the reactor leaves the process alone. So the request must
// be marked as carrying it out the whole time.
func TestARequestSaysWhatItCarriesOut(t *testing.T) {
	t.Parallel()
	log := &overhearing{Store: memory.New(), hear: func(string) {}}
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 10)
	if err := s.FillCart("c", map[unit.SKU]unit.Quantity{"MUG": 2}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []unit.CartID{"guest", "ann"} {
		s.Must(s.FillCart(id, map[unit.SKU]unit.Quantity{"MUG": 1}))
	}
	s.register("ally", "alice")
	for _, step := range []struct {
		of, asks string // the stream of the process, and the category that it asks
		do       func() error
	}{
		{cart.Stream("c"), stock.Category, func() error { return s.PlaceOrder("c", "o") }},
		{order.Stream("o"), stock.Category, func() error {
			paid := order.RecordTransaction{TransactionID: "paid", Type: order.Capture, State: order.Succeeded, Amount: s.OrderState("o").Owed()}
			_, err := s.Order(t.Context(), shoptest.NewCall(), "o", paid, order.Confirm{Now: s.Now()})
			return err
		}},
		{order.Stream("o"), stock.Category, func() error {
			_, err := s.Order(t.Context(), shoptest.NewCall(), "o", order.Ship{ShipmentID: "s1", Location: unit.DefaultLocation})
			return err
		}},
		{cart.Stream("guest"), cart.Category, func() error { return s.MergeInto("ann", "guest") }},
		{customer.Stream("ally"), customer.Category, func() error { return s.mergeAccounts("ally", "alice") }},
		{returns.Stream("r"), order.Category, func() error {
			_, err := s.Return(t.Context(), shoptest.NewCall(), "r", mugsOf("r", 1, "o"))
			return err
		}},
	} {
		asked := 0
		log.hear = func(stream string) {
			if !strings.HasPrefix(stream, step.asks+"-") {
				return
			}
			asked++
			if !s.Driving(step.of) {
				t.Errorf("%s is appended to, but no call is marked as carrying out %s", stream, step.of)
			}
		}
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if asked == 0 {
			t.Errorf("%s asked nothing", step.of)
		}
		if s.Driving(step.of) {
			t.Errorf("%s is said to be carried out, and the request has ended", step.of)
		}
	}
}
