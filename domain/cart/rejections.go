package cart

import (
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// The refusals of a cart.
var (
	ErrNotFound         = &rule.Rejection{Code: "cart-not-found", Detail: "There is no such cart."}
	ErrExists           = &rule.Rejection{Code: "cart-exists", Detail: "A cart with this id was opened with other content."}
	ErrNotOpen          = &rule.Rejection{Code: "cart-not-open", Detail: "The cart is not open."}
	ErrLineUnknown      = &rule.Rejection{Code: "cart-line-unknown", Detail: "The cart has no such line."}
	ErrQuantityInvalid  = &rule.Rejection{Code: "cart-quantity-invalid", Detail: "A line has 1 to 1,000,000,000 units."}
	ErrKindUnknown      = &rule.Rejection{Code: "cart-kind-unknown", Detail: "The kind of a line is stocked or service."}
	ErrCurrencyMismatch = &rule.Rejection{Code: "cart-currency-mismatch", Detail: "All prices of a cart must be in one currency."}
	ErrPriceNegative    = &rule.Rejection{Code: "cart-price-negative", Detail: "A price is not below zero. A discount takes something off a line or the cart."}
	ErrTextTooLong      = &rule.Rejection{Code: "cart-text-too-long", Detail: "A text is too long, or cannot be recorded as it is."}
	ErrDetailsInvalid   = &rule.Rejection{Code: "cart-details-invalid", Detail: "A member of the details is refused. The member field names it."}
	ErrCountryOfAddress = &rule.Rejection{Code: "cart-country-of-address", Detail: "The cart has an address, so it goes to the country of the address. Change the address instead."}
	ErrFull             = &rule.Rejection{Code: "cart-full", Detail: "The cart cannot take more lines."}
	ErrUnitLimit        = &rule.Rejection{Code: "cart-unit-limit", Detail: "A cart has at most 1,000,000,000 units in all."}
	ErrAmountLimit      = &rule.Rejection{Code: "cart-amount-limit", Detail: "The absolute line totals of a cart must add up to less than 1,000,000,000,000,000,000."}
	ErrEmpty            = &rule.Rejection{Code: "cart-empty", Detail: "The cart has no lines."}
	ErrTotalNegative    = &rule.Rejection{Code: "cart-total-negative", Detail: "The total of the cart is below zero. Money that is owed to a customer needs a return or a credit note."}
	ErrMergeSelf        = &rule.Rejection{Code: "cart-merge-self", Detail: "A cart cannot be merged into itself."}
	ErrNoDeadline       = &rule.Rejection{Code: "cart-hold-until-missing", Detail: "A checkout needs a deadline for its reservations."}
	ErrPolicyUnknown    = &rule.Rejection{Code: "cart-policy-unknown", Detail: "The policy of a checkout is all-or-nothing or line-by-line."}
	ErrCouponInvalid    = &rule.Rejection{Code: "cart-coupon-invalid", Detail: "A code has 1 to 64 visible characters."}
	ErrCouponLimit      = &rule.Rejection{Code: "cart-coupon-limit", Detail: "A cart takes at most 10 codes."}
	ErrMethodInvalid    = &rule.Rejection{Code: "cart-shipping-invalid", Detail: "The id of a shipping method has 1 to 64 letters, digits, '.', '_' and '-'."}
	ErrDiscountInvalid  = &rule.Rejection{Code: "cart-discount-invalid", Detail: "A discount has an amount in the currency of the cart, or a percentage of at most 100; an id, and a reason of the same form."}
	ErrDiscountCount    = &rule.Rejection{Code: "cart-discount-limit", Detail: "A cart takes at most 20 discounts that persons gave."}
	ErrDiscountLimit    = &rule.Rejection{Code: "discount-above-limit", Detail: "Without the permission discounts.unlimited, all discounts that persons gave to one cart must not exceed the shop's limit."}
	ErrTaxStatusInvalid = &rule.Rejection{Code: "cart-tax-status-invalid", Detail: "A member of the tax status is refused. The member field names it."}
	ErrQuoteStale       = &rule.Rejection{Code: "cart-quote-stale", Detail: "The cart has changed since it was priced."}
	ErrQuoteInvalid     = &rule.Rejection{Code: "cart-quote-invalid", Detail: "The quote does not add up."}
	ErrCheckoutUnknown  = &rule.Rejection{Code: "cart-checkout-unknown", Detail: "The cart is not being checked out under this order id."}
	ErrCheckoutDecided  = &rule.Rejection{Code: "cart-checkout-decided", Detail: "The checkout under this order id already has an outcome."}
)

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{
	ErrNotFound, ErrExists, ErrNotOpen, ErrLineUnknown, ErrQuantityInvalid, ErrKindUnknown, ErrCurrencyMismatch, ErrPriceNegative,
	ErrTextTooLong, ErrDetailsInvalid, ErrCountryOfAddress, ErrFull, ErrUnitLimit, ErrAmountLimit, ErrEmpty, ErrMergeSelf, ErrTotalNegative, ErrNoDeadline, ErrPolicyUnknown,
	ErrCouponInvalid, ErrCouponLimit, ErrMethodInvalid, ErrDiscountInvalid, ErrDiscountCount, ErrDiscountLimit, ErrTaxStatusInvalid, ErrQuoteStale, ErrQuoteInvalid, ErrCheckoutUnknown, ErrCheckoutDecided,
}

// The outcomes in the facts of ErrCheckoutDecided.
const (
	OutcomeRefused   = "refused"
	OutcomeCompleted = "completed"
)

func notOpen(s State) error {
	facts := map[string]any{"cart_status": s.Phase}
	if s.OrderID != "" {
		facts["order_id"] = s.OrderID
	}
	if into := s.MergeTarget(); into != "" {
		facts["merged_into"] = into
	}
	return ErrNotOpen.With("The cart is "+string(s.Phase)+", not open.", facts)
}

func lineUnknown(number int) error {
	return ErrLineUnknown.With(ErrLineUnknown.Detail, map[string]any{"line": number})
}

func decided(id unit.OrderID, outcome string) error {
	return ErrCheckoutDecided.With("The checkout under this order id was "+outcome+" before.",
		map[string]any{"order_id": id, "outcome": outcome})
}

// textFault refuses the text in a field. fault says what is wrong with the text; if it is empty,
// textFault returns nil.
func textFault(field, fault string, limit int) error {
	if fault == "" {
		return nil
	}
	return ErrTextTooLong.With("The text in "+field+" is refused: "+fault+".", map[string]any{"field": field, "max_characters": limit})
}
