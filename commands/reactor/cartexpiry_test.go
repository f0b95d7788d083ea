package reactor

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/cart"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// cartsOfAllPhases fills a shop with a cart in each phase, and returns the ids of
// those that expire.
func cartsOfAllPhases(s *shop) (expiring []unit.CartID) {
	s.T.Helper()
	s.Sell("MUG", 10)
	for _, id := range []unit.CartID{"open", "refused", "short", "completing", "ordered", "abandoned", "merged", "declined"} {
		if err := s.FillCart(id, map[unit.SKU]unit.Quantity{"MUG": 1}); err != nil {
			s.T.Fatal(err)
		}
	}
	for _, id := range []unit.CartID{"refused", "short"} {
		if _, err := s.Cart(s.T.Context(), shoptest.NewCall(), id, cart.ChangeQuantity{Line: 1, Quantity: 99}); err != nil {
			s.T.Fatal(err)
		}
	}
	s.BeginAsBefore("short", "short") // the refusal is an event of its own
	s.Must(s.FinishCheckout(s.T.Context(), "short", "short"))
	for _, id := range []unit.CartID{"refused", "ordered"} {
		if result, err := s.Checkout(s.T.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: id, OrderID: unit.OrderID(id)}); err != nil || result.Placed != (id == "ordered") {
			s.T.Fatalf("checkout of %s: placed %t, %v", id, result.Placed, err)
		}
	}
	if _, err := s.Cart(s.T.Context(), shoptest.NewCall(), "abandoned", cart.Abandon{}); err != nil {
		s.T.Fatal(err)
	}
	s.BeginAsBefore("completing", "later")
	s.Must(s.MergeInto("open", "merged"))
	begun, _, err := cart.Encode(cart.MergedInto{Target: "abandoned", Attempt: 1})
	shoptest.AppendRaw(s.T, s.Log, cart.Stream("declined"), begun, `{"into":"abandoned","attempt":1}`, err)
	s.Must(s.FinishMerge(s.T.Context(), shoptest.NewCall().Meta, "declined"))
	return []unit.CartID{"declined", "open", "refused", "short"}
}

func TestACartExpiresWhenNobodyChangedItForAsLongAsTheShopAllows(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	after := commands.DefaultPolicy().CartsExpireAfter
	want := cartsOfAllPhases(s)
	var timed []unit.CartID
	for _, timer := range timersOf(t, s) {
		if timer.Kind == CartDeadline {
			timed = append(timed, unit.CartID(timer.Target))
		}
	}
	slices.Sort(timed)
	if !slices.Equal(timed, want) {
		t.Errorf("carts with a timer: %v, want %v", timed, want)
	}

	// If a timer fires too early, it is postponed to the deadline that the last change has set.
	first := s.LastEvent(cart.Stream("open"))
	if _, err := s.Cart(t.Context(), shoptest.NewCall(), "open", cart.ChangeQuantity{Line: 1, Quantity: 2}); err != nil {
		t.Fatal(err)
	}
	last := s.LastEvent(cart.Stream("open"))
	timer := Timer{Deadline: cartDeadline("open"), DueAt: first.RecordedAt.Add(after)}
	err := FireTimer(t.Context(), s, timer, last.RecordedAt.Add(after-time.Nanosecond))
	if postponed, is := errors.AsType[*PostponedError](err); !is || !postponed.Until.Equal(last.RecordedAt.Add(after)) {
		t.Errorf("fired before its time: %v, want it postponed to %s", err, last.RecordedAt.Add(after))
	}
	if got := s.CartState("open").Phase; got != cart.PhaseOpen {
		t.Errorf("the cart is %s before its time", got)
	}

	// If a timer fires in time, it ends the cart if the cart is open, and otherwise changes
	// nothing.
	for _, id := range []unit.CartID{"open", "refused", "completing", "ordered", "abandoned", "never-was"} {
		before := s.CartState(id).Phase
		for range 2 {
			if err := FireTimer(t.Context(), s, Timer{Deadline: cartDeadline(id)}, time.Now().Add(after)); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		expected := before
		if slices.Contains(want, id) {
			expected = cart.PhaseExpired
		}
		if got := s.CartState(id).Phase; got != expected {
			t.Errorf("%s is %q, want %q", id, got, expected)
		}
	}
}

// returning is a store in which a customer changes the cart after it was read and before it is
// ended.
type returning struct {
	eventstore.Store
	change func()
}

func (r *returning) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if change := r.change; change != nil && events[0].Type == "cart.expired.v1" {
		r.change = nil
		change()
	}
	return r.Store.Append(ctx, stream, expected, events)
}

