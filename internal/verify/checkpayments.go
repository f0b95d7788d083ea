package verify

import (
	"fmt"

	"daybook/domain/order"
	"daybook/domain/payment"
	"daybook/domain/unit"
)

// foldPayment folds an event of a payment: it belongs to one order for good.
func (b *Book) foldPayment(e *event, value payment.Event) {
	claimed, is := value.(payment.Claimed)
	if !is {
		return
	}
	if of := b.payments[e.Stream]; of != "" && of != claimed.OrderID {
		b.report(e, fmt.Sprintf("the payment belongs to order %q", of))
		return
	}
	b.payments[e.Stream] = claimed.OrderID
}

// checkPayment tells whether a payment that an order records belongs to another order. Older logs
// have payments that no order has claimed.
func (b *Book) checkPayment(e *event, id unit.OrderID, value order.Event) {
	recorded, is := value.(order.TransactionRecorded)
	if !is || recorded.Provider == "" || recorded.Type != order.Authorize && recorded.Type != order.Capture {
		return
	}
	for _, name := range []string{recorded.Reference, recorded.Payment} {
		if of := b.payments[payment.Stream(recorded.Provider, name)]; name != "" && of != "" && of != id {
			b.report(e, fmt.Sprintf("the payment belongs to order %q", of))
			return
		}
	}
}
