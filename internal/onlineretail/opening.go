package onlineretail

import (
	"maps"
	"slices"
	"strings"

	"daybook/domain/unit"
)

// Product is a SKU as the catalogue lists it.
type Product struct {
	SKU   unit.SKU
	Title string
	Kind  unit.Kind
}

// Products lists every SKU of the invoices, sorted by SKU. A title is the first note that a
// sale gives to the SKU. Without one it is any note, and else the code. Descriptions vary,
// and some are remarks.
func Products(invoices []Invoice) []Product {
	found := map[unit.SKU]Product{}
	sold := map[unit.SKU]bool{}
	for _, invoice := range invoices {
		for _, line := range invoice.Lines {
			product, known := found[line.SKU]
			if !known {
				product = Product{SKU: line.SKU, Title: string(line.SKU), Kind: line.Kind}
			}
			note := strings.TrimSpace(line.Note)
			untitled := product.Title == string(line.SKU)
			if note != "" && (untitled || invoice.Kind.Sells() && !sold[line.SKU]) {
				product.Title = note
				sold[line.SKU] = invoice.Kind.Sells()
			}
			found[line.SKU] = product
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Product) int { return strings.Compare(string(a.SKU), string(b.SKU)) })
}

// StockChange is how a line changes stock: an adjustment adds its quantity, and every other
// line subtracts it. Services have no stock.
func StockChange(kind Kind, line Line) unit.Quantity {
	switch {
	case line.Kind != unit.Stocked || kind == BadDebt:
		return 0
	case kind == AdjustIn || kind == AdjustOut:
		return line.Quantity
	}
	return -line.Quantity
}

// Movement sums up what invoices do to the stock of one SKU.
type Movement struct {
	// Needed is the smallest opening stock with which no line is short, if the invoices come in the
	// sequence of the file.
	Needed unit.Quantity
	// Out is how many units leave in all. With this opening stock no line is short, in whatever
	// sequence the invoices come.
	Out unit.Quantity
	// Change is the stock after all invoices minus the opening stock.
	Change unit.Quantity
}

// Movements returns the movement of each stocked SKU of the invoices.
func Movements(invoices []Invoice) map[unit.SKU]Movement {
	moved := map[unit.SKU]Movement{}
	for _, invoice := range invoices {
		for _, line := range invoice.Lines {
			if line.Kind != unit.Stocked {
				continue
			}
			m := moved[line.SKU]
			change := StockChange(invoice.Kind, line)
			m.Change += change
			m.Needed = max(m.Needed, -m.Change)
			m.Out += max(0, -change)
			moved[line.SKU] = m
		}
	}
	return moved
}
