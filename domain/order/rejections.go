package order

import (
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// The refusals of an order's life from Place to Archive.
var (
	ErrNotFound        = &rule.Rejection{Code: "order-not-found", Detail: "There is no such order."}
	ErrExists          = &rule.Rejection{Code: "order-exists", Detail: "Another order has this id."}
	ErrIDTaken         = &rule.Rejection{Code: "order-id-taken", Detail: "Another cart has used this order id: choose another one."}
	ErrEmpty           = &rule.Rejection{Code: "order-empty", Detail: "An order needs at least one line."}
	ErrLinesDisordered = &rule.Rejection{Code: "order-lines-disordered", Detail: "Line numbers must ascend."}
	ErrCurrencyMixed   = &rule.Rejection{Code: "order-currency-mixed", Detail: "Every line must be priced in the order's currency."}
	ErrQuoteInvalid    = &rule.Rejection{Code: "order-quote-invalid", Detail: "The quote is not of the order's lines, or it does not add up."}
	ErrNotReserved     = &rule.Rejection{Code: "order-stock-not-held", Detail: "The stock that is reserved for the order is not what its lines need."}
	ErrNotConfirmed    = &rule.Rejection{Code: "order-not-confirmed", Detail: "The order is not confirmed."}
	ErrExpired         = &rule.Rejection{Code: "order-expired", Detail: "The order was not confirmed in time."}
	ErrCanceled        = &rule.Rejection{Code: "order-canceled", Detail: "The order is canceled."}
	ErrCompleted       = &rule.Rejection{Code: "order-completed", Detail: "The order is completed."}
	ErrOnHold          = &rule.Rejection{Code: "order-on-hold", Detail: "The order is on hold."}
	ErrNotFinished     = &rule.Rejection{Code: "order-not-finished", Detail: "The order has not ended: it is not completed, canceled or expired."}
	ErrHasCustomer     = &rule.Rejection{Code: "order-has-customer", Detail: "Another customer has this order."}
	ErrShipped         = &rule.Rejection{Code: "order-shipped", Detail: "Everything of the order has shipped."}
)

// The refusals about money. A report of a payment provider is a fact, so it is refused only if it
// cannot be true. A capture of more than what is owed can be true, and leads to a state
// (Overpaid).
var (
	ErrTransactionUnknown = &rule.Rejection{Code: "transaction-unknown", Detail: "The order has no such transaction."}
	ErrTransactionDiffers = &rule.Rejection{Code: "transaction-differs", Detail: "Another transaction of the order has this id."}
	ErrTransactionSettled = &rule.Rejection{Code: "transaction-settled", Detail: "The transaction has already ended in another state."}
	ErrTransactionInvalid = &rule.Rejection{Code: "transaction-invalid", Detail: "There is no such type or state of a transaction."}
	ErrParentMismatch     = &rule.Rejection{Code: "transaction-parent-mismatch", Detail: "A transaction of this type cannot have this parent."}
	ErrAmountInvalid      = &rule.Rejection{Code: "amount-invalid", Detail: "An amount must be more than zero."}
	ErrAmountTooFine      = &rule.Rejection{Code: "amount-too-fine", Detail: "The amount has more digits after the point than its currency, so nobody can pay it."}
	ErrAmountExceeded     = &rule.Rejection{Code: "amount-exceeded", Detail: "The amount is more than what is left to void or to give back."}
	ErrAmountLimit        = &rule.Rejection{Code: "amount-limit", Detail: "The order's transactions of one type must add up to less than 1,000,000,000,000,000,000."}
	ErrCurrencyDiffers    = &rule.Rejection{Code: "currency-differs", Detail: "The amount is not in the order's currency."}
)

// ErrRefundLimit refuses a refund or a chargeback whose sender may not give back so much.
var ErrRefundLimit = &rule.Rejection{Code: "refund-above-limit", Detail: "Without the permission refunds.unlimited, all refunds of one order together must not exceed the shop's limit."}

// The refusals about refunds and the pot of an order.
var (
	ErrRefundUnknown    = &rule.Rejection{Code: "refund-unknown", Detail: "The order has no such refund, or the refund has no such part."}
	ErrRefundDiffers    = &rule.Rejection{Code: "order-refund-differs", Detail: "Another refund of the order has this id."}
	ErrRefundParts      = &rule.Rejection{Code: "refund-parts-differ", Detail: "The parts of a refund must name each payment once, and add up to its amount."}
	ErrRefundUnplaced   = &rule.Rejection{Code: "refund-unplaced", Detail: "No payment can take the refund. Pay it out in another way, and record that as a refund without a parent."}
	ErrRefundUnderWay   = &rule.Rejection{Code: "refund-under-way", Detail: "The refund has no known outcome yet, or this is not its next attempt."}
	ErrNothingToExplain = &rule.Rejection{Code: "refund-not-unexplained", Detail: "The transaction is no refund that somebody has to explain."}
	ErrCreditDiffers    = &rule.Rejection{Code: "credit-differs", Detail: "Another credit of the order has this id."}
	ErrChargeUnknown    = &rule.Rejection{Code: "charge-unknown", Detail: "The order has no such charge."}
	ErrChargeDiffers    = &rule.Rejection{Code: "charge-differs", Detail: "Another charge of the order has this id."}
	ErrCreditUnknown    = &rule.Rejection{Code: "credit-unknown", Detail: "The order has no such credit of a return."}
	ErrClawbackOff      = &rule.Rejection{Code: "clawback-not-allowed", Detail: "The legal entity of the order does not take discounts back."}
	ErrSurchargeLimit   = &rule.Rejection{Code: "surcharge-above-limit", Detail: "Without the permission surcharges.unlimited, all surcharges of one order together must not exceed the shop's limit."}
	ErrPaymentDue       = &rule.Rejection{Code: "order-payment-due", Detail: "The order was paid, but the money went back although it is owed. Collect it, write it off or say that it was a compensation, and ship then."}
	ErrNothingPaid      = &rule.Rejection{Code: "order-not-paid", Detail: "Nothing was paid for the order, so there is no difference to write off."}
	ErrWriteOffLimit    = &rule.Rejection{Code: "write-off-above-limit", Detail: "Without the permission writeoffs.unlimited, only a difference within the shop's tolerance can be written off."}
	ErrConfirmed        = &rule.Rejection{Code: "order-confirmed", Detail: "The order is confirmed, so it has no deadline."}
	ErrDeadlineEarlier  = &rule.Rejection{Code: "deadline-not-later", Detail: "The new deadline must be later than the present one."}
	ErrDeadlineTooLate  = &rule.Rejection{Code: "deadline-too-late", Detail: "The new deadline is later than the shop allows."}
)

// The refusals about what comes back.
var (
	ErrReturnExceeded = &rule.Rejection{Code: "return-exceeds-shipped", Detail: "Fewer units of the line can come back. The others have not shipped, or belong to another return."}
	ErrReturnDiffers  = &rule.Rejection{Code: "return-differs", Detail: "The order has admitted other units for this return."}
	ErrReturnReleased = &rule.Rejection{Code: "return-released", Detail: "The order has released the units of this return, and cannot admit it again."}
)

// The refusals about parcels.
var (
	ErrLocationQuantityExceeded = &rule.Rejection{Code: "location-quantity-exceeded", Detail: "The order has fewer units at this location than were asked for."}
	ErrNothingToShip            = &rule.Rejection{Code: "order-nothing-to-ship", Detail: "The order has nothing left to ship from this location."}
	ErrShipmentDiffers          = &rule.Rejection{Code: "shipment-differs", Detail: "Another parcel of the order has this id."}
	ErrParcelState              = &rule.Rejection{Code: "parcel-state", Detail: "The parcel is not in a state in which this can happen."}
	ErrParcelDiffers            = &rule.Rejection{Code: "parcel-differs", Detail: "It is recorded already that the parcel came back, with other goods or to another location."}
	ErrParcelUnits              = &rule.Rejection{Code: "parcel-units-exceeded", Detail: "Fewer units of the parcel are left to send again or to credit, or the units that came back are not all of its goods."}
	ErrParcelOld                = &rule.Rejection{Code: "parcel-without-amounts", Detail: "An older version has placed the order, and its lines have no amounts. Use a return."}
	ErrShipmentUnknown          = &rule.Rejection{Code: "shipment-unknown", Detail: "The order has no such parcel."}
)

// The refusals about units of a line.
var (
	ErrLineUnknown          = &rule.Rejection{Code: "line-unknown", Detail: "The order has no such line."}
	ErrLineQuantityInvalid  = &rule.Rejection{Code: "line-quantity-invalid", Detail: "A quantity must be 1 or more."}
	ErrLineQuantityExceeded = &rule.Rejection{Code: "line-quantity-exceeded", Detail: "The line has fewer open units than were asked for."}
)

// The refusals about the stock behind an order.
var (
	ErrStockUnsettled   = &rule.Rejection{Code: "order-stock-unsettled", Detail: "Stock movements of the order are still being recorded. Try again."}
	ErrAllocationFailed = &rule.Rejection{Code: "order-allocation-failed", Detail: "The order's stock was lost and has not been allocated again."}
)

// ErrTextInvalid refuses a text that a caller gave.
var ErrTextInvalid = &rule.Rejection{Code: "order-text-invalid", Detail: "A text is too long, or cannot be recorded as it is."}

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{
	ErrNotFound, ErrExists, ErrIDTaken, ErrHasCustomer, ErrEmpty, ErrLinesDisordered, ErrCurrencyMixed, ErrQuoteInvalid, ErrNotReserved,
	ErrNotConfirmed, ErrExpired, ErrCanceled, ErrCompleted, ErrOnHold, ErrNotFinished, ErrStockUnsettled, ErrShipped,
	ErrLineUnknown, ErrLineQuantityInvalid, ErrLineQuantityExceeded, ErrLocationQuantityExceeded, ErrNothingToShip,
	ErrShipmentDiffers, ErrShipmentUnknown, ErrParcelState, ErrParcelDiffers, ErrParcelUnits, ErrParcelOld, ErrAllocationFailed,
	ErrTransactionUnknown, ErrTransactionDiffers, ErrTransactionSettled, ErrTransactionInvalid, ErrParentMismatch,
	ErrAmountInvalid, ErrAmountTooFine, ErrAmountExceeded, ErrAmountLimit, ErrRefundLimit, ErrCurrencyDiffers, ErrTextInvalid,
	ErrReturnExceeded, ErrReturnDiffers, ErrReturnReleased,
	ErrRefundUnknown, ErrRefundDiffers, ErrRefundParts, ErrRefundUnplaced, ErrRefundUnderWay, ErrNothingToExplain, ErrCreditDiffers,
	ErrChargeUnknown, ErrChargeDiffers, ErrCreditUnknown, ErrClawbackOff, ErrSurchargeLimit,
	ErrPaymentDue, ErrNothingPaid, ErrWriteOffLimit, ErrConfirmed, ErrDeadlineEarlier, ErrDeadlineTooLate,
}

// idTaken does not say which cart has the id, because callers must not learn about the orders
// of other customers.
func idTaken(id unit.OrderID) error {
	return ErrIDTaken.With(ErrIDTaken.Detail, map[string]any{"order_id": id})
}

// ended is the refusal of an order that has reached its end, or nil.
func (s State) ended() *rule.Rejection {
	switch s.Status {
	case StatusCompleted:
		return ErrCompleted
	case StatusCanceled:
		return ErrCanceled
	case StatusExpired:
		return ErrExpired
	case StatusPending, StatusConfirmed:
	}
	return nil
}

func textFault(field, fault string, limit int) error {
	if fault == "" {
		return nil
	}
	return ErrTextInvalid.With("The text in "+field+" is refused: "+fault+".", map[string]any{"field": field, "max_characters": limit})
}
