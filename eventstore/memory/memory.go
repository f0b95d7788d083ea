// Package memory is the log in the memory of one process, for tests and simulation. It is
// simple, so that it is easy to see that it is correct, and it passes the same suite as every
// engine.
//
// It is not durable, and it is not fast with many writers, because one lock guards
// everything.
package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// Store is an in-memory log. Its positions are contiguous from 1.
type Store struct {
	now func() time.Time

	mu      sync.Mutex
	log     []eventstore.Recorded // index + 1 is the position
	streams map[string][]int      // for each revision of a stream, the event's index in log
	ids     map[place]int         // the index in log of the first event with the id
	changed chan struct{}         // closed when the log grows
}

// place is where an event id is known: in a stream or, if stream is empty, in the whole log.
type place struct {
	stream string
	id     uuid.UUID
}

func placeOf(stream string, id uuid.UUID) place {
	if eventstore.LogWide(id) {
		stream = ""
	}
	return place{stream, id}
}

var (
	_ eventstore.Store         = (*Store)(nil)
	_ eventstore.MultiAppender = (*Store)(nil)
)

// Option changes how a store is made.
type Option func(*Store)

// WithClock makes the store take recorded times from now, as a simulation needs. If the clock
// goes backwards, the store goes on using its latest time.
func WithClock(now func() time.Time) Option {
	return func(s *Store) { s.now = now }
}

// New makes an empty log.
func New(options ...Option) *Store {
	s := &Store{
		now:     time.Now,
		streams: make(map[string][]int),
		ids:     make(map[place]int),
		changed: make(chan struct{}),
	}
	for _, option := range options {
		option(s)
	}
	return s
}

// Append implements eventstore.Store.
func (s *Store) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if err := eventstore.CheckAppend(stream, expected, events); err != nil {
		return eventstore.Result{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return eventstore.Result{}, fmt.Errorf("append to %s: %w", stream, err)
	}
	result, err := s.decide(stream, expected, events)
	if err != nil || result.Replayed {
		return result, err
	}
	return s.add([]eventstore.Write{{Stream: stream, Expected: expected, Events: events}})[0], nil
}

// AppendAll implements eventstore.MultiAppender.
func (s *Store) AppendAll(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
	if err := eventstore.CheckAppendAll(writes); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("append to %d streams: %w", len(writes), err)
	}
	results := make([]eventstore.Result, len(writes))
	repeated := 0              // how many writes were recorded before
	var first eventstore.Write // the first of these
	for i, w := range writes {
		var err error
		if results[i], err = s.decide(w.Stream, w.Expected, w.Events); err != nil {
			return nil, err
		}
		if results[i].Replayed {
			if repeated == 0 {
				first = w
			}
			repeated++
		}
	}
	switch repeated {
	case 0:
		return s.add(writes), nil
	case len(writes):
		return results, nil
	}
	return nil, &eventstore.ConflictError{Stream: first.Stream, Expected: first.Expected, Actual: s.revision(first.Stream)}
}

// decide returns an error if an append is refused, and its earlier result if it is a replay.
// Otherwise the append must be added.
func (s *Store) decide(stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if s.ended(stream) {
		return eventstore.Result{}, &eventstore.DeletedError{Stream: stream}
	}
	if result, known, err := s.recordedBefore(stream, expected, events); known {
		return result, err
	}
	if revision := s.revision(stream); !matches(expected, revision) {
		return eventstore.Result{}, &eventstore.ConflictError{Stream: stream, Expected: expected, Actual: revision}
	}
	return eventstore.Result{}, nil
}

// revision is the last revision of a stream; -1 if it is empty.
func (s *Store) revision(stream string) int64 { return int64(len(s.streams[stream])) - 1 }

// ended tells whether the stream's last event is a tombstone.
func (s *Store) ended(stream string) bool {
	places := s.streams[stream]
	return len(places) > 0 && s.log[places[len(places)-1]].Type == eventstore.TombstoneType
}

func matches(expected eventstore.Expected, revision int64) bool {
	return expected == eventstore.Any ||
		expected == eventstore.StreamExists && revision >= 0 ||
		int64(expected) == revision
}

// recordedBefore answers an append whose result follows from ids that are recorded already: a
// replay, or a refusal. known is false for all other appends.
func (s *Store) recordedBefore(stream string, expected eventstore.Expected, events []eventstore.Event) (result eventstore.Result, known bool, err error) {
	if last, replayed := s.replay(stream, expected, events); replayed {
		return eventstore.Result{Revision: last.Revision, Position: last.Position, Replayed: true}, true, nil
	}
	taken := matches(expected, s.revision(stream))
	if _, begins := s.ids[placeOf(stream, events[0].ID)]; begins && expected < eventstore.NoStream {
		taken = false
	}
	for _, e := range events {
		if _, recorded := s.ids[placeOf(stream, e.ID)]; recorded && (!taken || eventstore.LogWide(e.ID)) {
			return eventstore.Result{}, true, &eventstore.DuplicateEventError{Stream: stream, ID: e.ID}
		}
	}
	return eventstore.Result{}, false, nil
}

// replay tells whether the stream holds the events of an append. If a revision is expected,
// they must follow each other after it. If none is expected, log-wide ids must follow each
// other somewhere, and other ids must only be there. last is the event whose place is the
// result.
func (s *Store) replay(stream string, expected eventstore.Expected, events []eventstore.Event) (last eventstore.Recorded, replayed bool) {
	inARow := slices.ContainsFunc(events, func(e eventstore.Event) bool { return eventstore.LogWide(e.ID) })
	first := int64(expected) + 1
	for i, e := range events {
		at, recorded := s.ids[placeOf(stream, e.ID)]
		if expected >= eventstore.NoStream {
			at, recorded = s.indexOf(stream, first+int64(i))
		}
		if !recorded || s.log[at].Stream != stream || s.log[at].ID != e.ID {
			return last, false
		}
		if i > 0 && inARow && s.log[at].Revision != last.Revision+1 {
			return last, false
		}
		last = s.log[at]
	}
	return last, true
}

// indexOf is the index in the log of a stream's event.
func (s *Store) indexOf(stream string, revision int64) (index int, recorded bool) {
	places := s.streams[stream]
	if revision < 0 || revision >= int64(len(places)) {
		return 0, false
	}
	return places[revision], true
}

// add records all writes, and returns their results.
func (s *Store) add(writes []eventstore.Write) []eventstore.Result {
	recordedAt := s.now().UTC().Truncate(time.Microsecond)
	if n := len(s.log); n > 0 && recordedAt.Before(s.log[n-1].RecordedAt) {
		recordedAt = s.log[n-1].RecordedAt
	}
	results := make([]eventstore.Result, 0, len(writes))
	for _, w := range writes {
		for _, e := range w.Events {
			at := len(s.log)
			s.log = append(s.log, eventstore.Recorded{
				Event:      e,
				Stream:     w.Stream,
				Revision:   s.revision(w.Stream) + 1,
				Position:   eventstore.At(uint64(at + 1)),
				RecordedAt: recordedAt,
			})
			s.streams[w.Stream] = append(s.streams[w.Stream], at)
			if _, used := s.ids[placeOf(w.Stream, e.ID)]; !used {
				s.ids[placeOf(w.Stream, e.ID)] = at
			}
		}
		last := s.log[len(s.log)-1]
		results = append(results, eventstore.Result{Revision: last.Revision, Position: last.Position})
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return results
}
