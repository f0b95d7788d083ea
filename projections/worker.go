package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/eventstore"
	"daybook/internal/pause"
)

// markEvery is how long a worker may wait before it writes a checkpoint that moved past events of
// other views only. Without this wait, a busy log would make an idle view write all the time.
// Waiters in this process see the new position at once.
const markEvery = 200 * time.Millisecond

// worker posts events to one build.
type worker struct {
	*Runner
	view  View
	epoch int64
	build build                  // as of the last commit; only the worker's goroutine uses it
	role  atomic.Pointer[string] // build.state, for the manager
	log   *slog.Logger
	stop  context.CancelFunc
	done  chan struct{} // closed when the worker has ended
}

func (w *worker) ended() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// supervise runs until ctx ends, the build is lost, or the view fails. After a passing error
// it goes on from the last commit.
func (w *worker) supervise(ctx context.Context) {
	defer func() {
		w.stop()
		close(w.done)
		signal(w.kick)
	}()
	for attempt := 0; ; attempt++ {
		before := w.build.position
		err := w.run(ctx)
		var bug *viewError
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errLost):
			w.log.InfoContext(ctx, "projection taken over or switched", "position", w.build.position)
			return
		case errors.As(err, &bug):
			w.log.ErrorContext(ctx, "projection stopped: it cannot apply an event", "error", err, "position", w.build.position)
			w.recordFailure(ctx, err)
			return
		}
		if before.Before(w.build.position) {
			attempt = 0
		}
		w.log.WarnContext(ctx, "projection interrupted, trying again", "error", err, "attempt", attempt)
		w.note(w.view.Name, w.build.number, err)
		if !backOff(ctx, attempt) {
			return
		}
	}
}

// viewError is an error of the view itself. It comes again each time.
type viewError struct{ cause error }

func (e *viewError) Error() string { return e.cause.Error() }
func (e *viewError) Unwrap() error { return e.cause }

// run posts from the build's checkpoint on.
func (w *worker) run(ctx context.Context) error {
	current, err := w.loadBuild(ctx, w.view.Name, w.build.number)
	if err != nil {
		return err
	}
	w.build = current
	w.role.Store(&current.state)
	ctx, stop := context.WithCancel(ctx)
	q := newQueue(current.position)
	if w.gap > liveGap {
		q.live = catchUpBatch
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		q.fail(w.read(ctx, q, current.position))
	}()
	defer func() {
		stop()
		<-read
	}()
	return w.post(ctx, q)
}

// read fills the queue from the log. It decodes events before they are applied.
func (w *worker) read(ctx context.Context, q *queue, after eventstore.Position) error {
	filter := eventstore.Filter{TypePrefixes: w.view.Claims}
	for item, err := range w.store.Subscribe(ctx, after, filter) {
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if item.Event == nil {
			q.mark(item)
			continue
		}
		event, err := w.view.Read(*item.Event)
		if err != nil {
			return &viewError{err}
		}
		if err := q.put(ctx, event); err != nil {
			return err
		}
		if item.CaughtUp {
			q.mark(item)
		}
	}
	return errors.New("read the log: the subscription ended")
}

// post applies what the queue holds, batch by batch.
func (w *worker) post(ctx context.Context, q *queue) error {
	unwritten := time.NewTimer(markEvery)
	unwritten.Stop()
	defer unwritten.Stop()
	var flush <-chan time.Time // set while the checkpoint is behind what was examined
	for {
		got := q.take()
		switch {
		case len(got.events) > 0:
			began := time.Now()
			if err := w.commit(ctx, got); err != nil {
				return err
			}
			w.advance(got.upTo) // nobody who waits for this should wait for the rest, too
			if len(got.events) < q.live {
				w.rest(ctx, began)
			}
			flush = nil
			unwritten.Stop()
		case got.err != nil:
			return got.err
		case w.build.position.Before(got.upTo) && flush == nil:
			unwritten.Reset(markEvery)
			flush = unwritten.C
		}
		w.advance(got.upTo)
		if got.caughtUp && w.build.state == stateActive && !w.build.reached {
			if err := w.reachHead(ctx, got); err != nil {
				return err
			}
		}
		if w.build.state == stateBuilding && got.caughtUp || w.build.ready {
			if err := w.finish(ctx, got); err != nil {
				return err
			}
		}
		if len(got.events) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-q.more:
		case <-flush:
			flush = nil
			if err := w.commit(ctx, got); err != nil {
				return err
			}
		}
	}
}

const (
	// liveGap is the usual least time between two transactions of a view. The first event after a
	// pause is posted at once. Under load, several events share the cost of a transaction. Readers
	// should see a write within 50 ms, and a transaction takes less than what is left of that.
	liveGap = 30 * time.Millisecond
	// awaitedGap takes the place of a longer gap while a reader of this process waits for the view.
	awaitedGap = 10 * time.Millisecond
)

// rest waits until the next transaction may begin. began is when the last one did.
func (w *worker) rest(ctx context.Context, began time.Time) {
	progress := w.progress[w.view.Name]
	timer := time.NewTimer(time.Until(began.Add(w.gap)))
	defer timer.Stop()
	for !progress.isAwaited() {
		select {
		case <-timer.C:
			return
		case <-progress.hurry:
		case <-ctx.Done():
			return
		}
	}
	pause.For(ctx, time.Until(began.Add(min(w.gap, awaitedGap))))
}

// advance notifies waiters in this process.
func (w *worker) advance(position eventstore.Position) {
	if w.build.state == stateActive {
		w.progress[w.view.Name].advance(position)
	}
}

