package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/internal/pgtest"
	"daybook/internal/verify"
)

// verifyJSON runs verify, fails unless it ends with this exit code, and returns its report.
func verifyJSON(t *testing.T, code int, args ...string) verify.Report {
	t.Helper()
	got := call(t, nil, append([]string{"verify", "--json"}, args...)...)
	if got.code != code {
		t.Fatalf("exit code %d, want %d: %s%s", got.code, code, got.stdout, got.stderr)
	}
	var report verify.Report
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatalf("%v in %s", err, got.stdout)
	}
	return report
}

// differ names the checks that found something.
func differ(report verify.Report) string {
	var names []string
	for _, check := range report.Checks {
		if check.Differences > 0 {
			names = append(names, check.Name)
		}
	}
	return strings.Join(names, ", ")
}

func TestVerifyComparesAnImportWithItsFile(t *testing.T) {
	t.Parallel()
	file, dir := writeFile(t, "invoices.csv", someInvoices), dataDir(t)
	imported := importJSON(t, file, "--data", dir)

	report := verifyJSON(t, exitOK, "--data", dir, "--against", file)
	if report.Differences != 0 || report.Events != imported.Events || report.Streams == 0 || report.Seconds <= 0 || report.Position.IsStart() {
		t.Errorf("%+v, %s; want all %d events and nothing off", report, differ(report), imported.Events)
	}
	if got := call(t, nil, "verify", "--data", dir); got.code != exitOK || !strings.Contains(got.stdout, "read.sales_documents") || !strings.Contains(got.stdout, "Nothing is off: ") {
		t.Errorf("exit code %d: %s%s", got.code, got.stdout, got.stderr)
	}
	// With another time zone, sales have other days. So verify first makes another build of them.
	if report := verifyJSON(t, exitOK, "--data", dir, "--timezone", "Asia/Tokyo", "--against", file); report.Differences != 0 {
		t.Errorf("in another zone: %s", differ(report))
	}

	fewer := writeFile(t, "fewer.csv", strings.Join(strings.SplitAfter(someInvoices, "\n")[:5], ""))
	if report := verifyJSON(t, exitFailure, "--data", dir, "--against", fewer); !strings.Contains(differ(report), "file: by invoice") {
		t.Errorf("against a file without the last invoice: %s", differ(report))
	}

	query(t, dir, `UPDATE read.sales_documents SET units = units + 1 WHERE reference = '536365'`)
	got := call(t, nil, "verify", "--data", dir)
	if got.code != exitFailure || !strings.Contains(got.stdout, "order/536365: units is 10, want 9") || !strings.Contains(got.stdout, "1 differences: ") {
		t.Errorf("exit code %d: %s%s", got.code, got.stdout, got.stderr)
	}
	if report := verifyJSON(t, exitFailure, "--data", dir); report.Differences != 1 || differ(report) != "read.sales_documents" {
		t.Errorf("%d differences: %s", report.Differences, differ(report))
	}
}

// Each form of the file that the import accepts is verified, too.
func TestVerifyReadsEachFormThatTheImportReads(t *testing.T) {
	t.Parallel()
	dates := func(replace ...string) string { return strings.NewReplacer(replace...).Replace(someInvoices) }
	for name, text := range map[string]string{
		"the header of the second edition": dates("InvoiceNo", "Invoice", "UnitPrice", "Price", "CustomerID", "Customer ID"),
		"ISO dates":                        dates("01 08:26:00", "01T08:26:00", "02 09:00:00", "02T09:00:00", "02 10:00:00", "02T10:00"),
		"dates without seconds":            dates(":00,", ","),
		"American dates":                   dates("2010-12-01 08:26:00", "12/1/2010 8:26", "2010-12-02 09:00:00", "12/2/2010 9:00:00", "2010-12-02 10:00:00", "12/02/2010 10:00"),
		"customers such as 17850.0":        dates("17850", "17850.0"),
		"a byte order mark":                "\ufeff" + someInvoices,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, url := writeFile(t, "invoices.csv", text), pgtest.URL(t)
			if imported := importJSON(t, file, "--database-url", url); imported.OrdersTaken != 1 {
				t.Errorf("%d orders, want 1", imported.OrdersTaken)
			}
			if report := verifyJSON(t, exitOK, "--database-url", url, "--against", file); report.Differences != 0 {
				t.Errorf("found %s", differ(report))
			}
			// A wrong customer or day is still found.
			wrong := writeFile(t, "wrong.csv", strings.ReplaceAll(text, "17850", "17851"))
			if report := verifyJSON(t, exitFailure, "--database-url", url, "--against", wrong); differ(report) != "file: by invoice" {
				t.Errorf("another customer: found %q", differ(report))
			}
		})
	}
}

