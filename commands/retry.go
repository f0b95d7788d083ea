package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/fulfilment"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// RetryOutcome says what a retry of an order's allocation did.
type RetryOutcome string

const (
	// RetryAllocated: the missing units are allocated now.
	RetryAllocated RetryOutcome = "allocated"
	// RetryNothing: nothing was missing, so nothing was asked of stock.
	RetryNothing RetryOutcome = "nothing_to_do"
	// RetryShort: stock does not have the missing units, and the order waits for them.
	RetryShort RetryOutcome = "short"
	// RetryCanceled: stock does not have the missing units, and the shop's remedy has canceled
	// the order.
	RetryCanceled RetryOutcome = "canceled"
)

// RetryResult is what a retry of an order's allocation did.
type RetryResult struct {
	Outcome RetryOutcome
	// Lost are units that the order counted as allocated, but that stock had no longer allocated to
	// it.
	Lost []order.Lost
	// Shortages are set for RetryShort and RetryCanceled. They say what stock did not have.
	Shortages []cart.Shortage
	Order     aggregate.Result[order.Event]
}

// RetryAllocation asks stock again for the units that an order is missing. First it compares the
// order's holdings with stock. So it also finds units that somebody took back by force.
func (s *Service) RetryAllocation(ctx context.Context, call Call, id unit.OrderID) (RetryResult, error) {
	var result RetryResult
	if err := cmp.Or(s.admit(call, access.HandleOrders), s.ownsOrder(ctx, call, id), s.reachesOrder(ctx, call, id, order.RetryAllocation{})); err != nil {
		return result, err
	}
	before, err := s.askAgain(ctx, call, id, &result)
	if err != nil {
		return result, err
	}
	after, _, err := s.orderNow(ctx, id)
	if err != nil {
		return result, err
	}
	asked := len(result.Order.Events) > 0 || result.Order.Replayed
	switch {
	case asked && after.Status == order.StatusCanceled:
		result.Outcome = RetryCanceled
	case after.Backordered():
		result.Outcome = RetryShort
	case asked || before.Backordered():
		result.Outcome = RetryAllocated
	default:
		result.Outcome = RetryNothing
	}
	if result.Outcome == RetryShort || result.Outcome == RetryCanceled {
		result.Shortages, err = s.lastShortages(ctx, id)
	}
	return result, err
}

// maxComparisons bounds how often an order is compared with stock again. It is compared again
// if it has changed during the comparison.
const maxComparisons = 5

// askAgain compares the order with stock and sends the command. It returns the order as it was
// compared. A loss counts only if the order has not changed since it was read. Example: a parcel
// leaves after the order was read and before stock is read. Its units are then no longer allocated
// in stock, but they are not lost. So if the order has changed, it is compared again.
func (s *Service) askAgain(ctx context.Context, call Call, id unit.OrderID, result *RetryResult) (order.State, error) {
	for range maxComparisons {
		before, revision, err := s.orderNow(ctx, id)
		if err != nil {
			return before, err
		}
		if len(before.Unsettled) > 0 && call.If == nil {
			if err := s.finishNow(ctx, call, id); err != nil {
				return before, err
			}
			if before, revision, err = s.orderNow(ctx, id); err != nil {
				return before, err
			}
		}
		if result.Lost, err = s.lostBy(ctx, before); err != nil {
			return before, err
		}
		guarded := call
		// If the call does not allow this revision, the handler refuses with StaleError.
		if len(result.Lost) > 0 && call.If.Allows(revision) {
			guarded.If = aggregate.AtRevision(revision)
		}
		result.Order, err = s.Order(ctx, guarded, id, order.RetryAllocation{Lost: result.Lost})
		if stale, changed := errors.AsType[*aggregate.StaleError](err); !changed || !call.If.Allows(stale.Actual) {
			return before, err
		}
	}
	return order.State{}, fmt.Errorf("order %s changed %d times while it was compared with stock: %w", id, maxComparisons, aggregate.ErrOverloaded)
}

func (s *Service) finishNow(ctx context.Context, call Call, id unit.OrderID) error {
	defer s.drive(order.Stream(id))()
	_, err := s.fulfil(ctx, call.Meta, id, 0)
	return err
}

func (s *Service) orderNow(ctx context.Context, id unit.OrderID) (now order.State, revision int64, err error) {
	err = s.orders.View(ctx, order.Stream(id), func(state order.State, at int64) { now, revision = state.Clone(), at })
	return now, revision, err
}

// lostBy compares an order's holdings with stock, and returns what stock does not have.
func (s *Service) lostBy(ctx context.Context, of order.State) ([]order.Lost, error) {
	allocated := make([]unit.Quantity, len(of.Holdings))
	at := make(map[stock.Key]int, len(of.Holdings))
	for i, h := range of.Holdings {
		at[stock.Key{SKU: h.SKU, Location: h.Location}] = i
	}
	err := each(ctx, s, of.Holdings, func(ctx context.Context, i int, h order.Holding) error {
		return s.stock.View(ctx, stock.Stream(h.SKU, h.Location), func(state stock.State, _ int64) {
			allocated[i] = state.Orders[of.OrderID].Open
		})
	})
	return fulfilment.LostBy(of, func(key stock.Key) unit.Quantity { return allocated[at[key]] }), err
}

// lastShortages returns the shortages of the order's last failed allocation.
func (s *Service) lastShortages(ctx context.Context, id unit.OrderID) ([]cart.Shortage, error) {
	var shortages []cart.Shortage
	for recorded, err := range s.store.ReadStream(ctx, order.Stream(id), 0, 0) {
		if err != nil {
			return nil, fmt.Errorf("order %s: %w", id, err)
		}
		event, err := eventstore.Decode(&recorded, order.Decode)
		if eventstore.IsForeign(err) {
			continue
		}
		if err != nil {
			return nil, &aggregate.UndecodableError{Stream: recorded.Stream, Revision: recorded.Revision, Cause: err}
		}
		if failed, ok := event.(order.AllocationFailed); ok {
			shortages = failed.Shortages
		}
	}
	return shortages, nil
}
