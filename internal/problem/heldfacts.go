package problem

import (
	"daybook/domain/cart"
	"daybook/internal/resource"
)

type promotionFacts struct {
	PromotionID string `json:"promotion_id"`
}

type quoteSizeFacts struct {
	Lines int `json:"lines" doc:"How many lines the cart has." example:"1200"`
	Rules int `json:"rules" doc:"How many price lists and promotions may apply." example:"2000"`
	Limit int `json:"limit" doc:"What lines times rules may be." example:"1000000"`
}

type codeFacts struct {
	Code        string `json:"code"`
	PromotionID string `json:"promotion_id"`
}

type backFacts struct {
	Limit     resource.Money `json:"limit"`
	Requested resource.Money `json:"requested"`
}

// holdsFacts are those of a checkout that could not hold a promotion or a gift card.
type holdsFacts struct {
	Unheld []cart.HoldRefusal `json:"holds,omitempty"`
}

// cardShortFacts are those of a checkout for which a gift card has too little. The amounts are left
// out if other holds were refused, too.
type cardShortFacts struct {
	holdsFacts
	Available *resource.Money `json:"available,omitempty" doc:"What the gift card has left."`
	Requested *resource.Money `json:"requested,omitempty" doc:"What it was asked for."`
}
