package pricing

import (
	"crypto/sha1" //nolint:gosec // the hash tells two quotes apart; nothing depends on its strength.
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"daybook/domain/unit"
)

// hash is of what the buyer gets and pays: the lines with their prices, the discounts, the charges,
// the taxes and the total. It is not of the time or of versions, so a quote of the same cart later
// has the same hash if it costs the same.
func (q Quote) hash() string {
	var b strings.Builder
	text := func(parts ...string) {
		for _, s := range parts {
			b.WriteString(s)
			b.WriteByte('|')
		}
	}
	item := func(p Priced) {
		text(p.List.Amount.String(), p.Amount.Amount.String(), p.Net.Amount.String(), p.Gross.Amount.String())
		for _, a := range p.Adjustments {
			text(a.Promotion, a.Code, a.Amount.Amount.String())
		}
		for _, t := range p.Tax {
			text(t.Component, t.Rate.String(), string(t.Treatment), t.Amount.Amount.String())
		}
		b.WriteByte('\n')
	}
	text(string(q.Currency), string(q.Mode), q.Channel, q.Entity, q.Total.Amount.String())
	for _, l := range q.Lines {
		text(strconv.Itoa(l.Line), string(l.SKU), strconv.FormatInt(int64(l.Quantity), 10), l.Price.Amount.String())
		item(l.Priced)
	}
	for _, c := range q.Charges {
		text(c.Kind, c.Method)
		item(c.Priced)
	}
	sum := sha1.Sum([]byte(b.String())) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// Check proves the equations of an amount and its parts: each term is computed again from the
// others. The error names the first one that differs. See docs/money.md.
func (q Quote) Check() error {
	c := checking{currency: q.Currency, mode: q.Mode}
	net, total := unit.Zero(q.Currency), unit.Zero(q.Currency)
	for _, l := range q.Lines {
		where := "line " + strconv.Itoa(l.Line)
		if l.Price.Currency != q.Currency {
			return fmt.Errorf("%s: price is %s in a quote of %s", where, l.Price, q.Currency)
		}
		c.equal(where+": list", l.List, l.Price.Times(l.Quantity).Charge())
		if l.GiftCard && len(l.Adjustments)+len(l.Tax) > 0 {
			return fmt.Errorf("%s: a gift card has a discount or a tax", where)
		}
		c.item(where, l.Priced)
		if c.err != nil {
			return c.err
		}
		net, total = net.Plus(l.Net), total.Plus(l.Gross)
	}
	for _, charge := range q.Charges {
		c.item("charge "+strconv.Itoa(charge.Number), charge.Priced)
		if c.err != nil {
			return c.err
		}
		net, total = net.Plus(charge.Net), total.Plus(charge.Gross)
	}
	c.equal("net", q.Net, net)
	c.equal("total", q.Total, total)
	c.taxes(q)
	if hash := q.hash(); c.err == nil && hash != q.Hash {
		return fmt.Errorf("hash: %s is recorded, %s follows", q.Hash, hash)
	}
	return c.err
}

// checking keeps the first difference.
type checking struct {
	currency unit.Currency
	mode     Mode
	err      error
}

func (c *checking) equal(what string, recorded, follows unit.Money) {
	if c.err == nil && !recorded.Equal(follows) {
		c.err = fmt.Errorf("%s: %s is recorded, %s follows", what, recorded, follows)
	}
}

// whole requires a possible amount: whole minor units, not below zero.
func (c *checking) whole(what string, m unit.Money) {
	if c.err == nil && (m.Currency != c.currency || m.Sign() < 0 || m.TooFine()) {
		c.err = fmt.Errorf("%s: %s is no amount of %s in whole minor units, 0 or more", what, m, c.currency)
	}
}

func (c *checking) item(where string, p Priced) {
	c.whole(where+": list", p.List)
	c.whole(where+": amount", p.Amount)
	c.whole(where+": gross", p.Gross)
	if c.err != nil {
		return
	}
	amount := p.List
	for _, a := range p.Adjustments {
		c.whole(where+": adjustment "+a.Promotion, a.Amount)
		if c.err != nil {
			return
		}
		amount = amount.Minus(a.Amount)
	}
	c.equal(where+": amount", p.Amount, amount)
	tax, untaxed := unit.Zero(c.currency), false
	for _, t := range p.Tax {
		c.whole(where+": tax "+t.Component, t.Amount)
		if c.err != nil {
			return
		}
		tax = tax.Plus(t.Amount)
		untaxed = untaxed || t.Treatment != StandardRate
	}
	c.equal(where+": gross", p.Gross, p.Net.Plus(tax))
	switch {
	case c.mode == Exclusive:
		c.equal(where+": net", p.Net, p.Amount)
	case !untaxed:
		c.equal(where+": net", p.Net, p.Amount.Minus(tax))
	case c.err == nil && p.Gross.Compare(p.Amount) > 0:
		c.err = fmt.Errorf("%s: gross: %s is recorded, which is more than the amount %s", where, p.Gross, p.Amount)
	}
}

func (c *checking) taxes(q Quote) {
	sums := totals(q)
	if c.err == nil && len(sums) != len(q.Taxes) {
		c.err = fmt.Errorf("taxes: %d are recorded, %d follow", len(q.Taxes), len(sums))
	}
	for i, t := range sums {
		if c.err != nil {
			return
		}
		recorded := q.Taxes[i]
		if recorded.Component != t.Component || !recorded.Rate.Equal(t.Rate) || recorded.Treatment != t.Treatment {
			c.err = fmt.Errorf("tax %s %s%%: %s %s%% is recorded", t.Component, t.Rate, recorded.Component, recorded.Rate)
			return
		}
		c.equal("tax "+t.Component+" "+t.Rate.String()+"%: base", recorded.Base, t.Base)
		c.equal("tax "+t.Component+" "+t.Rate.String()+"%: amount", recorded.Amount, t.Amount)
	}
}
