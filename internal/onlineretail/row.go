package onlineretail

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // Europe/London must be known on machines that have no time zones

	"github.com/shopspring/decimal"

	"daybook/domain/unit"
)

// Column numbers, from 1.
const (
	colInvoice = iota + 1
	colStockCode
	colDescription
	colQuantity
	colDate
	colPrice
	colCustomer
	colCountry
)

// timeLayouts are the forms of a date in copies of the data set: ISO 8601 with or without
// seconds, and the American form of the original spreadsheet. No form names a zone, so all
// are local UK time.
var timeLayouts = [...]string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "1/2/2006 15:04", "1/2/2006 15:04:05"}

var london = sync.OnceValue(func() *time.Location {
	location, err := time.LoadLocation("Europe/London")
	if err != nil {
		panic(err) // time/tzdata is linked in
	}
	return location
})

// row is one record, parsed.
type row struct {
	invoice    string
	time       time.Time
	customerID unit.CustomerID
	country    string
	line       Line
}

// parser turns records into rows. It stores each distinct text and price once, because the
// real file has 541,909 rows and only about 4,000 of each.
type parser struct {
	texts  map[string]string
	skus   map[string]unit.SKU
	prices map[string]decimal.Decimal

	// Rows that follow each other usually have the same time.
	timeText string
	time     time.Time
	within   func(at time.Time) error // nil: every time is accepted
}

func newParser() *parser {
	return &parser{texts: map[string]string{}, skus: map[string]unit.SKU{}, prices: map[string]decimal.Decimal{}}
}

func (p *parser) text(s string) string {
	if kept, known := p.texts[s]; known {
		return kept
	}
	s = strings.Clone(s)
	p.texts[s] = s
	return s
}

func (p *parser) row(rec record) (row, error) {
	bad := func(column int, reason string) (row, error) {
		return row{}, &Problem{Row: rec.row, Column: column, Reason: reason}
	}
	field := func(column int) string { return rec.fields[column-1] }
	var r row
	var err error

	if !isInvoiceNumber(field(colInvoice)) {
		return bad(colInvoice, fmt.Sprintf("%q is not an invoice number: want digits, or C or A and digits", field(colInvoice)))
	}
	r.invoice = p.text(field(colInvoice))
	r.line = Line{Row: rec.row, SKUText: p.text(field(colStockCode)), Note: p.text(field(colDescription))}
	if r.line.SKU, err = p.sku(field(colStockCode)); err != nil {
		return bad(colStockCode, err.Error())
	}
	if len(r.line.SKUText) > unit.MaxReference {
		return bad(colStockCode, fmt.Sprintf("the code is longer than %d bytes", unit.MaxReference))
	}
	r.line.Kind = KindOfSKU(r.line.SKU)
	if unit.Blank(r.line.Note) {
		r.line.Note = "" // not given
	}
	if fault := unit.LineFault(r.line.Note, unit.MaxTitle); fault != "" {
		return bad(colDescription, fault)
	}
	quantity, err := strconv.ParseInt(field(colQuantity), 10, 64)
	if err != nil {
		return bad(colQuantity, fmt.Sprintf("%q is not a whole number", field(colQuantity)))
	}
	if quantity == 0 || quantity < -int64(unit.MaxQuantity) || quantity > int64(unit.MaxQuantity) {
		return bad(colQuantity, fmt.Sprintf("%d is out of range: want 1 to %d, or as many below zero", quantity, unit.MaxQuantity))
	}
	r.line.Quantity = unit.Quantity(quantity)
	if r.time, err = p.at(field(colDate)); err != nil {
		return bad(colDate, err.Error())
	}
	if r.line.Price, err = p.price(field(colPrice)); err != nil {
		return bad(colPrice, err.Error())
	}
	// A spreadsheet that read the column as numbers wrote 17850.0.
	if customer := strings.TrimSuffix(field(colCustomer), ".0"); customer != "" {
		if len(customer) > 20 || !isDigits(customer) {
			return bad(colCustomer, fmt.Sprintf("%q is not a customer: want up to 20 digits, or nothing", customer))
		}
		r.customerID = unit.CustomerID(p.text(customer))
	}
	r.country = p.text(field(colCountry))
	if fault := unit.LineFault(r.country, unit.MaxReference); fault != "" {
		return bad(colCountry, fault)
	}
	return r, nil
}

func (p *parser) sku(text string) (unit.SKU, error) {
	if sku, known := p.skus[text]; known {
		return sku, nil
	}
	sku, err := unit.ParseSKU(text)
	if err == nil {
		p.skus[p.text(text)] = sku
	}
	return sku, err
}

func (p *parser) price(text string) (decimal.Decimal, error) {
	if price, known := p.prices[text]; known {
		return price, nil
	}
	price, err := unit.ParseAmount(text)
	if err == nil {
		p.prices[p.text(text)] = price
	}
	return price, err
}

func (p *parser) at(text string) (time.Time, error) {
	if text == p.timeText {
		return p.time, nil
	}
	at, err := parseTime(text)
	if err == nil && p.within != nil {
		err = p.within(at)
	}
	if err == nil {
		p.timeText, p.time = strings.Clone(text), at
	}
	return at, err
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// isInvoiceNumber bounds the number, so that ids which are made from it are valid.
func isInvoiceNumber(s string) bool {
	number := s
	if strings.HasPrefix(s, "C") || strings.HasPrefix(s, "A") {
		number = s[1:]
	}
	return len(number) <= 20 && isDigits(number)
}

func parseTime(text string) (time.Time, error) {
	for _, layout := range timeLayouts {
		clock, err := time.Parse(layout, text)
		if err != nil || clock.Nanosecond() != 0 {
			continue
		}
		at, err := time.ParseInLocation(layout, text, london())
		if err != nil {
			continue
		}
		if at.Format(time.DateTime) != clock.Format(time.DateTime) {
			return time.Time{}, fmt.Errorf("%s did not exist in Europe/London: the clocks went forward", text)
		}
		return at, nil
	}
	return time.Time{}, fmt.Errorf("%q is not a date: want one like 2010-12-01 08:26:00, or 12/1/2010 8:26 with the month first", text)
}
