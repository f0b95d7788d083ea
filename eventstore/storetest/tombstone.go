package storetest

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"daybook/eventstore"
)

var tombstoneRules = []rule{
	{"a stream that has ended refuses appends and reads", endedRefuses},
	{"what an ended stream held stays in the log", endedStaysInLog},
	{"a tombstone needs the stream as expected", tombstoneExpects},
	{"a tombstone is the last of its append", tombstoneIsLast},
	{"no append is recorded after a tombstone that races with it", racingTombstones},
}

// ending makes n events. The last one is a tombstone.
func ending(n int) []eventstore.Event {
	events := newEvents(n)
	events[n-1].Type = eventstore.TombstoneType
	return events
}

// endable returns events; for an engine with LoneTombstones it returns only the tombstone.
func (l *log) endable(events []eventstore.Event) []eventstore.Event {
	if last := len(events) - 1; l.loneEnds && events[last].Type == eventstore.TombstoneType {
		return events[last:]
	}
	return events
}

// isEnd tells whether a tombstone may have this revision: the next one, or the highest
// possible one, which EventStoreDB uses.
func isEnd(revision, next int64) bool { return revision == next || revision == math.MaxInt64 }

func endedRefuses(l *log) {
	for name, c := range map[string]struct {
		present, count int
		expected       eventstore.Expected
	}{
		"alone, exact":        {3, 1, eventstore.AtRevision(2)},
		"alone, any":          {2, 1, eventstore.Any},
		"alone, exists":       {1, 1, eventstore.StreamExists},
		"after others, exact": {2, 3, eventstore.AtRevision(1)},
		"of nothing":          {0, 1, eventstore.NoStream},
		"of nothing, any":     {0, 1, eventstore.Any},
	} {
		stream := l.stream(name)
		var held []eventstore.Event
		if c.present > 0 {
			held = newEvents(c.present)
			l.append(stream, eventstore.NoStream, held)
		}
		end := l.endable(ending(c.count))
		result := l.append(stream, c.expected, end)
		if last := int64(c.present + len(end) - 1); !isEnd(result.Revision, last) {
			l.Errorf("%s: the tombstone's revision is %d, want %d", name, result.Revision, last)
		}
		head, err := l.Head(l.ctx)
		if err != nil || head != result.Position {
			l.Errorf("%s: the tombstone stands at %s, the head is %s (error %v)", name, result.Position, head, err)
		}
		l.refusesAppends(name, stream, append(held, end...))
		l.refusesReads(name, stream)
		if after, err := l.Head(l.ctx); err != nil || after != head {
			l.Errorf("%s: the head moved from %s to %s (error %v) by appends that were refused", name, head, after, err)
		}
	}
	l.inOrder(l.readAll(l.start))
}

// refusesAppends appends to an ended stream, with every expectation: new events, events that the
// stream holds, and another tombstone. All must be refused.
func (l *log) refusesAppends(name, stream string, held []eventstore.Event) {
	l.Helper()
	last := int64(len(held)) - 1
	for _, expected := range []eventstore.Expected{
		eventstore.NoStream, eventstore.Any, eventstore.StreamExists,
		eventstore.AtRevision(0), eventstore.AtRevision(last - 1), eventstore.AtRevision(last), eventstore.AtRevision(last + 1),
	} {
		for what, events := range map[string][]eventstore.Event{
			"new events":          newEvents(2),
			"all it holds":        held,
			"a part and more":     append(newEvents(1), held[last:]...),
			"the tombstone again": held[last:],
			"another tombstone":   ending(1),
		} {
			_, err := l.Append(l.ctx, stream, expected, l.endable(events))
			l.isDeleted(fmt.Sprintf("%s: append of %s, expecting %d", name, what, expected), stream, err)
		}
	}
}

