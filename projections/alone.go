package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ForgetNodes frees the leases of all nodes, so that a runner need not wait until the leases
// of a dead predecessor expire. Call it only if no other node runs, for example after this
// program has started a database of its own. If another node runs after all, the epochs stop
// it.
func ForgetNodes(ctx context.Context, pool *pgxpool.Pool) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE projections.leases SET expires_at = '-infinity'`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM projections.nodes`)
		return err
	})
	if err != nil {
		return fmt.Errorf("free the leases of all nodes: %w", err)
	}
	return nil
}
