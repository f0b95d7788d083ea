package pricing

import (
	"slices"

	"daybook/domain/money/shares"
	"daybook/domain/unit"
)

// Later is the price of a charge that is added to an order after it was placed. gross is what the
// buyer owes for it, with tax. It is taxed as the goods were: it is split over their sets of rates
// by their amounts, and each part has the rates that were frozen with the order. An order without a
// quote has no known tax.
func (q *Quote) Later(gross unit.Money) Priced {
	p := Priced{List: gross, Amount: gross, Net: gross, Gross: gross}
	minor, whole := gross.Minor()
	if q == nil || !whole {
		return p
	}
	type set struct {
		entries []TaxEntry
		weight  int64
	}
	var sets []set
	var sum int64
	for _, l := range q.Lines {
		weight, _ := l.Gross.Minor()
		if l.GiftCard || weight <= 0 {
			continue
		}
		sum += weight
		i := slices.IndexFunc(sets, func(s set) bool { return sameSet(s.entries, l.Tax) })
		if i < 0 {
			i = len(sets)
			sets = append(sets, set{entries: l.Tax})
		}
		sets[i].weight += weight
	}
	if sum == 0 {
		return p
	}
	weights := make([]int64, len(sets))
	for i, s := range sets {
		weights[i] = s.weight
	}
	var all int64
	for i, part := range shares.Allocate(minor, weights) {
		base := int64(unit.Whole)
		for _, e := range sets[i].entries {
			base += e.Rate.Millionths()
		}
		taxes, net := make([]int64, len(sets[i].entries)), part
		for j, e := range sets[i].entries {
			taxes[j] = shares.Round(part, e.Rate.Millionths(), base)
			net -= taxes[j]
		}
		all += part - net
		for j, e := range sets[i].entries {
			e.Base, e.Amount = unit.OfMinor(net, gross.Currency), unit.OfMinor(taxes[j], gross.Currency)
			p.Tax = append(p.Tax, e)
		}
	}
	p.Net = gross.Minus(unit.OfMinor(all, gross.Currency))
	if q.Mode == Exclusive {
		p.List, p.Amount = p.Net, p.Net
	}
	return p
}
