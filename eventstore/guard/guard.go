// Package guard checks that the log is still the log that was followed so far. A log can be
// restored from a backup while it is followed, or can be replaced by another one. Places that
// were stored before then mean other events, or none. If the guard finds that, it refuses
// every call with *eventstore.DivergedError.
//
// The guard repairs nothing. Somebody must decide what to do and start the program again.
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
	// Places returns all places in the log that a database stores. They are compared at the
	// start and after each new connection.
	Places func(ctx context.Context) ([]eventstore.Place, error)
	// AlsoCompare, if set, compares the log with what a database knows of it beside the places. It
	// is called at the same times.
	AlsoCompare func(ctx context.Context, log eventstore.Store) error
	// Keep, if set, is called when another log is found in place of the one that was followed.
	// It stores the latest known event of the old log. From then on Places must return this
	// event, because all other places may already belong to the new log.
	Keep func(ctx context.Context, latest eventstore.Anchor) error
	// Own tells whether an event is in a stream from which only this program may delete events.
	Own func(eventstore.Anchor) bool
	// Every is the pause between two comparisons with the latest event that was seen; 0 means
	// 500 ms.
	Every time.Duration
	// Settle is how long a difference must last before it is final, because a cluster's new
	// leader may be behind for a moment. Until then, calls are refused with MayPass.
	Settle time.Duration
	// Observe, if set, is told of each append that the engine was asked for, and of its error. It
	// must not wait.
	Observe func(writes []eventstore.Write, began time.Time, err error)
	Logger  *slog.Logger
}

const (
	defaultEvery = 500 * time.Millisecond
	// suspectEvery is the pause between two comparisons while the log seems to be another
	// one.
	suspectEvery = 100 * time.Millisecond
	// compareMax bounds one comparison that the guard itself starts.
	compareMax = 10 * time.Second
)

// Store is a log that the guard checks.
type Store struct {
	log         eventstore.Store
	options     Options
	connections func() uint64 // nil: the engine has none

	// diverged is why calls are refused. It is nil while the log is as expected.
	diverged  atomic.Pointer[eventstore.DivergedError]
	final     chan struct{} // closed when diverged does not change any more
	checked   atomic.Uint64 // Connections at the last comparison with everything that found no difference
	comparing chan struct{} // held while comparing
	suspected time.Time     // when diverged was set; used only while holding comparing

	// lastAgreed is what this node had seen when the last comparison without a difference began.
	// Events that it has seen since then may belong to another log. It is used only while holding
	// comparing.
	lastAgreed seen

	mu   sync.Mutex
	seen seen
}

// seen is the latest that a node has seen of the log.
type seen struct {
	own    eventstore.Anchor // the latest event of this program's streams
	latest eventstore.Anchor // the latest event of all
}

func (s *seen) add(a eventstore.Anchor, own bool) {
	s.latest = s.latest.Later(a)
	if own {
		s.own = s.own.Later(a)
	}
}

// places are the places that this node itself knows, as Compare needs them.
func (s seen) places() []eventstore.Place {
	all := []eventstore.Place{{Keeper: "this node", At: s.latest.Position, Anchor: s.latest}}
	if s.own != s.latest {
		all = append(all, eventstore.Place{Keeper: "this node", At: s.own.Position, Anchor: s.own})
	}
	return all
}

var _ eventstore.Store = (*Store)(nil)

// New makes a guard for a log. Call Open before using it, and Run to go on comparing.
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
	s := &Store{log: log, options: options, final: make(chan struct{}), comparing: make(chan struct{}, 1)}
	if connecting, ok := log.(eventstore.ConnectionReporter); ok {
		s.connections = connecting.Connections
		connecting.AskBeforeAppend(s.admitAppend)
	}
	return s
}

// Diverged is why the log is refused. It is nil while the log is as expected. It does not ask
// the engine.
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
// *eventstore.DivergedError if the log has diverged, and other errors if the comparison
// failed.
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
		limited, cancel := context.WithTimeout(ctx, compareMax)
		// check stores a difference itself. Other errors also reach the users of the log.
		_ = s.check(limited, s.diverged.Load() != nil || s.renewed())
		cancel()
	}
}

// renewed tells whether the engine has a new connection since the last comparison with
// everything.
func (s *Store) renewed() bool { return s.connections != nil && s.connections() != s.checked.Load() }

