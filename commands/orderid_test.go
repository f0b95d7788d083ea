package commands

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/checkout"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

func (s *shop) cartState(id unit.CartID) (state cart.State) {
	s.t.Helper()
	if err := s.carts.View(s.t.Context(), cart.Stream(id), func(now cart.State, _ int64) { state = now }); err != nil {
		s.t.Fatal(err)
	}
	return state
}

// checkout checks a cart out under an order id, and returns why not.
func (s *shop) checkout(id unit.CartID, orderID unit.OrderID) error {
	result, err := s.Checkout(s.t.Context(), call(), CheckoutRequest{CartID: id, OrderID: orderID, HoldUntil: time.Now().Add(time.Hour)})
	return errors.Join(err, result.Refusal())
}

// isOpen wants a cart as it was before its checkout: open, with its lines.
func (s *shop) isOpen(id unit.CartID) {
	s.t.Helper()
	if now := s.cartState(id); now.Phase != cart.IsOpen || len(now.Lines) != 1 {
		s.t.Errorf("cart %s is %q with the lines %v, want it open with its line", id, now.Phase, now.Lines)
	}
}

func TestAnOrderIDIsOneCartsWhateverBecameOfIt(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(s *shop, id unit.CartID){
		"placed": func(s *shop, id unit.CartID) {
			if err := s.checkout(id, "dup"); err != nil {
				s.t.Fatal(err)
			}
		},
		"refused": func(s *shop, id unit.CartID) {
			if err := s.cart("greedy", map[unit.SKU]unit.Quantity{"MUG": 100}); err != nil {
				s.t.Fatal(err)
			}
			if err := s.checkout("greedy", "dup"); !errors.Is(err, stock.ErrInsufficient) {
				s.t.Fatalf("want it refused: %v", err)
			}
		},
		"expired": func(s *shop, id unit.CartID) {
			if err := s.checkout(id, "dup"); err != nil {
				s.t.Fatal(err)
			}
			late := time.Now().Add(2 * time.Hour)
			if err := FireTimer(s.t.Context(), s, Timer{Deadline: orderDeadline("dup"), DueAt: late}, late); err != nil {
				s.t.Fatal(err)
			}
		},
		"canceled": func(s *shop, id unit.CartID) {
			if err := s.checkout(id, "dup"); err != nil {
				s.t.Fatal(err)
			}
			if _, err := s.Order(s.t.Context(), call(), "dup", order.Cancel{Reason: "no"}); err != nil {
				s.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, memory.New(), DefaultPolicy())
			s.sell("MUG", 10)
			for _, id := range []unit.CartID{"a1", "a2"} {
				if err := s.cart(id, map[unit.SKU]unit.Quantity{"MUG": 1}); err != nil {
					t.Fatal(err)
				}
			}
			first(s, "a1")
			left, events := s.available("MUG"), s.events(cart.Stream("a2"))
			if err := s.checkout("a2", "dup"); !errors.Is(err, order.ErrIDTaken) {
				t.Errorf("another cart's checkout under it: %v, want %v", err, order.ErrIDTaken)
			}
			s.isOpen("a2")
			if now := s.available("MUG"); now != left {
				t.Errorf("%d available, before it was %d", now, left)
			}
			if now := s.events(cart.Stream("a2")); now != events {
				t.Errorf("the cart has %d events, before it was asked it had %d", now, events)
			}
			if err := s.checkout("a2", "another"); err != nil {
				t.Errorf("under another id: %v", err)
			}
			s.audit()
		})
	}
}

func (s *shop) events(stream string) (n int) {
	s.t.Helper()
	for _, err := range s.store.ReadStream(s.t.Context(), stream, 0, 0) {
		if err != nil {
			s.t.Fatal(err)
		}
		n++
	}
	return n
}

func TestCartsCheckedOutAtOnceUnderOneOrderIDAreOneOrder(t *testing.T) {
	t.Parallel()
	for round := range 60 {
		log := memory.New()
		nodes := []*shop{open(t, log, DefaultPolicy()), open(t, log, DefaultPolicy())}
		s := nodes[0]
		s.sell("MUG", 10)
		carts := []unit.CartID{"a1", "a2", "a3"}
		for _, id := range carts {
			if err := s.cart(id, map[unit.SKU]unit.Quantity{"MUG": 1}); err != nil {
				t.Fatal(err)
			}
		}
		errs := make([]error, len(carts))
		var wait sync.WaitGroup
		for i, id := range carts {
			wait.Go(func() { errs[i] = nodes[(i+round)%2].checkout(id, "dup") })
		}
		wait.Wait()
		placed := 0
		for i, id := range carts {
			switch {
			case errs[i] == nil:
				placed++
				if owner := s.order("dup").CartID; owner != id {
					t.Errorf("cart %s was checked out, the order is of %s", id, owner)
				}
			case errors.Is(errs[i], order.ErrIDTaken):
				s.isOpen(id)
			default:
				t.Errorf("cart %s: %v", id, errs[i])
			}
		}
		if placed != 1 || s.available("MUG") != 9 {
			t.Fatalf("%d orders, %d of 10 available: %v", placed, s.available("MUG"), errs)
		}
		recoverFrom(t, s)
		s.audit()
	}
}

