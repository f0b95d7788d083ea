package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"daybook/eventstore"
	"daybook/internal/pgtest"
)

// Name a server with durable commits in DAYBOOK_TEST_DATABASE_URL, because the server that the
// tests start does not flush to disk:
//
//	go test -run '^$' -bench . ./eventstore/postgres
// Compare the figures with the baseline of the same run, because absolute figures depend on the
// machine.

// benchData is an event of about 170 bytes.
const benchData = `{"reservation_id":"5f0c2a52-7a3e-5c0e-9a44-0a1d5b1f8a10","owner":"order-0190","quantity":12,"deadline":"2026-03-01T12:00:00Z","note":"white hanging heart t-light holder"}`

func benchEvents(n int) []eventstore.Event {
	events := make([]eventstore.Event, n)
	for i := range events {
		events[i] = eventstore.Event{ID: uuid.New(), Type: "stock.reserved.v1", Data: []byte(benchData)}
	}
	return events
}

// concurrently runs b.N operations by a number of callers and reports their
// rate in events and the latency of one operation.
func concurrently(b *testing.B, callers, events int, operation func(caller int) error) {
	b.Helper()
	latencies := make([][]time.Duration, callers)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var group errgroup.Group
	for c := range callers {
		group.Go(func() error {
			for left.Add(-1) >= 0 {
				start := time.Now()
				if err := operation(c); err != nil {
					return err
				}
				latencies[c] = append(latencies[c], time.Since(start))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	all := slices.Concat(latencies...)
	slices.Sort(all)
	b.ReportMetric(float64(b.N*events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkBaseline inserts rows into a table with the log's columns and indexes, and checks
// nothing. No log on this server can be faster.
func BenchmarkBaseline(b *testing.B) {
	for _, rows := range []int{1, 128, 500} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			connections := 2
			if rows == 1 {
				connections = 16
			}
			pool := pgtest.New(b)
			mustExec(b, pool, `CREATE TABLE baseline (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stream_id bigint NOT NULL, revision bigint NOT NULL,
				recorded_at timestamptz NOT NULL, event_id uuid NOT NULL UNIQUE, stream text COLLATE "C" NOT NULL, type text COLLATE "C" NOT NULL,
				data json NOT NULL, meta json, UNIQUE (stream_id, revision))`)
			var stream atomic.Int64
			concurrently(b, connections, rows, func(int) error {
				ids, streams, names, types, data := make([]uuid.UUID, rows), make([]int64, rows), make([]string, rows), make([]string, rows), make([]string, rows)
				for i := range rows {
					streams[i] = stream.Add(1)
					ids[i], types[i], data[i], names[i] = uuid.New(), "stock.reserved.v1", benchData, fmt.Sprint("bench-", streams[i])
				}
				_, err := pool.Exec(b.Context(), `INSERT INTO baseline (stream_id, revision, recorded_at, event_id, stream, type, data)
					SELECT s, 0, now(), i, n, t, d FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::json[]) AS x(s, i, n, t, d)`, streams, ids, names, types, data)
				return err
			})
		})
	}
}

func mustExec(tb testing.TB, pool *pgxpool.Pool, sql string, args ...any) {
	tb.Helper()
	if _, err := pool.Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatal(err)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		callers, events int
		known           bool // append to streams that exist, at their revision
	}{
		{1, 1, true}, {16, 1, true}, {64, 1, true}, {256, 1, true}, {256, 1, false}, {1024, 1, true}, {32, 30, true}, {32, 30, false}, {64, 1000, false},
	} {
		b.Run(fmt.Sprintf("callers=%d/events=%d/known=%t", c.callers, c.events, c.known), func(b *testing.B) {
			pool := migrated(b)
			store := open(b, pool)
			const streams = 32 // per caller
			revisions := make([][streams]int64, c.callers)
			turns := make([]int, c.callers)
			for i := range revisions {
				for j := range revisions[i] {
					revisions[i][j] = -1
				}
			}
			run := uuid.NewString()[:8]
			concurrently(b, c.callers, c.events, func(caller int) error {
				turn := turns[caller]
				turns[caller]++
				if !c.known {
					_, err := store.Append(b.Context(), fmt.Sprintf("bench-%s-%d-%d", run, caller, turn), eventstore.NoStream, benchEvents(c.events))
					return err
				}
				revision := &revisions[caller][turn%streams]
				result, err := store.Append(b.Context(), fmt.Sprintf("bench-%s-%d-%d", run, caller, turn%streams), eventstore.AtRevision(*revision), benchEvents(c.events))
				*revision = result.Revision
				return err
			})
			var perCommit float64
			if err := pool.QueryRow(b.Context(), "SELECT count(*)::float / count(DISTINCT recorded_at) FROM eventstore.events").Scan(&perCommit); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(perCommit, "events/commit")
		})
	}
}

// filledLog makes a log of n events.
func filledLog(b *testing.B, n int) (*pgxpool.Pool, eventstore.Store) {
	b.Helper()
	pool := migrated(b)
	store := open(b, pool)
	var group errgroup.Group
	for w := range 4 {
		group.Go(func() error {
			for i := range n / 4 / 500 {
				if _, err := store.Append(b.Context(), fmt.Sprintf("bench-%d-%d", w, i), eventstore.NoStream, benchEvents(500)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	mustExec(b, pool, "VACUUM ANALYZE eventstore.events")
	return pool, store
}

func BenchmarkReadAll(b *testing.B) {
	_, store := filledLog(b, 100_000)
	for name, filter := range map[string]eventstore.Filter{
		"all":      {},
		"selected": {TypePrefixes: []string{"stock."}},
		"nothing":  {TypePrefixes: []string{"order."}},
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				for _, err := range store.ReadAll(b.Context(), eventstore.Start, filter, 0) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkReadStream(b *testing.B) {
	store := open(b, migrated(b))
	if _, err := store.Append(b.Context(), "bench", eventstore.NoStream, benchEvents(20)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, err := range store.ReadStream(b.Context(), "bench", 0, 0) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkAppendWithSubscribers is BenchmarkAppend with four subscriptions that receive every
// event. It ends when the slowest subscription has received all.
func BenchmarkAppendWithSubscribers(b *testing.B) {
	store := open(b, migrated(b))
	var subscribers errgroup.Group
	want := b.N
	for range 4 {
		subscribers.Go(func() error {
			seen := 0
			for item, err := range store.Subscribe(context.WithoutCancel(b.Context()), eventstore.Start, eventstore.Filter{}) {
				if err != nil {
					return err
				}
				if item.Event != nil {
					if seen++; seen == want {
						return nil
					}
				}
			}
			return nil
		})
	}
	var stream atomic.Int64
	concurrently(b, 256, 1, func(int) error {
		_, err := store.Append(b.Context(), fmt.Sprint("bench-", stream.Add(1)), eventstore.NoStream, benchEvents(1))
		return err
	})
	if err := subscribers.Wait(); err != nil {
		b.Fatal(err)
	}
}
