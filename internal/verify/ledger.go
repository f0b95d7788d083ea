package verify

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/eventstore"
)

// The kinds of document that change sales or stock.
const (
	sale         = "sale"
	freeOrder    = "free_order"
	cancellation = "cancellation"
	adjustIn     = "adjust_in"
	adjustOut    = "adjust_out"
	badDebt      = "bad_debt"
)

// Sum is what some lines come to.
type Sum struct {
	Lines  int64
	Units  int64
	Amount decimal.Decimal
}

func (s *Sum) add(units int64, amount decimal.Decimal) {
	s.Lines++
	s.Units += units
	s.Amount = s.Amount.Add(amount)
}

func (s Sum) String() string {
	return fmt.Sprintf("%d lines, %d units, %s", s.Lines, s.Units, s.Amount)
}

func (s Sum) equal(other Sum) bool {
	return s.Lines == other.Lines && s.Units == other.Units && s.Amount.Equal(other.Amount)
}

// document is one invoice, or whatever stands for one.
type document struct {
	Sum
	kind     string
	customer string
	country  string
	day      string
}

// Ledger is the documents of the log, or of a file, and their sums.
type Ledger struct {
	documents map[string]*document // by number
	byDay     map[[2]string]*Sum   // kind, day
	bySKU     map[[2]string]*Sum   // kind, SKU
	byCountry map[[2]string]*Sum   // kind, country
	location  *time.Location
}

func newLedger() *Ledger {
	return &Ledger{
		documents: map[string]*document{}, byDay: map[[2]string]*Sum{}, bySKU: map[[2]string]*Sum{}, byCountry: map[[2]string]*Sum{},
		location: time.UTC,
	}
}

// line books one line of a document.
func (l *Ledger) line(number, kind, customer, country, day, sku string, units int64, amount decimal.Decimal) {
	d := l.documents[number]
	if d == nil {
		d = &document{kind: kind, customer: customer, country: country, day: day}
		l.documents[number] = d
	}
	d.add(units, amount)
	at(l.byDay, kind, d.day).add(units, amount)
	at(l.bySKU, kind, sku).add(units, amount)
	at(l.byCountry, kind, country).add(units, amount)
}

func at(sums map[[2]string]*Sum, kind, key string) *Sum {
	k := [2]string{kind, key}
	if sums[k] == nil {
		sums[k] = &Sum{}
	}
	return sums[k]
}

func (l *Ledger) day(e eventstore.Recorded) (string, error) {
	meta, err := eventstore.DecodeMetadata(e.Meta)
	if err != nil {
		return "", err
	}
	return meta.EffectiveAt(e.RecordedAt).In(l.location).Format(time.DateOnly), nil
}

func (l *Ledger) order(e eventstore.Recorded, _ order.State, event order.Event) error {
	placed, ok := event.(order.Placed)
	if !ok {
		return nil
	}
	day, err := l.day(e)
	if err != nil {
		return err
	}
	kind := freeOrder
	for _, line := range placed.Lines {
		if line.Price.Sign() > 0 {
			kind = sale
		}
	}
	number := numberOr(placed.Reference, string(placed.OrderID))
	for _, line := range placed.Lines {
		l.line(number, kind, string(placed.CustomerID), placed.Country, day, string(line.SKU), int64(line.Quantity), line.Total().Amount)
	}
	return nil
}

func numberOr(reference, id string) string {
	if reference != "" {
		return reference
	}
	return id
}

// returned books a return when its goods have come; lines of services with the
// first arrival.
func (l *Ledger) returned(e eventstore.Recorded, state returns.State, event returns.Event) error {
	day, err := l.day(e)
	if err != nil {
		return err
	}
	switch event := event.(type) {
	case returns.Received:
		if event.Receipt != 1 {
			return nil
		}
		r := state.Requested
		for _, line := range r.Lines {
			l.line(numberOr(r.Reference, string(r.ReturnID)), cancellation, string(r.CustomerID), r.Country, day,
				string(line.SKU), -int64(line.Quantity), line.Price.Times(line.Quantity).Negated().Amount)
		}
	case returns.CreditNoted:
		for _, line := range event.Lines {
			kind := badDebt
			switch {
			case event.Reason == badDebt:
			case line.Quantity > 0:
				kind = adjustIn
			default:
				kind = adjustOut
			}
			l.line(numberOr(event.Reference, string(event.ReturnID)), kind, string(event.CustomerID), event.Country, day,
				string(line.SKU), int64(line.Quantity), line.Price.Times(line.Quantity).Amount)
		}
	case returns.Requested, returns.Approved, returns.Declined, returns.Canceled, returns.Refunded, returns.Closed, returns.StockSettled:
	}
	return nil
}

// stock books adjustments that name a document.
func (l *Ledger) stock(e eventstore.Recorded, event stock.Event) error {
	adjusted, ok := event.(stock.Adjusted)
	if !ok || adjusted.Document == "" {
		return nil
	}
	day, err := l.day(e)
	if err != nil {
		return err
	}
	kind := adjustIn
	if adjusted.Change < 0 {
		kind = adjustOut
	}
	l.line(adjusted.Document, kind, "", "", day, string(adjusted.SKU), int64(adjusted.Change), decimal.Zero)
	return nil
}

// compareSums holds two sets of sums against each other, both ways.
func compareSums(name string, got, want map[[2]string]*Sum) *Check {
	check := &Check{Name: name}
	keys := maps.Clone(want)
	maps.Copy(keys, got)
	for _, key := range slices.SortedFunc(maps.Keys(keys), func(a, b [2]string) int { return strings.Compare(a[0]+a[1], b[0]+b[1]) }) {
		check.Examined++
		var have, should Sum
		if got[key] != nil {
			have = *got[key]
		}
		if want[key] != nil {
			should = *want[key]
		}
		if !have.equal(should) {
			check.differ("%s %s: %s, want %s", key[0], key[1], have, should)
		}
	}
	return check
}

// foldSums adds sums up under shorter keys.
func foldSums(sums map[[2]string]*Sum, key func([2]string) [2]string) map[[2]string]*Sum {
	folded := map[[2]string]*Sum{}
	for k, s := range sums {
		short := key(k)
		sum := at(folded, short[0], short[1])
		sum.Lines += s.Lines
		sum.Units += s.Units
		sum.Amount = sum.Amount.Add(s.Amount)
	}
	return folded
}

func byKind(k [2]string) [2]string  { return [2]string{k[0], ""} }
func byMonth(k [2]string) [2]string { return [2]string{k[0], k[1][:len("2006-01")]} }
