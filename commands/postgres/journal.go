package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands/reactor"
	"daybook/eventstore"
	"daybook/internal/pgpool"
)

// Journal implements reactor.Journal for one named reader of the log.
type Journal struct {
	Pool   *pgxpool.Pool
	Reader string
}

const (
	leadRetry = 2 * time.Second // between tries to become the leader
	// leadCheck is how often the leader checks that its session is alive. It is also how long
	// a check waits for an answer. So a leader whose connection is broken notices it after at
	// most twice this time. A little later the server ends the session, and another node can
	// lead.
	leadCheck = 3 * time.Second
	// PostgreSQL has this setting from version 14 on.
	leadSQL = `SELECT CASE WHEN pg_try_advisory_lock(hashtextextended('daybook reader ' || $1, 0))
		THEN (SELECT count(set_config(name, '10s', false)) >= 0 FROM pg_settings WHERE name = 'idle_session_timeout')
		ELSE false END`
)

// Lead takes a session lock on a separate connection, and holds it as long as the node leads.
// The lock ends with the session, whatever way the node dies. If a leader has lost its session
// and does not know it yet, Advance returns ErrNotLeading.
func (j Journal) Lead(ctx context.Context) (context.Context, func(), error) {
	for {
		conn, err := j.tryLead(ctx)
		if err != nil {
			return nil, nil, err
		}
		if conn != nil {
			leading, stop := context.WithCancel(ctx)
			ended := make(chan struct{})
			go func() { defer close(ended); watch(leading, conn, stop) }()
			return leading, func() {
				stop()
				<-ended
				// Closing the connection also frees the lock.
				_ = conn.Conn().Close(context.WithoutCancel(ctx))
				conn.Release()
			}, nil
		}
		timer := time.NewTimer(leadRetry)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, nil, ctx.Err()
		}
	}
}

func (j Journal) tryLead(ctx context.Context) (*pgxpool.Conn, error) {
	conn, err := j.Pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("lead: %w", err)
	}
	var won bool
	err = conn.QueryRow(ctx, leadSQL, j.Reader).Scan(&won)
	if err != nil || !won {
		conn.Release()
		if err != nil {
			return nil, fmt.Errorf("lead: %w", err)
		}
		return nil, nil
	}
	pgpool.Limit(conn.Conn(), leadCheck)
	return conn, nil
}

func watch(ctx context.Context, conn *pgxpool.Conn, lost func()) {
	ticker := time.NewTicker(leadCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := conn.Ping(ctx); err != nil {
				lost()
				return
			}
		}
	}
}

// Checkpoint returns the reader's position; Start for a new reader.
func (j Journal) Checkpoint(ctx context.Context) (eventstore.Position, error) {
	var text string
	err := j.Pool.QueryRow(ctx, `SELECT position FROM commands.checkpoints WHERE reader = $1`, j.Reader).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return eventstore.Start, nil
	}
	if err != nil {
		return eventstore.Start, fmt.Errorf("reader %s: checkpoint: %w", j.Reader, err)
	}
	return eventstore.ParsePosition(text)
}

// Advance moves the checkpoint, changes timers and parks work in one transaction.
func (j Journal) Advance(ctx context.Context, from, to eventstore.Position, notes reactor.Notes) error {
	err := pgx.BeginFunc(ctx, j.Pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			INSERT INTO commands.checkpoints AS held (reader, position, anchor) VALUES ($1, $3, $4)
			ON CONFLICT (reader) DO UPDATE SET position = excluded.position, anchor = coalesce(nullif(excluded.anchor, ''), held.anchor)
			WHERE held.position = $2`,
			j.Reader, from.String(), to.String(), notes.Seen.String())
		if err != nil {
			return err
		}
		if tag.RowsAffected() != 1 {
			return reactor.ErrNotLeading
		}
		if err := clearTimers(ctx, tx, notes.Clear); err != nil {
			return err
		}
		if err := park(ctx, tx, notes.Park); err != nil {
			return err
		}
		return setTimers(ctx, tx, notes.Set)
	})
	if err != nil {
		return fmt.Errorf("reader %s: advance: %w", j.Reader, err)
	}
	return nil
}

// CartExpiry implements reactor.Journal: it returns the rule by which the timers of carts were
// set.
func (j Journal) CartExpiry(ctx context.Context) (after time.Duration, known bool, err error) {
	err = j.Pool.QueryRow(ctx, `SELECT expire_after FROM commands.cart_expiry`).Scan(&after)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("reader %s: carts' timers: %w", j.Reader, err)
	}
	return after, true, nil
}

// timersSetAtOnce is how many timers one statement sets, so that it ends well within
// the time that the pool waits for an answer, however many carts are open.
const timersSetAtOnce = 1000

// KeepCartExpiry sets the timers of carts, some at a time, and stores the rule last. If it is
// interrupted, the next leader does all of it again.
func (j Journal) KeepCartExpiry(ctx context.Context, after time.Duration, set []reactor.Timer) error {
	for some := range slices.Chunk(set, timersSetAtOnce) {
		if err := setTimers(ctx, j.Pool, some); err != nil {
			return fmt.Errorf("reader %s: carts' timers: %w", j.Reader, err)
		}
	}
	_, err := j.Pool.Exec(ctx, `
		INSERT INTO commands.cart_expiry (expire_after) VALUES ($1)
		ON CONFLICT (one_row) DO UPDATE SET expire_after = excluded.expire_after, noted_at = clock_timestamp()`, after)
	if err != nil {
		return fmt.Errorf("reader %s: rule of carts' timers: %w", j.Reader, err)
	}
	return nil
}

// execer is a transaction or a pool. In a pool, each statement is its own transaction.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

func setTimers(ctx context.Context, tx execer, set []reactor.Timer) error {
	if len(set) == 0 {
		return nil
	}
	deadlines, due := make([]reactor.Deadline, len(set)), make([]time.Time, len(set))
	for i, t := range set {
		deadlines[i], due[i] = t.Deadline, t.DueAt
	}
	kinds, targets, items := columns(deadlines)
	_, err := tx.Exec(ctx, `
		INSERT INTO commands.timers (kind, target, item, due_at)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
		ON CONFLICT (kind, target, item) DO UPDATE SET due_at = excluded.due_at, failures = 0`, kinds, targets, items, due)
	return err
}

func clearTimers(ctx context.Context, tx pgx.Tx, clear []reactor.Deadline) error {
	if len(clear) == 0 {
		return nil
	}
	kinds, targets, items := columns(clear)
	_, err := tx.Exec(ctx, `
		DELETE FROM commands.timers WHERE (kind, target, item) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))`,
		kinds, targets, items)
	return err
}

// columns turns deadlines into one list for each member, as the SQL statements need them.
func columns(deadlines []reactor.Deadline) (kinds, targets, items []string) {
	for _, d := range deadlines {
		kinds, targets, items = append(kinds, string(d.Kind)), append(targets, d.Target), append(items, d.Item)
	}
	return kinds, targets, items
}
