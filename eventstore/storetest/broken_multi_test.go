package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/pause"
)

// The rules that catch an engine whose AppendAll is broken.
const (
	ruleTells     = "an engine tells whether it appends to several streams at once"
	ruleTogether  = "writes to several streams are recorded together and in order"
	ruleOneFault  = "one write at fault leaves all writes unrecorded"
	ruleFirst     = "of several writes at fault the first gives the error"
	ruleAgain     = "writes that were recorded before are a replay"
	rulePart      = "writes of which a part is recorded are a conflict"
	ruleIDs       = "an id that is not log-wide may be in several writes"
	ruleTombstone = "a tombstone among writes ends its stream with them"
	ruleInvalid   = "writes that can never be taken are refused"
	ruleContext   = "writes whose context has ended are not made"
	ruleRace      = "writes and appends that race record what was acknowledged"
	ruleCrossing  = "writes in crossing orders do not block each other"
	ruleWinner    = "writes that race at a revision have one winner"
	ruleSame      = "the same writes that race are recorded once"
	ruleNoPart    = "nobody sees a part of the writes"
	ruleNoMark    = "a subscription is not told that it caught up among writes"
	ruleBurst     = "writes at fault in a burst do not disturb the others"
	ruleUnderWay  = "a context that ends while writes are under way leaves all or none"
	ruleOneOrder  = "what racing clients see of several streams happened in some one order"
)

var brokenMultiAppenders = map[string]brokenEngine{
	"hides its AppendAll":                      {ruleTells, func(e *engine) { e.appendAll = nil }},
	"records writes up to the fault":           {ruleOneFault, writesOneByOne},
	"records writes except the one at fault":   {ruleOneFault, leavesOutTheFault},
	"forgets what the second write expects":    {ruleOneFault, expectsOnlyFirst},
	"gives every fault the name of a conflict": {ruleOneFault, allConflicts},
	"records writes by the names of streams":   {ruleTogether, sortsWrites},
	"mixes the events of writes":               {ruleTogether, mixesWrites},
	"gives each write a recorded time":         {ruleTogether, severalTimes},
	"gives results by the names of streams":    {ruleTogether, sortsResults},
	"gives the error of the last fault":        {ruleFirst, tellsLastFault},
	"knows writes only as it recorded them":    {ruleAgain, knowsOwnWrites},
	"records writes again":                     {ruleAgain, recordsWritesAgain},
	"replays a part and records the rest":      {rulePart, recordsTheRest},
	"answers a part with a replay":             {rulePart, replaysPart},
	"takes an id in one write only":            {ruleIDs, uniqueInWrites},
	"ends a stream whose writes are refused":   {ruleTombstone, endsRefused},
	"takes two writes to one stream":           {ruleInvalid, joinsWrites},
	"takes writes beyond the limits":           {ruleInvalid, splitsWrites},
	"makes writes whose context has ended":     {ruleContext, ignoresContextOfWrites},
	"lets others between the writes":           {ruleRace, letsOthersBetween},
	"locks streams in the order given":         {ruleCrossing, locksAsGiven},
	"lets two callers win":                     {ruleWinner, twoWinnersOfWrites},
	"lets the same writes race":                {ruleSame, recordsWritesAgain},
	"shows the first write early":              {ruleNoPart, showsFirstEarly},
	"marks in the middle of the writes":        {ruleNoMark, marksAmongWrites},
	"fails others for writes at fault":         {ruleBurst, failsNeighboursOfWrites},
	"hides that it may have made the writes":   {ruleUnderWay, hidesOutcomeOfWrites},
	"refuses writes because others wait":       {ruleOneOrder, refusesWhileBusy},
}

