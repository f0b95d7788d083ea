package walk

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/commandapi"
	commandspg "daybook/commands/postgres"
	"daybook/commands/reactor"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	eventstorepg "daybook/eventstore/postgres"
	"daybook/internal/httpapi"
	"daybook/internal/httpapi/contracttest"
	"daybook/internal/live"
	"daybook/internal/pgtest"
	"daybook/internal/verify"
	"daybook/projections"
	"daybook/projections/salesview"
	"daybook/projections/views"
	"daybook/readapi"
)

// bug is a fault that is planted to see whether the walk finds it: it changes
// what the world is made of.
type bug struct {
	rules func(*commands.Rules)
	view  func(projections.View) projections.View
}

// settings are those of the world of one walk.
type settings struct {
	// light: nothing is in a database, so there are no read models and no reads.
	light    bool
	postgres bool // the log is in PostgreSQL, and the clock is the real one
	bug      bug
}

// Every answer is held against the document: of both APIs, and of a light world's one.
var contract, lightContract contracttest.Server

// world is a shop: a log, a database for views and answers, and the program.
type world struct {
	testing.TB
	settings
	clock   *clock
	log     eventstore.Store
	store   *cuttable
	pool    *pgxpool.Pool
	runner  *projections.Runner
	journal *journal

	finishing, finished atomic.Int64 // calls of the reactor's finisher

	mu         sync.Mutex
	complaints bytes.Buffer // of the program, since the last start

	// Of the program that runs now.
	service *commands.Service
	answers commands.Answers
	handler http.Handler
	api     huma.API
	end     func()
}

func newWorld(tb testing.TB, s settings) *world {
	tb.Helper()
	w := &world{TB: tb, settings: s, clock: newClock(!s.postgres), journal: newJournal(nil)}
	if !s.light {
		w.pool = pgtest.New(tb)
		for _, migrate := range []func(context.Context, *pgxpool.Pool) error{eventstorepg.Migrate, commandspg.Migrate, projections.Migrate} {
			if err := migrate(tb.Context(), w.pool); err != nil {
				tb.Fatal(err)
			}
		}
		w.journal = newJournal(commandspg.Journal{Pool: w.pool, Reader: "processes"})
	}
	w.log = memory.New(memory.WithClock(w.clock.now))
	if s.postgres {
		store, err := eventstorepg.Open(tb.Context(), w.pool, eventstorepg.Options{})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { store.Close(context.WithoutCancel(tb.Context())) })
		w.log = store
	}
	w.store = &cuttable{Store: w.log}
	stop := func() {}
	if !s.light {
		stop = w.runViews()
	}
	w.start()
	tb.Cleanup(func() { w.stop(); stop() })
	return w
}

func (w *world) runViews() (stop func()) {
	w.Helper()
	made := views.All(w.sales())
	if w.bug.view != nil {
		for i := range made {
			made[i] = w.bug.view(made[i])
		}
	}
	var err error
	w.runner, err = projections.New(projections.Config{Store: w.log, Pool: w.pool, Views: made, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.Fatal(err)
	}
	if err := w.runner.Prepare(w.Context()); err != nil {
		w.Fatal(err)
	}
	return w.run(w.runner.Run)
}

func (w *world) sales() salesview.Options {
	return salesview.Options{Location: time.UTC, Country: "United Kingdom", Currency: "GBP"}
}

// run runs a part of the program until the function it returns is called.
func (w *world) run(part func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := part(ctx); err != nil {
			w.Errorf("%v", err)
		}
	})
	return func() { cancel(); wait.Wait() }
}

// start starts the program: what it has only in memory is new.
func (w *world) start() {
	w.Helper()
	logger := slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
	policy := commands.DefaultPolicy()
	options := aggregate.Options{Logger: logger}
	w.answers = newAnswers()
	if !w.light {
		options.Snapshots = commandspg.Snapshots{Pool: w.pool}
		w.answers = commandspg.NewAnswers(w.pool, logger)
	}
	rules := commands.ShopRules()
	if w.bug.rules != nil {
		w.bug.rules(&rules)
	}
	w.service = commands.NewServiceWith(rules, w.store, policy, w.clock.now, options)
	ended := make(chan struct{}) // live streams end at once
	close(ended)
	var err error
	w.handler, err = httpapi.New(httpapi.Options{Version: "walk", Logger: logger, Slow: time.Hour},
		func(api huma.API) {
			w.api = api
			commandapi.Register(api, w.service, commandapi.Options{Answers: w.answers, Logger: logger})
		},
		func(api huma.API) {
			if w.light {
				return
			}
			readapi.Register(api, readapi.Config{
				DB: w.pool, Progress: live.Progress{Runner: w.runner}, History: live.History{Store: w.log}, Log: live.Log{Store: w.log},
				Now: w.clock.now, Stop: ended, Logger: logger,
			})
		})
	if err != nil {
		w.Fatal(err)
	}
	reactor := &reactor.Reactor{Store: w.store, Journal: w.journal, Finisher: counting{w.service, w}, Logger: logger, CartsExpireAfter: policy.CartsExpireAfter}
	w.end = w.run(reactor.Run)
}

// stop ends the program as a kill would: nothing that it has only in memory is
// written.
func (w *world) stop() {
	w.end()
	if err := w.service.Close(context.WithoutCancel(w.Context())); err != nil {
		w.Errorf("%v", err)
	}
}

