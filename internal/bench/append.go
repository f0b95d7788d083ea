package bench

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/eventstore"
)

const (
	appendCallers = 256
	insertCallers = 2 // the database has two cores, so more callers insert no faster
	insertRows    = 1000
)

// eventBody has about the size of a stock event.
var eventBody = []byte(`{"sku":"85123A","location":"main","reservation_id":"8a5c3c1e-0b77-5d0e-9f0a-6f1f0f1f2a3b","order_id":"536365","quantity":6,"expires_at":"2026-01-01T00:00:00Z"}`)

// appends measures appends of one event, each to its caller's stream at an exact revision. The
// baseline is the most that the database can do: statements that insert many rows into a table with
// the same indexes, without any check.
func appends(ctx context.Context, env Env) (ours, baselines []Row, err error) {
	start, err := env.Store.Head(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("head: %w", err)
	}
	prefix := "bench-" + uuid.NewString() + "-"
	row, err := daybook(ctx, env, "append", appendLoad(env, prefix, appendCallers))
	if err != nil {
		return nil, nil, err
	}
	if row.calls > 0 {
		row.Note = fmt.Sprintf("%.2f calls to the log's server for each append", float64(row.calls)/float64(max(row.done, 1)))
	}
	found, err := countEvents(ctx, env, start, eventstore.Filter{StreamPrefixes: []string{prefix}})
	if err != nil {
		return nil, nil, err
	}
	if found != row.done {
		return nil, nil, fmt.Errorf("%d appends were acknowledged, %d events are recorded", row.done, found)
	}
	raw, err := rawInserts(ctx, env)
	return []Row{row}, []Row{raw}, err
}

// callsSoFar is how many calls an engine with a server has made to it; 0 for others.
func callsSoFar(env Env) uint64 {
	if engine, counts := env.Store.(interface{ Calls() uint64 }); counts {
		return engine.Calls()
	}
	return 0
}

// appendLoad is callers that append one event each time.
func appendLoad(env Env, prefix string, callers int) load {
	revisions := make([]int64, callers)
	for i := range revisions {
		revisions[i] = -1
	}
	return load{callers: callers, seconds: env.Seconds, operate: func(ctx context.Context, caller int, _ int64) error {
		result, err := env.Store.Append(ctx, fmt.Sprint(prefix, caller), eventstore.AtRevision(revisions[caller]),
			[]eventstore.Event{{ID: uuid.New(), Type: "bench.appended.v1", Data: eventBody, Meta: []byte(`{}`)}})
		revisions[caller] = result.Revision
		return err
	}}
}

func rawInserts(ctx context.Context, env Env) (Row, error) {
	err := makeTables(ctx, env, `
		CREATE TABLE baseline.events (
			pos bigint NOT NULL UNIQUE, stream text COLLATE "C" NOT NULL, rev bigint NOT NULL, event_id uuid NOT NULL UNIQUE,
			type text NOT NULL, data json NOT NULL, meta json, recorded_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (stream, rev))`)
	if err != nil {
		return Row{}, err
	}
	var position atomic.Int64
	row, err := load{callers: insertCallers, seconds: env.Seconds, operate: func(ctx context.Context, caller int, n int64) error {
		return insertMany(ctx, env.Pool, caller, n, position.Add(insertRows)-insertRows)
	}}.measure(ctx, env)
	row.Variant, row.Note = "raw inserts of 1,000 rows", "rows a second; latency is a statement's"
	row.Operations *= insertRows
	row.PerSecond *= insertRows
	row.CPUMicros /= insertRows
	return row, err
}

func insertMany(ctx context.Context, pool *pgxpool.Pool, caller int, n, position int64) error {
	positions, revisions := make([]int64, insertRows), make([]int64, insertRows)
	streams, types := make([]string, insertRows), make([]string, insertRows)
	ids, data := make([]uuid.UUID, insertRows), make([]string, insertRows)
	for i := range insertRows {
		positions[i], revisions[i] = position+int64(i), n
		streams[i] = fmt.Sprintf("bench-%d-%d", caller, i)
		types[i], ids[i], data[i] = "bench.appended.v1", uuid.New(), string(eventBody)
	}
	_, err := pool.Exec(ctx, `
		INSERT INTO baseline.events (pos, stream, rev, event_id, type, data, meta)
		SELECT p, s, r, i, t, d::json, '{}' FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::uuid[], $5::text[], $6::text[]) AS x(p, s, r, i, t, d)`,
		positions, streams, revisions, ids, types, data)
	return err
}
