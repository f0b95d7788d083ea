package postgres

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"daybook/eventstore"
	"daybook/internal/pause"
)

const (
	appendSQL = `SELECT o_base, o_recorded_at, o_revision, o_status, o_position, o_duplicate
		FROM eventstore.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		WHERE eventstore.holds($12, $13, $14)` // runs after the append, because holds is volatile

	maxTries    = 5 // of a batch that surely was not committed
	idleTrusted = time.Second
	connectTime = 5 * time.Second
	pingTime    = 2 * time.Second  // so that a new connection has time left
	batchTime   = 12 * time.Second // above the server's own timeouts
	maxBackoff  = time.Second
)

// writer takes batches from the queue and sends them, one at a time, over a
// connection of its own.
type writer struct {
	store     *Store
	conn      *pgconn.PgConn
	statement *pgconn.StatementDescription
	used      time.Time // when the connection last worked
	backoff   time.Duration
	arguments arguments
}

// run works until the queue is closed and empty. If ctx ends, the batch in flight is cut off.
func (w *writer) run(ctx context.Context) {
	defer w.disconnect()
	for {
		batch := w.store.queue.take()
		if len(batch) == 0 {
			return
		}
		if err := w.ready(ctx); err != nil {
			w.refuse(ctx, batch, err)
			continue
		}
		slices.SortFunc(batch, func(a, b *request) int { return strings.Compare(a.stream(), b.stream()) })
		w.record(ctx, w.store.queue.seal(batch), false)
		w.store.queue.release(batch)
		// The callers that were just answered get time to send their next appends. Without
		// it, the next batch would be a third smaller (with 64 callers).
		runtime.Gosched()
	}
}

// ready makes sure that there is a connection. A connection that was idle is tested first,
// because a batch that is sent over a dead one has an unknown outcome.
func (w *writer) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	now := time.Now()
	if w.conn != nil && (w.conn.IsClosed() || now.Sub(w.used) > idleTrusted && !w.answers(ctx)) {
		w.disconnect()
	}
	w.used = now
	if w.conn != nil {
		return nil
	}
	conn, err := w.store.connect(ctx, "writer")
	if err != nil {
		return err
	}
	w.conn = conn.PgConn()
	if w.statement, err = w.conn.Prepare(ctx, "append", appendSQL, nil); err != nil {
		w.disconnect()
		return fmt.Errorf("prepare append: %w", w.store.explain(ctx, w.store.latest.get(), err))
	}
	if err := w.store.admitted(ctx); err != nil {
		w.disconnect() // so the next connection asks again
		return err
	}
	w.backoff = 0
	return nil
}

func (w *writer) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	return w.conn.Ping(ctx) == nil
}

func (w *writer) disconnect() {
	if w.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = w.conn.Close(ctx) // nothing depends on how it ends
	w.conn = nil
}

// refuse answers a batch, and all that waits, if there is no connection. Then it waits a
// little before the next attempt.
func (w *writer) refuse(ctx context.Context, batch []*request, cause error) {
	var err error = &eventstore.UnavailableError{Cause: cause}
	if isDiverged(cause) {
		err = cause
	}
	w.fail(w.store.queue.seal(batch), err)
	w.store.queue.release(batch)
	w.store.queue.fail(err)
	w.store.logger.WarnContext(ctx, "event store cannot append", "error", cause)
	w.backoff = min(max(2*w.backoff, 50*time.Millisecond), maxBackoff)
	pause.For(ctx, w.backoff)
}

// record sends a batch and answers each of its requests. If the server refuses the whole
// batch, record halves it until it has found the append that the server refuses.
func (w *writer) record(ctx context.Context, batch []*request, checkIDs bool) {
	if len(batch) == 0 {
		return
	}
	var err error
	for range maxTries {
		var b batchResult
		if b, err = w.call(ctx, batch, checkIDs); err == nil {
			w.deliver(batch, &b)
			return
		}
		fate := judge(err)
		if fate == refused && len(batch) > 1 {
			w.record(ctx, batch[:len(batch)/2], checkIDs)
			w.record(ctx, batch[len(batch)/2:], checkIDs)
			return
		}
		if fate == duplicateID {
			// Check the ids before adding. Appends that share an id go one after the other.
			if distinct, rest := splitShared(batch); !checkIDs || len(rest) > 0 {
				w.record(ctx, distinct, true)
				w.record(ctx, rest, true)
				return
			}
		}
		if fate != retryable && fate != duplicateID {
			break
		}
	}
	w.store.logger.WarnContext(ctx, "a batch of appends failed", "appends", len(batch), "error", err)
	w.fail(batch, translate(err))
	w.disconnect() // a new connection may lead to a server that works
}

