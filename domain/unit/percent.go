package unit

import (
	"fmt"

	"github.com/shopspring/decimal"
)

// Percent is an exact rate in percent: 21 is 21 %, and 9.975 is 9.975 %. On the wire it is a
// string: "9.975".
type Percent struct{ value decimal.Decimal }

// MaxPercent is the largest rate that may be requested.
const MaxPercent = 1000

// ParsePercent reads a plain decimal from 0 to 1000 with at most 6 digits after the point.
func ParsePercent(text string) (Percent, error) {
	value, err := ParseAmount(text)
	if err != nil || value.Sign() < 0 || value.GreaterThan(decimal.NewFromInt(MaxPercent)) {
		return Percent{}, fmt.Errorf("percent %q: want 0 to %d, at most 6 digits after the point", text, MaxPercent)
	}
	return Percent{value}, nil
}

// Plus adds two rates.
func (p Percent) Plus(other Percent) Percent { return Percent{p.value.Add(other.value)} }

// Compare is -1, 0 or 1.
func (p Percent) Compare(other Percent) int { return p.value.Cmp(other.value) }

// Sign is -1, 0 or 1.
func (p Percent) Sign() int { return p.value.Sign() }

// Equal compares values; 21 equals 21.0.
func (p Percent) Equal(other Percent) bool { return p.value.Equal(other.value) }

// String is the rate without the sign for percent: "9.975".
func (p Percent) String() string { return string(appendDecimal(nil, p.value)) }

// MarshalText writes the stored form.
func (p Percent) MarshalText() ([]byte, error) { return p.AppendText(nil) }

// UnmarshalText reads the stored form.
func (p *Percent) UnmarshalText(text []byte) error {
	value, err := decimal.NewFromString(string(text))
	if err != nil {
		return fmt.Errorf("percent %q: %w", text, err)
	}
	p.value = value
	return nil
}

// IsZero lets codecs leave out a rate of 0.
func (p Percent) IsZero() bool { return p.value.IsZero() }

// Of is the exact part of an amount: 21 % of 100.00 is 21.00. It is not rounded.
func (p Percent) Of(m Money) Money {
	return Money{Amount: m.Amount.Mul(p.value).Shift(-2), Currency: m.Currency}
}

// Whole is what Millionths gives for 100 %.
const Whole = 100_000_000

// Millionths is the rate in millionths of a percent: 21 % is 21,000,000. Digits beyond the sixth
// are cut off; ParsePercent allows none.
func (p Percent) Millionths() int64 { return p.value.Shift(6).IntPart() }
