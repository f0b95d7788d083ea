// Package guard tells whether a log is still the one that was followed so far. A log
// can be restored from a backup while it is followed, or be another one. The places
// that were kept then mean other events, or none. When the guard finds that, it
// refuses every call with *eventstore.DivergedError.
//
// The guard repairs nothing: somebody must decide what holds, and start the program
// anew.
package guard

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"daybook/eventstore"
)

// Options of a guard.
type Options struct {
	// Places returns all places in the log that a database keeps. They are compared at
	// the start and after each new connection.
	Places func(ctx context.Context) ([]eventstore.Place, error)
	// Known, where set, compares by what else is known of the log, at the same times.
	Known func(ctx context.Context, log eventstore.Store) error
	// Keep, where set, stores the latest event known of the log that was followed, once
	// another log is found in its place. Places must return it from then on, because
	// the other places may already be of the new log.
	Keep func(ctx context.Context, known eventstore.Anchor) error
	// Own tells whether an event is one that nobody but this program deletes or cuts off.
	Own func(eventstore.Anchor) bool
	// Every is the pause between two looks at the latest event that was seen; 0 is 500 ms.
	Every time.Duration
	// Settle is how long a difference must last until it is final, because a cluster's
	// new leader may be behind for a moment. Calls are refused meanwhile, with MayPass.
	Settle time.Duration
	Logger *slog.Logger
}

const (
	defaultEvery = 500 * time.Millisecond
	// suspectEvery is the pause between two looks while the log seems to be another.
	suspectEvery = 100 * time.Millisecond
	// lookMax bounds one comparison by the guard itself.
	lookMax = 10 * time.Second
)

// Store is a log under guard.
type Store struct {
	log         eventstore.Store
	options     Options
	connections func() uint64 // nil: the engine has none

	// diverged is why calls are refused; nil while the log is as expected.
	diverged  atomic.Pointer[eventstore.DivergedError]
	final     chan struct{} // closed when diverged does not change any more
	checked   atomic.Uint64 // the connections at the last whole comparison that found nothing
	turn      chan struct{} // held while comparing
	suspected time.Time     // when diverged was set; used with the turn only

	// held is what had been seen when the last comparison that found nothing began. What
	// was seen since may already be of another log. Used with the turn only.
	held seen

	mu   sync.Mutex
	seen seen
}

// seen is what a node has seen of the log.
type seen struct {
	own    eventstore.Anchor // the latest event of this program's streams
	latest eventstore.Anchor // and of all
}

func (s *seen) add(a eventstore.Anchor, own bool) {
	s.latest = s.latest.Later(a)
	if own {
		s.own = s.own.Later(a)
	}
}

// places are the places that this node itself knows, for Compare.
func (s seen) places() []eventstore.Place {
	all := []eventstore.Place{{Keeper: "this node", At: s.latest.Position, Anchor: s.latest}}
	if s.own != s.latest {
		all = append(all, eventstore.Place{Keeper: "this node", At: s.own.Position, Anchor: s.own})
	}
	return all
}

var _ eventstore.Store = (*Store)(nil)

// New puts a log under guard. Call Open before using it, and Run to go on comparing.
func New(log eventstore.Store, options Options) *Store {
	if options.Every <= 0 {
		options.Every = defaultEvery
	}
	if options.Own == nil {
		options.Own = func(eventstore.Anchor) bool { return false }
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{log: log, options: options, final: make(chan struct{}), turn: make(chan struct{}, 1)}
	if connecting, ok := log.(eventstore.Connecting); ok {
		s.connections = connecting.Connections
		connecting.AppendAfter(s.admitAppend)
	}
	return s
}

// Diverged is why the log is refused; nil while it is as expected. It answers from memory.
func (s *Store) Diverged() *eventstore.DivergedError { return s.diverged.Load() }

// Final is closed when the log has diverged and will not be used any more.
func (s *Store) Final() <-chan struct{} { return s.final }

// Open is Check at the start: it waits until a difference has gone away or is final.
func (s *Store) Open(ctx context.Context) error {
	for {
		err := s.Check(ctx)
		if _, diverged := errors.AsType[*eventstore.DivergedError](err); !diverged {
			return err
		}
		timer := time.NewTimer(suspectEvery)
		select {
		case <-s.final:
			timer.Stop()
			return s.diverged.Load()
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("compare the log: %w", ctx.Err())
		case <-timer.C:
		}
	}
}

// Check compares the log with everything that is known of it. It returns
// *eventstore.DivergedError if it is another, and other errors if that cannot be told.
func (s *Store) Check(ctx context.Context) error { return s.check(ctx, true) }

// Run compares again and again, until ctx ends or the log has diverged for good.
// It returns nil.
func (s *Store) Run(ctx context.Context) error {
	for {
		every := s.options.Every
		if s.diverged.Load() != nil {
			every = suspectEvery
		}
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-s.final:
			timer.Stop()
			<-ctx.Done()
			return nil
		case <-timer.C:
		}
		looking, cancel := context.WithTimeout(ctx, lookMax)
		// check notes a difference itself. Who uses the log meets all other errors, too.
		_ = s.check(looking, s.diverged.Load() != nil || s.renewed())
		cancel()
	}
}

