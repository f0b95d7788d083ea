package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/eventstore/sealing"
)

// DataKeys stores the keys of personal fields. It implements sealing.Table.
type DataKeys struct{ Pool *pgxpool.Pool }

var _ sealing.Table = DataKeys{}

// Fetch implements sealing.Table.
func (d DataKeys) Fetch(ctx context.Context, id string) (row sealing.Row, ok bool, err error) {
	row.ID = id
	err = d.Pool.QueryRow(ctx, `SELECT subject, master, wrapped FROM commands.data_keys WHERE id = $1`, id).
		Scan(&row.Subject, &row.Master, &row.Wrapped)
	if errors.Is(err, pgx.ErrNoRows) {
		return sealing.Row{}, false, nil
	}
	if err != nil {
		return sealing.Row{}, false, fmt.Errorf("fetch a data key: %w", err)
	}
	return row, true, nil
}

// OfSubject implements sealing.Table. The row of commands.master_key is locked, so that no key is
// wrapped by a master key that a rotation has just replaced.
func (d DataKeys) OfSubject(ctx context.Context, subject string, fresh func() (sealing.Row, error)) (sealing.Row, error) {
	row, ok, err := d.present(ctx, subject)
	if err != nil || ok {
		return row, err
	}
	made, err := fresh()
	if err != nil {
		return sealing.Row{}, err
	}
	stored, erased := false, false
	err = pgx.BeginFunc(ctx, d.Pool, func(tx pgx.Tx) error {
		// The lock comes first and in a statement of its own, so that the next statement sees an
		// erasure that the lock has waited for.
		var batch pgx.Batch
		batch.Queue(`SELECT FROM commands.master_key FOR SHARE`)
		batch.Queue(`SELECT EXISTS (SELECT FROM commands.erased WHERE subject = $1)`, subject).QueryRow(func(row pgx.Row) error { return row.Scan(&erased) })
		// Of two nodes that make the key of a subject at once, the first one's counts.
		batch.Queue(`
			INSERT INTO commands.data_keys (id, subject, master, wrapped)
			SELECT $1::text, $2::text, id, $4::bytea FROM commands.master_key
			WHERE id = $3::text AND NOT EXISTS (SELECT FROM commands.erased WHERE subject = $2::text)
			ON CONFLICT DO NOTHING`, made.ID, made.Subject, made.Master, made.Wrapped).Exec(func(tag pgconn.CommandTag) error {
			stored = tag.RowsAffected() > 0
			return nil
		})
		return tx.SendBatch(ctx, &batch).Close()
	})
	switch {
	case err != nil:
		return sealing.Row{}, fmt.Errorf("store a data key: %w", err)
	case erased:
		return sealing.Row{}, sealing.ErrSubjectErased
	case stored:
		return made, nil
	}
	row, ok, err = d.present(ctx, subject)
	if err == nil && !ok {
		err = sealing.ErrMasterChanged
	}
	return row, err
}

func (d DataKeys) present(ctx context.Context, subject string) (sealing.Row, bool, error) {
	row := sealing.Row{Subject: subject}
	err := d.Pool.QueryRow(ctx, `SELECT id, master, wrapped FROM commands.data_keys WHERE subject = $1 AND destroyed_at IS NULL`, subject).
		Scan(&row.ID, &row.Master, &row.Wrapped)
	if errors.Is(err, pgx.ErrNoRows) {
		return sealing.Row{}, false, nil
	}
	if err != nil {
		return sealing.Row{}, false, fmt.Errorf("fetch the data key of a subject: %w", err)
	}
	return row, true, nil
}

// Destroyed implements sealing.Table.
func (d DataKeys) Destroyed(ctx context.Context, since time.Duration) ([]string, error) {
	rows, err := d.Pool.Query(ctx, `SELECT id FROM commands.data_keys WHERE destroyed_at > clock_timestamp() - $1::interval`, since)
	if err != nil {
		return nil, fmt.Errorf("list the data keys that were destroyed: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the data keys that were destroyed: %w", err)
	}
	return ids, nil
}

// CurrentMaster implements sealing.Table. If the table has keys and nobody knows the current master
// key, as after a restore, it is the one that wraps most keys.
func (d DataKeys) CurrentMaster(ctx context.Context, first string) (string, error) {
	var id string
	err := d.Pool.QueryRow(ctx, `
		INSERT INTO commands.master_key AS present (id) VALUES (coalesce(
			(SELECT master FROM commands.data_keys WHERE destroyed_at IS NULL GROUP BY master ORDER BY count(*) DESC, master LIMIT 1), $1))
		ON CONFLICT (only_row) DO UPDATE SET id = CASE
			WHEN EXISTS (SELECT FROM commands.data_keys WHERE destroyed_at IS NULL) THEN present.id ELSE excluded.id END
		RETURNING id`, first).Scan(&id)
	if err != nil {
		return "", fmt.Errorf("the id of the current master key: %w", err)
	}
	return id, nil
}

// mastersSQL reads one row of the index for each master key, and not one for each data key.
const mastersSQL = `
	WITH RECURSIVE m AS (
		(SELECT master FROM commands.data_keys WHERE destroyed_at IS NULL ORDER BY master LIMIT 1)
		UNION ALL
		SELECT (SELECT k.master FROM commands.data_keys k WHERE k.destroyed_at IS NULL AND k.master > m.master ORDER BY k.master LIMIT 1)
		FROM m WHERE m.master IS NOT NULL)`

// NeededMasters returns the ids of the master keys that a node must have: those that wrap a data
// key, and the current one.
func (d DataKeys) NeededMasters(ctx context.Context) ([]string, error) {
	rows, err := d.Pool.Query(ctx, mastersSQL+` SELECT master FROM m WHERE master IS NOT NULL UNION SELECT id FROM commands.master_key ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("the master keys that are needed: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("the master keys that are needed: %w", err)
	}
	return ids, nil
}

// Masters implements sealing.Table.
func (d DataKeys) Masters(ctx context.Context) ([]string, error) {
	rows, err := d.Pool.Query(ctx, mastersSQL+` SELECT master FROM m WHERE master IS NOT NULL ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("the master keys of the data keys: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("the master keys of the data keys: %w", err)
	}
	return ids, nil
}

// Destroy destroys data keys. Nobody can read what they encrypt any more.
func (d DataKeys) Destroy(ctx context.Context, ids []string) error {
	_, err := d.Pool.Exec(ctx, `
		UPDATE commands.data_keys SET wrapped = NULL, destroyed_at = clock_timestamp()
		WHERE id = ANY ($1) AND destroyed_at IS NULL`, ids)
	if err != nil {
		return fmt.Errorf("destroy data keys: %w", err)
	}
	return nil
}
