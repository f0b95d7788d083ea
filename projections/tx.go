package projections

import (
	"context"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Tx is the transaction of one batch. A round trip to the database costs more than most
// statements, so Tx makes few: the transaction begins together with the move of the checkpoint,
// and what is queued is sent together with the commit.
type Tx struct {
	conn   *pgxpool.Conn
	queued pgx.Batch
	again  func(ctx context.Context, stream string) iter.Seq2[Event, error]
}

// ReadAgain yields the claimed events of a stream up to the end of the batch, as the log shows them
// now. It is for the texts of subjects that were erased: the log has no clear text of them any
// more. Everything else in an event never changes, so a view has no other reason to read one again.
func (t *Tx) ReadAgain(ctx context.Context, stream string) iter.Seq2[Event, error] {
	return t.again(ctx, stream)
}

// Writes takes the statements that need no answer. They are sent after Apply has returned. So a
// query of Apply does not see what they change.
func (t *Tx) Writes() *pgx.Batch { return &t.queued }

// Query sends a query and waits for its rows.
func (t *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return t.conn.Query(ctx, sql, args...)
}

// Exec sends a statement and waits until it is carried out.
func (t *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return t.conn.Exec(ctx, sql, args...)
}

// CopyFrom adds rows with COPY. If there are many rows, it is faster than queued statements,
// although it needs round trips of its own.
func (t *Tx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	return t.conn.CopyFrom(ctx, table, columns, rows)
}

// transact carries out a transaction: the statements in first, which begin it, and then do, which
// commits it. An UPDATE in first must change a row; otherwise the transaction ends with errLost.
func transact(ctx context.Context, pool *pgxpool.Pool, first *pgx.Batch, do func(*Tx) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	// The pool closes a connection that comes back within a transaction.
	defer conn.Release()
	tx := &Tx{conn: conn}
	if err := tx.begin(ctx, first); err != nil {
		return tx.undo(ctx, err)
	}
	if err := do(tx); err != nil {
		return tx.undo(ctx, err)
	}
	return nil
}

func (t *Tx) begin(ctx context.Context, first *pgx.Batch) error {
	results := t.conn.SendBatch(ctx, first)
	for range first.Len() {
		done, err := results.Exec()
		if err == nil && done.Update() && done.RowsAffected() == 0 {
			err = errLost
		}
		if err != nil {
			_ = results.Close() // gives no other error
			return fmt.Errorf("enter build: %w", err)
		}
	}
	return results.Close()
}

// commit sends what is queued, and commits.
func (t *Tx) commit(ctx context.Context) error {
	t.queued.Queue(`COMMIT`)
	results := t.conn.SendBatch(ctx, &t.queued)
	var done pgconn.CommandTag
	var err error
	for range t.queued.Len() {
		if done, err = results.Exec(); err != nil {
			_ = results.Close() // gives the same error
			return err
		}
	}
	if err := results.Close(); err != nil {
		return err
	}
	if done.String() != "COMMIT" {
		return fmt.Errorf("commit: %w", pgx.ErrTxCommitRollback)
	}
	return nil
}

// undo rolls the transaction back after an error, so that the connection can be used again.
func (t *Tx) undo(ctx context.Context, cause error) error {
	if !t.conn.Conn().IsClosed() {
		_, _ = t.conn.Exec(ctx, `ROLLBACK`) // if it fails, the pool closes the connection, which rolls back, too
	}
	return cause
}