// oneByOne appends writes one after the other, and stops at the first error.
func oneByOne(ctx context.Context, log eventstore.Store, writes []eventstore.Write) ([]eventstore.Result, error) {
	var results []eventstore.Result
	for _, w := range writes {
		result, err := log.Append(ctx, w.Stream, w.Expected, w.Events)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return results, nil
}

func writesOneByOne(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		if err := eventstore.CheckAppendAll(writes); err != nil {
			return nil, err
		}
		return oneByOne(ctx, e.sound, writes)
	}
}

func leavesOutTheFault(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		results, err := e.sound.AppendAll(ctx, writes)
		if err != nil && eventstore.CheckAppendAll(writes) == nil {
			for _, w := range writes {
				_, _ = e.sound.Append(ctx, w.Stream, w.Expected, w.Events)
			}
		}
		return results, err
	}
}

func expectsOnlyFirst(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		writes = slices.Clone(writes)
		for i := range writes[min(1, len(writes)):] {
			if writes[i+1].Expected >= eventstore.NoStream {
				writes[i+1].Expected = eventstore.Any
			}
		}
		return e.sound.AppendAll(ctx, writes)
	}
}

func allConflicts(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		results, err := e.sound.AppendAll(ctx, writes)
		if isDeleted(err) {
			err = &eventstore.ConflictError{Stream: writes[0].Stream, Expected: writes[0].Expected, Actual: eventstore.UnknownRevision}
		}
		return results, err
	}
}

// sorted are the writes by the names of their streams.
func sorted(writes []eventstore.Write) []eventstore.Write {
	return slices.SortedFunc(slices.Values(writes), func(a, b eventstore.Write) int { return strings.Compare(a.Stream, b.Stream) })
}

func sortsWrites(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		results, err := e.sound.AppendAll(ctx, sorted(writes))
		if err != nil {
			return nil, err
		}
		var given []eventstore.Result
		for _, w := range writes {
			given = append(given, results[slices.IndexFunc(sorted(writes), func(s eventstore.Write) bool { return s.Stream == w.Stream })])
		}
		return given, nil
	}
}

func sortsResults(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		results, err := e.sound.AppendAll(ctx, writes)
		if err != nil {
			return nil, err
		}
		var given []eventstore.Result
		for _, s := range sorted(writes) {
			given = append(given, results[slices.IndexFunc(writes, func(w eventstore.Write) bool { return s.Stream == w.Stream })])
		}
		return given, nil
	}
}

// decided makes another log decide on each append. What that log has taken, record records in the
// engine. The next append is decided when record has returned, or has called unlock.
func decided(e *engine, record func(ctx context.Context, unlock func(), writes []eventstore.Write) error) {
	var mu sync.Mutex
	decides := memory.New()
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		if _, err := decides.Append(ctx, stream, expected, events); err != nil {
			return eventstore.Result{}, err
		}
		return e.sound.Append(ctx, stream, eventstore.Any, events)
	}
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		mu.Lock()
		unlock := sync.OnceFunc(mu.Unlock)
		defer unlock()
		results, err := decides.AppendAll(ctx, writes)
		if err != nil || results[0].Replayed {
			return results, err
		}
		return results, record(ctx, unlock, writes)
	}
}