func TestACustomerWhoComesBackAtTheLastMomentKeepsTheCart(t *testing.T) {
	t.Parallel()
	log := memory.New()
	s, other := open(t, log, commands.DefaultPolicy()), &returning{Store: log}
	s.Sell("MUG", 10)
	if err := s.FillCart("c", map[unit.SKU]unit.Quantity{"MUG": 1}); err != nil {
		t.Fatal(err)
	}
	due := s.LastEvent(cart.Stream("c")).RecordedAt.Add(commands.DefaultPolicy().CartsExpireAfter)
	other.change = func() {
		if _, err := s.Cart(t.Context(), shoptest.NewCall(), "c", cart.ChangeQuantity{Line: 1, Quantity: 2}); err != nil {
			t.Error(err)
		}
	}
	err := FireTimer(t.Context(), open(t, other, commands.DefaultPolicy()), Timer{Deadline: cartDeadline("c"), DueAt: due}, due)
	if _, postponed := errors.AsType[*PostponedError](err); !postponed {
		t.Errorf("firing: %v, want it postponed", err)
	}
	if got := s.CartState("c").Phase; got != cart.PhaseOpen {
		t.Errorf("the cart is %s", got)
	}
}

func TestCartsNeverExpireWhereTheShopSaysSo(t *testing.T) {
	t.Parallel()
	never := commands.DefaultPolicy()
	never.CartsExpireAfter = 0
	s := open(t, memory.New(), never)
	cartsOfAllPhases(s)
	// The timer was set when carts still expired. Since then the shop has changed the setting.
	if err := FireTimer(t.Context(), s, Timer{Deadline: cartDeadline("open")}, time.Now().Add(1000*time.Hour)); err != nil {
		t.Error(err)
	}
	if got := s.CartState("open").Phase; got != cart.PhaseOpen {
		t.Errorf("the cart is %s", got)
	}
	if book := adopted(t, s, &logbook{timers: map[Deadline]Timer{}}, 0); len(cartsOf(book)) != 0 {
		t.Errorf("timers: %v", book.timers)
	}
}

// The open carts get timers once in two cases: if an older program wrote the log, and if the
// shop has changed its rule.
func TestOpenCartsFollowTheRuleThatHoldsNow(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	want := cartsOfAllPhases(s)
	head, err := s.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The whole log was read before carts had timers.
	book := &logbook{at: head, timers: map[Deadline]Timer{}}
	for i, after := range []time.Duration{time.Hour, time.Hour, 2 * time.Hour, 0, 3 * time.Hour} {
		adopted(t, s, book, after)
		if kept := []int{1, 1, 2, 3, 4}[i]; book.cartsKnown != kept {
			t.Errorf("after %s: the rule was kept %d times, want %d", after, book.cartsKnown, kept)
		}
		if after == 0 {
			continue
		}
		if got := cartsOf(book); !slices.Equal(got, want) {
			t.Errorf("after %s: timers of %v, want %v", after, got, want)
		}
		timer := book.timers[cartDeadline("refused")]
		if due := s.LastEvent(cart.Stream("refused")).RecordedAt.Add(after); !timer.DueAt.Equal(due) {
			t.Errorf("after %s: due at %s, want %s", after, timer.DueAt, due)
		}
	}
}

// adopted runs adoptCarts, as a reactor that begins to lead does.
func adopted(t *testing.T, s *shop, book *logbook, after time.Duration) *logbook {
	t.Helper()
	reactor := &Reactor{Store: s.Log, Journal: book, Logger: slog.New(slog.DiscardHandler), CartsExpireAfter: after}
	if err := reactor.adoptCarts(t.Context(), book.at); err != nil {
		t.Fatal(err)
	}
	return book
}

func cartsOf(book *logbook) (ids []unit.CartID) {
	for deadline := range maps.Keys(book.timers) {
		if deadline.Kind == CartDeadline {
			ids = append(ids, unit.CartID(deadline.Target))
		}
	}
	slices.Sort(ids)
	return ids
}
