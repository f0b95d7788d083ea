package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands/reactor"
	"daybook/eventstore"
)

// Parking implements reactor.ParkingLot. Journal.Advance adds work to it.
type Parking struct{ Pool *pgxpool.Pool }

// park adds parked work. If the work is parked already, it adds the new tries to the old ones.
func park(ctx context.Context, tx pgx.Tx, parked []reactor.UnfinishedWork) error {
	var batch pgx.Batch
	for _, p := range parked {
		meta := p.Meta
		if meta == nil {
			meta = []byte{}
		}
		batch.Queue(`
			INSERT INTO commands.parked AS held
			       (id, kind, subject, step, stream, revision, position, since, meta, reason, tries, first_tried, last_tried)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
			ON CONFLICT (id) DO UPDATE
			SET reason = excluded.reason, tries = held.tries + excluded.tries, last_tried = excluded.last_tried,
			    dismissed_at = NULL, dismissed_by = '', dismissed_reason = ''`,
			p.ID, p.Kind, text(p.Subject), text(p.Step), text(p.Stream), p.Revision, p.Position.String(), p.Since, meta, text(p.Reason), p.Tries,
			p.FirstTried, p.LastTried)
	}
	if batch.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, &batch).Close()
}

// text removes what PostgreSQL cannot store, because the names in another program's events can
// contain anything.
func text(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}

const parkedColumns = `id, kind, subject, step, stream, revision, position, since, meta, reason, tries, first_tried, last_tried,
	dismissed_at, dismissed_by, dismissed_reason`

func scanParked(row pgx.CollectableRow) (reactor.UnfinishedWork, error) {
	var p reactor.UnfinishedWork
	var position string
	var dismissed *time.Time
	err := row.Scan(&p.ID, &p.Kind, &p.Subject, &p.Step, &p.Stream, &p.Revision, &position, &p.Since, &p.Meta, &p.Reason, &p.Tries, &p.FirstTried, &p.LastTried,
		&dismissed, &p.DismissedBy, &p.DismissedReason)
	if err != nil {
		return p, err
	}
	if dismissed != nil {
		p.Dismissed = *dismissed
	}
	p.Position, err = eventstore.ParsePosition(position)
	return p, err
}

// Parked lists parked work by ascending id.
func (l Parking) Parked(ctx context.Context, after uuid.UUID, limit int) ([]reactor.UnfinishedWork, error) {
	rows, err := l.Pool.Query(ctx, `SELECT `+parkedColumns+` FROM commands.parked WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("parked work: %w", err)
	}
	parked, err := pgx.CollectRows(rows, scanParked)
	if err != nil {
		return nil, fmt.Errorf("parked work: %w", err)
	}
	return parked, nil
}

// FindParked returns nil if no work with this id is parked.
func (l Parking) FindParked(ctx context.Context, id uuid.UUID) (*reactor.UnfinishedWork, error) {
	rows, err := l.Pool.Query(ctx, `SELECT `+parkedColumns+` FROM commands.parked WHERE id = $1`, id)
	if err != nil {
		return nil, fmt.Errorf("parked work %s: %w", id, err)
	}
	parked, err := pgx.CollectRows(rows, scanParked)
	if err != nil || len(parked) == 0 {
		return nil, err
	}
	return &parked[0], nil
}

// Dismiss notes that an operator leaves the work as it is.
func (l Parking) Dismiss(ctx context.Context, id uuid.UUID, at time.Time, by, reason string) (bool, error) {
	tag, err := l.Pool.Exec(ctx, `
		UPDATE commands.parked SET dismissed_at = coalesce(dismissed_at, $2),
		       dismissed_by = CASE WHEN dismissed_at IS NULL THEN $3 ELSE dismissed_by END,
		       dismissed_reason = CASE WHEN dismissed_at IS NULL THEN $4 ELSE dismissed_reason END
		WHERE id = $1`, id, at, text(by), text(reason))
	if err != nil {
		return false, fmt.Errorf("dismiss parked work %s: %w", id, err)
	}
	return tag.RowsAffected() > 0, nil
}

// CountParked counts the parked work that is not dismissed.
func (l Parking) CountParked(ctx context.Context) (n int64, err error) {
	if err := l.Pool.QueryRow(ctx, `SELECT count(*) FROM commands.parked WHERE dismissed_at IS NULL`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count parked work: %w", err)
	}
	return n, nil
}

// TryFailed notes another try.
func (l Parking) TryFailed(ctx context.Context, id uuid.UUID, at time.Time, reason string) error {
	_, err := l.Pool.Exec(ctx, `UPDATE commands.parked SET tries = tries + 1, last_tried = $2, reason = $3 WHERE id = $1`, id, at, text(reason))
	if err != nil {
		return fmt.Errorf("parked work %s: %w", id, err)
	}
	return nil
}

// Unpark removes work that is finished, and sets and clears the timers that its last try gave.
func (l Parking) Unpark(ctx context.Context, id uuid.UUID, set []reactor.Timer, clear []reactor.Deadline) error {
	err := pgx.BeginFunc(ctx, l.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM commands.parked WHERE id = $1`, id); err != nil {
			return err
		}
		if err := clearTimers(ctx, tx, clear); err != nil {
			return err
		}
		return setTimers(ctx, tx, set)
	})
	if err != nil {
		return fmt.Errorf("parked work %s: %w", id, err)
	}
	return nil
}
