// Package shares splits money without losing any of it. Amounts are whole minor units of one
// currency, such as cents.
//
// Allocate splits an amount over weights at one moment. A Pool gives away its units and its money
// over time, so that any order of takes ends at zero, also for each component of tax.
//
// The package knows neither orders nor prices.
package shares

import (
	"math/big"
	"math/bits"
	"slices"
)

// Round is amount * part / whole, rounded half away from zero. None is negative, whole is > 0,
// and the result must fit into 63 bits: it does if part <= whole.
func Round(amount, part, whole int64) int64 {
	quotient, rest := divide(amount, part, whole)
	if rest >= uint64(whole)-rest {
		quotient++
	}
	return int64(quotient)
}

// divide is amount * part / whole, rounded down, and the rest.
func divide(amount, part, whole int64) (quotient, rest uint64) {
	if amount < 0 || part < 0 || whole <= 0 {
		panic("shares: a negative amount, or a part of nothing") // a programmer's error
	}
	high, low := bits.Mul64(uint64(amount), uint64(part))
	return bits.Div64(high, low, uint64(whole))
}

// Allocate splits total in proportion to the weights, by the largest remainder: each gets its exact
// share rounded down, and the units left over go to the largest fractions, and among equal ones to
// the first. A weight of 0 gets 0. If total is at most the sum of the weights, no share is larger
// than its weight. Neither total nor a weight is negative; if all weights are 0, total must be 0.
func Allocate(total int64, weights []int64) []int64 {
	shares := make([]int64, len(weights))
	var sum int64
	for _, w := range weights {
		sum += w
	}
	if total == 0 {
		return shares
	}
	rests := make([]uint64, len(weights))
	left := total
	for i, w := range weights {
		quotient, rest := divide(total, w, sum)
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
	sum := Part{Units: p.Units + other.Units, Money: p.Money + other.Money, Tax: slices.Clone(p.Tax)}
	if sum.Tax == nil {
		sum.Tax = slices.Clone(other.Tax)
		return sum
	}
	for i, t := range other.Tax {
		sum.Tax[i] += t
	}
	return sum
}

func (p Part) minus(other Part) Part {
	rest := Part{Units: p.Units - other.Units, Money: p.Money - other.Money, Tax: slices.Clone(p.Tax)}
	for i, t := range other.Tax {
		rest.Tax[i] -= t
	}
	return rest
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
