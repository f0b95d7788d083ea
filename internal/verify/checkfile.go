package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"daybook/domain/unit"
)

// totals are the documents of the log or of a file, and their sums. The totals of the log are
// counted under the file's kinds of document, so that the two can be compared.
type totals struct {
	documents  map[string]*document  // by number
	byDay      map[[2]string]*Sum    // kind, day of the document
	bySKU      map[[2]string]*Sum    // kind, SKU
	byCountry  map[[2]string]*Sum    // kind, country; without adjustments
	duplicates map[string][]document // further documents that have the same number
	others     int64                 // documents that no import recorded
}

func newTotals() *totals {
	return &totals{
		documents: map[string]*document{}, byDay: map[[2]string]*Sum{}, bySKU: map[[2]string]*Sum{},
		byCountry: map[[2]string]*Sum{}, duplicates: map[string][]document{},
	}
}

// cancellation is the kind that the file gives to a return.
const cancellation = "cancellation"

// fileCurrency is the currency of all prices of the file.
const fileCurrency unit.Currency = "GBP"

func kindInFile(kind string) string {
	if kind == returnDocument {
		return cancellation
	}
	return kind
}

func isAdjustment(kind string) bool { return kind == adjustIn || kind == adjustOut }

// importChannel is the channel of all events that an import records.
const importChannel = "import"

// Against compares what an import recorded with an Online Retail file (CSV, plain or gzip).
// It compares sums by kind, month, day, SKU and country, and each invoice. The code that reads
// the file shares nothing with the importer, because it would then share its faults. In the
// log, adjustments have no customer and no country, and their amount is zero, so these are not
// compared.
//
// Only documents of the channel "import" are compared. Documents of other channels are counted,
// because they are not from the file. For example, a return that a clerk records for an imported
// order has the clerk's channel. A cancellation of units of an imported order is compared all
// the same, because it is booked under the channel of its order.
func (b *Book) Against(path string) ([]*Check, error) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		return nil, fmt.Errorf("the file's time zone: %w", err)
	}
	file, err := readOnlineRetail(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	log := b.Sales.totals(london)
	checks := []*Check{
		compareSums("file: by kind", foldSums(log.byDay, byKind), foldSums(file.byDay, byKind)),
		compareSums("file: by month", foldSums(log.byDay, byMonth), foldSums(file.byDay, byMonth)),
		compareSums("file: by day", log.byDay, file.byDay),
		compareSums("file: by SKU", log.bySKU, file.bySKU),
		compareSums("file: by country", log.byCountry, file.byCountry),
		compareDocuments(log, file),
		b.compareStock(file),
	}
	if log.others > 0 {
		checks = append(checks, &Check{Name: "file: documents of other channels, not compared (examined: how many)", Examined: log.others})
	}
	return checks, nil
}

// totals returns the totals of the documents that an import recorded. Their days are computed
// for the place where the shop of the file was, because the ledger's own days may be those of
// another time zone.
func (l *Ledger) totals(where *time.Location) *totals {
	t := newTotals()
	for _, name := range sorted(l.documents) {
		d := *l.documents[name]
		if d.channel != importChannel {
			t.others++
			continue
		}
		d.kind, d.day = kindInFile(d.kind), d.at.In(where).Format(time.DateOnly)
		at(t.byDay, [2]string{d.kind, d.day}).add(d.Sum)
		number := d.number(name)
		if t.documents[number] != nil {
			t.duplicates[number] = append(t.duplicates[number], d)
			continue
		}
		t.documents[number] = &d
	}
	for key, sum := range l.skus {
		if key.channel != importChannel {
			continue
		}
		at(t.bySKU, [2]string{kindInFile(key.kind), key.sku}).add(*sum)
	}
	for key, sum := range l.days {
		if !isAdjustment(key.kind) && key.channel == importChannel {
			at(t.byCountry, [2]string{kindInFile(key.kind), key.country}).add(sum.Sum)
		}
	}
	return t
}

func compareDocuments(log, file *totals) *Check {
	check := &Check{Name: "file: by invoice"}
	for _, number := range sorted(file.documents) {
		check.Examined++
		got, want := log.documents[number], file.documents[number]
		switch {
		case got == nil:
			check.differ("invoice %s (%s) is not in the log", number, want.kind)
		case got.kind != want.kind || got.day != want.day || !got.equal(want.Sum):
			check.differ("invoice %s: %s on %s, %s; want %s on %s, %s", number, got.kind, got.day, got.Sum, want.kind, want.day, want.Sum)
		case !isAdjustment(want.kind) && (got.customer != want.customer || got.country != want.country):
			check.differ("invoice %s: customer %q in %q, want %q in %q", number, got.customer, got.country, want.customer, want.country)
		}
	}
	for _, number := range sorted(log.documents) {
		if file.documents[number] == nil {
			check.differ("%s %s is not in the file", log.documents[number].kind, number)
		}
		for _, again := range log.duplicates[number] {
			check.differ("%s %s of %s: a document of that number is in the log already", again.kind, number, again.day)
		}
	}
	return check
}

// compareStock checks that the import changed the stock of each SKU by the sum of the file's
// lines. The stock that was received before the first invoice is not counted.
func (b *Book) compareStock(file *totals) *Check {
	check := &Check{Name: "file: stock moved by SKU"}
	moved, inFile := map[string]int64{}, map[string]int64{}
	for key, level := range b.Stock {
		moved[string(key.SKU)] += int64(level.imported)
	}
	for key, sum := range file.bySKU {
		switch {
		case !isStocked(key[1]) || key[0] == badDebt:
		case isAdjustment(key[0]):
			inFile[key[1]] += sum.Units
		default:
			inFile[key[1]] -= sum.Units
		}
	}
	for sku := range moved {
		inFile[sku] += 0
	}
	for _, sku := range sorted(inFile) {
		check.Examined++
		if moved[sku] != inFile[sku] {
			check.differ("%s: the import changed what is on hand by %d, want %d", sku, moved[sku], inFile[sku])
		}
	}
	return check
}

// compareSums compares two sets of sums. A sum that is in only one of them is compared with zero.
func compareSums(name string, log, file map[[2]string]*Sum) *Check {
	check := &Check{Name: name}
	keys := maps.Clone(file)
	maps.Copy(keys, log)
	for _, key := range slices.SortedFunc(maps.Keys(keys), func(x, y [2]string) int {
		return cmp.Or(strings.Compare(x[0], y[0]), strings.Compare(x[1], y[1]))
	}) {
		check.Examined++
		var inLog, inFile Sum
		if log[key] != nil {
			inLog = *log[key]
		}
		if file[key] != nil {
			inFile = *file[key]
		}
		if !inLog.equal(inFile) {
			check.differ("%s: %s, want %s", strings.TrimSpace(key[0]+" "+key[1]), inLog, inFile)
		}
	}
	return check
}

// foldSums adds up the sums whose keys become the same when key shortens them.
func foldSums(sums map[[2]string]*Sum, key func([2]string) [2]string) map[[2]string]*Sum {
	folded := map[[2]string]*Sum{}
	for k, s := range sums {
		at(folded, key(k)).add(*s)
	}
	return folded
}

func byKind(k [2]string) [2]string  { return [2]string{k[0], ""} }
func byMonth(k [2]string) [2]string { return [2]string{k[0], k[1][:len("2006-01")]} }
