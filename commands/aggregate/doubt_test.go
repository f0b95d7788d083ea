package aggregate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// scripted is a log whose first appends return the given errors, in order. Later appends
// return what the log says.
type scripted struct {
	eventstore.Store
	tries []try
	gone  error // if set, each read of the log fails with this error
}

type try struct {
	recorded bool // the append is recorded, even if it has an error
	err      error
}

func (s *scripted) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if len(s.tries) == 0 {
		return s.Store.Append(ctx, stream, expected, events)
	}
	next := s.tries[0]
	s.tries = s.tries[1:]
	if !next.recorded {
		return eventstore.Result{}, next.err
	}
	result, err := s.Store.Append(ctx, stream, expected, events)
	return result, errors.Join(err, next.err)
}

func (s *scripted) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	if s.gone != nil {
		return func(yield func(eventstore.Recorded, error) bool) { yield(eventstore.Recorded{}, s.gone) }
	}
	return s.Store.ReadStream(ctx, stream, from, limit)
}

// An append that was sent before the log was replaced, or went away, may be recorded. So its
// outcome is not known. An append that was refused at once was not done.
func TestAnAppendThatMayBeRecordedIsNotReportedAsRefused(t *testing.T) {
	t.Parallel()
	var (
		diverged = &eventstore.DivergedError{Keeper: "this node"}
		away     = &eventstore.UnavailableError{Cause: errors.New("no connection")}
		denied   = &eventstore.DeniedError{Cause: errors.New("no rights")}
		lost     = &eventstore.OutcomeUnknownError{Cause: errors.New("the connection ended")}
	)
	for name, c := range map[string]struct {
		tries   []try
		gone    error
		before  bool // the log already has the command's event
		unknown bool
		is      error // the cause that the error must have; nil: the command succeeds
	}{
		"refused at once": {tries: []try{{err: diverged}}, is: diverged},
		"away at once":    {tries: []try{{err: away}}, is: away},
		"recorded, and the answer is not believed":       {tries: []try{{true, &eventstore.OutcomeUnknownError{Cause: diverged}}}, unknown: true, is: diverged},
		"recorded, the answer lost, then refused":        {tries: []try{{true, lost}, {err: diverged}}, unknown: true, is: diverged},
		"not recorded, the answer lost, then refused":    {tries: []try{{false, lost}, {err: diverged}}, unknown: true, is: diverged},
		"recorded, the answer lost, then denied":         {tries: []try{{true, lost}, {err: denied}}, unknown: true, is: denied},
		"recorded, the answer lost, then away, then not": {tries: []try{{true, lost}, {err: away}, {err: away}}},
		"recorded before, and what cannot be read":       {before: true, gone: diverged, unknown: true, is: diverged},
		"a conflict, and then refused":                   {tries: []try{{false, lost}, {err: &eventstore.ConflictError{}}, {err: diverged}}, is: diverged},
	} {
		// A stream that is new is appended to without a lane at first.
		for _, isNew := range slices.Compact([]bool{c.before, true}) {
			t.Run(fmt.Sprintf("%s, new %t", name, isNew), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					log, id := memory.New(), uuid.New()
					if c.before {
						if _, err := newBox(log).Handle(t.Context(), put(id, 1)); err != nil {
							t.Fatal(err)
						}
					}
					request := put(id, 1)
					request.New = isNew // if true, the handler appends before it reads the stream
					_, err := newBox(&scripted{Store: log, tries: c.tries, gone: c.gone}).Handle(t.Context(), request)
					_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
					if unknown != c.unknown || (err == nil) != (c.is == nil) || c.is != nil && !errors.Is(err, c.is) {
						t.Errorf("error %v, want one with %v, and an unknown outcome: %t", err, c.is, c.unknown)
					}
				})
			})
		}
	}
}
