package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/commands/aggregate"
	commandspg "daybook/commands/postgres"
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
}

// node is the whole program but for its way in: a database, the log in it, the
// command side and the read models. openNode wires it, start sets it going,
// close takes it down.
type node struct {
	log *slog.Logger
	web webFlags

	database database
	// A pool for each purpose, so that none can starve another.
	logPool, commandPool, viewPool, readPool *pgxpool.Pool

	store       *guardedLog
	sparse      bool                // the log's positions have gaps
	answers     *commandspg.Answers // to requests with an idempotency key
	service     *commands.Service
	reactor     *commands.Reactor
	clockwork   *commands.Clockwork
	projections *projections.Runner
	watch       *readapi.Watch

	stopOrigin, stopAnswers, stopReactor, stopClockwork, stopProjections, stopGuard, stopWatch func() // set by start
	failed                                                                                     chan error
	awayMax                                                                                    time.Duration // see untilAway
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

// openNode opens the parts in the order of their dependencies. Nothing runs yet
// but the database and the log's own connections.
func openNode(ctx context.Context, cfg nodeConfig, log *slog.Logger) (_ *node, err error) {
	n := &node{log: log, web: cfg.Web, sparse: cfg.KurrentDB != "", failed: make(chan error, 1), awayMax: awayMax}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.closeInTime(ctx))
		}
	}()
	err = cfg.Start.through(ctx, []part{
		{needs: "the database", once: cfg.Database.URL == "", do: func(ctx context.Context) (err error) {
			n.database, err = openDatabase(ctx, cfg.Database, log)
			return explain(err)
		}},
		{needs: "the database", once: true, do: n.openPools},
		{needs: "the database to be brought to this program's version", do: func(ctx context.Context) error { return migrate(ctx, n.logPool) }},
		{needs: "the log", do: func(ctx context.Context) (err error) {
			n.store, err = openLog(ctx, n.logPool, cfg, log)
			if err == nil {
				cfg.Start.over(n.store)
			}
			return err
		}},
		{needs: "the log to be compared with what is known of it", do: func(ctx context.Context) error { return n.follow(ctx, cfg.Serving) }},
	})
	if err != nil {
		return nil, err
	}
	if err := n.wire(cfg); err != nil {
		return nil, err
	}
	if n.diverged() {
		return n, nil // it changes nothing
	}
	return n, cfg.Start.through(ctx, []part{
		{needs: "the read models", do: func(ctx context.Context) error {
			if n.database.server != nil {
				// The database was not running, so no other node does.
				if err := projections.ForgetNodes(ctx, n.viewPool); err != nil {
					return err
				}
			}
			return n.projections.Prepare(ctx)
		}},
	})
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

// wire makes the parts that work over the log. None of them asks anything yet.
func (n *node) wire(cfg nodeConfig) (err error) {
	n.answers = commandspg.NewAnswers(n.commandPool, n.log)
	n.answers.Seen = n.store.Latest
	n.service = commands.NewService(n.store, cfg.Policy, time.Now, aggregate.Options{
		Logger: n.log, Snapshots: commandspg.Snapshots{Pool: n.commandPool}, CacheStreams: cfg.CacheStreams,
	})
	n.clockwork = commands.NewClockwork(commandspg.Timers{Pool: n.commandPool}, n.service, n.log)
	n.reactor = &commands.Reactor{
		Store: n.store, Journal: commandspg.Journal{Pool: n.commandPool, Reader: commandspg.ReactorReader},
		Parking:  commandspg.Parking{Pool: n.commandPool},
		Finisher: n.service, Logger: n.log, Grace: graceShared, CartsExpireAfter: cfg.Policy.CartsExpireAfter, Nudge: n.clockwork.Nudge,
	}
	if n.database.server != nil {
		n.reactor.Grace = graceAlone
	}
	n.projections, err = projections.New(projections.Config{Store: n.store, Pool: n.viewPool, Views: cfg.Views, Guest: cfg.Guest, Log: n.log})
	if err != nil {
		return err
	}
	n.watch = readapi.NewWatch(live.Progress{Runner: n.projections}, live.Log{Store: n.store}, n.processes())
	return nil
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

func (n *node) openPools(ctx context.Context) error {
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
		var err error
		if *pool.to, err = openPool(ctx, n.database.url, pool.purpose, pool.size, n.log); err != nil {
			return err
		}
	}
	return nil
}

// start sets going what works by itself: the reactor, the timers, the
// projections, the sweeping of old answers, the noting of the log's origin, the watch
// for probes. They run until close.
func (n *node) start(ctx context.Context) {
	ctx = context.WithoutCancel(ctx) // a signal is met by close, in order
	if n.diverged() {
		return // somebody must decide what holds, and start the node anew
	}
	n.stopOrigin = n.background(ctx, "the log's origin", func(ctx context.Context) error {
		return n.runOrigin(ctx)
	})
	n.stopAnswers = n.background(ctx, "answers", n.answers.Run)
	n.stopReactor = n.background(ctx, "reactor", n.reactor.Run)
	n.stopClockwork = n.background(ctx, "timers", n.clockwork.Run)
	n.stopWatch = n.background(ctx, "the watch over the node", n.watch.Run)
	n.startProjections(ctx)
	stops := []func(){n.stopOrigin, n.stopReactor, n.stopClockwork, n.stopProjections}
	n.startGuard(ctx, stops...)
}

// startGuard goes on comparing the log. When that has diverged, the parts that work
// by themselves are stopped: no timer fires and nothing is projected.
func (n *node) startGuard(ctx context.Context, stops ...func()) {
	n.stopGuard = n.background(context.WithoutCancel(ctx), "the log's guard", func(ctx context.Context) error {
		go func() {
			select {
			case <-ctx.Done():
			case <-n.store.Final():
				for _, stop := range stops {
					go stop()
				}
			}
		}()
		return n.store.Run(ctx)
	})
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

// startProjections sets going only the read models.
func (n *node) startProjections(ctx context.Context) {
	n.stopProjections = n.background(context.WithoutCancel(ctx), "projections", n.projections.Run)
}

// background runs a part until the function it returns is called, which waits
// for the part's end. A part that ends before that takes the node down.
func (n *node) background(ctx context.Context, name string, run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		err := run(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("it had no reason to")
		}
		select {
		case n.failed <- fmt.Errorf("%s ended: %w", name, err):
		default:
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// wait returns nil when ctx ends, or says which vital part ended by itself.
func (n *node) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-n.failed:
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
