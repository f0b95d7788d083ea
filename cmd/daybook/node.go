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
	Views     []projections.View // which the node posts to
	Guest     bool               // it takes no read model from another node
	// Serving: the node opens also over a log that has diverged, and then only says so.
	Serving bool
	Start   *start // waits for a log or a database that is away; nil: what is away is an error
	// CacheStreams bounds the folded streams kept in memory, of each kind of
	// aggregate; 0: the default.
	CacheStreams int
	Web          webFlags // the zero value is the defaults
	Now          func() time.Time
}

// node is the whole program but for its way in: a database, the log in it, the
// command side and the read models. openNode wires it, start sets it going,
// close takes it down.
type node struct {
	log *slog.Logger
	web webFlags
	now func() time.Time

	database database
	// A pool for each purpose, so that none can starve another.
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

// Sizes of the pools. With the four connections the log keeps for itself they
// come to half of PostgreSQL's usual hundred, so that two nodes fit.
const (
	logConns     = 8
	commandConns = 12
	viewConns    = 12
	readConns    = 10
)

// How old unfinished work must be before the reactor takes it over. On an own
// database there is no other node that could still be at it.
const (
	graceAlone  = 500 * time.Millisecond
	graceShared = 5 * time.Second
)

// Names of the parts that work by themselves and that some commands begin alone.
const (
	partGuard       = "the log's guard"
	partReactor     = "reactor"
	partProjections = "projections"
)

// nodeConfig is what the uses of a node have in common.
func (p *program) nodeConfig(policy commands.Policy) nodeConfig {
	return nodeConfig{Database: p.database(), KurrentDB: p.KurrentDB, Policy: policy, Views: p.views(), Now: p.now}
}

// openNode opens the parts in the order of their list. Nothing runs yet but the database
// and the log's own connections.
func openNode(ctx context.Context, cfg nodeConfig, log *slog.Logger) (*node, error) {
	n := &node{log: log, web: cfg.Web, now: cfg.Now, sparse: cfg.KurrentDB != "", parts: parts{failed: make(chan error, 1)}, awayMax: awayMax}
	if err := n.parts.openThrough(ctx, cfg.Start, n.list(cfg)); err != nil {
		return nil, errors.Join(err, n.closeInTime(ctx))
	}
	return n, nil
}

// list is what a node is made of. Each part needs those before it: they are opened and
// begin in this order, and are taken down in the reverse order.
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

// connections are the pools. Each has a purpose of its own, so that none can starve
// another.
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

// logParts are the tables, the log, and what watches over the log.
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

// workers are the command side, the read models and the watch over both. They work over
// the log.
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

// follow makes sure that the log is the one that the database follows. A database that
// follows no log yet follows this one. A node that serves is to say what is wrong.
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
		return fmt.Errorf("%w. If this is the log to go on with, because it was restored, daybook accept-log takes it as it is", err)
	case diverged:
		return nil
	default:
		return err
	}
}

// compared compares the log and then does something with it. If a difference shows
// meanwhile, it waits until that has gone away, and does it again, or is final.
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
			return n.store.Diverged() // what was found before it was final says that it may pass
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

// start has all parts that work by themselves begin. They work until close.
func (n *node) start(ctx context.Context) {
	if !n.diverged() { // else somebody must decide what holds, and start the node anew
		n.parts.begin(ctx)
	}
}

// guardLog goes on comparing the log. When that has diverged, the parts that act on it
// end: no timer fires and nothing is projected.
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

// runOrigin ties the database to the log. What is wrong with the log is for its guard to tell.
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
		// Most likely the database died under it, which shows a moment later.
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

// guard returns a context that also ends when a vital part of the node dies, or the
// log or the database has been away for long; the context's cause is then why. It is for
// commands that come to an end; a server goes on waiting.
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
	// awayMax is how long a log or a database may be away until a command ends that needs
	// it. A cluster elects a new leader, and a server is started anew, in less.
	awayMax = 30 * time.Second
	// awayAsk bounds one question to the database.
	awayAsk = 3 * time.Second
)

// untilAway returns an error when the log or the database has been away for awayMax,
// and nil when ctx ends.
func (n *node) untilAway(ctx context.Context) error {
	log, database := time.Now(), time.Now() // when each was heard last
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
		return nil // a pool that is used up says nothing about the database
	}
	return err
}
