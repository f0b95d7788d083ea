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
	net, total := unit.Zero(q.Currency), unit.Zero(q.Currency)
	for _, l := range q.Lines {
		if l.Price.Currency != q.Currency {
			return fmt.Errorf("line %d: price is %s in a quote of %s", l.Line, l.Price, q.Currency)
		}
		c.equal(what{of: "line", number: l.Line, term: "list"}, l.List, l.Price.Times(l.Quantity).Charge())
		if l.GiftCard && len(l.Adjustments)+len(l.Tax) > 0 {
			return fmt.Errorf("line %d: a gift card has a discount or a tax", l.Line)
		}
		c.item("line", l.Line, l.Priced)
		if c.err != nil {
			return c.err
		}
		net, total = net.Plus(l.Net), total.Plus(l.Gross)
	}
	for _, charge := range q.Charges {
		c.item("charge", charge.Number, charge.Priced)
		if c.err != nil {
			return c.err
		}
		net, total = net.Plus(charge.Net), total.Plus(charge.Gross)
	}
	c.equal(what{term: "net"}, q.Net, net)
	c.equal(what{term: "total"}, q.Total, total)
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

func (c *checking) equal(what what, recorded, follows unit.Money) {
	if c.err == nil && !recorded.Equal(follows) {
		c.err = fmt.Errorf("%s: %s is recorded, %s follows", what, recorded, follows)
	}
}

// whole requires a possible amount: whole minor units, not below zero.
func (c *checking) whole(what what, m unit.Money) {
	if c.err == nil && (m.Currency != c.currency || m.Sign() < 0 || m.TooFine()) {
		c.err = fmt.Errorf("%s: %s is no amount of %s in whole minor units, 0 or more", what, m, c.currency)
	}
}

func (c *checking) item(of string, number int, p Priced) {
	term := func(term, detail string) what { return what{of, number, term, detail} }
	c.whole(term("list", ""), p.List)
	c.whole(term("amount", ""), p.Amount)
	c.whole(term("gross", ""), p.Gross)
	if c.err != nil {
		return
	}
	amount := p.List
	for _, a := range p.Adjustments {
		c.whole(term("adjustment", a.Promotion), a.Amount)
		if c.err != nil {
			return
		}
		amount = amount.Minus(a.Amount)
	}
	c.equal(term("amount", ""), p.Amount, amount)
	tax, untaxed := unit.Zero(c.currency), false
	for _, t := range p.Tax {
		c.whole(term("tax", t.Component), t.Amount)
		if c.err != nil {
			return
		}
		tax = tax.Plus(t.Amount)
		untaxed = untaxed || t.Treatment != StandardRate
	}
	c.equal(term("gross", ""), p.Gross, p.Net.Plus(tax))
	switch {
	case c.mode == Exclusive:
		c.equal(term("net", ""), p.Net, p.Amount)
	case !untaxed:
		c.equal(term("net", ""), p.Net, p.Amount.Minus(tax))
	case c.err == nil && p.Gross.Compare(p.Amount) > 0:
		c.err = fmt.Errorf("%s: %s is recorded, which is more than the amount %s", term("gross", ""), p.Gross, p.Amount)
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
		name := "tax " + t.Component + " " + t.Rate.String() + "%:"
		c.equal(what{term: name, detail: "base"}, recorded.Base, t.Base)
		c.equal(what{term: name, detail: "amount"}, recorded.Amount, t.Amount)
	}
}
