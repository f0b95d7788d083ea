package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// The types of a store's methods, so that a broken engine is one function.
type (
	appendFunc     func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error)
	appendAllFunc  func(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error)
	readStreamFunc func(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error]
	readAllFunc    func(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error]
	subscribeFunc  func(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error]
)

// engine is a sound engine with methods replaced.
type engine struct {
	sound               *memory.Store
	append              appendFunc
	readStream          readStreamFunc
	readStreamBackwards readStreamFunc
	readAll             readAllFunc
	readAllBackwards    readAllFunc
	subscribe           subscribeFunc
	head                func(context.Context) (eventstore.Position, error)
	appendAll           appendAllFunc // nil: the engine has none
}

func (e *engine) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	return e.append(ctx, stream, expected, events)
}

func (e *engine) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return e.readStream(ctx, stream, from, limit)
}

func (e *engine) ReadStreamBackwards(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return e.readStreamBackwards(ctx, stream, from, limit)
}

func (e *engine) ReadAllBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return e.readAllBackwards(ctx, before, filter, limit)
}

func (e *engine) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return e.readAll(ctx, after, filter, limit)
}

func (e *engine) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return e.subscribe(ctx, after, filter)
}

func (e *engine) MultiAppender() (eventstore.MultiAppender, bool) { return e, e.appendAll != nil }

func (e *engine) AppendAll(ctx context.Context, writes []eventstore.Write) ([]eventstore.Result, error) {
	return e.appendAll(ctx, writes)
}

func (e *engine) Head(ctx context.Context) (eventstore.Position, error) { return e.head(ctx) }

type brokenEngine struct {
	caughtBy string // the rule that must fail
	breaks   func(*engine)
}

func (b brokenEngine) open() eventstore.Store { return altered(b.breaks) }

// altered is a sound engine with methods replaced by change.
func altered(change func(*engine)) eventstore.Store {
	sound := memory.New()
	e := &engine{
		sound: sound, append: sound.Append, subscribe: sound.Subscribe, head: sound.Head,
		readStream: sound.ReadStream, readStreamBackwards: sound.ReadStreamBackwards,
		readAll: sound.ReadAll, readAllBackwards: sound.ReadAllBackwards,
		appendAll: sound.AppendAll,
	}
	change(e)
	return e
}

// number is the position as a count.
func number(p eventstore.Position) uint64 {
	n, _ := p.Pair()
	return n
}

