package order

import (
	"fmt"

	"daybook/domain/money/pricing"
	"daybook/domain/unit"
	"daybook/domain/wire"
)

// The wire names are storage format: a changed shape gets a new version beside
// the old one, and a name once used is never removed or given another meaning.
const (
	typeClaimed               = "order.claimed.v1"
	typePlaced                = "order.placed.v1"
	typeConfirmed             = "order.confirmed.v1"
	typeConfirmedV2           = "order.confirmed.v2" // version 2 also says that the order's stock is allocated
	typePutOnHold             = "order.put_on_hold.v1"
	typeHoldReleased          = "order.hold_released.v1"
	typeLinesCanceled         = "order.lines_canceled.v1"
	typeCanceled              = "order.canceled.v1"
	typeExpired               = "order.expired.v1"
	typeTransactionRecorded   = "order.transaction_recorded.v1"
	typeTransactionSettled    = "order.transaction_settled.v1"
	typeShipped               = "order.shipped.v1"
	typeDelivered             = "order.delivered.v1"
	typeParcelReported        = "order.parcel_reported.v1"
	typeParcelBack            = "order.parcel_back.v1"
	typeParcelResent          = "order.parcel_resent.v1"
	typeCompleted             = "order.completed.v1"
	typeStockSettled          = "order.stock_settled.v1"
	typeAllocationFailed      = "order.allocation_failed.v1"
	typeAllocationRetried     = "order.allocation_retried.v1"
	typeAllocationRecovered   = "order.allocation_recovered.v1"
	typePaymentOrphaned       = "order.payment_orphaned.v1"
	typeReturnAdmitted        = "order.return_admitted.v1"
	typeReturnReleased        = "order.return_released.v1"
	typeRefundClaimed         = "order.refund_claimed.v1"
	typeTransactionUnreadable = "order.transaction_unreadable.v1"
	typeCredited              = "order.credited.v1"
	typeRefundRequested       = "order.refund_requested.v1"
	typeRefundSubmitted       = "order.refund_submitted.v1"
	typeRefundSettled         = "order.refund_settled.v1"
	typeRefundExplained       = "order.refund_explained.v1"
	typeDifferenceWrittenOff  = "order.difference_written_off.v1"
	typeDeadlineExtended      = "order.deadline_extended.v1"
	typeChargeAdded           = "order.charge_added.v1"
	typeReturnRefundRefused   = "order.return_refund_refused.v1"
	typeTakenOver             = "order.taken_over.v1"
	typeArchived              = "order.archived.v1"
	typeUnarchived            = "order.unarchived.v1"
)

var decoders = wire.Decoders[Event]{
	typeClaimed:               read[Claimed],
	typePlaced:                read[Placed],
	typeConfirmed:             read[Confirmed],
	typeConfirmedV2:           read[Confirmed],
	typePutOnHold:             read[PutOnHold],
	typeHoldReleased:          read[HoldReleased],
	typeLinesCanceled:         read[LinesCanceled],
	typeCanceled:              read[Canceled],
	typeExpired:               read[Expired],
	typeTransactionRecorded:   read[TransactionRecorded],
	typeTransactionSettled:    read[TransactionSettled],
	typeShipped:               read[Shipped],
	typeDelivered:             read[Delivered],
	typeParcelReported:        read[ParcelReported],
	typeParcelBack:            read[ParcelBack],
	typeParcelResent:          read[ParcelResent],
	typeCompleted:             read[Completed],
	typeStockSettled:          read[StockSettled],
	typeAllocationFailed:      read[AllocationFailed],
	typeAllocationRetried:     read[AllocationRetried],
	typeAllocationRecovered:   read[AllocationRecovered],
	typePaymentOrphaned:       read[PaymentOrphaned],
	typeReturnAdmitted:        read[ReturnAdmitted],
	typeReturnReleased:        read[ReturnReleased],
	typeRefundClaimed:         read[RefundClaimed],
	typeTransactionUnreadable: read[TransactionUnreadable],
	typeCredited:              read[Credited],
	typeRefundRequested:       read[RefundRequested],
	typeRefundSubmitted:       read[RefundSubmitted],
	typeRefundSettled:         read[RefundSettled],
	typeRefundExplained:       read[RefundExplained],
	typeDifferenceWrittenOff:  read[DifferenceWrittenOff],
	typeDeadlineExtended:      read[DeadlineExtended],
	typeChargeAdded:           read[ChargeAdded],
	typeReturnRefundRefused:   read[ReturnRefundRefused],
	typeTakenOver:             read[TakenOver],
	typeArchived:              read[Archived],
	typeUnarchived:            read[Unarchived],
}

func read[T Event](data []byte) (Event, error) { return wire.Read[T](data) }

// Types are the wire names of all events, in every version that was ever written.
func Types() []string { return decoders.Types() }

// Encode gives an event's wire name and JSON.
func Encode(e Event) (typ string, data []byte, err error) { return wire.Write(typeOf(e), e) }

