package onlineretail

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/unit"
)

// dataFile opens a file of the real data. It skips the test if the file is missing.
func dataFile(t testing.TB, name string) *os.File {
	t.Helper()
	dir := os.Getenv("DAYBOOK_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(dir, name))
	if os.IsNotExist(err) {
		t.Skipf("no %s in %s: set DAYBOOK_DATA to the directory of the real data", name, dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func dataRows(t testing.TB, name string) [][]string {
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

var readOnce struct {
	sync.Once
	file *File
}

// realFile is the whole real file; tests must not change it.
func realFile(t testing.TB) *File {
	t.Helper()
	f := dataFile(t, "online_retail.csv.gz")
	readOnce.Do(func() {
		file, err := Read(f, Strict)
		if err != nil {
			t.Fatal(err)
		}
		readOnce.file = file
	})
	if readOnce.file == nil {
		t.Fatal("the file could not be read; see the first test that tried")
	}
	return readOnce.file
}

type expected struct {
	SHA256    string `json:"uncompressed_sha256"`
	Rows      int    `json:"rows"`
	Invoices  int    `json:"invoices"`
	Stocked   int    `json:"stocked_skus_upper"`
	SumMills  int64  `json:"sum_amount_mills"`
	Customers int    `json:"customers"`
	ByKind    map[Kind]struct {
		Invoices  int   `json:"invoices"`
		Lines     int   `json:"lines"`
		Quantity  int64 `json:"sum_quantity"`
		Mills     int64 `json:"amount_mills"`
		StockedQ  int64 `json:"stocked_quantity"`
		StockedLn int   `json:"stocked_lines"`
	} `json:"by_kind"`
	Ledger struct {
		Opening   int64 `json:"opening_total"`
		Closing   int64 `json:"closing_total"`
		Movements int   `json:"movements"`
	} `json:"full_ledger"`
	Matching map[Match]struct {
		Lines int   `json:"lines"`
		Units int64 `json:"units"`
		Mills int64 `json:"amount_mills"`
	} `json:"cancellation_matching"`
}

func oracle(t testing.TB) expected {
	t.Helper()
	var e expected
	if err := json.NewDecoder(dataFile(t, "online_retail.expected.json")).Decode(&e); err != nil {
		t.Fatal(err)
	}
	return e
}

func mills(d decimal.Decimal) int64 { return d.Shift(3).IntPart() }

func number(t testing.TB, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRealFileHasTheKnownTotals(t *testing.T) {
	file, want := realFile(t), oracle(t)
	if file.SHA256 != want.SHA256 || file.Rows != want.Rows || len(file.Invoices) != want.Invoices || len(file.Excluded) != 0 {
		t.Errorf("got sha %s, %d rows, %d invoices, %d aside; want %s, %d, %d, 0",
			file.SHA256, file.Rows, len(file.Invoices), len(file.Excluded), want.SHA256, want.Rows, want.Invoices)
	}
	type total struct {
		invoices, lines int
		quantity, mills int64
		stocked         int64
		stockedLines    int
	}
	got, sum, customers := make(map[Kind]total), decimal.Zero, map[unit.CustomerID]bool{}
	amounts := make(map[Kind]decimal.Decimal)
	for _, invoice := range file.Invoices {
		total := got[invoice.Kind]
		total.invoices++
		if invoice.CustomerID != "" {
			customers[invoice.CustomerID] = true
		}
		for _, line := range invoice.Lines {
			total.lines++
			total.quantity += int64(line.Quantity)
			amounts[invoice.Kind] = amounts[invoice.Kind].Add(line.Amount())
			sum = sum.Add(line.Amount())
			if line.Kind == unit.Stocked {
				total.stocked += int64(line.Quantity)
				total.stockedLines++
			}
		}
		got[invoice.Kind] = total
	}
	for _, kind := range Kinds {
		w, g := want.ByKind[kind], got[kind]
		g.mills = mills(amounts[kind])
		if w := (total{w.Invoices, w.Lines, w.Quantity, w.Mills, w.StockedQ, w.StockedLn}); g != w {
			t.Errorf("%s: got %+v, want %+v", kind, g, w)
		}
	}
	if mills(sum) != want.SumMills || len(customers) != want.Customers {
		t.Errorf("got %d mills of %d customers, want %d of %d", mills(sum), len(customers), want.SumMills, want.Customers)
	}
}

func TestRealInvoicesAreAsExpectedOneByOne(t *testing.T) {
	file, want := realFile(t), dataRows(t, "online_retail.expected_by_invoice.csv.gz")
	if len(file.Invoices) != len(want) {
		t.Fatalf("%d invoices, want %d", len(file.Invoices), len(want))
	}
	for i, invoice := range file.Invoices {
		var quantity int64
		amount := decimal.Zero
		for _, line := range invoice.Lines {
			quantity += int64(line.Quantity)
			amount = amount.Add(line.Amount())
		}
		got := []string{
			invoice.Number, string(invoice.Kind), string(invoice.CustomerID), invoice.Country, invoice.Time.Format(time.DateTime),
			strconv.Itoa(len(invoice.Lines)), strconv.FormatInt(quantity, 10), strconv.FormatInt(mills(amount), 10),
		}
		if strings.Join(got, ",") != strings.Join(want[i], ",") {
			t.Fatalf("invoice %d: got %v, want %v", i, got, want[i])
		}
	}
}

func TestRealStockNeedsTheKnownOpening(t *testing.T) {
	file, want := realFile(t), oracle(t)
	moved := Movements(file.Invoices)
	var opening, closing unit.Quantity
	for _, m := range moved {
		opening += m.Needed
		closing += m.Needed + m.Change
	}
	if len(moved) != want.Stocked || int64(opening) != want.Ledger.Opening || int64(closing) != want.Ledger.Closing {
		t.Errorf("got %d SKUs, opening %d, closing %d; want %d, %d, %d",
			len(moved), opening, closing, want.Stocked, want.Ledger.Opening, want.Ledger.Closing)
	}
	const colSKU, colStocked, colDelta, colOpening = 0, 1, 9, 10
	for _, row := range dataRows(t, "online_retail.expected_by_sku.csv") {
		sku := unit.SKU(row[colSKU])
		m, stocked := moved[sku]
		if stocked != (row[colStocked] == "1") {
			t.Errorf("%s: stocked %v, want %s", sku, stocked, row[colStocked])
		}
		if !stocked {
			continue
		}
		if int64(m.Needed) != number(t, row[colOpening]) || int64(m.Change) != number(t, row[colDelta]) {
			t.Errorf("%s: needs %d and changes by %d, want %s and %s", sku, m.Needed, m.Change, row[colOpening], row[colDelta])
		}
	}
}

func TestRealCancellationsAreMatchedAsKnown(t *testing.T) {
	file, want := realFile(t), oracle(t)
	matching := MatchCancellations(file.Invoices)
	if len(matching.Tally) != len(want.Matching) {
		t.Errorf("%d results, want %d", len(matching.Tally), len(want.Matching))
	}
	for match, w := range want.Matching {
		got := matching.Tally[match]
		if got.Lines != w.Lines || got.Units != w.Units || mills(got.Amount) != w.Mills {
			t.Errorf("%s: got %+v, want %+v", match, got, w)
		}
	}
	// The units of a sale come back at most once. They come from the customer who bought them, and
	// they are the same goods.
	type saleLine struct{ invoice, line int }
	back := map[saleLine]unit.Quantity{}
	for i, lines := range matching.Links {
		for at, links := range lines {
			for _, link := range links {
				sale := file.Invoices[link.Invoice]
				line := sale.Lines[link.Line-1]
				back[saleLine{link.Invoice, link.Line}] += link.Quantity
				if link.Invoice >= i || line.SKU != file.Invoices[i].Lines[at].SKU || sale.CustomerID != file.Invoices[i].CustomerID {
					t.Fatalf("%s line %d is linked to %s line %d", file.Invoices[i].Number, at+1, sale.Number, link.Line)
				}
			}
		}
	}
	for key, quantity := range back {
		if sold := file.Invoices[key.invoice].Lines[key.line-1].Quantity; quantity > sold {
			t.Errorf("%s line %d: %d came back of %d", file.Invoices[key.invoice].Number, key.line, quantity, sold)
		}
	}
}

func TestRealProductsAreFoldedByCase(t *testing.T) {
	products := Products(realFile(t).Invoices)
	if got, want := len(products), len(dataRows(t, "online_retail.expected_by_sku.csv")); got != want {
		t.Errorf("%d products, want %d", got, want)
	}
	for _, product := range products {
		if product.Title == "" || len(product.Title) > unit.MaxTitle {
			t.Errorf("%s: title %q", product.SKU, product.Title)
		}
		if product.SKU == "85123A" && product.Title != "WHITE HANGING HEART T-LIGHT HOLDER" {
			t.Errorf("85123A is called %q", product.Title)
		}
	}
}

func BenchmarkReadRealFile(b *testing.B) {
	name := dataFile(b, "online_retail.csv.gz").Name()
	for b.Loop() {
		f, err := os.Open(name)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Read(f, Strict); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