// Write takes the program's warnings.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.complaints.Write(p)
}

func (w *world) head() eventstore.Position {
	w.Helper()
	head, err := w.log.Head(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return head
}

// seen waits until the reactor is idle, so that its timers are set.
func (w *world) seen() error {
	w.Helper()
	for over := time.Now().Add(patience); time.Now().Before(over); rest() {
		if idle, err := w.idle(); idle || err != nil {
			return err
		}
	}
	return fmt.Errorf("the reactor has not done its work within %s; the program said: %s", patience, w.complaintsSoFar())
}

// idle tells whether the reactor has read all that it asks for, and has none of it
// still to do.
func (w *world) idle() (bool, error) {
	last, err := w.store.last(w.Context())
	return err == nil && !w.journal.at().Before(last) && w.finishing.Load() == 0, err
}

func (w *world) complaintsSoFar() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.complaints.String()
}

const (
	// patience bounds a wait for what a correct program does soon, on any machine.
	patience = 2 * time.Minute
	// quiet is for how long the reactor must have been idle before what is off is a
	// fault. It may have begun, just before, to do something over again that was done
	// when the request was answered.
	quiet = 300 * time.Millisecond
)

func rest() { <-time.After(5 * time.Millisecond) }

// await waits until something holds, and returns why it does not: when the reactor
// is idle and has recorded nothing for a while, or after patience. Work that a cut
// left open is finished by the reactor, which is not idle until then.
func (w *world) await(holds func() (bool, error)) error {
	w.Helper()
	var still work
	since := time.Now()
	for over := since.Add(patience); ; rest() {
		ok, why := holds()
		if ok {
			return nil
		}
		done, idle, err := w.work()
		if err != nil {
			return err
		}
		if !idle || done != still {
			still, since = done, time.Now()
		}
		if now := time.Now(); now.Sub(since) > quiet || now.After(over) {
			return why
		}
	}
}

// work is how much has been done so far.
type work struct {
	head     eventstore.Position
	finished int64
}

func (w *world) work() (done work, idle bool, err error) {
	if idle, err = w.idle(); err == nil {
		done.head, err = w.log.Head(w.Context())
	}
	done.finished = w.finished.Load()
	return done, idle, err
}

// counting counts what the reactor has finished and is about to finish.
type counting struct {
	reactor.Finisher
	*world
}

func (c counting) begin() (end func()) {
	c.finishing.Add(1)
	return func() { c.finished.Add(1); c.finishing.Add(-1) }
}

func (c counting) FinishCheckout(ctx context.Context, id unit.CartID, orderID unit.OrderID) error {
	defer c.begin()()
	return c.Finisher.FinishCheckout(ctx, id, orderID)
}

func (c counting) FinishOrder(ctx context.Context, meta eventstore.Metadata, id unit.OrderID) error {
	defer c.begin()()
	return c.Finisher.FinishOrder(ctx, meta, id)
}

func (c counting) FinishReturn(ctx context.Context, meta eventstore.Metadata, id unit.ReturnID) error {
	defer c.begin()()
	return c.Finisher.FinishReturn(ctx, meta, id)
}

// verifyLog checks the books.
func (w *world) verifyLog() error {
	w.Helper()
	return w.await(func() (bool, error) {
		_, report, err := verify.Log(w.Context(), w.log, w.clock.now(), nil)
		if err != nil {
			return false, err
		}
		return report.Differences == 0, fmt.Errorf("%s; the program said: %s", inWords(report), w.complaintsSoFar())
	})
}

// verifyViews checks the books and all read models.
func (w *world) verifyViews() error {
	w.Helper()
	if w.light {
		return nil
	}
	return w.await(func() (bool, error) {
		if err := w.follow(); err != nil {
			return false, err
		}
		report, err := verify.Run(w.Context(), verify.Config{
			Store: w.log, Now: w.clock.now(), Pool: w.pool, Views: views.All(w.sales()),
			Shop: verify.Shop{Location: time.UTC, Country: "United Kingdom", Currency: "GBP"},
		})
		if err != nil {
			return false, err
		}
		return report.Differences == 0, fmt.Errorf("%s; the program said: %s", inWords(report), w.complaintsSoFar())
	})
}

// follow waits until the read models have come to the end of the log.
func (w *world) follow() error {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	if err := w.runner.WaitFor(ctx, w.head()); err != nil {
		status, _ := w.runner.Status(w.Context())
		return fmt.Errorf("the read models do not follow: %w; %+v", err, status)
	}
	return nil
}

func inWords(report *verify.Report) (words string) {
	for _, check := range report.Checks {
		for _, first := range check.First {
			words += "\n\t" + check.Name + ": " + first
		}
	}
	return words
}

// pass moves the clock, and fires the timers that are then due.
func (w *world) pass(d time.Duration) error {
	w.Helper()
	if err := w.seen(); err != nil { // the reactor has set them all
		return err
	}
	w.clock.move(d)
	for {
		timer, due := w.journal.due(w.clock.now())
		if !due {
			return w.seen()
		}
		if err := w.journal.fired(timer, reactor.FireTimer(w.Context(), w.service, timer, w.clock.now())); err != nil {
			return fmt.Errorf("timer %v: %w", timer, err)
		}
	}
}
