package verify

import (
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"daybook/domain/order"
	"daybook/domain/unit"
)

// This file reads the quote that an order froze, and checks each of its equations with code of its
// own.

// quote is what an order froze when it was placed.
type quote struct {
	entity, groups, country string
	inclusive               bool // list prices contain tax
	byLine                  bool // each line's tax is rounded by itself
	lines                   []quotedLine
	charges                 []quotedCharge
	taxes                   []taxEntry
	net, total              unit.Money
}

type quotedLine struct {
	number   int
	sku      unit.SKU
	quantity unit.Quantity
	price    unit.Money
	giftCard bool
	priced
}

type quotedCharge struct {
	number int
	kind   string
	priced
}

// priced is the money of a line or charge.
type priced struct {
	list, amount, net, gross decimal.Decimal
	adjustments              []adjusted
	taxes                    []taxEntry
	foreign                  string // an amount in another currency; empty: there is none
}

type adjusted struct {
	promotion, code string
	amount          decimal.Decimal
}

type taxEntry struct {
	component, place, class, rate, treatment string
	percent                                  decimal.Decimal
	base, amount                             decimal.Decimal
}

// key is what makes a component: one authority, one rate, one treatment.
func (t taxEntry) key() [3]string { return [3]string{t.component, t.rate, t.treatment} }

// standardRate is the treatment of an amount that is taxed.
const standardRate = "standard"

// quoteOf reads the quote of an order.
func quoteOf(p order.Placed) *quote {
	read := &quote{
		entity: p.Quote.Entity, country: p.Quote.ShipTo.Country, inclusive: p.Quote.Mode != "excl", byLine: p.Quote.Rounding == "line",
		net: p.Quote.Net, total: p.Quote.Total,
	}
	for i, group := range p.Quote.Groups {
		if i > 0 {
			read.groups += ","
		}
		read.groups += group
	}
	for _, l := range p.Quote.Lines {
		line := quotedLine{number: l.Line, sku: l.SKU, quantity: l.Quantity, price: l.Price, giftCard: l.GiftCard}
		line.read(p.Currency, l.List, l.Amount, l.Net, l.Gross)
		for _, a := range l.Adjustments {
			line.adjust(p.Currency, a.Promotion, a.Code, a.Amount)
		}
		for _, t := range l.Tax {
			line.tax(p.Currency, taxEntry{t.Component, t.Place, t.Class, t.Rate.String(), string(t.Treatment), decimal.Zero, t.Base.Amount, t.Amount.Amount}, t.Base, t.Amount)
		}
		read.lines = append(read.lines, line)
	}
	for _, c := range p.Quote.Charges {
		charge := quotedCharge{number: c.Number, kind: c.Kind}
		charge.read(p.Currency, c.List, c.Amount, c.Net, c.Gross)
		for _, a := range c.Adjustments {
			charge.adjust(p.Currency, a.Promotion, a.Code, a.Amount)
		}
		for _, t := range c.Tax {
			charge.tax(p.Currency, taxEntry{t.Component, t.Place, t.Class, t.Rate.String(), string(t.Treatment), decimal.Zero, t.Base.Amount, t.Amount.Amount}, t.Base, t.Amount)
		}
		read.charges = append(read.charges, charge)
	}
	for _, t := range p.Quote.Taxes {
		read.taxes = append(read.taxes, taxEntry{component: t.Component, rate: t.Rate.String(), treatment: string(t.Treatment), base: t.Base.Amount, amount: t.Amount.Amount})
	}
	return read
}

func (p *priced) read(currency unit.Currency, list, amount, net, gross unit.Money) {
	p.list, p.amount, p.net, p.gross = list.Amount, amount.Amount, net.Amount, gross.Amount
	p.sameCurrency(currency, list, amount, net, gross)
}

func (p *priced) adjust(currency unit.Currency, promotion, code string, amount unit.Money) {
	p.adjustments = append(p.adjustments, adjusted{promotion, code, amount.Amount})
	p.sameCurrency(currency, amount)
}

