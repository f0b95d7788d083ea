package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/internal/bench"
)

// The test does not run in parallel, because it loads the whole machine. It does not check how fast
// anything is.
func TestBenchMeasuresDaybookAndItsRivalsAndLeavesNothing(t *testing.T) {
	temporary := filepath.Dir(dataDir(t))
	profiles := t.TempDir()
	got := call(t, map[string]string{"TMPDIR": temporary}, "bench", "append", "hot-sku", "checkout", "--seconds", "0.2", "--rate", "50", "--json", "--cpuprofile", profiles)
	if got.code != exitOK {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	var result benchResult
	if err := json.Unmarshal([]byte(got.stdout), &result); err != nil {
		t.Fatalf("%v in %s", err, got.stdout)
	}
	var rows []string
	for _, row := range result.Rows {
		rows = append(rows, row.Flush+" "+row.Benchmark+" "+row.Variant)
		if row.Operations == 0 || row.PerSecond == 0 || row.P99Ms < row.P50Ms {
			t.Errorf("nothing was measured: %+v", row)
		}
		if ours := strings.HasPrefix(row.Variant, "daybook"); ours != (row.Ratio == 0) {
			t.Errorf("ratio %v of %s", row.Ratio, row.Variant)
		}
	}
	var want []string
	for _, flush := range []string{"fast", "2ms"} {
		for _, row := range []string{
			"append daybook", "append raw inserts of 1,000 rows",
			"hot-sku daybook", "hot-sku one transaction a command, optimistic retry", "hot-sku UPDATE … WHERE available >= n",
			"checkout daybook", "checkout daybook, 50 arriving a second",
			"checkout daybook, with a price list, a promotion, tax and shipping", "checkout daybook, with a name, an e-mail and two addresses",
			"checkout the same, without access control", "checkout CRUD in one SQL transaction",
			"checkout CRUD in one SQL transaction, 50 arriving a second",
			"checkout the same, with the prices of the catalogue", "checkout the same, in clear text",
		} {
			want = append(want, flush+" "+row)
		}
	}
	if !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
	if info, err := os.Stat(filepath.Join(profiles, "checkout-2ms.pprof")); err != nil || info.Size() == 0 {
		t.Errorf("no profile of the checkout: %v", err)
	}
}

// Every benchmark that needs a filled log runs from its beginning to its end, on each engine, with
// its checks, in a log that is small.
func TestBenchMeasuresAFilledLog(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, log []string) {
		got := call(t, nil, append([]string{
			"bench", "read", "lag", "rebuild", "start", "--events", "1500", "--seconds", "0.2", "--rate", "20", "--runs", "2",
			"--flush", "fast", "--json", "--data", dataDir(t),
		}, log...)...)
		if got.code != exitOK {
			t.Fatalf("exit code %d: %s", got.code, got.stderr)
		}
		var result benchResult
		if err := json.Unmarshal([]byte(got.stdout), &result); err != nil {
			t.Fatalf("%v in %s", err, got.stdout)
		}
		rows := make(map[string][]string)
		for _, row := range result.Rows {
			rows[row.Benchmark] = append(rows[row.Benchmark], row.Variant)
			if row.Operations == 0 || row.PerSecond == 0 || row.P50Ms == 0 || row.P99Ms < row.P50Ms {
				t.Errorf("nothing was measured: %+v", row)
			}
			if ours := strings.HasPrefix(row.Variant, "daybook"); ours != (row.Ratio == 0) {
				t.Errorf("ratio %v of %s", row.Ratio, row.Variant)
			}
		}
		reads, copied := []string{"an order", "a stock level", "the 20 newest orders", "500 events"}, "COPY of the events of "
		want := map[string][]string{
			"lag":   {"daybook, 20 arriving a second", "daybook, with the order itself, 20 arriving a second", "NOTIFY, 20 arriving a second"},
			"start": {"daybook", "its database alone, SELECT 1"},
		}
		for _, read := range reads {
			want["read"] = append(want["read"], "daybook, "+read)
		}
		if log != nil {
			reads, copied = reads[:3], "the engine's read of the events of "
		}
		for _, read := range reads {
			want["read"] = append(want["read"], "a prepared statement, "+read)
		}
		for _, before := range []string{"daybook, ", copied} {
			for _, view := range viewNames() {
				if view != "customers" { // the log of the benchmark has no accounts
					want["rebuild"] = append(want["rebuild"], before+view)
				}
			}
		}
		for name, variants := range want {
			if !slices.Equal(rows[name], variants) {
				t.Errorf("%s: rows %q, want %q", name, rows[name], variants)
			}
		}
	})
}

