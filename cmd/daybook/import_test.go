package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/commands/importer"
)

const invoicesHead = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

// someInvoices has a sale with two prices of one SKU and postage, a cancellation of a part of it,
// and an adjustment for goods that were found.
const someInvoices = invoicesHead +
	"536365,85123a,HOLDER,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n" +
	"536365,85123A,HOLDER,2,2010-12-01 08:26:00,2.95,17850,United Kingdom\n" +
	"536365,POST,POSTAGE,1,2010-12-01 08:26:00,18.0,17850,United Kingdom\n" +
	"C536366,85123A,HOLDER,-2,2010-12-02 09:00:00,2.95,17850,United Kingdom\n" +
	"536367,22139,found,56,2010-12-02 10:00:00,0.0,,United Kingdom\n"

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func importJSON(t *testing.T, args ...string) importResult {
	t.Helper()
	got := call(t, nil, append([]string{"import", "--json"}, args...)...)
	if got.code != exitOK {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	var result importResult
	if err := json.Unmarshal([]byte(got.stdout), &result); err != nil {
		t.Fatalf("%v in %s", err, got.stdout)
	}
	return result
}

func TestImportIsDoneOnceHoweverOftenItRuns(t *testing.T) {
	t.Parallel()
	file, data := writeFile(t, "invoices.csv", someInvoices), dataDir(t)
	first := importJSON(t, file, "--data", data)
	if first.OrdersTaken != 1 || first.UnitsTaken != 8 || first.ValueTaken != "39.20" || first.OpeningUnits != 8 || first.ClosingUnits != 58 ||
		first.Rows != 5 || !first.Complete || first.Events == 0 || first.LinksKept != 1 {
		t.Errorf("got %+v", first)
	}
	second := importJSON(t, file, "--data", data)
	if first.AlreadyIn != 0 || second.AlreadyIn != 3 {
		t.Errorf("%d and %d invoices were in before, want 0 and 3", first.AlreadyIn, second.AlreadyIn)
	}
	second.Seconds, second.AlreadyIn = first.Seconds, 0
	if a, b := encode(t, first), encode(t, second); !bytes.Equal(a, b) {
		t.Errorf("the second time:\n%s\nthe first time:\n%s", b, a)
	}
	if got := call(t, nil, "import", file, "--data", data, "--opening", "7"); got.code != exitFailure || !strings.Contains(got.stderr, "the database holds another import") {
		t.Errorf("other options: exit code %d, %s", got.code, got.stderr)
	}
	if got := call(t, nil, "import", file, "--data", data); got.code != exitOK || !strings.Contains(got.stdout, "1 orders taken, 0 refused") || !strings.Contains(got.stdout, "is imported. It was imported before; nothing has changed.") {
		t.Errorf("in words: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWrongImportsAreRefusedWithUsage(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "invoices.csv", someInvoices)
	for args, says := range map[string]string{
		"":                              "expected",
		"no-such-file.csv":              "no-such-file.csv",
		file + " --opening lots":        `--opening: opening stock "lots": want exact, ample, or 0 to`,
		file + " --opening=-1":          `--opening: opening stock "-1"`,
		file + " --kinds sale,gift":     `--kinds: kind of invoice "gift": want some of [SALE FREE_ORDER`,
		file + " --policy some-of-them": "--policy",
		file + " --order backwards":     "--order",
		file + " --workers 0":           "--workers must be 1 to 1000, not 0",
	} {
		got := call(t, nil, strings.Fields("import "+args)...)
		if got.code != exitUsage || !strings.Contains(got.stderr, says) {
			t.Errorf("import %s: exit code %d, %s; want %q", args, got.code, got.stderr, says)
		}
	}
}

func TestBadFilesAreRefusedBeforeAnythingIsStarted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, says string }{
		"empty":     {"", "row 1, column 1 (InvoiceNo): the file is empty"},
		"header":    {"a,b\n", `row 1, column 1 (InvoiceNo): the header says "a"`},
		"quantity":  {strings.Replace(someInvoices, ",56,", ",x,", 1), `row 6, column 4 (Quantity): "x" is not a whole number`},
		"truncated": {"\x1f\x8b\x08\x00", "the gzip data is cut short"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			got := call(t, nil, "import", writeFile(t, "invoices.csv", c.text), "--data", data)
			if got.code != exitFailure || !strings.Contains(got.stderr, c.says) || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("exit code %d: %s", got.code, got.stderr)
			}
			if _, err := os.Stat(data); !os.IsNotExist(err) {
				t.Errorf("a database was made: %v", err)
			}
		})
	}
}

