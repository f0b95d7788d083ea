package sealing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"sync"
	"time"

	"daybook/eventstore"
)

// Erased stands in place of a field whose key is destroyed.
const Erased = "(erased)"

// Store is a log whose personal fields are sealed. Its users see clear text.
type Store struct {
	eventstore.Store // the log behind it

	keys   *Keys // nil: nothing is sealed
	fields Fields

	// Before, if it is set, is called with each event of a subscription before the subscriber gets
	// it. If it fails, the subscription ends with *eventstore.UnavailableError.
	Before func(ctx context.Context, e *eventstore.Recorded) error

	trees sync.Map // by event type: *tree; nil if nothing of the type is sealed
}

var _ eventstore.Store = (*Store)(nil)

// New puts a Store before a log. If keys is nil, new events are not sealed.
func New(log eventstore.Store, keys *Keys, fields Fields) *Store {
	return &Store{Store: log, keys: keys, fields: fields}
}

// treeOf returns the tree of an event type.
func (s *Store) treeOf(eventType string) *tree {
	if found, ok := s.trees.Load(eventType); ok {
		return found.(*tree)
	}
	var planted *tree
	if fields := s.fields(eventType); len(fields) > 0 {
		planted = plant(fields)
	}
	s.trees.Store(eventType, planted)
	return planted
}

// sealed returns events as they are recorded. The given events stay as they are.
func (s *Store) sealed(ctx context.Context, stream string, events []eventstore.Event) ([]eventstore.Event, error) {
	if s.keys == nil {
		return events, nil
	}
	result := events
	for i := range events {
		data, err := s.sealOne(ctx, stream, &events[i])
		if err != nil {
			return nil, err
		}
		if data == nil {
			continue
		}
		if &result[0] == &events[0] {
			result = append([]eventstore.Event(nil), events...)
		}
		result[i].Data = data
	}
	return result, nil
}

// sealOne returns the data of an event with its fields sealed, or nil if there are none.
func (s *Store) sealOne(ctx context.Context, stream string, e *eventstore.Event) ([]byte, error) {
	if e.Subject == "" || !eventstore.LogWide(e.ID) {
		return nil, nil
	}
	fields := s.treeOf(e.Type)
	if fields == nil || !fields.mayHave(e.Data) {
		return nil, nil
	}
	if bytes.Contains(e.Data, numberingBytes) { // it could not be told from a number
		return nil, fmt.Errorf("an event %s has a member with the name sealed", e.Type)
	}
	forgotten := s.keys.timesForgotten()
	var key *dataKey // fetched when the first field is found
	var found []string
	values := []byte{'['}
	gone := false
	data, err := replaceFields(bytes.TrimLeft(e.Data, " \t\r\n"), fields, func(at string, value []byte) (_ []byte, err error) {
		if key == nil && !gone {
			key, err = s.keys.ofSubject(ctx, e.Subject)
			gone = errors.Is(err, ErrSubjectErased)
		}
		if gone {
			return s.erased(e.Type, at), nil // nothing about the subject is kept any more
		}
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			values = append(values, ',')
		}
		values = append(values, value...)
		found = append(found, at)
		return number(len(found) - 1), nil
	})
	switch {
	case err != nil:
		return nil, err
	case gone:
		return data, nil
	case len(found) == 0:
		return nil, nil
	}
	data = seal(key, place{stream, e.ID}, found, append(values, ']'), data)
	s.keys.keepClear(e.ID, stream, data, e.Data, forgotten)
	return data, nil
}