var brokenEngines = map[string]brokenEngine{
	"lets two writers win":              {"sixteen writers, one winner, every loser sees a conflict", twoWinners},
	"gives losers a plain error":        {"sixteen writers, one winner, every loser sees a conflict", plainConflict},
	"tells losers a wrong revision":     {"sixteen writers, one winner, every loser sees a conflict", wrongActual},
	"ignores expectations":              {"an append needs the stream as expected", ignoresExpectations},
	"forgets idempotence":               {"the same ids at the same place are recorded once", forgetsIDs},
	"records a retry again":             {"the same ids at the same place are recorded once", recordsAgain},
	"answers a retry with the head":     {"the same ids at the same place are recorded once", answersHead},
	"lets retries race":                 {"retries that race are recorded once and answered alike", racyRetries},
	"takes ids known elsewhere":         {"a log-wide id recorded in another stream is refused", renamesDuplicates},
	"takes no id a second time":         {"an id recorded in another stream may be used again", uniqueIDs},
	"has one of two streams win an id":  {"an id that races to two streams is recorded in both", uniqueIDs},
	"shows the key of an id used again": {"an id recorded in another stream may be used again", showsKeys},
	"takes ids known in the stream":     {"a log-wide id recorded elsewhere in its stream is refused", renamesDuplicates},
	"takes no id twice in a stream":     {"at the revision expected, ids of the stream may be used again", uniqueInStream},
	"shows the key of an id used twice": {"at the revision expected, ids of the stream may be used again", showsKeysInStream},
	"knows an id at its first place":    {"at the revision expected, ids of the stream may be used again", knowsFirstPlaces},
	"adds what it does not hold whole":  {"where no revision is expected, the first id decides", addsTheRest},
	"wants a repeat in a row":           {"where no revision is expected, the first id decides", wantsARow},
	"looks at each id, not the first":   {"where no revision is expected, the first id decides", uniqueInStream},
	"takes what is new of an append":    {"an append of which a part is recorded is refused", takesTheNew},
	"keeps a part of a refused append":  {"a refused append leaves no trace", keepsFirst},
	"compacts JSON":                     {"bytes are kept exactly", compactsJSON},
	"tells local time":                  {"recorded times are UTC to the microsecond and never fall", localTime},
	"tells the first event's place":     {"a result tells the last event's place", firstPlace},
	"takes what is not JSON":            {"an append that can never be taken is invalid", takesAnything},
	"appends for an ended context":      {"a context that has ended appends nothing", ignoresContext},
	"hides that it may have appended":   {"a context that ends on the way leaves all or nothing", hidesOutcome},
	"fails all for one":                 {"losers in a burst do not disturb the others", failsNeighbours},
	"commits late":                      {"reading the tail during writes equals reading it afterwards", commitsLate},
	"loses an event in the tail":        {"reading the tail during writes equals reading it afterwards", losesOne},
	"repeats an event in the tail":      {"reading the tail during writes equals reading it afterwards", repeatsOne},
	"turns two events round":            {"reading the tail during writes equals reading it afterwards", turnsRound},
	"starts at the position, not after": {"a subscriber from every position sees each later event once", startsAt},
	"waits for a log that grows":        {"a subscription from beyond the head is refused, and the error names the place", waitsBeyondTheHead},
	"says caught up too soon":           {"a subscriber at the head is told, each time it gets there", caughtUpTooSoon},
	"never marks":                       {"marks tell how far a filtered subscription has looked", neverMarks},
	"marks what it has not looked at":   {"marks tell how far a filtered subscription has looked", marksAhead},
	"reads from a replica that lags":    {"what racing clients see of a stream happened in some one order", lags},
	"reads past the limit":              {"the log is read after a position, up to a limit", noLimit},
	"filters by substring":              {"a filter selects by type or by stream", bySubstring},
	"yields nothing for no stream":      {"a stream without events is not found", yieldsNothing},
	"counts revisions from one":         {"a stream is read from a revision, up to a limit", fromOne},
	"leaves a goroutine behind":         {"a reader that stops early leaves nothing behind", leaks},
	"ends without an error":             {"a subscription ends with its context", endsSilently},

	"takes events after a tombstone":      {"a stream that has ended refuses appends and reads", takesAfterEnd},
	"replays what an ended stream held":   {"a stream that has ended refuses appends and reads", replaysEnded},
	"forgets a stream that has ended":     {"a stream that has ended refuses appends and reads", forgetsEnded},
	"tells one way only that it ended":    {"a stream that has ended refuses appends and reads", emptyEnded},
	"deletes what an ended stream held":   {"what an ended stream held stays in the log", hidesEnded},
	"has no tombstones in the log":        {"what an ended stream held stays in the log", hidesTombstones},
	"ends a stream whatever is expected":  {"a tombstone needs the stream as expected", endsAnyway},
	"takes a tombstone between events":    {"a tombstone is the last of its append", dropsTombstone},
	"ends a stream a moment later":        {"no append is recorded after a tombstone that races with it", endsLater},
	"ends a stream as often as asked":     {"no append is recorded after a tombstone that races with it", endsTwice},
	"needs the exact revision backwards":  {"a stream is read backwards from a revision, up to a limit", nothingBeyond},
	"leaves out where it begins":          {"a stream is read backwards from a revision, up to a limit", leavesOutFirst},
	"reads a stream forwards":             {"a stream is read backwards from a revision, up to a limit", forwardsAnyway},
	"yields nothing for no stream, back":  {"a stream without events is not found", yieldsNothingBackwards},
	"reads backwards at the position":     {"the log is read backwards before a position, up to a limit", startsAtBackwards},
	"reads backwards past the limit":      {"the log is read backwards before a position, up to a limit", noLimitBackwards},
	"takes End for a place":               {"the log is read backwards before a position, up to a limit", nothingFromEnd},
	"never reaches the first event":       {"the log is read backwards down to its first event", stopsAtSecond},
	"loses an event between two pages":    {"a long read backwards is a long read turned round", losesPageEdge},
	"looks no further than a page":        {"a filter finds what is far back", onePage},
	"filters by substring backwards":      {"a filter selects by type or by stream", bySubstringBackwards},
	"commits late, seen backwards":        {"reading backwards during writes leaves nothing out", commitsLateBackwards},
	"reads backwards from a replica":      {"reading backwards during writes leaves nothing out", lagsBackwards},
	"takes the end of a context for ends": {"a read whose context ends is complete or says so", truncates},
	"reads backwards without the context": {"a context that has ended appends nothing", ignoresContextBackwards},
	"leaves a goroutine behind backwards": {"a reader that stops early leaves nothing behind", leaksBackwards},
}

