package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"daybook/eventstore"
	"daybook/eventstore/guard"
	"daybook/eventstore/postgres"
	"daybook/eventstore/storetest"
	"daybook/internal/racetest"
)

// The guard before this engine keeps the contract, too, with AppendAll.
func TestStoreBehindTheGuard(t *testing.T) {
	racetest.Skip(t, "it repeats TestStore, and the guard has tests of its own")
	t.Parallel()
	store := open(t, migrated(t))
	storetest.Run(t, func(t *testing.T) eventstore.Store {
		t.Helper()
		guarded := guard.New(store, guard.Options{})
		if err := guarded.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		return guarded
	}, storetest.Contiguous(), storetest.LogWideIDs(), storetest.AppendsAll())
}

// turns is a log whose calls go to two nodes in turn.
type turns struct {
	nodes [2]*postgres.Store
	calls atomic.Int64
}

func (c *turns) next() *postgres.Store { return c.nodes[c.calls.Add(1)%2] }

func (c *turns) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	return c.next().Append(ctx, stream, expected, events)
}

func (c *turns) AppendAll(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
	return c.next().AppendAll(ctx, writes)
}

func (c *turns) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return c.next().ReadStream(ctx, stream, from, limit)
}

func (c *turns) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return c.next().ReadAll(ctx, after, filter, limit)
}

func (c *turns) ReadStreamBackwards(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return c.next().ReadStreamBackwards(ctx, stream, from, limit)
}

func (c *turns) ReadAllBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return c.next().ReadAllBackwards(ctx, before, filter, limit)
}

func (c *turns) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return c.next().Subscribe(ctx, after, filter)
}

func (c *turns) Head(ctx context.Context) (eventstore.Position, error) { return c.next().Head(ctx) }

// Two nodes together keep the contract of one. For example, a node reads what the other one has
// written page by page, and has not caught up before the last page.
func TestTwoNodesAsOneStore(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	both := &turns{nodes: [2]*postgres.Store{open(t, pool), open(t, anotherPool(t, pool))}}
	storetest.Run(t, func(*testing.T) eventstore.Store { return both }, storetest.Contiguous(), storetest.LogWideIDs(), storetest.AppendsAll())
}

// writesTo makes writes with one event for each stream.
func writesTo(expected eventstore.Expected, streams ...string) []eventstore.Write {
	writes := make([]eventstore.Write, len(streams))
	for i, stream := range streams {
		writes[i] = eventstore.Write{Stream: stream, Expected: expected, Events: newEvents(1)}
	}
	return writes
}

