package storetest_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync/atomic"

	"daybook/eventstore"
)

// changed passes each event through change, which says whether to yield it.
func changed(read readAllFunc, change func(*eventstore.Recorded) bool) readAllFunc {
	return func(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
		return func(yield func(eventstore.Recorded, error) bool) {
			for e, err := range read(ctx, after, filter, limit) {
				if (err != nil || change(&e)) && !yield(e, err) {
					return
				}
			}
		}
	}
}

// commitsLate: every fifth event takes its position at once, but readers see it only after two
// later events. This happens if positions come from a sequence in PostgreSQL.
func commitsLate(e *engine) {
	e.readAll = func(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
		head, _ := e.sound.Head(ctx)
		return changed(e.sound.ReadAll, func(r *eventstore.Recorded) bool {
			n := number(r.Position)
			return n%5 != 0 || n+2 <= number(head)
		})(ctx, after, filter, limit)
	}
}

// yielding changes what a subscription yields: each event is replaced by those
// that change returns.
func yielding(subscribe subscribeFunc, change func(eventstore.Item) []eventstore.Item) subscribeFunc {
	return func(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
		return func(yield func(eventstore.Item, error) bool) {
			for item, err := range subscribe(ctx, after, filter) {
				items := []eventstore.Item{item}
				if item.Event != nil {
					items = change(item)
				}
				for _, item := range items {
					if !yield(item, err) {
						return
					}
				}
			}
		}
	}
}

func losesOne(e *engine) {
	e.subscribe = yielding(e.sound.Subscribe, func(item eventstore.Item) []eventstore.Item {
		if number(item.Checkpoint)%50 == 0 {
			return nil
		}
		return []eventstore.Item{item}
	})
}

func repeatsOne(e *engine) {
	e.subscribe = yielding(e.sound.Subscribe, func(item eventstore.Item) []eventstore.Item {
		if number(item.Checkpoint)%50 == 0 {
			return []eventstore.Item{item, item}
		}
		return []eventstore.Item{item}
	})
}

func turnsRound(e *engine) {
	e.subscribe = func(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
		var held *eventstore.Item
		return yielding(e.sound.Subscribe, func(item eventstore.Item) []eventstore.Item {
			if number(item.Checkpoint)%50 == 0 {
				held = &item
				return nil
			}
			if held == nil {
				return []eventstore.Item{item}
			}
			items := []eventstore.Item{item, *held}
			held = nil
			return items
		})(ctx, after, filter)
	}
}

func startsAt(e *engine) {
	e.subscribe = func(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
		return e.sound.Subscribe(ctx, eventstore.At(max(number(after), 1)-1), filter)
	}
}

func caughtUpTooSoon(e *engine) {
	e.subscribe = func(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
		return func(yield func(eventstore.Item, error) bool) {
			if !yield(eventstore.Item{Checkpoint: after, CaughtUp: true}, nil) {
				return
			}
			e.sound.Subscribe(ctx, after, filter)(yield)
		}
	}
}

func neverMarks(e *engine) {
	e.subscribe = func(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
		return func(yield func(eventstore.Item, error) bool) {
			for item, err := range e.sound.Subscribe(ctx, after, filter) {
				if (err != nil || item.Event != nil || item.CaughtUp) && !yield(item, err) {
					return
				}
			}
		}
	}
}

// marksAhead sends a checkpoint of the head before it has examined the events up to the head.
func marksAhead(e *engine) {
	e.subscribe = func(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
		return func(yield func(eventstore.Item, error) bool) {
			for item, err := range e.sound.Subscribe(ctx, after, filter) {
				if err == nil && item.Event == nil {
					item.Checkpoint, err = e.sound.Head(ctx)
				}
				if !yield(item, err) {
					return
				}
			}
		}
	}
}

func noLimit(e *engine) {
	e.readAll = func(ctx context.Context, after eventstore.Position, filter eventstore.Filter, _ int) iter.Seq2[eventstore.Recorded, error] {
		return e.sound.ReadAll(ctx, after, filter, 0)
	}
}

func bySubstring(e *engine) {
	e.readAll = func(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
		return changed(e.sound.ReadAll, func(r *eventstore.Recorded) bool {
			for _, part := range filter.TypePrefixes {
				if strings.Contains(r.Type, strings.TrimPrefix(part, "suite.")) {
					return true
				}
			}
			return filter.Selects(r.Type, r.Stream)
		})(ctx, after, eventstore.Filter{}, limit)
	}
}

func yieldsNothing(e *engine) {
	e.readStream = func(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
		return func(yield func(eventstore.Recorded, error) bool) {
			for r, err := range e.sound.ReadStream(ctx, stream, from, limit) {
				if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing || !yield(r, err) {
					return
				}
			}
		}
	}
}

// lags: every third read does not see the latest event.
func lags(e *engine) {
	var reads atomic.Int64
	e.readStream = func(ctx context.Context, stream string, from int64, _ int) iter.Seq2[eventstore.Recorded, error] {
		events := 0
		for _, err := range e.sound.ReadStream(ctx, stream, from, 0) {
			if err == nil {
				events++
			}
		}
		if reads.Add(1)%3 == 0 && events > 1 {
			return e.sound.ReadStream(ctx, stream, from, events-1)
		}
		return e.sound.ReadStream(ctx, stream, from, 0)
	}
}

func fromOne(e *engine) {
	e.readStream = func(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
		return e.sound.ReadStream(ctx, stream, max(from-1, 0), limit)
	}
}

func leaks(e *engine) {
	e.subscribe = func(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
		return func(yield func(eventstore.Item, error) bool) {
			items := make(chan eventstore.Item)
			go func() {
				for item, err := range e.sound.Subscribe(ctx, after, filter) {
					if err != nil {
						return
					}
					items <- item
				}
			}()
			for item := range items {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

func endsSilently(e *engine) {
	e.subscribe = func(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
		return func(yield func(eventstore.Item, error) bool) {
			for item, err := range e.sound.Subscribe(ctx, after, filter) {
				if err != nil || !yield(item, nil) {
					return
				}
			}
		}
	}
}

// waitsBeyondTheHead yields nothing, and no error, to a reader whose position is from another log.
func waitsBeyondTheHead(e *engine) {
	e.subscribe = func(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
		return func(yield func(eventstore.Item, error) bool) {
			if head, err := e.sound.Head(ctx); err == nil && head.Before(after) {
				<-ctx.Done()
				yield(eventstore.Item{}, ctx.Err())
				return
			}
			e.sound.Subscribe(ctx, after, filter)(yield)
		}
	}
}
