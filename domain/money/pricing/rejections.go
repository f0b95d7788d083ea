package pricing

import (
	"daybook/domain/rule"
)

// The refusals of pricing. A cart that is refused has no quote.
var (
	ErrPriceMissing = &rule.Rejection{Code: "price-missing", Detail: "A line has no price in the currency of the cart."}
	ErrTaxUnknown   = &rule.Rejection{Code: "tax-unknown", Detail: "No tax rate is known for the place and the tax class of a line. An unknown tax is not 0."}
	ErrShipping     = &rule.Rejection{Code: "shipping-unavailable", Detail: "The shipping method does not fit this cart."}
	ErrTooFine      = &rule.Rejection{Code: "amount-too-fine", Detail: "An amount has more digits than its currency."}
	ErrAmount       = &rule.Rejection{Code: "price-invalid", Detail: "A price or a discount is not a possible amount of the cart's currency."}
)

// ErrSize means that pricing the cart would take too long.
var ErrSize = &rule.Rejection{Code: "quote-too-large", Detail: "The cart has too many lines for so many price lists and promotions."}

// Rejections are the refusals of this package. ErrTooFine is not among them, because it has the
// code of the refusal of orders.
var Rejections = []*rule.Rejection{ErrPriceMissing, ErrTaxUnknown, ErrShipping, ErrAmount, ErrSize}
