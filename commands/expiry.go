package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// ExpireOrder ends an order that was not confirmed, if its deadline has passed. The actor of the
// events of ExpireOrder, ExpireReservations and ExpireCart is system:timer.
func (s *Service) ExpireOrder(ctx context.Context, meta eventstore.Metadata, id unit.OrderID, now time.Time) error {
	_, err := s.Order(ctx, Call{Who: theTimer, Meta: by(theTimer, meta)}, id, order.Expire{Now: now})
	return err
}

// ExpireReservations ends the reservations of a stock whose deadlines have passed, at most as
// many as one decision can end. some is true if it ended any. Then there may be more: call it
// again with another command id.
func (s *Service) ExpireReservations(ctx context.Context, meta eventstore.Metadata, key stock.Key, now time.Time) (some bool, err error) {
	result, err := s.stock.Handle(ctx, aggregate.Request[stock.Command]{
		Stream: stock.Stream(key.SKU, key.Location), Meta: by(theTimer, meta),
		Commands: []stock.Command{stock.ExpireDue{At: stock.At{Key: key, Now: now}}}, Redecide: true,
	})
	return err == nil && len(result.Events) > 0, err
}

// ExpireCart ends a cart whose last change is older than the shop allows. If the last change is too
// recent, the cart stays open, and postponed is its new deadline. Otherwise postponed is zero. A
// cart that is not open also stays as it is: it has ended in another way, or it is being checked
// out. If the checkout is refused, the timer is set again.
//
// ExpireCart reads the time of the last change from the log, and ends the cart only at the revision
// that it read. So a customer who changes the cart at this very moment keeps it.
func (s *Service) ExpireCart(ctx context.Context, meta eventstore.Metadata, id unit.CartID, now time.Time) (postponed time.Time, err error) {
	for {
		if s.policy.CartsExpireAfter <= 0 {
			return time.Time{}, nil // carts do not expire any more: the shop has changed the setting
		}
		last, err := s.lastEvent(ctx, cart.Stream(id))
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
			return time.Time{}, nil
		}
		if err != nil {
			return time.Time{}, fmt.Errorf("cart %s: %w", id, err)
		}
		if until := last.RecordedAt.Add(s.policy.CartsExpireAfter); until.After(now) {
			return until, nil
		}
		_, err = s.carts.Handle(ctx, aggregate.Request[cart.Command]{
			Stream: cart.Stream(id), Meta: by(theTimer, meta), Commands: []cart.Command{cart.Expire{}}, If: aggregate.AtRevision(last.Revision), Redecide: true,
		})
		if _, changed := errors.AsType[*aggregate.StaleError](err); changed {
			continue
		}
		if errors.Is(err, cart.ErrNotOpen) || errors.Is(err, cart.ErrNotFound) {
			// It has ended in another way, or it is being checked out. If the checkout is refused,
			// the timer is set again.
			return time.Time{}, nil
		}
		return time.Time{}, err
	}
}

// lastEvent is the shop's last event in a stream.
func (s *Service) lastEvent(ctx context.Context, stream string) (eventstore.Recorded, error) {
	from, limit := eventstore.LastRevision, 1 // the stream's last event is nearly always the shop's
	for from >= 0 {
		before := from
		for recorded, err := range s.store.ReadStreamBackwards(ctx, stream, from, limit) {
			if err != nil || eventstore.Foreign(&recorded) == nil {
				return recorded, err
			}
			from = recorded.Revision - 1
		}
		if from == before {
			break // the stream was truncated, and no event is left
		}
		limit = lastEvents
	}
	return eventstore.Recorded{}, &eventstore.NotFoundError{Stream: stream}
}

// lastEvents is how many events are read at a time if the stream ends with events of other
// programs.
const lastEvents = 100
