package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"daybook/eventstore"
	"daybook/eventstore/postgres"
)

func newEvents(n int) []eventstore.Event {
	events := make([]eventstore.Event, n)
	for i := range events {
		events[i] = eventstore.Event{ID: uuid.New(), Type: "test.happened.v1", Data: fmt.Appendf(nil, `{"n":%d}`, i)}
	}
	return events
}

// settle appends as a command handler does: while the append fails or its outcome is unknown, it is
// repeated with the same ids.
func settle(ctx context.Context, store eventstore.Store, stream string, expected eventstore.Expected, events []eventstore.Event) (result eventstore.Result, unknowns int, err error) {
	for {
		result, err = store.Append(ctx, stream, expected, events)
		if _, unavailable := errors.AsType[*eventstore.UnavailableError](err); unavailable && ctx.Err() == nil {
			continue
		}
		if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err); unknown && ctx.Err() == nil {
			unknowns++
			continue
		}
		return result, unknowns, err
	}
}

// readAll returns the log. It fails unless positions are contiguous from 1, revisions have no gaps
// and ids are unique. It begins again if an outage has left dead connections in the pool.
func readAll(t *testing.T, store eventstore.Store) []eventstore.Recorded {
	t.Helper()
	var events []eventstore.Recorded
	next := make(map[string]int64)
	seen := make(map[string]bool)
	for e, err := range store.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
		if _, away := errors.AsType[*eventstore.UnavailableError](err); away && t.Context().Err() == nil {
			return readAll(t, store)
		}
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
		if want := eventstore.At(uint64(len(events))); e.Position != want {
			t.Fatalf("position %s where %s should come", e.Position, want)
		}
		if e.Revision != next[e.Stream] {
			t.Fatalf("%s: revision %d where %d should come", e.Stream, e.Revision, next[e.Stream])
		}
		unique := e.ID.String()
		if !eventstore.LogWide(e.ID) {
			unique += " in " + e.Stream
		}
		if seen[unique] {
			t.Fatalf("event %s is recorded twice", unique)
		}
		next[e.Stream], seen[unique] = e.Revision+1, true
	}
	return events
}

// collect subscribes from the start until it has seen a number of events.
func collect(ctx context.Context, store eventstore.Store, want int) ([]eventstore.Recorded, error) {
	var events []eventstore.Recorded
	for item, err := range store.Subscribe(ctx, eventstore.Start, eventstore.Filter{}) {
		if err != nil {
			return events, fmt.Errorf("after %d of %d events: %w", len(events), want, err)
		}
		if item.Event != nil {
			events = append(events, *item.Event)
		}
		if len(events) == want {
			break
		}
	}
	return events, nil
}

func sameEvents(t *testing.T, what string, got, want []eventstore.Recorded) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s saw %d events, want %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if got[i].ID != want[i].ID || got[i].Position != want[i].Position || !got[i].RecordedAt.Equal(want[i].RecordedAt) || string(got[i].Data) != string(want[i].Data) {
			t.Errorf("%s saw %s at %s as event %d, want %s at %s", what, got[i].ID, got[i].Position, i, want[i].ID, want[i].Position)
			return
		}
	}
}

