package verify_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/commands/aggregate"
	commandspg "daybook/commands/postgres"
	"daybook/commands/reactor"
	"daybook/domain/stock"
	"daybook/eventstore"
	"daybook/eventstore/logtest"
	"daybook/eventstore/memory"
	eventstorepg "daybook/eventstore/postgres"
	"daybook/internal/pgtest"
	"daybook/internal/verify"
	"daybook/projections"
	"daybook/projections/salesview"
	"daybook/projections/views"
)

var update = flag.Bool("update", false, "write what the kept logs fold to")

// This version opens logs that earlier versions wrote, on each engine. It folds them, builds all
// views, finishes the open work, and verifies the result. The files beside each log say what the
// log must fold to.
func TestLogsOfEarlierVersionsOpen(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "logs", "*.ndjson.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no logs are kept: %v", err)
	}
	for _, file := range files {
		entries, err := logtest.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".ndjson.gz")
		t.Run(name+" in memory", func(t *testing.T) {
			t.Parallel()
			var now atomic.Pointer[time.Time]
			log := memory.New(memory.WithClock(func() time.Time { return *now.Load() }))
			if err := logtest.Load(t.Context(), log, entries, func(at time.Time) { now.Store(&at) }); err != nil {
				t.Fatal(err)
			}
			o := oldLog{T: t, name: name, store: log, pool: pgtest.New(t), ended: entries[len(entries)-1].RecordedAt, recordedThen: true}
			o.checkOpens(*update)
		})
		t.Run(name+" with the ids of the first programs", func(t *testing.T) {
			t.Parallel()
			var now atomic.Pointer[time.Time]
			log := memory.New(memory.WithClock(func() time.Time { return *now.Load() }))
			older := slices.Clone(entries)
			for i := range older {
				if id := &older[i].ID; id.Version() == eventstore.LogWideVersion { // see decision 13
					id[6] = id[6]&0x0f | 5<<4
				}
			}
			if err := logtest.Load(t.Context(), log, older, func(at time.Time) { now.Store(&at) }); err != nil {
				t.Fatal(err)
			}
			o := oldLog{T: t, name: name, store: log, pool: pgtest.New(t), ended: entries[len(entries)-1].RecordedAt, recordedThen: true}
			o.checkOpens(false)
		})
		t.Run(name+" in PostgreSQL", func(t *testing.T) {
			t.Parallel()
			pool := pgtest.New(t)
			if err := eventstorepg.Migrate(t.Context(), pool); err != nil {
				t.Fatal(err)
			}
			log, err := eventstorepg.Open(t.Context(), pool, eventstorepg.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { log.Close(context.WithoutCancel(t.Context())) })
			if err := logtest.Load(t.Context(), log, entries, nil); err != nil {
				t.Fatal(err)
			}
			o := oldLog{T: t, name: name, store: log, pool: pool, ended: entries[len(entries)-1].RecordedAt}
			o.checkOpens(false)
		})
	}
}

// oldLog is a log of an earlier version in an engine of this one.
type oldLog struct {
	*testing.T
	name  string
	store eventstore.Store
	pool  *pgxpool.Pool
	ended time.Time // when the earlier version recorded the last event
	// recordedThen tells whether the engine kept the times at which the earlier version recorded
	// the events. If not, the recorded times are those at which the test wrote the events.
	recordedThen bool
}

func (o *oldLog) checkOpens(update bool) {
	o.Helper()
	book, report, err := verify.Log(o.Context(), o.store, o.ended, nil)
	if err != nil {
		o.Fatal(err)
	}
	o.wantPinned(".txt", update, summary(book, o.ended))
	if o.recordedThen {
		o.wantPinned(".open.txt", update, reportText(report))
	}

	if err := commandspg.Migrate(o.Context(), o.pool); err != nil {
		o.Fatal(err)
	}
	if err := projections.Migrate(o.Context(), o.pool); err != nil {
		o.Fatal(err)
	}
	runner, err := projections.New(projections.Config{Store: o.store, Pool: o.pool, Views: o.views(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		o.Fatal(err)
	}
	defer o.start(runner.Run)()
	o.wantPosted(runner)
	if found := reportText(o.verify(o.ended, time.Hour)); found != "" {
		o.Errorf("before the open work was finished, verify finds:\n%s", found)
	}
	o.finish()
	o.wantPosted(runner)
	if found := reportText(o.verify(time.Now(), 0)); found != "" {
		o.Errorf("after the open work was finished, verify finds:\n%s", found)
	}
	o.wantSameAfterRebuild(runner)
}

// start runs a part of a node until stop is called.
func (o *oldLog) start(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(o.Context()))
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := run(ctx); err != nil {
			o.Errorf("%v", err)
		}
	})
	return func() { cancel(); wait.Wait() }
}