func mixesWrites(e *engine) {
	decided(e, func(ctx context.Context, _ func(), writes []eventstore.Write) error {
		for n := range 10 {
			for _, w := range writes {
				if n >= len(w.Events) {
					continue
				}
				if _, err := e.sound.Append(ctx, w.Stream, eventstore.Any, w.Events[n:n+1]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func severalTimes(e *engine) {
	decided(e, func(ctx context.Context, _ func(), writes []eventstore.Write) error {
		for _, w := range writes {
			pause.For(ctx, time.Millisecond)
			if _, err := e.sound.Append(ctx, w.Stream, eventstore.Any, w.Events); err != nil {
				return err
			}
		}
		return nil
	})
}

func showsFirstEarly(e *engine) {
	decided(e, func(ctx context.Context, _ func(), writes []eventstore.Write) error {
		w := writes[0]
		if _, err := e.sound.Append(ctx, w.Stream, eventstore.Any, w.Events); err != nil || len(writes) == 1 {
			return err
		}
		pause.For(ctx, time.Millisecond)
		_, err := e.sound.AppendAll(ctx, anyState(writes[1:]))
		return err
	})
}

func letsOthersBetween(e *engine) {
	decided(e, func(ctx context.Context, unlock func(), writes []eventstore.Write) error {
		for _, w := range writes {
			if _, err := e.sound.Append(ctx, w.Stream, eventstore.Any, w.Events); err != nil {
				return err
			}
			unlock()
			pause.For(ctx, 100*time.Microsecond)
		}
		return nil
	})
}

// anyState are writes that expect nothing.
func anyState(writes []eventstore.Write) []eventstore.Write {
	writes = slices.Clone(writes)
	for i := range writes {
		writes[i].Expected = eventstore.Any
	}
	return writes
}

func tellsLastFault(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		results, err := e.sound.AppendAll(ctx, writes)
		if err != nil && eventstore.CheckAppendAll(writes) == nil {
			turned := slices.Clone(writes)
			slices.Reverse(turned)
			_, err = e.sound.AppendAll(ctx, turned)
		}
		return results, err
	}
}

func knowsOwnWrites(e *engine) {
	var own sync.Map // ids of first events
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		results, err := e.sound.AppendAll(ctx, writes)
		if err != nil {
			return nil, err
		}
		id := writes[0].Events[0].ID
		if _, known := own.LoadOrStore(id, true); !known && results[0].Replayed {
			return nil, &eventstore.DuplicateEventError{Stream: writes[0].Stream, ID: id}
		}
		return results, nil
	}
}

func recordsWritesAgain(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		results, err := e.sound.AppendAll(ctx, writes)
		if err != nil || !results[0].Replayed {
			return results, err
		}
		return e.sound.AppendAll(ctx, withNewIDs(anyState(writes)))
	}
}

// withNewIDs are the writes with new ids.
func withNewIDs(writes []eventstore.Write) []eventstore.Write {
	for i := range writes {
		writes[i].Events = slices.Clone(writes[i].Events)
		for j := range writes[i].Events {
			writes[i].Events[j].ID = uuid.New()
		}
	}
	return writes
}

// isPart tells whether the error says that a part of the writes was recorded before, and no write
// is at fault.
func (e *engine) isPart(ctx context.Context, writes []eventstore.Write, err error) bool {
	conflict, ok := errors.AsType[*eventstore.ConflictError](err)
	if !ok {
		return false
	}
	for _, w := range writes {
		if w.Stream != conflict.Stream {
			continue
		}
		result, alone := e.sound.Append(ctx, w.Stream, w.Expected, w.Events)
		return alone == nil && result.Replayed
	}
	return false
}

func recordsTheRest(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		results, err := e.sound.AppendAll(ctx, writes)
		if e.isPart(ctx, writes, err) {
			return oneByOne(ctx, e.sound, writes)
		}
		return results, err
	}
}

func replaysPart(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		results, err := e.sound.AppendAll(ctx, writes)
		if e.isPart(ctx, writes, err) {
			results, err = make([]eventstore.Result, len(writes)), nil
			for i := range results {
				results[i].Replayed = true
			}
		}
		return results, err
	}
}

func uniqueInWrites(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		seen := make(map[uuid.UUID]string)
		for _, w := range writes {
			for _, event := range w.Events {
				if stream, used := seen[event.ID]; used && stream != w.Stream {
					return nil, &eventstore.DuplicateEventError{Stream: w.Stream, ID: event.ID}
				}
				seen[event.ID] = w.Stream
			}
		}
		return e.sound.AppendAll(ctx, writes)
	}
}

func endsRefused(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		results, err := e.sound.AppendAll(ctx, writes)
		for _, w := range writes {
			if err != nil && len(w.Events) > 0 && endsStream(w.Events) {
				_, _ = e.sound.Append(ctx, w.Stream, w.Expected, w.Events)
			}
		}
		return results, err
	}
}