// A flash sale over three nodes of one database sells exactly its units, whichever node a buyer
// asks. The benchmark itself fails if it does not. What the nodes have left adds up.
func TestThreeNodesSellExactlyTheStock(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	got := call(t, nil, "bench", "nodes", "--nodes", "3", "--seconds", "0.2", "--flush", "fast", "--json", "--data", dir)
	if got.code != exitOK {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	var result benchResult
	if err := json.Unmarshal([]byte(got.stdout), &result); err != nil {
		t.Fatalf("%v in %s", err, got.stdout)
	}
	var rows []string
	for _, row := range result.Rows {
		rows = append(rows, row.Variant)
		if ours := strings.HasPrefix(row.Variant, "daybook, 3 nodes"); row.Operations == 0 || ours != (row.Ratio == 0) {
			t.Errorf("nothing was measured or compared: %+v", row)
		}
	}
	if want := []string{"daybook, 3 nodes", "daybook, 3 nodes, a flash sale", "daybook, one node", "daybook, one node, a flash sale"}; !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
	if report := verifyJSON(t, exitOK, "--data", dir); report.Differences != 0 {
		t.Errorf("verify: %s", differ(report))
	}
}

// The logs of this test are too small to show how costs grow. The test only checks that the
// benchmark runs to its end and measures every figure.
func TestBenchMeasuresGrowth(t *testing.T) {
	t.Parallel()
	got := call(t, nil, "bench", "growth", "--sizes", "1000,2000", "--seconds", "0.1", "--rate", "20", "--json", "--data", dataDir(t))
	if got.code != exitOK {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	var result benchResult
	if err := json.Unmarshal([]byte(got.stdout), &result); err != nil {
		t.Fatalf("%v in %s", err, got.stdout)
	}
	names := make(map[string]bool)
	for _, figure := range result.Growth {
		names[figure.Name] = true
		if len(figure.Points) != 2 || figure.Points[0].Events < 1000 || figure.Points[1].Events < 2000 {
			t.Errorf("%+v, want two sizes", figure)
		}
		for _, point := range figure.Points {
			// On some machines the processor time of a short measurement cannot be told from none.
			if point.Value <= 0 && figure.Unit != "CPU µs" || point.CostsMore != (point.Cost > 1.2) {
				t.Errorf("%s: %+v", figure.Name, point)
			}
		}
	}
	for _, name := range []string{
		"start of the node", "start of the reactor", "hot SKU, the first command after the start", "checkout", "read an order",
		"read 20 open reservations", "a receipt, and a read that waits for it", "200 deadlines at once, until the last one is recorded",
		"memory after all this", "disk with all read models, without WAL",
	} {
		if !names[name] {
			t.Errorf("no figure %q", name)
		}
	}
}

// If the log has a server, the benchmark append says how many calls the engine makes to it for one
// append. The test only wants one call or more, because the number depends on the machine: on a
// slow machine, some appends are read back.
func TestBenchStatesCallsAnAppend(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, log []string) {
		got := call(t, nil, append([]string{"bench", "append", "--seconds", "0.2", "--flush", "fast", "--json", "--data", dataDir(t)}, log...)...)
		if got.code != exitOK {
			t.Fatalf("exit code %d: %s", got.code, got.stderr)
		}
		var result benchResult
		if err := json.Unmarshal([]byte(got.stdout), &result); err != nil || len(result.Rows) == 0 {
			t.Fatalf("%v in %s", err, got.stdout)
		}
		note := result.Rows[0].Note
		if log == nil {
			if note != "" {
				t.Errorf("the note is %q, and the log has no server", note)
			}
			return
		}
		var calls float64
		if n, err := fmt.Sscanf(note, "%f calls to the log's server for each append", &calls); n != 1 || calls < 1 {
			t.Errorf("the note is %q (%v), want 1 call or more", note, err)
		}
	})
}