// open puts clear text in place of an event's sealed fields.
func (s *Store) open(ctx context.Context, e *eventstore.Recorded) error {
	// Only the shop's own events are sealed. Another program may write anything.
	if !bytes.Contains(e.Data, openingBytes) || !eventstore.LogWide(e.ID) {
		return nil
	}
	forgotten := 0
	if s.keys != nil {
		if err := s.keys.compare(ctx, false); err != nil {
			return away("", err)
		}
		if clear := s.keys.clearOf(e.ID, e.Stream, e.Data); clear != nil {
			e.Data = clear
			return nil
		}
		forgotten = s.keys.timesForgotten()
	}
	var data []byte
	var whole bool // no field is erased
	var err error
	if isEnvelope(e.Data) {
		data, whole, err = s.openEnvelope(ctx, e)
	} else {
		data, whole, err = s.openFirstVersion(ctx, e)
	}
	if tampered, is := errors.AsType[*TamperedError](err); is {
		tampered.Stream, tampered.Revision = e.Stream, e.Revision
	}
	if err != nil {
		return err
	}
	if whole && s.keys != nil {
		s.keys.keepClear(e.ID, e.Stream, e.Data, data, forgotten)
	}
	e.Data = data
	return nil
}

// openEnvelope returns the data of an event that begins with an envelope. whole means that no field
// is erased. It sets only the field and the cause of a *TamperedError.
func (s *Store) openEnvelope(ctx context.Context, e *eventstore.Recorded) (data []byte, whole bool, err error) {
	in, rest, err := split(e.Data)
	if err != nil {
		return nil, false, &TamperedError{Field: allFields, Cause: err}
	}
	fields, err := numbered(rest)
	if err != nil {
		return nil, false, err
	}
	key, err := s.keyOf(ctx, in)
	if err != nil {
		return nil, false, err
	}
	if key.aead == nil {
		values := make([][]byte, len(fields))
		for i, at := range fields {
			values[i] = s.erased(e.Type, at)
		}
		return fill(rest, values), false, nil
	}
	var values [][]byte
	array, err := in.open(key, place{e.Stream, e.ID}.bind(fields))
	if err == nil {
		values, err = elements(array, len(fields))
	}
	if err != nil {
		return nil, false, &TamperedError{Field: allFields, Cause: err}
	}
	return fill(rest, values), true, nil
}

// allFields is the JSON pointer of the envelope with which an event begins.
const allFields = "/sealed"

// openFirstVersion is openEnvelope for an event of the first version, which has an envelope in
// place of each field.
func (s *Store) openFirstVersion(ctx context.Context, e *eventstore.Recorded) (data []byte, whole bool, err error) {
	whole = true
	data, err = replaceBeginning(openingBytes, e.Data, "", func(at string, value []byte) ([]byte, error) {
		in, err := parseFirstVersion(value)
		if err != nil {
			return nil, &TamperedError{Field: at, Cause: err}
		}
		key, err := s.keyOf(ctx, in)
		if err != nil {
			return nil, err
		}
		if key.aead == nil {
			whole = false
			return s.erased(e.Type, at), nil
		}
		clear, err := in.open(key, place{e.Stream, e.ID}.bindFirstVersion(at))
		if err != nil {
			return nil, &TamperedError{Field: at, Cause: err}
		}
		return clear, nil
	})
	return data, whole, err
}

// keyOf returns the key of an envelope.
func (s *Store) keyOf(ctx context.Context, in sealed) (*dataKey, error) {
	if s.keys == nil {
		return nil, away(in.Key, errNoMasterKey)
	}
	return s.keys.ofID(ctx, in.Key)
}

// erased is the value of an erased field: a text says so, and a value of an unknown form is null.
func (s *Store) erased(eventType, at string) []byte {
	if fields := s.treeOf(eventType); fields != nil && fields.has(at) {
		return []byte(strconv.Quote(Erased))
	}
	return []byte("null")
}

// Append implements eventstore.Store.
func (s *Store) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	events, err := s.sealed(ctx, stream, events)
	if err != nil {
		return eventstore.Result{}, err
	}
	return s.Store.Append(ctx, stream, expected, events)
}

