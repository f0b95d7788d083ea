package verify_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/importer"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/onlineretail"
	"daybook/internal/verify"
)

// emptyJournal is a journal of an import that keeps nothing.
type emptyJournal struct{}

func (emptyJournal) Load(context.Context) (string, int64, []byte, error) { return "", 0, nil, nil }
func (emptyJournal) Save(context.Context, string, int64, []byte) error   { return nil }

func newService(log eventstore.Store) *commands.Service {
	return commands.NewService(log, commands.DefaultPolicy(), time.Now, aggregate.Options{})
}

// importText imports invoices. It first receives exactly the stock that they need.
func importText(t *testing.T, log eventstore.Store, text string) {
	t.Helper()
	file, err := onlineretail.Read(strings.NewReader(text), onlineretail.Strict)
	if err != nil {
		t.Fatal(err)
	}
	i := importer.Importer{Service: newService(log), Store: log, Journal: emptyJournal{}, Logger: slog.New(slog.DiscardHandler)}
	opening, err := importer.ParseOpening("exact")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Run(t.Context(), file, importer.Options{Opening: opening, Policy: "all-or-nothing", Order: importer.FileOrder, Workers: 8}); err != nil {
		t.Fatal(err)
	}
}

// differencesFromFile verifies the log against a file with this text and returns the differences.
// If the name ends in .gz, the file is a gzip.
func differencesFromFile(t *testing.T, log eventstore.Store, name, text string) map[string][]string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if strings.HasSuffix(name, ".gz") {
		var packed strings.Builder
		w := gzip.NewWriter(&packed)
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		text = packed.String()
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := verify.Run(t.Context(), verify.Config{Store: log, Now: time.Now(), Against: path})
	if err != nil {
		t.Fatal(err)
	}
	return differences(report)
}

// everyKind has an invoice of each kind, one SKU in upper and lower case, and postage. One invoice
// was made half an hour after midnight in summer, when it was still the day before in UTC.
const everyKind = `InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123a,HOLDER,6,2010-12-01 08:26:00,2.55,17850,EIRE
536365,85123A,HOLDER,2,2010-12-01 08:26:00,2.95,17850,EIRE
536365,POST,POSTAGE,1,2010-12-01 08:26:00,18.0,17850,EIRE
C536366,85123A,HOLDER,-2,2010-12-02 09:00:00,2.95,17850,EIRE
C536367,POST,POSTAGE,-1,2010-12-02 09:01:00,18.0,17850,EIRE
536368,22139,found,56,2010-12-02 10:00:00,0.0,,United Kingdom
536369,22139,damages,-6,2010-12-03 10:00:00,0.0,,United Kingdom
536370,22139,GIFT,1,2010-12-03 11:00:00,0.0,12345,United Kingdom
A536371,B,Adjust bad debt,1,2011-08-12 14:50:00,-11062.06,,United Kingdom
536372,22139,TEA,3,2011-06-30 00:30:00,0.85,12345,United Kingdom
`

func TestAFileAndItsImportAgree(t *testing.T) {
	t.Parallel()
	log := memory.New()
	importText(t, log, everyKind)
	for _, name := range []string{"invoices.csv", "invoices.csv.gz"} {
		if found := differencesFromFile(t, log, name, everyKind); len(found) != 0 {
			t.Errorf("%s: %q", name, found)
		}
	}
}

