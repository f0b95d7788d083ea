package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/commands/reactor"
	"daybook/commands/streams"
	"daybook/eventstore"
)

// ErrReacting means that a running node leads the reactor of this database.
var ErrReacting = errors.New("a node is running on this database: it leads the reactor")

// StartOver deletes what the command side has stored in addition to the log: snapshots, timers,
// checkpoints, answers, parked work. All of this comes from a log that is no longer used. Even the
// answers are deleted, because each has a state, a revision and a position of that log. If their
// requests are repeated, they get new answers from the present log. Sessions of people are deleted,
// because the present log may give other people the same generation; their addresses and passwords
// stay, because the present log says which of them count. The secrets of guests and of links for
// passwords are deleted, because a token names a cart or a person by its id, and the present log
// may have another one of that id. The secret of pseudonyms is deleted with them, so each customer
// has another pseudonym than before. The last uses of API keys are deleted, because the present log
// may not have these keys. Subjects that were erased stay erased, because nobody may get back what
// a person has asked to erase. What the law wants of their invoices stays, too.
//
// imports is the new record of an import, as importer.Restarted makes it; nil removes the record.
// first is the present log's first event of the shop, and the database is tied to the log by it;
// nil means that the log has none yet.
//
// It fails with ErrReacting or ErrImportRunning if another program is running. Until the
// transaction ends, such a program cannot start.
func StartOver(ctx context.Context, tx pgx.Tx, first *eventstore.Recorded, imports *ImportRecord) error {
	for _, lock := range []struct {
		name string
		busy error
	}{{"daybook reader " + ReactorReader, ErrReacting}, {"daybook import", ErrImportRunning}} {
		var free bool
		if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))`, lock.name).Scan(&free); err != nil {
			return fmt.Errorf("start the command side over: %w", err)
		}
		if !free {
			return lock.busy
		}
	}
	_, err := tx.Exec(ctx, `TRUNCATE commands.snapshots, commands.timers, commands.checkpoints, commands.answers, commands.parked,
		commands.cart_expiry, commands.imports, commands.origin, commands.people_sessions,
		commands.key_uses`)
	if err == nil {
		_, err = tx.Exec(ctx, `DELETE FROM commands.secrets WHERE name <> ALL($1)`, []string{SecretOfLogins, SecretOfCodes})
	}
	if err != nil {
		return fmt.Errorf("start the command side over: %w", err)
	}
	if imports != nil {
		_, err := tx.Exec(ctx, `INSERT INTO commands.imports (import, done_invoices, counts) VALUES ($1, $2, $3)`, imports.Name, imports.Done, imports.Counts)
		if err != nil {
			return fmt.Errorf("start the import over: %w", err)
		}
	}
	if first != nil {
		if _, err := tx.Exec(ctx, tieSQL, first.Stream, first.Revision, first.ID, first.RecordedAt); err != nil {
			return fmt.Errorf("origin of the database: %w", err)
		}
	}
	return nil
}

// Compare returns the same error as Check, but never ties the database to a log.
func (o Origin) Compare(ctx context.Context, log eventstore.Store) error {
	expected, tied, err := o.expected(ctx)
	if err != nil || !tied {
		return err
	}
	return expected.in(ctx, log)
}

// First is the log's first event of the shop, by which a database knows the log. It is nil if
// the log has none yet.
func First(ctx context.Context, log eventstore.Store) (*eventstore.Recorded, error) {
	for e, err := range log.ReadAll(ctx, eventstore.Start, ours(), 0) {
		if err != nil {
			return nil, fmt.Errorf("the first event of the log: %w", err)
		}
		if streams.Wrote(e.Stream, e.ID) {
			return &e, nil
		}
	}
	return nil, nil
}

// lastMax bounds the search of Last, because the log may end with many events of other
// programs.
const lastMax = 10 * time.Second

// Last is the latest event of the shop in a log. It is the zero Anchor if there is none, or if
// none is found within 10 s.
func Last(ctx context.Context, log eventstore.Store) (eventstore.Anchor, error) {
	limited, cancel := context.WithTimeout(ctx, lastMax)
	defer cancel()
	for e, err := range log.ReadAllBackwards(limited, eventstore.End, ours(), 0) {
		if err != nil && limited.Err() != nil && ctx.Err() == nil {
			return eventstore.Anchor{}, nil
		}
		if err != nil {
			return eventstore.Anchor{}, fmt.Errorf("the last event of the log: %w", err)
		}
		if streams.Wrote(e.Stream, e.ID) {
			return eventstore.AnchorOf(&e), nil
		}
	}
	return eventstore.Anchor{}, nil
}

// ImportRecord is the record of an import, as it is stored.
type ImportRecord struct {
	Name   string
	Done   int64 // how many invoices are imported, counted from the first
	Counts []byte
}

// LoadImport returns the record of the database's import; nil if there is none. It takes no
// lock.
func LoadImport(ctx context.Context, pool *pgxpool.Pool) (*ImportRecord, error) {
	var r ImportRecord
	err := pool.QueryRow(ctx, `SELECT import, done_invoices, counts FROM commands.imports`).Scan(&r.Name, &r.Done, &r.Counts)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load the import's record: %w", err)
	}
	return &r, nil
}

// EachAnswer calls do for each answer of a request that changed something. The answers come
// without headers and bodies, because there can be many answers.
func EachAnswer(ctx context.Context, pool *pgxpool.Pool, do func(commands.KeptAnswer)) error {
	rows, err := pool.Query(ctx, `SELECT scope, key, request_hash, status, answered_at FROM commands.answers WHERE status < 400`)
	if err != nil {
		return fmt.Errorf("list the kept answers: %w", err)
	}
	var a commands.KeptAnswer
	if _, err := pgx.ForEachRow(rows, []any{&a.Scope, &a.Key, &a.RequestHash, &a.Status, &a.AnsweredAt}, func() error { do(a); return nil }); err != nil {
		return fmt.Errorf("list the kept answers: %w", err)
	}
	return nil
}

// EachTimer calls do for each timer.
func EachTimer(ctx context.Context, pool *pgxpool.Pool, do func(reactor.Timer)) error {
	rows, err := pool.Query(ctx, `SELECT kind, target, item, due_at FROM commands.timers`)
	if err != nil {
		return fmt.Errorf("list the timers: %w", err)
	}
	var t reactor.Timer
	if _, err := pgx.ForEachRow(rows, []any{&t.Kind, &t.Target, &t.Item, &t.DueAt}, func() error { do(t); return nil }); err != nil {
		return fmt.Errorf("list the timers: %w", err)
	}
	return nil
}

// EachParked calls do for all parked work, dismissed or not.
func EachParked(ctx context.Context, pool *pgxpool.Pool, do func(reactor.UnfinishedWork)) error {
	parking := Parking{Pool: pool}
	const atOnce = 500
	after := uuid.Nil
	for {
		some, err := parking.Parked(ctx, after, atOnce)
		if err != nil {
			return err
		}
		for _, work := range some {
			do(work)
			after = work.ID
		}
		if len(some) < atOnce {
			return nil
		}
	}
}

// Count is how many timers are set.
func (t Timers) Count(ctx context.Context) (n int64, err error) {
	if err := t.Pool.QueryRow(ctx, `SELECT count(*) FROM commands.timers`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count the timers: %w", err)
	}
	return n, nil
}
