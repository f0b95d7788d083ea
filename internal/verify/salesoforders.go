package verify

import (
	"github.com/shopspring/decimal"

	"daybook/domain/order"
	"daybook/domain/unit"
)

// This file books the sales of orders whose lines have pots: what leaves such an order is worth
// what the pots give, and not the list price.

// soldLine is a line of an order before an event.
type soldLine struct {
	money, canceled int64
	said            decimal.Decimal // what the return of the event counts for the line by itself
	returned        bool            // the event is about a return of the line
}

// linesBefore is what is left of each line of an order before an event; nil: the order has no pots.
func (m *orderAmounts) linesBefore(value order.Event) []soldLine {
	if !m.pots {
		return nil
	}
	lines := make([]soldLine, len(m.earnings))
	for i, e := range m.earnings {
		lines[i] = soldLine{money: e.left().money, canceled: e.canceled + e.undelivered}
	}
	say := func(credited []order.CreditedLine, sign int64) {
		for _, c := range credited {
			for i, e := range m.earnings {
				if e.line == c.Line && e.line != 0 {
					lines[i].said, lines[i].returned = lines[i].said.Add(c.Worth.Amount.Mul(decimal.NewFromInt(sign))), true
				}
			}
		}
	}
	switch value := value.(type) { //nolint:gochecksumtype // the others are not about returns
	case order.Credited:
		if value.Cause == order.CreditForReturn {
			say(value.Lines, 1)
		}
	case order.ReturnReleased:
		for _, c := range m.credits[string(value.ReturnID)] {
			say(c.Lines, -1)
		}
	}
	return lines
}

// bookPots books what an event takes off the lines of an order, or puts back. lines is what was
// left before.
func (l *Ledger) bookPots(e *event, o *Order, value order.Event, lines []soldLine) {
	if lines == nil {
		return
	}
	for i, earned := range o.pot.goods.earnings {
		if earned.line == 0 {
			continue // charges are no sales of a SKU
		}
		was, sku := lines[i], unit.SKU(earned.sku)
		moved := o.pot.goods.amount(earned.left().money - was.money)
		switch value := value.(type) { //nolint:gochecksumtype // the others take nothing off
		case order.LinesCanceled, order.Canceled, order.Expired:
			l.bookNotSold(e, o, earned, was, moved)
		case order.Credited:
			switch {
			case value.Cause == order.CreditForParcel:
				l.bookNotSold(e, o, earned, was, moved)
			case value.Cause == order.CreditForReduction && moved.Sign() != 0:
				l.addSum(o.documentHeader(e, "reduced/", credit), sku, Sum{Lines: 1, Amount: moved})
			case was.returned:
				l.correctReturn(e, o, value.ReturnID, sku, moved.Add(o.pot.goods.amount(earned.ofNoLine)).Add(was.said))
			}
		case order.ReturnReleased:
			if was.returned {
				l.correctReturn(e, o, value.ReturnID, sku, moved.Add(o.pot.goods.amount(earned.ofNoLine)).Add(was.said))
			}
		}
	}
}

// bookNotSold books units that were canceled, or that never reached the buyer.
func (l *Ledger) bookNotSold(e *event, o *Order, earned *earning, was soldLine, moved decimal.Decimal) {
	if units := earned.canceled + earned.undelivered - was.canceled; units > 0 {
		l.addSum(o.documentHeader(e, "canceled/", orderCanceled), unit.SKU(earned.sku), Sum{Lines: countIf(was.canceled == 0), Units: -units, Amount: moved})
	}
}

// correctReturn books the difference between the list price, which a return counts, and what the
// order takes off for it.
func (l *Ledger) correctReturn(e *event, o *Order, id unit.ReturnID, sku unit.SKU, difference decimal.Decimal) {
	if difference.Sign() == 0 {
		return
	}
	on := o.documentHeader(e, "", returnDocument)
	on.name = "return/" + string(id)
	if d := l.documents[on.name]; d != nil {
		on.party = d.party
	}
	l.addSum(on, sku, Sum{Amount: difference})
}
