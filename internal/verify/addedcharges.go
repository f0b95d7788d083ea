package verify

import (
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"daybook/domain/order"
)

// This file folds the charges that are added to orders after they were placed, and computes their
// tax again from what the order froze.

// addCharge adds a charge. The result names the first term of it that differs.
func (m *orderAmounts) addCharge(c order.ChargeAdded) (fault string) {
	if c.Gross.Currency != m.currency {
		return ""
	}
	p := priced{}
	p.read(m.currency, c.List, c.Amount, c.Net, c.Gross)
	for _, t := range c.Tax {
		p.tax(m.currency, taxEntry{t.Component, t.Place, t.Class, t.Rate.String(), string(t.Treatment), decimal.Zero, t.Base.Amount, t.Amount.Amount}, t.Base, t.Amount)
	}
	fault = m.checkAdded(c, p)
	if m.pots {
		e := &earning{number: c.Charge, charge: string(c.Kind), units: 1, quoted: &p, list: p.list, clawback: string(c.CreditID)}
		e.open = newPool(m.shareOf(1, p))
		if m.shipped {
			e.received.change(e.open.take(1), 1)
		}
		m.earnings = append(m.earnings, e)
	} else {
		m.unpooled = append(m.unpooled, c)
	}
	m.total = m.total.Add(p.gross)
	return fault
}

// checkAdded computes a charge again: its tax is that of the goods, in proportion to their amounts.
func (m *orderAmounts) checkAdded(c order.ChargeAdded, p priced) string {
	of := fmt.Sprintf("%s %s", c.Kind, c.ChargeID)
	switch {
	case c.Kind == order.ReturnedCard:
		return m.checkCard(c, p)
	case c.Kind == order.Clawback:
		if fault := m.checkClawback(c); fault != "" {
			return fault
		}
	case c.Kind != order.Surcharge:
		return fmt.Sprintf("charge %s: there is no kind %q", c.ChargeID, c.Kind)
	case c.Limit != nil:
		all := p.gross
		for _, e := range m.earnings {
			if e.charge == string(order.Surcharge) && e.quoted != nil {
				all = all.Add(e.quoted.gross)
			}
		}
		for _, other := range m.unpooled {
			if other.Kind == order.Surcharge {
				all = all.Add(other.Gross.Amount)
			}
		}
		if all.GreaterThan(c.Limit.Amount) {
			return fmt.Sprintf("%s: all surcharges are %s, above the limit of %s", of, all, c.Limit)
		}
	}
	want := m.taxOfAdded(p.gross)
	if len(want) != len(p.taxes) {
		return fmt.Sprintf("%s: it has %d taxes, want %d", of, len(p.taxes), len(want))
	}
	tax := decimal.Zero
	for i, t := range p.taxes {
		if w := want[i]; t.key() != w.key() || !t.base.Equal(w.base) || !t.amount.Equal(w.amount) {
			return fmt.Sprintf("%s: tax %d is %s of %s by %s, want %s of %s by %s", of, i+1, t.amount, t.base, t.rate, w.amount, w.base, w.rate)
		}
		tax = tax.Add(t.amount)
	}
	if !p.gross.Equal(p.net.Add(tax)) {
		return fmt.Sprintf("%s: net is %s, want %s", of, p.net, p.gross.Sub(tax))
	}
	return ""
}

// checkCard checks the charge for a gift card whose purchase was undone: it has no tax, is of a
// unit of a line that sells gift cards, and there is one for each unit.
func (m *orderAmounts) checkCard(c order.ChargeAdded, p priced) string {
	of := fmt.Sprintf("charge %d of a gift card", c.Charge)
	if len(p.taxes) > 0 || !p.net.Equal(p.gross) {
		return of + ": it has tax"
	}
	if c.Card == nil {
		return of + ": it names no card"
	}
	if m.cards[*c.Card] {
		return fmt.Sprintf("%s: unit %d of line %d was charged before", of, c.Card.Unit, c.Card.Line)
	}
	if m.cards == nil {
		m.cards = map[order.SoldUnit]bool{}
	}
	m.cards[*c.Card] = true
	if m.quote == nil {
		return of + ": the order has no quote"
	}
	for _, l := range m.quote.lines {
		if l.number == c.Card.Line && l.giftCard && int64(c.Card.Unit) <= int64(l.quantity) && c.Card.Unit > 0 && !p.gross.GreaterThan(m.round(l.price.Amount)) {
			return ""
		}
	}
	return of + ": the order has sold no such card"
}

func (m *orderAmounts) checkClawback(c order.ChargeAdded) string {
	for _, credits := range m.credits {
		for _, credit := range credits {
			if credit.CreditID != c.CreditID || credit.Cause != order.CreditForReturn {
				continue
			}
			all := c.Gross.Amount
			for _, e := range m.earnings {
				if e.clawback == string(c.CreditID) && e.quoted != nil {
					all = all.Add(e.quoted.gross)
				}
			}
			for _, other := range m.unpooled {
				if other.CreditID == c.CreditID {
					all = all.Add(other.Gross.Amount)
				}
			}
			if all.GreaterThan(credit.Amount.Amount) {
				return fmt.Sprintf("clawback %s: %s are taken back of a credit of %s", c.ChargeID, all, credit.Amount)
			}
			return ""
		}
	}
	return fmt.Sprintf("clawback %s: the order has no credit %s of a return", c.ChargeID, c.CreditID)
}

// taxOfAdded is the tax of a charge that is added: its amount is split over the goods by their
// amounts, with the largest remainders, and each part is taxed by the rates of its goods.
func (m *orderAmounts) taxOfAdded(gross decimal.Decimal) (want []taxEntry) {
	if m.quote == nil {
		return nil
	}
	var names []string
	var goods [][]taxEntry
	var weights []*pool
	var all int64
	for _, l := range m.quote.lines {
		money := m.minor(l.gross)
		if l.giftCard || money <= 0 {
			continue
		}
		var keys []string
		for _, t := range l.taxes {
			key := t.key()
			keys = append(keys, strings.Join(key[:], "/"))
		}
		name, at := strings.Join(keys, "|"), -1
		for i := range names {
			if names[i] == name {
				at = i
			}
		}
		if at < 0 {
			at = len(names)
			names, goods, weights = append(names, name), append(goods, l.taxes), append(weights, &pool{})
		}
		weights[at].left.money += money
		all += money
	}
	for i, part := range split(m.minor(gross), weights, all) {
		whole := decimal.NewFromInt(100)
		for _, t := range goods[i] {
			whole = whole.Add(t.percent)
		}
		net := m.amount(part)
		taxes := make([]decimal.Decimal, len(goods[i]))
		for j, t := range goods[i] {
			taxes[j] = m.amount(part).Mul(t.percent).DivRound(whole, m.currency.Digits())
			net = net.Sub(taxes[j])
		}
		for j, t := range goods[i] {
			t.base, t.amount = net, taxes[j]
			want = append(want, t)
		}
	}
	return want
}

// takeBackClawbacks takes clawbacks off whose credit is taken back.
func (m *orderAmounts) takeBackClawbacks(credit string) {
	if credit == "" {
		return
	}
	for _, e := range m.earnings {
		if e.clawback == credit {
			m.total = m.total.Sub(m.amount(e.left().money))
			e.open, e.received, e.clawback = pool{}, pool{}, ""
		}
	}
	for i, c := range m.unpooled {
		if string(c.CreditID) == credit {
			m.total = m.total.Sub(c.Gross.Amount)
			m.unpooled[i].CreditID = ""
		}
	}
}
