package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/commands/aggregate"
	commandspg "daybook/commands/postgres"
	"daybook/commands/reactor"
	"daybook/eventstore"
	"daybook/internal/live"
	"daybook/projections"
	"daybook/readapi"
)

// nodeConfig is what differs between the uses of a node.
type nodeConfig struct {
	Database  databaseConfig
	KurrentDB string // where the log is; empty: in the database
	Policy    commands.Policy
	Views     []projections.View // the views that the node updates
	Guest     bool               // the node takes over no read model from another node
	// Serving means that the node opens even if the log has diverged. It then only says so.
	Serving bool
	Start   *start // waits while the log or the database is away; nil: this is an error at once
	// CacheStreams is how many folded streams of each kind of aggregate are kept in memory at most.
	// 0 means the default.
	CacheStreams int
	Web          webFlags // the zero value is the defaults
	Now          func() time.Time
}

// node is the whole program except its HTTP API and its gateway: a database, the log, the command
// side and the read models. openNode opens it, start begins its work, close closes it.
type node struct {
	log *slog.Logger
	web webFlags
	now func() time.Time

	database database
	// Each purpose has a pool, so that one cannot take all connections from another.
	logPool, commandPool, viewPool, readPool *pgxpool.Pool

	store       *guardedLog
	sparse      bool                // the log's positions have gaps
	answers     *commandspg.Answers // to requests with an idempotency key
	service     *commands.Service
	reactor     *reactor.Reactor
	clockwork   *reactor.Clockwork
	projections *projections.Runner
	watch       *readapi.Watch

	parts   parts         // what it is made of
	awayMax time.Duration // see untilAway
}

// Sizes of the pools. Together with the four connections of the log's own they are half of
// PostgreSQL's usual hundred, so two nodes can use one database.
const (
	logConns     = 8
	commandConns = 12
	viewConns    = 12
	readConns    = 10
)

// How old unfinished work must be before the reactor takes it over. If the database is the
// program's own, no other node can still be working on it, so the time is shorter.
const (
	graceAlone  = 500 * time.Millisecond
	graceShared = 5 * time.Second
)

// Names of the parts that work by themselves. Some commands start only some of them.
const (
	partGuard       = "the log's guard"
	partReactor     = "reactor"
	partProjections = "projections"
)

// nodeConfig is what the uses of a node have in common.
func (p *program) nodeConfig(policy commands.Policy) nodeConfig {
	return nodeConfig{Database: p.database(), KurrentDB: p.KurrentDB, Policy: policy, Views: p.views(), Now: p.now}
}

// openNode opens the parts in the order of their list. Only the database and the log's own
// connections run then; the other parts do not work yet.
func openNode(ctx context.Context, cfg nodeConfig, log *slog.Logger) (*node, error) {
	n := &node{log: log, web: cfg.Web, now: cfg.Now, sparse: cfg.KurrentDB != "", parts: parts{failed: make(chan error, 1)}, awayMax: awayMax}
	if err := n.parts.openThrough(ctx, cfg.Start, n.list(cfg)); err != nil {
		return nil, errors.Join(err, n.closeInTime(ctx))
	}
	return n, nil
}

// list is the parts of a node. Each part needs the parts before it. So they are opened and begin to
// work in this order, and are closed in the reverse order.
func (n *node) list(cfg nodeConfig) []part {
	list := []part{{
		name: "the database", needs: "the database", once: cfg.Database.URL == "",
		open: func(ctx context.Context) (err error) {
			n.database, err = openDatabase(ctx, cfg.Database, n.log)
			return explain(err)
		},
		stop: func(ctx context.Context) error { return n.database.stop(ctx) },
	}}
	list = append(list, n.connections()...)
	list = append(list, n.logParts(cfg)...)
	return append(list, n.workers(cfg)...)
}

// connections are the parts for the pools. Each purpose has a pool, so that one cannot take all
// connections from another.
func (n *node) connections() (list []part) {
	for _, pool := range []struct {
		to      **pgxpool.Pool
		purpose string
		size    int32
	}{
		{&n.logPool, "log", logConns},
		{&n.commandPool, "commands", commandConns},
		{&n.viewPool, "projections", viewConns},
		{&n.readPool, "reads", readConns},
	} {
		list = append(list, part{
			name: "connections for " + pool.purpose, needs: "the database", once: true,
			open: func(ctx context.Context) (err error) {
				*pool.to, err = openPool(ctx, n.database.url, pool.purpose, pool.size, n.log)
				return err
			},
			stop: func(ctx context.Context) error { return closePool(ctx, *pool.to) },
		})
	}
	return list
}

