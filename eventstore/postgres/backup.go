package postgres

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/eventstore"
)

// Row is an event as the table of events has it.
type Row struct {
	Position   int64      `json:"position"`
	Stream     string     `json:"stream"`
	Revision   int64      `json:"revision"`
	RecordedAt time.Time  `json:"recorded_at"`
	ID         uuid.UUID  `json:"id"`
	GivenID    *uuid.UUID `json:"given_id,omitempty"`
	Type       string     `json:"type"`
	Data       string     `json:"data"` // the bytes as the log has them
	Meta       *string    `json:"meta,omitempty"`
}

const (
	rowsAtOnce      = 1000
	rowsAtOnceBytes = 8 << 20 // stops a page early; one event may have a megabyte

	// pageSQL ends a page before the event with which it would have more than so many bytes, but
	// has at least one event.
	pageSQL = `SELECT position, stream, revision, recorded_at, event_id, given_id, type, data, meta FROM (
			SELECT position, stream, revision, recorded_at, event_id, given_id, type, data::text AS data, meta::text AS meta,
				sum(octet_length(data::text)) OVER (ORDER BY position) - octet_length(data::text) AS before
			FROM eventstore.events WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3) AS page
		WHERE before < $4 ORDER BY position`
)

// Rows yields the events of the log after a position, up to another one. They never change, so the
// result is the same whatever is appended meanwhile.
func Rows(ctx context.Context, pool *pgxpool.Pool, after, upTo int64) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for after < upTo {
			rows, err := pool.Query(ctx, pageSQL, after, upTo, rowsAtOnce, rowsAtOnceBytes)
			var page []Row
			if err == nil {
				page, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Row])
			}
			if err == nil && len(page) == 0 {
				err = fmt.Errorf("the log has no event after %d, although its head is %d", after, upTo)
			}
			if err != nil {
				yield(Row{}, fmt.Errorf("read the log: %w", err))
				return
			}
			for _, row := range page {
				if !yield(row, nil) {
					return
				}
				after = row.Position
			}
		}
	}
}

// HeadOf is the position of the log's last event, as a transaction sees it.
func HeadOf(ctx context.Context, tx pgx.Tx) (position int64, err error) {
	err = tx.QueryRow(ctx, `SELECT position FROM eventstore.head`).Scan(&position)
	return position, err
}

// NotEmptyError means that a database has a log already, so no log is restored into it.
type NotEmptyError struct{ Events int64 }

func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("the database has a log already, with %d events; a log is only restored into an empty database", e.Events)
}

const restoredTable = `CREATE TEMP TABLE restored (position bigint, stream text COLLATE "C", revision bigint, recorded_at timestamptz,
	event_id uuid, given_id uuid, type text COLLATE "C", data json, meta json) ON COMMIT DROP`

// fillSQL makes the log of the restored rows. A stream whose last event is a tombstone has ended.
var fillSQL = []string{
	`INSERT INTO eventstore.streams (stream, revision, ended)
		SELECT stream, max(revision), bool_or(type = '` + eventstore.TombstoneType + `') FROM restored GROUP BY stream ORDER BY min(position)`,
	`INSERT INTO eventstore.events (position, stream_id, revision, recorded_at, event_id, given_id, stream, type, data, meta)
		SELECT r.position, s.stream_id, r.revision, r.recorded_at, r.event_id, r.given_id, r.stream, r.type, r.data, r.meta
		FROM restored r JOIN eventstore.streams s ON s.stream = r.stream ORDER BY r.position`,
	`UPDATE eventstore.head SET position = r.position, recorded_at = r.recorded_at
		FROM (SELECT position, recorded_at FROM restored ORDER BY position DESC LIMIT 1) AS r`,
}

// RestoreRows fills an empty log with the rows of another one, at the same positions. The error is
// *NotEmptyError if the log has events. It is one transaction with everything else in tx.
func RestoreRows(ctx context.Context, tx pgx.Tx, rows iter.Seq2[Row, error]) error {
	var head int64
	if err := tx.QueryRow(ctx, `SELECT position FROM eventstore.head FOR UPDATE`).Scan(&head); err != nil {
		return fmt.Errorf("restore the log: %w", err)
	}
	if head > 0 {
		return &NotEmptyError{Events: head}
	}
	if _, err := tx.Exec(ctx, restoredTable); err != nil {
		return fmt.Errorf("restore the log: %w", err)
	}
	next, stop := iter.Pull2(rows)
	defer stop()
	from := pgx.CopyFromFunc(func() ([]any, error) {
		row, err, more := next()
		if err != nil || !more {
			return nil, err
		}
		return []any{row.Position, row.Stream, row.Revision, row.RecordedAt, row.ID, row.GivenID, row.Type, row.Data, row.Meta}, nil
	})
	columns := []string{"position", "stream", "revision", "recorded_at", "event_id", "given_id", "type", "data", "meta"}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"restored"}, columns, from); err != nil {
		return fmt.Errorf("restore the log: %w", err)
	}
	for _, statement := range fillSQL {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return fmt.Errorf("restore the log: %w", err)
		}
	}
	return nil
}

// IsEmpty returns *NotEmptyError if the database has a log with events.
func IsEmpty(ctx context.Context, pool *pgxpool.Pool) error {
	var head int64
	err := pool.QueryRow(ctx, `SELECT position FROM eventstore.head`).Scan(&head)
	if err == nil && head > 0 {
		err = &NotEmptyError{Events: head}
	}
	return err
}
