package verify

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
)

// Verify reads the real file, and the test compares its totals with those that programs in other
// languages computed. If they agree, verify expects the right thing of the log.
func TestTheRealFileGivesTheKnownTotals(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("DAYBOOK_DATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "data")
	}
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("the real data is not here (set DAYBOOK_DATA): %v", err)
	}
	file, err := readOnlineRetail(filepath.Join(folder, "online_retail.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for number, d := range file.documents {
		got[number] = fmt.Sprint(strings.ToUpper(d.kind), " ", d.customer, " ", d.country, " ", d.day, " ", d.Lines, d.Units, " ", mills(d.Amount))
	}
	for _, row := range rowsOf(t, filepath.Join(folder, "online_retail.expected_by_invoice.csv.gz")) {
		want := strings.Join([]string{row[1], row[2], row[3], row[4][:10], row[5], row[6], row[7]}, " ")
		if got[row[0]] != want {
			t.Errorf("invoice %s: %q, want %q", row[0], got[row[0]], want)
		}
		delete(got, row[0])
	}
	if len(got) != 0 {
		t.Errorf("%d invoices are not in the known totals", len(got))
	}
	days := foldSums(file.byDay, func(k [2]string) [2]string { return [2]string{"", k[1]} })
	for _, row := range rowsOf(t, filepath.Join(folder, "online_retail.expected_by_day.csv")) {
		sum := at(days, [2]string{"", row[0]})
		if got, want := fmt.Sprint(sum.Lines, sum.Units, " ", mills(sum.Amount)), strings.Join(row[2:5], " "); got != want {
			t.Errorf("%s: %s, want %s", row[0], got, want)
		}
	}
	for _, row := range rowsOf(t, filepath.Join(folder, "online_retail.expected_by_sku.csv")) {
		units := func(kind string) int64 { return at(file.bySKU, [2]string{kind, row[0]}).Units }
		got := fmt.Sprint(isStocked(row[0]), units(sale), units(freeOrder), units(cancellation), units(adjustIn), units(adjustOut))
		want := fmt.Sprint(row[1] == "1") + " " + strings.Join(row[3:8], " ")
		if got != want {
			t.Errorf("SKU %s: %s, want %s", row[0], got, want)
		}
	}
}

// The day is read from each form of a time that the import accepts, and from no other form.
func TestTheDayIsReadFromEachFormOfATime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2010-12-01 08:26:00": "2010-12-01", "2010-12-01T08:26:00": "2010-12-01", "2010-12-01 08:26": "2010-12-01",
		"2010-12-01T08:26": "2010-12-01", "12/1/2010 8:26": "2010-12-01", "1/12/2010 8:26:00": "2010-01-12", "02/03/2011 10:00": "2011-02-03",
		"2010-12-01": "", "1.12.2010 8:26": "", "12/1/10 8:26": "", "": "",
	} {
		if got, err := dayOf(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

func mills(amount decimal.Decimal) string { return amount.Shift(3).String() }

// rowsOf returns the rows of a CSV file without the header. The file may be a gzip.
func rowsOf(t *testing.T, path string) [][]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var in io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		if in, err = gzip.NewReader(file); err != nil {
			t.Fatal(err)
		}
	}
	all, err := csv.NewReader(in).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all[1:]
}