func joinsWrites(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		var joined []eventstore.Write
		for _, w := range writes {
			at := slices.IndexFunc(joined, func(j eventstore.Write) bool { return j.Stream == w.Stream })
			if at < 0 {
				joined = append(joined, w)
				continue
			}
			joined[at].Events = slices.Concat(joined[at].Events, w.Events)
		}
		return e.sound.AppendAll(ctx, joined)
	}
}

func splitsWrites(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		results, err := e.sound.AppendAll(ctx, writes)
		if _, large := errors.AsType[*eventstore.TooLargeError](err); !large || len(writes) == 1 {
			return results, err
		}
		first, err := e.appendAll(ctx, writes[:len(writes)/2])
		if err != nil {
			return nil, err
		}
		rest, err := e.appendAll(ctx, writes[len(writes)/2:])
		return append(first, rest...), err
	}
}

func ignoresContextOfWrites(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		return e.sound.AppendAll(context.WithoutCancel(ctx), writes)
	}
}

func locksAsGiven(e *engine) {
	var mu sync.Mutex
	locks := make(map[string]chan struct{})
	lockOf := func(stream string) chan struct{} {
		mu.Lock()
		defer mu.Unlock()
		if locks[stream] == nil {
			locks[stream] = make(chan struct{}, 1)
		}
		return locks[stream]
	}
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		for _, w := range writes {
			lock := lockOf(w.Stream)
			select {
			case lock <- struct{}{}:
				defer func() { <-lock }()
			case <-ctx.Done():
				return nil, fmt.Errorf("append: %w", ctx.Err())
			}
			pause.For(ctx, 100*time.Microsecond)
		}
		return e.sound.AppendAll(ctx, writes)
	}
}

func twoWinnersOfWrites(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		results, err := e.sound.AppendAll(ctx, writes)
		conflict, lost := errors.AsType[*eventstore.ConflictError](err)
		if lost && conflict.Actual == int64(conflict.Expected)+1 { // checked before the winner wrote
			return e.sound.AppendAll(ctx, anyState(writes))
		}
		return results, err
	}
}

func marksAmongWrites(e *engine) {
	e.subscribe = func(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
		return func(yield func(eventstore.Item, error) bool) {
			n := 0
			for item, err := range e.sound.Subscribe(ctx, after, filter) {
				if !yield(item, err) {
					return
				}
				if n++; n%4096 == 0 && item.Event != nil && !yield(eventstore.Item{Checkpoint: item.Checkpoint, CaughtUp: true}, nil) {
					return
				}
			}
		}
	}
}

func failsNeighboursOfWrites(e *engine) {
	var lost atomic.Bool
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		if lost.Swap(false) {
			return nil, &eventstore.ConflictError{Stream: writes[0].Stream, Expected: writes[0].Expected, Actual: eventstore.UnknownRevision}
		}
		results, err := e.sound.AppendAll(ctx, writes)
		lost.Store(err != nil)
		return results, err
	}
}

func hidesOutcomeOfWrites(e *engine) {
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		results, err := e.sound.AppendAll(ctx, writes)
		if deadline, _ := ctx.Deadline(); err == nil && time.Until(deadline) < time.Second { // the commit is slower than the caller
			<-ctx.Done()
			return nil, fmt.Errorf("append: %w", ctx.Err())
		}
		return results, err
	}
}

func refusesWhileBusy(e *engine) {
	var busy atomic.Int64
	e.appendAll = func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
		defer busy.Add(-1)
		if busy.Add(1) > 1 {
			w := writes[0]
			return nil, &eventstore.ConflictError{Stream: w.Stream, Expected: w.Expected, Actual: eventstore.UnknownRevision}
		}
		pause.For(ctx, 100*time.Microsecond)
		return e.sound.AppendAll(ctx, writes)
	}
}