func (o *oldLog) shop() verify.Shop {
	return verify.Shop{Location: time.UTC, Country: "United Kingdom", Currency: "GBP"}
}

func (o *oldLog) views() []projections.View {
	shop := o.shop()
	return views.All(salesview.Options{Location: shop.Location, Country: shop.Country, Currency: shop.Currency})
}

func (o *oldLog) verify(now time.Time, grace time.Duration) *verify.Report {
	o.Helper()
	report, err := verify.Run(o.Context(), verify.Config{Store: o.store, Now: now, Grace: grace, Pool: o.pool, Views: o.views(), Shop: o.shop()})
	if err != nil {
		o.Fatal(err)
	}
	return report
}

func (o *oldLog) wantPosted(runner *projections.Runner) {
	o.Helper()
	head, err := o.store.Head(o.Context())
	if err != nil {
		o.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(o.Context(), time.Minute)
	defer cancel()
	if err := runner.WaitFor(ctx, head); err != nil {
		o.Fatal(err)
	}
}

// finish runs the reactor and the timers until all open work is done.
func (o *oldLog) finish() {
	o.Helper()
	problems := &logProblems{}
	logger := slog.New(slog.NewTextHandler(problems, &slog.HandlerOptions{Level: slog.LevelWarn}))
	service := commands.NewService(o.store, commands.DefaultPolicy(), time.Now, aggregate.Options{Logger: logger})
	defer service.Close(context.WithoutCancel(o.Context()))
	clockwork := reactor.NewClockwork(commandspg.Timers{Pool: o.pool}, service, logger)
	reactor := &reactor.Reactor{
		Store: o.store, Journal: commandspg.Journal{Pool: o.pool, Reader: "processes"}, Finisher: service, Logger: logger, TimersSet: clockwork.AskAgain,
	}
	defer o.start(reactor.Run)()
	stopTimers := o.start(clockwork.Run)
	o.waitUntilSettled(problems)
	stopTimers()
	o.waitUntilSettled(problems) // a timer may have begun new work just before it stopped
	if text := problems.String(); text != "" {
		o.Errorf("the open work was finished, but with problems:\n%s", text)
	}
}

// waitUntilSettled waits until the log has no open work and no timer is due. It waits for the
// timers because a timer that is due may just be sending its command. If the test stopped then, the
// command could be recorded after the comparison.
func (o *oldLog) waitUntilSettled(problems *logProblems) {
	o.Helper()
	ctx, cancel := context.WithTimeout(o.Context(), time.Minute)
	defer cancel()
	for {
		_, report, err := verify.Log(ctx, o.store, time.Now(), nil)
		if err != nil {
			o.Fatalf("%v\n%s", err, problems)
		}
		var due int
		if err := o.pool.QueryRow(ctx, `SELECT count(*) FROM commands.timers WHERE due_at <= clock_timestamp()`).Scan(&due); err != nil {
			o.Fatalf("%v\n%s", err, problems)
		}
		if report.Differences == 0 && due == 0 {
			return
		}
		select {
		case <-ctx.Done():
			o.Fatalf("the open work was not finished:\n%s\n%s", reportText(report), problems)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// logProblems collects warnings and errors that are logged.
type logProblems struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (c *logProblems) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

func (c *logProblems) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// wantSameAfterRebuild checks that each view has the same rows after a rebuild.
func (o *oldLog) wantSameAfterRebuild(runner *projections.Runner) {
	o.Helper()
	ctx, cancel := context.WithTimeout(o.Context(), time.Minute)
	defer cancel()
	for _, view := range o.views() {
		live, _, err := runner.Fingerprint(ctx, view.Name, 0)
		if err != nil {
			o.Fatal(err)
		}
		if err := runner.Rebuild(ctx, view.Name); err != nil {
			o.Fatal(err)
		}
		anew, _, err := runner.Fingerprint(ctx, view.Name, 0)
		if err != nil {
			o.Fatal(err)
		}
		if anew != live {
			o.Errorf("view %s: after a rebuild it is %s, before it was %s", view.Name, anew, live)
		}
	}
}

// wantPinned compares a text with the file that is kept beside the log.
func (o *oldLog) wantPinned(suffix string, update bool, got string) {
	o.Helper()
	path := filepath.Join("testdata", "logs", o.name+suffix)
	if update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil { //nolint:gosec // test data, for everybody
			o.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		o.Fatal(err)
	}
	want := strings.Split(string(kept), "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(want) || line != want[i] {
			o.Errorf("%s, line %d: the log folds to\n\t%s\nwant\n\t%s", path, i+1, line, append(want, make([]string, i+1)...)[i])
			return
		}
	}
	if len(got) != len(kept) {
		o.Errorf("%s: the log folds to %d bytes, want %d", path, len(got), len(kept))
	}
}

func reportText(report *verify.Report) string {
	var words strings.Builder
	for _, check := range report.Checks {
		for _, first := range check.First {
			fmt.Fprintf(&words, "%s: %s\n", check.Name, first)
		}
		if more := check.Differences - int64(len(check.First)); more > 0 {
			fmt.Fprintf(&words, "%s: and %d more\n", check.Name, more)
		}
	}
	return words.String()
}

// summary describes every aggregate in a line.
func summary(b *verify.Book, now time.Time) string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	for _, sku := range slices.Sorted(maps.Keys(b.Products)) {
		p := b.Products[sku]
		line("product %s: %q %s %s", sku, p.Title, p.Kind, p.Phase)
		for _, currency := range slices.Sorted(maps.Keys(p.Prices)) {
			line("  %s", p.Prices[currency])
		}
	}
	// The ids of keys differ from log to log.
	var apiKeys []string
	for _, key := range b.Access.Keys {
		apiKeys = append(apiKeys, fmt.Sprintf("key %q: %s of %q, %s, rotated %t", key.Name, key.Role, key.Customer, key.Status, key.OldHash != ""))
	}
	slices.Sort(apiKeys)
	for _, key := range apiKeys {
		line("%s", key)
	}
	for _, role := range slices.Sorted(maps.Keys(b.Access.Roles)) {
		line("role %s: %v", role, b.Access.Roles[role])
	}
	var people []string // without their ids, too
	for _, p := range b.Staff.People {
		people = append(people, fmt.Sprintf("person: %s, %s, password %t, second factor %t, generation %d", p.Role, p.Status, p.Credential != "", p.Factor != "", p.Generation))
	}
	slices.Sort(people)
	for _, person := range people {
		line("%s", person)
	}
	for _, id := range slices.Sorted(maps.Keys(b.Carts)) {
		c := b.Carts[id]
		line("cart %s: %s of %q for order %q in %s, %d lines", id, c.Phase, c.CustomerID, c.OrderID, c.Currency, len(c.Lines))
	}
	for _, id := range slices.Sorted(maps.Keys(b.Orders)) {
		o := b.Orders[id]
		line("order %s: %s, %s, %s of cart %s, %s; captured %s, given back %s; %d returns, %d parcels", id, o.Status, o.PaymentState(), o.FulfillmentState(),
			o.CartID, o.Total, o.Captured(), o.Returned(), len(o.Returns), len(o.Shipments))
		for _, l := range o.Lines {
			line("  %d %s: %d at %s, %d canceled, %d shipped, %d delivered, %d returning", l.Number, l.SKU, l.Quantity, l.Price, l.Canceled, l.Shipped, l.Delivered, l.Returning)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(b.Returns)) {
		r := b.Returns[id]
		line("return %s: %s %s of order %q, %d receipts, %s of %s refunded", id, r.Status, r.Admission, r.Requested.OrderID, len(r.Receipts), r.Refunded(), r.Refundable())
		for _, l := range r.Lines {
			line("  %s: %d of %d at %s", l.SKU, l.Ended, l.Quantity, l.Price)
		}
	}
	keys := slices.SortedFunc(maps.Keys(b.Stock), func(x, y stock.Key) int {
		return strings.Compare(string(x.SKU)+"@"+string(x.Location), string(y.SKU)+"@"+string(y.Location))
	})
	for _, key := range keys {
		s := b.Stock[key].State
		line("stock %s@%s: %d on hand, %d reserved, %d allocated, %d unavailable, %d sellable", key.SKU, key.Location,
			s.OnHand(), s.Reserved(now), s.Allocated(), s.UnavailableTotal(), s.Sellable(now))
	}
	return text.String()
}
