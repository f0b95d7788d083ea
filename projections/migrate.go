package projections

import (
	"context"
	"embed"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/pgmigrate"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the runner's own tables to this program's version. Several nodes may call it
// at once. The tables of views are not migrated; they are rebuilt.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	// The table of versions is in the same schema, so the schema comes first. The lock is for
	// two first starts at the same time: IF NOT EXISTS alone could then fail.
	if _, err := pool.Exec(ctx, `DO $$ BEGIN
		PERFORM pg_advisory_xact_lock(hashtext('projections.migrate'));
		CREATE SCHEMA IF NOT EXISTS projections;
	END $$`); err != nil {
		return fmt.Errorf("create schema projections: %w", err)
	}
	if err := pgmigrate.Up(ctx, pool, migrations, "projections.migrations"); err != nil {
		return fmt.Errorf("migrate projections: %w", err)
	}
	return nil
}