// renewed tells whether the engine has connected since the last whole comparison.
func (s *Store) renewed() bool { return s.connections != nil && s.connections() != s.checked.Load() }

// admit lets a call through while the log is as expected.
func (s *Store) admit(ctx context.Context) error {
	if d := s.diverged.Load(); d != nil {
		return d
	}
	if s.renewed() {
		return s.check(ctx, false)
	}
	return nil
}

// admitAppend is admit for an append that the engine is about to send.
func (s *Store) admitAppend(ctx context.Context) (upTo uint64, err error) {
	err = s.admit(ctx)
	return s.checked.Load(), err
}

// check compares the log with the latest events that were seen. If whole is set, or
// there is a new connection, it compares with everything that is known.
func (s *Store) check(ctx context.Context, whole bool) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("compare the log: %w", ctx.Err())
	}
	defer func() { <-s.turn }()
	select {
	case <-s.final:
		return s.diverged.Load()
	default:
	}
	var connections uint64
	if s.connections != nil {
		connections = s.connections()
		whole = whole || connections != s.checked.Load()
	}
	err := s.compare(ctx, whole)
	if found, diverged := errors.AsType[*eventstore.DivergedError](err); diverged {
		return s.suspect(ctx, found)
	}
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("compare the log: %w", ctx.Err())
		}
		return &eventstore.UnavailableError{Cause: fmt.Errorf("compare the log: %w", err)}
	}
	if whole {
		s.checked.Store(connections)
		if s.diverged.Swap(nil) != nil {
			s.options.Logger.WarnContext(ctx, "the log is as expected again", "after", time.Since(s.suspected))
		}
	}
	return nil
}

// suspect refuses calls, and returns why. A difference that lasts is final.
func (s *Store) suspect(ctx context.Context, found *eventstore.DivergedError) *eventstore.DivergedError {
	now, is := time.Now(), *found
	first := s.diverged.Load() == nil
	if first {
		s.suspected = now
	}
	is.MayPass = now.Sub(s.suspected) < s.options.Settle
	s.diverged.Store(&is)
	if first || !is.MayPass {
		s.options.Logger.ErrorContext(ctx, "the log is not the one that was followed: nothing is taken and nothing is projected", "error", &is)
	}
	if is.MayPass {
		return &is
	}
	if s.options.Keep != nil {
		kept := s.held.own
		if kept.IsZero() {
			kept = s.held.latest
		}
		if err := s.options.Keep(ctx, kept); err != nil {
			s.options.Logger.WarnContext(ctx, "the latest event of the log that was followed is not noted", "error", err)
		}
	}
	close(s.final)
	return &is
}

// compare looks at what this node has seen. If whole is set, it looks at all that is
// kept, too.
func (s *Store) compare(ctx context.Context, whole bool) error {
	s.mu.Lock()
	now := s.seen
	s.mu.Unlock()
	places := now.places()
	if s.held != now {
		places = append(s.held.places(), places...)
	}
	if whole && s.options.Places != nil {
		kept, err := s.options.Places(ctx)
		if err != nil {
			return err
		}
		places = append(places, kept...)
	}
	if whole && s.options.Known != nil {
		if err := s.options.Known(ctx, s.log); err != nil {
			return err
		}
	}
	c := newComparison(s.log, s.options.Own)
	if err := c.run(ctx, places); err != nil {
		return err
	}
	s.note(c.latestOwn) // which this node may not have seen itself
	s.held = now
	s.held.add(c.latestOwn, true)
	if !whole {
		return nil
	}
	for e, err := range s.log.ReadAllBackwards(ctx, eventstore.End, eventstore.Filter{}, 1) {
		if err != nil {
			return err
		}
		a := eventstore.AnchorOf(&e)
		s.note(a)
		s.held.add(a, s.options.Own(a))
	}
	return nil
}

// broughtMax is how many events of a subscription are noted at once. It is few, so that
// the comparison every half second has an event that came a moment ago, and enough that
// an event costs next to nothing.
const broughtMax = 64

// nameOf is an event without its content, which nobody must keep for longer than its reader.
func nameOf(e *eventstore.Recorded) eventstore.Recorded {
	return eventstore.Recorded{Event: eventstore.Event{ID: e.ID}, Position: e.Position, Stream: e.Stream, Revision: e.Revision, RecordedAt: e.RecordedAt}
}

// sawAll notes the latest of events that a subscription has brought, in their order: the
// last of them, and the last of this program's.
func (s *Store) sawAll(events []eventstore.Recorded) {
	for i := range slices.Backward(events) {
		a := eventstore.AnchorOf(&events[i])
		own := s.options.Own(a)
		if own || i == len(events)-1 {
			s.note(a)
		}
		if own {
			return
		}
	}
}