// query runs a statement on the database of a data directory that no program uses.
func query(t *testing.T, dir, sql string) {
	t.Helper()
	db, err := openDatabase(t.Context(), databaseConfig{DataDir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	pool, err := openPool(t.Context(), db.url, "test", 1, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if done, err := pool.Exec(t.Context(), sql); err != nil || done.RowsAffected() == 0 {
		t.Fatalf("%s: %v, %v", sql, done, err)
	}
}

func TestVerifyReportsAViewThatHasStopped(t *testing.T) {
	t.Parallel()
	file, dir := writeFile(t, "invoices.csv", someInvoices), dataDir(t)
	importJSON(t, file, "--data", dir)
	// Only a newer program can have written this event, so the view of orders stops at it.
	appendByHand(t, dir, newerID, "order.teleported.v1", `{}`)
	report := verifyJSON(t, exitFailure, "--data", dir)
	for _, check := range report.Checks {
		if strings.HasPrefix(check.Name, "views: ") && strings.Contains(strings.Join(check.First, "\n"), "view orders stopped at position") {
			return
		}
	}
	t.Errorf("found %s; want that the view of orders has stopped", differ(report))
}

// No version of this program records a payment in another currency than that of its order. Such a
// payment stops no view, and verify reports it.
func TestVerifyReportsAPaymentInAnotherCurrency(t *testing.T) {
	t.Parallel()
	file, dir := writeFile(t, "invoices.csv", someInvoices), dataDir(t)
	importJSON(t, file, "--data", dir)
	appendByHand(t, dir, newerID, "order.transaction_recorded.v1",
		`{"transaction_id":"x","type":"capture","state":"succeeded","amount":{"amount":"1","currency":"EUR"}}`)
	report := verifyJSON(t, exitFailure, "--data", dir)
	for _, check := range report.Checks {
		if check.Differences == 0 {
			continue
		}
		if first := strings.Join(check.First, "\n"); check.Name != "read.orders" || !strings.Contains(first, "transaction x in EUR, but the order is in GBP") || strings.Contains(first, "captured is") {
			t.Errorf("%s: %s", check.Name, first)
		}
	}
}

// appendByHand appends an event to the stream of an imported order, without any rule.
func appendByHand(t *testing.T, dir, id, eventType, data string) {
	t.Helper()
	query(t, dir, fmt.Sprintf(`SELECT eventstore.append(ARRAY['order-536365'], ARRAY[-2::bigint], ARRAY[1], ARRAY[1], ARRAY[1], ARRAY['%s'::uuid],
		ARRAY['%s'], ARRAY['%s'::json], ARRAY['{}'::json], true)`, id, eventType, data))
}

// newerID is an id of the kind that only the domain's events have.
const newerID = "11111111-1111-8111-8111-111111111111"

func TestThereMustBeSomethingToVerify(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mistyped")
	got := call(t, nil, "verify", "--data", dir)
	if got.code != exitFailure || !strings.Contains(got.stderr, "there is nothing to verify") || !strings.Contains(got.stderr, dir) {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder was made: %v", err)
	}
}

func TestARunningServerIsVerifiedBesideIt(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	serve(t, "--data", dir)
	refused := call(t, nil, "verify", "--data", dir)
	if refused.code != exitFailure {
		t.Errorf("exit code %d: %s", refused.code, refused.stderr)
	}
	_, address, found := strings.Cut(refused.stderr, "--database-url '")
	if address, _, _ = strings.Cut(address, "'"); !found {
		t.Fatalf("the refusal names no address: %s", refused.stderr)
	}
	if report := verifyJSON(t, exitOK, "--database-url", address); report.Differences != 0 {
		t.Errorf("found %s", differ(report))
	}
}

func TestStreamsOfOtherProgramsAreNamedInOneLine(t *testing.T) {
	t.Parallel()
	streams, types := []string{"invoice-1", "invoice-2", "user-1", "audit"}, []string{"Sent", "order.placed.v1", "order.teleported.v1", "x"}
	dir := hostileLog(t, streams, types)
	const line = "Left out: 4 events in 4 streams of other programs: invoice-… (2), audit (1), user-… (1).\n"
	if got := call(t, nil, "verify", "--data", dir); got.code != exitOK || !strings.Contains(got.stdout, line) || !strings.Contains(got.stdout, "Nothing is off: 0 events of 0 streams") {
		t.Errorf("exit code %d: %s%s; want %q", got.code, got.stdout, got.stderr, line)
	}
	if report := verifyJSON(t, exitOK, "--data", dir); report.Others == nil || report.Others.Streams != 4 || report.Others.Events != 4 {
		t.Errorf("got %+v", report.Others)
	}
}
