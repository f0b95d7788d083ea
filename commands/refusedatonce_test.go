package commands_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/cart"
	"daybook/domain/checkout"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// appends counts the events of each append. It calls before first.
type appends struct {
	eventstore.Store
	before func(stream string)

	mu     sync.Mutex
	events map[string][]int // the number of events of each append, by stream
}

func (a *appends) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if a.before != nil {
		a.before(stream)
	}
	result, err := a.Store.Append(ctx, stream, expected, events)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.events == nil {
		a.events = map[string][]int{}
	}
	if err == nil {
		a.events[stream] = append(a.events[stream], len(events))
	}
	return result, err
}

// beforeFirst calls do before the first append to a stream.
func (a *appends) beforeFirst(to string, do func()) {
	var once sync.Once
	a.before = func(stream string) {
		if stream == to {
			once.Do(do)
		}
	}
}

// doomed is a shop with a cart of 3 MANY and 1 NONE, which the node knows to be sold out.
func doomed(t *testing.T, store eventstore.Store) *shop {
	t.Helper()
	s := open(t, store, commands.DefaultPolicy())
	s.Sell("MANY", 10)
	s.Sell("NONE", 1)
	buy(t, s, "first", "o-first", map[unit.SKU]unit.Quantity{"NONE": 1})
	if err := s.FillCart("c1", map[unit.SKU]unit.Quantity{"MANY": 3, "NONE": 1}); err != nil {
		t.Fatal(err)
	}
	return s
}

func buy(t *testing.T, s *shop, id unit.CartID, orderID unit.OrderID, lines map[unit.SKU]unit.Quantity) {
	t.Helper()
	if err := s.FillCart(id, lines); err != nil {
		t.Fatal(err)
	}
	if result, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: id, OrderID: orderID}); err != nil || !result.Placed {
		t.Fatalf("checkout of %s: %+v, %v", id, result, err)
	}
}

func TestACheckoutThatCannotSucceedReservesNothingMeanwhile(t *testing.T) {
	t.Parallel()
	log := &appends{Store: memory.New()}
	s := doomed(t, log)
	log.events = nil
	asked := shoptest.NewCall()
	// The second time it is the same call again.
	for i, want := range []error{stock.ErrInsufficient, checkout.ErrOrderIDSpent} {
		result, err := s.Checkout(t.Context(), asked, commands.CheckoutRequest{CartID: "c1", OrderID: "o1"})
		if err != nil || result.Placed || !errors.Is(result.Refusal(), want) {
			t.Fatalf("try %d: %+v, %v; want %v", i, result, err, want)
		}
		if s := result.Shortages; len(s) != 1 || s[0].SKU != "NONE" || s[0].Requested != 1 || s[0].Available != 0 {
			t.Errorf("try %d: shortages %+v", i, s)
		}
	}
	if got := log.events[cart.Stream("c1")]; len(got) != 1 || got[0] != 1 {
		t.Errorf("appends to the cart have %v events, want one event with its start and its end", got)
	}
	if got := log.events[order.Stream("o1")]; len(got) != 1 || got[0] != 1 {
		t.Errorf("appends to the order have %v events, want one with its claim", got)
	}
	if len(log.events) != 2 {
		t.Errorf("there are appends to %v, want only the cart and the order", log.events)
	}
	if _, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "first", OrderID: "o1"}); err == nil {
		t.Error("another cart took the order id of a refused checkout")
	}
	s.Receive("NONE", 1)
	if result, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c1", OrderID: "o2"}); err != nil || !result.Placed {
		t.Errorf("a second checkout, with stock: %+v, %v", result, err)
	}
	s.Audit()
}

// The node may remember an old state of stock. It must not refuse a checkout because of that.
func TestStockThatAnotherNodeTookInIsSold(t *testing.T) {
	t.Parallel()
	log := memory.New()
	s := doomed(t, log)
	open(t, log, commands.DefaultPolicy()).Receive("NONE", 1)
	if result, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c1", OrderID: "o1"}); err != nil || !result.Placed {
		t.Errorf("checkout: %+v, %v; want it placed", result, err)
	}
	s.Audit()
}

// The cart may change between the look at its stock and the append: a line that was short
// may be gone. The refusal does not hold for that cart.
func TestACartThatChangedMeanwhileIsDecidedAgain(t *testing.T) {
	t.Parallel()
	log := &appends{Store: memory.New()}
	s := doomed(t, log)
	other := open(t, log.Store, commands.DefaultPolicy())
	log.beforeFirst(order.Stream("o1"), func() {
		var short int
		if err := other.ViewCart(t.Context(), "c1", func(state cart.State, _ int64) {
			for _, l := range state.Lines {
				if l.SKU == "NONE" {
					short = l.Number
				}
			}
		}); err != nil {
			t.Error(err)
		}
		if _, err := other.Cart(t.Context(), shoptest.NewCall(), "c1", cart.RemoveLine{Line: short}); err != nil {
			t.Error(err)
		}
	})
	result, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c1", OrderID: "o1"})
	if err != nil || !result.Placed {
		t.Errorf("checkout: %+v, %v; want the other line sold", result, err)
	}
	s.Audit()
}

// A checkout may leave only its claim, if the cart was abandoned after it. Then the order id
// belongs to the cart, no checkout has begun, and verify finds no fault.
func TestAClaimWithoutACheckoutIsNoFault(t *testing.T) {
	t.Parallel()
	log := &appends{Store: memory.New()}
	s := doomed(t, log)
	other := open(t, log.Store, commands.DefaultPolicy())
	log.beforeFirst(order.Stream("o1"), func() {
		if _, err := other.Cart(t.Context(), shoptest.NewCall(), "c1", cart.Abandon{Reason: "changed their mind"}); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c1", OrderID: "o1"}); !errors.Is(err, cart.ErrNotOpen) {
		t.Errorf("checkout: %v; want %v", err, cart.ErrNotOpen)
	}
	if got := log.events[order.Stream("o1")]; len(got) != 1 {
		t.Errorf("appends to the order: %v, want its claim", got)
	}
	s.Audit()
}

// An order id may become another cart's between the look at it and the claim.
func TestAnOrderIDTakenMeanwhileLeavesTheCartOpen(t *testing.T) {
	t.Parallel()
	log := &appends{Store: memory.New()}
	s := doomed(t, log)
	other := open(t, log.Store, commands.DefaultPolicy())
	log.beforeFirst(order.Stream("o1"), func() { buy(t, other, "c2", "o1", map[unit.SKU]unit.Quantity{"MANY": 1}) })
	if _, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c1", OrderID: "o1"}); !errors.Is(err, order.ErrIDTaken) {
		t.Errorf("checkout: %v; want %v", err, order.ErrIDTaken)
	}
	s.Receive("NONE", 1)
	if result, err := s.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c1", OrderID: "o2"}); err != nil || !result.Placed {
		t.Errorf("a second checkout: %+v, %v", result, err)
	}
	s.Audit()
}
