package postgres

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/eventstore"
	"daybook/internal/pgpool"
)

// turnMax bounds how long the database lets a node wait for its turn, and giveBackMax how long
// giving it back may take before the connection is closed, which also gives it back.
const (
	turnMax     = "200ms"
	giveBackMax = 2 * time.Second
)

// turns is this node's part in taking turns: a lock of the database that one session at a time can
// have. The database frees it when a session ends, so a node that is gone does not keep it.
type turns struct {
	mu     sync.Mutex // held while this node waits for the turn, has it, or gives it back
	conn   *pgx.Conn
	closed atomic.Bool // whoever holds mu at that time closes the connection
}

const (
	lockTurnSQL = `SELECT pg_advisory_lock(hashtextextended('daybook eventstore turn', 0))`
	freeTurnSQL = `SELECT pg_advisory_unlock(hashtextextended('daybook eventstore turn', 0))`
)

// TakeTurn implements eventstore.TurnTaker.
func (s *Store) TakeTurn(ctx context.Context) (head eventstore.Position, giveBack func(), err error) {
	t := &s.turns
	t.mu.Lock()
	position, err := s.lockTurn(ctx)
	if err != nil {
		t.mu.Unlock()
		return eventstore.Start, nil, fmt.Errorf("take the turn: %w", err)
	}
	if last, known := s.tail.end(); known && last < position {
		signal(s.tail.headRequest) // a notification would come later
	}
	return eventstore.At(position), func() { go s.freeTurn() }, nil
}

// lockTurn waits for the lock, and then reads the head. The two statements are one message. The
// second one sees what was committed while the first one waited.
func (s *Store) lockTurn(ctx context.Context) (position uint64, err error) {
	t := &s.turns
	if t.closed.Load() {
		return 0, errClosed
	}
	if t.conn == nil || t.conn.IsClosed() {
		if t.conn, err = s.connect(ctx, "turn"); err != nil {
			return 0, err
		}
		pgpool.Limit(t.conn, giveBackMax)
		if _, err := t.conn.Exec(ctx, "SET lock_timeout = '"+turnMax+"'"); err != nil {
			return 0, err
		}
	}
	var batch pgx.Batch
	batch.Queue(lockTurnSQL)
	batch.Queue(positionSQL)
	results := t.conn.SendBatch(ctx, &batch)
	if _, err = results.Exec(); err == nil {
		err = results.QueryRow().Scan(&position)
	}
	if closed := results.Close(); err == nil {
		err = closed
	}
	if err != nil {
		closeQuietly(t.conn) // the session may have the lock
	}
	return position, err
}

// freeTurn frees the lock. If that fails, it ends the session, which frees the lock, too.
func (s *Store) freeTurn() {
	t := &s.turns
	defer t.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), giveBackMax)
	defer cancel()
	if _, err := t.conn.Exec(ctx, freeTurnSQL); err != nil || t.closed.Load() {
		closeQuietly(t.conn)
	}
}

// close ends the session, at once or when the turn is given back.
func (t *turns) close() {
	t.closed.Store(true)
	if t.mu.TryLock() {
		defer t.mu.Unlock()
		if t.conn != nil {
			closeQuietly(t.conn)
		}
	}
}