// Decode reads what Encode wrote, in this or an earlier version. For an unknown type it
// returns *wire.UnknownTypeError.
func Decode(typ string, data []byte) (Event, error) { return decoders.Decode(typ, data) }

// DecodeUnpriced is Decode without the Quote of Placed. Reading a quote takes longer than reading
// everything else, and many readers need no prices.
func DecodeUnpriced(typ string, data []byte) (Event, error) {
	if typ != typePlaced {
		return Decode(typ, data)
	}
	event, err := wire.Read[struct {
		Placed

		Quote *struct{} `json:"quote"` // hides the member of Placed
	}](data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", typ, err)
	}
	return event.Placed, nil
}

// DecodeAmounts is Decode with a Quote that has only what the accounts of lines and charges are
// made of: their gross amounts and taxes. Reading the rest takes most of the time.
func DecodeAmounts(typ string, data []byte) (Event, error) {
	if typ != typePlaced {
		return Decode(typ, data)
	}
	type item struct {
		Line   int        `json:"line"`
		Number int        `json:"charge"`
		Gross  unit.Money `json:"gross"`
		Tax    []struct {
			Amount unit.Money `json:"amount"`
		} `json:"tax"`
	}
	event, err := wire.Read[struct {
		Placed

		Quote *struct {
			Lines   []item `json:"lines"`
			Charges []item `json:"charges"`
		} `json:"quote"` // hides the member of Placed
	}](data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", typ, err)
	}
	if event.Quote == nil {
		return event.Placed, nil
	}
	amounts := func(of item) pricing.Priced {
		priced := pricing.Priced{Gross: of.Gross}
		for _, tax := range of.Tax {
			priced.Tax = append(priced.Tax, pricing.TaxEntry{Amount: tax.Amount})
		}
		return priced
	}
	quote := pricing.Quote{Currency: event.Currency}
	for _, line := range event.Quote.Lines {
		quote.Lines = append(quote.Lines, pricing.PricedLine{Line: line.Line, Priced: amounts(line)})
	}
	for _, charge := range event.Quote.Charges {
		quote.Charges = append(quote.Charges, pricing.Charge{Number: charge.Number, Priced: amounts(charge)})
	}
	event.Placed.Quote = &quote
	return event.Placed, nil
}

func typeOf(e Event) string {
	switch e := e.(type) {
	case Claimed:
		return typeClaimed
	case Placed:
		return typePlaced
	case Confirmed:
		if e.Allocated {
			return typeConfirmedV2
		}
		return typeConfirmed
	case PutOnHold:
		return typePutOnHold
	case HoldReleased:
		return typeHoldReleased
	case LinesCanceled:
		return typeLinesCanceled
	case Canceled:
		return typeCanceled
	case Expired:
		return typeExpired
	case TransactionRecorded:
		return typeTransactionRecorded
	case TransactionSettled:
		return typeTransactionSettled
	case Shipped:
		return typeShipped
	case Delivered:
		return typeDelivered
	case ParcelReported:
		return typeParcelReported
	case ParcelBack:
		return typeParcelBack
	case ParcelResent:
		return typeParcelResent
	case Completed:
		return typeCompleted
	case StockSettled:
		return typeStockSettled
	case AllocationFailed:
		return typeAllocationFailed
	case AllocationRetried:
		return typeAllocationRetried
	case AllocationRecovered:
		return typeAllocationRecovered
	case PaymentOrphaned:
		return typePaymentOrphaned
	case ReturnAdmitted:
		return typeReturnAdmitted
	case ReturnReleased:
		return typeReturnReleased
	case RefundClaimed:
		return typeRefundClaimed
	case TransactionUnreadable, Credited, RefundRequested, RefundSubmitted, RefundSettled, ReturnRefundRefused, RefundExplained,
		DifferenceWrittenOff, DeadlineExtended, ChargeAdded:
		return typeOfMoney(e)
	case TakenOver:
		return typeTakenOver
	case Archived:
		return typeArchived
	case Unarchived:
		return typeUnarchived
	}
	panic("order: unknown event") // a programmer's error, never input
}

// typeOfMoney is the type of an event about refunds, credits and the like.
func typeOfMoney(e Event) string {
	switch any(e).(type) {
	case TransactionUnreadable:
		return typeTransactionUnreadable
	case Credited:
		return typeCredited
	case RefundRequested:
		return typeRefundRequested
	case RefundSubmitted:
		return typeRefundSubmitted
	case RefundSettled:
		return typeRefundSettled
	case ReturnRefundRefused:
		return typeReturnRefundRefused
	case RefundExplained:
		return typeRefundExplained
	case DifferenceWrittenOff:
		return typeDifferenceWrittenOff
	case DeadlineExtended:
		return typeDeadlineExtended
	case ChargeAdded:
		return typeChargeAdded
	}
	panic("order: unknown event") // a programmer's error, never input
}
