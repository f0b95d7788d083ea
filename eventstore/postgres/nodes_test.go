package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"daybook/eventstore"
	"daybook/eventstore/postgres"
	"daybook/internal/pgmigrate"
	"daybook/internal/pgtest"
)

// anotherPool is a pool to the same database, as another node has it.
func anotherPool(t *testing.T, pool *pgxpool.Pool) *pgxpool.Pool {
	t.Helper()
	other, err := pgxpool.NewWithConfig(t.Context(), pool.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	return other
}

// Two nodes append at once, to streams of their own and to the same ones.
// Subscriptions on both see everything, once and in the order of the log.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	nodes := []*postgres.Store{open(t, pool), open(t, anotherPool(t, pool))}
	const callers, appends = 16, 60
	total := 2 * callers * appends * 3 / 2
	seen := make([][]eventstore.Recorded, 4)
	var group errgroup.Group
	for i := range seen {
		group.Go(func() (err error) {
			seen[i], err = collect(t.Context(), nodes[i%2], total)
			return err
		})
	}
	for n, node := range nodes {
		for c := range callers {
			group.Go(func() error {
				for i := range appends {
					stream := fmt.Sprintf("own-%d-%d", n, c)
					if i%3 == 0 {
						stream = fmt.Sprint("shared-", (c*5+i)%7)
					}
					if _, err := node.Append(t.Context(), stream, eventstore.Any, newEvents(1+i%2)); err != nil {
						return fmt.Errorf("node %d: %w", n, err)
					}
				}
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	want := readAll(t, nodes[0])
	for i := range seen {
		sameEvents(t, fmt.Sprintf("subscription %d", i), seen[i], want)
	}
	var deadlocks int
	if err := pool.QueryRow(t.Context(), "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").Scan(&deadlocks); err != nil || deadlocks > 0 {
		t.Errorf("%d deadlocks (error %v), want none", deadlocks, err)
	}
}

// When another node has recorded an event, this node may know the new head before it has the event
// in its tail. A subscription has caught up only when it has yielded the event.
func TestCaughtUpWithAnotherNode(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	here, there := open(t, pool), open(t, anotherPool(t, pool))
	ctx, cancel := context.WithCancel(t.Context())
	live := make(chan struct{})
	var group errgroup.Group
	group.Go(func() error { // a subscription, so that the tail keeps events
		told := sync.OnceFunc(func() { close(live) })
		for item, err := range here.Subscribe(ctx, eventstore.Start, eventstore.Filter{}) {
			if err != nil && ctx.Err() == nil {
				return err
			}
			if item.CaughtUp {
				told()
			}
		}
		return nil
	})
	<-live
	for range 50 {
		result, err := there.Append(t.Context(), "a", eventstore.Any, newEvents(1))
		if err != nil {
			t.Fatal(err)
		}
		for item, err := range here.Subscribe(t.Context(), eventstore.Start, eventstore.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			if !item.CaughtUp {
				continue
			}
			if item.Checkpoint.Before(result.Position) {
				t.Fatalf("caught up at %s after an append at %s was answered", item.Checkpoint, result.Position)
			}
			break
		}
	}
	cancel()
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// The same command runs on two nodes at once: first on one stream, then on two streams. Events with
// log-wide ids are recorded once in the log, events with other ids once in each stream.
func TestNodesRaceWithTheSameIDs(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	nodes := []*postgres.Store{open(t, pool), open(t, anotherPool(t, pool))}
	for round := range 60 {
		events, want := newEvents(2), int64(1)
		switch round % 3 {
		case 1:
			for i := range events {
				events[i].ID[6] = events[i].ID[6]&0x0f | eventstore.LogWideVersion<<4
			}
		case 2:
			want = 4
		}
		var recorded atomic.Int64
		var group errgroup.Group
		for i := range 8 {
			group.Go(func() error {
				stream := fmt.Sprint("same-", round)
				if round%3 > 0 {
					stream = fmt.Sprintf("one-of-four-%d-%d", round, i%4)
				}
				result, err := nodes[i%2].Append(t.Context(), stream, eventstore.NoStream, events)
				if err == nil && !result.Replayed {
					recorded.Add(1)
				}
				if _, duplicate := errors.AsType[*eventstore.DuplicateEventError](err); duplicate && round%3 == 1 {
					return nil
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if got := recorded.Load(); got != want {
			t.Fatalf("round %d: recorded %d times, want %d", round, got, want)
		}
	}
	if events := readAll(t, nodes[0]); len(events) != 20*2*(1+1+4) {
		t.Errorf("%d events are recorded, want 240", len(events))
	}
}

// Again and again, two nodes append the same ids to the ends of two streams. Each time, each stream
// gets the events once, under the ids that were given.
func TestNodesUseIDsAgain(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	nodes := []*postgres.Store{open(t, pool), open(t, anotherPool(t, pool))}
	events := newEvents(2)
	events = append(events, events[0])
	const rounds = 12
	for round := range rounds {
		var recorded atomic.Int64
		var group errgroup.Group
		for i := range 8 {
			group.Go(func() error {
				result, err := nodes[i%2].Append(t.Context(), fmt.Sprint("again-", i/2%2), eventstore.AtRevision(int64(len(events)*round-1)), events)
				if err == nil && !result.Replayed {
					recorded.Add(1)
				}
				if want := int64(len(events)*(round+1) - 1); err == nil && result.Revision != want {
					err = fmt.Errorf("appended up to revision %d, want %d", result.Revision, want)
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if got := recorded.Load(); got != 2 {
			t.Fatalf("round %d: recorded %d times, want 2", round, got)
		}
	}
	next := make(map[string]int)
	for e, err := range nodes[0].ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if want := events[next[e.Stream]%len(events)].ID; e.ID != want {
			t.Errorf("%s, revision %d: id %s, want %s", e.Stream, e.Revision, e.ID, want)
		}
		next[e.Stream]++
	}
	if len(next) != 2 || next["again-0"] != rounds*len(events) || next["again-1"] != rounds*len(events) {
		t.Errorf("the streams hold %v events, want %d each", next, rounds*len(events))
	}
}

// An older version kept each id unique in its stream. This version can use such a log, and
// recognises an id that two streams have.
func TestALogOfIDsOnceAStreamGoesOn(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	before := fstest.MapFS{}
	for _, name := range []string{"00001_log.sql", "00002_append.sql", "00003_tombstone.sql", "00004_ids_by_stream.sql", "00005_longer_names.sql"} {
		script, err := os.ReadFile("migrations/" + name)
		if err != nil {
			t.Fatal(err)
		}
		before["migrations/"+name] = &fstest.MapFile{Data: script}
	}
	if err := pgmigrate.Up(t.Context(), pool, before, "daybook_eventstore_version"); err != nil {
		t.Fatal(err)
	}
	events := newEvents(2)
	for i, e := range events {
		for _, stream := range []string{"a", "b"} { // in b the id is found by its derived key
			mustExec(t, pool, strings.Replace(callAppend, "false)", "true)", 1), []string{stream}, []int64{int64(i) - 1}, []int32{1}, []int32{1}, []int32{1},
				[]uuid.UUID{e.ID}, []string{e.Type}, []string{string(e.Data)}, []*string{nil})
		}
	}
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	store := open(t, pool)
	for _, stream := range []string{"a", "b"} {
		for name, c := range map[string]struct {
			expected eventstore.Expected
			events   []eventstore.Event
			revision int64
			replayed bool
		}{
			"as it was":        {eventstore.NoStream, events, 1, true},
			"whatever is":      {eventstore.Any, events[:1], 0, true},
			"in another order": {eventstore.StreamExists, []eventstore.Event{events[1], events[0]}, 0, true},
		} {
			result, err := store.Append(t.Context(), stream, c.expected, c.events)
			if err != nil || result.Replayed != c.replayed || result.Revision != c.revision {
				t.Errorf("append to %s %s: %+v, %v", stream, name, result, err)
			}
		}
		for range 2 {
			if result, err := store.Append(t.Context(), stream, eventstore.AtRevision(1), events); err != nil || result.Revision != 3 {
				t.Errorf("append to %s, again: %+v, %v", stream, result, err)
			}
		}
	}
	next := make(map[string]int)
	for e, err := range store.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if want := events[next[e.Stream]%2].ID; e.ID != want {
			t.Errorf("%s, revision %d: id %s, want %s", e.Stream, e.Revision, e.ID, want)
		}
		next[e.Stream]++
	}
	if next["a"] != 4 || next["b"] != 4 {
		t.Errorf("the streams hold %v events, want 4 each", next)
	}
}

// A still older version kept each id unique in the whole log. Such a log is not rewritten, and its
// events are still recognised by their ids.
func TestALogOfUniqueIDsGoesOn(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	before := fstest.MapFS{}
	for _, name := range []string{"00001_log.sql", "00002_append.sql", "00003_tombstone.sql"} {
		script, err := os.ReadFile("migrations/" + name)
		if err != nil {
			t.Fatal(err)
		}
		before["migrations/"+name] = &fstest.MapFile{Data: script}
	}
	if err := pgmigrate.Up(t.Context(), pool, before, "daybook_eventstore_version"); err != nil {
		t.Fatal(err)
	}
	const append = `SELECT o_base FROM eventstore.append(ARRAY['a'], ARRAY[-1], ARRAY[1], ARRAY[1], ARRAY[1], ARRAY[$1::uuid], ARRAY['t.v1'],
		ARRAY['{}']::json[], ARRAY[NULL]::json[], false)`
	events := newEvents(1)
	events[0].Type, events[0].Data, events[0].Meta = "t.v1", []byte("{}"), nil
	place := `SELECT ctid::text FROM eventstore.events`
	var base int64
	var was, is string
	if err := errors.Join(pool.QueryRow(t.Context(), append, events[0].ID).Scan(&base), pool.QueryRow(t.Context(), place).Scan(&was),
		postgres.Migrate(t.Context(), pool), pool.QueryRow(t.Context(), place).Scan(&is)); err != nil {
		t.Fatal(err)
	}
	if was != is {
		t.Errorf("the event moved from %s to %s", was, is)
	}
	store := open(t, pool)
	for stream, replayed := range map[string]bool{"a": true, "b": false} {
		result, err := store.Append(t.Context(), stream, eventstore.NoStream, events)
		if err != nil || result.Replayed != replayed {
			t.Errorf("append to %s: %+v, %v", stream, result, err)
		}
	}
	for _, e := range readAll(t, store) {
		if e.ID != events[0].ID {
			t.Errorf("stream %s has id %s, want %s", e.Stream, e.ID, events[0].ID)
		}
	}
}

// If the notification of an append is lost, the node finds the append when it next reads the head.
func TestLostNotification(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	store, err := postgres.Open(t.Context(), pool, postgres.Options{Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	caught := 0
	for item, err := range store.Subscribe(t.Context(), eventstore.Start, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if item.CaughtUp {
			if caught++; caught == 4 {
				break
			}
			mustExec(t, pool, callAppend, []string{"other"}, []int64{-2}, []int32{1}, []int32{1}, []int32{1},
				[]uuid.UUID{uuid.New()}, []string{"t.v1"}, []string{"{}"}, []*string{nil})
		}
	}
	if err := store.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if events := readAll(t, store); len(events) != 3 {
		t.Errorf("%d events are recorded, want 3", len(events))
	}
}

// A database that was restored from an older backup may end before a checkpoint that is stored
// elsewhere. A subscription from there must fail. If it waited until the log has grown that far, it
// would skip events.
func TestLogThatWentBack(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	store, err := postgres.Open(t.Context(), pool, postgres.Options{Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Append(t.Context(), "a", eventstore.NoStream, newEvents(5)); err != nil {
		t.Fatal(err)
	}
	wantError := func(after eventstore.Position) {
		t.Helper()
		for item, err := range store.Subscribe(t.Context(), after, eventstore.Filter{}) {
			if err != nil {
				return
			}
			if item.CaughtUp {
				mustExec(t, pool, "DELETE FROM eventstore.events WHERE position > 3")
				mustExec(t, pool, "UPDATE eventstore.head SET position = 3")
			}
		}
		t.Error("the subscription ended without an error")
	}
	wantError(eventstore.At(6))
	wantError(eventstore.Start)
	wantError(eventstore.At(4))
	if err := store.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// A server may refuse an append that the contract allows. Only that append of its batch fails.
func TestAppendTheServerRefuses(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, admin(t, pool), "ALTER DATABASE "+pool.Config().ConnConfig.Database+" SET max_stack_depth = '100kB'")
	store := open(t, pool)
	var group errgroup.Group
	for i := range 64 {
		group.Go(func() error {
			events := newEvents(2)
			if i%16 != 5 {
				_, err := store.Append(t.Context(), fmt.Sprint("a-", i), eventstore.NoStream, events)
				return err
			}
			events[1].Data = nested(9000)
			_, err := store.Append(t.Context(), fmt.Sprint("a-", i), eventstore.NoStream, events)
			if _, invalid := errors.AsType[*eventstore.InvalidError](err); !invalid {
				return fmt.Errorf("error %w, want an InvalidError", err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if events := readAll(t, store); len(events) != 60*2 {
		t.Errorf("%d events are recorded, want %d", len(events), 60*2)
	}
}

func nested(depth int) []byte {
	document := make([]byte, 0, 2*depth+8)
	document = append(document, `{"a":`...)
	for range depth {
		document = append(document, '[')
	}
	for range depth {
		document = append(document, ']')
	}
	return append(document, '}')
}

// Close lets accepted appends finish, accepts no more, ends subscriptions, and leaves no goroutine
// running.
func TestClose(t *testing.T) {
	pool := migrated(t)
	before := goleak.IgnoreCurrent()
	store, err := postgres.Open(t.Context(), pool, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var recorded atomic.Int64
	var group errgroup.Group
	live := make(chan struct{})
	group.Go(func() error {
		for item, err := range store.Subscribe(t.Context(), eventstore.Start, eventstore.Filter{}) {
			if _, unavailable := errors.AsType[*eventstore.UnavailableError](err); unavailable {
				return nil
			}
			if err != nil {
				return err
			}
			if item.CaughtUp && item.Checkpoint.IsStart() {
				close(live)
			}
		}
		return errors.New("the subscription ended without an error")
	})
	<-live
	for i := range 16 {
		group.Go(func() error {
			for n := 0; ; n++ {
				_, err := store.Append(context.Background(), fmt.Sprintf("a-%d-%d", i, n), eventstore.NoStream, newEvents(1))
				if _, unavailable := errors.AsType[*eventstore.UnavailableError](err); unavailable {
					return nil
				}
				if err != nil {
					return err
				}
				if recorded.Add(1) == 100 {
					group.Go(func() error { return store.Close(context.Background()) })
				}
			}
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(t.Context()); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if events := readAll(t, store); int64(len(events)) != recorded.Load() {
		t.Errorf("%d events are recorded, %d were acknowledged", len(events), recorded.Load())
	}
	pool.Close()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// Nodes that start together migrate together.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	var group errgroup.Group
	for range 4 {
		group.Go(func() error { return postgres.Migrate(t.Context(), pool) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenWithoutMigration(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	mustExec(t, pool, "DROP SCHEMA eventstore CASCADE")
	if _, err := postgres.Open(t.Context(), pool, postgres.Options{}); err == nil {
		t.Error("a database without the log was opened")
	}
}

// A reader that is too slow for the events in memory goes on from the database, and later returns
// to the events in memory.
func TestSubscriberFarBehind(t *testing.T) {
	t.Parallel()
	store := open(t, migrated(t))
	const total = 30_000 // several times as many as the tail holds
	live, resume := make(chan struct{}), make(chan struct{})
	var slow []eventstore.Position
	var group errgroup.Group
	group.Go(func() error {
		for item, err := range store.Subscribe(t.Context(), eventstore.Start, eventstore.Filter{}) {
			switch {
			case err != nil:
				return err
			case item.CaughtUp && item.Checkpoint.IsStart():
				close(live)
				<-resume
			case item.Event != nil:
				if slow = append(slow, item.Checkpoint); len(slow) == total {
					return nil
				}
			}
		}
		return errors.New("the subscription ended")
	})
	<-live
	for i := range total / 1000 {
		if _, err := store.Append(t.Context(), fmt.Sprint("a-", i), eventstore.NoStream, newEvents(1000)); err != nil {
			t.Fatal(err)
		}
	}
	close(resume)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, position := range slow {
		if want := eventstore.At(uint64(i + 1)); position != want {
			t.Fatalf("event %d came at position %s, want %s", i, position, want)
		}
	}
}
