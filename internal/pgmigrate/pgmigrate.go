// Package pgmigrate brings tables to the version of this program. Whose they
// are and what is in them is not its business.
package pgmigrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"daybook/internal/pgpool"
)

// scriptMax is how long one statement of a script may take: it may build an index
// of a large table.
const scriptMax = time.Hour

// Up runs those of the scripts in the folder "migrations" that the database has
// not had yet; versions is the table that tells them, and keeps them apart from
// others in the same database. Nodes that start together wait for each other.
func Up(ctx context.Context, pool *pgxpool.Pool, scripts fs.FS, versions string) (err error) {
	ctx = pgpool.Within(ctx, scriptMax)
	folder, err := fs.Sub(scripts, "migrations")
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60)) // each second, for a minute
	if err != nil {
		return fmt.Errorf("migration lock: %w", err)
	}
	db := stdlib.OpenDBFromPool(pool)
	defer func() { err = errors.Join(err, db.Close()) }() // closes no connection of the pool
	provider, err := goose.NewProvider(goose.DialectPostgres, db, folder,
		goose.WithTableName(versions), goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	_, err = provider.Up(ctx)
	return err
}
