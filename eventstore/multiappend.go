package eventstore

import (
	"context"
	"fmt"

	"github.com/google/uuid"
)

// MaxAppendStreams is the largest number of streams that one AppendAll can write to. All its writes
// together have the limits of one append: MaxAppendBytes and MaxAppendEvents.
const MaxAppendStreams = 500

// Write is what AppendAll appends to one stream.
type Write struct {
	Stream   string
	Expected Expected
	Events   []Event
}

// Size is what the write counts towards MaxAppendBytes.
func (w *Write) Size() int {
	bytes := 0
	for i := range w.Events {
		bytes += w.Events[i].Size()
	}
	return bytes
}

// MultiAppender is an engine that can append to several streams at once. MultiAppenderOf returns it
// for a store that can do that.
type MultiAppender interface {
	// AppendAll makes all writes or none. It returns one result for each write, in their order.
	//
	// There is at least one write, and each names another stream. The rules of Append hold for each
	// write: its expectation, its ids and its limits. A log-wide id may occur once in all of them.
	// The events are recorded in the order of the writes. No other event comes between them, and
	// all have the same recorded time. Readers and subscriptions can read all of them or none, and
	// no caught-up mark comes between them.
	//
	// If all writes were recorded before, together or one by one, all results have Replayed set,
	// and nothing is added.
	//
	// If a write is at fault, nothing is recorded. The error is the one that Append would return
	// for the first write at fault. Faults that are found without a look at the log
	// (*InvalidError, *TooLargeError) come before the others. If no write is at fault, but only
	// some of them were recorded before, the error is a *ConflictError of the first of these.
	//
	// The other errors are those of Append. After *OutcomeUnknownError, all writes may be recorded
	// or none. Repeat all of them, with the same ids and expectations, to find out.
	AppendAll(ctx context.Context, writes []Write) ([]Result, error)
}

// MultiAppenderOf returns the part of a store that appends to several streams at once. ok is false
// if the store cannot do that. A store in front of another one has a method MultiAppender, which
// tells whether the other store can do it.
func MultiAppenderOf(store Store) (all MultiAppender, ok bool) {
	if front, is := store.(interface{ MultiAppender() (MultiAppender, bool) }); is {
		return front.MultiAppender()
	}
	all, ok = store.(MultiAppender)
	return all, ok
}

// CheckAppendAll checks the limits and the form of writes, as CheckAppend does for one append.
// Every engine with AppendAll calls it first.
func CheckAppendAll(writes []Write) error {
	switch {
	case len(writes) == 0:
		return &InvalidError{Reason: "no writes"}
	case len(writes) > MaxAppendStreams:
		return &TooLargeError{What: "streams", Size: len(writes), Limit: MaxAppendStreams}
	}
	streams := make(map[string]struct{}, len(writes))
	ids := make(map[uuid.UUID]struct{}) // log-wide ids of the writes before
	bytes, events := 0, 0
	for _, w := range writes {
		if err := CheckAppend(w.Stream, w.Expected, w.Events); err != nil {
			return err
		}
		if _, twice := streams[w.Stream]; twice {
			return &InvalidError{Reason: fmt.Sprintf("two writes name the stream %s", Visible(w.Stream))}
		}
		streams[w.Stream] = struct{}{}
		for i := range w.Events {
			if !LogWide(w.Events[i].ID) {
				continue
			}
			if _, twice := ids[w.Events[i].ID]; twice {
				return &InvalidError{Reason: fmt.Sprintf("event id %s occurs twice", w.Events[i].ID)}
			}
			ids[w.Events[i].ID] = struct{}{}
		}
		bytes += w.Size()
		events += len(w.Events)
	}
	switch {
	case events > MaxAppendEvents:
		return &TooLargeError{What: "events", Size: events, Limit: MaxAppendEvents}
	case bytes > MaxAppendBytes:
		return &TooLargeError{What: "bytes", Size: bytes, Limit: MaxAppendBytes}
	}
	return nil
}
