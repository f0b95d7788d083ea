package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"daybook/internal/bench"
)

type benchCommand struct {
	Benchmarks []string `arg:"" optional:"" name:"benchmark" help:"Which benchmarks to run: ${benchmarks}. Default: all but growth, which runs alone."`
	Seconds    float64  `default:"5" placeholder:"N" help:"For how many seconds each measurement counts operations. Default: ${default}."`
	Runs       int      `default:"1" placeholder:"N" help:"How often each measurement is repeated. The figures are the medians, and a ratio is the median of the ratios of single runs. Default: ${default}."`
	Rate       float64  `default:"200" placeholder:"N" help:"How many orders arrive in a second, in the measurements of checkout and lag at a constant rate. There, a latency is measured from the moment at which the order was due. So it includes the time for which an order waits until it is sent. Default: ${default}."`
	Events     int64    `default:"20000" placeholder:"N" help:"How many events the log must have at least when read, lag, rebuild and start measure. If it has fewer, more are made first. Default: ${default}."`
	Sizes      []int64  `default:"10000,100000" placeholder:"N" help:"The sizes of the log, in events, at which growth measures, the smallest first. Default: ${default}."`
	Nodes      int      `default:"2" placeholder:"N" help:"Over how many nodes of one database nodes measures, from 2 to 4. Default: ${default}."`
	Flush      string   `enum:"fast,2ms,both" default:"both" help:"How commits reach the disk: as fast as the disk is, after a wait of 2 ms as with a cloud disk or a synchronous replica, or both in turn. 2ms needs a PostgreSQL of the program's own. One of ${enum}."`
	CPUProfile string   `name:"cpuprofile" placeholder:"DIR" help:"Write a CPU profile of each measurement of Daybook into this folder."`
	Force      bool     `help:"Run even in a database that already holds events. The measurement writes its events among them, and they stay."`
}

// benchResult is the table of figures, with a description of the machine.
type benchResult struct {
	Version  string      `json:"version"`
	Go       string      `json:"go"`
	Platform string      `json:"platform"`
	CPUs     int         `json:"cpus"`
	Postgres string      `json:"postgres"`
	Seconds  float64     `json:"seconds"`
	Runs     int         `json:"runs"`
	Rows     []bench.Row `json:"rows"`
	// Growth is what was measured in logs of several sizes.
	Growth []bench.Figure `json:"growth,omitempty"`
}

func (c *benchCommand) check(_ context.Context, p *program) error {
	_, _, err := c.selection(p)
	return err
}

// Run measures, in a new database that is removed at the end unless one is named.
func (c *benchCommand) Run(ctx context.Context, p *program) (err error) {
	wanted, flushes, err := c.selection(p)
	if err != nil {
		return err
	}
	if c.CPUProfile != "" {
		if err := os.MkdirAll(c.CPUProfile, 0o755); err != nil {
			return fmt.Errorf("--cpuprofile: %w", err)
		}
	}
	database := p.database()
	if database.URL == "" && database.DataDir == "" {
		dir, remove, failed := p.temporaryData("bench")
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, remove()) }()
		database.DataDir = dir
	}
	if inMemory(database) {
		p.log.WarnContext(ctx, "the data directory is in memory, so nothing is durable and the figures look better than they are: name a directory on a disk with --data", "data", database.DataDir)
	}
	version := thisBuild()
	result := benchResult{Version: version.Version, Go: version.Go, Platform: version.Platform, CPUs: runtime.NumCPU(), Seconds: c.Seconds, Runs: c.Runs}
	for i, flush := range flushes {
		force := c.Force || i > 0 // after the first flush mode, the events in the database are our own
		if err := c.measure(ctx, p, database, flush, force, wanted, &result); err != nil {
			return err
		}
	}
	return p.print(result, func(out io.Writer) error { return printBench(out, result) })
}

func benchmarkNames() []string {
	var names []string
	for _, b := range bench.Benchmarks {
		names = append(names, b.Name)
	}
	return names
}