func (s *Store) note(a eventstore.Anchor) {
	own := s.options.Own(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.add(a, own)
}

// last is the position of the latest event that was seen.
func (s *Store) last() eventstore.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.latest.Position
}

// Latest is the latest event of this program's streams that was seen in the log.
func (s *Store) Latest() eventstore.Anchor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.own
}

// at is the latest event of this program's streams that was seen, if it is at or before
// a position. Only if none was seen at all it is another program's, which may be deleted
// and then says nothing any more.
func (s *Store) at(position eventstore.Position) eventstore.Anchor {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.seen.own
	if known.IsZero() {
		known = s.seen.latest
	}
	if position.Before(known.Position) {
		return eventstore.Anchor{}
	}
	return known
}

// Append implements eventstore.Store. An answer is believed only if it stands
// after everything that was seen before, and came from the log that was compared.
func (s *Store) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if err := s.admit(ctx); err != nil {
		return eventstore.Result{}, err
	}
	before := s.last()
	result, err := s.log.Append(ctx, stream, expected, events)
	if err != nil {
		return result, s.explain(ctx, err)
	}
	err = s.admit(ctx)
	if err == nil && !result.Replayed && !before.Before(result.Position) {
		err = s.check(ctx, true)
	}
	if err != nil {
		return eventstore.Result{}, &eventstore.OutcomeUnknownError{Cause: err}
	}
	s.note(eventstore.AnchorOf(&eventstore.Recorded{
		Event: events[len(events)-1], Position: result.Position, Stream: stream, Revision: result.Revision,
	}))
	return result, nil
}

// ReadStream implements eventstore.Store.
func (s *Store) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.read(ctx, func() iter.Seq2[eventstore.Recorded, error] { return s.log.ReadStream(ctx, stream, from, limit) })
}

// ReadAll implements eventstore.Store.
func (s *Store) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.read(ctx, func() iter.Seq2[eventstore.Recorded, error] { return s.log.ReadAll(ctx, after, filter, limit) })
}

// ReadStreamBackwards implements eventstore.Store.
func (s *Store) ReadStreamBackwards(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.read(ctx, func() iter.Seq2[eventstore.Recorded, error] {
		return s.log.ReadStreamBackwards(ctx, stream, from, limit)
	})
}

// ReadAllBackwards implements eventstore.Store.
func (s *Store) ReadAllBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.read(ctx, func() iter.Seq2[eventstore.Recorded, error] {
		return s.log.ReadAllBackwards(ctx, before, filter, limit)
	})
}

func (s *Store) read(ctx context.Context, open func() iter.Seq2[eventstore.Recorded, error]) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		if err := s.admit(ctx); err != nil {
			yield(eventstore.Recorded{}, err)
			return
		}
		for e, err := range open() {
			if err == nil {
				err = s.admit(ctx)
			} else {
				err = s.explain(ctx, err)
			}
			if err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// explain compares the log when it does not know a reader's place, or when the engine
// itself has found that the log is another. If the log has diverged, that is the error.
// Otherwise the place is the reader's own fault.
func (s *Store) explain(ctx context.Context, err error) error {
	_, none := errors.AsType[*eventstore.UnknownPlaceError](err)
	_, another := errors.AsType[*eventstore.DivergedError](err)
	_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
	if (none || another) && !unknown {
		if found, diverged := errors.AsType[*eventstore.DivergedError](s.check(ctx, true)); diverged {
			return found
		}
	}
	return err
}

// Subscribe implements eventstore.Store. Its marks tell the latest event known of this
// program's streams.
func (s *Store) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) {
		if err := s.admit(ctx); err != nil {
			yield(eventstore.Item{}, err)
			return
		}
		brought := make([]eventstore.Recorded, 0, broughtMax)
		defer func() { s.sawAll(brought) }()
		for item, err := range s.log.Subscribe(ctx, after, filter) {
			if err == nil {
				err = s.admit(ctx)
			} else {
				err = s.explain(ctx, err)
			}
			if err != nil {
				yield(eventstore.Item{}, err)
				return
			}
			if item.Event == nil || len(brought) == cap(brought) {
				s.sawAll(brought)
				brought = brought[:0]
			}
			if item.Event == nil {
				item.Known = s.at(item.Checkpoint)
			} else {
				brought = append(brought, nameOf(item.Event))
			}
			if !yield(item, nil) {
				return
			}
		}
	}
}

// Head implements eventstore.Store.
func (s *Store) Head(ctx context.Context) (eventstore.Position, error) {
	if err := s.admit(ctx); err != nil {
		return eventstore.Start, err
	}
	head, err := s.log.Head(ctx)
	if err == nil {
		err = s.admit(ctx)
	} else {
		err = s.explain(ctx, err)
	}
	if err != nil {
		return eventstore.Start, err
	}
	return head, nil
}

// Pulse implements eventstore.Proving. An engine without one cannot fall silent.
func (s *Store) Pulse() eventstore.Pulse {
	if proving, ok := s.log.(eventstore.Proving); ok {
		return proving.Pulse()
	}
	return eventstore.Pulse{Proven: time.Now()}
}
