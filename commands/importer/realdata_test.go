package importer

import (
	"compress/gzip"
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/onlineretail"
)

// The first two days of the real file hold 5,217 rows.
const twoDays = 3108 + 2109

// posted is what the log says about one invoice.
type posted struct {
	customer, country string
	day               string
	lines             int
	units             int64
	amount            decimal.Decimal
}

// postedInvoices folds the log into one record for each invoice. It uses only the events, and no
// code of the import.
func (s *shop) postedInvoices(t testing.TB) map[string]posted {
	t.Helper()
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]posted{}
	for recorded, err := range s.store.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		meta, err := eventstore.DecodeMetadata(recorded.Meta)
		if err != nil {
			t.Fatal(err)
		}
		add := func(number, customer, country string, quantity unit.Quantity, price decimal.Decimal) {
			p := all[number]
			p.customer, p.country, p.day = customer, country, meta.OccurredAt.In(london).Format(time.DateOnly)
			p.lines++
			p.units += int64(quantity)
			p.amount = p.amount.Add(price.Mul(decimal.NewFromInt(int64(quantity))))
			all[number] = p
		}
		switch category, _, _ := strings.Cut(recorded.Type, "."); category {
		case order.Category:
			event, err := order.Decode(recorded.Type, recorded.Data)
			if err != nil {
				t.Fatal(err)
			}
			if e, placed := event.(order.Placed); placed {
				for _, l := range e.Lines {
					add(e.Reference, string(e.CustomerID), e.Country, l.Quantity, l.Price.Amount)
				}
			}
		case returns.Category:
			event, err := returns.Decode(recorded.Type, recorded.Data)
			if err != nil {
				t.Fatal(err)
			}
			if e, requested := event.(returns.Requested); requested {
				for _, l := range e.Lines {
					add(e.Reference, string(e.CustomerID), e.Country, -l.Quantity, l.Price.Amount)
				}
			}
			if e, noted := event.(returns.CreditNoted); noted {
				for _, l := range e.Lines {
					add(e.Reference, string(e.CustomerID), e.Country, l.Quantity, l.Price.Amount)
				}
			}
		case stock.Category:
			event, err := stock.Decode(recorded.Type, recorded.Data)
			if err != nil {
				t.Fatal(err)
			}
			if e, adjusted := event.(stock.Adjusted); adjusted {
				add(e.Document, "", "United Kingdom", e.Change, decimal.Zero)
			}
		}
	}
	return all
}

func expectedRows(t testing.TB, name string) [][]string {
	t.Helper()
	var r io.Reader = dataFile(t, name)
	if strings.HasSuffix(name, ".gz") {
		zipped, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		r = zipped
	}
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

func TestTheFirstDaysAreInTheLogAsExpected(t *testing.T) {
	file := firstRows(t, twoDays)
	s := newShop()
	summary := s.mustImport(t, file, Options{Opening: OpeningExact, Workers: 8})
	if summary.OrdersRefused != 0 || summary.LinesRefused != 0 || !summary.Complete {
		t.Fatalf("something was refused: %+v", summary)
	}
	closingStockFollows(t, s, file, summary)

	got := s.postedInvoices(t)
	for _, want := range expectedRows(t, "online_retail.expected_by_invoice.csv.gz")[:len(file.Invoices)] {
		p, in := got[want[0]]
		row := []string{
			p.customer, p.country, strconv.Itoa(p.lines), strconv.FormatInt(p.units, 10), p.amount.Shift(3).String(),
		}
		if !in || !slices.Equal(row, []string{want[2], want[3], want[5], want[6], want[7]}) {
			t.Errorf("invoice %s: got %v, want %v", want[0], row, want)
		}
	}
	if len(got) != len(file.Invoices) {
		t.Errorf("the log tells of %d invoices, want %d", len(got), len(file.Invoices))
	}

	type total struct {
		invoices, lines int
		units           int64
		amount          decimal.Decimal
	}
	days := map[string]total{}
	for _, p := range got {
		day := days[p.day]
		days[p.day] = total{day.invoices + 1, day.lines + p.lines, day.units + p.units, day.amount.Add(p.amount)}
	}
	for _, want := range expectedRows(t, "online_retail.expected_by_day.csv")[:2] {
		day := days[want[0]]
		row := []string{strconv.Itoa(day.invoices), strconv.Itoa(day.lines), strconv.FormatInt(day.units, 10), day.amount.Shift(3).String()}
		if !slices.Equal(row, want[1:5]) {
			t.Errorf("%s: got %v, want %v", want[0], row, want[1:5])
		}
	}
}

// closingStockFollows checks the closing stock of every SKU: it is the smallest opening stock
// plus the changes in the file. All of it is on hand, and nothing is reserved or promised.
func closingStockFollows(t *testing.T, s *shop, file *onlineretail.File, summary Summary) {
	t.Helper()
	moved := onlineretail.Movements(file.Invoices)
	var opening, closing unit.Quantity
	states := s.stock(t)
	for sku, m := range moved {
		opening += m.Needed
		closing += m.Needed + m.Change
		state := states[sku]
		if got, want := state.OnHand(), m.Needed+m.Change; got != want {
			t.Errorf("%s: %d on hand, want %d", sku, got, want)
		}
		if state.ReservedTotal != 0 || state.Promised != 0 {
			t.Errorf("%s: %d reserved, %d promised", sku, state.ReservedTotal, state.Promised)
		}
	}
	if len(states) != len(moved) || summary.OpeningUnits != int64(opening) || summary.ClosingUnits != int64(closing) {
		t.Errorf("%d SKUs, %d to %d units; want %d, %d to %d",
			len(states), summary.OpeningUnits, summary.ClosingUnits, len(moved), opening, closing)
	}
}

// Simple arithmetic takes the orders one after the other. The import must take the same orders,
// with any number of workers.
func TestScarcityIsThatOfOneOrderAfterTheOther(t *testing.T) {
	const opened = 40
	file := firstRows(t, twoDays)
	gone := map[unit.SKU]unit.Quantity{}
	wanted := func(invoice onlineretail.Invoice) map[unit.SKU]unit.Quantity {
		sum := map[unit.SKU]unit.Quantity{}
		for _, line := range invoice.Lines {
			if line.Kind == unit.Stocked {
				sum[line.SKU] += line.Quantity
			}
		}
		return sum
	}
	taken, refused, value := 0, 0, decimal.Zero
	for _, invoice := range file.Invoices {
		if invoice.Kind != onlineretail.Sale {
			continue
		}
		want, enough := wanted(invoice), true
		for sku, quantity := range want {
			enough = enough && quantity <= opened-gone[sku]
		}
		if !enough {
			refused++
			continue
		}
		taken++
		for sku, quantity := range want {
			gone[sku] += quantity
		}
		for _, line := range invoice.Lines {
			value = value.Add(line.Amount())
		}
	}
	if taken == 0 || refused == 0 {
		t.Fatalf("%d taken, %d refused: that proves nothing", taken, refused)
	}
	got := newShop().mustImport(t, file, Options{Opening: "40", Workers: 32, Kinds: []onlineretail.Kind{onlineretail.Sale}})
	if got.OrdersTaken != taken || got.OrdersRefused != refused || got.ValueTaken != onlineretail.Currency.Text(value) {
		t.Errorf("%d taken, %d refused, worth %s; want %d, %d, %s",
			got.OrdersTaken, got.OrdersRefused, got.ValueTaken, taken, refused, onlineretail.Currency.Text(value))
	}
}
