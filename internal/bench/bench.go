// Package bench measures Daybook and baselines in the same run, on the same machine and
// database. So each result is a ratio, which can be compared with that of another machine.
//
// It is not a test: no result depends on a time limit. Some things must be true at any speed:
// nothing is oversold, and everything that was acknowledged is recorded. A run in which they are
// not true is an error. The caller starts the node and its database.
package bench

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/eventstore"
)

// Env is what a benchmark runs against: one running node, and its database for
// the baselines.
type Env struct {
	Pool    *pgxpool.Pool // for the baselines: a connection for each of their callers
	Store   eventstore.Store
	Service *commands.Service
	BaseURL string // of the node's HTTP API
	Gateway string // connection string of its gateway
	Flush   string // how a commit is flushed: FlushFast or FlushSlow
	// Seconds is how long a measurement without a fixed number of operations is counted,
	// after a short time of warming up.
	Seconds float64
	// Settle waits until the node has nothing left to do. It is called between two
	// measurements.
	Settle func(ctx context.Context) error
	// CPU, if it is known, is the processor time in seconds that this process and the
	// database's processes have used so far.
	CPU func() (float64, bool)
	// Profile, if set, is called when a measurement of Daybook begins. The function that it
	// returns is called at the end.
	Profile func(benchmark string) (stop func() error, err error)
}

// How a commit is flushed: as fast as the disk is, or as slowly as on a cloud disk or with a
// synchronous replica.
const (
	FlushFast = "fast"
	FlushSlow = "2ms"
)

// Row is one measurement.
type Row struct {
	Benchmark  string  `json:"benchmark"`
	Variant    string  `json:"variant"` // "daybook ...", or the baseline's name
	Flush      string  `json:"flush"`
	Callers    int     `json:"callers"`
	Operations int64   `json:"operations"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"per_second"`
	P50Ms      float64 `json:"p50_ms"`
	P99Ms      float64 `json:"p99_ms"`
	// CPUMicros is the processor time of one operation, in microseconds: that of the callers,
	// the program and the database together. It shows what limits the rate, even on a machine
	// that has other work. 0 means that it is not known.
	CPUMicros float64 `json:"cpu_us,omitzero"`
	// Ratio is Daybook's rate over this baseline's; 0 in Daybook's own rows.
	Ratio float64 `json:"ratio,omitzero"`
	// Target is what Daybook should reach, if there is a target for this row.
	Target *Target `json:"target,omitempty"`
	Met    bool    `json:"met,omitzero"`
	Note   string  `json:"note,omitempty"`

	done  int64  // operations, including those of the warm-up
	calls uint64 // made meanwhile to the log's server, if it has one
}

// Target is a rate, and a latency if that matters.
type Target struct {
	PerSecond float64 `json:"per_second"`      // at least
	P99Ms     float64 `json:"p99_ms,omitzero"` // less than; 0 is any
}

func (t Target) met(row Row) bool {
	return row.PerSecond >= t.PerSecond && (t.P99Ms == 0 || row.P99Ms < t.P99Ms)
}

// targets are for two cores shared with the database.
var targets = map[[2]string]Target{
	{"append", FlushFast}:     {PerSecond: 40_000, P99Ms: 30},
	{"append", FlushSlow}:     {PerSecond: 15_000},
	{"hot-sku", FlushFast}:    {PerSecond: 20_000},
	{"hot-sku", FlushSlow}:    {PerSecond: 10_000},
	{"checkout", FlushFast}:   {PerSecond: 1_000, P99Ms: 150},
	{"flash-sale", FlushFast}: {PerSecond: 3_000},

	{"gateway-append", FlushFast}: {PerSecond: 15_000},
	{"gateway-read", FlushFast}:   {PerSecond: 80_000},
	{"gateway-live", FlushFast}:   {P99Ms: 10},
}

// Benchmark is a measurement of Daybook and of its baselines.
type Benchmark struct {
	Name string
	Help string
	run  func(ctx context.Context, env Env) (ours, baselines []Row, err error)
}

// Benchmarks are all there are, in the order they are run.
var Benchmarks = []Benchmark{
	{"append", "events appended one by one by 256 callers, against raw inserts of many rows", appends},
	{"hot-sku", "one SKU reserved by 256 callers, through the handler", hotSKU},
	{"checkout", "a cart of 3 lines to a confirmed order by HTTP, 64 clients", checkout},
	{"flash-sale", "200 units, 64 buyers, 10,000 attempts by HTTP", flashSale},
	{"gateway-append", "events appended one by one by 64 callers, by the Go client of EventStoreDB", gatewayAppends},
	{"gateway-read", "the whole log read by the Go client of EventStoreDB", gatewayRead},
	{"gateway-live", "from an append to its arrival at a subscriber, by the Go client of EventStoreDB", gatewayLive},
}

// Run measures, and returns all rows: Daybook's first.
func (b Benchmark) Run(ctx context.Context, env Env) ([]Row, error) {
	ours, baselines, err := b.run(ctx, env)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name, err)
	}
	if target, set := targets[[2]string{b.Name, env.Flush}]; set {
		ours[0].Target, ours[0].Met = &target, target.met(ours[0])
	}
	for i := range baselines {
		if baselines[i].PerSecond > 0 {
			baselines[i].Ratio = ours[0].PerSecond / baselines[i].PerSecond
		}
	}
	rows := append(ours, baselines...)
	for i := range rows {
		rows[i].Benchmark, rows[i].Flush = b.Name, env.Flush
	}
	return rows, nil
}

// daybook measures the node. It waits until the node has nothing to do, before and after, so
// that the rest of its work does not run during the next measurement.
func daybook(ctx context.Context, env Env, benchmark string, l load) (row Row, err error) {
	if err := env.Settle(ctx); err != nil {
		return Row{}, err
	}
	stop := func() error { return nil }
	if env.Profile != nil {
		if stop, err = env.Profile(benchmark); err != nil {
			return Row{}, err
		}
	}
	row, err = l.measure(ctx, env)
	if stopped := stop(); err == nil {
		err = stopped
	}
	if err != nil {
		return Row{}, err
	}
	row.Variant = "daybook"
	return row, env.Settle(ctx)
}

// makeTables drops the tables of the baselines and makes them again.
func makeTables(ctx context.Context, env Env, sql string) error {
	if _, err := env.Pool.Exec(ctx, `DROP SCHEMA IF EXISTS baseline CASCADE; CREATE SCHEMA baseline;`+sql); err != nil {
		return fmt.Errorf("baseline tables: %w", err)
	}
	return nil
}

// Clean removes what the baselines left in the database.
func Clean(ctx context.Context, env Env) error {
	_, err := env.Pool.Exec(ctx, `DROP SCHEMA IF EXISTS baseline CASCADE`)
	if err != nil {
		return fmt.Errorf("remove baseline tables: %w", err)
	}
	return nil
}

// countEvents counts the events that a filter selects after a position.
func countEvents(ctx context.Context, env Env, after eventstore.Position, filter eventstore.Filter) (int64, error) {
	var n int64
	for _, err := range env.Store.ReadAll(ctx, after, filter, 0) {
		if err != nil {
			return 0, fmt.Errorf("count what is recorded: %w", err)
		}
		n++
	}
	return n, nil
}
