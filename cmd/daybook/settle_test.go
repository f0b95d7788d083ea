package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/eventstore"
	"daybook/eventstore/guard"
	"daybook/eventstore/memory"
	"daybook/internal/pgtest"
	"daybook/projections"
)

// lagging is a log that seems to be empty, or cannot be reached, when its end is read the first few
// times.
type lagging struct {
	eventstore.Store
	behind, away atomic.Int64
}

func (l *lagging) Head(ctx context.Context) (eventstore.Position, error) {
	if l.away.Add(-1) >= 0 {
		return eventstore.Start, &eventstore.UnavailableError{Cause: errors.New("connection refused")}
	}
	if l.behind.Add(-1) >= 0 {
		return eventstore.Start, nil
	}
	return l.Store.Head(ctx)
}

// settling returns a lagging log behind a guard, and the guard has seen an event of it.
func settling(t *testing.T, log eventstore.Store) (*guard.Store, *lagging) {
	t.Helper()
	if _, err := log.Append(t.Context(), "notes", eventstore.Any, []eventstore.Event{{ID: uuid.New(), Type: "noted", Data: []byte(`{}`)}}); err != nil {
		t.Fatal(err)
	}
	l := &lagging{Store: log}
	s := guard.New(l, guard.Options{Settle: time.Hour, Every: time.Millisecond})
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, l
}

// The parts of a node can append to several streams at once if the engine of the log can.
func TestTheLogOfANodeAppendsToSeveralStreamsIfItsEngineDoes(t *testing.T) {
	t.Parallel()
	for _, engine := range []eventstore.Store{memory.New(), struct{ eventstore.Store }{memory.New()}} {
		_, want := eventstore.MultiAppenderOf(engine)
		if _, got := eventstore.MultiAppenderOf(&guardedLog{Store: guard.New(engine, guard.Options{})}); got != want {
			t.Errorf("%t, want %t", got, want)
		}
	}
}

// If a difference shows while a node opens, the node waits until it has passed, and repeats the
// steps that failed.
func TestADifferenceThatPassesWhileANodeOpensIsWaitedFor(t *testing.T) {
	t.Parallel()
	guarded, log := settling(t, memory.New())
	n := &node{store: &guardedLog{Store: guarded}}
	done := 0
	err := n.compared(t.Context(), func() error {
		if done++; done > 1 {
			return nil
		}
		log.behind.Store(2)
		return guarded.Check(t.Context())
	})
	if err != nil || done != 2 || guarded.Diverged() != nil {
		t.Errorf("done %d times, error %v, the log: %v", done, err, guarded.Diverged())
	}
}

// If the log is behind when a node starts, the node goes on as soon as the log is no longer behind.
func TestADifferenceThatPassesWhileANodeStartsEnds(t *testing.T) {
	t.Parallel()
	n := openTestNode(t)
	guarded, log := settling(t, n.store.Store)
	n.store.Store = guarded
	log.behind.Store(1 << 40)
	if _, diverged := errors.AsType[*eventstore.DivergedError](guarded.Check(t.Context())); !diverged || n.diverged() {
		t.Fatalf("want a difference that is not final, got %v", guarded.Diverged())
	}
	n.start(t.Context())
	log.behind.Store(0)
	eventually(t, recoveryLimit, "the log is taken again", func() bool { return guarded.Diverged() == nil })
	ctx, cancel := context.WithTimeout(t.Context(), recoveryLimit)
	defer cancel()
	if err := n.projections.WaitFor(ctx, eventstore.At(1)); err != nil {
		t.Error(err)
	}
}

