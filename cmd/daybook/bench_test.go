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
	got := call(t, map[string]string{"TMPDIR": temporary}, "bench", "append", "hot-sku", "checkout", "--seconds", "0.2", "--json", "--cpuprofile", profiles)
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
		if ours := row.Variant == "daybook"; ours != (row.Ratio == 0) {
			t.Errorf("ratio %v of %s", row.Ratio, row.Variant)
		}
	}
	var want []string
	for _, flush := range []string{"fast", "2ms"} {
		for _, row := range []string{
			"append daybook", "append raw inserts of 1,000 rows",
			"hot-sku daybook", "hot-sku one transaction a command, optimistic retry", "hot-sku UPDATE … WHERE available >= n",
			"checkout daybook", "checkout CRUD in one SQL transaction",
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

// The number of the engine's calls must reach the benchmark through everything that stands in
// between. It depends on the machine how many calls there are for an append: on a slow machine,
// appends are read back.
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
		if n, err := fmt.Sscanf(note, "%f calls to the log's server an append", &calls); n != 1 || calls < 1 {
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
		{"bench --flush slow", "--flush"},
		{"bench --flush 2ms --database-url postgres://127.0.0.1:1/d", "a PostgreSQL of the program's own"},
	} {
		got := call(t, nil, strings.Fields(test.args)...)
		if got.code != exitUsage || !strings.Contains(got.stderr, test.says) {
			t.Errorf("%s: exit code %d, stderr %q; want %d and %q", test.args, got.code, got.stderr, exitUsage, test.says)
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
