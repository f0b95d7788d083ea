package projections

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/pgpool"
)

// StartOver gives each view an empty build at the start of the log and takes it into use. It
// drops all other builds, including those of views that this program does not have, because
// they come from a log that is no longer followed. What users have built on read.<name>
// stays.
//
// The context of the transaction should come from LongEnough. A node that still runs is
// stopped, because its builds are gone.
func StartOver(ctx context.Context, tx pgx.Tx, views []View) error {
	rows, err := tx.Query(ctx, `SELECT DISTINCT view FROM projections.builds ORDER BY view`)
	if err != nil {
		return fmt.Errorf("start the read models over: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("start the read models over: %w", err)
	}
	for _, view := range views {
		names = slices.DeleteFunc(names, func(name string) bool { return name == view.Name })
		if err := startOver(ctx, tx, view.Name, &view); err != nil {
			return fmt.Errorf("start view %s over: %w", view.Name, err)
		}
	}
	for _, name := range names {
		if err := startOver(ctx, tx, name, nil); err != nil {
			return fmt.Errorf("drop view %s: %w", name, err)
		}
	}
	return nil
}

// LongEnough lets the statements of a transaction run as long as those that drop
// whole builds take.
func LongEnough(ctx context.Context) context.Context { return pgpool.Within(ctx, buildMax) }

// startOver is StartOver for one view. If view is nil, the old builds get no successor.
func startOver(ctx context.Context, tx pgx.Tx, name string, view *View) error {
	if err := lockView(ctx, tx, name); err != nil {
		return err
	}
	// The locks on the rows wait for the current batch.
	builds, err := queryBuilds(ctx, tx, `WHERE view = $1 AND state <> 'old' FOR UPDATE`, name)
	if err != nil {
		return err
	}
	before := "" // the schema in use
	for _, b := range builds {
		if b.state == stateActive {
			before = b.schema
		}
	}
	if _, err := tx.Exec(ctx, `UPDATE projections.builds SET state = 'old' WHERE view = $1`, name); err != nil {
		return err
	}
	if view != nil {
		if err := createInUse(ctx, tx, *view, before); err != nil {
			return err
		}
	}
	return dropOld(ctx, tx, name)
}

// Leases describes the nodes that post to the read models, one text for each node with a
// lease that has not expired.
func Leases(ctx context.Context, pool *pgxpool.Pool) ([]string, error) {
	// The database may never have been used.
	var there bool
	if err := pool.QueryRow(ctx, `SELECT to_regclass('projections.nodes') IS NOT NULL`).Scan(&there); err != nil || !there {
		return nil, err
	}
	rows, err := pool.Query(ctx, `SELECT 'node ' || owner || ', whose lease ends in ' || ceil(extract(epoch FROM max(expires_at) - clock_timestamp())) || ' s'
		FROM (SELECT owner, expires_at FROM projections.nodes UNION ALL SELECT owner, expires_at FROM projections.leases) AS held
		WHERE expires_at > clock_timestamp() GROUP BY owner ORDER BY owner`)
	if err != nil {
		return nil, fmt.Errorf("read leases: %w", err)
	}
	held, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read leases: %w", err)
	}
	return held, nil
}
