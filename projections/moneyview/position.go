// Package moneyview has the tables of the reports about money: orders taken, promotions, taxes and
// payments. They are tables of the view of orders, because that view has the fold of each order
// before and after an event. So the reports cost no row of their own for an order.
//
// A row is a sum of differences. What an order's money amounts to at one moment is a pure function
// of its fold (goodsOf, paymentsOf). Each event books the difference that it makes, on its own day.
// So the sums of the rows are what the orders amount to, whatever has happened to them.
package moneyview

import (
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"daybook/domain/money/pricing"
	"daybook/domain/money/shares"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/projections"
)

// party is what all rows of an order have in common.
type party struct{ entity, channel, country, groups, currency string }

func partyOf(s order.State, channel string) party {
	p := party{channel: projections.Key(channel), country: projections.Key(s.Country), currency: string(s.Currency())}
	if s.Quote != nil {
		p.entity, p.groups = projections.Key(s.Quote.Entity), projections.Key(strings.Join(s.Quote.Groups, ","))
		if place := s.Quote.ShipTo.Country; place != "" {
			p.country = projections.Key(place)
		}
	}
	return p
}

// Charges that are not of a quote.
const (
	// Unassigned is what belongs to no line: the rounding of an order whose sum alone is rounded,
	// and credits that name no line.
	Unassigned = "unassigned"
	// Difference is what was written off or kept.
	Difference = "difference"
)

// item is what was sold: a SKU, or a charge such as shipping.
type item struct{ sku, charge string }

// amounts are what is left of an item. List and discount are shares of what was frozen with the
// order. Net and tax are what is left of its money.
type amounts struct {
	units                    int64
	list, discount, net, tax decimal.Decimal
}

func (a amounts) plus(b amounts) amounts {
	return amounts{a.units + b.units, a.list.Add(b.list), a.discount.Add(b.discount), a.net.Add(b.net), a.tax.Add(b.tax)}
}

func (a amounts) negated() amounts {
	return amounts{-a.units, a.list.Neg(), a.discount.Neg(), a.net.Neg(), a.tax.Neg()}
}

func (a amounts) isZero() bool {
	return a.units == 0 && a.list.IsZero() && a.discount.IsZero() && a.net.IsZero() && a.tax.IsZero()
}

// promoted is what a promotion took off an item.
type promoted struct {
	item
	promotion, code string
}

// taxed is one component of tax at one rate.
type taxed struct{ component, place, rate, treatment string }

// taxAmount is a tax and what it is a tax of.
type taxAmount struct{ base, tax decimal.Decimal }

func (t taxAmount) plus(u taxAmount) taxAmount {
	return taxAmount{t.base.Add(u.base), t.tax.Add(u.tax)}
}
func (t taxAmount) negated() taxAmount { return taxAmount{t.base.Neg(), t.tax.Neg()} }
func (t taxAmount) isZero() bool       { return t.base.IsZero() && t.tax.IsZero() }

// off is what was taken off.
type off struct{ amount decimal.Decimal }

func (o off) plus(p off) off { return off{o.amount.Add(p.amount)} }
func (o off) negated() off   { return off{o.amount.Neg()} }
func (o off) isZero() bool   { return o.amount.IsZero() }

// goods is what an order's lines and charges amount to. The lists may name a key several times.
type goods struct {
	items      []row[item, amounts]
	promotions []row[promoted, off]
	taxes      []row[taxed, taxAmount]
}

type row[K comparable, V any] struct {
	key   K
	value V
}

// goodsOf is what is left of an order's lines and charges.
func goodsOf(s order.State) (g goods) {
	if !s.Exists() {
		return g
	}
	if !s.Accounts {
		g.exact(s)
		return g
	}
	for i, l := range s.Lines {
		of := item{sku: string(l.SKU)}
		if s.Quote == nil || i >= len(s.Quote.Lines) {
			left := l.Account.Left()
			list := l.Price.Times(l.Quantity).Charge().Amount
			g.items = append(g.items, row[item, amounts]{of, amounts{
				units: left.Units, list: share(list, left.Units, int64(l.Quantity), s.Currency()), net: minor(left.Money, s.Currency()),
			}})
			continue
		}
		g.priced(s.Currency(), of, int64(l.Quantity), l.Account.Left(), s.Quote.Lines[i].Priced)
	}
	for i, c := range s.Charges {
		switch {
		case c.Added != nil:
			g.priced(s.Currency(), item{charge: string(c.Added.Kind)}, 1, c.Account.Left(), c.Added.Priced)
		case s.Quote != nil && i < len(s.Quote.Charges):
			g.priced(s.Currency(), item{charge: projections.Key(s.Quote.Charges[i].Kind)}, 1, c.Account.Left(), s.Quote.Charges[i].Priced)
		}
	}
	return g
}

// priced adds a line or charge of a quote.
func (g *goods) priced(currency unit.Currency, of item, units int64, left shares.Part, p pricing.Priced) {
	tax := left.TaxSum()
	a := amounts{
		units: left.Units, list: share(p.List.Amount, left.Units, units, currency),
		net: minor(left.Money-tax, currency), tax: minor(tax, currency),
	}
	for _, adjustment := range p.Adjustments {
		taken := share(adjustment.Amount.Amount, left.Units, units, currency)
		a.discount = a.discount.Add(taken)
		g.promotions = append(g.promotions, row[promoted, off]{
			promoted{of, projections.Key(adjustment.Promotion), projections.Key(adjustment.Code)}, off{taken},
		})
	}
	g.items = append(g.items, row[item, amounts]{of, a})
	baseOf := basesOf(left.Money-tax, p, currency)
	for i, t := range p.Tax {
		var amount int64
		if i < len(left.Tax) {
			amount = left.Tax[i]
		}
		g.taxes = append(g.taxes, row[taxed, taxAmount]{
			taxed{projections.Key(t.Component), projections.Key(t.Place), t.Rate.String(), string(t.Treatment)},
			taxAmount{baseOf(t.Class), minor(amount, currency)},
		})
	}
}