func (p *priced) tax(currency unit.Currency, t taxEntry, amounts ...unit.Money) {
	t.percent, _ = decimal.NewFromString(t.rate)
	p.taxes = append(p.taxes, t)
	p.sameCurrency(currency, amounts...)
}

func (p *priced) sameCurrency(currency unit.Currency, amounts ...unit.Money) {
	for _, m := range amounts {
		if m.Currency != currency {
			p.foreign = m.String()
		}
	}
}

// checkPlaced checks what an order was placed for. The result names the first term that differs;
// empty: none does.
func (m *orderAmounts) checkPlaced(p order.Placed) string {
	if m.quote != nil {
		if fault := m.checkQuote(p); fault != "" {
			return fault
		}
	}
	if !p.Total.Amount.Equal(m.total) {
		return fmt.Sprintf("total is %s, want %s", p.Total, m.total)
	}
	if !p.Charge.Amount.Equal(m.round(m.total)) {
		return fmt.Sprintf("charge is %s, want %s", p.Charge, m.round(m.total))
	}
	return ""
}

func (m *orderAmounts) checkQuote(p order.Placed) string {
	q := m.quote
	if len(q.lines) != len(p.Lines) {
		return fmt.Sprintf("the quote has %d lines, the order %d", len(q.lines), len(p.Lines))
	}
	var net, gross decimal.Decimal
	for i, l := range q.lines {
		of := fmt.Sprintf("line %d", l.number)
		ordered := p.Lines[i]
		switch list := m.round(times(l.price, l.quantity)); {
		case l.number != ordered.Number || l.sku != ordered.SKU || l.quantity != ordered.Quantity || !l.price.Equal(ordered.Price):
			return fmt.Sprintf("%s of the quote is %d of %s at %s, that of the order is %d of %s at %s", of, l.quantity, l.sku, l.price, ordered.Quantity, ordered.SKU, ordered.Price)
		case !l.list.Equal(list):
			return fmt.Sprintf("%s: list is %s, want %s", of, l.list, list)
		case l.giftCard && len(l.adjustments)+len(l.taxes) > 0:
			return of + ": a gift card has a discount or a tax"
		}
		if fault := m.checkPriced(l.priced); fault != "" {
			return of + ": " + fault
		}
		net, gross = net.Add(l.net), gross.Add(l.gross)
	}
	for _, c := range q.charges {
		if fault := m.checkPriced(c.priced); fault != "" {
			return fmt.Sprintf("charge %d: %s", c.number, fault)
		}
		net, gross = net.Add(c.net), gross.Add(c.gross)
	}
	switch {
	case !q.net.Amount.Equal(net):
		return fmt.Sprintf("net is %s, want %s", q.net, net)
	case !q.total.Amount.Equal(gross):
		return fmt.Sprintf("total of the quote is %s, want %s", q.total, gross)
	}
	return m.checkTaxTotals()
}

// whole tells whether an amount is possible: whole units of the currency, and not below zero.
func (m *orderAmounts) whole(amount decimal.Decimal) bool {
	return amount.Sign() >= 0 && amount.Equal(m.round(amount))
}

