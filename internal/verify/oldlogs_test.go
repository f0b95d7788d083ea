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

// Logs that earlier versions wrote are opened, folded, posted, finished and
// verified by this one, on each engine. What they fold to is pinned.
func TestLogsOfEarlierVersionsOpen(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "logs", "*.ndjson.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no kept logs: %v", err)
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
			o.opens(*update)
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
			o.opens(false)
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
			o.opens(false)
		})
	}
}

// oldLog is a log of an earlier version in an engine of this one.
type oldLog struct {
	*testing.T
	name  string
	store eventstore.Store
	pool  *pgxpool.Pool
	ended time.Time // when its last event was recorded, at first
	// recordedThen: the engine took over the recorded times; else they are now.
	recordedThen bool
}

func (o *oldLog) opens(update bool) {
	o.Helper()
	book, report, err := verify.Log(o.Context(), o.store, o.ended, nil)
	if err != nil {
		o.Fatal(err)
	}
	o.pinned(".txt", update, summary(book, o.ended))
	if o.recordedThen {
		o.pinned(".open.txt", update, inWords(report))
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
	defer o.running(runner.Run)()
	o.posted(runner)
	if found := inWords(o.verify(o.ended, time.Hour)); found != "" {
		o.Errorf("as it was found, the log and its views differ:\n%s", found)
	}
	o.finish()
	o.posted(runner)
	if found := inWords(o.verify(time.Now(), 0)); found != "" {
		o.Errorf("with all work ended, the log and its views differ:\n%s", found)
	}
	o.rebuilt(runner)
}

// running runs a part until the function it returns is called.
func (o *oldLog) running(run func(context.Context) error) (stop func()) {
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

func (o *oldLog) posted(runner *projections.Runner) {
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

// finish lets the reactor and the timers do all that the log shows to be open.
func (o *oldLog) finish() {
	o.Helper()
	complaints := &complaints{}
	logger := slog.New(slog.NewTextHandler(complaints, &slog.HandlerOptions{Level: slog.LevelWarn}))
	service := commands.NewService(o.store, commands.DefaultPolicy(), time.Now, aggregate.Options{Logger: logger})
	defer service.Close(context.WithoutCancel(o.Context()))
	clockwork := reactor.NewClockwork(commandspg.Timers{Pool: o.pool}, service, logger)
	reactor := &reactor.Reactor{
		Store: o.store, Journal: commandspg.Journal{Pool: o.pool, Reader: "processes"}, Finisher: service, Logger: logger, Nudge: clockwork.Nudge,
	}
	defer o.running(reactor.Run)()
	stopTimers := o.running(clockwork.Run)
	o.settled(complaints)
	stopTimers()
	o.settled(complaints) // a timer may have opened something at the last moment
	if text := complaints.String(); text != "" {
		o.Errorf("what was open did not end without complaints:\n%s", text)
	}
}

// settled waits until the log shows nothing that is open.
func (o *oldLog) settled(complaints *complaints) {
	o.Helper()
	ctx, cancel := context.WithTimeout(o.Context(), time.Minute)
	defer cancel()
	for {
		_, report, err := verify.Log(ctx, o.store, time.Now(), nil)
		if err != nil {
			o.Fatalf("%v\n%s", err, complaints)
		}
		if report.Differences == 0 {
			return
		}
		select {
		case <-ctx.Done():
			o.Fatalf("what was open has not ended:\n%s\n%s", inWords(report), complaints)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// complaints are the warnings and errors of a log.
type complaints struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (c *complaints) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

func (c *complaints) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// rebuilt wants each view to have the same rows when it is built anew.
func (o *oldLog) rebuilt(runner *projections.Runner) {
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
			o.Errorf("view %s: built anew it is %s, live it was %s", view.Name, anew, live)
		}
	}
}

// pinned compares a text with the file kept beside the log.
func (o *oldLog) pinned(suffix string, update bool, got string) {
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

func inWords(report *verify.Report) string {
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

// summary is what can be seen of every aggregate, a line each.
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
	shelves := slices.SortedFunc(maps.Keys(b.Stock), func(x, y stock.Key) int {
		return strings.Compare(string(x.SKU)+"@"+string(x.Location), string(y.SKU)+"@"+string(y.Location))
	})
	for _, key := range shelves {
		s := b.Stock[key].State
		line("stock %s@%s: %d on hand, %d reserved, %d allocated, %d unavailable, %d sellable", key.SKU, key.Location,
			s.OnHand(), s.Reserved(now), s.Allocated(), s.UnavailableTotal(), s.Sellable(now))
	}
	return text.String()
}
