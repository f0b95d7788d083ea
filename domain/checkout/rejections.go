package checkout

import (
	"fmt"
	"slices"

	"daybook/domain/cart"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/promotion"
	"daybook/domain/rule"
	"daybook/domain/stock"
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

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{ErrRefused, ErrOrderIDSpent, ErrDiffers}

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
