package problem

import (
	"daybook/domain/cart"
	"daybook/internal/resource"
)

type promotionFacts struct {
	PromotionID string `json:"promotion_id"`
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
