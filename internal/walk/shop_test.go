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
	"daybook/commands/payments"
	commandspg "daybook/commands/postgres"
	"daybook/commands/pricebook"
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

// bug is a fault that a test plants to see whether the walk finds it. It replaces a part of the
// shop.
type bug struct {
	rules func(*commands.Rules)
	view  func(projections.View) projections.View
}

// settings are the settings of the shop that one walk uses.
type settings struct {
	// light means that there is no database, so there are no read models and no reads.
	light    bool
	postgres bool // the log is in PostgreSQL, and the clock is the real one
	bug      bug
	// recording is how the program records checkouts.
	recording recording
}

// recording is a way to record checkouts.
type recording int

const (
	inTurn     recording = iota // together, and after each restart the other way
	together                    // in one append
	stepByStep                  // as on a log that cannot append to several streams at once
)

// Every answer is compared with the OpenAPI document. A light shop has only the command API, so it
// has another document.
var contract, lightContract contracttest.Server

// shop is a log, a database for views and answers, and the program that runs on them.
type shop struct {
	testing.TB
	settings
	clock   *clock
	log     eventstore.Store
	store   *cuttableLog
	pool    *pgxpool.Pool
	runner  *projections.Runner
	journal *journal
	books   books

	starts              int
	finishing, finished atomic.Int64 // calls of the reactor's finisher

	mu       sync.Mutex
	warnings bytes.Buffer // warnings of the program since its last start

	// Of the program that runs now.
	service *commands.Service
	book    *pricebook.Book
	answers commands.Answers
	handler http.Handler
	api     huma.API
	end     func()
}

func newShop(tb testing.TB, s settings) *shop {
	tb.Helper()
	w := &shop{TB: tb, settings: s, clock: newClock(!s.postgres), journal: newJournal(nil)}
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
	w.store = &cuttableLog{Store: w.log}
	stop := func() {}
	if !s.light {
		stop = w.runViews()
	}
	w.start()
	tb.Cleanup(func() { w.stop(); stop() })
	return w
}

func (w *shop) runViews() (stop func()) {
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

func (w *shop) sales() salesview.Options {
	return salesview.Options{Location: time.UTC, Country: "United Kingdom", Currency: "GBP"}
}

// run runs a part of the program until stop is called.
func (w *shop) run(part func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := part(ctx); err != nil {
			w.Errorf("%v", err)
		}
	})
	return func() { cancel(); wait.Wait() }
}

// start starts the program. Everything that it keeps only in memory is empty.
func (w *shop) start() {
	w.Helper()
	logger := slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
	policy := commands.DefaultPolicy()
	// If the log loses the outcome of an append and goes away, the program tries that long to find
	// out.
	options := aggregate.Options{Logger: logger, AppendTimeout: 2 * time.Second}
	w.answers = newAnswers()
	if !w.light {
		options.Snapshots = commandspg.Snapshots{Pool: w.pool}
		w.answers = commandspg.NewAnswers(w.pool, logger)
	}
	rules := commands.ShopRules()
	if w.bug.rules != nil {
		w.bug.rules(&rules)
	}
	w.store.stepByStep = w.recording == stepByStep || w.recording == inTurn && w.starts%2 == 1
	w.starts++
	w.service = commands.NewServiceWith(rules, w.store, policy, w.clock.now, options)
	w.service.Secrets = commands.NewSecrets([]byte("32 bytes that nobody else knows."))
	w.service.Payments = w.providers()
	endOfBook := w.openBook(logger)
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
				Now: w.clock.now, Stop: ended, Logger: logger, Definitions: live.Definitions{Book: w.book},
			})
		})
	if err != nil {
		w.Fatal(err)
	}
	reactor := &reactor.Reactor{Store: w.store, Journal: w.journal, Finisher: countingFinisher{w.service, w}, Logger: logger, CartsExpireAfter: policy.CartsExpireAfter}
	endOfReactor := w.run(reactor.Run)
	w.end = func() { endOfReactor(); endOfBook() }
}