func TestBenchKeepsOutOfADatabaseInUse(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	args := []string{"bench", "append", "--seconds", "0.1", "--flush", "fast", "--data", dir}
	if got := call(t, nil, args...); got.code != exitOK {
		t.Fatalf("exit code %d in an empty database: %s", got.code, got.stderr)
	}
	got := call(t, nil, args...)
	if got.code != exitUsage || !strings.Contains(got.stderr, "--force") {
		t.Errorf("exit code %d in one that holds events, stderr %s; want it refused", got.code, got.stderr)
	}
	if got := call(t, nil, append(args, "--force")...); got.code != exitOK {
		t.Errorf("exit code %d with --force: %s", got.code, got.stderr)
	}
}

func TestBenchRefusesWhatItCannotMeasure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ args, says string }{
		{"bench apend", `no benchmark "apend", only append, hot-sku, checkout, flash-sale`},
		{"bench --seconds 0", "--seconds"},
		{"bench --runs 0", "--runs"},
		{"bench nodes --nodes 1", "--nodes"},
		{"bench --events 0", "--events"},
		{"bench growth append", "growth runs alone"},
		{"bench growth --sizes 10", "at least 1000"},
		{"bench growth --sizes 2000,2000", "larger than the one before"},
		{"bench --rate -1", "--rate"},
		{"bench --flush slow", "--flush"},
		{"bench --flush 2ms --database-url postgres://127.0.0.1:1/d", "a PostgreSQL of the program's own"},
	} {
		got := call(t, nil, strings.Fields(test.args)...)
		if got.code != exitUsage || !strings.Contains(got.stderr, test.says) {
			t.Errorf("%s: exit code %d, stderr %q; want %d and %q", test.args, got.code, got.stderr, exitUsage, test.says)
		}
	}
}

func TestTheBenchTableShowsWhatCostsMore(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := printBench(&out, benchResult{Growth: []bench.Figure{
		{Name: "checkout", Unit: "a second", Points: []bench.Point{{Events: 10_000, Value: 1500, Cost: 1}, {Events: 1_000_000, Value: 1000, Cost: 1.5, CostsMore: true}}},
		{Name: "start", Unit: "ms", Points: []bench.Point{{Value: 20.04, Cost: 1}, {Value: 21, Cost: 1.05}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for at, want := range map[int]string{
		1: "growth unit 10,000 events 1,000,000 events cost costs more",
		3: "checkout a second 1,500 1,000 1.50 × yes",
		4: "start ms 20.0 21.0 1.05 ×",
	} {
		if got := strings.Join(strings.Fields(strings.ReplaceAll(lines[at], "│", " ")), " "); got != want {
			t.Errorf("line %d is %q, want %q", at, got, want)
		}
	}
}

func TestTheBenchTableSaysWhatWasReached(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := printBench(&out, benchResult{CPUs: 2, Postgres: "15.18", Seconds: 5, Rows: []bench.Row{
		{
			Benchmark: "checkout", Variant: "daybook", Flush: "fast", Callers: 64, PerSecond: 1234.5, P50Ms: 40, P99Ms: 99.96, CPUMicros: 1500,
			Target: &bench.Target{PerSecond: 1000, P99Ms: 150}, Met: true,
		},
		{Benchmark: "checkout", Variant: "CRUD", Flush: "fast", Callers: 64, PerSecond: 617.25, Ratio: 2},
		{Benchmark: "append", Variant: "daybook", Flush: "2ms", Callers: 256, PerSecond: 999_999.6, Target: &bench.Target{PerSecond: 2_000_000}, Note: "1.00 calls an append"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	cells := func(line string) string {
		return strings.Join(strings.Fields(strings.ReplaceAll(line, "│", " ")), " ")
	}
	for at, want := range map[int]string{
		3: "checkout fast daybook 64 1,234 40.0 100.0 1,500 1,000, p99 < 150 yes",
		4: "checkout fast CRUD 64 617 0.0 0.0 2.00 ×",
		6: "append 2ms daybook 256 1,000,000 0.0 0.0 2,000,000 no",
	} {
		if got := cells(lines[at]); got != want {
			t.Errorf("line %d is %q, want %q", at, got, want)
		}
	}
	if want := "\nappend, 2ms flush, daybook: 1.00 calls an append.\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("the table ends with %q, want %q", out.String()[max(0, out.Len()-100):], want)
	}
}
