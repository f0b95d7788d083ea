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
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/eventstore"
	"daybook/projections"
)

// Env is what a benchmark runs against: one running node, and its database for
// the baselines.
type Env struct {
	Pool    *pgxpool.Pool // for the baselines: a connection for each of their callers
	Store   eventstore.Store
	Service *commands.Service
	BaseURL string // of the node's HTTP API
	Key     string // an API key for it that may do everything; empty if it asks for none
	ShopKey string // an API key for it with the role of a shop's own program; empty if it asks for none
	OpenURL string // of the same API without access control; empty if there is none
	Gateway string // connection string of its gateway
	Flush   string // how a commit is flushed: FlushFast or FlushSlow
	// Seconds is how long a measurement without a fixed number of operations is counted,
	// after a short time of warming up.
	Seconds float64
	// Rate is how many orders arrive in a second where a latency is measured at a constant rate.
	Rate float64
	// Runs is how often each measurement is repeated. Its figures are the medians. 0 means once.
	Runs int
	run  int // the number of this run, from 0
	// Events is the least number of events that the log must have for a benchmark that needs a
	// filled log.
	Events int64
	// Sizes are the numbers of events with which growth measures, in ascending order.
	Sizes []int64
	// InDatabase means that Pool's database also has the log, so its positions are 1, 2, 3 and so
	// on.
	InDatabase bool
	// Views are the node's read models, and Runner updates them.
	Views  []projections.View
	Runner *projections.Runner
	// ReactorIdle tells whether the node's reactor has nothing left to do.
	ReactorIdle func() bool
	// Restart closes the node and opens it again. It returns the Env of the new node; this one must
	// not be used any more.
	Restart func(ctx context.Context) (Restarted, error)
	// Small means that there are few products and buyers. It is for a test that does not look at
	// the figures.
	Small bool
	// Nodes is over how many nodes of one database nodes measures: at least 2.
	Nodes int
	// OpenNodes opens more nodes on the same database and log, until closeNodes. It returns the
	// addresses of their HTTP APIs.
	OpenNodes func(ctx context.Context, n int) (urls []string, closeNodes func() error, err error)
	// OpenPair opens two more nodes, until closePair. nil: that is not possible.
	OpenPair func(ctx context.Context) (pair Pair, closePair func() error, err error)
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

// products is how many products the shop has.
func (e Env) products() int {
	if e.Small {
		return products / 20
	}
	return products
}

// Restarted is a node that was closed and opened again, and how long that took.
type Restarted struct {
	Env Env
	// Node is the time from the beginning until the node answered requests.
	Node time.Duration
	// Database is how long it took, while there was no node, until its database alone had answered
	// a statement.
	Database time.Duration
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
	Rate       float64 `json:"rate,omitzero"` // operations that were due in a second; 0: each caller waits for its response
	Operations int64   `json:"operations"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"per_second"`
	P50Ms      float64 `json:"p50_ms"`
	P99Ms      float64 `json:"p99_ms"`
	// CPUMicros is the processor time of one operation, in microseconds: that of the callers,
	// the program and the database together. It shows what limits the rate, even on a machine
	// that has other work. 0 means that it is not known.
	CPUMicros float64 `json:"cpu_us,omitzero"`
	// Ratio is Daybook's rate over this baseline's; 0 in Daybook's own rows. Where operations
	// arrive at a constant rate, it is the baseline's median latency over Daybook's.
	Ratio float64 `json:"ratio,omitzero"`
	// Target is what Daybook should reach, if there is a target for this row.
	Target *Target `json:"target,omitempty"`
	Met    bool    `json:"met,omitzero"`
	Note   string  `json:"note,omitempty"`

	done  int64  // operations, including those of the warm-up
	calls uint64 // to the log's server during the operations, if the log has one
	ours  int    // in a baseline's row: the index of Daybook's row that it is compared with
}

// Target is the rate that Daybook should reach, and the latency if that matters.
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
	// Grows means that the benchmark fills the log to several sizes, so it needs a database of its
	// own. Growth runs it, and not Run.
	Grows bool
	run   func(ctx context.Context, env Env) (ours, baselines []Row, err error)
}

