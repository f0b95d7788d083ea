// Package payment says which order a payment of a provider belongs to. Each payment has a stream of
// its own, which is the referee: a payment is for one order, whoever reports it at the same time.
// What was paid is in package order.
package payment

import "daybook/domain/unit"

// Category begins the names of the streams of payments.
const Category = "payment"

// Stream names the stream of a payment. reference is the provider's number for it, exactly as the
// provider writes it. The name does not show the number.
func Stream(provider, reference string) string {
	return Category + "-" + unit.PaymentStream.Of(provider, reference).ID()
}

// Event is what can have happened to a payment. The wire names in codec.go are storage format:
// they are versioned, never renamed.
//
//sumtype:decl
type Event interface{ paymentEvent() }

// Claimed gives a payment to an order, for good. It is recorded before the order records what was
// paid.
type Claimed struct {
	OrderID unit.OrderID `json:"order_id"`
}

func (Claimed) paymentEvent() {}
