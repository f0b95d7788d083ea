package pricing

import (
	"cmp"
	"math/big"
	"math/bits"
	"slices"

	"daybook/domain/money/shares"
	"daybook/domain/unit"
)

// buyXGetY makes disjoint sets of the eligible units: n = units / (X+Y), at most MaxSets. The n*Y
// cheapest units are free (or cheaper by a percentage), and the n*X dearest are those bought. The
// discount is spread over all units of the sets by their price, so that a unit that comes back
// gives back a fair share; with OnFreeUnits, over the free ones only.
func (p *pricing) buyXGetY(by source) int64 {
	promo := by.promo
	buy, get := promo.Action.Buy, promo.Action.Get
	var units unit.Quantity
	var left int64
	var lines []*priced
	for i := range p.lines {
		if l := &p.lines[i]; p.mayTake(promo, l) {
			lines = append(lines, l)
			units += l.item.Quantity
			left += l.amount
		}
	}
	if buy <= 0 || get <= 0 || left == 0 {
		return 0
	}
	sets := units / (buy + get)
	if promo.Action.MaxSets > 0 {
		sets = min(sets, promo.Action.MaxSets)
	}
	if sets == 0 {
		return 0
	}
	dear := slices.Clone(lines)
	slices.SortStableFunc(dear, func(a, b *priced) int { return -compareUnits(a, b) })
	bought := takeUnits(dear, sets*buy)
	slices.Reverse(dear)
	free := takeUnits(dear, sets*get)

	rate := int64(unit.Whole)
	if promo.Action.Percent.Sign() > 0 {
		rate = min(promo.Action.Percent.Millionths(), unit.Whole)
	}
	worth, common := worths(lines, free)
	off := roundSum(worth, rate, new(big.Int).Mul(common, big.NewInt(unit.Whole)))

	// Those who get a share, by the worth of their units.
	inSets := free
	if !promo.Action.OnFreeUnits {
		inSets = make(map[*priced]unit.Quantity, len(lines))
		for _, l := range lines {
			inSets[l] = free[l] + bought[l]
		}
	}
	weights, _ := worths(lines, inSets)
	by.sets = sets
	var taken int64
	for i, share := range shares.AllocateExact(off, weights) {
		l := lines[i]
		share = min(share, l.amount)
		p.takeOff(l, share, l.amount, by)
		taken += share
	}
	return taken
}

// compareUnits compares what one unit of two lines is worth now.
func compareUnits(a, b *priced) int {
	ah, al := bits.Mul64(uint64(a.amount), uint64(b.item.Quantity))
	bh, bl := bits.Mul64(uint64(b.amount), uint64(a.item.Quantity))
	return cmp.Or(cmp.Compare(ah, bh), cmp.Compare(al, bl))
}

// takeUnits takes units from the first lines on.
func takeUnits(lines []*priced, units unit.Quantity) map[*priced]unit.Quantity {
	taken := make(map[*priced]unit.Quantity, len(lines))
	for _, l := range lines {
		taken[l] = min(units, l.item.Quantity)
		units -= taken[l]
	}
	return taken
}

// worths are what some units of each line are worth, as numerators over one common denominator.
func worths(lines []*priced, units map[*priced]unit.Quantity) (numerators []*big.Int, common *big.Int) {
	common = big.NewInt(1)
	for _, l := range lines {
		q := big.NewInt(int64(l.item.Quantity))
		common.Mul(common, q.Quo(q, new(big.Int).GCD(nil, nil, common, q)))
	}
	numerators = make([]*big.Int, len(lines))
	for i, l := range lines {
		n := new(big.Int).Mul(big.NewInt(l.amount), big.NewInt(int64(units[l])))
		numerators[i] = n.Mul(n, new(big.Int).Quo(common, big.NewInt(int64(l.item.Quantity))))
	}
	return numerators, common
}

// roundSum is the sum of the numerators, times factor, over the denominator, rounded half up.
func roundSum(numerators []*big.Int, factor int64, denominator *big.Int) int64 {
	sum := new(big.Int)
	for _, n := range numerators {
		sum.Add(sum, n)
	}
	return roundQuotient(sum.Mul(sum, big.NewInt(factor)), denominator)
}

// roundQuotient rounds half up. Nothing is negative.
func roundQuotient(numerator, denominator *big.Int) int64 {
	twice := new(big.Int).Lsh(numerator, 1)
	twice.Add(twice, denominator)
	return twice.Quo(twice, new(big.Int).Lsh(denominator, 1)).Int64()
}