// logParts are the parts for the tables and the log, and the parts that watch the log.
func (n *node) logParts(cfg nodeConfig) []part {
	return []part{{
		name: "the tables", needs: "the database to be brought to this program's version",
		open: func(ctx context.Context) error { return migrate(ctx, n.logPool) },
	}, {
		name: "the log", needs: "the log",
		open: func(ctx context.Context) (err error) {
			n.store, err = openLog(ctx, n.logPool, cfg, n.log)
			if err == nil {
				cfg.Start.over(n.store)
			}
			return err
		},
		stop: func(ctx context.Context) error { return n.store.Close(ctx) },
	}, {
		name: partGuard, needs: "the log to be compared with what is known of it",
		open: func(ctx context.Context) error { return n.follow(ctx, cfg.Serving) },
		run:  n.guardLog,
	}, {
		name: "the log's origin", onLog: true,
		run: n.runOrigin,
	}}
}

// workers are the parts that use the log: the command side, the read models, and the watch over
// both.
func (n *node) workers(cfg nodeConfig) []part {
	return []part{{
		name: "answers",
		open: func(context.Context) error {
			n.answers = commandspg.NewAnswers(n.commandPool, n.log)
			n.answers.Seen = n.store.Latest
			return nil
		},
		run:  func(ctx context.Context) error { return n.answers.Run(ctx) },
		stop: func(ctx context.Context) error { return n.answers.Flush(ctx) },
	}, {
		name: "commands",
		open: func(context.Context) error {
			n.service = commands.NewService(n.store, cfg.Policy, cfg.Now, aggregate.Options{
				Logger: n.log, Snapshots: commandspg.Snapshots{Pool: n.commandPool}, CacheStreams: cfg.CacheStreams,
			})
			return nil
		},
		stop: func(ctx context.Context) error { return n.service.Close(ctx) },
	}, {
		name: "timers", onLog: true,
		open: func(context.Context) error {
			n.clockwork = reactor.NewClockwork(commandspg.Timers{Pool: n.commandPool}, n.service, n.log)
			return nil
		},
		run: func(ctx context.Context) error { return n.clockwork.Run(ctx) },
	}, {
		name: partReactor, onLog: true,
		open: func(context.Context) error {
			n.reactor = n.newReactor(cfg)
			return nil
		},
		run: func(ctx context.Context) error { return n.reactor.Run(ctx) },
	}, {
		name: partProjections, onLog: true, needs: "the read models",
		open: func(ctx context.Context) error { return n.openProjections(ctx, cfg) },
		run:  func(ctx context.Context) error { return n.projections.Run(ctx) },
	}, {
		name: "the watch over the node",
		open: func(context.Context) error {
			n.watch = readapi.NewWatch(live.Progress{Runner: n.projections}, live.Log{Store: n.store}, n.processes())
			return nil
		},
		run: func(ctx context.Context) error { return n.watch.Run(ctx) },
	}}
}

func (n *node) newReactor(cfg nodeConfig) *reactor.Reactor {
	reactor := &reactor.Reactor{
		Store: n.store, Journal: commandspg.Journal{Pool: n.commandPool, Reader: commandspg.ReactorReader},
		Parking:  commandspg.Parking{Pool: n.commandPool},
		Finisher: n.service, Logger: n.log, Grace: graceShared, CartsExpireAfter: cfg.Policy.CartsExpireAfter, Nudge: n.clockwork.Nudge,
	}
	if n.database.server != nil {
		reactor.Grace = graceAlone
	}
	return reactor
}

// openProjections makes the read models' runner. Over a log that has diverged it changes
// nothing.
func (n *node) openProjections(ctx context.Context, cfg nodeConfig) (err error) {
	n.projections, err = projections.New(projections.Config{Store: n.store, Pool: n.viewPool, Views: cfg.Views, Guest: cfg.Guest, Log: n.log})
	if err != nil || n.diverged() {
		return err
	}
	if n.database.server != nil {
		// The database was not running, so no other node does.
		if err := projections.ForgetNodes(ctx, n.viewPool); err != nil {
			return err
		}
	}
	return n.projections.Prepare(ctx)
}

// follow makes sure that the log is the one that the database follows. If the database follows no
// log yet, it follows this one from now on. If serves is set, a diverged log is no error, because
// the node must open to say so.
func (n *node) follow(ctx context.Context, serves bool) error {
	err := n.compared(ctx, func() error {
		if err := (commandspg.Origin{Pool: n.logPool}).Check(ctx, n.store); err != nil {
			return err
		}
		return n.store.noteUpgraded(ctx, n.logPool)
	})
	_, diverged := errors.AsType[*eventstore.DivergedError](err)
	switch {
	case diverged && !serves:
		return fmt.Errorf("%w. If you want to go on with this log, because it was restored, run daybook accept-log", err)
	case diverged:
		return nil
	default:
		return err
	}
}

