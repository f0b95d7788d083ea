package kurrentdb_test

import (
	"context"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"daybook/eventstore"
)

// lateLog is a log whose writer knows an append before its readers see it, like a real server. If
// another append loses against it, that append is refused at once, although a read does not show
// the reason yet. Events become visible in the order of the log.
type lateLog struct {
	eventstore.Store
	most  time.Duration // the longest time from an append until it is visible
	eager bool          // an append is answered before it is visible; otherwise after that

	mu      sync.Mutex
	shown   uint64            // the last visible position
	due     map[uint64]uint64 // appends whose time has come: from the position before the first event to that of the last
	changed chan struct{}
}

func newLateLog(log eventstore.Store, most time.Duration, eager bool) *lateLog {
	return &lateLog{Store: log, most: most, eager: eager, due: make(map[uint64]uint64), changed: make(chan struct{})}
}

func (l *lateLog) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	result, err := l.Store.Append(ctx, stream, expected, events)
	if err != nil {
		return result, err
	}
	last, _ := result.Position.Pair()
	if !result.Replayed {
		x := rand.Float64()
		time.AfterFunc(time.Duration(float64(l.most)*x*x*x), func() { l.show(last-uint64(len(events)), last) })
	}
	if l.eager {
		return result, nil
	}
	return result, l.inView(ctx, result.Position)
}

// show makes an append visible as soon as all appends before it are visible.
func (l *lateLog) show(before, last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due[before] = last
	for {
		next, due := l.due[l.shown]
		if !due {
			break
		}
		delete(l.due, l.shown)
		l.shown = next
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *lateLog) view() (eventstore.Position, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return eventstore.At(l.shown), l.changed
}

func (l *lateLog) inView(ctx context.Context, p eventstore.Position) error {
	for {
		shown, changed := l.view()
		if !shown.Before(p) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *lateLog) Head(context.Context) (eventstore.Position, error) {
	shown, _ := l.view()
	return shown, nil
}

func (l *lateLog) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) {
		for item, err := range l.Store.Subscribe(ctx, after, filter) {
			if err == nil {
				err = l.inView(ctx, item.Checkpoint)
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// seen yields only the visible events of a read, at most limit of them.
func (l *lateLog) seen(read iter.Seq2[eventstore.Recorded, error], limit int) iter.Seq2[eventstore.Recorded, error] {
	shown, _ := l.view()
	return func(yield func(eventstore.Recorded, error) bool) {
		given := 0
		for e, err := range read {
			if err == nil && shown.Before(e.Position) {
				continue
			}
			if !yield(e, err) {
				return
			}
			if given++; given == limit {
				return
			}
		}
	}
}

func (l *lateLog) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return l.seen(l.Store.ReadAll(ctx, after, filter, 0), limit)
}

func (l *lateLog) ReadAllBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return l.seen(l.Store.ReadAllBackwards(ctx, before, filter, 0), limit)
}

func (l *lateLog) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return l.orMissing(ctx, stream, l.seen(l.Store.ReadStream(ctx, stream, from, 0), limit))
}

func (l *lateLog) ReadStreamBackwards(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return l.orMissing(ctx, stream, l.seen(l.Store.ReadStreamBackwards(ctx, stream, from, 0), limit))
}

// orMissing yields NotFoundError if no event of the stream is visible.
func (l *lateLog) orMissing(ctx context.Context, stream string, read iter.Seq2[eventstore.Recorded, error]) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		shown, _ := l.view()
		for first, err := range l.Store.ReadStream(ctx, stream, 0, 1) {
			if err == nil && shown.Before(first.Position) {
				yield(eventstore.Recorded{}, &eventstore.NotFoundError{Stream: stream})
				return
			}
		}
		read(yield)
	}
}
