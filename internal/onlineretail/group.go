package onlineretail

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// grouping collects rows into invoices. The rows of an invoice need not follow each other. An
// invoice has the place of its first row.
type grouping struct {
	mode     Mode
	rows     int
	invoices []Invoice
	index    map[string]int // by invoice number

	// Under Quarantine:
	seen     []seenRow           // every row, because a bad invoice is reported with its rows' text
	rejected map[string]*Problem // reason by invoice number
	lost     *Problem            // the row before was bad, and its invoice is not known
}

type seenRow struct {
	row     int
	invoice string
	text    string
	problem *Problem
}

func newGrouping(mode Mode) *grouping {
	return &grouping{mode: mode, index: map[string]int{}, rejected: map[string]*Problem{}}
}

func (g *grouping) add(rec record, r row) {
	g.rows++
	if g.mode == Quarantine {
		g.seen = append(g.seen, seenRow{row: rec.row, invoice: r.invoice, text: rec.text})
		if g.lost != nil {
			g.exclude(r.invoice, g.lost)
			g.lost = nil
		}
	}
	i, known := g.index[r.invoice]
	if !known {
		i = len(g.invoices)
		g.index[r.invoice] = i
		g.invoices = append(g.invoices, Invoice{Number: r.invoice, Time: r.time, CustomerID: r.customerID, Country: r.country})
	}
	invoice := &g.invoices[i]
	if problem := mismatch(*invoice, r); problem != nil {
		if g.rejected[r.invoice] == nil {
			g.rejected[r.invoice] = problem
		}
		if g.mode == Quarantine {
			g.seen[len(g.seen)-1].problem = problem
		}
	}
	r.line.Number = len(invoice.Lines) + 1
	invoice.Lines = append(invoice.Lines, r.line)
}

// mismatch tells whether a row contradicts earlier rows of its invoice.
func mismatch(invoice Invoice, r row) *Problem {
	switch {
	case invoice.CustomerID != r.customerID:
		return &Problem{Row: r.line.Row, Column: colCustomer, Reason: fmt.Sprintf("invoice %s has two customers, %q and %q", invoice.Number, invoice.CustomerID, r.customerID)}
	case invoice.Country != r.country:
		return &Problem{Row: r.line.Row, Column: colCountry, Reason: fmt.Sprintf("invoice %s has two countries, %q and %q", invoice.Number, invoice.Country, r.country)}
	}
	return nil
}

// addBad excludes a row, and with it the whole invoice. If the row does not name its invoice, it
// may belong to the invoice before it or to the one after it, so both are excluded.
func (g *grouping) addBad(rec record, problem *Problem) {
	g.rows++
	number, _, _ := strings.Cut(rec.text, ",")
	number = strings.Trim(number, `" `)
	if isInvoiceNumber(number) {
		g.exclude(number, problem)
	} else {
		number = ""
		if before := len(g.seen) - 1; before >= 0 {
			g.exclude(g.seen[before].invoice, problem)
		}
		g.lost = problem
	}
	g.seen = append(g.seen, seenRow{row: rec.row, invoice: number, text: rec.text, problem: problem})
}

func (g *grouping) exclude(number string, problem *Problem) {
	if number != "" && g.rejected[number] == nil {
		g.rejected[number] = problem
	}
}

// file returns the result after the last row.
func (g *grouping) file() (*File, error) {
	for i := range g.invoices {
		invoice := &g.invoices[i]
		if g.rejected[invoice.Number] != nil {
			continue
		}
		invoice.Kind = kindOf(*invoice)
		if problem := check(*invoice); problem != nil {
			g.rejected[invoice.Number] = problem
		}
	}
	if len(g.rejected) == 0 {
		return &File{Rows: g.rows, Invoices: g.invoices}, nil
	}
	if g.mode == Strict {
		var first *Problem
		for _, problem := range g.rejected {
			if first == nil || problem.Row < first.Row {
				first = problem
			}
		}
		return nil, first
	}
	sound := slices.DeleteFunc(g.invoices, func(invoice Invoice) bool { return g.rejected[invoice.Number] != nil })
	return &File{Rows: g.rows, Invoices: sound, Excluded: g.excluded()}, nil
}

func (g *grouping) excluded() []ExcludedRow {
	var aside []ExcludedRow
	for _, seen := range g.seen {
		why := g.rejected[seen.invoice]
		set := ExcludedRow{Row: seen.row, Invoice: seen.invoice, Text: seen.text}
		switch {
		case seen.problem != nil:
			set.Column, set.Reason = seen.problem.Column, seen.problem.Reason
		case why != nil && why.Row == seen.row:
			set.Column, set.Reason = why.Column, why.Reason
		case why != nil:
			set.Reason = fmt.Sprintf("all rows of invoice %s are excluded, because row %d is bad", seen.invoice, why.Row)
		default:
			continue
		}
		aside = append(aside, set)
	}
	slices.SortStableFunc(aside, func(a, b ExcludedRow) int { return cmp.Compare(a.Row, b.Row) })
	return aside
}

// maxLines is how many lines one order can have; see domain/cart.
const maxLines = 2000

// check refuses an invoice that mixes two kinds.
func check(invoice Invoice) *Problem {
	for _, line := range invoice.Lines {
		bad := func(column int, reason string) *Problem {
			return &Problem{Row: line.Row, Column: column, Reason: fmt.Sprintf("invoice %s, %s: %s", invoice.Number, invoice.Kind, reason)}
		}
		gone := line.Quantity < 0
		switch invoice.Kind {
		case Sale, FreeOrder, AdjustIn:
			if gone {
				return bad(colQuantity, "every quantity must be above zero")
			}
		case Cancellation, AdjustOut:
			if !gone {
				return bad(colQuantity, "every quantity must be below zero")
			}
		case BadDebt:
		}
		switch {
		case invoice.Kind != BadDebt && line.Price.Sign() < 0:
			return bad(colPrice, "a price below zero")
		case invoice.Kind == AdjustOut && line.Price.Sign() != 0:
			return bad(colPrice, "goods leave the stock at a price, but the invoice names no customer who owes it")
		case line.Number > maxLines:
			return bad(0, fmt.Sprintf("more than %d lines", maxLines))
		}
	}
	return nil
}