// Two nodes write to the same streams, in crossing orders, and a node of an older version, which
// knows only single appends, appends to them. Nobody waits for ever, and all of it is recorded.
func TestNodesWriteToTheSameStreams(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	nodes := []*postgres.Store{open(t, pool), open(t, anotherPool(t, pool))}
	const callers, rounds = 8, 30
	orders := [][]string{{"a", "b", "c"}, {"c", "b", "a"}, {"b", "c", "a"}, {"a", "c", "b"}}
	var mu sync.Mutex
	var acknowledged [][]eventstore.Write
	var group errgroup.Group
	for n, node := range nodes {
		for c := range callers {
			group.Go(func() error {
				for i := range rounds {
					expected := eventstore.Any
					if i%5 == 4 {
						expected = eventstore.AtRevision(int64(i)) // most likely a conflict in one of them
					}
					writes := writesTo(expected, orders[(c+n)%len(orders)]...)
					_, err := node.AppendAll(t.Context(), writes)
					if _, conflict := errors.AsType[*eventstore.ConflictError](err); conflict && expected != eventstore.Any {
						continue
					}
					if err != nil {
						return fmt.Errorf("node %d: %w", n, err)
					}
					mu.Lock()
					acknowledged = append(acknowledged, writes)
					mu.Unlock()
				}
				return nil
			})
		}
	}
	older := 0
	group.Go(func() error {
		for i := range 2 * rounds {
			stream := []string{"a", "b", "c"}[i%3]
			if _, err := pool.Exec(t.Context(), callAppend, []string{stream}, []int64{-2}, []int32{1}, []int32{1}, []int32{1},
				[]uuid.UUID{uuid.New()}, []string{"older.v1"}, []string{"{}"}, []*string{nil}); err != nil {
				return fmt.Errorf("an older node: %w", err)
			}
			older++
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	all := readAll(t, nodes[0])
	if want := 3*len(acknowledged) + older; len(all) != want {
		t.Errorf("%d events are recorded, want %d", len(all), want)
	}
	for _, writes := range acknowledged {
		at := slices.IndexFunc(all, func(e eventstore.Recorded) bool { return e.ID == writes[0].Events[0].ID })
		if at < 0 || at+len(writes) > len(all) {
			t.Fatal("writes that were acknowledged are not recorded")
		}
		for i, w := range writes {
			if e := all[at+i]; e.ID != w.Events[0].ID || e.Stream != w.Stream {
				t.Fatalf("write %d of %d is followed by an event of %s", i, len(writes), e.Stream)
			}
		}
	}
	var deadlocks int
	if err := pool.QueryRow(t.Context(), "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").Scan(&deadlocks); err != nil || deadlocks > 0 {
		t.Errorf("%d deadlocks (error %v), want none", deadlocks, err)
	}
}

// lengths counts the events of streams at one moment.
func lengths(ctx context.Context, store eventstore.Store, streams []string) ([]int, error) {
	counts := make([]int, len(streams))
	for e, err := range store.ReadAll(ctx, eventstore.Start, eventstore.Filter{StreamPrefixes: streams}, 0) {
		if _, away := errors.AsType[*eventstore.UnavailableError](err); away && ctx.Err() == nil {
			return lengths(ctx, store, streams)
		}
		if err != nil {
			return nil, err
		}
		counts[slices.Index(streams, e.Stream)]++
	}
	return counts, nil
}

// Connections are killed at any moment while callers write to several streams, each caller to its
// own. After an unknown outcome all writes are recorded or none, and a repetition finds out.
func TestKilledConnectionsLeaveAllWritesOrNone(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	store := open(t, pool)
	killer := admin(t, pool)
	database := pool.Config().ConnConfig.Database
	const callers, rounds = 16, 30
	acknowledged := make(chan struct{}, callers*rounds)
	var mu sync.Mutex
	unknowns, recorded := 0, 0
	group, ctx := errgroup.WithContext(t.Context())
	for c := range callers {
		group.Go(func() error {
			streams := []string{fmt.Sprint("z-", c, "-"), fmt.Sprint("a-", c, "-"), fmt.Sprint("m-", c, "-")}
			for n := range rounds {
				writes := writesTo(eventstore.AtRevision(int64(n)-1), streams...)
				for done := false; !done; {
					results, err := store.AppendAll(ctx, writes)
					_, unavailable := errors.AsType[*eventstore.UnavailableError](err)
					_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
					if err != nil && !unavailable && !unknown {
						return fmt.Errorf("round %d of caller %d: %w", n, c, err)
					}
					held, readErr := lengths(ctx, store, streams)
					if readErr != nil {
						return fmt.Errorf("read: %w", readErr)
					}
					whole := held[0] == n+1
					even := held[0] == held[1] && held[1] == held[2] && (whole || held[0] == n)
					if !even || unavailable && whole || err == nil && !whole {
						return fmt.Errorf("after round %d (error %w) the streams hold %v events", n, err, held)
					}
					if done = err == nil; done {
						for i, result := range results {
							if result.Revision != int64(n) || result.Replayed != results[0].Replayed || i > 0 && result.Position.Whole() != results[i-1].Position.Whole()+1 {
								return fmt.Errorf("round %d has the results %+v", n, results)
							}
						}
					}
					if unknown {
						mu.Lock()
						unknowns++
						if whole {
							recorded++
						}
						mu.Unlock()
					}
				}
				acknowledged <- struct{}{}
			}
			return nil
		})
	}
	for n := range callers * rounds {
		select {
		case <-acknowledged:
		case <-ctx.Done():
		}
		if ctx.Err() == nil && n%25 == 24 {
			if _, err := killer.Exec(t.Context(), terminate, database); err != nil {
				t.Error(err)
			}
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	pool.Reset()
	if events := readAll(t, store); len(events) != 3*callers*rounds {
		t.Errorf("%d events are recorded, want %d", len(events), 3*callers*rounds)
	}
	t.Logf("%d outcomes were unknown; %d of them had been recorded", unknowns, recorded)
}

// A server may refuse one of several writes that the contract allows. None of them is recorded, and
// the others of the batch are.
func TestWritesTheServerRefuses(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	exec(t, admin(t, pool), "ALTER DATABASE "+pool.Config().ConnConfig.Database+" SET max_stack_depth = '100kB'")
	store := open(t, pool)
	var group errgroup.Group
	for i := range 64 {
		group.Go(func() error {
			writes := writesTo(eventstore.NoStream, fmt.Sprint("z-", i), fmt.Sprint("a-", i), fmt.Sprint("m-", i))
			if i%16 != 5 {
				_, err := store.AppendAll(t.Context(), writes)
				return err
			}
			writes[i/16%3].Events[0].Data = nested(9000)
			_, err := store.AppendAll(t.Context(), writes)
			if _, invalid := errors.AsType[*eventstore.InvalidError](err); !invalid {
				return fmt.Errorf("error %w, want an InvalidError", err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if events := readAll(t, store); len(events) != 60*3 {
		t.Errorf("%d events are recorded, want %d", len(events), 60*3)
	}
}

// The line to the database falls silent while writes are under way, so that nobody knows whether
// they were recorded. If the server had them, a repetition is a replay of all; if the server had
// ended the session, it records all.
func TestWritesWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	for name, ended := range map[string]bool{"recorded": false, "not recorded": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct := migrated(t)
			node := openDeafNode(t, direct)
			if _, err := node.Append(t.Context(), "b", eventstore.NoStream, newEvents(1)); err != nil {
				t.Fatal(err)
			}
			paused, err := direct.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := paused.Exec(t.Context(), "SELECT FROM eventstore.head FOR UPDATE"); err != nil {
				t.Fatal(err)
			}
			writes := writesTo(eventstore.NoStream, "z", "b", "a")
			writes[1].Expected = eventstore.AtRevision(0)
			lost := make(chan error, 1)
			go func() {
				_, err := node.AppendAll(t.Context(), writes)
				lost <- err
			}()
			waitFor(t, "the writes to wait for the head", func() bool {
				var sessions int
				return direct.QueryRow(t.Context(), sessionsThatWait).Scan(&sessions) == nil && sessions > 0
			})
			node.proxy.Silence()
			if ended {
				mustExec(t, direct, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
				waitFor(t, "the session to end", func() bool {
					var sessions int
					return direct.QueryRow(t.Context(), sessionsThatWait).Scan(&sessions) == nil && sessions == 0
				})
			}
			if err := paused.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](<-lost); !unknown {
				t.Error("the outcome is known, though the line was silent")
			}
			results, err := node.AppendAll(t.Context(), writes)
			if err != nil {
				t.Fatalf("repeated: %v", err)
			}
			for i, want := range []eventstore.Result{
				{Revision: 0, Position: eventstore.At(2), Replayed: !ended},
				{Revision: 1, Position: eventstore.At(3), Replayed: !ended},
				{Revision: 0, Position: eventstore.At(4), Replayed: !ended},
			} {
				if results[i] != want {
					t.Errorf("repeated, write %d: %+v, want %+v", i, results[i], want)
				}
			}
			if events := readAll(t, node); len(events) != 4 {
				t.Errorf("%d events are recorded, want 4", len(events))
			}
		})
	}
}