// admit refuses a call if the log has diverged.
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

// check compares the log with the latest events that this node has seen. If whole is set, or
// there is a new connection, it compares with everything that is known.
func (s *Store) check(ctx context.Context, whole bool) error {
	select {
	case s.comparing <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("compare the log: %w", ctx.Err())
	}
	defer func() { <-s.comparing }()
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

// suspect makes the guard refuse calls, and returns the reason. A difference that lasts
// becomes final.
func (s *Store) suspect(ctx context.Context, found *eventstore.DivergedError) *eventstore.DivergedError {
	now, is := time.Now(), *found
	first := s.diverged.Load() == nil
	if first {
		s.suspected = now
	}
	is.MayPass = now.Sub(s.suspected) < s.options.Settle
	s.diverged.Store(&is)
	if first || !is.MayPass {
		s.options.Logger.ErrorContext(ctx, "the log is not the one that was followed: this node takes no commands and projects nothing", "error", &is)
	}
	if is.MayPass {
		return &is
	}
	if s.options.Keep != nil {
		kept := s.lastAgreed.own
		if kept.IsZero() {
			kept = s.lastAgreed.latest
		}
		if err := s.options.Keep(ctx, kept); err != nil {
			s.options.Logger.WarnContext(ctx, "the latest event of the log that was followed could not be stored", "error", err)
		}
	}
	close(s.final)
	return &is
}

// compare compares with what this node has seen. If whole is set, it also compares with all
// places that are stored.
func (s *Store) compare(ctx context.Context, whole bool) error {
	s.mu.Lock()
	now := s.seen
	s.mu.Unlock()
	places := now.places()
	if s.lastAgreed != now {
		places = append(s.lastAgreed.places(), places...)
	}
	if whole && s.options.Places != nil {
		kept, err := s.options.Places(ctx)
		if err != nil {
			return err
		}
		places = append(places, kept...)
	}
	if whole && s.options.AlsoCompare != nil {
		if err := s.options.AlsoCompare(ctx, s.log); err != nil {
			return err
		}
	}
	c := newComparison(s.log, s.options.Own)
	if err := c.run(ctx, places); err != nil {
		return err
	}
	s.note(c.latestOwn) // because this node may not have seen this event itself
	s.lastAgreed = now
	s.lastAgreed.add(c.latestOwn, true)
	if !whole {
		return nil
	}
	for e, err := range s.log.ReadAllBackwards(ctx, eventstore.End, eventstore.Filter{}, 1) {
		if err != nil {
			return err
		}
		a := eventstore.AnchorOf(&e)
		s.note(a)
		s.lastAgreed.add(a, s.options.Own(a))
	}
	return nil
}

// noteTogether is how many events of a subscription are noted together. It is small, so that
// the comparison every half second has an event that came a moment ago. It is large enough
// that each event costs nearly nothing.
const noteTogether = 64

// nameOf is an event without its content, because the content may be large and only its
// reader should keep it.
func nameOf(e *eventstore.Recorded) eventstore.Recorded {
	return eventstore.Recorded{Event: eventstore.Event{ID: e.ID}, Position: e.Position, Stream: e.Stream, Revision: e.Revision, RecordedAt: e.RecordedAt}
}

// noteAll notes the latest of events that a subscription has yielded, in their order: the
// last of all, and the last of this program.
func (s *Store) noteAll(events []eventstore.Recorded) {
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

// at is the latest event of this program's streams that was seen, if it is at or before a
// position. Only if none was ever seen, it is an event of another program. That event may be
// deleted, and then it proves nothing any more.
func (s *Store) at(position eventstore.Position) eventstore.Anchor {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen.own
	if seen.IsZero() {
		seen = s.seen.latest
	}
	if position.Before(seen.Position) {
		return eventstore.Anchor{}
	}
	return seen
}

// Append implements eventstore.Store.
func (s *Store) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if err := s.admit(ctx); err != nil {
		return eventstore.Result{}, err
	}
	before := s.last()
	result, err := s.append(ctx, stream, expected, events)
	if err != nil {
		return result, s.explain(ctx, err)
	}
	if err := s.believe(ctx, before, result); err != nil {
		return eventstore.Result{}, err
	}
	s.noteLast(stream, events, result)
	return result, nil
}

func (s *Store) append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if s.options.Observe == nil {
		return s.log.Append(ctx, stream, expected, events)
	}
	began := time.Now()
	result, err := s.log.Append(ctx, stream, expected, events)
	s.options.Observe([]eventstore.Write{{Stream: stream, Expected: expected, Events: events}}, began, err)
	return result, err
}

