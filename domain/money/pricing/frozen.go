package pricing

import (
	"slices"

	"daybook/domain/unit"
)

// Plain tells whether the quote says nothing that the lines do not say: each line costs its price
// times its units, rounded. An order then does not keep the quote. A quote with a gift card is not
// plain, because the order issues the cards that its quote names.
func (q Quote) Plain() bool {
	if q.Entity != "" || len(q.Charges) > 0 || len(q.Taxes) > 0 || q.Status != nil || len(q.Groups) > 0 {
		return false
	}
	return !slices.ContainsFunc(q.Lines, func(l PricedLine) bool {
		return l.GiftCard || len(l.Adjustments) > 0 || l.PriceList != "" || l.Override != nil && l.Override.Reason != ""
	})
}

// Without is what is left of a quote if stock has dropped some lines. They are treated as if they
// were canceled at once: every other line keeps its amounts, and so does shipping. Nothing is
// priced again.
func (q Quote) Without(dropped []int) Quote {
	if len(dropped) == 0 {
		return q
	}
	q.Lines = slices.DeleteFunc(slices.Clone(q.Lines), func(l PricedLine) bool { return slices.Contains(dropped, l.Line) })
	q.Net, q.Total = unit.Zero(q.Currency), unit.Zero(q.Currency)
	for _, l := range q.Lines {
		q.Net, q.Total = q.Net.Plus(l.Net), q.Total.Plus(l.Gross)
	}
	for _, c := range q.Charges {
		q.Net, q.Total = q.Net.Plus(c.Net), q.Total.Plus(c.Gross)
	}
	q.Taxes, q.Coupons = totals(q), couponsOf(q)
	q.Hash = q.hash()
	return q
}