func (l *log) refusesReads(name, stream string) {
	l.Helper()
	for _, from := range []int64{0, 1, 1000, eventstore.LastRevision} {
		for _, limit := range []int{0, 1} {
			yielded := 0
			for _, err := range l.ReadStream(l.ctx, stream, from, limit) {
				yielded++
				l.isDeleted(name+": read", stream, err)
			}
			for _, err := range l.ReadStreamBackwards(l.ctx, stream, from, limit) {
				yielded++
				l.isDeleted(name+": read backwards", stream, err)
			}
			if yielded != 2 {
				l.Errorf("%s: reading from %d both ways gives %d items, want an error each", name, from, yielded)
			}
		}
	}
}

func (l *log) isDeleted(what, stream string, err error) {
	l.Helper()
	deleted, ok := errors.AsType[*eventstore.DeletedError](err)
	if !ok || deleted.Stream != stream {
		l.Errorf("%s: error %v, want a DeletedError of %s", what, err, stream)
	}
}

func endedStaysInLog(l *log) {
	stream, other := l.stream("a"), l.stream("b")
	appends := []struct {
		stream string
		events []eventstore.Event
	}{{stream, newEvents(3)}, {other, newEvents(2)}, {stream, ending(1)}, {other, newEvents(2)}, {l.stream("c"), l.endable(ending(2))}, {other, newEvents(1)}}
	var events []eventstore.Event
	var streams []string
	var ends []eventstore.Position
	for _, a := range appends {
		result := l.append(a.stream, eventstore.Any, a.events)
		for _, e := range a.events {
			events, streams = append(events, e), append(streams, a.stream)
			if e.Type == eventstore.TombstoneType {
				ends = append(ends, result.Position)
			}
		}
	}
	whole := l.readAll(l.start)
	l.inOrder(whole)
	if len(whole) != len(events) {
		l.Fatalf("the log holds %d events, want %d", len(whole), len(events))
	}
	var tombstones, inStream []eventstore.Recorded
	for i, e := range whole {
		if err := sameFact(e, events[i]); err != nil || e.Stream != streams[i] {
			l.Errorf("event %d of the log, in %s: %v", i, e.Stream, err)
		}
		if e.Type == eventstore.TombstoneType {
			tombstones = append(tombstones, e)
		}
		if e.Stream == stream {
			inStream = append(inStream, e)
		}
	}
	for i, e := range tombstones {
		if e.Position != ends[i] {
			l.Errorf("a tombstone stands at %s, its append was told %s", e.Position, ends[i])
		}
	}
	for name, c := range map[string]struct {
		filter eventstore.Filter
		want   []eventstore.Recorded
	}{
		"all":                   {eventstore.Filter{}, whole},
		"the stream that ended": {eventstore.Filter{StreamPrefixes: []string{stream}}, inStream},
		"tombstones":            {eventstore.Filter{TypePrefixes: []string{eventstore.TombstoneType}}, tombstones},
		"tombstones and others": {eventstore.Filter{TypePrefixes: []string{eventstore.TombstoneType, "suite."}}, whole},
	} {
		if err := same(l.readFiltered(l.start, c.filter, 0), c.want); err != nil {
			l.Errorf("%s: %v", name, err)
		}
		if err := same(l.readBackwards(eventstore.End, c.filter, 0), latest(c.want, 0)); err != nil {
			l.Errorf("%s, backwards: %v", name, err)
		}
		got, err := l.subscribe(l.start, c.filter, len(c.want))
		if err != nil {
			l.Fatalf("%s: %v", name, err)
		}
		if err := same(got, c.want); err != nil {
			l.Errorf("%s, subscribed: %v", name, err)
		}
	}
}

// sameFact compares an event of the log with what was appended. The server itself writes a
// tombstone with the highest revision, in a form of its own.
func sameFact(got eventstore.Recorded, want eventstore.Event) error {
	if got.Type == want.Type && got.Type == eventstore.TombstoneType && got.Revision == math.MaxInt64 {
		return nil
	}
	return sameEvent(got.Event, want)
}

