package projections

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the runner's own tables to this program's version. Several
// nodes may call it at once. The tables of views are not migrated but rebuilt.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	// Goose keeps its version table beside ours, so the schema comes first. The
	// lock is for two first starts at once: IF NOT EXISTS alone may then fail.
	if _, err := pool.Exec(ctx, `DO $$ BEGIN
		PERFORM pg_advisory_xact_lock(hashtext('projections.migrate'));
		CREATE SCHEMA IF NOT EXISTS projections;
	END $$`); err != nil {
		return fmt.Errorf("create schema projections: %w", err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("embedded migrations: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(7_246_310_552_184_001))
	if err != nil {
		return fmt.Errorf("migration lock: %w", err)
	}
	db := stdlib.OpenDBFromPool(pool)
	defer func() { _ = db.Close() }() // closes no connection of the pool
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithTableName("projections.migrations"), goose.WithSessionLocker(locker),
		goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrations of projections: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate projections: %w", err)
	}
	return nil
}
