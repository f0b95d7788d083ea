package commands_test

import (
	"strings"
	"testing"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/cart"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// A checkout that stock refuses records the claim of its order id and its refusal in one append.
// They are the same events as those of two appends. If that append conflicts, the two follow.
func TestARefusedCheckoutIsOneAppend(t *testing.T) {
	t.Parallel()
	losing := &groupLog{Store: memory.New(), fault: func(int, func() ([]eventstore.Result, error)) ([]eventstore.Result, error) {
		return nil, &eventstore.ConflictError{Stream: "order-o-1", Expected: eventstore.NoStream, Actual: 0}
	}}
	together := &groupLog{Store: memory.New()}
	want := refused(t, stepwise(memory.New()))
	for name, log := range map[string]*groupLog{"in one append": together, "after a conflict": losing} {
		got := refused(t, log)
		if n := log.count(); n != 1 {
			t.Errorf("%s: %d appends to several streams, want 1", name, n)
		}
		for stream := range want {
			if a, b := strings.Join(got[stream], "\n"), strings.Join(want[stream], "\n"); a != b {
				t.Errorf("%s: %s\n%s\nand step by step\n%s", name, stream, a, b)
			}
		}
		if len(got) != len(want) || len(want["order-o-1"]) != 1 {
			t.Errorf("%s: %d streams, want %d: %v", name, len(got), len(want), got)
		}
	}
}

// refused checks out more mugs than there are, twice with one call, and returns the events.
func refused(t *testing.T, log eventstore.Store) map[string][]string {
	t.Helper()
	s := atNoon(t, log)
	s.Sell("MUG", 1)
	lines := []commands.WantedLine{{SKU: "MUG", Quantity: 2}}
	if _, err := s.AddLines(t.Context(), shoptest.NewCall(), "c1", &cart.Open{CartID: "c1", Currency: "GBP"}, lines); err != nil {
		t.Fatal(err)
	}
	ask := payNow("c1")
	ask.OrderID = "o-1"
	for n := range 2 {
		result, err := s.Checkout(t.Context(), callOf("checkout"), ask)
		if err != nil || result.Placed || len(result.Shortages) != 1 {
			t.Fatalf("%+v, %v; want one shortage", result, err)
		}
		if n == 0 && result.Cart.Position == eventstore.Start {
			t.Error("the refusal has no position")
		}
	}
	s.Audit()
	return eventsOf(t, log)
}