// compared compares the log and then calls do. If a difference shows meanwhile, it waits. When the
// difference has gone away, it calls do again. When the difference is final, it returns it.
func (n *node) compared(ctx context.Context, do func() error) error {
	for {
		err := n.store.Open(ctx)
		if err == nil {
			err = do()
		}
		if _, diverged := errors.AsType[*eventstore.DivergedError](err); !diverged {
			return err
		}
		if n.diverged() {
			// It does not return err, because err may still say that the difference may pass.
			return n.store.Diverged()
		}
	}
}

// diverged tells whether the log has diverged for good. A difference that is not final
// is left to the guard, which goes on comparing.
func (n *node) diverged() bool {
	select {
	case <-n.store.Final():
		return true
	default:
		return false
	}
}

// start lets all parts that work by themselves begin. They work until close.
func (n *node) start(ctx context.Context) {
	if !n.diverged() { // otherwise somebody must decide which log is right, and start the node again
		n.parts.begin(ctx)
	}
}

// guardLog goes on comparing the log. If the log has diverged, the parts that act on it end: no
// timer fires and nothing is projected.
func (n *node) guardLog(ctx context.Context) error {
	go func() {
		select {
		case <-ctx.Done():
		case <-n.store.Final():
			n.parts.endOnLog()
		}
	}()
	return n.store.Run(ctx)
}

// runOrigin ties the database to the log. It does not report a wrong log, because the guard does
// that.
func (n *node) runOrigin(ctx context.Context) error {
	for {
		err := commandspg.Origin{Pool: n.commandPool}.Run(ctx, n.store)
		_, another := errors.AsType[*commandspg.AnotherLogError](err)
		_, diverged := errors.AsType[*eventstore.DivergedError](err)
		if !another && !diverged {
			return err
		}
		// Check notes a difference itself.
		_ = n.store.Check(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// wait returns nil when ctx ends, or says which vital part ended by itself.
func (n *node) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-n.parts.failed:
		// Most likely the part ended because the database died. A moment later it is known whether
		// it did.
		select {
		case <-n.database.done():
			return n.database.server.Err()
		case <-time.After(time.Second):
			return err
		}
	case <-n.database.done():
		return n.database.server.Err()
	}
}

// guard returns a context that also ends when a vital part of the node dies, or when the log or the
// database has been away for long. The context's cause is the reason. It is for commands that come
// to an end. A server does not use it, because it goes on waiting.
func (n *node) guard(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	for _, ends := range []func(context.Context) error{n.wait, n.untilAway} {
		go func() {
			if err := ends(ctx); err != nil {
				end(err)
			}
		}()
	}
	return ctx, func() { end(nil) }
}

const (
	// awayMax is how long the log or the database may be away before a command that needs it ends.
	// It is longer than a cluster needs to elect a new leader, or a server to start again.
	awayMax = 30 * time.Second
	// awayAsk bounds one question to the database.
	awayAsk = 3 * time.Second
)

// untilAway returns an error when the log or the database has been away for awayMax,
// and nil when ctx ends.
func (n *node) untilAway(ctx context.Context) error {
	log, database := time.Now(), time.Now() // when each of them last answered
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		unheard := n.askDatabase(ctx)
		if unheard == nil {
			database = time.Now()
		}
		trouble := n.store.Pulse().Trouble
		if trouble == nil {
			log = time.Now()
		}
		switch limit := n.awayMax; {
		case ctx.Err() != nil:
			return nil
		case time.Since(log) > limit:
			return &eventstore.UnavailableError{Cause: fmt.Errorf("the log has been away for %.0f s: %w", time.Since(log).Seconds(), trouble)}
		case time.Since(database) > limit:
			return fmt.Errorf("the database has been away for %.0f s: %w", time.Since(database).Seconds(), unheard)
		}
	}
}

// askDatabase returns an error if the database does not answer.
func (n *node) askDatabase(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, awayAsk)
	defer cancel()
	err := n.readPool.Ping(ctx)
	if stat := n.readPool.Stat(); errors.Is(err, context.DeadlineExceeded) && stat.AcquiredConns() >= stat.MaxConns() {
		return nil // if no connection of the pool is free, nothing is known about the database
	}
	return err
}