// admin is a connection of its own to the same server, which the test's engines do not use.
func admin(t *testing.T, pool *pgxpool.Pool) *pgx.Conn {
	t.Helper()
	config := pool.Config().ConnConfig.Copy()
	config.Database = "postgres"
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

const terminate = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()`

// Connections are killed at any moment during 1,280 appends. No acknowledged event is lost, no
// event is there twice, and a repetition finds out each unknown outcome.
func TestKilledConnections(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	store := open(t, pool)
	killer := admin(t, pool)
	database := pool.Config().ConnConfig.Database
	const callers, appends = 32, 40

	acknowledged := make(chan struct{}, callers*appends)
	var mu sync.Mutex
	results := make(map[uuid.UUID]eventstore.Result)
	unknowns := 0
	var group errgroup.Group
	for c := range callers {
		group.Go(func() error {
			revision := int64(-1)
			for n := range appends {
				events := newEvents(1 + n%3)
				stream := fmt.Sprint("caller-", c)
				result, unknown, err := settle(t.Context(), store, stream, eventstore.AtRevision(revision), events)
				if err != nil {
					return fmt.Errorf("append %d to %s: %w", n, stream, err)
				}
				revision = result.Revision
				mu.Lock()
				results[events[len(events)-1].ID] = result
				unknowns += unknown
				mu.Unlock()
				acknowledged <- struct{}{}
			}
			return nil
		})
	}
	total := callers * (14*1 + 13*2 + 13*3)
	var seen []eventstore.Recorded
	group.Go(func() (err error) {
		seen, err = collect(t.Context(), store, total)
		return err
	})
	kills := 0
	for n := range callers * appends {
		<-acknowledged
		if n%50 == 49 {
			kills++
			if _, err := killer.Exec(t.Context(), terminate, database); err != nil {
				t.Error(err)
			}
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	pool.Reset() // the last kill may have left dead connections in it
	events := readAll(t, store)
	if len(events) != total {
		t.Errorf("%d events are recorded, want %d", len(events), total)
	}
	places := make(map[uuid.UUID]eventstore.Recorded)
	for _, e := range events {
		places[e.ID] = e
	}
	for id, result := range results {
		if e := places[id]; e.Position != result.Position || e.Revision != result.Revision {
			t.Errorf("event %s was acknowledged as %+v, but it is at %s, revision %d", id, result, e.Position, e.Revision)
		}
	}
	sameEvents(t, "a subscription through it all", seen, events)
	t.Logf("killed all connections %d times; %d outcomes were unknown and then settled", kills, unknowns)
}

// While the server takes no connections, appends are refused in bounded time
// and subscriptions wait; then both go on.
func TestServerAway(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	store := open(t, pool)
	server := admin(t, pool)
	database := pool.Config().ConnConfig.Database
	if _, err := store.Append(t.Context(), "a", eventstore.NoStream, newEvents(1)); err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	var seen []eventstore.Recorded
	group.Go(func() (err error) {
		seen, err = collect(t.Context(), store, 3)
		return err
	})

	exec(t, server, "ALTER DATABASE "+database+" ALLOW_CONNECTIONS false")
	exec(t, server, terminate, database)
	refused := 0
	for refused < 3 {
		_, err := store.Append(t.Context(), "b", eventstore.NoStream, newEvents(1))
		if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err); unknown {
			continue // the append was under way when the connection ended
		}
		if _, unavailable := errors.AsType[*eventstore.UnavailableError](err); !unavailable {
			t.Fatalf("error %v, want an UnavailableError", err)
		}
		refused++
	}
	for _, err := range store.ReadStream(t.Context(), "a", 0, 0) {
		if _, unavailable := errors.AsType[*eventstore.UnavailableError](err); !unavailable {
			t.Fatalf("read: error %v, want an UnavailableError", err)
		}
	}
	exec(t, server, "ALTER DATABASE "+database+" ALLOW_CONNECTIONS true")
	if _, _, err := settle(t.Context(), store, "a", eventstore.AtRevision(0), newEvents(2)); err != nil {
		t.Fatal(err)
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	sameEvents(t, "the subscription", seen, readAll(t, store))
}

func exec(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// A writer of another node stops in the middle of its transaction, while it holds the lock of the
// head row. Readers see nothing of this transaction and miss no event. Appends wait, and each
// caller gets the true outcome.
func TestPausedWriter(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	store, err := postgres.Open(t.Context(), pool, postgres.Options{Logger: testLogger(t), QueueBytes: 1, QueueWait: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	paused, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := paused.Exec(t.Context(), callAppend, []string{"other"}, []int64{-1}, []int32{1}, []int32{1}, []int32{1},
		[]uuid.UUID{uuid.New()}, []string{"t.v1"}, []string{"{}"}, []*string{nil}); err != nil {
		t.Fatal(err)
	}

	// Each of the two writers sends one batch and waits for the lock of the head row.
	sent := make([][]eventstore.Event, 2)
	for i := range sent {
		sent[i] = newEvents(1)
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := store.Append(ctx, fmt.Sprint("sent-", i), eventstore.NoStream, sent[i])
			left <- err
		}()
		for waiting := 0; waiting <= i; {
			if err := pool.QueryRow(t.Context(), sessionsThatWait).Scan(&waiting); err != nil {
				t.Fatal(err)
			}
		}
		leave()
		if unknown, ok := errors.AsType[*eventstore.OutcomeUnknownError](<-left); !ok || !errors.Is(unknown, context.Canceled) {
			t.Errorf("sent: error %v, want an OutcomeUnknownError of its context", unknown)
		}
	}
	// One append waits in the queue, so its caller can still take it back.
	queued, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = store.Append(queued, "queued", eventstore.NoStream, newEvents(1))
	if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err); unknown || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("queued: error %v, want its deadline", err)
	}
	// The queue has room for one append of the largest size; this one fills it.
	large := newEvents(1)
	large[0].Data = []byte(`{"x":"` + strings.Repeat("x", eventstore.MaxAppendBytes-100) + `"}`)
	var group errgroup.Group
	group.Go(func() error {
		_, _, err := settle(t.Context(), store, "large", eventstore.NoStream, large)
		return err
	})
	for full := false; !full; {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err = store.Append(ctx, "refused", eventstore.NoStream, newEvents(1))
		cancel()
		if _, full = errors.AsType[*eventstore.UnavailableError](err); !full && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v, want an UnavailableError once the queue is full", err)
		}
	}
	if events := readAll(t, store); len(events) != 0 {
		t.Errorf("%d events can be seen before they are committed", len(events))
	}
	if err := paused.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	for i := range sent {
		if _, err := store.Append(t.Context(), fmt.Sprint("sent-", i), eventstore.NoStream, sent[i]); err != nil {
			t.Errorf("repeated: %v", err)
		}
	}
	if events := readAll(t, store); len(events) != 4 {
		t.Errorf("%d events are recorded, want 4", len(events))
	}
	if err := store.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

const sessionsThatWait = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`

const callAppend = `SELECT eventstore.append($1, $2, $3, $4, $5, $6, $7, $8::json[], $9::json[], false)`
