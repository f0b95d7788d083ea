package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
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

// OfSubjects implements sealing.Table. It stores the key of a guest without looking first whether
// there is one, because that is rare: a node has the keys in memory that it used last. The row of
// commands.master_key is locked, so that no key is wrapped by a master key that a rotation has just
// replaced.
func (d DataKeys) OfSubjects(ctx context.Context, subjects []string, fresh func(subject string) (sealing.Row, error)) (map[string]sealing.Row, error) {
	rows := make(map[string]sealing.Row, len(subjects))
	customers := slices.DeleteFunc(slices.Clone(subjects), func(subject string) bool { return strings.HasPrefix(subject, guestPrefix) })
	if len(customers) > 0 {
		found, _ := d.Pool.Query(ctx, presentSQL, customers) // reading the rows returns the error
		if err := collectKeys(found, rows); err != nil {
			return nil, err
		}
	}
	var ids, missing, masters []string
	var wrapped [][]byte
	// Sorted, so that two nodes that store keys of the same subjects do not deadlock.
	for _, subject := range slices.Sorted(slices.Values(subjects)) {
		if _, present := rows[subject]; present {
			continue
		}
		made, err := fresh(subject)
		if err != nil {
			return nil, err
		}
		ids, missing, masters, wrapped = append(ids, made.ID), append(missing, subject), append(masters, made.Master), append(wrapped, made.Wrapped)
	}
	if len(missing) == 0 {
		return rows, nil
	}
	// The statements of a batch are one transaction. The lock comes first and in a statement of its
	// own, so that the next one sees an erasure that the lock has waited for.
	var batch pgx.Batch
	batch.Queue(`SELECT FROM commands.master_key FOR SHARE`)
	// Of two nodes that make the key of a subject at once, the first one's counts.
	batch.Queue(storeSQL, ids, missing, masters, wrapped).Query(func(stored pgx.Rows) error { return collectKeys(stored, rows) })
	if err := d.Pool.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, fmt.Errorf("store data keys: %w", err)
	}
	if len(rows) == len(subjects) {
		return rows, nil
	}
	return rows, d.notStored(ctx, missing, rows)
}

// guestPrefix begins the subjects that are carts of guests.
const guestPrefix = "cart:"

// notStored looks why keys of subjects were not stored. It adds to rows the keys that were stored
// before, or by another node at the same time. A subject that was erased has none. For any other
// reason it returns sealing.ErrMasterChanged.
func (d DataKeys) notStored(ctx context.Context, missing []string, rows map[string]sealing.Row) error {
	var erased []string
	var batch pgx.Batch
	batch.Queue(`SELECT subject FROM commands.erased WHERE subject = ANY ($1)`, missing).Query(func(found pgx.Rows) (err error) {
		erased, err = pgx.CollectRows(found, pgx.RowTo[string])
		return err
	})
	batch.Queue(presentSQL, missing).Query(func(found pgx.Rows) error { return collectKeys(found, rows) })
	if err := d.Pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("fetch data keys that were stored before: %w", err)
	}
	for _, subject := range missing {
		if _, stored := rows[subject]; !stored && !slices.Contains(erased, subject) {
			return sealing.ErrMasterChanged
		}
	}
	return nil
}

// storeSQL stores keys and returns them. Like presentSQL, it looks for each subject by itself. The
// arrays come out of a subquery, so that PostgreSQL does not count their elements and keeps one
// plan. With few elements, it would otherwise plan the statement each time.
const storeSQL = `
	INSERT INTO commands.data_keys (id, subject, master, wrapped)
	SELECT n.id, n.subject, n.master, n.wrapped
	FROM (SELECT $1::text[] AS ids, $2::text[] AS subjects, $3::text[] AS masters, $4::bytea[] AS wrapped OFFSET 0) AS given
	CROSS JOIN LATERAL unnest(given.ids, given.subjects, given.masters, given.wrapped) WITH ORDINALITY AS n (id, subject, master, wrapped, place)
	WHERE n.master = (SELECT m.id FROM commands.master_key m)
		AND (SELECT e.subject FROM commands.erased e WHERE e.subject = n.subject LIMIT 1) IS NULL
	ORDER BY n.place
	ON CONFLICT DO NOTHING
	RETURNING subject, id, master, wrapped`

// presentSQL looks for each subject by itself, so that it uses the index of subjects in any case.
// With "subject = ANY ($1)", a plan that was made while the table was nearly empty reads all keys,
// and the plan is kept until PostgreSQL has analyzed the table.
const presentSQL = `
	SELECT k.subject, k.id, k.master, k.wrapped
	FROM unnest($1::text[]) AS s (subject) CROSS JOIN LATERAL (
		SELECT * FROM commands.data_keys k WHERE k.subject = s.subject AND k.destroyed_at IS NULL LIMIT 1) k`

// collectKeys adds the rows of presentSQL.
func collectKeys(found pgx.Rows, into map[string]sealing.Row) error {
	var row sealing.Row
	_, err := pgx.ForEachRow(found, []any{&row.Subject, &row.ID, &row.Master, &row.Wrapped}, func() error {
		kept := row
		kept.Wrapped = slices.Clone(row.Wrapped)
		into[row.Subject] = kept
		return nil
	})
	if err != nil {
		return fmt.Errorf("fetch the data keys of subjects: %w", err)
	}
	return nil
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