// believe returns an error if the results of an append may not be true. They are believed only if
// each position is after everything that was seen before the append, and if they came from the log
// that was compared.
func (s *Store) believe(ctx context.Context, before eventstore.Position, results ...eventstore.Result) error {
	err := s.admit(ctx)
	if err == nil && slices.ContainsFunc(results, func(r eventstore.Result) bool { return !r.Replayed && !before.Before(r.Position) }) {
		err = s.check(ctx, true)
	}
	if err != nil {
		return &eventstore.OutcomeUnknownError{Cause: err}
	}
	return nil
}

// noteLast notes the last event of an append.
func (s *Store) noteLast(stream string, events []eventstore.Event, result eventstore.Result) {
	s.note(eventstore.AnchorOf(&eventstore.Recorded{
		Event: events[len(events)-1], Position: result.Position, Stream: stream, Revision: result.Revision,
	}))
}

// MultiAppender returns a guard that can append to several streams at once, if the engine can do
// that. See eventstore.MultiAppenderOf.
func (s *Store) MultiAppender() (eventstore.MultiAppender, bool) {
	log, ok := eventstore.MultiAppenderOf(s.log)
	if !ok {
		return nil, false
	}
	return multiAppender{s, log}, true
}

// TurnTaker returns the engine's own TurnTaker. A turn records nothing, so it needs no guard. See
// eventstore.TurnTakerOf.
func (s *Store) TurnTaker() (eventstore.TurnTaker, bool) { return eventstore.TurnTakerOf(s.log) }

// multiAppender is a guard over an engine that appends to several streams at once.
type multiAppender struct {
	guard *Store
	log   eventstore.MultiAppender
}

// AppendAll implements eventstore.MultiAppender.
func (m multiAppender) AppendAll(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
	s := m.guard
	if err := s.admit(ctx); err != nil {
		return nil, err
	}
	before, began := s.last(), time.Now()
	results, err := m.log.AppendAll(ctx, writes)
	if s.options.Observe != nil {
		s.options.Observe(writes, began, err)
	}
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	if err := s.believe(ctx, before, results...); err != nil {
		return nil, err
	}
	for i, w := range writes {
		s.noteLast(w.Stream, w.Events, results[i])
	}
	return results, nil
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

// explain compares the log after an error: the log does not know a reader's place, or the
// engine itself found that the log has diverged. If the log has diverged, that is the error.
// Otherwise the reader gave a wrong place.
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

// Subscribe implements eventstore.Store. Its marks say the latest known event of this
// program's streams.
func (s *Store) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) {
		if err := s.admit(ctx); err != nil {
			yield(eventstore.Item{}, err)
			return
		}
		brought := make([]eventstore.Recorded, 0, noteTogether)
		defer func() { s.noteAll(brought) }()
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
				s.noteAll(brought)
				brought = brought[:0]
			}
			if item.Event == nil {
				item.Anchor = s.at(item.Checkpoint)
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
	return s.admitted(ctx, s.log.Head)
}

// End implements eventstore.EndReader. Of an engine without records of its own it is the head.
func (s *Store) End(ctx context.Context) (eventstore.Position, error) {
	return s.admitted(ctx, func(ctx context.Context) (eventstore.Position, error) { return endOf(ctx, s.log) })
}

// admitted asks the log for a position, and makes sure that the log is the one that was
// followed, before and after.
func (s *Store) admitted(ctx context.Context, ask func(context.Context) (eventstore.Position, error)) (eventstore.Position, error) {
	if err := s.admit(ctx); err != nil {
		return eventstore.Start, err
	}
	at, err := ask(ctx)
	if err == nil {
		err = s.admit(ctx)
	} else {
		err = s.explain(ctx, err)
	}
	if err != nil {
		return eventstore.Start, err
	}
	return at, nil
}

// Pulse implements eventstore.PulseReporter. An engine without one cannot fall silent.
func (s *Store) Pulse() eventstore.Pulse {
	if proving, ok := s.log.(eventstore.PulseReporter); ok {
		return proving.Pulse()
	}
	return eventstore.Pulse{Proven: time.Now()}
}
