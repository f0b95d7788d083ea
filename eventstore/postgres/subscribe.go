package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"daybook/eventstore"
)

// markEvery bounds the events examined and not selected between two marks.
const markEvery = 1000

// Subscribe implements eventstore.Store. It runs in the goroutine of its consumer, so a
// consumer that stops leaves no goroutine behind.
func (s *Store) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) {
		sub := &subscription{
			store:  s,
			filter: filter,
			pager:  newPager(filter, s.large),
			after:  after.Whole(),
			yield:  func(item eventstore.Item) bool { return yield(item, nil) },
		}
		if err := sub.run(ctx); err != nil && !errors.Is(err, errStopped) {
			yield(eventstore.Item{}, err)
		}
	}
}

// errStopped means that the consumer wants no more items.
var errStopped = errors.New("the consumer stopped")

// subscription is one reader's place in the log. Its only state is the position that it has
// reached. The tail tells whether it has caught up.
type subscription struct {
	store   *Store
	filter  eventstore.Filter
	pager   *pager
	yield   func(eventstore.Item) bool
	after   uint64
	skipped int // events not selected since the last item
}

func (s *subscription) run(ctx context.Context) error {
	s.store.tail.join()
	defer s.store.tail.leave()
	head, err := s.head(ctx)
	if err != nil {
		return err
	}
	if s.after > head {
		return notTheLog(eventstore.At(s.after), head)
	}
	for {
		s.store.tail.prove(head)
		if err := s.fromDatabase(ctx, head); err != nil {
			return err
		}
		if err := s.fromTail(ctx); err != nil {
			return err
		}
		if head, err = s.head(ctx); err != nil { // the tail no longer has this position
			return err
		}
	}
}

// fromDatabase reads until the tail covers the position, or the head is reached.
func (s *subscription) fromDatabase(ctx context.Context, head uint64) error {
	defer s.pager.done()
	for s.after < head && !s.store.tail.covers(s.after) {
		if err := s.ended(ctx); err != nil {
			return err
		}
		page, reached, err := s.pager.page(ctx, s.store, s.after, head, 0)
		if err != nil {
			if err := s.outage(ctx, err); err != nil {
				return err
			}
			continue
		}
		for i := range page {
			if err := s.give(&page[i]); err != nil {
				return err
			}
		}
		if s.after < reached { // the filter selected nothing in the rest
			s.after = reached
			if err := s.mark(false); err != nil {
				return err
			}
		}
	}
	return nil
}

// fromTail reads from the tail and waits for more, until the tail no longer covers this
// position.
func (s *subscription) fromTail(ctx context.Context) error {
	for told := false; ; {
		if err := s.ended(ctx); err != nil {
			return err
		}
		v := s.store.tail.read(s.after)
		switch {
		case v.err != nil:
			return fmt.Errorf("subscribe: %w", v.err)
		case v.known && !v.covered:
			return nil
		case len(v.events) > 0:
			told = false
			for i := range v.events {
				if err := s.examine(&v.events[i]); err != nil {
					return err
				}
			}
			continue
		case v.head && !told:
			told = true
			if err := s.mark(true); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
		case <-s.store.closed:
		case <-v.changed:
		}
	}
}

// examine yields an event of the tail if the filter selects it.
func (s *subscription) examine(e *eventstore.Recorded) error {
	if s.filter.Selects(e.Type, e.Stream) {
		return s.give(e)
	}
	s.after = number(e.Position)
	if s.skipped++; s.skipped >= markEvery {
		return s.mark(false)
	}
	return nil
}

func (s *subscription) give(e *eventstore.Recorded) error {
	s.after, s.skipped = number(e.Position), 0
	if !s.yield(eventstore.Item{Event: e, Checkpoint: e.Position}) {
		return errStopped
	}
	return nil
}

func (s *subscription) mark(caughtUp bool) error {
	s.skipped = 0
	if !s.yield(eventstore.Item{Checkpoint: eventstore.At(s.after), CaughtUp: caughtUp}) {
		return errStopped
	}
	return nil
}

// ended is the error of a subscription that must end.
func (s *subscription) ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("subscribe: %w", ctx.Err())
	}
	select {
	case <-s.store.closed:
		return &eventstore.UnavailableError{Cause: errClosed}
	default:
		return nil
	}
}

// head reads the head, however long the server is away.
func (s *subscription) head(ctx context.Context) (uint64, error) {
	for {
		head, err := s.store.head(ctx)
		if err == nil {
			return head, nil
		}
		if err := s.outage(ctx, err); err != nil {
			return 0, err
		}
	}
}

// outage waits a little if the server is away. Otherwise it returns the error that ends the
// subscription.
func (s *subscription) outage(ctx context.Context, cause error) error {
	if err := s.ended(ctx); err != nil {
		return err
	}
	if !isOutage(cause) {
		return readError(ctx, "subscribe", cause)
	}
	s.store.logger.WarnContext(ctx, "a subscription waits for the database", "after", s.after, "error", cause)
	waiting, cancel := context.WithTimeout(ctx, maxBackoff)
	defer cancel()
	select {
	case <-waiting.Done():
	case <-s.store.closed:
	}
	return nil
}
