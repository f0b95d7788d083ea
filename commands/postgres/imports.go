package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Imports is the record of a database's import; there is at most one. Only one process at a
// time holds it, because the order of the invoices can be kept only within a process.
type Imports struct {
	mu   sync.Mutex
	held *pgxpool.Conn // has the session lock
}

// ErrImportRunning means that another process is importing into the database.
var ErrImportRunning = errors.New("another process is importing into this database")

// LockImports takes the record for this process. Close frees it, and so does the end of the
// process.
func LockImports(ctx context.Context, pool *pgxpool.Pool) (*Imports, error) {
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
	return &Imports{held: conn}, nil
}

// Close frees the record.
func (i *Imports) Close(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	defer i.held.Release()
	if _, err := i.held.Exec(ctx, `SELECT pg_advisory_unlock(hashtextextended('daybook import', 0))`); err != nil {
		return errors.Join(err, i.held.Conn().Close(ctx)) // the lock ends with its session
	}
	return nil
}

// Load returns the import in the database; its name is empty if there is none.
func (i *Imports) Load(ctx context.Context) (name string, done int64, counts []byte, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	err = i.held.QueryRow(ctx, `SELECT import, done_invoices, counts FROM commands.imports`).Scan(&name, &done, &counts)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", 0, nil, fmt.Errorf("load the import's record: %w", err)
	}
	return name, done, counts, nil
}

// Save records how far an import has come. It refuses a smaller number of invoices than
// before, and another import. It fails if the session that holds the record is lost, because
// another process may then hold the record.
func (i *Imports) Save(ctx context.Context, name string, done int64, counts []byte) error {
	i.mu.Lock()
	defer i.mu.Unlock()
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
