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

// Origin ties a database to one log. Events are never changed, so a log is known
// by any of them; it is one of ours, for others may share a log and delete theirs.
// An id alone does not tell two logs apart: the same file imported twice gives
// the same ids.
type Origin struct{ Pool *pgxpool.Pool }

// Check returns *AnotherLogError if the database was tied to another log. One
// that was tied to none is tied to this, if it holds an event to be known by.
func (o Origin) Check(ctx context.Context, log eventstore.Store) error {
	var known AnotherLogError
	err := o.Pool.QueryRow(ctx, `SELECT stream, revision, event_id, recorded_at FROM commands.origin`).
		Scan(&known.Stream, &known.Revision, &known.ID, &known.RecordedAt)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return o.tie(ctx, log)
	case err != nil:
		return fmt.Errorf("origin of the database: %w", err)
	}
	for e, err := range log.ReadStream(ctx, known.Stream, known.Revision, 1) {
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
			return &known
		}
		if err != nil {
			return fmt.Errorf("origin of the database: %w", err)
		}
		if e.ID == known.ID && e.RecordedAt.Equal(known.RecordedAt) {
			return nil
		}
	}
	return &known
}

// tie notes the log's first event of ours, if there is one.
func (o Origin) tie(ctx context.Context, log eventstore.Store) error {
	for e, err := range log.ReadAll(ctx, eventstore.Start, eventstore.Filter{StreamPrefixes: commands.StreamPrefixes()}, 1) {
		if err != nil {
			return fmt.Errorf("origin of the database: %w", err)
		}
		const insert = `INSERT INTO commands.origin (stream, revision, event_id, recorded_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`
		if _, err := o.Pool.Exec(ctx, insert, e.Stream, e.Revision, e.ID, e.RecordedAt); err != nil {
			return fmt.Errorf("origin of the database: %w", err)
		}
	}
	return nil
}
