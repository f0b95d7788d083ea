package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/pause"
)

// Imports is the record of a database's import; there is at most one. Only one process at a
// time holds it, because the order of the invoices can be kept only within a process.
type Imports struct {
	pool *pgxpool.Pool
	mu   sync.Mutex
	held *pgxpool.Conn // has the session lock
}

// ErrImportRunning means that another process is importing into the database.
var ErrImportRunning = errors.New("another process is importing into this database")

// LockImports takes the record for this process. Close frees it, and so does the end of the
// process.
func LockImports(ctx context.Context, pool *pgxpool.Pool) (*Imports, error) {
	conn, err := lockImports(ctx, pool)
	if err != nil {
		return nil, err
	}
	return &Imports{pool: pool, held: conn}, nil
}

// lockAgainMax is shorter than the time that an importer has for a save.
const lockAgainMax = 3 * time.Second

// lockImports returns a connection that has the session lock.
func lockImports(ctx context.Context, pool *pgxpool.Pool) (*pgxpool.Conn, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("hold the import: %w", err)
	}
	var won bool
	err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtextextended('daybook import', 0))`).Scan(&won)
	if err != nil || !won {
		conn.Release()
		if err != nil {
			return nil, fmt.Errorf("hold the import: %w", err)
		}
		return nil, ErrImportRunning
	}
	return conn, nil
}

// lockAgain takes the session lock on another connection if its connection was closed, because a
// lock ends with its session. A connection is closed if the server did not answer in time, for
// example. The server may notice later that the session has ended, so lockAgain waits for the lock
// for up to lockAgainMax. If another process has the lock, the error is ErrImportRunning.
func (i *Imports) lockAgain(ctx context.Context) error {
	if !i.held.Conn().IsClosed() {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, lockAgainMax)
	defer cancel()
	conn, err := lockImports(ctx, i.pool)
	for errors.Is(err, ErrImportRunning) && waiting.Err() == nil {
		pause.For(waiting, lockAgainMax/30)
		conn, err = lockImports(ctx, i.pool)
	}
	if err != nil {
		return err
	}
	i.held.Release()
	i.held = conn
	return nil
}

// Close frees the record.
func (i *Imports) Close(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	defer func() { i.held.Release() }()
	if i.held.Conn().IsClosed() {
		return nil // the lock has ended with its session
	}
	if _, err := i.held.Exec(ctx, `SELECT pg_advisory_unlock(hashtextextended('daybook import', 0))`); err != nil {
		return errors.Join(err, i.held.Conn().Close(ctx)) // the lock ends with its session
	}
	return nil
}

// Load returns the import in the database; its name is empty if there is none.
func (i *Imports) Load(ctx context.Context) (name string, done int64, counts []byte, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.lockAgain(ctx); err != nil {
		return "", 0, nil, fmt.Errorf("load the import's record: %w", err)
	}
	err = i.held.QueryRow(ctx, `SELECT import, done_invoices, counts FROM commands.imports`).Scan(&name, &done, &counts)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", 0, nil, fmt.Errorf("load the import's record: %w", err)
	}
	return name, done, counts, nil
}

// Save records how far an import has come. It refuses a smaller number of invoices than
// before, and another import. If the connection that holds the record is lost, Save takes the
// record again first. This fails with ErrImportRunning if another process has taken it meanwhile.
func (i *Imports) Save(ctx context.Context, name string, done int64, counts []byte) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.lockAgain(ctx); err != nil {
		return fmt.Errorf("save the import's record: %w", err)
	}
	tag, err := i.held.Exec(ctx, `
		INSERT INTO commands.imports AS held (import, done_invoices, counts)
		SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM commands.imports WHERE import <> $1)
		ON CONFLICT (import) DO UPDATE
		SET done_invoices = excluded.done_invoices, counts = excluded.counts, updated_at = clock_timestamp()
		WHERE held.done_invoices <= excluded.done_invoices`, name, done, counts)
	if err != nil {
		return fmt.Errorf("save the import's record: %w", err)
	}
	if tag.RowsAffected() != 1 {
		return errors.New("save the import's record: the database holds another import, or a later record of this one")
	}
	return nil
}