func TestBadRowsGoToQuarantineWithTheirInvoice(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "invoices.csv", strings.Replace(someInvoices, ",18.0,", ",free,", 1))
	aside := filepath.Join(t.TempDir(), "aside.csv")
	result := importJSON(t, file, "--data", dataDir(t), "--quarantine", aside)
	if result.Quarantined != 3 || result.OrdersTaken != 0 || result.Invoices["CANCELLATION"] != 1 {
		t.Errorf("got %+v", result)
	}
	text, err := os.ReadFile(aside)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) != 5 || lines[0] != "row,column,invoice,reason,text" ||
		!strings.HasPrefix(lines[1], `2,,536365,"all rows of invoice 536365 are excluded, because row 4 is bad",`) || !strings.HasPrefix(lines[3], "4,6,536365,") {
		t.Errorf("got\n%s", text)
	}
}

func TestTheQuarantineIsNotWrittenOverTheInput(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "invoices.csv", someInvoices)
	link := filepath.Join(t.TempDir(), "alias.csv")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, aside := range []string{file, link} {
		got := call(t, nil, "import", file, "--data", dataDir(t), "--quarantine", aside)
		if got.code != exitUsage || !strings.Contains(got.stderr, "names the file that is imported") {
			t.Errorf("exit code %d: %s", got.code, got.stderr)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != someInvoices {
		t.Errorf("the input is now %q (%v)", text, err)
	}
}

func TestAnInterruptedImportSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	file, data := writeFile(t, "invoices.csv", someInvoices), dataDir(t)
	ctx, stop := context.WithCancel(t.Context())
	var stderr logBuffer // the reactor's router may write a last line after the end
	log := &stopAt{out: &stderr, text: "import begins", stop: stop}
	code := run(ctx, []string{"import", file, "--data", data}, testEnvironment(nil, strings.NewReader(""), io.Discard, log))
	if code != exitFailure || !strings.Contains(stderr.String(), "run the same command again to continue") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
	if result := importJSON(t, file, "--data", data); !result.Complete || result.ClosingUnits != 58 {
		t.Errorf("got %+v", result)
	}
}

// stopAt is a writer that calls stop when a certain text is written.
type stopAt struct {
	out  io.Writer
	text string
	stop func()
}

func (s *stopAt) Write(p []byte) (int, error) {
	if strings.Contains(string(p), s.text) {
		s.stop()
	}
	return s.out.Write(p)
}

func TestProgressIsALineNowAndThenWhereThereIsNoTerminal(t *testing.T) {
	var out bytes.Buffer
	p := showProgress(&out, 200)
	p.invoices(importer.Progress{Invoices: 1, InvoicesAll: 200, Lines: 10, LinesAll: 2000})
	if out.Len() != 0 {
		t.Errorf("too early: %q", out.String())
	}
	p.told, p.began = p.told.Add(-tellEvery), p.began.Add(-tellEvery)
	p.invoices(importer.Progress{Invoices: 50, InvoicesAll: 200, Lines: 500, LinesBefore: 500, LinesAll: 2000})
	if got, want := out.String(), "50 of 200 invoices (25 %), 100 lines/s, 10s left\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.close()
}
