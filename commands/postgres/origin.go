package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands/streams"
	"daybook/eventstore"
)

// AnotherLogError means that a database holds what follows from another log
// than the one it is to be used with: read models, timers and snapshots of
// events that are not in it.
type AnotherLogError struct {
	Stream     string // of the event by which the log is known
	Revision   int64
	ID         uuid.UUID
	RecordedAt time.Time
}

func (e *AnotherLogError) Error() string {
	return fmt.Sprintf("this database follows another log: one whose event %d of %s has the id %s and was recorded at %s",
		e.Revision, e.Stream, e.ID, e.RecordedAt.UTC().Format(time.RFC3339Nano))
}

// Diverged is the same as the error of a log that has diverged.
func (e *AnotherLogError) Diverged() *eventstore.DivergedError {
	return &eventstore.DivergedError{
		Keeper: "this database",
		Expected: fmt.Sprintf("event %d of %s with the id %s, recorded at %s",
			e.Revision, e.Stream, e.ID, e.RecordedAt.UTC().Format(time.RFC3339Nano)),
		Found: "none such, because the database follows another log",
	}
}

// Origin ties a database to one log. Events are never changed, so a log is known
// by any of them; it is one of ours, for others may share a log and delete theirs.
// An id alone does not tell two logs apart: the same file imported twice gives
// the same ids.
type Origin struct{ Pool *pgxpool.Pool }

// Check returns *AnotherLogError if the database was tied to another log. One
// that was tied to none is tied to this, if it holds an event to be known by.
func (o Origin) Check(ctx context.Context, log eventstore.Store) error {
	known, tied, err := o.known(ctx)
	if err != nil {
		return err
	}
	if tied {
		return known.in(ctx, log)
	}
	first, err := First(ctx, log)
	if err != nil || first == nil {
		return err
	}
	return o.tie(ctx, log, first)
}

// in returns e if a log does not hold the event that it names.
func (e *AnotherLogError) in(ctx context.Context, log eventstore.Store) error {
	for recorded, err := range log.ReadStream(ctx, e.Stream, e.Revision, 1) {
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
			return e
		}
		if err != nil {
			return fmt.Errorf("origin of the database: %w", err)
		}
		if e.names(&recorded) {
			return nil
		}
	}
	return e
}

func (e *AnotherLogError) names(recorded *eventstore.Recorded) bool {
	return e.Stream == recorded.Stream && e.Revision == recorded.Revision && e.ID == recorded.ID && e.RecordedAt.Equal(recorded.RecordedAt)
}

// Run ties the database to the log as soon as that gets an event of ours, if it
// is tied to none, and returns when ctx ends: a program that began on an empty
// log must know it at its next start. It returns *AnotherLogError if a node on
// another log, empty at first as well, has tied the database in the meantime.
//
// A log that is away for a while is waited for.
func (o Origin) Run(ctx context.Context, log eventstore.Store) error {
	for {
		err := o.await(ctx, log)
		if err == nil || ctx.Err() != nil {
			break
		}
		if _, away := errors.AsType[*eventstore.UnavailableError](err); !away {
			return err
		}
		timer := time.NewTimer(originRetry)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// originRetry is the pause between looks at a log that is away.
const originRetry = time.Second

func (o Origin) await(ctx context.Context, log eventstore.Store) error {
	known, tied, err := o.known(ctx)
	if err != nil {
		return err
	}
	if tied {
		return known.in(ctx, log)
	}
	for item, err := range log.Subscribe(ctx, eventstore.Start, ours()) {
		if err != nil {
			return fmt.Errorf("origin of the database: %w", err)
		}
		if item.Event != nil && streams.Wrote(item.Event.Stream, item.Event.ID) {
			return o.tie(ctx, log, item.Event)
		}
	}
	return nil
}

// ours selects the streams with names of the shop's. Not all that is in them is
// written by us, see streams.Wrote.
func ours() eventstore.Filter { return eventstore.Filter{StreamPrefixes: streams.Prefixes()} }

// known is the event by which the database knows its log; tied is false if there
// is none yet.
func (o Origin) known(ctx context.Context) (known *AnotherLogError, tied bool, err error) {
	known = new(AnotherLogError)
	err = o.Pool.QueryRow(ctx, `SELECT stream, revision, event_id, recorded_at FROM commands.origin`).
		Scan(&known.Stream, &known.Revision, &known.ID, &known.RecordedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return known, false, nil
	}
	if err != nil {
		return known, false, fmt.Errorf("origin of the database: %w", err)
	}
	return known, true, nil
}

const tieSQL = `INSERT INTO commands.origin (stream, revision, event_id, recorded_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`

// tie makes the database known by an event of a log, unless another node was
// first; then that must be on the same log.
func (o Origin) tie(ctx context.Context, log eventstore.Store, e *eventstore.Recorded) error {
	if _, err := o.Pool.Exec(ctx, tieSQL, e.Stream, e.Revision, e.ID, e.RecordedAt); err != nil {
		return fmt.Errorf("origin of the database: %w", err)
	}
	known, _, err := o.known(ctx)
	if err != nil || known.names(e) {
		return err
	}
	return known.in(ctx, log)
}