func twoWinners(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		conflict, lost := errors.AsType[*eventstore.ConflictError](err)
		if lost && conflict.Actual == int64(expected)+int64(len(events)) { // checked before the winner wrote
			return e.sound.Append(ctx, stream, eventstore.Any, events)
		}
		return result, err
	}
}

func plainConflict(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if _, lost := errors.AsType[*eventstore.ConflictError](err); lost {
			err = errors.New("could not serialize access")
		}
		return result, err
	}
}

func wrongActual(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if _, lost := errors.AsType[*eventstore.ConflictError](err); lost {
			err = &eventstore.ConflictError{Stream: stream, Expected: expected, Actual: int64(expected)}
		}
		return result, err
	}
}

func ignoresExpectations(e *engine) {
	e.append = func(ctx context.Context, stream string, _ eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		return e.sound.Append(ctx, stream, eventstore.Any, events)
	}
}

func forgetsIDs(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if result.Replayed {
			return eventstore.Result{}, &eventstore.ConflictError{Stream: stream, Expected: expected, Actual: eventstore.UnknownRevision}
		}
		return result, err
	}
}

// renamed gives events new ids, like an engine that ignores the ids.
func renamed(events []eventstore.Event) []eventstore.Event {
	fresh := append([]eventstore.Event{}, events...)
	for i := range fresh {
		fresh[i].ID = uuid.New()
	}
	return fresh
}

func recordsAgain(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if result.Replayed {
			result, err = e.sound.Append(ctx, stream, eventstore.Any, renamed(events))
			result.Replayed = true
		}
		return result, err
	}
}

func answersHead(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if result.Replayed {
			result.Position, err = e.sound.Head(ctx)
		}
		return result, err
	}
}

func racyRetries(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if result.Replayed { // two looked before one wrote
			result.Replayed = false
		}
		return result, err
	}
}

func renamesDuplicates(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if _, duplicate := errors.AsType[*eventstore.DuplicateEventError](err); duplicate {
			return e.sound.Append(ctx, stream, eventstore.Any, renamed(events))
		}
		return result, err
	}
}

// uniqueIDs refuses every id that is already in the log.
func uniqueIDs(e *engine) {
	var mu sync.Mutex
	in := make(map[uuid.UUID]string)
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		for _, event := range events {
			if other, used := in[event.ID]; used && other != stream {
				return eventstore.Result{}, &eventstore.DuplicateEventError{Stream: stream, ID: event.ID}
			}
		}
		result, err := e.sound.Append(ctx, stream, expected, events)
		if err == nil {
			for _, event := range events {
				in[event.ID] = stream
			}
		}
		return result, err
	}
}

// uniqueInStream refuses every id that is already in the stream.
func uniqueInStream(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		const never = 1 << 40
		_, err := e.sound.Append(ctx, stream, never, events)
		duplicate, ok := errors.AsType[*eventstore.DuplicateEventError](err)
		if !ok {
			return e.sound.Append(ctx, stream, expected, events)
		}
		last := int64(-1)
		for r, err := range e.sound.ReadStreamBackwards(ctx, stream, eventstore.LastRevision, 1) {
			if err == nil {
				last = r.Revision
			}
		}
		if int64(expected) == last || expected < eventstore.NoStream && duplicate.ID != events[0].ID {
			return eventstore.Result{}, err
		}
		return e.sound.Append(ctx, stream, expected, events)
	}
}

// showsKeysInStream: if a stream has an id twice, a read returns another id for the second event.
func showsKeysInStream(e *engine) {
	e.readStream = func(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
		return func(yield func(eventstore.Recorded, error) bool) {
			seen := make(map[uuid.UUID]bool)
			for r, err := range e.sound.ReadStream(ctx, stream, from, limit) {
				if seen[r.ID] {
					r.ID = uuid.NewSHA1(r.ID, []byte(stream))
				}
				seen[r.ID] = true
				if !yield(r, err) {
					return
				}
			}
		}
	}
}

