package returns

import (
	"slices"

	"daybook/domain/rule"
)

// The refusals of a return.
var (
	ErrNotFound         = &rule.Rejection{Code: "return-not-found", Detail: "There is no such return."}
	ErrExists           = &rule.Rejection{Code: "return-exists", Detail: "Another return or credit note has this id."}
	ErrEmpty            = &rule.Rejection{Code: "return-empty", Detail: "At least one line is needed."}
	ErrCurrencyMixed    = &rule.Rejection{Code: "return-currency-mixed", Detail: "Every line must be priced in the currency of the return."}
	ErrPriceNegative    = &rule.Rejection{Code: "return-price-negative", Detail: "Only a service may be priced below zero."}
	ErrLinkExceeded     = &rule.Rejection{Code: "return-link-exceeded", Detail: "A line of the return is linked to more units of orders than come back with it."}
	ErrNotRequested     = &rule.Rejection{Code: "return-not-requested", Detail: "The return has been approved already."}
	ErrNotAdmitted      = &rule.Rejection{Code: "return-not-admitted", Detail: "The order has not admitted the units of the return yet. Try again."}
	ErrNotApproved      = &rule.Rejection{Code: "return-not-approved", Detail: "The return is not approved yet."}
	ErrDeclined         = &rule.Rejection{Code: "return-declined", Detail: "The return was declined."}
	ErrCanceled         = &rule.Rejection{Code: "return-canceled", Detail: "The return was canceled."}
	ErrReceived         = &rule.Rejection{Code: "return-received", Detail: "Goods of the return have been received."}
	ErrRefunded         = &rule.Rejection{Code: "return-refunded", Detail: "Money of the return has been given back."}
	ErrClosed           = &rule.Rejection{Code: "return-closed", Detail: "The return is closed."}
	ErrCreditNote       = &rule.Rejection{Code: "return-is-credit-note", Detail: "This is a credit note, and nothing more can be recorded for it."}
	ErrNotFinished      = &rule.Rejection{Code: "return-not-finished", Detail: "The return still waits for goods."}
	ErrLineUnknown      = &rule.Rejection{Code: "return-line-unknown", Detail: "The return has no such line."}
	ErrServiceLine      = &rule.Rejection{Code: "return-line-service", Detail: "A service cannot be received."}
	ErrQuantityInvalid  = &rule.Rejection{Code: "return-quantity-invalid", Detail: "A quantity must be 1 or more."}
	ErrUnitLimit        = &rule.Rejection{Code: "return-unit-limit", Detail: "A return or credit note has at most 1,000,000,000 units in all."}
	ErrAmountLimit      = &rule.Rejection{Code: "return-amount-limit", Detail: "The absolute line totals of a return or credit note must add up to less than 1,000,000,000,000,000,000."}
	ErrQuantityExceeded = &rule.Rejection{Code: "return-quantity-exceeded", Detail: "The return waits for fewer units of the line than arrived."}
	ErrDispositionWrong = &rule.Rejection{Code: "return-disposition-invalid", Detail: "There is no such disposition."}
	ErrReceiptDiffers   = &rule.Rejection{Code: "receipt-differs", Detail: "This receipt was recorded with other lines."}
	ErrReceiptOrder     = &rule.Rejection{Code: "receipt-out-of-order", Detail: "Receipts have the numbers 1, 2, 3 and so on, without gaps. The member next has the next number."}
	ErrRefundDiffers    = &rule.Rejection{Code: "refund-differs", Detail: "Another refund of the return has this id."}
	ErrAmountInvalid    = &rule.Rejection{Code: "refund-amount-invalid", Detail: "An amount must be more than zero."}
	ErrAmountTooFine    = &rule.Rejection{Code: "refund-amount-too-fine", Detail: "The amount has more digits after the point than its currency, so nobody can pay it."}
	ErrAmountExceeded   = &rule.Rejection{Code: "refund-amount-exceeded", Detail: "What was received is worth less than this amount."}
	ErrRefundLimit      = &rule.Rejection{Code: "return-refund-above-limit", Detail: "Without the permission refunds.unlimited, all refunds of one return together must not exceed the shop's limit."}
	ErrRefundOfNoOrder  = &rule.Rejection{Code: "return-refund-without-order", Detail: "Without the permission refunds.unlimited, money may be given back only on an order, because the shop has a limit for the refunds of one order."}
	ErrCurrencyDiffers  = &rule.Rejection{Code: "refund-currency-differs", Detail: "The amount is not in the currency of the return."}
)

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{
	ErrNotFound, ErrExists, ErrEmpty, ErrCurrencyMixed, ErrPriceNegative, ErrLinkExceeded,
	ErrNotRequested, ErrNotAdmitted, ErrNotApproved, ErrDeclined, ErrCanceled, ErrReceived, ErrRefunded, ErrClosed, ErrCreditNote, ErrNotFinished,
	ErrLineUnknown, ErrServiceLine, ErrQuantityInvalid, ErrUnitLimit, ErrAmountLimit, ErrQuantityExceeded, ErrDispositionWrong,
	ErrReceiptDiffers, ErrReceiptOrder,
	ErrRefundDiffers, ErrAmountInvalid, ErrAmountTooFine, ErrAmountExceeded, ErrRefundLimit, ErrRefundOfNoOrder, ErrCurrencyDiffers, ErrTextInvalid,
}

// ErrTextInvalid refuses a text that a caller gave.
var ErrTextInvalid = &rule.Rejection{Code: "return-text-invalid", Detail: "A text is too long, or cannot be recorded as it is."}

// refusal is nil if the return's status is one of those wanted. Otherwise it is the refusal
// for the present status.
func (s State) refusal(wanted ...Status) error {
	if slices.Contains(wanted, s.Status) {
		return nil
	}
	switch s.Status {
	case StatusRequested:
		return ErrNotApproved
	case StatusOpen:
		return ErrNotRequested
	case StatusReceived:
		return ErrReceived
	case StatusClosed:
		return ErrClosed
	case StatusDeclined:
		return ErrDeclined
	case StatusCanceled:
		return ErrCanceled
	case StatusNoted:
		return ErrCreditNote
	}
	return ErrNotFound
}

func textFault(field, fault string, limit int) error {
	if fault == "" {
		return nil
	}
	return ErrTextInvalid.With("The text in "+field+" is refused: "+fault+".", map[string]any{"field": field, "max_characters": limit})
}
