package reactor

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"slices"
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/commands/payments"
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
	refund := func(s *shop, id unit.OrderID, payments ...string) func() bool {
		place(s, "A", id)
		var paid []order.Command
		for _, reference := range payments {
			amount := s.OrderState(id).Owed()
			paid = append(paid, order.RecordTransaction{TransactionID: unit.TransactionID(reference), Type: order.Capture, State: order.Succeeded, Amount: amount, Provider: "bank", Reference: reference})
		}
		if _, err := s.Order(t.Context(), shoptest.NewCall(), id, append(paid, order.Cancel{})...); err != nil {
			t.Fatal(err)
		}
		for _, part := range s.OrderState(id).Refunds[0].Parts {
			if err := s.FinishRefund(t.Context(), shoptest.NewCall().Meta, id, part.ID); err != nil {
				t.Fatal(err)
			}
		}
		return func() bool {
			return !slices.ContainsFunc(s.OrderState(id).Refunds[0].Parts, func(p order.Part) bool { return p.State != order.RefundSucceeded })
		}
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
		"RefundDeadline": {
			"two orders": func(s *shop) (func() bool, func() bool) { return refund(s, "o1", "p"), refund(s, "o2", "p") },
			"two parts":  func(s *shop) (func() bool, func() bool) { both := refund(s, "o1", "p", "q"); return both, both },
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
			s.Payments = withBank(t, lateBank{})
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

// lateBank is a provider that gives money back later, and says so only if it is asked.
type lateBank struct{ payments.Manual }

func (lateBank) LookUp(_ context.Context, i payments.Instruction) payments.Outcome {
	return payments.Outcome{State: payments.Succeeded, Reference: "refund of " + i.Payment}
}

// withBank are providers with one whose name is bank.
func withBank(t *testing.T, bank payments.Provider) payments.Providers {
	t.Helper()
	all, err := payments.NewProviders(map[string]payments.Provider{"bank": bank})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A refund whose end nobody knows after a day is parked, so that somebody looks at it. When its end
// is recorded, it is finished.
func TestARefundWithoutAnAnswerRaisesAnAlarm(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Payments = withBank(t, payments.Manual{})
	s.Sell("A", 5)
	s.Must(s.FillCart("c1", map[unit.SKU]unit.Quantity{"A": 1}))
	s.Must(s.PlaceOrder("c1", "o1"))
	paid := order.RecordTransaction{TransactionID: "p", Type: order.Capture, State: order.Succeeded, Amount: s.OrderState("o1").Owed(), Provider: "bank", Reference: "p"}
	_, err := s.Order(t.Context(), shoptest.NewCall(), "o1", paid, order.Cancel{})
	s.Must(err)
	part := s.OrderState("o1").Refunds[0].Parts[0]
	s.Must(s.FinishRefund(t.Context(), shoptest.NewCall().Meta, "o1", part.ID))
	timer := Timer{}
	for _, set := range timersOf(t, s) {
		if set.Kind == RefundDeadline {
			timer = set
		}
	}
	if day := timer.DueAt.Sub(s.LastEvent(order.Stream("o1")).RecordedAt); day < 23*time.Hour || day > 25*time.Hour {
		t.Fatalf("the timer %+v is due after %s, want a day", timer, day)
	}
	clockwork := NewClockwork(nil, s, slog.New(slog.DiscardHandler))
	timer.Failures = triesFailed - 1
	err = clockwork.fire(t.Context(), timer, timer.DueAt)
	gaveUp, is := errors.AsType[*GiveUpError](err)
	overdue, said := errors.AsType[*commands.RefundOverdueError](err)
	if !is || !said || overdue.PartID != part.ID || overdue.Provider != "bank" {
		t.Fatalf("a day later: %v, want it parked as overdue", err)
	}
	if work := gaveUp.Work; work.Stream != order.Stream("o1") || work.timer().Deadline != timer.Deadline {
		t.Errorf("what is parked is %+v", work)
	}
	settled := order.SettleRefund{RefundID: s.OrderState("o1").Refunds[0].ID, PartID: part.ID, Attempt: 1, State: order.RefundSucceeded}
	_, err = s.Order(t.Context(), shoptest.NewCall(), "o1", settled)
	s.Must(err)
	if err := clockwork.fire(t.Context(), gaveUp.Work.timer(), timer.DueAt); err != nil {
		t.Errorf("after its end was recorded: %v", err)
	}
}
