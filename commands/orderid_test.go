package commands_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

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

// isOpen checks that a cart is as it was before its checkout: open, with its lines.
func (s *shop) isOpen(id unit.CartID) {
	s.T.Helper()
	if now := s.CartState(id); now.Phase != cart.PhaseOpen || len(now.Lines) != 1 {
		s.T.Errorf("cart %s is %q with the lines %v, want it open with its line", id, now.Phase, now.Lines)
	}
}

func TestAnOrderIDBelongsToOneCartForEver(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(s *shop, id unit.CartID){
		"placed": func(s *shop, id unit.CartID) {
			if err := s.PlaceOrder(id, "dup"); err != nil {
				s.T.Fatal(err)
			}
		},
		"refused": func(s *shop, id unit.CartID) {
			if err := s.FillCart("greedy", map[unit.SKU]unit.Quantity{"MUG": 100}); err != nil {
				s.T.Fatal(err)
			}
			if err := s.PlaceOrder("greedy", "dup"); !errors.Is(err, stock.ErrInsufficient) {
				s.T.Fatalf("want it refused: %v", err)
			}
		},
		"expired": func(s *shop, id unit.CartID) {
			if err := s.PlaceOrder(id, "dup"); err != nil {
				s.T.Fatal(err)
			}
			late := time.Now().Add(2 * time.Hour)
			if err := s.ExpireOrder(s.T.Context(), shoptest.NewCall().Meta, "dup", late); err != nil {
				s.T.Fatal(err)
			}
		},
		"canceled": func(s *shop, id unit.CartID) {
			if err := s.PlaceOrder(id, "dup"); err != nil {
				s.T.Fatal(err)
			}
			if _, err := s.Order(s.T.Context(), shoptest.NewCall(), "dup", order.Cancel{Reason: "no"}); err != nil {
				s.T.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, memory.New(), commands.DefaultPolicy())
			s.Sell("MUG", 10)
			for _, id := range []unit.CartID{"a1", "a2"} {
				if err := s.FillCart(id, map[unit.SKU]unit.Quantity{"MUG": 1}); err != nil {
					t.Fatal(err)
				}
			}
			first(s, "a1")
			left, events := s.Available("MUG"), s.events(cart.Stream("a2"))
			if err := s.PlaceOrder("a2", "dup"); !errors.Is(err, order.ErrIDTaken) {
				t.Errorf("another cart's checkout under it: %v, want %v", err, order.ErrIDTaken)
			}
			s.isOpen("a2")
			if now := s.Available("MUG"); now != left {
				t.Errorf("%d available, before it was %d", now, left)
			}
			if now := s.events(cart.Stream("a2")); now != events {
				t.Errorf("the cart has %d events, before it was asked it had %d", now, events)
			}
			if err := s.PlaceOrder("a2", "another"); err != nil {
				t.Errorf("under another id: %v", err)
			}
			s.Audit()
		})
	}
}

func (s *shop) events(stream string) (n int) {
	s.T.Helper()
	for _, err := range s.Log.ReadStream(s.T.Context(), stream, 0, 0) {
		if err != nil {
			s.T.Fatal(err)
		}
		n++
	}
	return n
}

func TestCartsCheckedOutAtOnceUnderOneOrderIDAreOneOrder(t *testing.T) {
	t.Parallel()
	for round := range 60 {
		log := memory.New()
		ways := []func(eventstore.Store) eventstore.Store{asItIs, stepwise} // in which checkouts are recorded
		nodes := []*shop{open(t, ways[round/2%2](log), commands.DefaultPolicy()), open(t, ways[round/4%2](log), commands.DefaultPolicy())}
		s := nodes[0]
		s.Sell("MUG", 10)
		carts := []unit.CartID{"a1", "a2", "a3"}
		for _, id := range carts {
			if err := s.FillCart(id, map[unit.SKU]unit.Quantity{"MUG": 1}); err != nil {
				t.Fatal(err)
			}
		}
		errs := make([]error, len(carts))
		var wait sync.WaitGroup
		for i, id := range carts {
			wait.Go(func() { errs[i] = nodes[(i+round)%2].PlaceOrder(id, "dup") })
		}
		wait.Wait()
		placed := 0
		for i, id := range carts {
			switch {
			case errs[i] == nil:
				placed++
				if owner := s.OrderState("dup").CartID; owner != id {
					t.Errorf("cart %s was checked out, the order is of %s", id, owner)
				}
			case errors.Is(errs[i], order.ErrIDTaken):
				s.isOpen(id)
			default:
				t.Errorf("cart %s: %v", id, errs[i])
			}
		}
		if placed != 1 || s.Available("MUG") != 9 {
			t.Fatalf("%d orders, %d of 10 available: %v", placed, s.Available("MUG"), errs)
		}
		recoverFrom(t, s)
		s.Audit()
	}
}

