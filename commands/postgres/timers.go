package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands/reactor"
)

// Timers implements reactor.TimerQueue.
type Timers struct{ Pool *pgxpool.Pool }

const (
	timersAtOnce = 100
	// After firingMax, no further timer is fired under the locks of the same transaction. The
	// next transaction fires the others. fireMax bounds the last timer that was begun. So a
	// lock is held for at most firingMax + fireMax. This must be less than 9 s, because the
	// reactor changes the same timers when it advances, and the server ends a statement that
	// waits longer (see pgpool).
	firingMax = 2 * time.Second
	fireMax   = 4 * time.Second // for one timer
)

// dueSQL locks timers that are due. It must not compare them with clock_timestamp(), because that
// changes within a statement, so the database would look at every timer and not only at the due
// ones.
const dueSQL = `
	SELECT kind, target, item, due_at, failures, clock_timestamp() AS now FROM commands.timers
	WHERE due_at <= statement_timestamp() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED`

// Due returns how many timers are due and not fired yet, and for how long the oldest of them has
// been due.
func (t Timers) Due(ctx context.Context) (count int64, oldest time.Duration, err error) {
	var seconds float64
	err = t.Pool.QueryRow(ctx, `SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(due_at)), 0)::float8
		FROM commands.timers WHERE due_at <= statement_timestamp()`).Scan(&count, &seconds)
	return count, time.Duration(seconds * float64(time.Second)), err
}

// FireDue fires timers while it holds the locks of their rows, so no other node fires the same
// timer at the same time. If the node dies, its session ends and the locks are free.
func (t Timers) FireDue(ctx context.Context, fire func(context.Context, reactor.Timer, time.Time) error) (int, time.Duration, error) {
	due := 0
	err := pgx.BeginFunc(ctx, t.Pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, dueSQL, timersAtOnce)
		if err != nil {
			return err
		}
		type dueTimer struct {
			reactor.Timer
			now time.Time
		}
		timers, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (dueTimer, error) {
			var d dueTimer
			err := row.Scan(&d.Kind, &d.Target, &d.Item, &d.DueAt, &d.Failures, &d.now)
			return d, err
		})
		if err != nil {
			return err
		}
		due = len(timers)
		var fired, failed []reactor.Deadline
		var moved []reactor.Timer
		var parked []reactor.UnfinishedWork
		began := time.Now()
		for _, d := range timers {
			if time.Since(began) > firingMax {
				break
			}
			err := fireInTime(ctx, fire, d.Timer, d.now)
			if postponed, is := errors.AsType[*reactor.PostponedError](err); is {
				moved = append(moved, reactor.Timer{Deadline: d.Deadline, DueAt: postponed.Until})
			} else if givenUp, is := errors.AsType[*reactor.GiveUpError](err); is {
				parked, fired = append(parked, givenUp.Work), append(fired, d.Deadline)
			} else if err != nil {
				failed = append(failed, d.Deadline)
			} else {
				fired = append(fired, d.Deadline)
			}
		}
		if err := setTimers(ctx, tx, moved); err != nil {
			return err
		}
		if err := clearTimers(ctx, tx, fired); err != nil {
			return err
		}
		if err := park(ctx, tx, parked); err != nil {
			return err
		}
		// A timer that failed is tried again: after a second at first, later every five
		// minutes.
		kinds, targets, items := columns(failed)
		_, err = tx.Exec(ctx, `
			UPDATE commands.timers SET failures = failures + 1,
			       due_at = clock_timestamp() + least(interval '1 second' * power(2, least(failures, 20)), interval '5 minutes')
			WHERE (kind, target, item) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))`, kinds, targets, items)
		return err
	})
	if err != nil {
		return due, 0, fmt.Errorf("timers: %w", err)
	}
	next, err := t.next(ctx)
	return due, next, err
}

func fireInTime(ctx context.Context, fire func(context.Context, reactor.Timer, time.Time) error, timer reactor.Timer, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, fireMax)
	defer cancel()
	return fire(ctx, timer, now)
}

func (t Timers) next(ctx context.Context) (time.Duration, error) {
	var microseconds *int64
	err := t.Pool.QueryRow(ctx, `
		SELECT (extract(epoch FROM min(due_at) - clock_timestamp()) * 1000000)::bigint FROM commands.timers`).Scan(&microseconds)
	if err != nil {
		return 0, fmt.Errorf("timers: next: %w", err)
	}
	if microseconds == nil {
		return 0, nil
	}
	// A timer that is due may be skipped, because another node is firing it. So wait at least
	// 50 ms, and do not ask again at once.
	return max(time.Duration(*microseconds)*time.Microsecond, 50*time.Millisecond), nil
}
