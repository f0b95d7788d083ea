package storetest_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"

	"daybook/eventstore"
)

func isDeleted(err error) bool {
	_, deleted := errors.AsType[*eventstore.DeletedError](err)
	return deleted
}

func endsStream(events []eventstore.Event) bool {
	return events[len(events)-1].Type == eventstore.TombstoneType
}

// ordinary gives tombstones a type that ends nothing.
func ordinary(events []eventstore.Event) []eventstore.Event {
	changed := slices.Clone(events)
	for i := range changed {
		if changed[i].Type == eventstore.TombstoneType {
			changed[i].Type = "ended.v1"
		}
	}
	return changed
}

func takesAfterEnd(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		return e.sound.Append(ctx, stream, expected, ordinary(events))
	}
}

// replaysEnded looks at the ids before it looks whether the stream has ended.
func replaysEnded(e *engine) {
	var first sync.Map // results by first id
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if err == nil {
			first.Store(events[0].ID, result)
		}
		if held, ok := first.Load(events[0].ID); ok && isDeleted(err) {
			result = held.(eventstore.Result)
			result.Replayed = true
			return result, nil
		}
		return result, err
	}
}

func forgetsEnded(e *engine) {
	e.readStream = func(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
		return func(yield func(eventstore.Recorded, error) bool) {
			for r, err := range e.sound.ReadStream(ctx, stream, from, limit) {
				if isDeleted(err) {
					err = &eventstore.NotFoundError{Stream: stream}
				}
				if !yield(r, err) {
					return
				}
			}
		}
	}
}

func emptyEnded(e *engine) {
	e.readStreamBackwards = func(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
		return func(yield func(eventstore.Recorded, error) bool) {
			for r, err := range e.sound.ReadStreamBackwards(ctx, stream, from, limit) {
				if isDeleted(err) || !yield(r, err) {
					return
				}
			}
		}
	}
}

func hidesEnded(e *engine) {
	e.readAll = changed(e.sound.ReadAll, func(r *eventstore.Recorded) bool {
		for _, err := range e.sound.ReadStream(context.Background(), r.Stream, 0, 1) {
			return !isDeleted(err)
		}
		return true
	})
}

func hidesTombstones(e *engine) {
	e.readAllBackwards = changed(e.sound.ReadAllBackwards, func(r *eventstore.Recorded) bool { return r.Type != eventstore.TombstoneType })
}

func endsAnyway(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		if len(events) > 0 && endsStream(events) {
			expected = eventstore.Any
		}
		return e.sound.Append(ctx, stream, expected, events)
	}
}

func dropsTombstone(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if _, invalid := errors.AsType[*eventstore.InvalidError](err); invalid {
			return e.sound.Append(ctx, stream, expected, ordinary(events))
		}
		return result, err
	}
}

// endsLater marks the stream as ended only a moment after the tombstone is recorded. So one append
// that was under way is still recorded.
func endsLater(e *engine) {
	var mu sync.Mutex
	late := make(map[string]int) // appends taken since the tombstone
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		since, ended := late[stream]
		if since > 0 || ended && endsStream(events) {
			return eventstore.Result{}, &eventstore.DeletedError{Stream: stream}
		}
		if ended {
			late[stream]++
		}
		if endsStream(events) {
			late[stream] = 0
		}
		return e.sound.Append(ctx, stream, expected, ordinary(events))
	}
	e.readAll = changed(e.sound.ReadAll, func(r *eventstore.Recorded) bool {
		if r.Type == "ended.v1" {
			r.Type = eventstore.TombstoneType
		}
		return true
	})
}

func endsTwice(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if isDeleted(err) && endsStream(events) {
			err = nil // the stream has ended, as the caller wanted
		}
		return result, err
	}
}