// Benchmarks are all there are, in the order they are run.
var Benchmarks = []Benchmark{
	{Name: "append", Help: "events appended one by one by 256 callers, against raw inserts of many rows", run: appends},
	{Name: "hot-sku", Help: "one SKU reserved by 256 callers, through the handler", run: hotSKU},
	{Name: "checkout", Help: "a cart of 3 lines to a confirmed order by HTTP, 64 clients", run: checkout},
	{Name: "flash-sale", Help: "200 units, 64 buyers, 10,000 attempts by HTTP", run: flashSale},
	{Name: "nodes", Help: "checkout and a flash sale over several nodes of one database, 64 clients in all, against one node", run: severalNodes},
	{Name: "read", Help: "an order, a stock level, the 20 newest orders and 500 events by HTTP, 16 clients, in a filled log", run: reads},
	{Name: "lag", Help: "from an acknowledged order until reads show it, with orders at a constant rate", run: lag},
	{Name: "rebuild", Help: "each read model built again from a filled log, against COPY of the log", run: rebuild},
	{Name: "start", Help: "the start of a node on a filled log, against its database alone", run: starts},
	{Name: "growth", Help: "checkout, hot SKU, reads, timers, lag, disk and memory in logs of several sizes; runs only if it is named, and alone", Grows: true},
	{Name: "gateway-append", Help: "events appended one by one by 64 callers, by the Go client of EventStoreDB", run: gatewayAppends},
	{Name: "gateway-read", Help: "the whole log read by the Go client of EventStoreDB", run: gatewayRead},
	{Name: "gateway-live", Help: "from an append to its arrival at a subscriber, by the Go client of EventStoreDB", run: gatewayLive},
}

// Run measures as often as Env.Runs says, and returns all rows with the medians: Daybook's rows
// first. A benchmark may start the node again, so present returns the Env of the node that runs.
func (b Benchmark) Run(ctx context.Context, present func() Env) ([]Row, error) {
	env := present()
	var runs [][]Row
	for run := range max(1, env.Runs) {
		env := present()
		env.run = run
		rows, err := b.once(ctx, env)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.Name, err)
		}
		runs = append(runs, rows)
	}
	rows := medians(runs)
	for i := range rows {
		rows[i].Benchmark, rows[i].Flush = b.Name, env.Flush
		if target, set := targets[[2]string{b.Name, env.Flush}]; set && i == 0 {
			rows[i].Target = &target
		}
		rows[i].Met = rows[i].Target != nil && rows[i].Target.met(rows[i])
	}
	return rows, nil
}

// once measures, and compares each baseline with its row of Daybook.
func (b Benchmark) once(ctx context.Context, env Env) ([]Row, error) {
	ours, baselines, err := b.run(ctx, env)
	if err != nil {
		return nil, err
	}
	for i, baseline := range baselines {
		our := ours[baseline.ours]
		switch {
		case baseline.Rate > 0 && our.P50Ms > 0:
			baselines[i].Ratio = baseline.P50Ms / our.P50Ms
		case baseline.Rate == 0 && baseline.PerSecond > 0:
			baselines[i].Ratio = our.PerSecond / baseline.PerSecond
		}
	}
	return append(ours, baselines...), nil
}

// medians returns the rows of the first run, but each figure is its median over all runs. So a
// ratio is a median of ratios, and each of these comes from one run.
func medians(runs [][]Row) []Row {
	rows := slices.Clone(runs[0])
	for i := range rows {
		for _, figure := range []func(*Row) *float64{
			func(r *Row) *float64 { return &r.Seconds },
			func(r *Row) *float64 { return &r.PerSecond },
			func(r *Row) *float64 { return &r.P50Ms },
			func(r *Row) *float64 { return &r.P99Ms },
			func(r *Row) *float64 { return &r.CPUMicros },
			func(r *Row) *float64 { return &r.Ratio },
		} {
			all := make([]float64, len(runs))
			for n, run := range runs {
				all[n] = *figure(&run[i])
			}
			*figure(&rows[i]) = median(all)
		}
	}
	return rows
}

func median(all []float64) float64 {
	slices.Sort(all)
	middle := len(all) / 2
	if len(all)%2 == 0 {
		return (all[middle-1] + all[middle]) / 2
	}
	return all[middle]
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