// basesOf splits what is left of a net amount over the tax classes of a line or charge, by what
// they were taxed on when the order was placed. Lines have one class. A charge that is taxed as
// the goods may have several.
func basesOf(net int64, p pricing.Priced, currency unit.Currency) func(class string) decimal.Decimal {
	if len(p.Tax) == 0 || !slices.ContainsFunc(p.Tax, func(t pricing.TaxEntry) bool { return t.Class != p.Tax[0].Class }) {
		whole := minor(net, currency)
		return func(string) decimal.Decimal { return whole }
	}
	var classes []string
	var weights []int64
	var sum int64
	for _, t := range p.Tax {
		if slices.Contains(classes, t.Class) {
			continue
		}
		weight, _ := t.Base.Minor()
		classes, weights, sum = append(classes, t.Class), append(weights, weight), sum+weight
	}
	bases := make(map[string]decimal.Decimal, len(classes))
	if net < 0 || sum == 0 {
		bases[classes[0]] = minor(net, currency)
	} else {
		for i, part := range shares.Allocate(net, weights) {
			if i < len(classes) {
				bases[classes[i]] = minor(part, currency)
			}
		}
	}
	return func(class string) decimal.Decimal { return bases[class] }
}

// exact adds the lines of an order that has no accounts: of an older program or an import.
func (g *goods) exact(s order.State) {
	rest := s.Total.Charge().Amount.Sub(s.Credited.Amount)
	for _, l := range s.Lines {
		units := l.Quantity - l.Canceled
		worth := l.Price.Times(units).Amount
		for _, credit := range s.Credits {
			for _, back := range credit.Lines {
				if back.Line == l.Number {
					units -= back.Quantity
					worth = worth.Sub(back.Worth.Amount)
				}
			}
		}
		rest = rest.Sub(worth)
		g.items = append(g.items, row[item, amounts]{item{sku: string(l.SKU)}, amounts{units: int64(units), list: worth, net: worth}})
	}
	if !rest.IsZero() {
		g.items = append(g.items, row[item, amounts]{item{charge: Unassigned}, amounts{net: rest}})
	}
}

// share is the part of an amount that belongs to the units that are left.
func share(amount decimal.Decimal, left, of int64, currency unit.Currency) decimal.Decimal {
	whole, ok := unit.Money{Amount: amount, Currency: currency}.Minor()
	if !ok || of <= 0 || whole < 0 || left < 0 || left > of {
		return amount
	}
	return minor(whole-shares.Round(whole, of-left, of), currency)
}

func minor(amount int64, currency unit.Currency) decimal.Decimal {
	return unit.OfMinor(amount, currency).Amount
}

// sum is what the items amount to.
func (g goods) sum() decimal.Decimal {
	var sum decimal.Decimal
	for _, r := range g.items {
		sum = sum.Add(r.value.net).Add(r.value.tax)
	}
	return sum
}

// payment is what moved money, and by which way.
type payment struct{ provider, tender, kind, purpose string }

// Lost is money that was written off although the order never owed it.
const Lost = "lost"

// moved counts movements and adds them up.
type moved struct {
	count  int64
	amount decimal.Decimal
}

func (m moved) plus(n moved) moved { return moved{m.count + n.count, m.amount.Add(n.amount)} }
func (m moved) negated() moved     { return moved{-m.count, m.amount.Neg()} }
func (m moved) isZero() bool       { return m.count == 0 && m.amount.IsZero() }

// paymentsOf are the transactions of an order that moved money.
func paymentsOf(s order.State) (all []row[payment, moved]) {
	for _, t := range s.Transactions {
		if t.State != order.Succeeded || t.Amount.Currency != s.Currency() {
			continue
		}
		switch t.Type {
		case order.Capture, order.Refund, order.Chargeback, order.Reversal:
			key := payment{provider: projections.Key(t.Provider), tender: string(t.Tender), kind: string(t.Type)}
			if t.Type == order.Refund {
				key.purpose = purposeOf(t)
			}
			all = append(all, row[payment, moved]{key, moved{1, t.Amount.Amount}})
		case order.Authorize, order.Void, order.Dispute:
		}
	}
	if s.Lost.Sign() != 0 {
		all = append(all, row[payment, moved]{payment{kind: Lost}, moved{1, s.Lost.Amount}})
	}
	return all
}

func purposeOf(t order.Transaction) string {
	if t.Purpose == order.Compensation {
		return string(order.Compensation)
	}
	return string(order.Settlement)
}

// differencesOf is what makes what an order owes differ from what its items amount to, by kind. of
// are the items.
func differencesOf(s order.State, of goods) []row[string, amounts] {
	if !s.Exists() {
		return nil
	}
	writtenOff, gain := s.WrittenOff.Amount.Neg(), s.KeptAsGain.Amount
	beyond := s.Owed().Amount.Sub(of.sum()).Sub(writtenOff).Sub(gain)
	return []row[string, amounts]{{WrittenOff, amounts{net: writtenOff}}, {Gain, amounts{net: gain}}, {Beyond, amounts{net: beyond}}}
}
