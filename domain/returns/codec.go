package returns

import "daybook/domain/wire"

// The wire names are storage format: a changed shape gets a new version beside
// the old one, and a name once used is never removed or given another meaning.
const (
	typeRequested        = "return.requested.v1"
	typeAdmitted         = "return.admitted.v1"
	typeAdmissionRefused = "return.admission_refused.v1"
	typeApproved         = "return.approved.v1"
	typeDeclined         = "return.declined.v1"
	typeCanceled         = "return.canceled.v1"
	typeReceived         = "return.received.v1"
	typeRefunded         = "return.refunded.v1"
	typeRefundWithdrawn  = "return.refund_withdrawn.v1"
	typeOrdersSettled    = "return.orders_settled.v1"
	typeClosed           = "return.closed.v1"
	typeTakenOver        = "return.taken_over.v1"
	typeStockSettled     = "return.stock_settled.v1"
	typeCreditNoted      = "return.credit_noted.v1"
)

var decoders = wire.Decoders[Event]{
	typeRequested:        read[Requested],
	typeAdmitted:         read[Admitted],
	typeAdmissionRefused: read[AdmissionRefused],
	typeApproved:         read[Approved],
	typeDeclined:         read[Declined],
	typeCanceled:         read[Canceled],
	typeReceived:         read[Received],
	typeRefunded:         read[Refunded],
	typeRefundWithdrawn:  read[RefundWithdrawn],
	typeOrdersSettled:    read[OrdersSettled],
	typeClosed:           read[Closed],
	typeTakenOver:        read[TakenOver],
	typeStockSettled:     read[StockSettled],
	typeCreditNoted:      read[CreditNoted],
}

func read[T Event](data []byte) (Event, error) { return wire.Read[T](data) }

// Types are the wire names of all events, in every version that was ever written.
func Types() []string { return decoders.Types() }

// Encode gives an event's wire name and JSON.
func Encode(e Event) (typ string, data []byte, err error) { return wire.Write(typeOf(e), e) }

// Decode reads what Encode wrote, in this or an earlier version. For an unknown type it
// returns *wire.UnknownTypeError.
func Decode(typ string, data []byte) (Event, error) { return decoders.Decode(typ, data) }

func typeOf(e Event) string {
	switch e.(type) {
	case Requested:
		return typeRequested
	case Admitted:
		return typeAdmitted
	case AdmissionRefused:
		return typeAdmissionRefused
	case Approved:
		return typeApproved
	case Declined:
		return typeDeclined
	case Canceled:
		return typeCanceled
	case Received:
		return typeReceived
	case Refunded:
		return typeRefunded
	case RefundWithdrawn:
		return typeRefundWithdrawn
	case OrdersSettled:
		return typeOrdersSettled
	case Closed:
		return typeClosed
	case TakenOver:
		return typeTakenOver
	case StockSettled:
		return typeStockSettled
	case CreditNoted:
		return typeCreditNoted
	}
	panic("returns: unknown event") // a programmer's error, never input
}
