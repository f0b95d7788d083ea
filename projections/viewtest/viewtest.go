// Package viewtest runs views in tests. A test appends events to a log, usually one in memory,
// and reads rows from a real PostgreSQL.
package viewtest

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/pgtest"
	"daybook/projections"
)

// Bench is a log, a database, and a node that runs the views.
type Bench struct {
	testing.TB
	Pool   *pgxpool.Pool
	Log    eventstore.Store
	Runner *projections.Runner

	head eventstore.Position
}

// New starts a node with the views over a log in memory; it stops when the test ends.
func New(tb testing.TB, views ...projections.View) *Bench {
	tb.Helper()
	return Over(tb, memory.New(), views...)
}

// Over starts a node with the views over a log; it stops when the test ends.
func Over(tb testing.TB, log eventstore.Store, views ...projections.View) *Bench {
	tb.Helper()
	b := &Bench{TB: tb, Pool: pgtest.New(tb), Log: log}
	if err := projections.Migrate(tb.Context(), b.Pool); err != nil {
		tb.Fatal(err)
	}
	var err error
	b.Runner, err = projections.New(projections.Config{Store: b.Log, Pool: b.Pool, Views: views})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- b.Runner.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("runner: %v", err)
		}
	})
	return b
}

// Fact appends events to a stream in one append.
func Fact[E any](b *Bench, stream string, meta eventstore.Metadata, encode func(E) (string, []byte, error), events ...E) {
	b.Helper()
	encoded, err := meta.Encode()
	if err != nil {
		b.Fatal(err)
	}
	batch := make([]eventstore.Event, len(events))
	for i, e := range events {
		typ, data, err := encode(e)
		if err != nil {
			b.Fatal(err)
		}
		batch[i] = eventstore.Event{ID: eventstore.EventID(uuid.New(), 0), Type: typ, Data: data, Meta: encoded}
	}
	if err := b.Append(stream, batch...); err != nil {
		b.Fatal(err)
	}
}

// Append appends events as they are, without a command.
func (b *Bench) Append(stream string, events ...eventstore.Event) error {
	b.Helper()
	result, err := b.Log.Append(b.Context(), stream, eventstore.Any, events)
	if err == nil {
		b.head = result.Position
	}
	return err
}

// CaughtUp waits until all views have posted everything.
func (b *Bench) CaughtUp() {
	b.Helper()
	// This time passes only if nothing moves any more.
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	if err := b.Runner.WaitFor(ctx, b.head); err != nil {
		status, _ := b.Runner.Status(b.Context())
		b.Fatalf("%v; status %+v", err, status)
	}
}

// SameWhenRebuilt rebuilds a view, with the events in other batches than before, and compares
// all rows of both builds.
func (b *Bench) SameWhenRebuilt(view string) {
	b.Helper()
	b.CaughtUp()
	before := b.fingerprint(view)
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	if err := b.Runner.Rebuild(ctx, view); err != nil {
		b.Fatal(err)
	}
	if after := b.fingerprint(view); after != before {
		b.Errorf("view %s: rebuilt %s, live %s", view, after, before)
		b.differences(view)
	}
}

// differences shows, for each table, some rows that differ between a view's last two builds.
func (b *Bench) differences(view string) {
	b.Helper()
	rows, err := b.Pool.Query(b.Context(), `SELECT schema_name FROM projections.builds WHERE view = $1 ORDER BY build DESC LIMIT 2`, view)
	if err != nil {
		b.Fatal(err)
	}
	schemas, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(schemas) < 2 {
		b.Fatal(schemas, err)
	}
	rows, err = b.Pool.Query(b.Context(), `SELECT tablename::text FROM pg_catalog.pg_tables WHERE schemaname = $1`, schemas[0])
	if err != nil {
		b.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		b.Fatal(err)
	}
	for _, table := range tables {
		for i, whose := range []string{"rebuilt", "live"} {
			these, others := pgx.Identifier{schemas[i], table}.Sanitize(), pgx.Identifier{schemas[1-i], table}.Sanitize()
			rows, err := b.Pool.Query(b.Context(), `SELECT t::text FROM `+these+` t EXCEPT SELECT t::text FROM `+others+` t ORDER BY 1 LIMIT 3`)
			if err != nil {
				b.Fatal(err)
			}
			texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				b.Fatal(err)
			}
			for _, text := range texts {
				b.Logf("%s only %s: %.1500s", table, whose, text)
			}
		}
	}
}

func (b *Bench) fingerprint(view string) string {
	b.Helper()
	content, _, err := b.Runner.Fingerprint(b.Context(), view, 0)
	if err != nil {
		b.Fatal(err)
	}
	return content
}
