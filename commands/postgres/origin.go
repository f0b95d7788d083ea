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

// AnotherLogError means that a database belongs to another log. Its read models, timers and
// snapshots come from events that the present log does not have.
type AnotherLogError struct {
	Stream     string // stream of the event by which the database knows its log
	Revision   int64
	ID         uuid.UUID
	RecordedAt time.Time
}

func (e *AnotherLogError) Error() string {
	return fmt.Sprintf("this database follows another log: one whose event %d of %s has the id %s and was recorded at %s",
		e.Revision, e.Stream, e.ID, e.RecordedAt.UTC().Format(time.RFC3339Nano))
}

// Diverged returns the error in the form that a diverged log gives.
func (e *AnotherLogError) Diverged() *eventstore.DivergedError {
	return &eventstore.DivergedError{
		Keeper: "this database",
		Expected: fmt.Sprintf("event %d of %s with the id %s, recorded at %s",
			e.Revision, e.Stream, e.ID, e.RecordedAt.UTC().Format(time.RFC3339Nano)),
		Found: "no such event, because the database follows another log",
	}
}

// Origin ties a database to one log. The database stores one event of the log, and the log
// must have this event, because events never change. It is an event of the shop, because other
// programs that write to the log may delete their streams. An event's id alone is not enough:
// if the same file is imported into two logs, both have the same ids. So the recorded time is
// compared, too.
type Origin struct{ Pool *pgxpool.Pool }

// Check returns *AnotherLogError if the database is tied to another log. If the database is
// not tied yet, Check ties it to this log, if the log has an event of the shop.
func (o Origin) Check(ctx context.Context, log eventstore.Store) error {
	expected, tied, err := o.expected(ctx)
	if err != nil {
		return err
	}
	if tied {
		return expected.in(ctx, log)
	}
	first, err := First(ctx, log)
	if err != nil || first == nil {
		return err
	}
	return o.tie(ctx, log, first)
}

// in returns e if the log does not have the event that e names.
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

// Run waits for the log's first event of the shop if the database is not tied yet, and then
// ties it. So a program that started on an empty log recognises the log at its next start. Run
// returns when ctx ends. It returns *AnotherLogError if another node has tied the database to
// another log in the meantime.
//
// If the log cannot be reached, Run tries again.
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

// originRetry is the pause between two tries to reach the log.
const originRetry = time.Second

func (o Origin) await(ctx context.Context, log eventstore.Store) error {
	expected, tied, err := o.expected(ctx)
	if err != nil {
		return err
	}
	if tied {
		return expected.in(ctx, log)
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

// ours selects the streams with the shop's names. Other programs may have written events in
// them, too; see streams.Wrote.
func ours() eventstore.Filter { return eventstore.Filter{StreamPrefixes: streams.Prefixes()} }

// expected returns the event by which the database knows its log. tied is false if there is none
// yet.
func (o Origin) expected(ctx context.Context) (expected *AnotherLogError, tied bool, err error) {
	expected = new(AnotherLogError)
	err = o.Pool.QueryRow(ctx, `SELECT stream, revision, event_id, recorded_at FROM commands.origin`).
		Scan(&expected.Stream, &expected.Revision, &expected.ID, &expected.RecordedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return expected, false, nil
	}
	if err != nil {
		return expected, false, fmt.Errorf("origin of the database: %w", err)
	}
	return expected, true, nil
}

const tieSQL = `INSERT INTO commands.origin (stream, revision, event_id, recorded_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`

// tie ties the database to a log by one of its events. If another node has tied the database
// before, tie checks that it was to the same log.
func (o Origin) tie(ctx context.Context, log eventstore.Store, e *eventstore.Recorded) error {
	if _, err := o.Pool.Exec(ctx, tieSQL, e.Stream, e.Revision, e.ID, e.RecordedAt); err != nil {
		return fmt.Errorf("origin of the database: %w", err)
	}
	expected, _, err := o.expected(ctx)
	if err != nil || expected.names(e) {
		return err
	}
	return expected.in(ctx, log)
}