func (w *writer) call(ctx context.Context, batch []*request, checkIDs bool) (batchResult, error) {
	if w.conn == nil || w.conn.IsClosed() { // it was lost while an earlier part of this batch was sent
		if err := w.ready(ctx); err != nil {
			return batchResult{}, &neverSentError{err}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, batchTime)
	defer cancel()
	binary := []int16{pgx.BinaryFormatCode}
	latest := w.store.latest.get()
	reader := w.conn.ExecStatement(ctx, w.statement, w.arguments.encode(batch, checkIDs, latest), binary, binary)
	var b batchResult
	decoded := errUnknownForm // no row
	for reader.NextRow() {
		b, decoded = decodeBatchResult(reader.Values(), int(w.arguments.counts.size)) //nolint:gosec // appends of a batch
	}
	if _, err := reader.Close(); err != nil {
		return batchResult{}, w.store.explain(ctx, latest, err) // judged by its caller, wrapped in translate
	}
	return b, decoded
}

// neverSentError marks an error that came before a byte was sent, as pgconn does.
type neverSentError struct{ error }

func (neverSentError) SafeToRetry() bool { return true }
func (e neverSentError) Unwrap() error   { return e.error }

// splitShared divides a batch into requests that share no event id, and the rest.
func splitShared(batch []*request) (distinct, rest []*request) {
	seen := make(map[uuid.UUID]struct{})
	for _, r := range batch {
		if slices.ContainsFunc(r.writes, func(w write) bool {
			return slices.ContainsFunc(w.Events, func(e eventstore.Event) bool { _, ok := seen[e.ID]; return ok })
		}) {
			rest = append(rest, r)
			continue
		}
		for i := range r.writes {
			for j := range r.writes[i].Events {
				seen[r.writes[i].Events[j].ID] = struct{}{}
			}
		}
		distinct = append(distinct, r)
	}
	return distinct, rest
}

func (w *writer) fail(batch []*request, err error) {
	for _, r := range batch {
		r.finish(err)
	}
}

// deliver gives what was committed to the tail and then answers the callers. So a caller that
// has its answer finds its events in a subscription that has caught up.
func (w *writer) deliver(batch []*request, b *batchResult) {
	position := w.store.publish(batch, b)
	if position > 0 {
		w.store.notify.tell(position)
	}
	position = b.base
	for _, r := range batch {
		var err error
		position, err = r.settle(b, position)
		r.finish(err)
	}
}

// settle reads a request's results from the result of its batch. before is the position before its
// events, and after the position of its last event.
func (r *request) settle(b *batchResult, before uint64) (after uint64, err error) {
	var replay *write // the first of them
	replays := 0
	for i := range r.writes {
		w := &r.writes[i]
		status := b.statusOf(w)
		switch {
		case status == appended:
			before += uint64(len(w.Events))
			w.result = eventstore.Result{Revision: b.revision[w.number], Position: eventstore.At(before)}
		case status == replayed:
			w.result = eventstore.Result{Revision: b.revision[w.number], Position: eventstore.At(b.position[w.number]), Replayed: true}
			if replays == 0 {
				replay = w
			}
			replays++
		case status == leftOut:
		case err == nil:
			err = b.refusal(w, status)
		}
	}
	if err == nil && replays > 0 && replays < len(r.writes) {
		err = &eventstore.ConflictError{Stream: replay.Stream, Expected: replay.Expected, Actual: eventstore.UnknownRevision}
	}
	return before, err
}

// refusal is the error of an append that was refused.
func (b *batchResult) refusal(w *write, status int16) error {
	switch status {
	case duplicate:
		return &eventstore.DuplicateEventError{Stream: w.Stream, ID: b.duplicate[w.number]}
	case ended:
		return &eventstore.DeletedError{Stream: w.Stream}
	}
	return &eventstore.ConflictError{Stream: w.Stream, Expected: w.Expected, Actual: b.revision[w.number]}
}