// openBook opens the rules of prices. They read the log itself, which is never cut off.
func (w *shop) openBook(logger *slog.Logger) (stop func()) {
	w.Helper()
	w.book = pricebook.New(w.log, logger)
	if err := w.book.Open(w.Context()); err != nil {
		w.Fatal(err)
	}
	w.service.Prices = w.book
	return w.run(func(ctx context.Context) error {
		if err := w.book.Run(ctx); ctx.Err() == nil {
			return err
		}
		return nil
	})
}

// providers are those who move money. The walk draws the name of a provider from the example of the
// document.
func (w *shop) providers() payments.Providers {
	w.Helper()
	all, err := payments.NewProviders(map[string]payments.Provider{"stripe": bank{}})
	if err != nil {
		w.Fatal(err)
	}
	return all
}

// stop ends the program as a kill would. It writes nothing of what is only in memory.
func (w *shop) stop() {
	w.end()
	if err := w.service.Close(context.WithoutCancel(w.Context())); err != nil {
		w.Errorf("%v", err)
	}
}

// Write collects the program's warnings.
func (w *shop) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.warnings.Write(p)
}

func (w *shop) head() eventstore.Position {
	w.Helper()
	head, err := w.log.Head(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return head
}

// waitUntilIdle waits until the reactor is idle. Then all timers are set.
func (w *shop) waitUntilIdle() error {
	w.Helper()
	for over := time.Now().Add(patience); time.Now().Before(over); shortWait() {
		if idle, err := w.idle(); idle || err != nil {
			return err
		}
	}
	return fmt.Errorf("the reactor has not done its work within %s; the program said: %s", patience, w.warningsSoFar())
}

// idle tells whether the reactor has read all its events and has no open work.
func (w *shop) idle() (bool, error) {
	last, err := w.store.lastForReactor(w.Context())
	return err == nil && !w.journal.at().Before(last) && w.finishing.Load() == 0, err
}

func (w *shop) warningsSoFar() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.warnings.String()
}

const (
	// patience is the limit of all waits. A correct program is much faster, on any machine.
	patience = 2 * time.Minute
	// quietPeriod is how long the reactor must have been idle before a difference counts as a
	// fault. Just before, it may have begun to repeat work that the request had already done.
	quietPeriod = 300 * time.Millisecond
)

func shortWait() { <-time.After(5 * time.Millisecond) }

// waitUntil waits until holds returns true. It gives up when the reactor has been idle for the
// quietPeriod, or after patience, and returns the reason that holds gave. If a request was cut off,
// the reactor finishes its work and is not idle until then.
func (w *shop) waitUntil(holds func() (bool, error)) error {
	w.Helper()
	var still work
	since := time.Now()
	for over := since.Add(patience); ; shortWait() {
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
		if now := time.Now(); now.Sub(since) > quietPeriod || now.After(over) {
			return why
		}
	}
}

// work is how much the node has done so far.
type work struct {
	head     eventstore.Position
	finished int64
}

func (w *shop) work() (done work, idle bool, err error) {
	if idle, err = w.idle(); err == nil {
		done.head, err = w.log.Head(w.Context())
	}
	done.finished = w.finished.Load()
	return done, idle, err
}

// countingFinisher counts the processes that the reactor has finished, and those that it is
// finishing.
type countingFinisher struct {
	reactor.Finisher
	*shop
}

func (c countingFinisher) begin() (end func()) {
	c.finishing.Add(1)
	return func() { c.finished.Add(1); c.finishing.Add(-1) }
}

func (c countingFinisher) FinishCheckout(ctx context.Context, id unit.CartID, orderID unit.OrderID) error {
	defer c.begin()()
	return c.Finisher.FinishCheckout(ctx, id, orderID)
}