// Work of the shop that is not from the file is not compared with it. It is done before and after
// the import, with the same SKUs, and on orders of the import.
func TestOtherWorkIsNotComparedWithTheFile(t *testing.T) {
	t.Parallel()
	log := memory.New()
	s := &shopService{t: t, Service: newService(log)}
	s.must(s.Product(t.Context(), callAt(spring), "85123A", product.List{SKU: "85123A", Title: "Mine", Kind: unit.Stocked}))
	s.sell("own-1", "85123A", 4)
	importText(t, log, everyKind)
	s.sell("own-2", "22139", 3)
	s.must(s.MoveStock(t.Context(), callAt(spring), key("22139"),
		stock.Adjust{At: s.At(key("22139")), Change: -1, Reason: stock.Correction, Document: "own"},
		stock.Count{At: s.At(key("22139")), Expected: 45, Counted: 44}))
	s.must(s.Return(t.Context(), callAt(summer), "own-back", returns.Request{
		ReturnID: "own-back", OrderID: "536372", CustomerID: "12345", Currency: "GBP",
		Lines: []returns.Line{{SKU: "22139", Kind: unit.Stocked, Quantity: 1, Price: gbp("0.85"), Links: []returns.Link{{OrderID: "536372", Line: 1, Quantity: 1}}}},
	}))
	s.must(s.Return(t.Context(), callAt(summer), "own-back", returns.Approve{}, returns.Receive{Receipt: 1, Lines: []returns.ReceivedLine{
		{Line: 1, Quantity: 1, Disposition: returns.Restocked, Location: unit.DefaultLocation},
	}}))
	path := filepath.Join(t.TempDir(), "invoices.csv")
	if err := os.WriteFile(path, []byte(everyKind), 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := verify.Run(t.Context(), verify.Config{Store: log, Now: time.Now(), Against: path})
	if err != nil {
		t.Fatal(err)
	}
	if found := differences(report); len(found) != 0 {
		t.Errorf("found %q", found)
	}
	last := report.Checks[len(report.Checks)-1]
	if !strings.HasPrefix(last.Name, "file: documents of other channels") || last.Examined != 4 {
		t.Errorf("other documents: %+v, want 4: two orders, an adjustment, a return", last)
	}
	// A difference between the import and the file is still found.
	if found := differencesFromFile(t, log, "invoices.csv", strings.Replace(everyKind, "HOLDER,6,", "HOLDER,7,", 1)); len(found["file: stock moved by SKU"]) != 1 {
		t.Errorf("found %q", found)
	}
}

// shopService is the command side as a shop uses it.
type shopService struct {
	*commands.Service
	t *testing.T
}

func (s *shopService) must(_ any, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// sell receives units, sells them and ships them.
func (s *shopService) sell(id string, sku unit.SKU, units unit.Quantity) {
	s.t.Helper()
	ctx := s.t.Context()
	s.must(s.MoveStock(ctx, callAt(spring), key(sku), stock.Receive{At: s.At(key(sku)), Quantity: units, Document: "PO-" + id}))
	s.must(s.AddLines(ctx, callAt(spring), unit.CartID("c-"+id), &cart.Open{CartID: unit.CartID("c-" + id), Currency: "GBP"}, []commands.WantedLine{
		{SKU: sku, Quantity: units, Override: &cart.Offer{Title: "it", Kind: unit.Stocked, Price: gbp("1"), Overridden: true}},
	}))
	result, err := s.Checkout(ctx, callAt(spring), commands.CheckoutRequest{CartID: unit.CartID("c-" + id), OrderID: unit.OrderID(id)})
	if err != nil || !result.Placed {
		s.t.Fatalf("checkout: %+v, %v", result, err)
	}
	s.must(s.Order(ctx, callAt(spring), unit.OrderID(id), order.Confirm{Now: s.Now()}))
	s.must(s.Order(ctx, callAt(spring), unit.OrderID(id), order.Ship{ShipmentID: unit.ShipmentID("p-" + id), Location: unit.DefaultLocation}))
}

func TestEveryDeviationFromTheFileIsFound(t *testing.T) {
	t.Parallel()
	log := memory.New()
	importText(t, log, everyKind)
	const total, month, day, sku, country, invoice, moved = "file: by kind", "file: by month", "file: by day", "file: by SKU", "file: by country", "file: by invoice", "file: stock moved by SKU"
	for name, test := range map[string]struct {
		old, new string
		words    map[string]string // by check
	}{
		"another quantity": {old: "HOLDER,6,", new: "HOLDER,7,", words: map[string]string{
			total: "sale: 4 lines, 12 units, 41.75, want 4 lines, 13 units, 44.30", month: "sale 2010-12", day: "sale 2010-12-01", sku: "sale 85123A",
			country: "sale EIRE", invoice: "invoice 536365: sale on 2010-12-01, 3 lines, 9 units, 39.20; want", moved: "85123A: the import changed what is on hand by -6, want -7",
		}},
		"another price": {old: ",0.85,", new: ",0.86,", words: map[string]string{
			total: "sale: ", month: "sale 2011-06", day: "sale 2011-06-30", sku: "sale 22139", country: "sale United Kingdom", invoice: "invoice 536372",
		}},
		"another SKU": {old: "536369,22139", new: "536369,22140", words: map[string]string{
			sku: "adjust_out 22139", moved: "22140: the import changed what is on hand by 0, want -6",
		}},
		"another day": {old: "2011-06-30 00:30", new: "2011-06-29 23:30", words: map[string]string{
			day: "sale 2011-06-29: 0 lines", invoice: "invoice 536372: sale on 2011-06-30",
		}},
		"another month": {old: "2011-08-12", new: "2011-09-12", words: map[string]string{
			month: "bad_debt 2011-08", day: "bad_debt 2011-08-12", invoice: "invoice A536371",
		}},
		"another customer": {old: "0.85,12345,", new: "0.85,12346,", words: map[string]string{
			invoice: `customer "12345" in "United Kingdom", want "12346"`,
		}},
		"another country": {old: "0.85,12345,United Kingdom", new: "0.85,12345,France", words: map[string]string{
			country: "sale France: 0 lines", invoice: `in "United Kingdom", want "12345" in "France"`,
		}},
		"another kind": {old: "536370,22139,GIFT,1,2010-12-03 11:00:00,0.0,12345", new: "536370,22139,GIFT,1,2010-12-03 11:00:00,0.0,", words: map[string]string{
			total: "free_order: 1 lines, 1 units, 0.00, want 0 lines", month: "free_order", day: "free_order", sku: "free_order", country: "free_order",
			invoice: "invoice 536370: free_order on 2010-12-03", moved: "22139",
		}},
		"an invoice that was not imported": {old: "536372,", new: "536373,22139,TEA,1,2011-07-01 08:00:00,1.0,12345,France\n536372,", words: map[string]string{
			total: "sale", month: "sale 2011-07", day: "sale 2011-07-01", sku: "sale 22139", country: "sale France", invoice: "invoice 536373 (sale) is not in the log", moved: "22139",
		}},
		"an invoice of somewhere else": {old: "536368,22139,found,56,2010-12-02 10:00:00,0.0,,United Kingdom\n", new: "", words: map[string]string{
			total: "adjust_in", month: "adjust_in", day: "adjust_in", sku: "adjust_in", invoice: "adjust_in 536368 is not in the file", moved: "22139",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Count(everyKind, test.old) != 1 {
				t.Fatalf("%q is not once in the file", test.old)
			}
			found := differencesFromFile(t, log, "invoices.csv", strings.Replace(everyKind, test.old, test.new, 1))
			for check, words := range test.words {
				if first := strings.Join(found[check], "\n"); !strings.Contains(first, words) {
					t.Errorf("%q has %q, want %q", check, first, words)
				}
			}
			for check, first := range found {
				if _, expected := test.words[check]; !expected {
					t.Errorf("%q has %q, too", check, first)
				}
			}
		})
	}
}

// If two documents have the same number, the second one is a difference. So an invoice that was
// imported twice is found.
func TestADocumentThatIsInTheLogTwiceIsFound(t *testing.T) {
	t.Parallel()
	log := memory.New()
	importText(t, log, everyKind)
	service := newService(log)
	again := stock.Adjust{At: service.At(key("22139")), Change: 1, Reason: stock.Correction, Document: "536369"}
	imported := callAt(spring)
	imported.Meta.Channel = "import"
	if _, err := service.MoveStock(t.Context(), imported, key("22139"), again); err != nil {
		t.Fatal(err)
	}
	found := differencesFromFile(t, log, "invoices.csv", everyKind)["file: by invoice"]
	if !strings.Contains(strings.Join(found, "\n"), "536369 of 2010-12-03: a document of that number is in the log already") {
		t.Errorf("found %q", found)
	}
}

func TestAFileThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ old, new, says string }{
		"a number of units": {"HOLDER,6,", "HOLDER,six,", "invoice 536365"},
		"a price":           {",0.85,", ",cheap,", "invoice 536372"},
		"a time":            {"2011-06-30 00:30:00", "soon", `invoice 536372: time "soon"`},
		"a row":             {",EIRE\nC536366", "\nC536366", "wrong number of fields"},
		"everything":        {everyKind, "", "header: EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "invoices.csv")
			if err := os.WriteFile(path, []byte(strings.Replace(everyKind, test.old, test.new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := verify.Run(t.Context(), verify.Config{Store: memory.New(), Now: time.Now(), Against: path})
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
}

// dataFile returns the path of a file of the real data. It skips the test if the file is missing.
func dataFile(t *testing.T, name string) string {
	t.Helper()
	folder := os.Getenv("DAYBOOK_DATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(folder, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the real data is not here (set DAYBOOK_DATA): %v", err)
	}
	return path
}

// The first day of real invoices is imported. Then the log, all views and the file are verified
// together.
func TestADayOfRealInvoices(t *testing.T) {
	const rows = 3108
	file, err := os.Open(dataFile(t, "online_retail.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	packed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	lines := bufio.NewScanner(packed)
	for range rows + 1 {
		if !lines.Scan() {
			t.Fatal(lines.Err())
		}
		text.WriteString(lines.Text() + "\n")
	}
	s := newShop(t)
	importText(t, s.Log, text.String())
	s.waitForViews()
	path := filepath.Join(t.TempDir(), "day.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	config := s.config()
	config.Against = path
	report, err := verify.Run(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	s.wantClean(report)
	for _, check := range report.Checks {
		if check.Name == "file: by invoice" && check.Examined != 143 {
			t.Errorf("%d invoices were compared, want 143", check.Examined)
		}
	}
}
