// Package pgmigrate brings tables to the version of this program. Whose they
// are and what is in them is not its business.
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
	// scriptMax is how long one statement of a script may take: it may build an index
	// of a large table.
	scriptMax = time.Hour
	// lockMax is how long a script waits for a lock. All others who use the table queue
	// behind it meanwhile, appends among them, so it gives up soon and tries again
	// after lockPause, in which they get their turn.
	lockMax   = 2 * time.Second
	lockPause = time.Second
	// lockPatience is how long it is tried again.
	lockPatience = 2 * time.Minute
	// codeLockNotAvailable is PostgreSQL's when lock_timeout is over.
	codeLockNotAvailable = "55P03"
)

// NewerError means that a newer program has changed the tables in a way that this one
// does not know. This one must not use them, because it would write what the newer one
// does not expect.
type NewerError struct {
	Versions    string // the table that tells versions
	Have, Known int64  // the database's version, and the last that this program knows
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("the database was brought to version %d of %s by a newer program, and this one knows versions up to %d: use that program, or one at least as new",
		e.Have, e.Versions, e.Known)
}

// Up runs those of the scripts in the folder "migrations" that the database has
// not had yet; versions is the table that tells them, and keeps them apart from
// others in the same database. Nodes that start together wait for each other. A table
// that others use for long, as in a transaction that stays open, is waited for up to two
// minutes; the error then says who uses the database. *NewerError: the database is of
// a newer program, and is left as it is.
func Up(ctx context.Context, pool *pgxpool.Pool, scripts fs.FS, versions string) error {
	return up(ctx, pool, scripts, versions, lockPatience)
}

func up(ctx context.Context, pool *pgxpool.Pool, scripts fs.FS, versions string, patience time.Duration) (err error) {
	ctx = pgpool.Within(ctx, scriptMax)
	folder, err := fs.Sub(scripts, "migrations")
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, uint64((time.Minute + patience).Seconds()))) // asks each second
	if err != nil {
		return fmt.Errorf("migration lock: %w", err)
	}
	db := stdlib.OpenDBFromPool(pool)
	defer func() { err = errors.Join(err, db.Close()) }() // closes no connection of the pool
	provider, err := goose.NewProvider(goose.DialectPostgres, db, folder,
		goose.WithTableName(versions), goose.WithSessionLocker(impatient{locker}), goose.WithDisableGlobalRegistry(true))
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
		users := longest(ctx, pool)
		if time.Since(began) > patience {
			return fmt.Errorf("a table was in use for %s; the longest transactions: %s: %w", time.Since(began).Round(time.Second), users, err)
		}
		slog.WarnContext(ctx, "a migration waits until others have done with a table, and tries again", "longest_transactions", users, "error", err)
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// refuseNewer is called after all scripts have run: a database of a newer program lacks
// none of them, so none was run on it.
func refuseNewer(ctx context.Context, provider *goose.Provider, versions string) error {
	have, known, err := provider.GetVersions(ctx)
	if err == nil && have > known {
		err = &NewerError{Versions: versions, Have: have, Known: known}
	}
	return err
}

// impatient bounds the waits for locks in the session that runs the scripts.
type impatient struct{ lock.SessionLocker }

func (l impatient) SessionLock(ctx context.Context, conn *sql.Conn) error {
	if err := l.SessionLocker.SessionLock(ctx, conn); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, fmt.Sprintf("SET lock_timeout = %d", lockMax.Milliseconds()))
	return err
}

func (l impatient) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "RESET lock_timeout")
	return errors.Join(err, l.SessionLocker.SessionUnlock(ctx, conn))
}

// longest tells of the transactions that are open for longest, which most likely hold
// the locks that a script waits for.
func longest(ctx context.Context, pool *pgxpool.Pool) string {
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
