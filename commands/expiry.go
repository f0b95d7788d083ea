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

// ExpireOrder ends an order that was not confirmed, if its deadline has passed.
func (s *Service) ExpireOrder(ctx context.Context, meta eventstore.Metadata, id unit.OrderID, now time.Time) error {
	_, err := s.Order(ctx, Call{Meta: meta}, id, order.Expire{Now: now})
	return err
}

// ExpireReservations ends the reservations of a stock whose deadlines have passed: as many
// as one decision ends. It tells whether there were any, and then there may be more, which
// need a call with another command id.
func (s *Service) ExpireReservations(ctx context.Context, meta eventstore.Metadata, key stock.Key, now time.Time) (some bool, err error) {
	result, err := s.stock.Handle(ctx, aggregate.Request[stock.Command]{
		Stream: stock.Stream(key.SKU, key.Location), Meta: meta,
		Commands: []stock.Command{stock.ExpireDue{At: stock.At{Key: key, Now: now}}}, Redecide: true,
	})
	return err == nil && len(result.Events) > 0, err
}

// ExpireCart ends a cart that nobody has changed for as long as the shop allows. If it
// was changed later, it stays, and its new deadline is returned; else that is zero.
//
// ExpireCart reads the time of the last change from the log, and the cart is only ended
// at the revision that was read, so a customer who comes back at this very moment
// keeps the cart.
func (s *Service) ExpireCart(ctx context.Context, meta eventstore.Metadata, id unit.CartID, now time.Time) (postponed time.Time, err error) {
	for {
		if s.policy.CartsExpireAfter <= 0 {
			return time.Time{}, nil // the shop has changed its mind
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
			Stream: cart.Stream(id), Meta: meta, Commands: []cart.Command{cart.Expire{}}, If: aggregate.AtRevision(last.Revision), Redecide: true,
		})
		if _, changed := errors.AsType[*aggregate.StaleError](err); changed {
			continue
		}
		if errors.Is(err, cart.ErrNotOpen) || errors.Is(err, cart.ErrNotFound) {
			return time.Time{}, nil // it has ended otherwise, or is being checked out: a refusal sets the timer again
		}
		return time.Time{}, err
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
