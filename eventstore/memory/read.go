package memory

import (
	"context"
	"fmt"
	"iter"

	"daybook/eventstore"
)

const (
	pageSize  = 256  // events copied under the lock at a time
	markEvery = 1000 // events examined and not selected, at most, between marks
)

// Head implements eventstore.Store.
func (s *Store) Head(ctx context.Context) (eventstore.Position, error) {
	if err := ctx.Err(); err != nil {
		return eventstore.Start, fmt.Errorf("head: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return eventstore.At(uint64(len(s.log))), nil
}

// ReadStream implements eventstore.Store.
func (s *Store) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		s.mu.Lock()
		// No copy is needed, because streams are only appended to.
		places, ended := s.streams[stream], s.ended(stream)
		s.mu.Unlock()
		if err := readable(ctx, stream, len(places), ended); err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		places = places[min(max(from, 0), int64(len(places))):]
		if limit > 0 {
			places = places[:min(limit, len(places))]
		}
		for _, at := range places {
			if err := ctx.Err(); err != nil {
				yield(eventstore.Recorded{}, fmt.Errorf("read stream %s: %w", stream, err))
				return
			}
			if !yield(s.at(at), nil) {
				return
			}
		}
	}
}

// ReadStreamBackwards implements eventstore.Store.
func (s *Store) ReadStreamBackwards(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		s.mu.Lock()
		places, ended := s.streams[stream], s.ended(stream)
		s.mu.Unlock()
		if err := readable(ctx, stream, len(places), ended); err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		given := 0
		for revision := min(from, int64(len(places))-1); revision >= 0; revision-- {
			if err := ctx.Err(); err != nil {
				yield(eventstore.Recorded{}, fmt.Errorf("read stream %s: %w", stream, err))
				return
			}
			if !yield(s.at(places[revision]), nil) {
				return
			}
			if given++; given == limit {
				return
			}
		}
	}
}

// readable returns the error of a stream that cannot be read, or nil.
func readable(ctx context.Context, stream string, events int, ended bool) error {
	switch err := ctx.Err(); {
	case err != nil:
		return fmt.Errorf("read stream %s: %w", stream, err)
	case ended:
		return &eventstore.DeletedError{Stream: stream}
	case events == 0:
		return &eventstore.NotFoundError{Stream: stream}
	}
	return nil
}

func (s *Store) at(index int) eventstore.Recorded {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log[index]
}

// ReadAll implements eventstore.Store.
func (s *Store) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		head, err := s.Head(ctx)
		if err != nil {
			yield(eventstore.Recorded{}, fmt.Errorf("read log: %w", err))
			return
		}
		given := 0
		for after.Before(head) {
			page, _ := s.page(after)
			for _, e := range page {
				if head.Before(e.Position) {
					return
				}
				if err := ctx.Err(); err != nil {
					yield(eventstore.Recorded{}, fmt.Errorf("read log: %w", err))
					return
				}
				after = e.Position
				if !filter.Selects(e.Type, e.Stream) {
					continue
				}
				if !yield(e, nil) {
					return
				}
				if given++; given == limit {
					return
				}
			}
		}
	}
}

// ReadAllBackwards implements eventstore.Store.
func (s *Store) ReadAllBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		s.mu.Lock()
		log := s.log // only ever appended to
		s.mu.Unlock()
		if n, _ := before.Pair(); n <= uint64(len(log)) {
			log = log[:max(n, 1)-1]
		}
		given := 0
		for i := len(log) - 1; i >= 0; i-- {
			if err := ctx.Err(); err != nil {
				yield(eventstore.Recorded{}, fmt.Errorf("read log: %w", err))
				return
			}
			if !filter.Selects(log[i].Type, log[i].Stream) {
				continue
			}
			if !yield(log[i], nil) {
				return
			}
			if given++; given == limit {
				return
			}
		}
	}
}

// page returns events after a position, and a channel that is closed when the log has more events
// than at the time of the call.
func (s *Store) page(after eventstore.Position) ([]eventstore.Recorded, <-chan struct{}) {
	first := after.Whole()
	s.mu.Lock()
	defer s.mu.Unlock()
	if first >= uint64(len(s.log)) {
		return nil, s.changed
	}
	last := min(first+pageSize, uint64(len(s.log)))
	// A recorded event never changes, so this part of the log needs no copy.
	return s.log[first:last:last], s.changed
}

// Subscribe implements eventstore.Store.
func (s *Store) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) {
		err := s.subscribe(ctx, after, filter, func(item eventstore.Item) bool { return yield(item, nil) })
		if err != nil {
			yield(eventstore.Item{}, fmt.Errorf("subscription: %w", err))
		}
	}
}

// subscribe runs until ctx ends, which is its error, or yield returns false.
func (s *Store) subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter, yield func(eventstore.Item) bool) error {
	if head, err := s.Head(ctx); err != nil {
		return err
	} else if head.Before(after) {
		return &eventstore.UnknownPlaceError{Position: after, Head: head}
	}
	skipped := 0 // events not selected since the last item
	for {
		page, more := s.page(after)
		for i := range page {
			if err := ctx.Err(); err != nil {
				return err
			}
			e := &page[i]
			after = e.Position
			item := eventstore.Item{Checkpoint: after}
			if filter.Selects(e.Type, e.Stream) {
				recorded := *e // a copy, so that the reader cannot change the log
				item.Event = &recorded
			} else if skipped++; skipped < markEvery {
				continue
			}
			skipped = 0
			if !yield(item) {
				return nil
			}
		}
		if len(page) > 0 {
			continue
		}
		skipped = 0
		if !yield(eventstore.Item{Checkpoint: after, CaughtUp: true}) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-more:
		}
	}
}
