package bench

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"daybook/eventstore"
)

// writeBehind is a log in front of another one. It takes appends into memory, and later records all
// events of a stream with one append. So events can be made by the shop's own command handlers, and
// still be recorded in large batches.
//
// The order of the events of a stream is kept. Events of two streams may be recorded in another
// order than they were made, as two writers could have done. Nobody else may write to these streams
// meanwhile.
type writeBehind struct {
	eventstore.Store // the log that records the events later

	mu      sync.Mutex
	waiting map[string]*unwritten
	streams []*unwritten          // the same streams, in the order of their first events
	writing map[string]*unwritten // what is on its way into the log
	taken   int64                 // events since the beginning

	flushing sync.Mutex // is held while events are recorded
}

// unwritten is what is to be appended to a stream.
type unwritten struct {
	stream string
	before int64 // the revision of the stream before these events
	events []eventstore.Event
}

// appendersBehind is how many appends are under way at once. The engine makes few batches of them.
const appendersBehind = 256

func newWriteBehind(log eventstore.Store) *writeBehind {
	return &writeBehind{Store: log, waiting: make(map[string]*unwritten)}
}

// Append takes the events into memory. It does not know the revision of a stream of which it has
// nothing in memory, so it takes the revision that the writer expects as the right one.
func (w *writeBehind) Append(_ context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if expected < eventstore.NoStream {
		return eventstore.Result{}, fmt.Errorf("append to stream %s at %s: only an exact revision can be expected here", stream, expected)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	held := w.waiting[stream]
	if held == nil {
		held = &unwritten{stream: stream, before: int64(expected)}
		w.waiting[stream] = held
		w.streams = append(w.streams, held)
	}
	if last := held.before + int64(len(held.events)); int64(expected) != last {
		return eventstore.Result{}, &eventstore.ConflictError{Stream: stream, Expected: expected, Actual: last}
	}
	held.events = append(held.events, events...)
	w.taken += int64(len(events))
	return eventstore.Result{Revision: held.before + int64(len(held.events)), Position: eventstore.At(uint64(w.taken))}, nil
}

// ReadStream records everything first if it has events of the stream in memory.
func (w *writeBehind) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		w.mu.Lock()
		_, waits := w.waiting[stream]
		_, written := w.writing[stream]
		w.mu.Unlock()
		if waits || written { // flush also waits for what is on its way
			if err := w.flush(ctx); err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
		}
		w.Store.ReadStream(ctx, stream, from, limit)(yield)
	}
}

// count is how many events were taken since the beginning.
func (w *writeBehind) count() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.taken
}

// flush records what was taken. When it returns, all of that is in the log.
func (w *writeBehind) flush(ctx context.Context) error {
	w.flushing.Lock()
	defer w.flushing.Unlock()
	w.mu.Lock()
	streams := w.streams
	w.writing, w.waiting, w.streams = w.waiting, make(map[string]*unwritten), nil
	w.mu.Unlock()
	if len(streams) == 0 {
		return nil
	}
	_, err := load{callers: min(appendersBehind, len(streams)), limit: int64(len(streams)), operate: func(ctx context.Context, _ int, n int64) error {
		return streams[n].record(ctx, w.Store)
	}}.run(ctx)
	if err != nil {
		return fmt.Errorf("record what was made: %w", err)
	}
	return nil
}

// record appends the events, in as few appends as the log's limits allow.
func (u *unwritten) record(ctx context.Context, log eventstore.Store) error {
	for revision, rest := u.before, u.events; len(rest) > 0; {
		count, bytes := 0, 0
		for count < len(rest) && count < eventstore.MaxAppendEvents {
			bytes += rest[count].Size()
			if count > 0 && bytes > eventstore.MaxAppendBytes {
				break
			}
			count++
		}
		result, err := log.Append(ctx, u.stream, eventstore.AtRevision(revision), rest[:count])
		if err != nil {
			return fmt.Errorf("stream %s: %w", u.stream, err)
		}
		revision, rest = result.Revision, rest[count:]
	}
	return nil
}
