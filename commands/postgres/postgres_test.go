package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands/aggregate"
	"daybook/commands/reactor"
	"daybook/eventstore"
	"daybook/internal/pgtest"
)

func migrated(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.New(t)
	for range 2 { // the second time there is nothing to do
		if err := Migrate(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
	}
	return pool
}

func TestTheNewestSnapshotOfAFoldVersionIsKept(t *testing.T) {
	t.Parallel()
	snapshots := Snapshots{Pool: migrated(t)}
	save := func(version int, revision int64) {
		data := fmt.Appendf(nil, `{"at":%d}`, revision)
		if err := snapshots.Save(t.Context(), aggregate.Snapshot{Stream: "stock-A@main", FoldVersion: version, Revision: revision, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(version int, revision int64) {
		t.Helper()
		got, err := snapshots.Load(t.Context(), "stock-A@main", version)
		switch {
		case err != nil:
			t.Fatal(err)
		case revision < 0 && got != nil:
			t.Errorf("version %d: found revision %d, want none", version, got.Revision)
		case revision >= 0 && (got == nil || got.Revision != revision || string(got.Data) != fmt.Sprintf(`{"at":%d}`, revision)):
			t.Errorf("version %d: found %+v, want revision %d", version, got, revision)
		}
	}
	want(1, -1)
	save(1, 500)
	save(1, 400) // a slow writer comes late
	want(1, 500)
	save(2, 450) // another way to fold
	want(2, 450)
	want(1, -1)
	save(1, 900) // an old program runs on
	want(2, 450)
}

func TestTheCheckpointMovesOnlyFromWhereItIs(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	journal := Journal{Pool: pool, Reader: "reactor"}
	due := time.Now().Add(time.Hour)
	set := []reactor.Timer{{Deadline: reactor.Deadline{Kind: reactor.OrderDeadline, Target: "1"}, DueAt: due}}
	if err := journal.Advance(t.Context(), eventstore.Start, eventstore.At(7), reactor.Notes{Set: set}); err != nil {
		t.Fatal(err)
	}
	other := []reactor.Timer{{Deadline: reactor.Deadline{Kind: reactor.OrderDeadline, Target: "2"}, DueAt: due}}
	err := journal.Advance(t.Context(), eventstore.At(3), eventstore.At(9), reactor.Notes{Set: other, Clear: []reactor.Deadline{set[0].Deadline}})
	if !errors.Is(err, reactor.ErrNotLeading) {
		t.Errorf("advanced from where it is not: %v", err)
	}
	at, err := journal.Checkpoint(t.Context())
	if err != nil || at != eventstore.At(7) {
		t.Errorf("the checkpoint is %s (%v), want 7", at, err)
	}
	var keys []string
	if err := pool.QueryRow(t.Context(), `SELECT array_agg(target ORDER BY target) FROM commands.timers`).Scan(&keys); err != nil || fmt.Sprint(keys) != "[1]" {
		t.Errorf("timers %v (%v), want that of the advance that was made", keys, err)
	}
	if fresh, err := (Journal{Pool: pool, Reader: "other"}).Checkpoint(t.Context()); err != nil || !fresh.IsStart() {
		t.Errorf("a new reader begins at %s (%v)", fresh, err)
	}
}

func TestOneNodeLeads(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	first, second := Journal{Pool: pool, Reader: "reactor"}, Journal{Pool: pool, Reader: "reactor"}
	leading, resign, err := first.Lead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 1)
	go func() {
		_, _, err := second.Lead(ctx)
		waiting <- err
	}()
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("a second leader was let in: %v", err)
	}
	resign()
	if leading.Err() == nil {
		t.Error("a leader that resigned still leads")
	}
	_, resign, err = second.Lead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	resign()
}

func setTimer(t *testing.T, pool *pgxpool.Pool, target string, due time.Duration) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `INSERT INTO commands.timers (kind, target, due_at) VALUES ('order', $1, clock_timestamp() + $2)`, target, due)
	if err != nil {
		t.Fatal(err)
	}
}

func TestOnlyDueTimersFireOnceAndByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	setTimer(t, pool, "past", -time.Second)
	setTimer(t, pool, "future", time.Hour)
	var fired []string
	fire := func(_ context.Context, timer reactor.Timer, now time.Time) error {
		if now.Before(timer.DueAt) {
			t.Errorf("%s was fired at %s, before it was due at %s", timer.Target, now, timer.DueAt)
		}
		fired = append(fired, timer.Target)
		return nil
	}
	for range 2 {
		if _, next, err := (Timers{Pool: pool}).FireDue(t.Context(), fire); err != nil || next < 59*time.Minute || next > time.Hour {
			t.Errorf("next in %s (%v), want an hour", next, err)
		}
	}
	if fmt.Sprint(fired) != "[past]" {
		t.Errorf("fired %v, want past, once", fired)
	}
}

func TestATimerThatFailsComesBackLater(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	setTimer(t, pool, "bad", -time.Second)
	setTimer(t, pool, "good", -time.Second)
	tries := map[string]int{}
	fire := func(_ context.Context, timer reactor.Timer, _ time.Time) error {
		tries[timer.Target]++
		if timer.Target == "bad" {
			return errors.New("not now")
		}
		return nil
	}
	var before time.Time
	if err := pool.QueryRow(t.Context(), `SELECT clock_timestamp()`).Scan(&before); err != nil {
		t.Fatal(err)
	}
	if _, _, err := (Timers{Pool: pool}).FireDue(t.Context(), fire); err != nil {
		t.Fatal(err)
	}
	// A timer that failed waits for at least a second. The test adds an hour, so that the timer
	// does not become due even on a slow machine.
	var again time.Time
	if err := pool.QueryRow(t.Context(), `SELECT due_at FROM commands.timers`).Scan(&again); err != nil || again.Before(before.Add(time.Second)) {
		t.Errorf("it comes back at %s (%v), tried after %s", again, err, before)
	}
	if _, err := pool.Exec(t.Context(), `UPDATE commands.timers SET due_at = due_at + interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, next, err := (Timers{Pool: pool}).FireDue(t.Context(), fire); err != nil || next < 59*time.Minute {
			t.Errorf("next in %s (%v), want it to wait", next, err)
		}
	}
	if tries["bad"] != 1 || tries["good"] != 1 {
		t.Errorf("tries %v, want one each before the wait is over", tries)
	}
	if _, err := pool.Exec(t.Context(), `UPDATE commands.timers SET due_at = clock_timestamp()`); err != nil {
		t.Fatal(err)
	}
	if due, _, err := (Timers{Pool: pool}).FireDue(t.Context(), fire); err != nil || due != 1 || tries["bad"] != 2 {
		t.Errorf("later %d were due (%v), tries %v", due, err, tries)
	}
}

func TestATimerIsFiredByOneNode(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	setTimer(t, pool, "one", -time.Second)
	firing, finish := make(chan struct{}), make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		_, _, err := (Timers{Pool: pool}).FireDue(t.Context(), func(context.Context, reactor.Timer, time.Time) error {
			close(firing)
			<-finish
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-firing
	due, next, err := (Timers{Pool: pool}).FireDue(t.Context(), func(context.Context, reactor.Timer, time.Time) error {
		t.Error("fired twice")
		return nil
	})
	if err != nil || due != 0 || next < 10*time.Millisecond {
		t.Errorf("the other node found %d due, next in %s (%v); want none, and no spinning", due, next, err)
	}
	close(finish)
	wait.Wait()
}

// All nodes get the same secret under a name, whichever node asks first. Another name has another
// secret.
func TestNodesShareASecret(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	var made [8][]byte
	var nodes sync.WaitGroup
	for i := range made {
		nodes.Go(func() {
			name := SecretOfGuests
			if i == 0 {
				name = "other"
			}
			var err error
			if made[i], err = Secret(t.Context(), pool, name); err != nil {
				t.Error(err)
			}
		})
	}
	nodes.Wait()
	for _, secret := range made[2:] {
		if len(secret) != 32 || !bytes.Equal(secret, made[1]) {
			t.Errorf("a node has the secret %x, another one %x", secret, made[1])
		}
	}
	if bytes.Equal(made[0], made[1]) {
		t.Error("two names have the same secret")
	}
}
