package postgres

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"daybook/eventstore"
)

// holdsSQL is true if the log holds the event that the first three arguments name. If the log
// does not, it fails the statement with codeDiverged. PostgreSQL evaluates it once for a
// statement, before the first row.
const holdsSQL = `($1::bigint = 0 OR EXISTS (SELECT FROM eventstore.events k
	WHERE k.position = $1 AND k.recorded_at = $2::timestamptz AND coalesce(k.given_id, k.event_id) = $3::uuid) OR eventstore.diverged())`

// codeDiverged is what eventstore.diverged raises.
const codeDiverged = "ZL001"

// latestEvent is the latest event that this node knows to be in the log, from the answer to an
// append or to a read. A log only grows, so it holds this event as long as it is the same
// log. An id alone cannot prove that (see commands/postgres.Origin), so the recorded time is
// compared, too.
type latestEvent struct {
	event atomic.Pointer[eventstore.Anchor]
}

// get returns the zero Anchor while no event is known.
func (l *latestEvent) get() eventstore.Anchor {
	if event := l.event.Load(); event != nil {
		return *event
	}
	return eventstore.Anchor{}
}

func (l *latestEvent) note(e *eventstore.Recorded) {
	for {
		before := l.event.Load()
		if before != nil && !before.Position.Before(e.Position) {
			return
		}
		// AnchorOf is not used. It leaves out events of the server, because KurrentDB may delete
		// them. In PostgreSQL all events stay for ever, so each can be an anchor.
		after := &eventstore.Anchor{Position: e.Position, Stream: e.Stream, Revision: e.Revision, ID: e.ID, RecordedAt: e.RecordedAt}
		if l.event.CompareAndSwap(before, after) {
			return
		}
	}
}

// naming returns the arguments of holdsSQL, followed by those of the statement.
func naming(latest eventstore.Anchor, args ...any) []any {
	return append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}, int64(number(latest.Position)), latest.RecordedAt, latest.ID}, args...) //nolint:gosec // a bigint
}

// explain makes *eventstore.DivergedError if a statement did not find the event that it
// named, or did not even find the tables. Only somebody who restores a log drops the tables,
// and the new tables appear one by one.
func (s *Store) explain(ctx context.Context, latest eventstore.Anchor, err error) error {
	reply, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	another := &eventstore.DivergedError{Keeper: "this node", At: latest.Position, Expected: "the log"}
	if !latest.IsZero() {
		another.Expected = latest.Describe()
	}
	switch reply.Code {
	case codeDiverged:
		another.Found = s.found(ctx, latest)
	case "3F000", "42P01", "42883", "42703": // no such schema, table, function, column
		another.Found = "not all tables of the log, because it is being restored, or was dropped, or is of another version of this program (" + reply.Message + ")"
	default:
		return err
	}
	return another
}

// found describes in words what the log has in the place of an event.
func (s *Store) found(ctx context.Context, latest eventstore.Anchor) string {
	const query = `SELECT position, revision, recorded_at, coalesce(given_id, event_id), stream
		FROM eventstore.events WHERE position <= $1 ORDER BY position DESC LIMIT 1`
	var position int64
	var id uuid.UUID
	var at time.Time
	there := eventstore.Anchor{}
	err := s.pool.QueryRow(ctx, query, int64(number(latest.Position))).Scan(&position, &there.Revision, &at, &id, &there.Stream) //nolint:gosec // a bigint
	there.Position, there.ID, there.RecordedAt = eventstore.At(uint64(max(position, 0))), id, at.UTC()
	switch {
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return "another one or none there"
	case there.Position.Before(latest.Position):
		return "the end of the log at position " + there.Position.String()
	}
	return there.Describe()
}
