package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/eventstore"
	"daybook/eventstore/sealing"
	"daybook/internal/bench"
	"daybook/internal/httpapi"
)

// benchKeyLasts is how long the API key of a benchmark is good, because its database may be kept.
const benchKeyLasts = 24 * time.Hour

// benchHost runs the server that is measured, and starts it again if a benchmark asks for that.
type benchHost struct {
	command *benchCommand
	program *program
	cfg     nodeConfig
	flush   string

	server    *server
	unguarded *http.Server // the same API without access control
	openURL   string       // of unguarded
	key       string       // an API key of an admin; the log keeps it when the node is opened again
	shopKey   string       // an API key of a shop's own program
	baselines *pgxpool.Pool
	endGuard  context.CancelFunc
	failed    context.CancelCauseFunc // ends the measurement, with the reason
}

// measure runs a whole server, as serve does, and the benchmarks against it.
func (c *benchCommand) measure(ctx context.Context, p *program, database databaseConfig, flush string, force bool, wanted []bench.Benchmark, result *benchResult) (err error) {
	database.Settings = maps.Clone(benchSettings)
	if flush == bench.FlushSlow {
		maps.Copy(database.Settings, slowSettings)
	}
	h := &benchHost{command: c, program: p, cfg: p.nodeConfig(commands.DefaultPolicy()), flush: flush}
	h.cfg.Database = database
	h.cfg.Shared = slices.ContainsFunc(wanted, func(b bench.Benchmark) bool { return b.Name == "nodes" })
	measuring, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	h.failed = failed
	if err := h.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close(ctx)) }()
	head, err := h.server.node.store.Head(ctx)
	if err != nil {
		return err
	}
	if eventstore.Start.Before(head) && !force {
		return usagef("the database holds events already, and what is measured would stay among them: name another, or add --force")
	}
	for _, one := range []struct {
		role access.Role
		key  *string
	}{{access.Admin, &h.key}, {access.Storefront, &h.shopKey}} {
		made, err := h.server.node.makeKey(ctx, access.IssueKey{Name: "bench " + string(one.role), Role: one.role}, benchKeyLasts)
		if err != nil {
			return err
		}
		*one.key = made.Secret
	}
	if err := h.server.node.logPool.QueryRow(ctx, `SELECT current_setting('server_version')`).Scan(&result.Postgres); err != nil {
		return fmt.Errorf("the database's settings: %w", err)
	}
	for _, b := range wanted {
		p.log.InfoContext(ctx, "measuring", "benchmark", b.Name, "flush", flush)
		var rows []bench.Row
		var err error
		if b.Grows {
			result.Growth, err = bench.Growth(measuring, h.env)
		} else {
			rows, err = b.Run(measuring, h.env)
		}
		if err != nil {
			if cause := context.Cause(measuring); cause != nil {
				return cause // the cause says more than the errors that followed from it
			}
			return err
		}
		result.Rows = append(result.Rows, rows...)
	}
	return bench.Clean(measuring, h.env())
}

// open starts the server, and the connections of the baselines.
func (h *benchHost) open(ctx context.Context) (err error) {
	h.server, err = h.program.openServer(ctx, "127.0.0.1:0", h.command.gateway(h.program), h.cfg)
	if err != nil {
		return err
	}
	if err := h.openWithoutAccess(ctx); err != nil {
		return errors.Join(err, h.server.close(ctx))
	}
	// If a vital part of the node dies, the measurement ends.
	var guarded context.Context
	guarded, h.endGuard = h.server.node.guard(context.WithoutCancel(ctx))
	context.AfterFunc(guarded, func() {
		if cause := context.Cause(guarded); !errors.Is(cause, context.Canceled) {
			h.failed(cause)
		}
	})
	var conns int32
	if err = h.server.node.logPool.QueryRow(ctx, `SELECT current_setting('max_connections')::int`).Scan(&conns); err == nil {
		h.baselines, err = openPool(ctx, h.server.node.database.url, "bench baselines", min(baselineConns, max(8, conns-nodeConns)), h.program.log)
	}
	if err != nil {
		return errors.Join(err, h.close(ctx))
	}
	return nil
}

// openWithoutAccess serves the API of the node once more, on a loopback address and without access
// control, so that the cost of access control can be measured.
func (h *benchHost) openWithoutAccess(ctx context.Context) error {
	handler, err := h.server.node.handler(make(chan struct{}), accessOff)
	if err != nil {
		return err
	}
	listener, err := h.cfg.Web.listen(ctx, "--listen", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h.unguarded, h.openURL = httpapi.NewServer(handler, h.program.log), "http://"+listener.Addr().String()
	go func(server *http.Server) {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			h.failed(err)
		}
	}(h.unguarded)
	return nil
}

func (h *benchHost) close(ctx context.Context) error {
	if h.server == nil {
		return nil
	}
	if h.baselines != nil {
		h.baselines.Close()
	}
	h.endGuard()
	err := errors.Join(h.unguarded.Close(), h.server.close(ctx))
	h.server, h.baselines = nil, nil
	return err
}

// env is what the benchmarks run against at present.
func (h *benchHost) env() bench.Env {
	c, n := h.command, h.server.node
	return bench.Env{
		Pool: h.baselines, Store: n.store, Service: n.service, BaseURL: h.server.url, Key: h.key, ShopKey: h.shopKey, OpenURL: h.openURL, Gateway: cmp.Or(h.program.KurrentDB, h.server.gateway.url()), Flush: h.flush,
		Seconds: c.Seconds, Rate: c.Rate, Runs: c.Runs, Events: c.Events, Sizes: c.Sizes, ReactorIdle: n.reactor.Idle, InDatabase: h.cfg.KurrentDB == "", Views: h.cfg.Views, Runner: n.projections, Small: h.program.smallBench,
		Nodes: c.Nodes, OpenNodes: h.openNodes, OpenPair: h.pair(), Restart: h.restart, Settle: n.settle, CPU: n.database.cpu, Profile: c.profile(h.flush),
	}
}

