// Package shares splits money without losing any of it. Amounts are whole minor units of one
// currency, such as cents.
//
// Allocate splits an amount over weights at one moment. A Pool gives away its units and its money
// over time, so that any order of takes ends at zero, also for each component of tax.
//
// The package knows neither orders nor prices.
package shares

import (
	"math"
	"math/big"
	"math/bits"
	"slices"
)

// Round is amount * part / whole, rounded half away from zero. It is 0 if whole is 0, and the
// nearest number that 63 bits can hold if the result is larger: old events may have any amounts,
// and a fold never fails.
func Round(amount, part, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	quotient, rest := divide(size(amount), size(part), size(whole))
	if half := size(whole) - rest; rest >= half {
		quotient++
	}
	rounded := int64(min(quotient, math.MaxInt64))
	if (amount < 0) != (part < 0) != (whole < 0) {
		return -rounded
	}
	return rounded
}

// size is a number without its sign.
func size(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// divide is amount * part / whole, rounded down, and the rest. A quotient that does not fit is the
// largest one, without a rest.
func divide(amount, part, whole uint64) (quotient, rest uint64) {
	high, low := bits.Mul64(amount, part)
	if high >= whole {
		return math.MaxInt64, 0
	}
	quotient, rest = bits.Div64(high, low, whole)
	if quotient > math.MaxInt64 {
		return math.MaxInt64, 0
	}
	return quotient, rest
}

// Allocate splits total in proportion to the weights, by the largest remainder: each gets its exact
// share rounded down, and the units left over go to the largest fractions, and among equal ones to
// the first. A weight of 0 or less gets 0. If total is at most the sum of the weights, no share is
// larger than its weight. If there is nothing to split, or no weight to split it by, each gets 0.
func Allocate(total int64, weights []int64) []int64 {
	shares := make([]int64, len(weights))
	var sum int64
	for _, w := range weights {
		sum += max(0, w)
	}
	if total <= 0 || sum <= 0 {
		return shares
	}
	rests := make([]uint64, len(weights))
	left := total
	for i, w := range weights {
		quotient, rest := divide(uint64(total), uint64(max(0, w)), uint64(sum))
		shares[i], rests[i] = int64(quotient), rest
		left -= shares[i]
	}
	giveRest(shares, left, func(i, j int) bool { return rests[i] > rests[j] }, func(i int) bool { return rests[i] > 0 })
	return shares
}

// AllocateExact is Allocate with weights of any size, such as amounts that are divided by different
// numbers and were brought to one denominator.
func AllocateExact(total int64, weights []*big.Int) []int64 {
	shares := make([]int64, len(weights))
	if total == 0 {
		return shares
	}
	sum := new(big.Int)
	for _, w := range weights {
		sum.Add(sum, w)
	}
	rests := make([]*big.Int, len(weights))
	left := total
	for i, w := range weights {
		share := new(big.Int).Mul(big.NewInt(total), w)
		share, rests[i] = share.QuoRem(share, sum, new(big.Int))
		shares[i] = share.Int64()
		left -= shares[i]
	}
	giveRest(shares, left, func(i, j int) bool { return rests[i].Cmp(rests[j]) > 0 }, func(i int) bool { return rests[i].Sign() > 0 })
	return shares
}

// giveRest gives one unit each to the shares with the largest rests. There are fewer units left
// than shares with a rest.
func giveRest(shares []int64, left int64, larger func(i, j int) bool, rest func(i int) bool) {
	given := make([]bool, len(shares))
	for ; left > 0; left-- {
		best := -1
		for i := range shares {
			if !given[i] && rest(i) && (best < 0 || larger(i, best)) {
				best = i
			}
		}
		if best < 0 { // only if the sum of the weights did not fit into 63 bits
			return
		}
		given[best] = true
		shares[best]++
	}
}

// Part is some units and their money. Money contains the tax.
type Part struct {
	Units int64   `json:"n,omitzero"`
	Money int64   `json:"m,omitzero"`
	Tax   []int64 `json:"t,omitempty"` // of each component, in an order that the caller keeps
}

// Plus adds two parts with the same components of tax. A part without tax has 0 of each.
func (p Part) Plus(other Part) Part {
	return p.with(other, 1)
}

func (p Part) minus(other Part) Part {
	return p.with(other, -1)
}

func (p Part) with(other Part, sign int64) Part {
	sum := Part{Units: p.Units + sign*other.Units, Money: p.Money + sign*other.Money, Tax: slices.Clone(p.Tax)}
	for i, t := range other.Tax {
		if i == len(sum.Tax) {
			sum.Tax = append(sum.Tax, 0)
		}
		sum.Tax[i] += sign * t
	}
	return sum
}

// TaxSum is the tax of all components.
func (p Part) TaxSum() int64 {
	var sum int64
	for _, t := range p.Tax {
		sum += t
	}
	return sum
}

// IsZero tells whether nothing is there.
func (p Part) IsZero() bool {
	return p.Units == 0 && p.Money == 0 && !slices.ContainsFunc(p.Tax, func(t int64) bool { return t != 0 })
}

// Equal compares two parts; a component that is absent is 0.
func (p Part) Equal(other Part) bool {
	if p.Units != other.Units || p.Money != other.Money {
		return false
	}
	for i := range max(len(p.Tax), len(other.Tax)) {
		if at(p.Tax, i) != at(other.Tax, i) {
			return false
		}
	}
	return true
}

func at(list []int64, i int) int64 {
	if i < len(list) {
		return list[i]
	}
	return 0
}
