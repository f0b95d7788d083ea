package unit

import (
	"errors"
	"fmt"
	"slices"

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

// maxMoneyDigits bounds the digits of amounts that come from outside. It is enough for any
// shop. Without it, an amount such as 1e999999 could fill the memory.
const maxMoneyDigits = 18

// maxSum is 1 with maxMoneyDigits zeros.
var maxSum = decimal.New(1, maxMoneyDigits)

// WithinLimit tells whether a sum has at most 18 digits before the point, which is also the
// limit of a single amount. So each sum can be requested or refunded as one amount.
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

// Zero is the amount 0 in a currency.
func Zero(currency Currency) Money { return Money{Currency: currency} }

// ErrCurrencyMix means that amounts of two currencies were added or compared.
var ErrCurrencyMix = errors.New("amounts of different currencies")

// Plus adds two amounts. Both must have the same currency: an aggregate has checked that
// before. Two currencies are a programmer's error, and Plus panics.
func (m Money) Plus(other Money) Money {
	if m.Currency != other.Currency {
		panic(fmt.Errorf("%w: %s and %s", ErrCurrencyMix, m.Currency, other.Currency))
	}
	return Money{Amount: add(m.Amount, other.Amount), Currency: m.Currency}
}

// Minus subtracts; see Plus.
func (m Money) Minus(other Money) Money {
	if m.Currency != other.Currency {
		panic(fmt.Errorf("%w: %s and %s", ErrCurrencyMix, m.Currency, other.Currency))
	}
	return Money{Amount: subtract(m.Amount, other.Amount), Currency: m.Currency}
}

// Negated is the amount with the other sign.
func (m Money) Negated() Money { return Money{Amount: m.Amount.Neg(), Currency: m.Currency} }

// Times is the exact amount for a quantity.
func (m Money) Times(q Quantity) Money {
	return Money{Amount: multiply(m.Amount, int64(q)), Currency: m.Currency}
}

// Compare orders amounts of one currency; see Plus.
func (m Money) Compare(other Money) int {
	if m.Currency != other.Currency {
		panic(fmt.Errorf("%w: %s and %s", ErrCurrencyMix, m.Currency, other.Currency))
	}
	return compare(m.Amount, other.Amount)
}

// Equal compares value and currency; 2.5 equals 2.50.
func (m Money) Equal(other Money) bool {
	return m.Currency == other.Currency && compare(m.Amount, other.Amount) == 0
}

// Sign is -1, 0 or 1.
func (m Money) Sign() int { return m.Amount.Sign() }

// Charge rounds to the currency's digits, half away from zero, as merchants do. The result is
// an amount that can really be paid.
func (m Money) Charge() Money {
	if _, digits, ok := small(m.Amount); ok && digits <= m.Currency.Digits() {
		return m
	}
	return Money{Amount: m.Amount.Round(m.Currency.Digits()), Currency: m.Currency}
}

// TooFine tells whether the amount has more digits than the currency, so that nobody can pay it.
func (m Money) TooFine() bool {
	if _, digits, ok := small(m.Amount); ok && digits <= m.Currency.Digits() {
		return false
	}
	return !m.Amount.Equal(m.Charge().Amount)
}

// MaxMinor bounds amounts in minor units, so that sums of a thousand of them fit into 63 bits.
const MaxMinor = 1_000_000_000_000_000

// Minor is the amount in the smallest units of its currency: 7.50 GBP is 750. It is false if the
// amount is finer than that, or larger than MaxMinor.
func (m Money) Minor() (int64, bool) {
	if coefficient, digits, ok := small(m.Amount); ok && digits <= m.Currency.Digits() {
		shifted := powers[m.Currency.Digits()-digits]
		if -MaxMinor/shifted <= coefficient && coefficient <= MaxMinor/shifted {
			return coefficient * shifted, true
		}
		return 0, false
	}
	shifted := m.Amount.Shift(m.Currency.Digits())
	if !shifted.IsInteger() || shifted.Abs().GreaterThan(decimal.NewFromInt(MaxMinor)) {
		return 0, false
	}
	return shifted.IntPart(), true
}

// OfMinor is the amount of some smallest units of a currency: 750 of GBP is 7.50.
func OfMinor(minor int64, currency Currency) Money {
	return Money{Amount: decimal.New(minor, -currency.Digits()), Currency: currency}
}

// Ceiling is the smallest whole number that is not below the amount, at most MaxMinor.
func (m Money) Ceiling() int64 {
	return decimal.Min(m.Amount.Ceil(), decimal.NewFromInt(MaxMinor)).IntPart()
}

// String is for people and logs: "7.50 GBP". It is not for storage: events, and ids that are
// derived from an amount, use Amount.String().
func (m Money) String() string { return m.Currency.Text(m.Amount) + " " + string(m.Currency) }

// Text writes an amount of the currency as answers show it: with the currency's digits
// ("7.50" for GBP, "7" for JPY), and with more digits if the amount has more ("0.0025").
// Without a currency it writes as many digits as the amount needs.
func (c Currency) Text(amount decimal.Decimal) string {
	var buffer [32]byte
	text := appendDecimal(buffer[:0], amount)
	if c == "" {
		return string(text)
	}
	missing := int(c.Digits())
	if point := slices.Index(text, '.'); point >= 0 {
		missing -= len(text) - point - 1
	} else if missing > 0 {
		text = append(text, '.')
	}
	if missing > 0 {
		text = append(text, "000000"[:missing]...)
	}
	return string(text)
}
