package projections_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"daybook/eventstore"
	"daybook/projections"
)

func TestARebuildHasTheSameContentAndCanBeRolledBack(t *testing.T) {
	b := newBench(t)
	r, _ := b.run(projections.Config{Views: []projections.View{tally()}})
	b.wait(r, b.append("number.v1", 3000))
	before, _, err := r.Fingerprint(t.Context(), "tally", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Rebuild(t.Context(), "tally"); err != nil {
		t.Fatal(err)
	}
	if s := b.status(r, true); s.Build != 2 {
		t.Fatalf("status %+v, want build 2 in use", s)
	}
	after, _, err := r.Fingerprint(t.Context(), "tally", 0)
	if err != nil {
		t.Fatal(err)
	}
	if after != before {
		t.Errorf("rebuilt %q, live %q", after, before)
	}
	// After the roll-back, the older build has the events that came in the meantime, and it goes
	// on.
	head := b.append("number.v1", 100)
	b.wait(r, head)
	if err := r.Rollback(t.Context(), "tally"); err != nil {
		t.Fatal(err)
	}
	if s := b.status(r, true); s.Build != 1 {
		t.Errorf("status %+v, want build 1 in use", s)
	}
	if got, want := b.one(total), strconv.Itoa(3000*2999/2+100*99/2); got != want {
		t.Errorf("total %s, want %s", got, want)
	}
	b.wait(r, b.append("number.v1", 2))
	if err := r.DropOld(t.Context(), "tally"); err != nil {
		t.Fatal(err)
	}
	if err := r.Rollback(t.Context(), "tally"); !errors.Is(err, projections.ErrNoEarlierBuild) {
		t.Errorf("got %v, want ErrNoEarlierBuild", err)
	}
}

func TestARebuildWhileEventsArriveLosesNoneAndReadersNeverSeeThePast(t *testing.T) {
	b := newBench(t)
	r, _ := b.run(projections.Config{Views: []projections.View{tally()}})
	b.wait(r, b.append("number.v1", 6000))
	ctx, stop := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	var head eventstore.Position
	written := 0
	writer.Go(func() {
		for ctx.Err() == nil {
			head = b.write("number.v1", "s-1", `{"n":1}`)
			written++
			if written%50 == 0 {
				b.wait(r, head) // only as fast as the views can follow
			}
		}
	})
	rebuilt := make(chan error, 1)
	go func() { rebuilt <- r.Rebuild(ctx, "tally") }()
	seen := 0
	for done := false; !done; {
		select {
		case err := <-rebuilt:
			if err != nil {
				t.Errorf("rebuild: %v", err)
			}
			done = true
		default:
		}
		now, err := strconv.Atoi(b.one(total))
		if err != nil || now < seen {
			t.Fatalf("total went from %d to %d (%v)", seen, now, err)
		}
		seen = now
	}
	stop()
	writer.Wait()
	b.wait(r, head)
	if got, want := b.one(total), strconv.Itoa(6000*5999/2+written); got != want {
		t.Errorf("total %s, want %s", got, want)
	}
}

// second is the view with a new shape: it has one more column.
func second(v *projections.View) {
	v.Version = 2
	v.Tables = `CREATE TABLE tally (key text PRIMARY KEY, events bigint NOT NULL, total bigint NOT NULL)`
	v.Apply = func(ctx context.Context, tx *projections.Tx, batch []projections.Event) error {
		for _, e := range batch {
			_, err := tx.Exec(ctx, `INSERT INTO tally VALUES ($1, 1, $2) ON CONFLICT (key)
				DO UPDATE SET events = tally.events + 1, total = tally.total + excluded.total`, e.Stream, e.Value)
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func TestANewVersionIsBuiltBesideAndSwitchedTo(t *testing.T) {
	b := newBench(t)
	first, stop := b.run(projections.Config{Views: []projections.View{tally()}})
	b.wait(first, b.append("number.v1", 700))
	stop()
	head := b.append("number.v1", 10)

	// As long as the new shape cannot be built, the old build is still served.
	broken := tally(second, func(v *projections.View) {
		v.Apply = func(context.Context, *projections.Tx, []projections.Event) error { return errors.New("not yet") }
	})
	failing, stopFailing := b.run(projections.Config{Views: []projections.View{broken}})
	b.until("failure seen", func() bool { return b.status(failing, false).State == projections.Failed })
	if got, want := b.one(total), sum(700); got != want {
		t.Errorf("old total %s, want %s", got, want)
	}
	stopFailing()

	next, stopNext := b.run(projections.Config{Views: []projections.View{tally(second)}})
	b.until("switched", func() bool { return b.status(next, true).Version == 2 })
	b.wait(next, head)
	if got, want := b.one(`SELECT sum(events)::text FROM read.tally`), "710"; got != want {
		t.Errorf("events %s, want %s", got, want)
	}
	stopNext()

	// The earlier program does not touch the newer build until it is told to go back.
	earlier, _ := b.run(projections.Config{Views: []projections.View{tally()}})
	if s := b.status(earlier, true); s.Version != 2 {
		t.Errorf("status %+v, want version 2 in use", s)
	}
	if err := earlier.Rollback(t.Context(), "tally"); err != nil {
		t.Fatal(err)
	}
	b.wait(earlier, head)
	if got, want := b.one(total), strconv.Itoa(700*699/2+45); got != want {
		t.Errorf("total %s, want %s", got, want)
	}
}

func TestABuildIsPendingUntilItIsInUseAlsoBeforeAnybodyPostsToIt(t *testing.T) {
	b := newBench(t)
	first, stop := b.run(projections.Config{Views: []projections.View{tally()}})
	b.wait(first, b.append("number.v1", 10))
	stop()
	pending := func(r *projections.Runner) bool {
		t.Helper()
		is, err := r.Pending(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	views := []projections.View{tally(func(v *projections.View) { v.Setting = "another" })}
	idle, err := projections.New(projections.Config{Store: b.log, Pool: b.pool, Views: views})
	if err != nil {
		t.Fatal(err)
	}
	if err := idle.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !pending(idle) || pending(first) {
		t.Errorf("pending: %t, and for the program before: %t; want true and false", pending(idle), pending(first))
	}
	next, _ := b.run(projections.Config{Views: views})
	b.until("not pending", func() bool { return !pending(next) })
	if s := b.status(next, true); s.Build != 2 {
		t.Errorf("build %d is in use, want the second", s.Build)
	}
}

func TestAViewStopsAloneAtAnEventOfAnUnknownTypeAndSaysSo(t *testing.T) {
	b := newBench(t)
	other := tally(func(v *projections.View) {
		v.Name = "other"
		v.Tables = strings.ReplaceAll(v.Tables, "tally", "other")
		v.Indexes = ""
		v.Decode = func(string, []byte) (any, error) { return int64(1), nil }
		v.Apply = func(ctx context.Context, tx *projections.Tx, batch []projections.Event) error {
			_, err := tx.Exec(ctx, `INSERT INTO other VALUES ('n', $1) ON CONFLICT (key) DO UPDATE SET total = other.total + excluded.total`, len(batch))
			return err
		}
	})
	panics := tally(func(v *projections.View) {
		v.Name = "panics"
		v.Tables, v.Indexes = `CREATE TABLE panics (n int)`, ""
		v.Apply = func(context.Context, *projections.Tx, []projections.Event) error { panic("out of words") }
	})
	r, _ := b.run(projections.Config{Views: []projections.View{tally(), other, panics}})
	good := b.append("number.v1", 20)
	b.write("number.v2", "s-0", `{"n":1}`)
	head := b.append("number.v1", 5)
	b.wait(r, head, "other")
	if got := b.one(`SELECT total::text FROM read.other`); got != "26" {
		t.Errorf("the other view has %s events, want 26", got)
	}
	b.until("failed", func() bool { return b.status(r, true).State == projections.Failed })
	s := b.status(r, true)
	if s.Position != good || !strings.Contains(s.Error, "number.v2 at 21") || s.Lag == 0 {
		t.Errorf("status %+v, want it stopped after %s", s, good)
	}
	if got, want := b.one(total), sum(20); got != want {
		t.Errorf("total %s, want %s: all before the event, nothing after", got, want)
	}
	b.until("panic caught", func() bool {
		return strings.Contains(b.one(`SELECT error FROM projections.builds WHERE view = 'panics'`), "out of words")
	})
}

// Another program may use an event type that looks like one of the shop's. No version of Daybook
// will be able to read such an event, so nothing waits for one.
func TestAnUnknownTypeOfAnotherProgramStopsNoView(t *testing.T) {
	b := newBench(t)
	r, _ := b.run(projections.Config{Views: []projections.View{tally()}})
	b.append("number.v1", 20)
	b.writeForeign("number.v2", "s-0", `{"n":1}`)
	b.writeForeign("number.shipped", "s-0", `{"a":1}`)
	b.wait(r, b.append("number.v1", 20))
	if got, s := b.one(total), b.status(r, true); got != strconv.Itoa(2*20*19/2) || s.Odd != 2 || s.Error != "" {
		t.Errorf("total %s, status %+v; want both skipped and counted", got, s)
	}
}

func TestAnEventThatCannotBeReadIsSkippedAndCounted(t *testing.T) {
	b := newBench(t)
	r, _ := b.run(projections.Config{Views: []projections.View{tally()}})
	b.wait(r, b.append("number.v1", 20))
	before := b.one(total)
	b.wait(r, b.write("number.v1", "s-0", `{"poison":true}`))
	if got := b.one(total); got != before {
		t.Errorf("total %s, want %s as before the event", got, before)
	}
	b.wait(r, b.append("number.v1", 5))
	if got := b.one(total); got == before {
		t.Error("nothing after the event is applied")
	}
	if s := b.status(r, true); s.Odd != 1 || s.Error != "" {
		t.Errorf("status %+v, want one odd event and no error", s)
	}
}

// Another program may write any number of events of the shop's types, into its own streams or the
// shop's. The node's log names each of these streams once, for all views together.
func TestEventsOfOtherProgramsDoNotFloodTheNodesLog(t *testing.T) {
	b := newBench(t)
	other := tally(func(v *projections.View) {
		v.Name, v.Tables, v.Indexes = "other", strings.ReplaceAll(v.Tables, "tally", "other"), ""
	})
	other.Apply = func(context.Context, *projections.Tx, []projections.Event) error { return nil }
	lines := &lines{}
	r, _ := b.run(projections.Config{Views: []projections.View{tally(), other}, Log: slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	for round := range 3 {
		for i := range 600 {
			b.writeForeign("number.v1", fmt.Sprintf("theirs-%d", i%3), `{"n":1}`)
		}
		b.wait(r, b.append("number.v1", 1), "tally", "other")
		if got, s := lines.count(), b.status(r, true); got > 3+1 || got < 3 || s.Odd != int64(600*(round+1)) {
			t.Fatalf("%d lines, want one a stream and one that counts; status %+v", got, s)
		}
	}
	for i := range 1000 {
		b.writeForeign("number.v1", fmt.Sprintf("more-%d", i), `{"n":1}`)
	}
	b.wait(r, b.append("number.v1", 1), "tally", "other")
	if got := lines.count(); got > 103 {
		t.Errorf("%d lines for 1000 streams, want one for each of 100 and a few that count", got)
	}
}

// lines counts what a log says.
type lines struct{ n atomic.Int64 }

func (l *lines) Write(p []byte) (int, error) { l.n.Add(1); return len(p), nil }

func (l *lines) count() int64 { return l.n.Load() }

func TestALostConnectionIsTriedAgain(t *testing.T) {
	b := newBench(t)
	cut := 3
	flaky := tally(func(v *projections.View) {
		v.Apply = func(ctx context.Context, tx *projections.Tx, batch []projections.Event) error {
			if cut > 0 {
				cut--
				// This ends the session itself, as an operator or a restart would.
				if _, err := tx.Exec(ctx, `SELECT pg_terminate_backend(pg_backend_pid())`); err != nil {
					return err
				}
			}
			return addUp(ctx, tx, batch)
		}
	})
	r, _ := b.run(projections.Config{Views: []projections.View{flaky}})
	b.wait(r, b.append("number.v1", 50))
	if got, want := b.one(total), sum(50); got != want || cut != 0 {
		t.Errorf("total %s, want %s; cuts left %d", got, want, cut)
	}
}
