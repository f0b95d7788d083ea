package commands

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"daybook/domain/rule"
	"daybook/domain/unit"
)

// joinCheckout answers a call that names no order id with the checkout of the cart that
// another call has begun: two clicks on one button are one purchase. refusal is what the
// cart said to the call, and it stands if there is no such checkout, or if that one was
// asked for something else.
//
// If the other checkout is under way, this call drives it, too, and is told of its outcome.
func (s *Service) joinCheckout(ctx context.Context, call Call, ask CheckoutRequest, refusal error) (CheckoutResult, error) {
	no, _ := errors.AsType[*rule.Rejection](refusal)
	orderID, named := no.Facts["order_id"].(unit.OrderID)
	if !named {
		return CheckoutResult{}, refusal // the cart expired, or was abandoned
	}
	checkouts, err := s.readCheckouts(ctx, ask.CartID)
	if err != nil {
		return CheckoutResult{}, err
	}
	past, found := checkouts[orderID]
	if !found {
		return CheckoutResult{}, errNoCheckout(ask.CartID, orderID)
	}
	if past.differsFrom(ask) != nil {
		return CheckoutResult{}, refusal
	}
	result, err := s.finishCheckout(ctx, call.Meta, past.started, past.outcome, ask.Held)
	if err == nil && result.OrderIDTaken {
		return s.Checkout(ctx, call, ask) // that id was the other call's choice, and the cart is open again
	}
	result.BegunBy = begunBy(checkouts, past)
	return result, err
}

// begunBy is the command id of the call that began a checkout. After each refusal the
// call goes on under the next attempt's id, so the attempts are followed back to the first.
func begunBy(checkouts map[unit.OrderID]pastCheckout, past pastCheckout) uuid.UUID {
	before := make(map[uuid.UUID]uuid.UUID, len(checkouts))
	for _, earlier := range checkouts {
		before[nextAttempt(earlier.meta.CommandID)] = earlier.meta.CommandID
	}
	first := past.meta.CommandID
	for {
		earlier, again := before[first]
		if !again {
			return first
		}
		first = earlier
	}
}
