// Package storetest is the suite that every engine of the log must pass.
//
// It tests the contract in package eventstore and nothing else. Speed, durability, and the
// behaviour when the engine's server dies are tested in the engine's own package.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// Option tells what an engine promises beyond the contract.
type Option func(*promises)

type promises struct {
	contiguous bool
	logWideIDs bool
	loneEnds   bool
	lossy      bool
	appendsAll bool
	patience   time.Duration
}

// Contiguous is for engines whose positions have no gaps.
func Contiguous() Option { return func(p *promises) { p.contiguous = true } }

// LogWideIDs is for engines that know the log-wide ids of the whole log, and refuse one that
// is recorded elsewhere. EventStoreDB compares ids only with those at the place that an
// append expects. At the stream's end it accepts any id.
func LogWideIDs() Option { return func(p *promises) { p.logWideIDs = true } }

// LoneTombstones is for engines that end a stream only by an append with a single event, like
// EventStoreDB.
func LoneTombstones() Option { return func(p *promises) { p.loneEnds = true } }

// LosesResponses is for engines whose server may write an append and then not answer. If such
// an append is repeated after the stream has ended, it gets DeletedError although it was
// recorded. It is also possible that no writer learns that its tombstone ended the stream.
func LosesResponses() Option { return func(p *promises) { p.lossy = true } }

// Patience bounds the time of each rule, so that an engine that hangs fails. The default is
// three minutes, because the machine may be busy.
func Patience(d time.Duration) Option { return func(p *promises) { p.patience = d } }

// Run tests an engine against the contract. open returns a log to which nobody else writes.
// The log need not be empty, and may be the same one each time.
func Run(t *testing.T, open func(t *testing.T) eventstore.Store, options ...Option) {
	t.Helper()
	p := promises{patience: 3 * time.Minute}
	for _, option := range options {
		option(&p)
	}
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), p.patience)
			defer cancel()
			prefix := "suite" + uuid.NewString()[:8] + "-"
			label(ctx, prefix) // before the engine starts anything
			store := open(t)
			start, err := store.Head(ctx)
			if err != nil {
				t.Fatalf("head: %v", err)
			}
			r.check(&log{T: t, Store: store, promises: p, ctx: ctx, start: start, prefix: prefix})
		})
	}
}

// rule is one promise of the contract. Its name says the promise.
type rule struct {
	name  string
	check func(*log)
}

func rules() []rule {
	var all []rule
	for _, part := range [][]rule{appendRules, replayRules, refusalRules, tombstoneRules, multiRules, multiRaceRules, raceRules, linearRules, multiLinearRules, readRules, backwardsRules, subscribeRules} {
		all = append(all, part...)
	}
	return all
}

// log is a store under test, with helpers for the rules.
type log struct {
	*testing.T
	eventstore.Store
	promises
	ctx    context.Context
	start  eventstore.Position // the head before the rule began
	prefix string              // of this rule's streams
}

func (l *log) stream(name string) string { return l.prefix + name }

// newEvents makes n events with new ids.
func newEvents(n int) []eventstore.Event {
	events := make([]eventstore.Event, n)
	for i := range events {
		events[i] = eventstore.Event{
			ID:   uuid.New(),
			Type: "suite.happened.v1",
			Data: fmt.Appendf(nil, `{"n":%d}`, i),
			Meta: []byte(`{"actor":"system:suite"}`),
		}
	}
	return events
}

// logWide gives events ids that are unique in the whole log.
func logWide(events []eventstore.Event) []eventstore.Event {
	for i := range events {
		events[i].ID[6] = events[i].ID[6]&0x0f | eventstore.LogWideVersion<<4
	}
	return events
}

func typed(eventType string, events []eventstore.Event) []eventstore.Event {
	for i := range events {
		events[i].Type = eventType
	}
	return events
}

// append appends what must be accepted as new.
func (l *log) append(stream string, expected eventstore.Expected, events []eventstore.Event) eventstore.Result {
	l.Helper()
	result, err := l.Append(l.ctx, stream, expected, events)
	if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err); unknown && l.lossy && events[len(events)-1].Type == eventstore.TombstoneType {
		_, err = l.settle(l.ctx, stream, expected, events) // the engine cannot repeat a tombstone itself, because a second one is refused in any case
		l.isDeleted("an end whose answer was lost, again", stream, err)
		return l.end(stream)
	}
	if err != nil {
		l.Fatalf("append of %d events to %s expecting %d: %v", len(events), stream, expected, err)
	}
	if result.Replayed {
		l.Fatalf("append of new events to %s was answered as a replay", stream)
	}
	return result
}

// settle appends, and repeats the append until the outcome is known, as a caller must if
// answers can be lost.
func (l *log) settle(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	for {
		result, err := l.Append(ctx, stream, expected, events)
		if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err); !unknown || !l.lossy || ctx.Err() != nil {
			return result, err
		}
	}
}

// end waits until it can read the tombstone of a stream that has ended, and returns its
// place.
func (l *log) end(stream string) eventstore.Result {
	l.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		for _, e := range l.readBackwards(eventstore.End, eventstore.Filter{TypePrefixes: []string{eventstore.TombstoneType}}, 0) {
			if e.Stream == stream {
				return eventstore.Result{Revision: e.Revision, Position: e.Position}
			}
		}
		select {
		case <-poll.C:
		case <-l.ctx.Done():
			l.Fatalf("stream %s has ended, and its tombstone is not in the log", stream)
		}
	}
}

