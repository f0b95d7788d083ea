package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// An open cart expires some time after its last change. Its timer is set when it
// is opened, or open again after a refused checkout, and not moved with each
// change, because most carts are checked out long before: a timer that is due
// looks at the cart's last change, and is postponed where that is too recent.

// expireCart ends a cart that nobody has changed for as long as the shop allows.
// It reads the time of the last change from the log, and the cart is only ended
// at the revision that was read, so a customer who comes back at this very moment
// keeps the cart.
func (s *Service) expireCart(ctx context.Context, timer Timer, meta eventstore.Metadata, now time.Time) error {
	id := unit.CartID(timer.Target)
	for {
		if s.policy.CartsExpireAfter <= 0 {
			return nil // the shop has changed its mind
		}
		last, err := s.lastEvent(ctx, cart.Stream(id))
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cart %s: %w", id, err)
		}
		if until := last.RecordedAt.Add(s.policy.CartsExpireAfter); until.After(now) {
			return &PostponedError{Until: until}
		}
		_, err = s.carts.Handle(ctx, aggregate.Request[cart.Command]{
			Stream: cart.Stream(id), Meta: meta, Commands: []cart.Command{cart.Expire{}}, IfRevision: &last.Revision, Redecide: true,
		})
		if _, changed := errors.AsType[*aggregate.StaleError](err); changed {
			continue
		}
		if errors.Is(err, cart.ErrNotOpen) || errors.Is(err, cart.ErrNotFound) {
			return nil // it has ended otherwise, or is being checked out: a refusal sets the timer again
		}
		return err
	}
}

// lastEvent is the shop's last event in a stream.
func (s *Service) lastEvent(ctx context.Context, stream string) (eventstore.Recorded, error) {
	from, limit := eventstore.LastRevision, 1 // nearly always it is the stream's last
	for from >= 0 {
		before := from
		for recorded, err := range s.store.ReadStreamBackwards(ctx, stream, from, limit) {
			if err != nil || eventstore.Foreign(&recorded) == nil {
				return recorded, err
			}
			from = recorded.Revision - 1
		}
		if from == before {
			break // of a truncated stream no event is left
		}
		limit = lastEvents
	}
	return eventstore.Recorded{}, &eventstore.NotFoundError{Stream: stream}
}

// lastEvents is how many events of others are passed over at a time.
const lastEvents = 100

// cartTimers follows which carts are open, and sets and clears their timers.
type cartTimers struct {
	after time.Duration // 0: carts never expire
	set   func(Timer)
	clear func(Deadline)
}

func (t cartTimers) observe(event cart.Event, e eventstore.Recorded) {
	id := unit.CartID(strings.TrimPrefix(e.Stream, cart.Stream("")))
	switch event.(type) {
	case cart.Opened, cart.CheckoutRefused:
		if t.after > 0 {
			t.set(Timer{Deadline: cartDeadline(id), DueAt: e.RecordedAt.Add(t.after)})
		}
	case cart.CheckoutStarted, cart.CheckedOut, cart.Abandoned, cart.Expired:
		t.clear(cartDeadline(id))
	case cart.LineAdded, cart.QuantityChanged, cart.LineRemoved:
		// The timer finds them when it is due.
	}
}

// cartLifeFilter selects the events that open and end carts.
var cartLifeFilter = eventstore.Filter{TypePrefixes: []string{"cart.opened.", "cart.checkout", "cart.checked_out.", "cart.abandoned.", "cart.expired."}}

// adoptCarts gives the carts that are open at a position their timers, where
// those in the database were set by another rule: in a log that is older than
// carts' timers, or after the shop has changed how long its carts stay. Old timers
// may remain; they do nothing when due.
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
			continue // somebody else's
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
	r.Logger.InfoContext(ctx, "carts follow a new rule", "expire_after", r.CartsExpireAfter, "open", len(set))
	if r.Nudge != nil {
		r.Nudge()
	}
	return nil
}
