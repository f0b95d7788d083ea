package unit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"
)

// Currency is an ISO 4217 alphabetic code: "GBP".
type Currency string

// Money is an exact decimal amount of one currency. On the wire the amount is
// a string: {"amount":"2.55","currency":"GBP"}. Unit prices may have more
// digits than the currency; only an amount to be charged is rounded (Charge).
type Money struct {
	Amount   decimal.Decimal `json:"amount"`
	Currency Currency        `json:"currency"`
}

// maxMoneyDigits bounds amounts at the edge: enough for any shop, small enough
// that an exponent such as 1e999999 cannot eat the memory.
const maxMoneyDigits = 18

// maxSum is 1 with maxMoneyDigits zeros.
var maxSum = decimal.New(1, maxMoneyDigits)

// WithinLimit tells whether a sum has at most 18 digits before the point, as a
// single amount may have. So whatever was added up can be asked for, or given
// back, as one amount.
func (m Money) WithinLimit() bool { return m.Amount.Abs().LessThan(maxSum) }

// Abs is the amount without its sign.
func (m Money) Abs() Money { return Money{Amount: m.Amount.Abs(), Currency: m.Currency} }

// ParseAmount reads a plain decimal: at most 18 digits before and 6 after the
// point, no exponent.
func ParseAmount(text string) (decimal.Decimal, error) {
	digits, fraction, seenPoint := 0, 0, false
	for i, r := range text {
		switch {
		case r == '-' && i == 0:
		case r == '.' && !seenPoint:
			seenPoint = true
		case r >= '0' && r <= '9':
			if seenPoint {
				fraction++
			} else {
				digits++
			}
		default:
			return decimal.Zero, fmt.Errorf("amount %q: want a plain decimal such as 2.55", text)
		}
	}
	if digits == 0 || digits > maxMoneyDigits || fraction > 6 || seenPoint && fraction == 0 {
		return decimal.Zero, fmt.Errorf("amount %q: want 1 to %d digits and at most 6 after the point", text, maxMoneyDigits)
	}
	return decimal.NewFromString(text)
}

// ParseMoney reads an amount of a known currency.
func ParseMoney(amount, currency string) (Money, error) {
	code, err := ParseCurrency(currency)
	if err != nil {
		return Money{}, err
	}
	value, err := ParseAmount(amount)
	if err != nil {
		return Money{}, err
	}
	return Money{Amount: value, Currency: code}, nil
}

// Zero is no money of a currency.
func Zero(currency Currency) Money { return Money{Currency: currency} }

// ErrCurrencyMix means amounts of two currencies met.
var ErrCurrencyMix = errors.New("amounts of different currencies")

// Plus adds; both must be of one currency, which an aggregate has checked at
// its edge, so a mix is a programmer's error and panics.
func (m Money) Plus(other Money) Money {
	if m.Currency != other.Currency {
		panic(fmt.Errorf("%w: %s and %s", ErrCurrencyMix, m.Currency, other.Currency))
	}
	return Money{Amount: m.Amount.Add(other.Amount), Currency: m.Currency}
}

// Minus subtracts; see Plus.
func (m Money) Minus(other Money) Money { return m.Plus(other.Negated()) }

// Negated turns the sign.
func (m Money) Negated() Money { return Money{Amount: m.Amount.Neg(), Currency: m.Currency} }

// Times is the exact amount for a quantity.
func (m Money) Times(q Quantity) Money {
	return Money{Amount: m.Amount.Mul(decimal.NewFromInt(int64(q))), Currency: m.Currency}
}

// Compare orders amounts of one currency.
func (m Money) Compare(other Money) int { return m.Minus(other).Amount.Sign() }

// Equal compares value and currency; 2.5 equals 2.50.
func (m Money) Equal(other Money) bool {
	return m.Currency == other.Currency && m.Amount.Equal(other.Amount)
}

// Sign is -1, 0 or 1.
func (m Money) Sign() int { return m.Amount.Sign() }

// Charge rounds to the currency's digits, half away from zero, as merchants
// do: the amount that can really be paid.
func (m Money) Charge() Money {
	return Money{Amount: m.Amount.Round(m.Currency.Digits()), Currency: m.Currency}
}

// String is for people and logs: "7.50 GBP". It is no canonical form: events and what is
// derived from an amount hold Amount.String().
func (m Money) String() string { return m.Currency.Text(m.Amount) + " " + string(m.Currency) }

// Text writes an amount of the currency as answers show it: with the currency's digits
// ("7.50" of GBP, "7" of JPY), and with more where the amount is finer ("0.0025"). An
// amount of no currency has the digits that it needs.
func (c Currency) Text(amount decimal.Decimal) string {
	plain := amount.String()
	if c == "" {
		return plain
	}
	_, fraction, _ := strings.Cut(plain, ".")
	return amount.StringFixed(max(c.Digits(), int32(len(fraction)))) //nolint:gosec // a text's length
}