// readStream returns a stream's events, none if there is no such stream.
func (l *log) readStream(stream string) []eventstore.Recorded {
	l.Helper()
	var events []eventstore.Recorded
	for e, err := range l.ReadStream(l.ctx, stream, 0, 0) {
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
			return nil
		}
		if err != nil {
			l.Fatalf("read stream %s: %v", stream, err)
		}
		events = append(events, e)
	}
	return events
}

// readAll returns what was recorded after a position.
func (l *log) readAll(after eventstore.Position) []eventstore.Recorded {
	l.Helper()
	return l.readFiltered(after, eventstore.Filter{}, 0)
}

func (l *log) readFiltered(after eventstore.Position, filter eventstore.Filter, limit int) []eventstore.Recorded {
	l.Helper()
	return l.collect(l.ReadAll(l.ctx, after, filter, limit))
}

// collect returns what a read yields, which must not fail.
func (l *log) collect(read iter.Seq2[eventstore.Recorded, error]) []eventstore.Recorded {
	l.Helper()
	var events []eventstore.Recorded
	for e, err := range read {
		if err != nil {
			l.Fatalf("read, after %d events: %v", len(events), err)
		}
		events = append(events, e)
	}
	return events
}

// subscribe collects the wanted number of events. It compares them only after that, because a
// yielded event must never change.
func (l *log) subscribe(after eventstore.Position, filter eventstore.Filter, want int) (events []eventstore.Recorded, err error) {
	var items []eventstore.Item
	defer func() {
		for _, item := range items {
			events = append(events, *item.Event)
		}
	}()
	if want == 0 {
		return nil, nil
	}
	for item, err := range l.Subscribe(l.ctx, after, filter) {
		if err != nil {
			return nil, fmt.Errorf("subscription from %s after %d of %d events: %w", after, len(items), want, err)
		}
		if item.Event == nil {
			continue
		}
		if item.Checkpoint != item.Event.Position {
			return nil, fmt.Errorf("event at %s came with checkpoint %s", item.Event.Position, item.Checkpoint)
		}
		if items = append(items, item); len(items) == want {
			return nil, nil
		}
	}
	return nil, fmt.Errorf("subscription from %s ended after %d of %d events", after, len(items), want)
}

// same compares two readings of the log, event by event.
func same(got, want []eventstore.Recorded) error {
	for i := range min(len(got), len(want)) {
		if err := sameRecorded(got[i], want[i]); err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d events, want %d", len(got), len(want))
	}
	return nil
}

func sameRecorded(got, want eventstore.Recorded) error {
	if got.Stream != want.Stream || got.Revision != want.Revision || got.Position != want.Position || !got.RecordedAt.Equal(want.RecordedAt) {
		return fmt.Errorf("%s at revision %d, position %s, recorded %s; want %s at %d, %s, %s", got.Stream, got.Revision, got.Position, got.RecordedAt,
			want.Stream, want.Revision, want.Position, want.RecordedAt)
	}
	return sameEvent(got.Event, want.Event)
}

func sameEvent(got, want eventstore.Event) error {
	switch {
	case got.ID != want.ID:
		return fmt.Errorf("id %s, want %s", got.ID, want.ID)
	case got.Type != want.Type:
		return fmt.Errorf("type %q, want %q", got.Type, want.Type)
	case !bytes.Equal(got.Data, want.Data):
		return fmt.Errorf("data %.200q, want %.200q", got.Data, want.Data)
	case !bytes.Equal(got.Meta, want.Meta):
		return fmt.Errorf("metadata %.200q, want %.200q", got.Meta, want.Meta)
	}
	return nil
}

// holds fails unless a stream holds exactly these events, with dense revisions.
func (l *log) holds(stream string, want []eventstore.Event) {
	l.Helper()
	got := l.readStream(stream)
	if len(got) != len(want) {
		l.Fatalf("stream %s holds %d events, want %d", stream, len(got), len(want))
	}
	for i, e := range got {
		if err := sameEvent(e.Event, want[i]); err != nil {
			l.Errorf("stream %s, event %d: %v", stream, i, err)
		}
		if e.Revision != int64(i) || e.Stream != stream {
			l.Errorf("event %d of %s says it is revision %d of %s", i, stream, e.Revision, e.Stream)
		}
	}
}

// inOrder fails unless positions rise (without gaps if the engine promises that), each
// log-wide id occurs once, and each stream's revisions have no gaps. A tombstone may have the
// highest possible revision, as in EventStoreDB.
func (l *log) inOrder(events []eventstore.Recorded) {
	l.Helper()
	seen := make(map[uuid.UUID]bool) // log-wide ids
	next := make(map[string]int64)
	last := l.start
	for i, e := range events {
		if !last.Before(e.Position) {
			l.Fatalf("event %d at position %s comes after position %s", i, e.Position, last)
		}
		before, _ := last.Pair()
		if at, _ := e.Position.Pair(); l.contiguous && at != before+1 {
			l.Fatalf("position %d follows %d", at, before)
		}
		if l.logWideIDs && eventstore.LogWide(e.ID) && seen[e.ID] {
			l.Fatalf("event %s occurs twice", e.ID)
		}
		if e.Revision != next[e.Stream] && (e.Type != eventstore.TombstoneType || e.Revision != math.MaxInt64) {
			l.Fatalf("%s: revision %d where %d should come", e.Stream, e.Revision, next[e.Stream])
		}
		last, seen[e.ID], next[e.Stream] = e.Position, true, e.Revision+1
	}
}
