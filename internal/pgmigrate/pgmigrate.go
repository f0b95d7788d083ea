// Package pgmigrate brings tables to the version of this program. It knows nothing about the
// tables.
package pgmigrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"daybook/internal/pgpool"
)

const (
	// scriptMax is how long one statement of a script may take. It may have to build an index
	// of a large table.
	scriptMax = time.Hour
	// lockMax is how long a script waits for a lock. While it waits, all others that use the
	// table queue behind it, including appends. So it gives up soon, and tries again after
	// lockPause. In that pause the others can go on.
	lockMax   = 2 * time.Second
	lockPause = time.Second
	// lockPatience is for how long a script tries to get its lock, with all its tries.
	lockPatience = 2 * time.Minute
	// codeLockNotAvailable is PostgreSQL's code when lock_timeout is over.
	codeLockNotAvailable = "55P03"
)

// NewerError means that a newer program has changed the tables in a way that this program
// does not know. This program must not use them, because it could write what the newer
// program does not expect.
type NewerError struct {
	Versions    string // the table that holds the versions
	Have, Known int64  // the database's version, and the last that this program knows
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("the database was brought to version %d of %s by a newer program, and this one knows versions up to %d: use that program, or one at least as new",
		e.Have, e.Versions, e.Known)
}

// Up runs the scripts in the folder "migrations" that were not run on the database before.
// versions is the table that records them; each set of scripts in the database has its own.
// If several nodes start together, they wait for each other. If other programs use a table
// for long, for example in an open transaction, Up waits up to two minutes. The error then
// says who uses the database. *NewerError means that a newer program has used the database;
// nothing is changed.
func Up(ctx context.Context, pool *pgxpool.Pool, scripts fs.FS, versions string) error {
	return up(ctx, pool, scripts, versions, lockPatience)
}

func up(ctx context.Context, pool *pgxpool.Pool, scripts fs.FS, versions string, patience time.Duration) (err error) {
	ctx = pgpool.Within(ctx, scriptMax)
	folder, err := fs.Sub(scripts, "migrations")
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, uint64((time.Minute + patience).Seconds()))) // tries each second
	if err != nil {
		return fmt.Errorf("migration lock: %w", err)
	}
	db := stdlib.OpenDBFromPool(pool)
	defer func() { err = errors.Join(err, db.Close()) }() // closes no connection of the pool
	provider, err := goose.NewProvider(goose.DialectPostgres, db, folder,
		goose.WithTableName(versions), goose.WithSessionLocker(shortLockWaits{locker}), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	for began := time.Now(); ; {
		_, err = provider.Up(ctx)
		if err == nil {
			return refuseNewer(ctx, provider, versions)
		}
		if busy, ok := errors.AsType[*pgconn.PgError](err); !ok || busy.Code != codeLockNotAvailable {
			return err
		}
		users := longestTransactions(ctx, pool)
		if time.Since(began) > patience {
			return fmt.Errorf("a table was in use for %s; the longest transactions: %s: %w", time.Since(began).Round(time.Second), users, err)
		}
		slog.WarnContext(ctx, "a migration could not lock a table that is in use, and tries again", "longest_transactions", users, "error", err)
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// refuseNewer is called after all scripts. A database of a newer program already has all of
// them, so none was run on it.
func refuseNewer(ctx context.Context, provider *goose.Provider, versions string) error {
	have, supported, err := provider.GetVersions(ctx)
	if err == nil && have > supported {
		err = &NewerError{Versions: versions, Have: have, Known: supported}
	}
	return err
}

// shortLockWaits bounds the waits for locks in the session that runs the scripts.
type shortLockWaits struct{ lock.SessionLocker }

func (l shortLockWaits) SessionLock(ctx context.Context, conn *sql.Conn) error {
	if err := l.SessionLocker.SessionLock(ctx, conn); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, fmt.Sprintf("SET lock_timeout = %d", lockMax.Milliseconds()))
	return err
}

func (l shortLockWaits) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "RESET lock_timeout")
	return errors.Join(err, l.SessionLocker.SessionUnlock(ctx, conn))
}

// longestTransactions describes the transactions that have been open for longest. They most likely
// hold the locks for which a script waits.
func longestTransactions(ctx context.Context, pool *pgxpool.Pool) string {
	var users *string
	err := pool.QueryRow(ctx, `
		SELECT string_agg(format('pid %s (%s, %s) for %s', pid, application_name, state, date_trunc('second', now() - xact_start)), '; ')
		FROM (SELECT * FROM pg_stat_activity
		      WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
		      ORDER BY xact_start LIMIT 3) AS oldest`).Scan(&users)
	switch {
	case err != nil:
		return "not known: " + err.Error()
	case users == nil:
		return "none any more"
	}
	return *users
}
