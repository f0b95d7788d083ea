package payments

import (
	"fmt"

	"github.com/shopspring/decimal"

	"daybook/domain/unit"
)

// FromMinor is an amount that a provider counts in its smallest unit, such as cents. digits is how
// many digits after the point that unit has at this provider. Usually it is Currency.Digits. It is
// another number at some providers and for some currencies: Stripe counts ISK in hundredths.
func FromMinor(amount int64, currency unit.Currency, digits int32) unit.Money {
	return unit.Money{Amount: decimal.New(amount, -digits), Currency: currency}
}

// ToMinor is the amount in the provider's smallest unit. It is never rounded: an amount that is
// finer or too large is an error.
func ToMinor(m unit.Money, digits int32) (int64, error) {
	shifted := m.Amount.Shift(digits)
	if !shifted.IsInteger() {
		return 0, fmt.Errorf("%s is finer than the provider can pay", m)
	}
	if !shifted.BigInt().IsInt64() {
		return 0, fmt.Errorf("%s is more than the provider can pay", m)
	}
	return shifted.IntPart(), nil
}
