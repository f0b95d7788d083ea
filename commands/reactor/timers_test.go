package reactor

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// timerKinds are the constants of TimerKind, read from the source, so that a new
// one cannot be left out here.
func timerKinds(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "timers.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	ast.Inspect(file, func(node ast.Node) bool {
		spec, is := node.(*ast.ValueSpec)
		if !is {
			return true
		}
		if typ, named := spec.Type.(*ast.Ident); named && typ.Name == "TimerKind" {
			for _, name := range spec.Names {
				names = append(names, name.Name)
			}
		}
		return true
	})
	return names
}

func TestTwoTimersOfAKindThatDifferInOnePartBothFire(t *testing.T) {
	t.Parallel()
	deadline := time.Now().Add(time.Hour)
	hold := func(s *shop, sku unit.SKU, location unit.LocationID, id unit.ReservationID) func() bool {
		at := stock.Key{SKU: sku, Location: location}
		stamp := stock.At{Key: at, Now: time.Now()}
		if _, err := s.MoveStock(t.Context(), shoptest.NewCall(), at,
			stock.Receive{At: stamp, Quantity: 5},
			stock.Reserve{At: stamp, ReservationID: id, OrderID: "o1", Quantity: 1, ExpiresAt: deadline}); err != nil {
			t.Fatal(err)
		}
		return func() bool {
			ended := false
			if err := s.ViewStock(t.Context(), stock.Key{SKU: sku, Location: location}, func(state stock.State, _ int64) {
				end, known := state.Ended.Get(string(id))
				ended = known && end == stock.EndExpired
			}); err != nil {
				t.Fatal(err)
			}
			return ended
		}
	}
	place := func(s *shop, sku unit.SKU, id unit.OrderID) func() bool {
		s.Sell(sku, 5)
		if err := s.FillCart(unit.CartID("cart-"+id), map[unit.SKU]unit.Quantity{sku: 1}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: unit.CartID("cart-" + id), OrderID: id, ReserveUntil: deadline}); err != nil {
			t.Fatal(err)
		}
		return func() bool { return s.OrderState(id).Status == order.StatusExpired }
	}
	leave := func(s *shop, id unit.CartID) func() bool {
		s.Sell("A", 5)
		if err := s.FillCart(id, map[unit.SKU]unit.Quantity{"A": 1}); err != nil {
			t.Fatal(err)
		}
		return func() bool { return s.CartState(id).Phase == cart.PhaseExpired }
	}
	policy := commands.DefaultPolicy()
	policy.CartsExpireAfter = time.Minute
	// Each function sets two timers. It returns a function that tells whether both have fired.
	twice := map[string]map[string]func(s *shop) (first, second func() bool){
		"OrderDeadline": {
			"two orders": func(s *shop) (func() bool, func() bool) { return place(s, "A", "o1"), place(s, "A", "o2") },
		},
		"CartDeadline": {
			"two carts": func(s *shop) (func() bool, func() bool) { return leave(s, "c1"), leave(s, "c2") },
		},
		"ReservationDeadline": {
			"two SKUs": func(s *shop) (func() bool, func() bool) { return hold(s, "A", "main", "r"), hold(s, "B", "main", "r") },
			"two locations": func(s *shop) (func() bool, func() bool) {
				return hold(s, "A", "main", "r"), hold(s, "A", "east", "r")
			},
			"two reservations": func(s *shop) (func() bool, func() bool) {
				return hold(s, "A", "main", "r"), hold(s, "A", "main", "q")
			},
		},
	}
	for _, kind := range timerKinds(t) {
		if len(twice[kind]) == 0 {
			t.Errorf("%s: no test makes two timers of this kind", kind)
		}
	}
	for kind, cases := range twice {
		for name, set := range cases {
			s := open(t, memory.New(), policy)
			first, second := set(s)
			for _, timer := range timersOf(t, s) {
				if err := FireTimer(t.Context(), s, timer, deadline); err != nil {
					t.Errorf("%s, %s: %s: %v", kind, name, timer.Deadline, err)
				}
			}
			if !first() || !second() {
				t.Errorf("%s, %s: the first fired: %t, the second: %t", kind, name, first(), second())
			}
			if left := timersOf(t, s); len(left) != 0 {
				t.Errorf("%s, %s: what has ended still has timers: %v", kind, name, left)
			}
		}
	}
}

// timersOf returns the timers that the reactor keeps after it has read the whole log.
func timersOf(t *testing.T, s *shop) (timers []Timer) {
	t.Helper()
	tracker := newTracker(eventstore.Start, commands.DefaultPolicy().CartsExpireAfter)
	for event, err := range s.Log.ReadAll(t.Context(), eventstore.Start, reactorFilter, 0) {
		if err != nil {
			t.Fatal(err)
		}
		tracker.observe(eventstore.Item{Event: &event, Checkpoint: event.Position})
	}
	timers, _ = tracker.timers.due(time.Now())
	return timers
}
