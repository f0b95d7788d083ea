package checkout

import (
	"fmt"
	"slices"

	"daybook/domain/cart"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/rule"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// ErrRefused means that the checkout was refused. Its facts have the shortages. If a single
// shortage explains the refusal better, Refusal returns that instead.
var ErrRefused = &rule.Rejection{Code: "checkout-refused", Detail: "Stock could not be reserved."}

// ErrOrderIDSpent means that an earlier checkout under this order id was refused. An order id has
// one checkout.
var ErrOrderIDSpent = &rule.Rejection{Code: "order-id-spent", Detail: "An earlier checkout with this order id was refused. Ask again with another order id."}

// ErrDiffers means that the cart has a checkout under this order id that asked for something
// else.
var ErrDiffers = &rule.Rejection{Code: "checkout-differs", Detail: "The cart is checked out under this order id with another reference, policy or sourcing."}

// ErrPriceChanged means that the cart does not cost what its buyer believes. Its facts have the new
// quote and the reasons.
var ErrPriceChanged = &rule.Rejection{Code: "price-changed", Detail: "The cart does not cost what was expected. The member quote has what it costs now."}

// Reason is one difference between what a buyer believes and what is true.
type Reason struct {
	Code   ReasonCode  `json:"code"`
	Line   int         `json:"line,omitempty"`
	SKU    unit.SKU    `json:"sku,omitempty"`
	Method string      `json:"method_id,omitempty"`
	Coupon string      `json:"coupon,omitempty"`
	Why    string      `json:"why,omitempty"` // of a coupon, as in a preview
	Was    *unit.Money `json:"was,omitempty"`
	Is     *unit.Money `json:"is,omitempty"`
}

// ReasonCode says what a reason is about.
type ReasonCode string

// The codes.
const (
	LinePriceChanged ReasonCode = "price-changed"
	PriceMissing     ReasonCode = "price-missing"
	ProductRetired   ReasonCode = "product-retired"
	PromotionEnded   ReasonCode = "promotion-ended"
	CouponInvalid    ReasonCode = "coupon-invalid"
	ShippingChanged  ReasonCode = "shipping-changed"
	TaxChanged       ReasonCode = "tax-changed"
)

// PriceChanged is the refusal of a checkout whose cart costs something else than was expected.
// quote is nil if the cart has no price.
func PriceChanged(quote *pricing.Quote, reasons []Reason) *rule.Rejection {
	facts := map[string]any{"reasons": reasons}
	detail := "The cart cannot be sold as it is. The member reasons says why."
	if quote != nil {
		facts["quote"] = *quote
		detail = "The cart costs " + quote.Total.String() + " now, and something else was expected. The member quote has what it costs; send its hash to accept that."
	}
	return ErrPriceChanged.With(detail, facts)
}

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{ErrRefused, ErrOrderIDSpent, ErrDiffers, ErrPriceChanged}

// holdRefusals are the refusals of holds that a checkout passes on.
var holdRefusals = append(slices.Clone(promotion.Rejections), giftcard.Rejections...)

// Refusal is the refusal of a checkout, as its caller gets it. It is about the first hold that was
// refused, or else about the first item that is short. If there is neither, it is ErrRefused. Its
// facts have all holds and shortages.
func Refusal(shortages []cart.Shortage, holds []cart.HoldRefusal) *rule.Rejection {
	for _, h := range holds {
		if i := slices.IndexFunc(holdRefusals, func(r *rule.Rejection) bool { return r.Code == h.Reason }); i >= 0 {
			return holdRefusals[i].With(holdRefusals[i].Detail, map[string]any{"holds": holds})
		}
	}
	for _, s := range shortages {
		if s.Reason == stock.ErrInsufficient.Code {
			return stock.ErrInsufficient.With(
				fmt.Sprintf("%s: %d asked for, %d left.", s.SKU, s.Requested, s.Available),
				map[string]any{"sku": s.SKU, "requested": s.Requested, "available": s.Available, "shortages": shortages})
		}
	}
	return ErrRefused.With(ErrRefused.Detail, map[string]any{"shortages": shortages})
}
