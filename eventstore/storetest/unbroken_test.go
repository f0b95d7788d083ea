package storetest_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// likeEventStoreDB is an engine that keeps the contract and promises no more. It compares ids only
// within a stream, does not tell a conflict's actual revision, and answers *conflict* for an id
// that it knows. It accepts a tombstone only alone, and gives it the highest revision and another
// id. Its positions have two counters, and gaps.
func likeEventStoreDB(e *engine) {
	given := &idsByStream{own: make(map[uuid.UUID]uuid.UUID)}
	out := func(r *eventstore.Recorded) bool {
		r.ID = given.of(r.ID)
		r.Position = sparse(r.Position)
		if r.Type == eventstore.TombstoneType {
			r.ID, r.Revision = uuid.NewSHA1(r.ID, []byte("server")), eventstore.LastRevision
		}
		return true
	}
	e.appendAll = nil
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		if len(events) > 1 && endsStream(events) {
			return eventstore.Result{}, &eventstore.InvalidError{Reason: "a tombstone among others"}
		}
		if err := eventstore.CheckAppend(stream, expected, events); err != nil {
			return eventstore.Result{}, err
		}
		own := given.in(stream, events)
		result, err := e.sound.Append(ctx, stream, expected, own)
		if _, duplicate := errors.AsType[*eventstore.DuplicateEventError](err); duplicate {
			err = &eventstore.ConflictError{Stream: stream, Expected: expected, Actual: eventstore.UnknownRevision}
		}
		if conflict, ok := errors.AsType[*eventstore.ConflictError](err); ok {
			conflict.Actual = eventstore.UnknownRevision
		}
		result.Position = sparse(result.Position)
		if err == nil && endsStream(events) {
			result.Revision = eventstore.LastRevision
		}
		return result, err
	}
	stream := func(read readStreamFunc) readStreamFunc {
		return func(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
			return changed(func(context.Context, eventstore.Position, eventstore.Filter, int) iter.Seq2[eventstore.Recorded, error] {
				return read(ctx, stream, from, limit)
			}, out)(ctx, eventstore.Start, eventstore.Filter{}, limit)
		}
	}
	all := func(read readAllFunc) readAllFunc {
		return func(ctx context.Context, position eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
			return changed(read, out)(ctx, dense(position), filter, limit)
		}
	}
	e.readStream, e.readStreamBackwards = stream(e.sound.ReadStream), stream(e.sound.ReadStreamBackwards)
	e.readAll, e.readAllBackwards = all(e.sound.ReadAll), all(e.sound.ReadAllBackwards)
	e.head = func(ctx context.Context) (eventstore.Position, error) {
		head, err := e.sound.Head(ctx)
		return sparse(head), err
	}
	e.subscribe = func(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
		return func(yield func(eventstore.Item, error) bool) {
			for item, err := range e.sound.Subscribe(ctx, dense(after), filter) {
				if unknown, ok := errors.AsType[*eventstore.UnknownPlaceError](err); ok {
					err = &eventstore.UnknownPlaceError{Position: after, Head: sparse(unknown.Head)}
				}
				item.Checkpoint = sparse(item.Checkpoint)
				if item.Event == nil && !item.CaughtUp { // a checkpoint, which lies between this event and the next
					item.Checkpoint = eventstore.AtPair((number(item.Checkpoint)/gap+1)*gap+7, 0)
				}
				if item.Event != nil {
					out(item.Event)
				}
				if !yield(item, err) {
					return
				}
			}
		}
	}
}

const gap = 100 // between two positions

func sparse(p eventstore.Position) eventstore.Position {
	if p.IsStart() {
		return p
	}
	return eventstore.AtPair(number(p)*gap+7, number(p)*gap)
}

func dense(p eventstore.Position) eventstore.Position {
	if commit, prepare := p.Pair(); commit > 0 && prepare == 0 {
		return eventstore.At(commit/gap - 1)
	}
	return eventstore.At(number(p) / gap)
}

// idsByStream gives the log another id for each stream. So a log that knows all ids does not notice
// that two streams use one id.
type idsByStream struct {
	mu  sync.Mutex
	own map[uuid.UUID]uuid.UUID // the id that was given, by the id in the log
}

func (ids *idsByStream) in(stream string, events []eventstore.Event) []eventstore.Event {
	ids.mu.Lock()
	defer ids.mu.Unlock()
	changed := slices.Clone(events)
	for i, e := range events {
		if e.ID != uuid.Nil {
			changed[i].ID = uuid.NewSHA1(e.ID, []byte(stream))
			ids.own[changed[i].ID] = e.ID
		}
	}
	return changed
}

func (ids *idsByStream) of(id uuid.UUID) uuid.UUID {
	ids.mu.Lock()
	defer ids.mu.Unlock()
	return ids.own[id]
}
