package commands_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/internal/shoptest"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore/memory"
)

// The time until a cart expires counts from the shop's last event. It does not matter how much
// another program has written after it.
func TestAnotherProgramsEventsKeepNoCartOpen(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("MUG", 10)
	for _, written := range []int{1, 2, commands.LastEvents, 2*commands.LastEvents + 1} {
		id := unit.CartID(fmt.Sprint("c", written))
		s.Must(s.FillCart(id, map[unit.SKU]unit.Quantity{"MUG": 1}))
		due := s.LastEvent(cart.Stream(id)).RecordedAt.Add(commands.DefaultPolicy().CartsExpireAfter)
		for range written {
			shoptest.AppendForeign(t, s.Log, cart.Stream(id), uuid.New(), cart.Encode, cart.Event(cart.QuantityChanged{Line: 1, Quantity: 5}))
		}
		if postponed, err := s.ExpireCart(t.Context(), shoptest.NewCall().Meta, id, due); err != nil || !postponed.IsZero() {
			t.Errorf("after %d events of another program: %v, postponed to %s", written, err, postponed)
		}
		if got := s.CartState(id).Phase; got != cart.PhaseExpired {
			t.Errorf("after %d events of another program the cart is %s", written, got)
		}
	}
	shoptest.AppendForeign(t, s.Log, cart.Stream("x"), uuid.New(), cart.Encode, cart.Event(cart.Opened{CartID: "x"}))
	if postponed, err := s.ExpireCart(t.Context(), shoptest.NewCall().Meta, "x", time.Now().Add(commands.DefaultPolicy().CartsExpireAfter)); err != nil || !postponed.IsZero() {
		t.Errorf("a cart that never was: %v, postponed to %s", err, postponed)
	}
}

// A reader of a stream skips the events that another program wrote in it.
func TestReadersOfAStreamSkipForeignEvents(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("MUG", 10)
	s.Must(s.FillCart("c", map[unit.SKU]unit.Quantity{"MUG": 3}))
	s.BeginAsBefore("c", "o")
	command := uuid.New()
	shoptest.AppendForeign(t, s.Log, cart.Stream("c"), command, cart.Encode, cart.Event(cart.CheckedOut{OrderID: "o"}))
	shoptest.AppendForeign(t, s.Log, cart.Stream("c"), command, cart.Encode, cart.Event(cart.CheckoutStarted{OrderID: "theirs"}))
	if past, err := s.Outcomes(t.Context(), "c"); err != nil || len(past) != 1 || past["o"] != nil {
		t.Errorf("the cart's checkouts are %+v, %v; want the shop's, without an outcome", past, err)
	}
	shoptest.AppendForeign(t, s.Log, order.Stream("o"), command, order.Encode, order.Event(order.AllocationFailed{Shortages: []cart.Shortage{{SKU: "MUG"}}}))
	if shortages, err := s.LastShortages(t.Context(), "o"); err != nil || len(shortages) > 0 {
		t.Errorf("shortages %v, %v; want none", shortages, err)
	}
}

// A client's If-Match fits as long as the shop itself has changed nothing. A change by the shop is
// noticed even if another program has written events after it.
func TestEventsOfAnotherProgramDoNotFailIfMatch(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	s.Sell("MUG", 10)
	at := stock.Stream("MUG", unit.DefaultLocation)
	receive := func(by *commands.Service, revision int64) (aggregate.Result[stock.Event], error) {
		ask := shoptest.NewCall()
		ask.If = aggregate.AtRevision(revision)
		return by.MoveStock(t.Context(), ask, shoptest.Key("MUG"), stock.Receive{At: by.At(shoptest.Key("MUG")), Quantity: 1})
	}
	for name, by := range map[string]func() *commands.Service{
		"a node that knew the stream": func() *commands.Service { return s.Service },
		"another node":                func() *commands.Service { return open(t, s.Log, commands.DefaultPolicy()).Service },
	} {
		node := by()
		var before int64
		s.Must(node.ViewStock(t.Context(), shoptest.Key("MUG"), func(_ stock.State, revision int64) { before = revision }))
		shoptest.AppendForeign(t, s.Log, at, uuid.New(), stock.Encode, stock.Event(stock.Received{Key: shoptest.Key("MUG"), Quantity: 500}))
		shoptest.AppendForeign(t, s.Log, at, uuid.New(), stock.Encode, stock.Event(stock.Received{Key: shoptest.Key("MUG"), Quantity: 500}))
		if nothing, err := node.MoveStock(t.Context(), shoptest.NewCall(), shoptest.Key("MUG"), stock.ExpireDue{At: node.At(shoptest.Key("MUG"))}); err != nil || nothing.Revision != before {
			t.Errorf("%s: a command that changes nothing is answered with revision %d (%v), want %d", name, nothing.Revision, err, before)
		}
		answer, err := receive(node, before)
		if err != nil || answer.Revision != before+3 {
			t.Errorf("%s: revision %d, %v; want it recorded at %d", name, answer.Revision, err, before+3)
		}
		for _, old := range []int64{before, before + 2} {
			_, err = receive(node, old)
			if stale, is := errors.AsType[*aggregate.StaleError](err); !is || stale.Actual != before+3 {
				t.Errorf("%s: at revision %d, after the shop's next event: %v; want it refused as stale", name, old, err)
			}
		}
	}
	if got := s.Available("MUG"); got != 12 {
		t.Errorf("%d mugs are available, want 12", got)
	}
}