func (c countingFinisher) FinishOrder(ctx context.Context, meta eventstore.Metadata, id unit.OrderID) error {
	defer c.begin()()
	return c.Finisher.FinishOrder(ctx, meta, id)
}

func (c countingFinisher) FinishReturn(ctx context.Context, meta eventstore.Metadata, id unit.ReturnID) error {
	defer c.begin()()
	return c.Finisher.FinishReturn(ctx, meta, id)
}

func (c countingFinisher) FinishMerge(ctx context.Context, meta eventstore.Metadata, id unit.CartID) error {
	defer c.begin()()
	return c.Finisher.FinishMerge(ctx, meta, id)
}

func (c countingFinisher) FinishCustomerMerge(ctx context.Context, meta eventstore.Metadata, id unit.CustomerID) error {
	defer c.begin()()
	return c.Finisher.FinishCustomerMerge(ctx, meta, id)
}

func (c countingFinisher) FinishRefund(ctx context.Context, meta eventstore.Metadata, id unit.OrderID, part unit.TransactionID) error {
	defer c.begin()()
	return c.Finisher.FinishRefund(ctx, meta, id, part)
}

func (c countingFinisher) FollowHold(ctx context.Context, meta eventstore.Metadata, stream string, id unit.OrderID, now time.Time) (time.Time, error) {
	defer c.begin()()
	return c.Finisher.FollowHold(ctx, meta, stream, id, now)
}

func (c countingFinisher) ExpireGiftCard(ctx context.Context, meta eventstore.Metadata, stream string, now time.Time) error {
	defer c.begin()()
	return c.Finisher.ExpireGiftCard(ctx, meta, stream, now)
}

// verifyLog verifies the log.
func (w *shop) verifyLog() error {
	w.Helper()
	return w.waitUntil(func() (bool, error) {
		_, report, err := verify.Log(w.Context(), w.log, w.clock.now(), nil)
		if err != nil {
			return false, err
		}
		return report.Differences == 0, fmt.Errorf("%s; the program said: %s", reportText(report), w.warningsSoFar())
	})
}

// verifyViews verifies the log and all read models.
func (w *shop) verifyViews() error {
	w.Helper()
	if w.light {
		return nil
	}
	return w.waitUntil(func() (bool, error) {
		if err := w.waitForViews(); err != nil {
			return false, err
		}
		report, err := verify.Run(w.Context(), verify.Config{
			Store: w.log, Now: w.clock.now(), Pool: w.pool, Views: views.All(w.sales()),
			Shop: verify.Shop{Location: time.UTC, Country: "United Kingdom", Currency: "GBP"},
		})
		if err != nil {
			return false, err
		}
		return report.Differences == 0, fmt.Errorf("%s; the program said: %s", reportText(report), w.warningsSoFar())
	})
}

// waitForViews waits until the read models have read the whole log.
func (w *shop) waitForViews() error {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	if err := w.runner.WaitFor(ctx, w.head()); err != nil {
		status, _ := w.runner.Status(w.Context())
		return fmt.Errorf("the read models do not follow: %w; %+v", err, status)
	}
	return nil
}

func reportText(report *verify.Report) (words string) {
	for _, check := range report.Checks {
		for _, first := range check.First {
			words += "\n\t" + check.Name + ": " + first
		}
	}
	return words
}

// advanceClock moves the clock and fires the timers that are due then.
func (w *shop) advanceClock(d time.Duration) error {
	w.Helper()
	if err := w.waitUntilIdle(); err != nil { // then the reactor has set all timers
		return err
	}
	w.clock.move(d)
	for {
		timer, due := w.journal.due(w.clock.now())
		if !due {
			return w.waitUntilIdle()
		}
		if err := w.journal.fired(timer, reactor.FireTimer(w.Context(), w.service, timer, w.clock.now())); err != nil {
			return fmt.Errorf("timer %v: %w", timer, err)
		}
	}
}
