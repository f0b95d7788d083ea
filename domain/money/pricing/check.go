package pricing

import (
	"crypto/sha1" //nolint:gosec // the hash tells two quotes apart; nothing depends on its strength.
	"encoding/hex"
	"fmt"
	"strconv"

	"daybook/domain/unit"
)

// hash is of what the buyer gets and pays: the lines with their prices, the discounts, the charges,
// the taxes and the total. It is not of the time or of versions, so a quote of the same cart later
// has the same hash if it costs the same.
func (q Quote) hash() string {
	text := make([]byte, 0, bytesOfHash*(len(q.Lines)+len(q.Charges)+1))
	word := func(words ...string) {
		for _, s := range words {
			text = append(append(text, s...), '|')
		}
	}
	number := func(n int64) { text = append(strconv.AppendInt(text, n, 10), '|') }
	amount := func(amounts ...unit.Money) {
		for _, m := range amounts {
			text = append(m.AppendAmount(text), '|')
		}
	}
	item := func(p Priced) {
		amount(p.List, p.Amount, p.Net, p.Gross)
		for _, a := range p.Adjustments {
			word(a.Promotion, a.Code)
			amount(a.Amount)
		}
		for _, t := range p.Tax {
			word(t.Component, t.Rate.String(), string(t.Treatment))
			amount(t.Amount)
		}
		text = append(text, '\n')
	}
	word(string(q.Currency), string(q.Mode), q.Channel, q.Entity)
	amount(q.Total)
	for _, l := range q.Lines {
		number(int64(l.Line))
		word(string(l.SKU))
		number(int64(l.Quantity))
		amount(l.Price)
		item(l.Priced)
	}
	for _, c := range q.Charges {
		word(c.Kind, c.Method)
		item(c.Priced)
	}
	sum := sha1.Sum(text) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// bytesOfHash is about how much text the hash takes of one line.
const bytesOfHash = 256

// Check proves the equations of an amount and its parts: each term is computed again from the
// others. The error names the first one that differs. See docs/money.md.
func (q Quote) Check() error {
	c := checking{currency: q.Currency, mode: q.Mode}
	var net, gross int64
	for _, l := range q.Lines {
		if l.Price.Currency != q.Currency {
			return fmt.Errorf("line %d: price is %s in a quote of %s", l.Line, l.Price, q.Currency)
		}
		if list := l.Price.Times(l.Quantity).Charge(); !list.Equal(l.List) {
			return fmt.Errorf("line %d: list: %s is recorded, %s follows", l.Line, l.List, list)
		}
		if l.GiftCard && len(l.Adjustments)+len(l.Tax) > 0 {
			return fmt.Errorf("line %d: a gift card has a discount or a tax", l.Line)
		}
		c.item("line", l.Line, l.Priced, &net, &gross)
	}
	for _, charge := range q.Charges {
		c.item("charge", charge.Number, charge.Priced, &net, &gross)
	}
	c.equal(what{term: "net"}, q.Net, net)
	c.equal(what{term: "total"}, q.Total, gross)
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

// what names a term: "line", 2, "tax VAT" is "line 2: tax VAT".
type what struct {
	of     string // "line", "charge", or empty: the whole quote
	number int
	term   string
	detail string
}

func (w what) String() string {
	text := w.term
	if w.detail != "" {
		text += " " + w.detail
	}
	if w.of == "" {
		return text
	}
	return w.of + " " + strconv.Itoa(w.number) + ": " + text
}

// equal compares an amount with what follows from others, in minor units.
func (c *checking) equal(what what, recorded unit.Money, follows int64) {
	if c.err != nil {
		return
	}
	if n, ok := recorded.Minor(); !ok || n != follows || recorded.Currency != c.currency {
		c.err = fmt.Errorf("%s: %s is recorded, %s follows", what, recorded, unit.OfMinor(follows, c.currency))
	}
}

// whole is an amount in minor units. It must be possible: whole minor units, not below zero.
func (c *checking) whole(what what, m unit.Money) int64 {
	n, ok := m.Minor()
	if c.err == nil && (!ok || n < 0 || m.Currency != c.currency) {
		c.err = fmt.Errorf("%s: %s is no amount of %s in whole minor units, 0 or more", what, m, c.currency)
	}
	return n
}

// item checks a line or a charge, and adds it to the sums.
func (c *checking) item(of string, number int, p Priced, net, gross *int64) {
	term := func(term, detail string) what { return what{of, number, term, detail} }
	left := c.whole(term("list", ""), p.List)
	amount, whole := c.whole(term("amount", ""), p.Amount), c.whole(term("gross", ""), p.Gross)
	for _, a := range p.Adjustments {
		left -= c.whole(term("adjustment", a.Promotion), a.Amount)
	}
	c.equal(term("amount", ""), p.Amount, left)
	var tax int64
	untaxed := false
	for _, t := range p.Tax {
		tax += c.whole(term("tax", t.Component), t.Amount)
		untaxed = untaxed || t.Treatment != StandardRate
	}
	netAmount, _ := p.Net.Minor()
	c.equal(term("gross", ""), p.Gross, netAmount+tax)
	switch {
	case c.mode == Exclusive:
		c.equal(term("net", ""), p.Net, amount)
	case !untaxed:
		c.equal(term("net", ""), p.Net, amount-tax)
	case c.err == nil && whole > amount:
		c.err = fmt.Errorf("%s: %s is recorded, which is more than the amount %s", term("gross", ""), p.Gross, p.Amount)
	}
	*net, *gross = *net+netAmount, *gross+whole
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
		for _, term := range []struct {
			detail            string
			recorded, follows unit.Money
		}{{"base", recorded.Base, t.Base}, {"amount", recorded.Amount, t.Amount}} {
			if !term.recorded.Equal(term.follows) {
				c.err = fmt.Errorf("tax %s %s%%: %s: %s is recorded, %s follows", t.Component, t.Rate, term.detail, term.recorded, term.follows)
				return
			}
		}
	}
}
