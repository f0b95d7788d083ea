package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain/unit"
)

// Erased stores whose personal texts were erased, and removes the copies of these texts that the
// command side has.
type Erased struct{ Pool *pgxpool.Pool }

// Note notes that subjects are erased, and destroys their keys in the same transaction. first is
// the one whose erasure names the others. It returns the ids of the keys that are destroyed, also
// if they were destroyed before. After it, no subject of them gets a key.
func (e Erased) Note(ctx context.Context, first unit.Owner, subjects []unit.Owner) (keys []string, err error) {
	err = pgx.BeginFunc(ctx, e.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO commands.erased AS held (subject, erased_by) SELECT s, $2 FROM unnest($1::text[]) s
			ON CONFLICT (subject) DO NOTHING`, subjects, first); err != nil {
			return err
		}
		keys, err = destroyErased(ctx, tx, subjects)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("destroy the keys of %d subjects: %w", len(subjects), err)
	}
	return keys, nil
}

// destroyErased destroys the keys of subjects. Whoever stores a new key locks the row of
// commands.master_key and then looks into commands.erased; see DataKeys.OfSubjects. So after this
// lock, no key is stored for them any more, and all that were stored are seen.
func destroyErased(ctx context.Context, tx pgx.Tx, subjects []unit.Owner) (keys []string, err error) {
	if _, err := tx.Exec(ctx, `SELECT FROM commands.master_key FOR UPDATE`); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `
		UPDATE commands.data_keys SET wrapped = NULL, destroyed_at = clock_timestamp()
		WHERE destroyed_at IS NULL AND subject = ANY ($1)`, subjects); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `SELECT id FROM commands.data_keys WHERE subject = ANY ($1)`, subjects)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// DestroyAgain destroys keys of erased subjects that came back, for example with an old backup of
// the table of keys. It returns how many.
func (e Erased) DestroyAgain(ctx context.Context) (int64, error) {
	tag, err := e.Pool.Exec(ctx, `
		UPDATE commands.data_keys k SET wrapped = NULL, destroyed_at = clock_timestamp()
		FROM commands.erased e WHERE e.subject = k.subject AND k.destroyed_at IS NULL`)
	if err != nil {
		return 0, fmt.Errorf("destroy the keys of erased subjects again: %w", err)
	}
	return tag.RowsAffected(), nil
}

// DestroyedKeys returns the ids of the destroyed keys of erased subjects.
func (e Erased) DestroyedKeys(ctx context.Context, since time.Duration) ([]string, error) {
	rows, err := e.Pool.Query(ctx, `
		SELECT k.id FROM commands.data_keys k JOIN commands.erased e USING (subject)
		WHERE k.destroyed_at > clock_timestamp() - $1::interval ORDER BY k.destroyed_at`, since)
	if err != nil {
		return nil, fmt.Errorf("list the keys of erased subjects: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the keys of erased subjects: %w", err)
	}
	return ids, nil
}

// DestroyListed destroys the keys of a list, and notes that their subjects are erased. It is for a
// database that was restored from a backup which is older than the erasures. It returns how many
// keys it has destroyed.
func (e Erased) DestroyListed(ctx context.Context, ids []string) (destroyed int64, err error) {
	err = pgx.BeginFunc(ctx, e.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO commands.erased (subject, erased_by)
			SELECT DISTINCT subject, subject FROM commands.data_keys WHERE id = ANY ($1) AND destroyed_at IS NULL
			ON CONFLICT (subject) DO NOTHING`, ids); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			UPDATE commands.data_keys k SET wrapped = NULL, destroyed_at = clock_timestamp()
			FROM commands.erased e WHERE e.subject = k.subject AND k.destroyed_at IS NULL`)
		destroyed = tag.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("destroy the keys of erased subjects again: %w", err)
	}
	return destroyed, nil
}

// Unfinished is an erasure whose copies outside the log may not all be removed.
type Unfinished struct {
	Subject unit.Owner
	Cleaned bool
	Old     bool // it was noted so long ago that no node has anything of the subject in memory
}

// Unfinished returns the erasures that are not done, the oldest first. old is how long a node can
// have texts of a subject in memory.
func (e Erased) Unfinished(ctx context.Context, old time.Duration, limit int) ([]Unfinished, error) {
	rows, err := e.Pool.Query(ctx, `
		SELECT subject, cleaned_at IS NOT NULL, noted_at < clock_timestamp() - $1::interval
		FROM commands.erased WHERE done_at IS NULL ORDER BY noted_at LIMIT $2`, old, limit)
	if err != nil {
		return nil, fmt.Errorf("list erasures that are not done: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Unfinished])
	if err != nil {
		return nil, fmt.Errorf("list erasures that are not done: %w", err)
	}
	return list, nil
}

// Step notes that copies were removed, and with done that nothing is left to do.
func (e Erased) Step(ctx context.Context, subject unit.Owner, done bool) error {
	_, err := e.Pool.Exec(ctx, `
		UPDATE commands.erased SET cleaned_at = coalesce(cleaned_at, clock_timestamp()),
			done_at = CASE WHEN $2 THEN clock_timestamp() END
		WHERE subject = $1`, subject, done)
	if err != nil {
		return fmt.Errorf("note the state of an erasure: %w", err)
	}
	return nil
}

// Done tells whether the erasure of a subject has nothing left to do.
func (e Erased) Done(ctx context.Context, subject unit.Owner) (done bool, err error) {
	err = e.Pool.QueryRow(ctx, `SELECT coalesce(bool_and(done_at IS NOT NULL), false) FROM commands.erased WHERE subject = $1`, subject).Scan(&done)
	if err != nil {
		return false, fmt.Errorf("the state of an erasure: %w", err)
	}
	return done, nil
}

// manyNames is how many names answers are searched for. For more, all answers are removed: that
// costs no more, and a request without a kept answer is answered from the log.
const manyNames = 100

// RemoveCopies removes what the command side has of streams and of answers that have one of the
// names: ids of customers, carts, orders and returns. Answers that are being written are not
// removed.
func (e Erased) RemoveCopies(ctx context.Context, streams, names []string) error {
	err := pgx.BeginFunc(ctx, e.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM commands.snapshots WHERE stream = ANY ($1)`, streams); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM commands.parked WHERE stream = ANY ($1)`, streams); err != nil {
			return err
		}
		if len(names) > manyNames {
			_, err := tx.Exec(ctx, `DELETE FROM commands.answers`)
			return err
		}
		_, err := tx.Exec(ctx, `
			DELETE FROM commands.answers a WHERE EXISTS (
				SELECT FROM unnest($1::text[]) n
				WHERE position(convert_to(n, 'UTF8') IN a.body) > 0 OR position(n IN a.scope) > 0 OR position(n IN a.key) > 0 OR position(n IN a.headers::text) > 0)`, names)
		return err
	})
	if err != nil {
		return fmt.Errorf("remove copies of erased texts: %w", err)
	}
	return nil
}

// WithKeys returns which subjects have a key that is not destroyed.
func (e Erased) WithKeys(ctx context.Context, subjects []unit.Owner) ([]unit.Owner, error) {
	rows, err := e.Pool.Query(ctx, `SELECT subject FROM commands.data_keys WHERE subject = ANY ($1) AND destroyed_at IS NULL ORDER BY 1`, subjects)
	if err != nil {
		return nil, fmt.Errorf("which subjects have keys: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[unit.Owner])
	if err != nil {
		return nil, fmt.Errorf("which subjects have keys: %w", err)
	}
	return found, nil
}

// KeyedGuests returns guests whose keys were made before a time and are not destroyed, in order.
// They come after another guest.
func (e Erased) KeyedGuests(ctx context.Context, after unit.Owner, before time.Time, limit int) ([]unit.Owner, error) {
	rows, err := e.Pool.Query(ctx, `
		SELECT subject FROM commands.data_keys
		WHERE destroyed_at IS NULL AND subject > $1 AND subject >= 'cart:' AND subject < 'cart;' AND made_at < $2 ORDER BY subject LIMIT $3`, after, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list the guests with keys: %w", err)
	}
	guests, err := pgx.CollectRows(rows, pgx.RowTo[unit.Owner])
	if err != nil {
		return nil, fmt.Errorf("list the guests with keys: %w", err)
	}
	return guests, nil
}
