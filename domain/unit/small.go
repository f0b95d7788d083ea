package unit

import (
	"strconv"

	"github.com/shopspring/decimal"
)

// A decimal can have any number of digits, and working with it allocates memory. Nearly all amounts
// have few digits. The functions of this file work with these as whole numbers, and leave all
// others to the library. The results are the same.

// powers are the powers of ten that 63 bits can have.
var powers = [...]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// maxSmall is how many digits a small decimal has at most, before and after the point.
const maxSmall = len(powers) - 1

// small is a decimal as a whole number and how many of its digits are after the point: 2.55 is 255
// and 2. It is false if there are too many digits.
func small(d decimal.Decimal) (coefficient int64, digits int32, ok bool) {
	digits = -d.Exponent()
	if digits < 0 || digits > int32(maxSmall) || d.NumDigits() > maxSmall {
		return 0, 0, false
	}
	return d.CoefficientInt64(), digits, true
}

// compare is -1, 0 or 1.
func compare(a, b decimal.Decimal) int {
	if a.Exponent() == b.Exponent() {
		return a.Cmp(b)
	}
	one, digitsOfOne, ok1 := small(a)
	other, digitsOfOther, ok2 := small(b)
	if !ok1 || !ok2 {
		return a.Cmp(b)
	}
	if digitsOfOne > digitsOfOther {
		return -compareScaled(other, one, powers[digitsOfOne-digitsOfOther], b, a)
	}
	return compareScaled(one, other, powers[digitsOfOther-digitsOfOne], a, b)
}

// compareScaled compares coarse times scale with fine. They are of the decimals a and b.
func compareScaled(coarse, fine, scale int64, a, b decimal.Decimal) int {
	const most = 1<<63 - 1
	if coarse > most/scale || coarse < -most/scale {
		return a.Cmp(b)
	}
	switch coarse *= scale; {
	case coarse < fine:
		return -1
	case coarse > fine:
		return 1
	}
	return 0
}

// add is a plus b.
func add(a, b decimal.Decimal) decimal.Decimal {
	if one, other, digits, ok := alike(a, b); ok {
		return decimal.New(one+other, -digits)
	}
	return a.Add(b)
}

// subtract is a minus b.
func subtract(a, b decimal.Decimal) decimal.Decimal {
	if one, other, digits, ok := alike(a, b); ok {
		return decimal.New(one-other, -digits)
	}
	return a.Sub(b)
}

// multiply is d times n.
func multiply(d decimal.Decimal, n int64) decimal.Decimal {
	const most = 1 << 31
	if coefficient, digits, ok := small(d); ok && -most < coefficient && coefficient < most && -most < n && n < most {
		return decimal.New(coefficient*n, -digits)
	}
	return d.Mul(decimal.NewFromInt(n))
}

// alike are two decimals as whole numbers, with the same number of digits after the point.
func alike(a, b decimal.Decimal) (one, other int64, digits int32, ok bool) {
	one, digitsOfOne, ok1 := small(a)
	other, digitsOfOther, ok2 := small(b)
	if !ok1 || !ok2 {
		return 0, 0, 0, false
	}
	digits = max(digitsOfOne, digitsOfOther)
	one, ok1 = scaled(one, powers[digits-digitsOfOne])
	other, ok2 = scaled(other, powers[digits-digitsOfOther])
	return one, other, digits, ok1 && ok2
}

// scaled is a number times a power of ten, if their product and the sum of two such products fit
// into 63 bits.
func scaled(n, scale int64) (product int64, ok bool) {
	const most = (1<<63 - 1) / 2
	if n > most/scale || n < -most/scale {
		return 0, false
	}
	return n * scale, true
}

// AppendAmount appends the amount as it is stored, like Amount.String(): "2.5" for 2.50.
func (m Money) AppendAmount(b []byte) []byte { return appendDecimal(b, m.Amount) }

// AppendText appends the rate as it is stored, like String.
func (p Percent) AppendText(b []byte) ([]byte, error) { return appendDecimal(b, p.value), nil }

func appendDecimal(b []byte, d decimal.Decimal) []byte {
	coefficient, digits, ok := small(d)
	if !ok {
		return append(b, d.String()...)
	}
	for ; digits > 0 && coefficient%10 == 0; digits-- {
		coefficient /= 10
	}
	if digits == 0 {
		return strconv.AppendInt(b, coefficient, 10)
	}
	if coefficient < 0 {
		b, coefficient = append(b, '-'), -coefficient
	}
	whole, fraction := coefficient/powers[digits], coefficient%powers[digits]
	b = append(strconv.AppendInt(b, whole, 10), '.')
	for at := digits - 1; at > 0 && fraction < powers[at]; at-- {
		b = append(b, '0')
	}
	return strconv.AppendInt(b, fraction, 10)
}
