package storetest_test

import (
	"context"
	"errors"
	"iter"
	"strings"

	"daybook/eventstore"
)

func nothing(func(eventstore.Recorded, error) bool) {}

func nothingBeyond(e *engine) {
	e.readStreamBackwards = func(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
		for last, err := range e.sound.ReadStreamBackwards(ctx, stream, eventstore.LastRevision, 1) {
			if err == nil && from > last.Revision {
				return nothing
			}
		}
		return e.sound.ReadStreamBackwards(ctx, stream, from, limit)
	}
}

func leavesOutFirst(e *engine) {
	e.readStreamBackwards = func(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
		return e.sound.ReadStreamBackwards(ctx, stream, from-1, limit)
	}
}

func forwardsAnyway(e *engine) {
	e.readStreamBackwards = func(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
		return e.sound.ReadStream(ctx, stream, from, limit)
	}
}

func yieldsNothingBackwards(e *engine) {
	e.readStreamBackwards = func(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
		return func(yield func(eventstore.Recorded, error) bool) {
			for r, err := range e.sound.ReadStreamBackwards(ctx, stream, from, limit) {
				if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing || !yield(r, err) {
					return
				}
			}
		}
	}
}

func startsAtBackwards(e *engine) {
	e.readAllBackwards = func(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
		if before != eventstore.End {
			before = eventstore.At(number(before) + 1)
		}
		return e.sound.ReadAllBackwards(ctx, before, filter, limit)
	}
}

func noLimitBackwards(e *engine) {
	e.readAllBackwards = func(ctx context.Context, before eventstore.Position, filter eventstore.Filter, _ int) iter.Seq2[eventstore.Recorded, error] {
		return e.sound.ReadAllBackwards(ctx, before, filter, 0)
	}
}

func nothingFromEnd(e *engine) {
	e.readAllBackwards = func(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
		if before == eventstore.End { // as a signed number, End is -1 and so before the first event
			return nothing
		}
		return e.sound.ReadAllBackwards(ctx, before, filter, limit)
	}
}

func stopsAtSecond(e *engine) {
	e.readAllBackwards = changed(e.sound.ReadAllBackwards, func(r *eventstore.Recorded) bool { return number(r.Position) > 1 })
}

func losesPageEdge(e *engine) {
	e.readAllBackwards = changed(e.sound.ReadAllBackwards, func(r *eventstore.Recorded) bool { return number(r.Position)%500 != 0 })
}

func onePage(e *engine) {
	e.readAllBackwards = func(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
		head, _ := e.sound.Head(ctx)
		from := min(number(before), number(head)+1)
		return changed(e.sound.ReadAllBackwards, func(r *eventstore.Recorded) bool {
			return number(r.Position)+4000 >= from
		})(ctx, before, filter, limit)
	}
}

func bySubstringBackwards(e *engine) {
	e.readAllBackwards = func(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
		return changed(e.sound.ReadAllBackwards, func(r *eventstore.Recorded) bool {
			for _, part := range filter.StreamPrefixes {
				if strings.Contains(r.Stream, part[len(part)-1:]) {
					return true
				}
			}
			return filter.Selects(r.Type, r.Stream)
		})(ctx, before, eventstore.Filter{}, limit)
	}
}

// commitsLateBackwards is commitsLate for reads backwards: every fifth event becomes visible late.
func commitsLateBackwards(e *engine) {
	e.readAllBackwards = func(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
		head, _ := e.sound.Head(ctx)
		return changed(e.sound.ReadAllBackwards, func(r *eventstore.Recorded) bool {
			n := number(r.Position)
			return n%5 != 0 || n+2 <= number(head)
		})(ctx, before, filter, limit)
	}
}

// lagsBackwards: no read sees the latest event.
func lagsBackwards(e *engine) {
	e.readAllBackwards = func(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
		if head, _ := e.sound.Head(ctx); before == eventstore.End {
			before = head
		}
		return e.sound.ReadAllBackwards(ctx, before, filter, limit)
	}
}

func truncates(e *engine) {
	e.readStream = func(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
		return func(yield func(eventstore.Recorded, error) bool) {
			for r, err := range e.sound.ReadStream(ctx, stream, from, limit) {
				if errors.Is(err, context.Canceled) || !yield(r, err) {
					return
				}
			}
		}
	}
}

func ignoresContextBackwards(e *engine) {
	e.readAllBackwards = func(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
		return e.sound.ReadAllBackwards(context.WithoutCancel(ctx), before, filter, limit)
	}
}

func leaksBackwards(e *engine) {
	e.readAllBackwards = func(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
		return func(yield func(eventstore.Recorded, error) bool) {
			events := make(chan eventstore.Recorded)
			go func() {
				defer close(events)
				for r, err := range e.sound.ReadAllBackwards(ctx, before, filter, limit) {
					if err != nil {
						return
					}
					events <- r
				}
			}()
			for r := range events {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}
