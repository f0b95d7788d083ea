package salesview

import (
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/order"
	"daybook/domain/unit"
)

// This file counts what leaves an order whose lines have accounts (see package shares). A unit of
// such an order is worth its share of the line, which is what the order takes off, and not the list
// price. So the sales of an order are always what is left of its lines.

// follow starts to follow the accounts of an order, if it has some.
func (r *remainder) follow(p order.Placed) {
	if p.Quote == nil && !p.RoundedLines {
		return
	}
	s := accountsOnly(order.Evolve(order.State{}, p))
	r.Order = &s
}

// accountsOnly is the part of an order's state that its accounts depend on.
func accountsOnly(s order.State) order.State {
	return order.State{
		OrderID: s.OrderID, Status: s.Status, Total: s.Total, Lines: s.Lines, Accounts: s.Accounts, Charges: s.Charges,
		Credits: s.Credits, Credited: s.Credited, CreditedWorth: s.CreditedWorth, Returns: s.Returns,
	}
}

// accounted counts what an event takes off an order, or puts back.
func (l *ledger) accounted(r *remainder, event order.Event, at time.Time) {
	before := r.Order.Clone()
	after := accountsOnly(order.Evolve(*r.Order, event))
	r.Order = &after
	id := string(before.OrderID)
	switch event := event.(type) { //nolint:gochecksumtype // the others take nothing off
	case order.LinesCanceled, order.Canceled, order.Expired:
		for i, line := range after.Lines {
			if units := line.Canceled - before.Lines[i].Canceled; units > 0 {
				counted := sums{units: -int64(units), amount: change(before, after, i)}
				if before.Lines[i].Canceled+before.Lines[i].Undelivered == 0 {
					counted.lines = 1
				}
				l.count(l.open(canceledDocument+id, OrderCanceled, r.Head, at), OrderCanceled, r.Head, at, string(line.SKU), counted)
			}
		}
	case order.Credited:
		if event.Cause == order.CreditForParcel {
			l.undelivered(r, before, id, at)
			return
		}
		if event.Cause == order.CreditForReduction {
			for i, line := range after.Lines {
				if less := change(before, after, i); !less.IsZero() {
					l.count(l.open(reducedDocument+id, Credit, r.Head, at), Credit, r.Head, at, string(line.SKU), sums{lines: 1, amount: less})
				}
			}
			return
		}
		if event.Cause == order.CreditForReturn {
			l.correctReturn(r, event.ReturnID, saidBy(event.Lines, 1), takenBy(event.Parts, 1), at)
		}
	case order.ReturnReleased:
		said, taken := map[int]decimal.Decimal{}, map[int]decimal.Decimal{}
		for _, credit := range before.Credits {
			if credit.ReturnID == event.ReturnID && len(after.Credits) < len(before.Credits) {
				addTo(said, saidBy(credit.Lines, -1))
				addTo(taken, takenBy(credit.Parts, -1))
			}
		}
		l.correctReturn(r, event.ReturnID, said, taken, at)
	}
}

// undelivered counts units that never reached the buyer as canceled.
func (l *ledger) undelivered(r *remainder, before order.State, id string, at time.Time) {
	for i, line := range r.Order.Lines {
		units := line.Undelivered - before.Lines[i].Undelivered
		if units <= 0 {
			continue
		}
		counted := sums{units: -int64(units), amount: change(before, *r.Order, i)}
		if before.Lines[i].Canceled+before.Lines[i].Undelivered == 0 {
			counted.lines = 1
		}
		l.count(l.open(canceledDocument+id, OrderCanceled, r.Head, at), OrderCanceled, r.Head, at, string(line.SKU), counted)
	}
}

// change is by how much an event changes what is left of a line.
func change(before, after order.State, line int) decimal.Decimal {
	moved := after.Lines[line].Account.Money() - before.Lines[line].Account.Money()
	return unit.OfMinor(moved, after.Currency()).Amount
}

// saidBy is what a return counts for the lines of a credit, by line: their price for each unit.
func saidBy(lines []order.CreditedLine, sign int64) map[int]decimal.Decimal {
	said := map[int]decimal.Decimal{}
	for _, l := range lines {
		said[l.Line] = said[l.Line].Add(l.Worth.Amount.Mul(decimal.NewFromInt(sign)))
	}
	return said
}

// takenBy is what units of a credit take off their lines. What it takes for units of no line is not
// counted here: the return counts it.
func takenBy(parts []order.CreditPart, sign int64) map[int]decimal.Decimal {
	taken := map[int]decimal.Decimal{}
	for _, p := range parts {
		if p.Quantity > 0 {
			taken[p.Line] = taken[p.Line].Add(p.Amount.Amount.Mul(decimal.NewFromInt(sign)))
		}
	}
	return taken
}

func addTo(sums, more map[int]decimal.Decimal) {
	for key, amount := range more {
		sums[key] = sums[key].Add(amount)
	}
}

// correctReturn counts the difference between what the return has counted and what its order takes
// off for it, on the document of the return.
func (l *ledger) correctReturn(r *remainder, id unit.ReturnID, said, taken map[int]decimal.Decimal, at time.Time) {
	name, h := returnDocument+string(id), r.Head
	if d := l.latest(name); d != nil {
		h = d.head
	}
	for _, line := range r.Order.Lines {
		off, returned := said[line.Number]
		if !returned {
			continue // a credit that names no line is no sale of a SKU
		}
		if off = off.Sub(taken[line.Number]); !off.IsZero() {
			l.count(l.open(name, Return, h, at), Return, h, at, string(line.SKU), sums{amount: off})
		}
	}
}

// latest is a document with the head that it has by now; nil: there is none.
func (l *ledger) latest(name string) *document {
	if stored := l.stored[name]; stored != nil {
		return stored
	}
	return l.documents[name]
}
