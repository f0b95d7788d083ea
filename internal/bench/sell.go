package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// sellWay is a way in which a shop sells and records one unit of one SKU, in its own
// transaction. sell returns false if no unit is left.
type sellWay struct {
	name string
	sell func(ctx context.Context, pool *pgxpool.Pool) (bool, error)
}

var sellWays = []sellWay{
	{"one transaction a command, optimistic retry", sellOptimistically},
	{"UPDATE … WHERE available >= n", sellConditionally},
}

// openSales makes the tables of both ways.
func openSales(ctx context.Context, env Env, units int64) error {
	return makeTables(ctx, env, fmt.Sprintf(`
		CREATE TABLE baseline.stock (sku text PRIMARY KEY, available bigint NOT NULL, version bigint NOT NULL);
		CREATE TABLE baseline.events (stream text NOT NULL, version bigint NOT NULL, id uuid NOT NULL UNIQUE, data json NOT NULL, PRIMARY KEY (stream, version));
		INSERT INTO baseline.stock VALUES ('HOT', %d, 0);`, units))
}

// checkSales checks that as many units are gone, and as many events recorded, as were sold.
func checkSales(ctx context.Context, env Env, units, sold int64) error {
	var left, events int64
	err := env.Pool.QueryRow(ctx, `SELECT (SELECT available FROM baseline.stock), (SELECT count(*) FROM baseline.events)`).Scan(&left, &events)
	if err != nil {
		return fmt.Errorf("check the baseline: %w", err)
	}
	if units-left != sold || events != sold {
		return fmt.Errorf("the baseline sold %d, of %d units %d are left, and %d events are recorded", sold, units, left, events)
	}
	return nil
}

// sellOptimistically is what most event-sourced shops do. It reads the version and decides. If the
// version is still the same, it writes the event and the new level. If not, it starts again.
func sellOptimistically(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	for ctx.Err() == nil {
		var available, version int64
		if err := pool.QueryRow(ctx, `SELECT available, version FROM baseline.stock WHERE sku = 'HOT'`).Scan(&available, &version); err != nil {
			return false, err
		}
		if available < 1 {
			return false, nil
		}
		won := false
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, `UPDATE baseline.stock SET available = available - 1, version = version + 1 WHERE sku = 'HOT' AND version = $1`, version)
			if err != nil || tag.RowsAffected() == 0 {
				return err
			}
			won = true
			_, err = tx.Exec(ctx, `INSERT INTO baseline.events VALUES ('HOT', $1, $2, $3)`, version+1, uuid.New(), string(eventBody))
			return err
		})
		if err != nil && !isUniqueViolation(err) {
			return false, err
		}
		if won && err == nil {
			return true, nil
		}
	}
	return false, ctx.Err()
}

func isUniqueViolation(err error) bool {
	failed, ok := errors.AsType[*pgconn.PgError](err)
	return ok && failed.Code == "23505"
}

// sellConditionally is the way that textbooks show: one statement takes the unit, if there is one,
// and writes its event.
func sellConditionally(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	tag, err := pool.Exec(ctx, `
		WITH taken AS (UPDATE baseline.stock SET available = available - 1, version = version + 1
		               WHERE sku = 'HOT' AND available >= 1 RETURNING version)
		INSERT INTO baseline.events SELECT 'HOT', version, $1, $2 FROM taken`, uuid.New(), string(eventBody))
	return err == nil && tag.RowsAffected() == 1, err
}