// openNodes opens more servers on the database of the first one.
func (h *benchHost) openNodes(ctx context.Context, n int) (urls []string, closeNodes func() error, err error) {
	cfg := h.cfg
	cfg.Database = databaseConfig{URL: h.server.node.database.url}
	var servers []*server
	closeNodes = func() error {
		var errs []error
		for _, s := range servers {
			errs = append(errs, s.close(ctx))
		}
		return errors.Join(errs...)
	}
	for range n {
		s, err := h.program.openServer(ctx, "127.0.0.1:0", gatewayConfig{}, cfg)
		if err != nil {
			return nil, nil, errors.Join(err, closeNodes())
		}
		servers, urls = append(servers, s), append(urls, s.url)
	}
	return urls, closeNodes, nil
}

// pair is how to open two nodes with new databases. There is no way if the log is in a KurrentDB,
// because both would have the same log.
func (h *benchHost) pair() func(context.Context) (bench.Pair, func() error, error) {
	if h.cfg.KurrentDB != "" {
		return nil
	}
	return h.openPair
}

// openPair opens two nodes with new databases on the server of the first one. One of them has a
// master key for the texts of people.
func (h *benchHost) openPair(ctx context.Context) (pair bench.Pair, closePair func() error, err error) {
	dir, remove, err := h.program.temporaryData("bench")
	if err != nil {
		return pair, nil, err
	}
	undo := []func() error{remove}
	closePair = func() error {
		var errs []error
		for _, one := range slices.Backward(undo) {
			errs = append(errs, one())
		}
		return errors.Join(errs...)
	}
	key := filepath.Join(filepath.Dir(dir), masterKeyFile)
	line, _ := sealing.NewMasterKey()
	if err := writeSecret(key, line); err != nil {
		return pair, nil, errors.Join(fmt.Errorf("the master key of a benchmark: %w", err), closePair())
	}
	for _, one := range []struct {
		env  *bench.Env
		name string
		key  string
	}{{&pair.Sealed, "daybook_bench_sealed", key}, {&pair.Clear, "daybook_bench_clear", ""}} {
		if *one.env, err = h.openApart(ctx, one.name, one.key, &undo); err != nil {
			return pair, nil, errors.Join(err, closePair())
		}
	}
	// Three nodes are in this process now. With the memory of one, garbage would be collected all
	// the time.
	if h.program.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(3 * serverMemoryLimit) //nolint:mnd // the first node and the pair
		undo = append(undo, func() error { debug.SetMemoryLimit(serverMemoryLimit); return nil })
	}
	return pair, closePair, nil
}

// openApart opens a node with a new database, and adds to undo what removes both.
func (h *benchHost) openApart(ctx context.Context, name, masterKey string, undo *[]func() error) (bench.Env, error) {
	drop := func() error {
		_, err := h.baselines.Exec(ctx, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`)
		return err
	}
	if err := drop(); err != nil {
		return bench.Env{}, err
	}
	if _, err := h.baselines.Exec(ctx, `CREATE DATABASE `+name); err != nil {
		return bench.Env{}, err
	}
	*undo = append(*undo, drop)
	address, err := url.Parse(h.server.node.database.url)
	if err != nil || address.Scheme == "" {
		return bench.Env{}, usagef("this benchmark needs the database's address as a URL")
	}
	address.Path = "/" + name
	cfg := h.cfg
	cfg.Database, cfg.MasterKeyFile, cfg.Unsealed = databaseConfig{URL: address.String()}, masterKey, masterKey == ""
	s, err := h.program.openServer(ctx, "127.0.0.1:0", gatewayConfig{}, cfg)
	if err != nil {
		return bench.Env{}, err
	}
	*undo = append(*undo, func() error { return s.close(ctx) })
	made, err := s.node.makeKey(ctx, access.IssueKey{Name: "bench", Role: access.Storefront}, benchKeyLasts)
	if err != nil {
		return bench.Env{}, err
	}
	return bench.Env{
		Store: s.node.store, Service: s.node.service, BaseURL: s.url, ShopKey: made.Secret, Flush: h.flush,
		Settle: s.node.settle, CPU: h.server.node.database.cpu,
	}, nil
}

// restart closes the node and opens it again. In between it starts only the database, because the
// start of the node is compared with that.
func (h *benchHost) restart(ctx context.Context) (again bench.Restarted, err error) {
	if err := h.close(ctx); err != nil {
		return again, err
	}
	began := time.Now()
	alone, err := openDatabase(ctx, h.cfg.Database, h.program.log)
	if err != nil {
		return again, explain(err)
	}
	err = answers(ctx, alone.url)
	again.Database = time.Since(began)
	if err = errors.Join(err, alone.stop(ctx)); err != nil {
		return again, fmt.Errorf("the database alone: %w", err)
	}
	began = time.Now()
	if err := h.open(ctx); err != nil {
		return again, err
	}
	again.Node, again.Env = time.Since(began), h.env()
	return again, nil
}

// answers connects to a database and sends one statement.
func answers(ctx context.Context, url string) error {
	pool, err := openPool(ctx, url, "bench baselines", 1, nil)
	if err != nil {
		return err
	}
	defer pool.Close()
	var one int
	return pool.QueryRow(ctx, `SELECT 1`).Scan(&one)
}