func (m *orderAmounts) checkPriced(p priced) string {
	if p.foreign != "" {
		return fmt.Sprintf("%s is in an order in %s", p.foreign, m.currency)
	}
	amount, tax := p.list, decimal.Zero
	for _, a := range p.adjustments {
		if !m.whole(a.amount) {
			return fmt.Sprintf("adjustment %s is %s", a.promotion, a.amount)
		}
		amount = amount.Sub(a.amount)
	}
	untaxed := false
	bases := map[string]decimal.Decimal{}
	for _, t := range p.taxes {
		if !m.whole(t.amount) {
			return fmt.Sprintf("tax %s is %s", t.component, t.amount)
		}
		if before, known := bases[t.class]; known && !before.Equal(t.base) {
			return fmt.Sprintf("tax %s: base is %s, want %s", t.component, t.base, before)
		}
		bases[t.class] = t.base
		tax, untaxed = tax.Add(t.amount), untaxed || t.treatment != standardRate
	}
	based := decimal.Zero
	for _, base := range bases {
		based = based.Add(base)
	}
	net := amount
	if m.quote.inclusive {
		net = amount.Sub(tax)
	}
	switch {
	case !m.whole(p.list), !m.whole(p.gross):
		return fmt.Sprintf("list is %s and gross %s; both are whole, and not below zero", p.list, p.gross)
	case !p.amount.Equal(amount) || amount.Sign() < 0:
		return fmt.Sprintf("amount is %s, want %s", p.amount, amount)
	case untaxed && m.quote.inclusive && p.net.GreaterThan(amount):
		return fmt.Sprintf("net is %s, which is more than the amount %s", p.net, amount)
	case (!untaxed || !m.quote.inclusive) && !p.net.Equal(net):
		return fmt.Sprintf("net is %s, want %s", p.net, net)
	case !p.gross.Equal(p.net.Add(tax)):
		return fmt.Sprintf("gross is %s, want %s", p.gross, p.net.Add(tax))
	case len(p.taxes) > 0 && !based.Equal(p.net):
		return fmt.Sprintf("base of its taxes is %s, want %s", based, p.net)
	}
	return m.checkRates(p)
}

// checkRates compares each tax with the exact one. It may differ by one and a half of the smallest
// unit: by half a unit because the tax of the order is rounded, and by less than one because it is
// then split over lines.
func (m *orderAmounts) checkRates(p priced) string {
	most := decimal.New(15, -1-m.currency.Digits())
	for _, t := range p.taxes {
		if t.treatment != standardRate && t.amount.Sign() != 0 {
			return fmt.Sprintf("tax %s is %s, but the amount is not taxed (%s)", t.component, t.amount, t.treatment)
		}
		// Of prices with tax, the base is what is left after rounding. So its own error counts,
		// too.
		exact := t.base.Mul(t.percent).Shift(-2)
		if m.quote.inclusive {
			all, rates := t.base, decimal.Zero
			for _, other := range p.taxes {
				if other.class == t.class {
					all, rates = all.Add(other.amount), rates.Add(other.percent)
				}
			}
			exact = all.Mul(t.percent).Div(rates.Add(decimal.NewFromInt(100)))
		}
		if t.treatment == standardRate && t.amount.Sub(exact).Abs().GreaterThan(most) {
			return fmt.Sprintf("tax %s is %s, want about %s", t.component, t.amount, exact.Round(m.currency.Digits()+1))
		}
	}
	return ""
}

// checkTaxTotals adds up each component over the lines and charges.
func (m *orderAmounts) checkTaxTotals() string {
	sums := map[[3]string]taxEntry{}
	var keys [][3]string
	add := func(p priced) {
		for _, t := range p.taxes {
			sum, known := sums[t.key()]
			if !known {
				keys = append(keys, t.key())
			}
			sum.base, sum.amount = sum.base.Add(t.base), sum.amount.Add(t.amount)
			sums[t.key()] = sum
		}
	}
	for _, l := range m.quote.lines {
		add(l.priced)
	}
	for _, c := range m.quote.charges {
		add(c.priced)
	}
	for _, t := range m.quote.taxes {
		sum, known := sums[t.key()]
		switch {
		case !known:
			return fmt.Sprintf("tax %s at %s%% is %s, but no line has it", t.component, t.rate, t.amount)
		case !t.amount.Equal(sum.amount):
			return fmt.Sprintf("tax %s at %s%% is %s, want %s", t.component, t.rate, t.amount, sum.amount)
		case !t.base.Equal(sum.base):
			return fmt.Sprintf("base of tax %s at %s%% is %s, want %s", t.component, t.rate, t.base, sum.base)
		}
		keys = slices.DeleteFunc(keys, func(k [3]string) bool { return k == t.key() })
	}
	if len(keys) > 0 {
		return fmt.Sprintf("tax %s at %s%% is in no total", keys[0][0], keys[0][1])
	}
	return ""
}