// knowsFirstPlaces recognises a repeated append only at the place where its first id was recorded
// first.
func knowsFirstPlaces(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if err != nil || !result.Replayed {
			return result, err
		}
		first, err := e.sound.Append(ctx, stream, eventstore.Any, events[:1])
		if err == nil && first.Revision != result.Revision-int64(len(events))+1 {
			err = &eventstore.DuplicateEventError{Stream: stream, ID: events[0].ID}
		}
		return result, err
	}
}

// addsTheRest adds those events of an append that the stream does not hold.
func addsTheRest(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if _, known := errors.AsType[*eventstore.DuplicateEventError](err); !known || expected >= eventstore.NoStream {
			return result, err
		}
		for _, event := range events {
			if result, err = e.sound.Append(ctx, stream, eventstore.Any, []eventstore.Event{event}); err != nil {
				return result, err
			}
		}
		return result, nil
	}
}

// wantsARow recognises a repeated append only if its events follow each other in the stream.
func wantsARow(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if err != nil || !result.Replayed || expected >= eventstore.NoStream {
			return result, err
		}
		row, err := e.sound.Append(ctx, stream, eventstore.AtRevision(max(result.Revision-int64(len(events)), -1)), events)
		if err == nil && !row.Replayed {
			err = &eventstore.DuplicateEventError{Stream: stream, ID: events[0].ID}
		}
		return row, err
	}
}

// showsKeys: if two streams have the same id, a read of the second one returns another id.
func showsKeys(e *engine) {
	var mu sync.Mutex
	in := make(map[uuid.UUID]string)
	e.readAll = changed(e.sound.ReadAll, func(r *eventstore.Recorded) bool {
		mu.Lock()
		defer mu.Unlock()
		if first, used := in[r.ID]; used && first != r.Stream {
			r.ID = uuid.NewSHA1(r.ID, []byte(r.Stream))
		} else {
			in[r.ID] = r.Stream
		}
		return true
	})
}

func takesTheNew(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if _, duplicate := errors.AsType[*eventstore.DuplicateEventError](err); !duplicate {
			return result, err
		}
		for _, event := range events { // ON CONFLICT DO NOTHING
			if one, err := e.sound.Append(ctx, stream, eventstore.Any, []eventstore.Event{event}); err == nil {
				result = one
			}
		}
		return result, nil
	}
}

func keepsFirst(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if _, duplicate := errors.AsType[*eventstore.DuplicateEventError](err); duplicate {
			_, first := e.sound.Append(ctx, stream, eventstore.Any, events[:1])
			err = errors.Join(err, first)
		}
		return result, err
	}
}

func compactsJSON(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		compacted := append([]eventstore.Event{}, events...)
		for i := range compacted {
			compacted[i].Data = bytes.ReplaceAll(compacted[i].Data, []byte(" "), nil)
		}
		return e.sound.Append(ctx, stream, expected, compacted)
	}
}

func localTime(e *engine) {
	e.readAll = changed(e.sound.ReadAll, func(r *eventstore.Recorded) bool {
		r.RecordedAt = r.RecordedAt.In(time.FixedZone("CET", 3600))
		return true
	})
}

func firstPlace(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if err == nil {
			result.Position = eventstore.At(number(result.Position) - uint64(len(events)-1))
		}
		return result, err
	}
}

func takesAnything(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		wrapped := append([]eventstore.Event{}, events...)
		for i := range wrapped {
			wrapped[i].Data = fmt.Appendf(nil, `{"base64":"%x"}`, wrapped[i].Data)
		}
		return e.sound.Append(ctx, stream, expected, wrapped)
	}
}

func ignoresContext(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		return e.sound.Append(context.WithoutCancel(ctx), stream, expected, events)
	}
}

func hidesOutcome(e *engine) {
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		result, err := e.sound.Append(ctx, stream, expected, events)
		if deadline, _ := ctx.Deadline(); err == nil && time.Until(deadline) < time.Second { // the commit is slower than the caller
			<-ctx.Done()
			return eventstore.Result{}, fmt.Errorf("append: %w", ctx.Err())
		}
		return result, err
	}
}

func failsNeighbours(e *engine) {
	var lost atomic.Bool
	e.append = func(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
		if lost.Swap(false) {
			return eventstore.Result{}, &eventstore.ConflictError{Stream: stream, Expected: expected, Actual: eventstore.UnknownRevision}
		}
		result, err := e.sound.Append(ctx, stream, expected, events)
		lost.Store(err != nil)
		return result, err
	}
}