// MultiAppender returns a log that seals and appends to several streams at once, if the log behind
// this one can do that. See eventstore.MultiAppenderOf.
func (s *Store) MultiAppender() (eventstore.MultiAppender, bool) {
	log, ok := eventstore.MultiAppenderOf(s.Store)
	if !ok {
		return nil, false
	}
	return multiAppender{s, log}, true
}

// TurnTaker returns the TurnTaker of the log behind this one. See eventstore.TurnTakerOf.
func (s *Store) TurnTaker() (eventstore.TurnTaker, bool) { return eventstore.TurnTakerOf(s.Store) }

// Pulse implements eventstore.PulseReporter.
func (s *Store) Pulse() eventstore.Pulse {
	if proving, ok := s.Store.(eventstore.PulseReporter); ok {
		return proving.Pulse()
	}
	return eventstore.Pulse{Proven: time.Now()}
}

// Diverged is that of the guard behind this log; nil if there is no guard.
func (s *Store) Diverged() *eventstore.DivergedError {
	if guarded, ok := s.Store.(interface {
		Diverged() *eventstore.DivergedError
	}); ok {
		return guarded.Diverged()
	}
	return nil
}

// End implements eventstore.EndReader.
func (s *Store) End(ctx context.Context) (eventstore.Position, error) {
	if ending, ok := s.Store.(eventstore.EndReader); ok {
		return ending.End(ctx)
	}
	return s.Head(ctx)
}

type multiAppender struct {
	store *Store
	log   eventstore.MultiAppender
}

// AppendAll implements eventstore.MultiAppender.
func (m multiAppender) AppendAll(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
	sealed := make([]eventstore.Write, len(writes))
	for i, w := range writes {
		events, err := m.store.sealed(ctx, w.Stream, w.Events)
		if err != nil {
			return nil, err
		}
		sealed[i] = eventstore.Write{Stream: w.Stream, Expected: w.Expected, Events: events}
	}
	return m.log.AppendAll(ctx, sealed)
}

// BringKey makes sure that the key of a subject is in memory. If that fails, who needs the key gets
// the error.
func (s *Store) BringKey(ctx context.Context, subject string) {
	if s.keys != nil {
		_, _ = s.keys.ofSubject(ctx, subject)
	}
}

// ReadStream implements eventstore.Store.
func (s *Store) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.opened(ctx, s.Store.ReadStream(ctx, stream, from, limit))
}

// ReadAll implements eventstore.Store.
func (s *Store) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.opened(ctx, s.Store.ReadAll(ctx, after, filter, limit))
}

// ReadStreamBackwards implements eventstore.Store.
func (s *Store) ReadStreamBackwards(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.opened(ctx, s.Store.ReadStreamBackwards(ctx, stream, from, limit))
}

// ReadAllBackwards implements eventstore.Store.
func (s *Store) ReadAllBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.opened(ctx, s.Store.ReadAllBackwards(ctx, before, filter, limit))
}

// opened opens the events of a read.
func (s *Store) opened(ctx context.Context, events iter.Seq2[eventstore.Recorded, error]) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for e, err := range events {
			if err == nil {
				err = s.open(ctx, &e)
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

// Subscribe implements eventstore.Store. If a key cannot be fetched, the sequence ends with
// *eventstore.UnavailableError, and the subscriber begins again.
func (s *Store) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) {
		for item, err := range s.Store.Subscribe(ctx, after, filter) {
			if err == nil && item.Event != nil && s.Before != nil {
				if err = s.Before(ctx, item.Event); err != nil {
					err = &eventstore.UnavailableError{Cause: err}
				}
			}
			if err == nil && item.Event != nil && bytes.Contains(item.Event.Data, openingBytes) {
				e := *item.Event // others may have the same event
				err = s.open(ctx, &e)
				item.Event = &e
			}
			if err != nil {
				yield(eventstore.Item{}, err)
				return
			}
			if !yield(item, nil) {
				return
			}
		}
	}
}
