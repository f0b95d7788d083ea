package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ForgetNodes frees the leases of all nodes, so that a runner need not wait for
// those of its dead predecessor to run out. It is only for a caller who knows
// that no other node lives, such as one that has just started the database for
// itself. (A node that lives all the same is stopped by the epochs.)
func ForgetNodes(ctx context.Context, pool *pgxpool.Pool) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE projections.leases SET expires_at = '-infinity'`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM projections.nodes`)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget the nodes before: %w", err)
	}
	return nil
}