// selection says which benchmarks to run, and with which flush modes.
func (c *benchCommand) selection(p *program) ([]bench.Benchmark, []string, error) {
	if c.Seconds <= 0 {
		return nil, nil, usagef("--seconds must be more than nothing, not %v", c.Seconds)
	}
	if c.Runs < 1 {
		return nil, nil, usagef("--runs must be at least 1, not %d", c.Runs)
	}
	if c.Rate <= 0 {
		return nil, nil, usagef("--rate must be more than nothing, not %v", c.Rate)
	}
	if c.Events < 1 {
		return nil, nil, usagef("--events must be at least 1, not %d", c.Events)
	}
	if c.Nodes < 2 || c.Nodes > maxNodes {
		return nil, nil, usagef("--nodes must be from 2 to %d, not %d", maxNodes, c.Nodes)
	}
	if err := c.checkSizes(); err != nil {
		return nil, nil, err
	}
	var wanted []bench.Benchmark
	names := benchmarkNames()
	for _, b := range bench.Benchmarks {
		if len(c.Benchmarks) == 0 && !b.Grows || slices.Contains(c.Benchmarks, b.Name) {
			wanted = append(wanted, b)
		}
	}
	for _, name := range c.Benchmarks {
		if !slices.Contains(names, name) {
			return nil, nil, usagef("there is no benchmark %q, only %s", name, strings.Join(names, ", "))
		}
	}
	grows := slices.ContainsFunc(wanted, func(b bench.Benchmark) bool { return b.Grows })
	if grows && len(wanted) > 1 {
		return nil, nil, usagef("growth runs alone, because it begins with an empty log")
	}
	flushes := []string{c.Flush}
	switch {
	case c.Flush == "both" && (p.DatabaseURL != "" || grows):
		// The settings of a server that is not our own stay as they are. Growth measures once,
		// because it begins with an empty log.
		flushes = []string{bench.FlushFast}
	case c.Flush == "both":
		flushes = []string{bench.FlushFast, bench.FlushSlow}
	case c.Flush == bench.FlushSlow && p.DatabaseURL != "":
		return nil, nil, usagef("--flush 2ms needs a PostgreSQL of the program's own, because it changes the server's settings")
	}
	return wanted, flushes, nil
}

// sizeMin is the size of the smallest log that has SKUs, reservations, carts and orders.
const sizeMin = 1000

func (c *benchCommand) checkSizes() error {
	for i, size := range c.Sizes {
		if size < sizeMin {
			return usagef("--sizes: a log has at least %d events, not %d", sizeMin, size)
		}
		if i > 0 && size <= c.Sizes[i-1] {
			return usagef("--sizes: each must be larger than the one before, and %d is not larger than %d", size, c.Sizes[i-1])
		}
	}
	return nil
}

var (
	// benchSettings allow enough connections for all nodes and the baselines together.
	benchSettings = map[string]string{"max_connections": "300"}
	// slowSettings make every commit wait 2 ms before it is flushed.
	slowSettings = map[string]string{"commit_delay": "2000", "commit_siblings": "0"}
)

const (
	maxNodes      = 4
	baselineConns = 64 // one for each caller of a baseline
	nodeConns     = 60 // kept free for the node if the server allows few connections
	// settleMax is long, because the views take long to read millions of events that were just
	// made.
	settleMax = 2 * time.Hour
)

// gateway says how to open a gateway. There is none if the log is in a KurrentDB.
func (c *benchCommand) gateway(p *program) gatewayConfig {
	if p.KurrentDB != "" {
		return gatewayConfig{}
	}
	return gatewayConfig{address: "127.0.0.1:0"}
}

// settle waits until the read models and the reactor have reached the head of the log, and all
// answers are kept.
func (n *node) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleMax)
	defer cancel()
	head, err := n.store.Head(ctx)
	if err != nil {
		return err
	}
	if err := n.projections.WaitFor(ctx, head); err != nil {
		return err
	}
	if err := n.answers.Flush(ctx); err != nil {
		return err
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		at, err := n.reactor.Journal.Checkpoint(ctx)
		if err != nil {
			return err
		}
		if !at.Before(head) {
			return nil
		}
		select {
		case <-poll.C:
		case err := <-n.parts.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("the reactor is at position %s, not yet at %s: %w", at, head, ctx.Err())
		}
	}
}

// profile writes each measurement's profile to a file of its own.
func (c *benchCommand) profile(flush string) func(string) (func() error, error) {
	if c.CPUProfile == "" {
		return nil
	}
	return func(benchmark string) (func() error, error) {
		file, err := os.Create(filepath.Join(c.CPUProfile, benchmark+"-"+flush+".pprof"))
		if err != nil {
			return nil, fmt.Errorf("profile: %w", err)
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			return nil, errors.Join(fmt.Errorf("profile: %w", err), file.Close())
		}
		return func() error {
			pprof.StopCPUProfile()
			return file.Close()
		}, nil
	}
}
