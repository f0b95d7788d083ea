package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"daybook/commands"
	"daybook/eventstore"
	"daybook/internal/bench"
)

type benchCommand struct {
	Benchmarks []string `arg:"" optional:"" name:"benchmark" help:"Which benchmarks to run: ${benchmarks}. Default: all."`
	Seconds    float64  `default:"5" placeholder:"N" help:"How long each measurement is counted. Default: ${default}."`
	Flush      string   `enum:"fast,2ms,both" default:"both" help:"How commits are flushed: as fast as the disk does, made to wait 2 ms as by a cloud disk or a synchronous replica, or both in turn. 2ms needs a PostgreSQL of the program's own. One of ${enum}."`
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
	Rows     []bench.Row `json:"rows"`
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
	result := benchResult{Version: version.Version, Go: version.Go, Platform: version.Platform, CPUs: runtime.NumCPU(), Seconds: c.Seconds}
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
	var wanted []bench.Benchmark
	names := benchmarkNames()
	for _, b := range bench.Benchmarks {
		if len(c.Benchmarks) == 0 || slices.Contains(c.Benchmarks, b.Name) {
			wanted = append(wanted, b)
		}
	}
	for _, name := range c.Benchmarks {
		if !slices.Contains(names, name) {
			return nil, nil, usagef("there is no benchmark %q, only %s", name, strings.Join(names, ", "))
		}
	}
	flushes := []string{c.Flush}
	switch {
	case c.Flush == "both" && p.DatabaseURL != "":
		// The settings of a server that is not our own stay as they are.
		flushes = []string{bench.FlushFast}
	case c.Flush == "both":
		flushes = []string{bench.FlushFast, bench.FlushSlow}
	case c.Flush == bench.FlushSlow && p.DatabaseURL != "":
		return nil, nil, usagef("--flush 2ms needs a PostgreSQL of the program's own, because it changes the server's settings")
	}
	return wanted, flushes, nil
}

var (
	// benchSettings allow enough connections for the node and the baselines together.
	benchSettings = map[string]string{"max_connections": "200"}
	// slowSettings make every commit wait 2 ms before it is flushed.
	slowSettings = map[string]string{"commit_delay": "2000", "commit_siblings": "0"}
)

const (
	rivalConns = 64 // one for each caller of a baseline
	nodeConns  = 60 // left to the node where connections are few
	settleMax  = 5 * time.Minute
)

// measure runs a whole server, as serve does, and the benchmarks against it.
func (c *benchCommand) measure(ctx context.Context, p *program, database databaseConfig, flush string, force bool, wanted []bench.Benchmark, result *benchResult) (err error) {
	database.Settings = maps.Clone(benchSettings)
	if flush == bench.FlushSlow {
		maps.Copy(database.Settings, slowSettings)
	}
	cfg := p.nodeConfig(commands.DefaultPolicy())
	cfg.Database = database
	s, err := p.openServer(ctx, "127.0.0.1:0", c.gateway(p), cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	head, err := s.node.store.Head(ctx)
	if err != nil {
		return err
	}
	if eventstore.Start.Before(head) && !force {
		return usagef("the database holds events already, and what is measured would stay among them: name another, or add --force")
	}
	var conns int
	if err := s.node.logPool.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('max_connections')::int`).Scan(&result.Postgres, &conns); err != nil {
		return fmt.Errorf("the database's settings: %w", err)
	}
	rivals, err := openPool(ctx, s.node.database.url, "bench baselines", int32(min(rivalConns, max(8, conns-nodeConns))), p.log) //nolint:gosec // at most rivalConns
	if err != nil {
		return err
	}
	defer rivals.Close()
	env := bench.Env{
		Pool: rivals, Store: s.node.store, Service: s.node.service, BaseURL: s.url, Gateway: cmp.Or(p.KurrentDB, s.gateway.url()), Flush: flush, Seconds: c.Seconds,
		Settle: s.node.settle, CPU: s.node.database.cpu, Profile: c.profile(flush),
	}
	guarded, end := s.node.guard(ctx)
	defer end()
	for _, b := range wanted {
		p.log.InfoContext(ctx, "measuring", "benchmark", b.Name, "flush", flush)
		rows, err := b.Run(guarded, env)
		if err != nil {
			if cause := context.Cause(guarded); cause != nil {
				return cause // this says more than the errors that followed from it
			}
			return err
		}
		result.Rows = append(result.Rows, rows...)
	}
	return bench.Clean(guarded, env)
}

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