func TestAnOrderIDThatIsTakenIsFoundWhereverADriverDies(t *testing.T) {
	t.Parallel()
	for appends := range 12 {
		t.Run(fmt.Sprint("after append ", appends), func(t *testing.T) {
			t.Parallel()
			log := memory.New()
			s := open(t, log, commands.DefaultPolicy())
			s.Sell("MUG", 10)
			for _, id := range []unit.CartID{"a1", "a2"} {
				if err := s.FillCart(id, map[unit.SKU]unit.Quantity{"MUG": 1}); err != nil {
					t.Fatal(err)
				}
			}
			dying := &shoptest.Mortal{Store: log, Left: appends}
			first := open(t, dying, commands.DefaultPolicy())
			_ = first.PlaceOrder("a1", "dup")
			dying.LiveOn(appends)
			_ = first.PlaceOrder("a2", "dup")
			after := open(t, log, commands.DefaultPolicy())
			second := after.PlaceOrder("a2", "dup")
			recoverFrom(t, after)
			owner := after.OrderState("dup").CartID
			if (second == nil) != (owner == "a2") {
				t.Errorf("the order belongs to cart %s, and the answer for cart a2 was %v", owner, second)
			}
			if second != nil && !errors.Is(second, order.ErrIDTaken) && !errors.Is(second, checkout.ErrOrderIDSpent) {
				t.Errorf("the answer for cart a2 was %v", second)
			}
			if got := after.Available("MUG"); owner != "" && got != 9 {
				t.Errorf("%d available, want 9", got)
			}
			after.Audit()
		})
	}
}

func TestAnIDThatIsOnlyClaimedIsNoOrder(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("MUG", 1)
	if err := s.FillCart("a1", map[unit.SKU]unit.Quantity{"MUG": 2}); err != nil {
		t.Fatal(err)
	}
	if err := s.PlaceOrder("a1", "dup"); !errors.Is(err, stock.ErrInsufficient) {
		t.Fatal(err)
	}
	if got := s.events(order.Stream("dup")); got != 1 {
		t.Errorf("the order's stream has %d events, want the claim", got)
	}
	for _, command := range []order.Command{order.Confirm{Now: time.Now()}, order.Cancel{}, order.RetryAllocation{}, order.Archive{}} {
		if _, err := s.Order(t.Context(), shoptest.NewCall(), "dup", command); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("%T: %v, want %v", command, err, order.ErrNotFound)
		}
	}
	s.Audit()
}

func TestCheckoutsThatAnOlderProgramBeganEnd(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("MUG", 10)
	s.Sell("TRAY", 10)
	// The reservations of a1 and a2 have the same id.
	lines := map[unit.CartID]unit.SKU{"a1": "MUG", "a2": "MUG", "a3": "TRAY"}
	for id, sku := range lines {
		if err := s.FillCart(id, map[unit.SKU]unit.Quantity{sku: 1}); err != nil {
			t.Fatal(err)
		}
		s.BeginAsBefore(id, "dup")
	}
	if err := s.FillCart("b", map[unit.SKU]unit.Quantity{"TRAY": 2}); err != nil {
		t.Fatal(err)
	}
	s.BeginAsBefore("b", "own")
	recoverFrom(t, s)
	owner := s.OrderState("dup").CartID
	for id := range lines {
		if id != owner {
			s.isOpen(id)
		}
	}
	if own := s.OrderState("own"); own.CartID != "b" || own.Holdings[0].ReservationID != stock.ReservationIDFor("own", "TRAY", "main") {
		t.Errorf("the other checkout ended as %+v", own)
	}
	if mugs, trays := s.Available("MUG"), s.Available("TRAY"); mugs+trays != 17 {
		t.Errorf("%d mugs and %d trays are available, want all but the three units of two orders", mugs, trays)
	}
	s.Audit()
}