// If a node opens on another log, it says so while it waits whether the difference passes. Its
// final error no longer says that the difference may pass.
func TestAFinalErrorOfOpenDoesNotSayThatItMayPass(t *testing.T) {
	t.Parallel()
	log := &lagging{Store: memory.New()}
	if _, err := log.Append(t.Context(), "notes", eventstore.Any, []eventstore.Event{{ID: uuid.New(), Type: "noted", Data: []byte(`{}`)}}); err != nil {
		t.Fatal(err)
	}
	guarded := guard.New(log, guard.Options{Settle: 300 * time.Millisecond, Every: time.Millisecond})
	if err := guarded.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	log.behind.Store(1 << 40)
	opening := new(start)
	n := &node{store: &guardedLog{Store: guarded}}
	opening.setStore(n.store)
	ended := make(chan error, 1)
	go func() { ended <- n.compared(t.Context(), func() error { return nil }) }()
	eventually(t, recoveryLimit, "it is said that it may pass", func() bool {
		found, is := errors.AsType[*eventstore.DivergedError](opening.store.Load().refuse("/v1/orders"))
		return is && found.MayPass
	})
	err := <-ended
	if found, is := errors.AsType[*eventstore.DivergedError](err); !is || found.MayPass || !n.diverged() {
		t.Errorf("it ended with: %v", err)
	}
}

// laggingLog is a lagging log that can be closed.
type laggingLog struct {
	*lagging
	close func(context.Context) error
}

func (l laggingLog) Close(ctx context.Context) error { return l.close(ctx) }

// If a difference passes in time, there is nothing to accept, even with --yes. If it stays,
// accept-log reports it after the same time as a node.
func TestADifferenceThatPassesIsNothingToAccept(t *testing.T) {
	t.Parallel()
	for name, behind := range map[string]int64{"passes": 6, "stays": 1 << 40} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := logs[storeKurrentDB](t)
			server := serve(t, slices.Concat(d.args, d.also)...)
			d.story(server)
			server.stop()
			server.exit(t)
			kept := d.places()

			var told bytes.Buffer
			p := &program{environment: testEnvironment(nil, strings.NewReader(""), &told, &told), log: slog.New(slog.DiscardHandler)}
			p.options = options{DatabaseURL: d.args[1], Store: storeKurrentDB, KurrentDB: d.args[5], Country: "GB", Currency: "GBP"}
			a, err := openAcceptance(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := a.close(t.Context()); err != nil {
					t.Error(err)
				}
			}()
			log := &lagging{Store: a.store}
			log.behind.Store(behind)
			a.store = laggingLog{log, a.store.Close}
			command := &acceptLogCommand{Yes: name == "passes", DryRun: name != "passes"}
			began := time.Now()
			report, err := command.takeOver(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			if report.Accepted || report.Diverged != (name == "stays") || report.Diverged && time.Since(began) < clusterSettles {
				t.Errorf("after %s: diverged %t, accepted %t\n%s", time.Since(began), report.Diverged, report.Accepted, told.String())
			}
			if got := d.places(); got != kept {
				t.Errorf("the places are\n%s\nand were\n%s", got, kept)
			}
		})
	}
}

// While the log is away, verify says so. It does not report read models that are behind as
// differences.
func TestVerifySaysThatTheLogIsAway(t *testing.T) {
	t.Parallel()
	n := openTestNode(t)
	log := &lagging{Store: n.store.Store}
	runner, err := projections.New(projections.Config{Store: log, Pool: n.viewPool, Guest: true, Log: n.log})
	if err != nil {
		t.Fatal(err)
	}
	n.projections = runner
	log.away.Store(1)
	report, err := n.verify(t.Context(), options{Country: "GB", Currency: "GBP"}.verification(), io.Discard)
	if _, away := errors.AsType[*eventstore.UnavailableError](err); !away || report != nil {
		t.Errorf("error %v, report %+v", err, report)
	}
}

// openTestNode opens a node on a database of its own, and closes it with the test.
func openTestNode(t *testing.T) *node {
	t.Helper()
	return openTestNodeWith(t, backupPlan{})
}

func openTestNodeWith(t *testing.T, backups backupPlan) *node {
	t.Helper()
	o := options{Country: "GB", Currency: "GBP"}
	n, err := openNode(t.Context(), nodeConfig{
		Database: databaseConfig{URL: pgtest.URL(t)}, Policy: commands.DefaultPolicy(), Views: o.views(), Serving: true, Now: time.Now, Backups: backups,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.closeInTime(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return n
}
