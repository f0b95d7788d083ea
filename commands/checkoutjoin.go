package commands

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"daybook/domain/rule"
	"daybook/domain/unit"
)

// joinCheckout gives a call the result of a checkout that another call has begun for the same
// cart. The call names no order id. Example: a buyer clicks the button twice, and both clicks
// get the same order. refusal is the cart's reply to this call. It is returned if there is no
// such checkout, or if the other call asked for something else.
//
// If the other checkout is still under way, this call drives it, too, and returns its outcome.
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
	result, err := s.finishCheckout(ctx, call.Meta, past.started, past.outcome, driver{onReserved: ask.OnReserved})
	if err == nil && result.OrderIDTaken {
		// The other call chose an id that is taken. The cart is open again, so this call starts its
		// own checkout.
		ask.After = nil // Checkout, which has called this, carries it out
		return s.Checkout(ctx, call, ask)
	}
	result.BegunBy = callThatBegan(checkouts, past)
	return result, err
}

// callThatBegan is the command id of the call that began a checkout. After each refusal, the same
// call tries again under the id of the next attempt. So callThatBegan goes back from attempt to
// attempt, to the first one.
func callThatBegan(checkouts map[unit.OrderID]pastCheckout, past pastCheckout) uuid.UUID {
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
