package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain/subject"
	"daybook/domain/unit"
)

// Kept stores what an invoice needs of orders whose subjects were erased. It stores it encrypted.
type Kept struct{ Pool *pgxpool.Pool }

// KeptRecord is what is kept of one order.
type KeptRecord struct {
	subject.Kept
	Key string // the id of the data key that encrypts Box
	Box []byte // see sealing.Keys.SealBox
}

// KeptSubject is the subject of the data key of a kept order. No customer and no guest has it.
func KeptSubject(id unit.OrderID) string { return keptPrefix + string(id) }

const keptPrefix = "kept:"

// ErrKeptKeyGone means that the key of a record was destroyed before the record was stored. Seal it
// again, with a new key.
var ErrKeptKeyGone = errors.New("the key of a kept record was destroyed meanwhile")

// Add stores a record. If the order has one, it stays as it is. The error ErrKeptKeyGone means that
// nothing is stored.
func (k Kept) Add(ctx context.Context, r KeptRecord) error {
	err := pgx.BeginFunc(ctx, k.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT FROM commands.master_key FOR SHARE`); err != nil { // see Remove
			return err
		}
		var there bool
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM commands.data_keys WHERE id = $1 AND destroyed_at IS NULL)`, r.Key).Scan(&there)
		if err != nil {
			return err
		}
		if !there {
			return ErrKeptKeyGone
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO commands.kept (order_id, country, kept_until, reason, key_id, box) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (order_id) DO NOTHING`, r.OrderID, r.Country, r.Until, r.Reason, r.Key, r.Box)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep what an invoice needs: %w", err)
	}
	return nil
}

// Of returns the records of orders whose time is not over, by order id.
func (k Kept) Of(ctx context.Context, orders []unit.OrderID, now time.Time) ([]KeptRecord, error) {
	rows, _ := k.Pool.Query(ctx, `
		SELECT order_id, country, kept_until, reason, key_id, box FROM commands.kept
		WHERE order_id = ANY ($1) AND kept_until > $2 ORDER BY order_id`, orders, now) // reading the rows returns the error
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r KeptRecord, err error) {
		err = row.Scan(&r.OrderID, &r.Country, &r.Until, &r.Reason, &r.Key, &r.Box)
		r.Until = r.Until.UTC()
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("what is kept of %d orders: %w", len(orders), err)
	}
	return found, nil
}

// unusedKeyAge is how old the key of a kept order must be before it counts as left over. The row of
// an order is stored a moment after its key.
const unusedKeyAge = 24 * time.Hour

// Remove deletes up to limit records whose time is over, and destroys their keys. It also destroys
// keys that have no record, as after a crash. It returns how many records it has deleted, and the
// ids of the keys that it has destroyed.
//
// It locks the row of commands.master_key, as Add does. So each record that Add stores is seen, and
// a record whose key is destroyed here is not stored afterwards.
func (k Kept) Remove(ctx context.Context, now time.Time, limit int) (deleted int, keys []string, err error) {
	err = pgx.BeginFunc(ctx, k.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT FROM commands.master_key FOR UPDATE`); err != nil {
			return err
		}
		rows, _ := tx.Query(ctx, `
			DELETE FROM commands.kept WHERE order_id IN (SELECT order_id FROM commands.kept WHERE kept_until <= $1 ORDER BY kept_until LIMIT $2)
			RETURNING $3 || order_id`, now, limit, keptPrefix)
		over, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		deleted = len(over)
		rows, _ = tx.Query(ctx, `
			UPDATE commands.data_keys k SET wrapped = NULL, destroyed_at = clock_timestamp()
			WHERE destroyed_at IS NULL AND (subject = ANY ($1)
				OR subject >= 'kept:' AND subject < 'kept;' AND made_at < clock_timestamp() - $2::interval
					AND NOT EXISTS (SELECT FROM commands.kept h WHERE $3 || h.order_id = k.subject))
			RETURNING id`, over, unusedKeyAge, keptPrefix)
		keys, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return 0, nil, fmt.Errorf("delete what is kept no longer: %w", err)
	}
	return deleted, keys, nil
}