const (
	// Rows and checkpoint are lost or kept together, so a read model need not wait for the
	// disk. After a crash it goes on from an earlier checkpoint.
	//
	// Views find rows by their keys. PostgreSQL may keep the plan of a statement that it made when
	// the table was nearly empty, and would then read the whole table each time. So such plans are
	// not allowed. All others are kept: PostgreSQL would plan a statement again for each batch of
	// fewer than ten rows, because it counts them.
	enterBuild = `SELECT set_config('search_path', $1, true), set_config('synchronous_commit', 'off', true), set_config('enable_seqscan', 'off', true),
		set_config('plan_cache_mode', 'force_generic_plan', true)`

	moveCheckpoint = `UPDATE projections.builds SET position = $4, anchor = $7, events = events + $5
		WHERE view = $1 AND build = $2 AND position = $3 AND epoch = $6 AND state <> 'old'`
)

// commit writes a batch's rows and moves the checkpoint, in one transaction. The checkpoint
// comes first, so a worker that has lost the build notices it before it does the work. Two
// workers wait for each other here, and do not conflict at the rows.
func (w *worker) commit(ctx context.Context, got taken) error {
	events, upTo := got.events, got.upTo
	if w.build.position == upTo {
		return nil
	}
	anchor, began := w.build.anchor.Later(got.anchor), time.Now()
	var odd []Event
	var claim pgx.Batch
	claim.Queue(`BEGIN`)
	// It comes before enterBuild. After it, PostgreSQL would plan it again each time, because the
	// connections of the views have another search path in each transaction.
	claim.Queue(moveCheckpoint, w.view.Name, w.build.number, w.build.position.String(), upTo.String(), len(events), w.epoch, anchor.String())
	claim.Queue(enterBuild, w.build.schema)
	err := transact(ctx, w.pool, &claim, func(tx *Tx) error {
		tx.again = w.readAgain(upTo)
		readable, skipped := readable(events)
		err := w.applyAll(ctx, tx, readable)
		if err == nil {
			odd = append(skipped, oddOf(readable)...)
			w.countOdd(tx, len(odd))
			err = tx.commit(ctx)
		}
		if err == nil || len(events) == 0 {
			return err
		}
		err = fmt.Errorf("apply %d events after %s: %w", len(events), w.build.position, err)
		if passing(err) || ctx.Err() != nil || tx.conn.Conn().IsClosed() {
			return err
		}
		return &viewError{err}
	})
	if err != nil {
		return err
	}
	if w.observe != nil && len(events) > 0 {
		w.observe(w.view.Name, events, began)
	}
	w.tellOdd(ctx, odd)
	w.build.position, w.build.anchor = upTo, anchor
	w.note(w.view.Name, w.build.number, nil)
	return nil
}

// readAgain reads a stream up to a position; see Tx.ReadAgain.
func (w *worker) readAgain(upTo eventstore.Position) func(context.Context, string) iter.Seq2[Event, error] {
	return func(ctx context.Context, stream string) iter.Seq2[Event, error] {
		return func(yield func(Event, error) bool) {
			for recorded, err := range w.store.ReadStream(ctx, stream, 0, 0) {
				if err != nil {
					yield(Event{}, fmt.Errorf("read %s again: %w", stream, err))
					return
				}
				if upTo.Before(recorded.Position) {
					return
				}
				if !slices.ContainsFunc(w.view.Claims, func(prefix string) bool { return strings.HasPrefix(recorded.Type, prefix) }) {
					continue
				}
				event, err := w.view.Read(recorded)
				if !yield(event, err) || err != nil {
					return
				}
			}
		}
	}
}

// reachHead notes, for all nodes, that the build in use has posted everything. From now on the
// build may be behind, but it lacks no older event.
func (w *worker) reachHead(ctx context.Context, got taken) error {
	if err := w.commit(ctx, taken{upTo: got.upTo, anchor: got.anchor}); err != nil {
		return err
	}
	noted, err := w.pool.Exec(ctx, `UPDATE projections.builds SET reached_head_at = coalesce(reached_head_at, clock_timestamp())
		WHERE view = $1 AND build = $2 AND epoch = $3`, w.view.Name, w.build.number, w.epoch)
	if err != nil {
		return fmt.Errorf("note that the build has caught up: %w", err)
	}
	if noted.RowsAffected() == 0 {
		return errLost
	}
	w.build.reached = true
	w.log.InfoContext(ctx, "projection has caught up for the first time", "position", w.build.position)
	return nil
}

// finish takes a build that has caught up into use: first it makes the indexes. Then it
// switches, once the build is not behind the build in use.
func (w *worker) finish(ctx context.Context, got taken) error {
	if err := w.commit(ctx, taken{upTo: got.upTo, anchor: got.anchor}); err != nil {
		return err
	}
	if !w.build.indexed {
		if err := w.index(ctx); err != nil {
			return err
		}
	}
	w.build.ready = true // from now on, it can be switched to as soon as it is as far as the build in use
	switched, err := w.activate(ctx)
	if err != nil || !switched {
		return err
	}
	w.build.state, w.build.reached, w.build.ready = stateActive, true, false
	role := stateActive
	w.role.Store(&role)
	w.log.InfoContext(ctx, "projection switched", "position", w.build.position)
	w.advance(w.build.position)
	signal(w.kick)
	return nil
}

func (w *worker) recordFailure(ctx context.Context, cause error) {
	w.note(w.view.Name, w.build.number, cause)
	for attempt := 0; ; attempt++ {
		_, err := w.pool.Exec(ctx, `UPDATE projections.builds SET error = $4, failed_at = clock_timestamp()
			WHERE view = $1 AND build = $2 AND epoch = $3`, w.view.Name, w.build.number, w.epoch, cause.Error())
		if err == nil || !passing(err) {
			return
		}
		if !backOff(ctx, attempt) {
			return
		}
	}
}
