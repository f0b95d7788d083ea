package reactor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"daybook/domain/cart"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// An open cart expires some time after its last change. Its timer is set when the cart is
// opened, and again when a refused checkout or merge opens it again. The timer is not moved with
// each change, because most carts are checked out long before. When the timer is due, the cart's
// last change is read, and the timer is postponed if the change is too recent.

// cartTimers sets a timer when a cart opens, and clears it when the cart is no longer open.
type cartTimers struct {
	after time.Duration // 0: carts never expire
	set   func(Timer)
	clear func(Deadline)
}

func (t cartTimers) observe(event cart.Event, e eventstore.Recorded) {
	id := unit.CartID(strings.TrimPrefix(e.Stream, cart.Stream("")))
	switch event.(type) {
	case cart.Opened, cart.CheckoutRefused, cart.MergeRefused:
		if t.after > 0 {
			t.set(Timer{Deadline: cartDeadline(id), DueAt: e.RecordedAt.Add(t.after)})
		}
	case cart.CheckoutStarted, cart.CheckedOut, cart.Abandoned, cart.Expired, cart.MergedInto:
		t.clear(cartDeadline(id))
	case cart.LineAdded, cart.QuantityChanged, cart.LineRemoved, cart.CustomerChanged, cart.CountryChanged, cart.DetailsSet, cart.CouponAdded, cart.CouponRemoved, cart.ShippingChosen, cart.DiscountGiven, cart.DiscountWithdrawn, cart.TaxStatusSet, cart.MergedFrom, cart.MergeDeclined:
		// These change no timer. When the cart's timer is due, ExpireCart reads when the last
		// change was.
	}
}

// cartLifeFilter selects the events that open and end carts. MergedFrom ends the merge of
// another cart.
var cartLifeFilter = eventstore.Filter{TypePrefixes: []string{"cart.opened.", "cart.checkout", "cart.checked_out.", "cart.abandoned.", "cart.expired.", "cart.merge"}}

// adoptCarts sets the timers of all carts that are open at a position. This is needed if the
// timers in the database were set by another rule, because the shop has changed how long its
// carts stay, or if there are none, because an older program wrote the log. Old timers may
// remain; they do nothing when they are due.
func (r *Reactor) adoptCarts(ctx context.Context, upTo eventstore.Position) error {
	rule, known, err := r.Journal.CartExpiry(ctx)
	if err != nil || known && rule == r.CartsExpireAfter {
		return err
	}
	open := map[Deadline]Timer{}
	timers := cartTimers{
		after: r.CartsExpireAfter,
		set:   func(timer Timer) { open[timer.Deadline] = timer },
		clear: func(deadline Deadline) { delete(open, deadline) },
	}
	for recorded, err := range r.Store.ReadAll(ctx, eventstore.Start, cartLifeFilter, 0) {
		if err != nil {
			return fmt.Errorf("look for open carts: %w", err)
		}
		if upTo.Before(recorded.Position) || r.CartsExpireAfter <= 0 {
			break
		}
		if !strings.HasPrefix(recorded.Stream, cart.Stream("")) || !eventstore.IsText(recorded.Stream) {
			continue // an event of another program
		}
		event, err := eventstore.Decode(&recorded, cart.Decode)
		if eventstore.IsForeign(err) {
			continue
		}
		if err != nil {
			r.Logger.WarnContext(ctx, "a cart gets no timer", "stream", recorded.Stream, "revision", recorded.Revision, "error", err)
			continue
		}
		timers.observe(event, recorded)
	}
	set := make([]Timer, 0, len(open))
	for _, timer := range open {
		set = append(set, timer)
	}
	if err := r.Journal.KeepCartExpiry(ctx, r.CartsExpireAfter, set); err != nil {
		return err
	}
	r.Logger.InfoContext(ctx, "open carts have new timers, because the rule of their expiry has changed", "expire_after", r.CartsExpireAfter, "open", len(set))
	if r.TimersSet != nil {
		r.TimersSet()
	}
	return nil
}
