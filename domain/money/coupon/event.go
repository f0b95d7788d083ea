// Package coupon is the code of a coupon. Each code has a stream of its own, which is the referee
// of whose code it is: a code belongs to one promotion at a time, whoever asks at the same time.
// Which promotions there are, and what they do, is in packages promotion and pricing.
package coupon

import (
	"fmt"

	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Category starts the names of the streams of codes.
const Category = "coupon"

// Stream names the stream of a code in the form of Fold. The name does not show the code.
func Stream(code string) string { return Category + "-" + unit.CouponCode.Of(code).ID() }

// MaxCode is how many characters a code may have, without blanks and hyphens.
const MaxCode = 64

// Fold reads a code as given and makes it the only form in which codes are compared: in capital
// letters, without blanks and hyphens. "spring-10" and "SPRING 10" are one code. A code has letters
// and digits of ASCII, underscores and dots, so that it can be printed and typed anywhere.
func Fold(text string) (string, error) {
	code := pricing.FoldCode(text)
	if code == "" || len(code) > MaxCode {
		return "", fmt.Errorf("code of %d characters: want 1 to %d, not counting blanks and hyphens", len(code), MaxCode)
	}
	for _, r := range code {
		if (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '.' {
			return "", fmt.Errorf("code %q: %q is not allowed; want letters and digits of ASCII, '_' and '.'", text, r)
		}
	}
	return code, nil
}

// Event is what can have happened to a code. The wire names in codec.go are storage format: they
// are versioned, never renamed.
//
//sumtype:decl
type Event interface{ couponEvent() }

// Given gives a code to a promotion.
type Given struct {
	Code      string `json:"code" class:"open"` // as Fold makes it
	Promotion string `json:"promotion_id" class:"open"`
}

// Withdrawn takes the code back from the promotion that has it. Then another one can get it.
type Withdrawn struct {
	Code      string `json:"code" class:"open"`
	Promotion string `json:"promotion_id" class:"open"`
}

func (Given) couponEvent()     {}
func (Withdrawn) couponEvent() {}