func TestAnOrderIDThatIsTakenIsFoundWhereverADriverDies(t *testing.T) {
	t.Parallel()
	for appends := range 12 {
		t.Run(fmt.Sprint("after append ", appends), func(t *testing.T) {
			t.Parallel()
			log := memory.New()
			s := open(t, log, DefaultPolicy())
			s.sell("MUG", 10)
			for _, id := range []unit.CartID{"a1", "a2"} {
				if err := s.cart(id, map[unit.SKU]unit.Quantity{"MUG": 1}); err != nil {
					t.Fatal(err)
				}
			}
			dying := &mortal{Store: log, left: appends}
			first := open(t, dying, DefaultPolicy())
			_ = first.checkout("a1", "dup")
			dying.mu.Lock()
			dying.left += appends
			dying.mu.Unlock()
			_ = first.checkout("a2", "dup")
			after := open(t, log, DefaultPolicy())
			second := after.checkout("a2", "dup")
			recoverFrom(t, after)
			owner := after.order("dup").CartID
			if (second == nil) != (owner == "a2") {
				t.Errorf("the order is of %s, cart a2 was told %v", owner, second)
			}
			if second != nil && !errors.Is(second, order.ErrIDTaken) && !errors.Is(second, checkout.ErrOrderIDSpent) {
				t.Errorf("cart a2 was told %v", second)
			}
			if got := after.available("MUG"); owner != "" && got != 9 {
				t.Errorf("%d available, want 9", got)
			}
			after.audit()
		})
	}
}

func TestAnIDThatIsOnlyClaimedIsNoOrder(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), DefaultPolicy())
	s.sell("MUG", 1)
	if err := s.cart("a1", map[unit.SKU]unit.Quantity{"MUG": 2}); err != nil {
		t.Fatal(err)
	}
	if err := s.checkout("a1", "dup"); !errors.Is(err, stock.ErrInsufficient) {
		t.Fatal(err)
	}
	if got := s.events(order.Stream("dup")); got != 1 {
		t.Errorf("the order's stream has %d events, want the claim", got)
	}
	for _, command := range []order.Command{order.Confirm{Now: time.Now()}, order.Cancel{}, order.RetryAllocation{}, order.Archive{}} {
		if _, err := s.Order(t.Context(), call(), "dup", command); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("%T: %v, want %v", command, err, order.ErrNotFound)
		}
	}
	s.audit()
}

// before makes the carts' checkouts as the programs before this one began them,
// and dies.
func (s *shop) beginAsBefore(id unit.CartID, orderID unit.OrderID) {
	s.t.Helper()
	var batch []eventstore.Event
	events, err := cart.Decide(cart.StartCheckout{OrderID: orderID, HoldUntil: time.Now().Add(time.Hour)}, s.cartState(id))
	if err != nil {
		s.t.Fatal(err)
	}
	started := events[0].(cart.CheckoutStarted)
	started.OrderIDFrom = ""
	typ, data, err := cart.Encode(started)
	if err != nil {
		s.t.Fatal(err)
	}
	meta, err := call().Meta.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	batch = append(batch, eventstore.Event{ID: aggregate.EventID(call().Meta.CommandID, 0), Type: typ, Data: data, Meta: meta})
	if _, err := s.store.Append(s.t.Context(), cart.Stream(id), eventstore.Any, batch); err != nil {
		s.t.Fatal(err)
	}
}

func TestCheckoutsThatAnOlderProgramBeganEnd(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), DefaultPolicy())
	s.sell("MUG", 10)
	s.sell("TRAY", 10)
	lines := map[unit.CartID]unit.SKU{"a1": "MUG", "a2": "MUG", "a3": "TRAY"} // the reservations of a1 and a2 have one id
	for id, sku := range lines {
		if err := s.cart(id, map[unit.SKU]unit.Quantity{sku: 1}); err != nil {
			t.Fatal(err)
		}
		s.beginAsBefore(id, "dup")
	}
	if err := s.cart("b", map[unit.SKU]unit.Quantity{"TRAY": 2}); err != nil {
		t.Fatal(err)
	}
	s.beginAsBefore("b", "own")
	recoverFrom(t, s)
	owner := s.order("dup").CartID
	for id := range lines {
		if id != owner {
			s.isOpen(id)
		}
	}
	if own := s.order("own"); own.CartID != "b" || own.Holdings[0].ReservationID != stock.ReservationIDFor("own", "TRAY", "main") {
		t.Errorf("the other checkout ended as %+v", own)
	}
	if mugs, trays := s.available("MUG"), s.available("TRAY"); mugs+trays != 17 {
		t.Errorf("%d mugs and %d trays are available, want all but the three units of two orders", mugs, trays)
	}
	s.audit()
}