func tombstoneExpects(l *log) {
	for name, c := range map[string]struct {
		present  int
		expected eventstore.Expected
	}{
		"no stream, present":       {2, eventstore.NoStream},
		"an older revision":        {2, eventstore.AtRevision(0)},
		"a revision still to come": {2, eventstore.AtRevision(2)},
		"exists, absent":           {0, eventstore.StreamExists},
		"first revision, absent":   {0, eventstore.AtRevision(0)},
	} {
		stream, held := l.stream(name), newEvents(c.present)
		if c.present > 0 {
			l.append(stream, eventstore.NoStream, held)
		}
		_, err := l.Append(l.ctx, stream, c.expected, ending(1))
		l.isConflict(err, stream, c.expected, int64(c.present)-1)
		l.holds(stream, held)
		more := newEvents(1)
		l.append(stream, eventstore.AtRevision(int64(c.present)-1), more)
		l.holds(stream, append(held, more...))
	}
}

func tombstoneIsLast(l *log) {
	stream := l.stream("a")
	held := newEvents(1)
	l.append(stream, eventstore.NoStream, held)
	for name, events := range map[string][]eventstore.Event{
		"first":          append(ending(1), newEvents(1)...),
		"in the middle":  append(ending(2), newEvents(1)...),
		"two at the end": append(ending(1), ending(1)...),
	} {
		_, err := l.Append(l.ctx, stream, eventstore.AtRevision(0), events)
		if _, invalid := errors.AsType[*eventstore.InvalidError](err); !invalid {
			l.Errorf("%s: error %v, want an InvalidError", name, err)
		}
	}
	l.holds(stream, held)
}

// racingTombstones tests that writers can append until the stream has ended, and that only
// one of several tombstones is accepted.
func racingTombstones(l *log) {
	const writers = 8
	for round := range 8 {
		stream := l.stream(fmt.Sprint(round))
		var appended, ended atomic.Int64
		begin := make(chan struct{})
		underWay := sync.OnceFunc(func() { close(begin) })
		group, ctx := errgroup.WithContext(l.ctx)
		for range writers {
			group.Go(func() error {
				defer underWay() // also when the append fails, so that nobody waits for ever
				for n := 1; ; n++ {
					over := ended.Load() > 0
					_, err := l.Append(ctx, stream, eventstore.Any, newEvents(1))
					if _, deleted := errors.AsType[*eventstore.DeletedError](err); deleted {
						return nil
					}
					if err != nil || over {
						return fmt.Errorf("an append sees %w (after the end: %t), want a DeletedError", err, over)
					}
					if appended.Add(1); n == 3 {
						underWay()
					}
				}
			})
		}
		for range 3 {
			group.Go(func() error {
				<-begin
				_, err := l.settle(ctx, stream, eventstore.Any, ending(1))
				if _, deleted := errors.AsType[*eventstore.DeletedError](err); deleted {
					return nil
				}
				if err != nil {
					return fmt.Errorf("a tombstone sees %w, want a DeletedError", err)
				}
				ended.Add(1)
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			l.Fatalf("round %d: %v", round, err)
		}
		if l.lossy && ended.Load() == 0 {
			l.end(stream)
		}
		held := l.readFiltered(l.start, eventstore.Filter{StreamPrefixes: []string{stream}}, 0)
		taken := ended.Load() == 1 || l.lossy && ended.Load() == 0 // if the winner's answer was lost, it was refused like the others
		if last := held[len(held)-1].Type; !taken || last != eventstore.TombstoneType {
			l.Fatalf("round %d: %d tombstones were taken, the stream's last event is %s", round, ended.Load(), last)
		}
		most := appended.Load() + 1
		if l.lossy {
			most += writers // the last append of each writer may be missing from the count
		}
		if got, want := int64(len(held)), appended.Load()+1; got < want || got > most {
			l.Fatalf("round %d: the stream holds %d events, %d were acknowledged", round, got, want)
		}
	}
	l.inOrder(l.readAll(l.start))
}
