package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"daybook/eventstore"
	"daybook/eventstore/postgres"
)

// A log that is followed is replaced by a longer log while no call is made. A subscription must not
// go on with the events of the new log that come after the old log's end.
func TestASubscriptionEndsWhenALongerLogReplacesTheLog(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	store := open(t, pool)
	for range 3 {
		events := []eventstore.Event{{ID: uuid.New(), Type: "t.v1", Data: []byte(`{}`)}}
		if _, err := store.Append(t.Context(), "a", eventstore.Any, events); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for item, err := range store.Subscribe(ctx, eventstore.Start, eventstore.Filter{}) {
		if _, another := errors.AsType[*eventstore.DivergedError](err); another {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if item.Event != nil && item.Event.Stream != "a" {
			t.Fatalf("event %d of %s was taken for the next one", item.Event.Revision, item.Event.Stream)
		}
		if item.CaughtUp {
			err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, `
					UPDATE eventstore.events SET event_id = gen_random_uuid();
					INSERT INTO eventstore.streams (stream, revision) VALUES ('other', 9);
					INSERT INTO eventstore.events (position, stream_id, revision, recorded_at, event_id, stream, type, data)
						SELECT 3 + n, s.stream_id, n - 1, clock_timestamp(), gen_random_uuid(), s.stream, 't.v1', '{}'
						FROM eventstore.streams s, generate_series(1, 10) n WHERE s.stream = 'other';
					UPDATE eventstore.head SET position = 13`, pgx.QueryExecModeSimpleProtocol)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// script has all statements of Migrate, to make a new log.
func script(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(names) == 0 {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range names { // sorted
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

const (
	keepEarlier = `
		CREATE SCHEMA earlier;
		CREATE TABLE earlier.streams AS TABLE eventstore.streams;
		CREATE TABLE earlier.events AS TABLE eventstore.events;
		CREATE TABLE earlier.head AS TABLE eventstore.head;
		CREATE TABLE earlier.sequence AS SELECT last_value FROM eventstore.streams_stream_id_seq`
	fillEarlier = `
		INSERT INTO eventstore.streams OVERRIDING SYSTEM VALUE SELECT * FROM earlier.streams;
		INSERT INTO eventstore.events SELECT * FROM earlier.events;
		INSERT INTO eventstore.head SELECT * FROM earlier.head;
		SELECT setval('eventstore.streams_stream_id_seq', (SELECT last_value FROM earlier.sequence))`
	emptied = `TRUNCATE eventstore.streams, eventstore.events, eventstore.head;`
	grown   = `;
		INSERT INTO eventstore.streams (stream, revision) VALUES ('grown', 9999);
		INSERT INTO eventstore.events (position, stream_id, revision, recorded_at, event_id, stream, type, data)
			SELECT h.position + n, s.stream_id, n - 1, clock_timestamp(), gen_random_uuid(), s.stream, 't.v1', '{}'
			FROM eventstore.head h, eventstore.streams s, generate_series(1, 10000) n WHERE s.stream = 'grown';
		UPDATE eventstore.head SET position = position + 10000, recorded_at = clock_timestamp()`
)

// replacements are the ways in which a log is replaced, each in one transaction.
func replacements(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"dropped and restored":          emptiedBy(script(t)),
		"dropped, restored and grown":   emptiedBy(script(t)) + grown,
		"truncated and restored":        emptied + fillEarlier,
		"truncated, restored and grown": emptied + fillEarlier + grown,
		"truncated":                     emptied + `INSERT INTO eventstore.head (position, recorded_at) VALUES (0, '-infinity')`,
		"cut off row by row": `UPDATE eventstore.head SET position = (SELECT position FROM earlier.head);
			DELETE FROM eventstore.events WHERE position > (SELECT position FROM earlier.head);
			DELETE FROM eventstore.streams WHERE stream NOT IN (SELECT stream FROM earlier.streams);
			UPDATE eventstore.streams SET revision = e.revision FROM earlier.streams e WHERE e.stream = streams.stream`,
		"the same ids, recorded another time": `LOCK TABLE eventstore.head IN EXCLUSIVE MODE; UPDATE eventstore.events SET recorded_at = recorded_at - interval '1 hour'`,
	}
}

// emptiedBy drops the schema and runs a script in its place.
func emptiedBy(script string) string {
	return `DROP SCHEMA eventstore CASCADE;` + script + `DELETE FROM eventstore.head;` + fillEarlier
}

// replace replaces the log, and returns what the new one holds. The transaction can be in a
// deadlock with appends, and PostgreSQL may then end the transaction. replace then tries again, as
// an operator would.
func replace(t *testing.T, pool *pgxpool.Pool, sql string) (holds string) {
	t.Helper()
	for range 100 {
		err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
			return tx.QueryRow(t.Context(), sumSQL).Scan(&holds)
		})
		if reply, is := errors.AsType[*pgconn.PgError](err); is && reply.Code == "40P01" {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return holds
	}
	t.Fatal("always a deadlock")
	return ""
}

const sumSQL = `SELECT concat((SELECT md5(string_agg(position || stream || revision || event_id || recorded_at, ',' ORDER BY position)) FROM eventstore.events), ' head ',
	(SELECT position FROM eventstore.head), ' revisions ', (SELECT sum(revision) FROM eventstore.streams))`

// A log is replaced under a node that appends and reads all the time. Every call after that is
// refused, and nothing of it is written.
func TestALogThatReplacesAnotherTakesNothing(t *testing.T) {
	t.Parallel()
	for name, sql := range replacements(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := migrated(t)
			store := open(t, pool)
			for i := range 20 {
				if _, err := store.Append(t.Context(), fmt.Sprint("early-", i), eventstore.NoStream, newEvents(2)); err != nil {
					t.Fatal(err)
				}
			}
			mustExec(t, pool, keepEarlier, pgx.QueryExecModeSimpleProtocol)
			// The node must know an event that the other log does not have. Otherwise the other log
			// would be a continuation of this one.
			if _, err := store.Append(t.Context(), "later", eventstore.NoStream, newEvents(1)); err != nil {
				t.Fatal(err)
			}

			var replaced atomic.Bool
			var taken atomic.Int64
			begun := make(chan struct{})
			var once sync.Once
			load, ctx := errgroup.WithContext(t.Context())
			for w, ask := range askers {
				for n := range 4 {
					load.Go(func() error {
						for turn, refused := 0, 0; refused < 3; turn++ {
							after := replaced.Load()
							err := ask(ctx, store, n, turn)
							_, another := errors.AsType[*eventstore.DivergedError](err)
							switch {
							case another && !after && !replaced.Load():
								// The transaction is committed, but
								// its caller has not been told yet.
							case another:
								refused++
							case after:
								return fmt.Errorf("%s: answered by the other log: %w", w, err)
							case err == nil:
								if taken.Add(1) > 200 {
									once.Do(func() { close(begun) })
								}
							}
							if ctx.Err() != nil {
								return nil
							}
						}
						return nil
					})
				}
			}
			var holds string
			load.Go(func() error {
				select {
				case <-begun:
				case <-ctx.Done():
					return ctx.Err()
				}
				holds = replace(t, pool, sql)
				replaced.Store(true)
				return nil
			})
			if err := load.Wait(); err != nil {
				t.Error(err)
			}
			var now string
			if err := pool.QueryRow(t.Context(), sumSQL).Scan(&now); err != nil || now != holds {
				t.Errorf("the log that replaced the other holds %s, and held %s (error %v)", now, holds, err)
			}
		})
	}
}

// askers has a function for each method of a log. The test calls them again and again; a function
// returns nil if the log answered.
var askers = map[string]func(ctx context.Context, log *postgres.Store, n, turn int) error{
	"append to a new stream": func(ctx context.Context, log *postgres.Store, n, turn int) error {
		_, err := log.Append(ctx, fmt.Sprint("new-", n, "-", turn), eventstore.NoStream, newEvents(1))
		return err
	},
	"append to an older stream": func(ctx context.Context, log *postgres.Store, n, _ int) error {
		_, err := log.Append(ctx, fmt.Sprint("early-", n), eventstore.Any, newEvents(1))
		return err
	},
	"append that conflicts": func(ctx context.Context, log *postgres.Store, n, _ int) error {
		_, err := log.Append(ctx, fmt.Sprint("early-", 10+n), eventstore.AtRevision(7), newEvents(1))
		if _, conflict := errors.AsType[*eventstore.ConflictError](err); conflict {
			return nil
		}
		return err
	},
	"append that is repeated": func(ctx context.Context, log *postgres.Store, n, _ int) error {
		event := eventstore.Event{ID: uuid.NewSHA1(uuid.Nil, []byte{byte(n)}), Type: "t.v1", Data: []byte(`{}`)}
		_, err := log.Append(ctx, fmt.Sprint("repeated-", n), eventstore.NoStream, []eventstore.Event{event})
		return err
	},
	"append to several streams": func(ctx context.Context, log *postgres.Store, n, turn int) error {
		_, err := log.AppendAll(ctx, writesTo(eventstore.Any, fmt.Sprint("several-", n, "-", turn), fmt.Sprint("early-", n)))
		return err
	},
	"append to several streams that conflicts": func(ctx context.Context, log *postgres.Store, n, turn int) error {
		writes := writesTo(eventstore.NoStream, fmt.Sprint("never-", n, "-", turn), fmt.Sprint("early-", 10+n))
		_, err := log.AppendAll(ctx, writes)
		if _, conflict := errors.AsType[*eventstore.ConflictError](err); conflict {
			return nil
		}
		return err
	},
	"read a stream": func(ctx context.Context, log *postgres.Store, n, _ int) error {
		return last(log.ReadStream(ctx, fmt.Sprint("early-", n), 0, 0))
	},
	"read past the end": func(ctx context.Context, log *postgres.Store, n, _ int) error {
		return last(log.ReadStream(ctx, fmt.Sprint("early-", 15+n), 1000, 0))
	},
	"read no stream": func(ctx context.Context, log *postgres.Store, _, _ int) error {
		err := last(log.ReadStream(ctx, "none", 0, 0))
		if _, none := errors.AsType[*eventstore.NotFoundError](err); none {
			return nil
		}
		return err
	},
	"read a stream backwards": func(ctx context.Context, log *postgres.Store, n, _ int) error {
		return last(log.ReadStreamBackwards(ctx, fmt.Sprint("early-", n), eventstore.LastRevision, 1))
	},
	"read the log": func(ctx context.Context, log *postgres.Store, _, _ int) error {
		return last(log.ReadAll(ctx, eventstore.Start, eventstore.Filter{}, 30))
	},
	"read some types": func(ctx context.Context, log *postgres.Store, _, _ int) error {
		return last(log.ReadAll(ctx, eventstore.Start, eventstore.Filter{TypePrefixes: []string{"test."}}, 30))
	},
	"read the log backwards": func(ctx context.Context, log *postgres.Store, _, _ int) error {
		return last(log.ReadAllBackwards(ctx, eventstore.End, eventstore.Filter{}, 30))
	},
	"read some streams backwards": func(ctx context.Context, log *postgres.Store, _, _ int) error {
		return last(log.ReadAllBackwards(ctx, eventstore.End, eventstore.Filter{StreamPrefixes: []string{"early-"}}, 30))
	},
	"the head": func(ctx context.Context, log *postgres.Store, _, _ int) error {
		_, err := log.Head(ctx)
		return err
	},
}

// last is the error with which a read ends.
func last(events iter.Seq2[eventstore.Recorded, error]) error {
	for _, err := range events {
		if err != nil {
			return err
		}
	}
	return nil
}

// A log is restored piece by piece, as psql does without a transaction. While tables are missing or
// still empty, every call is refused and the error says why. Whether the node can go on afterwards
// is the guard's decision and not tested here.
func TestALogWhoseTablesAreMissingTakesNothing(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	store := open(t, pool)
	if _, err := store.Append(t.Context(), "early-0", eventstore.NoStream, newEvents(2)); err != nil {
		t.Fatal(err)
	}
	mustExec(t, pool, keepEarlier, pgx.QueryExecModeSimpleProtocol)
	refuses := func(when, words string) {
		t.Helper()
		for name, ask := range askers {
			err := ask(t.Context(), store, 0, 0)
			if another, is := errors.AsType[*eventstore.DivergedError](err); !is || !strings.Contains(another.Error(), words) {
				t.Errorf("%s, %s: error %v, want %q", when, name, err, words)
			}
		}
	}
	mustExec(t, pool, `DROP SCHEMA eventstore CASCADE`)
	refuses("without the schema", "not all tables of the log, because it is being restored")
	if _, err := postgres.Open(t.Context(), pool, postgres.Options{}); err == nil || !strings.Contains(err.Error(), "it is being restored") {
		t.Errorf("a start without the schema: %v", err)
	}
	mustExec(t, pool, `CREATE SCHEMA eventstore`)
	refuses("without tables", "not all tables of the log, because it is being restored")
	mustExec(t, pool, `DROP SCHEMA eventstore`)
	mustExec(t, pool, script(t), pgx.QueryExecModeSimpleProtocol)
	refuses("with empty tables", "the end of the log at position 0")
	mustExec(t, pool, `DELETE FROM eventstore.head; INSERT INTO eventstore.events SELECT * FROM earlier.events; ALTER TABLE eventstore.events DROP CONSTRAINT events_id_key`, pgx.QueryExecModeSimpleProtocol)
	if _, err := store.Append(t.Context(), "early-0", eventstore.Any, newEvents(1)); err == nil {
		t.Error("an append was taken without a head")
	}
	if _, err := store.Head(t.Context()); err == nil {
		t.Error("a log without a head has one")
	}
	mustExec(t, pool, `INSERT INTO eventstore.head SELECT * FROM earlier.head`)
	if _, err := postgres.Open(t.Context(), pool, postgres.Options{}); err == nil || !strings.Contains(err.Error(), "it is being restored: events_id_key") {
		t.Errorf("a start without all keys: %v", err)
	}
}
