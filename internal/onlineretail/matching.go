package onlineretail

import (
	"github.com/shopspring/decimal"

	"daybook/domain/unit"
)

// Match is how a line of a cancellation was matched to earlier sales.
type Match string

// How the matching of a line can end.
const (
	MatchExact      Match = "exact_line"               // the customer has a line of that quantity and price, and nothing of it has come back
	MatchCovered    Match = "covered"                  // the customer still has enough units
	MatchPartly     Match = "partly_covered"           // the customer has fewer units than come back
	MatchNoSale     Match = "no_earlier_sale"          // the customer has none
	MatchNoCustomer Match = "stocked_without_customer" // no customer, so no sale can be searched
	MatchService    Match = "non_stock_code"           // a fee, postage or discount, for which no sale is searched
)

// Link is units of a sale that a cancellation takes back.
type Link struct {
	Invoice  int // index of the sale
	Line     int // number of its line
	Quantity unit.Quantity
}

// Tally counts lines, their units and their worth. Units and worth are above zero, although a
// cancellation has them below zero.
type Tally struct {
	Lines  int
	Units  int64
	Amount decimal.Decimal
}

// Matching says which earlier sales each cancellation takes back.
type Matching struct {
	// Links are by index of the cancellation, then by its line, from 0.
	Links map[int][][]Link
	Tally map[Match]Tally
}

// MatchCancellations finds what each cancellation takes back, in the order of the invoices. No
// cancellation names its sale, so the search goes by customer and SKU. First it looks for a sold
// line of the same quantity and price, of which nothing has come back. If there is none, it takes
// units that the customer still has, from any lines. In both cases the newest sale comes first.
// Each unit of a sale is taken back at most once. Example: a customer bought 3 mugs, and later 5. A
// cancellation of 3 mugs takes back the first sale, because its quantity is the same. A
// cancellation of 4 mugs takes 4 of the 5.
func MatchCancellations(invoices []Invoice) Matching {
	m := Matching{Links: map[int][][]Link{}, Tally: make(map[Match]Tally)}
	held := map[customerSKU][]soldLine{}
	for i, invoice := range invoices {
		switch {
		case invoice.Kind.Sells() && invoice.CustomerID != "":
			for _, line := range invoice.Lines {
				if line.Kind == unit.Stocked {
					key := customerSKU{invoice.CustomerID, line.SKU}
					held[key] = append(held[key], soldLine{invoice: i, line: line, left: line.Quantity})
				}
			}
		case invoice.Kind == Cancellation:
			links := make([][]Link, len(invoice.Lines))
			for at, line := range invoice.Lines {
				var match Match
				match, links[at] = matchLine(invoice.CustomerID, line, held)
				tally := m.Tally[match]
				tally.Lines++
				tally.Units -= int64(line.Quantity)
				tally.Amount = tally.Amount.Sub(line.Amount())
				m.Tally[match] = tally
			}
			m.Links[i] = links
		}
	}
	return m
}

type customerSKU struct {
	customer unit.CustomerID
	sku      unit.SKU
}

// soldLine is a sold line and how many of its units have not come back.
type soldLine struct {
	invoice int
	line    Line
	left    unit.Quantity
}

func matchLine(customer unit.CustomerID, line Line, held map[customerSKU][]soldLine) (Match, []Link) {
	switch {
	case line.Kind != unit.Stocked:
		return MatchService, nil
	case customer == "":
		return MatchNoCustomer, nil
	}
	lots, wanted := held[customerSKU{customer, line.SKU}], -line.Quantity
	for i := len(lots) - 1; i >= 0; i-- {
		l := &lots[i]
		if l.left == wanted && l.line.Quantity == wanted && l.line.Price.Equal(line.Price) {
			l.left = 0
			return MatchExact, []Link{{Invoice: l.invoice, Line: l.line.Number, Quantity: wanted}}
		}
	}
	var links []Link
	open := wanted
	for i := len(lots) - 1; i >= 0 && open > 0; i-- {
		l := &lots[i]
		if part := min(open, l.left); part > 0 {
			l.left -= part
			open -= part
			links = append(links, Link{Invoice: l.invoice, Line: l.line.Number, Quantity: part})
		}
	}
	switch {
	case open == wanted:
		return MatchNoSale, nil
	case open > 0:
		return MatchPartly, links
	}
	return MatchCovered, links
}
