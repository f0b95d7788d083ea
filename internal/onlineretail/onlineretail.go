// Package onlineretail reads invoices in the layout of the UCI "Online Retail" data set: one CSV
// row for each invoice line, and eight columns. It knows what kind each invoice is, what stock must
// have been there before the first one, and which earlier sales a cancellation takes back.
//
// It only reads what it is given. It records nothing: commands/importer does that.
package onlineretail

import (
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/unit"
)

// Columns is the header of the layout. The second edition of the data set has other names for
// three of the columns: see otherNames.
var Columns = [...]string{"InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"}

// otherNames are the names of columns in "Online Retail II" and its copies.
var otherNames = map[string]string{"Invoice": "InvoiceNo", "Price": "UnitPrice", "Customer ID": "CustomerID"}

// Currency is the currency of every price in the layout.
const Currency unit.Currency = "GBP"

// Kind is what an invoice means. The names are those in the file of expected totals.
type Kind string

// The kinds; see kindOf for how they are told apart.
const (
	Sale         Kind = "SALE"
	FreeOrder    Kind = "FREE_ORDER"   // goods for a customer, all prices zero
	Cancellation Kind = "CANCELLATION" // a return or a credit note
	AdjustIn     Kind = "ADJUST_IN"    // goods found
	AdjustOut    Kind = "ADJUST_OUT"   // goods gone
	BadDebt      Kind = "BAD_DEBT"
)

// Kinds are all kinds, in the order they are reported in.
var Kinds = []Kind{Sale, FreeOrder, Cancellation, AdjustIn, AdjustOut, BadDebt}

// Sells tells whether an invoice of the kind is an order.
func (k Kind) Sells() bool { return k == Sale || k == FreeOrder }

// Invoice is all rows of one invoice number, wherever they are in the file.
type Invoice struct {
	Number     string
	Kind       Kind
	Time       time.Time // of its first row, Europe/London; a few invoices span two minutes
	CustomerID unit.CustomerID
	Country    string
	Lines      []Line
}

// Line is one row. Two equal rows are not an error: the goods were scanned twice. So a line is
// identified by its invoice and its number, and never by its content.
type Line struct {
	Number   int // 1, 2, ... within the invoice
	Row      int // in the file
	SKU      unit.SKU
	SKUText  string // the code as given
	Note     string // the description: a note on the line, never a product's key
	Kind     unit.Kind
	Quantity unit.Quantity // signed, as in the file
	Price    decimal.Decimal
}

// Amount is the exact worth of the line: its quantity, with the file's sign, times its price.
func (l Line) Amount() decimal.Decimal { return l.Price.Mul(decimal.NewFromInt(int64(l.Quantity))) }

// services are the codes that are sold and never kept in stock: postage, fees,
// discounts, samples, corrections by hand.
var services = map[unit.SKU]bool{
	"POST": true, "DOT": true, "M": true, "C2": true, "D": true, "S": true,
	"BANK CHARGES": true, "AMAZONFEE": true, "CRUK": true, "B": true,
}

// KindOfSKU tells goods from services.
func KindOfSKU(sku unit.SKU) unit.Kind {
	if services[sku] || strings.HasPrefix(string(sku), "GIFT_") {
		return unit.Service
	}
	return unit.Stocked
}

// kindOf applies the rules in their order.
func kindOf(invoice Invoice) Kind {
	switch {
	case invoice.Number[0] == 'C':
		return Cancellation
	case invoice.Number[0] == 'A':
		return BadDebt
	case invoice.Lines[0].Quantity < 0:
		return AdjustOut
	}
	for _, line := range invoice.Lines {
		if line.Price.Sign() > 0 {
			return Sale
		}
	}
	if invoice.CustomerID != "" {
		return FreeOrder
	}
	return AdjustIn
}
