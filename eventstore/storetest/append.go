package storetest

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"time"

	"daybook/eventstore"
)

var appendRules = []rule{
	{"events come back as appended and in order", inOrderAsAppended},
	{"bytes are kept exactly", bytesKept},
	{"recorded times are UTC to the microsecond and never fall", recordedTimes},
	{"an append needs the stream as expected", expectations},
	{"a result tells the last event's place", resultTellsPlace},
	{"a refused append leaves no trace", noTrace},
	{"a context that has ended appends nothing", endedContext},
	{"an append of a megabyte is accepted", megabyte},
}

func inOrderAsAppended(l *log) {
	a, b := l.stream("a"), l.stream("b")
	first, second, third := newEvents(3), newEvents(1), newEvents(2)
	l.append(a, eventstore.NoStream, first)
	l.append(b, eventstore.NoStream, second)
	l.append(a, eventstore.AtRevision(2), third)

	l.holds(a, append(append([]eventstore.Event{}, first...), third...))
	l.holds(b, second)
	all := l.readAll(l.start)
	l.inOrder(all)
	want := append(append(append([]eventstore.Event{}, first...), second...), third...)
	if len(all) != len(want) {
		l.Fatalf("the log holds %d events, want %d", len(all), len(want))
	}
	for i, e := range all {
		if err := sameEvent(e.Event, want[i]); err != nil {
			l.Errorf("event %d of the log: %v", i, err)
		}
	}
}

func bytesKept(l *log) {
	odd := []string{
		`{}`,
		" {\t\"b\" : 1.0e+05,\r\n\"a\":1 , \"a\":2}\n",
		`{"é":"\u00e9\/\ud83d\ude00😀","zero":"\u0000"}`,
		`{"big":123456789012345678901234567890.00,"neg":-0}`,
		`{"deep":` + strings.Repeat(`[`, 500) + strings.Repeat(`]`, 500) + `}`,
	}
	events := newEvents(len(odd) + 1)
	for i, text := range odd {
		events[i].Data, events[i].Meta = []byte(text), []byte(text)
	}
	events[len(odd)].Meta = nil
	stream := l.stream("é 'quoted\" %_\\ \u00a0😀")
	events[0].Type = "süite.ünusual 'type\" 😀"
	l.append(stream, eventstore.NoStream, events)
	l.holds(stream, events)
	for i, e := range l.readAll(l.start) {
		if err := sameEvent(e.Event, events[i]); err != nil {
			l.Errorf("event %d of the log: %v", i, err)
		}
	}
}

func recordedTimes(l *log) {
	for range 5 {
		l.append(l.stream("a"), eventstore.Any, newEvents(2))
		l.append(l.stream("b"), eventstore.Any, newEvents(1))
	}
	var last time.Time
	for _, e := range l.readAll(l.start) {
		at := e.RecordedAt
		if at.IsZero() || at.Location() != time.UTC || !at.Equal(at.Truncate(time.Microsecond)) {
			l.Errorf("recorded at %v: want UTC, to the microsecond", at)
		}
		if at.Before(last) {
			l.Errorf("recorded at %s after an event recorded at %s", at, last)
		}
		last = at
	}
}

func expectations(l *log) {
	for name, c := range map[string]struct {
		present  int // events in the stream before
		expected eventstore.Expected
		refused  bool
	}{
		"no stream, absent":            {0, eventstore.NoStream, false},
		"no stream, present":           {1, eventstore.NoStream, true},
		"exists, absent":               {0, eventstore.StreamExists, true},
		"exists, present":              {3, eventstore.StreamExists, false},
		"any, absent":                  {0, eventstore.Any, false},
		"any, present":                 {2, eventstore.Any, false},
		"the last revision":            {3, eventstore.AtRevision(2), false},
		"an older revision":            {3, eventstore.AtRevision(1), true},
		"a revision still to come":     {3, eventstore.AtRevision(3), true},
		"first revision, absent":       {0, eventstore.AtRevision(0), true},
		"a high revision, absent":      {0, eventstore.AtRevision(1 << 40), true},
		"the only revision":            {1, eventstore.AtRevision(0), false},
		"revision -1 is no stream":     {0, eventstore.AtRevision(-1), false},
		"revision -1, present":         {1, eventstore.AtRevision(-1), true},
		"far beyond the last revision": {1, eventstore.AtRevision(7), true},
		"the highest revision":         {1, eventstore.AtRevision(math.MaxInt64), true},
		"the highest, absent":          {0, eventstore.AtRevision(math.MaxInt64), true},
	} {
		stream := l.stream(name)
		var before []eventstore.Event
		if c.present > 0 {
			before = newEvents(c.present)
			l.append(stream, eventstore.NoStream, before)
		}
		added := newEvents(2)
		result, err := l.Append(l.ctx, stream, c.expected, added)
		if !c.refused {
			if err != nil || result.Revision != int64(c.present)+1 {
				l.Errorf("%s: revision %d, error %v; want revision %d", name, result.Revision, err, c.present+1)
			}
			l.holds(stream, append(before, added...))
			continue
		}
		l.isConflict(err, stream, c.expected, int64(c.present)-1)
		l.holds(stream, before)
	}
}

func (l *log) isConflict(err error, stream string, expected eventstore.Expected, actual int64) {
	l.Helper()
	conflict, ok := errors.AsType[*eventstore.ConflictError](err)
	if !ok {
		l.Errorf("append to %s expecting %d: error %v, want a ConflictError", stream, expected, err)
		return
	}
	if conflict.Stream != stream || conflict.Expected != expected {
		l.Errorf("conflict says %s expecting %d, want %s expecting %d", conflict.Stream, conflict.Expected, stream, expected)
	}
	if conflict.Actual != actual && conflict.Actual != eventstore.UnknownRevision {
		l.Errorf("conflict on %s says the stream is at %d, it is at %d", stream, conflict.Actual, actual)
	}
}

func resultTellsPlace(l *log) {
	stream := l.stream("a")
	revision := int64(-1)
	for n := range 4 {
		events := newEvents(n + 1)
		result := l.append(stream, eventstore.AtRevision(revision), events)
		revision += int64(n + 1)
		if result.Revision != revision {
			l.Errorf("result says revision %d, want %d", result.Revision, revision)
		}
		all := l.readAll(l.start)
		last := all[len(all)-1]
		if last.ID != events[n].ID || result.Position != last.Position {
			l.Errorf("result says position %s, the last event stands at %s", result.Position, last.Position)
		}
		if head, err := l.Head(l.ctx); err != nil || head != last.Position {
			l.Errorf("head is %s (error %v), the last event stands at %s", head, err, last.Position)
		}
	}
}

func noTrace(l *log) {
	stream, empty := l.stream("a"), l.stream("empty")
	events := logWide(newEvents(2))
	l.append(stream, eventstore.NoStream, events)
	head, err := l.Head(l.ctx)
	if err != nil {
		l.Fatal(err)
	}
	for range 5 {
		if _, err := l.Append(l.ctx, stream, eventstore.NoStream, newEvents(3)); err == nil {
			l.Fatal("a stale append was taken")
		}
		if _, err := l.Append(l.ctx, empty, eventstore.AtRevision(4), newEvents(3)); err == nil {
			l.Fatal("an append beyond an empty stream was taken")
		}
		if _, err := l.Append(l.ctx, stream, eventstore.NoStream, append(events[:1:1], newEvents(1)...)); err == nil {
			l.Fatal("an append of which a part is recorded was taken")
		}
		if !l.logWideIDs {
			continue
		}
		if _, err := l.Append(l.ctx, empty, eventstore.Any, append(newEvents(1), events[1])); err == nil {
			l.Fatal("an append with a log-wide id of another stream was taken")
		}
	}
	if after, err := l.Head(l.ctx); err != nil || after != head {
		l.Errorf("head moved from %s to %s (error %v) by appends that were refused", head, after, err)
	}
	l.holds(empty, nil)
	more := newEvents(1)
	l.append(stream, eventstore.AtRevision(1), more)
	l.append(empty, eventstore.NoStream, newEvents(1))
	l.holds(stream, append(events, more...))
	l.inOrder(l.readAll(l.start))
}

func endedContext(l *log) {
	ended, cancel := context.WithCancel(l.ctx)
	cancel()
	stream := l.stream("a")
	_, err := l.Append(ended, stream, eventstore.NoStream, newEvents(1))
	if !errors.Is(err, context.Canceled) {
		l.Errorf("append: error %v, want context.Canceled", err)
	}
	if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err); unknown {
		l.Error("the outcome of an append that was never sent is not unknown")
	}
	l.holds(stream, nil)

	l.append(stream, eventstore.NoStream, newEvents(1))
	if _, err := l.Head(ended); !errors.Is(err, context.Canceled) {
		l.Errorf("head: error %v, want context.Canceled", err)
	}
	wantEnded := func(what string, err error) {
		if !errors.Is(err, context.Canceled) {
			l.Errorf("%s: error %v, want context.Canceled", what, err)
		}
	}
	for _, err := range l.ReadStream(ended, stream, 0, 0) {
		wantEnded("read stream", err)
	}
	for _, err := range l.ReadStreamBackwards(ended, stream, eventstore.LastRevision, 0) {
		wantEnded("read stream backwards", err)
	}
	for _, err := range l.ReadAll(ended, l.start, eventstore.Filter{}, 0) {
		wantEnded("read log", err)
	}
	for _, err := range l.ReadAllBackwards(ended, eventstore.End, eventstore.Filter{}, 0) {
		wantEnded("read log backwards", err)
	}
	for _, err := range l.Subscribe(ended, l.start, eventstore.Filter{}) {
		wantEnded("subscribe", err)
	}
}

func megabyte(l *log) {
	stream := l.stream("a")
	events := newEvents(3)
	events[1].Type, events[1].Meta = "t", nil
	events[1].Data = filled(eventstore.MaxAppendBytes - events[0].Size() - events[2].Size() - 2*len("t"))
	l.append(stream, eventstore.NoStream, events)
	l.holds(stream, events)

	many := newEvents(eventstore.MaxAppendEvents)
	for i := range many {
		many[i].Data, many[i].Meta = []byte(`{}`), nil
	}
	// A subscription runs meanwhile and must get all events, even though there are more of them
	// than engines keep in memory for subscriptions.
	after, err := l.Head(l.ctx)
	if err != nil {
		l.Fatal(err)
	}
	type followed struct {
		events []eventstore.Recorded
		err    error
	}
	live, done := make(chan struct{}), make(chan followed, 1)
	go func() {
		var got followed
		begun := sync.OnceFunc(func() { close(live) })
		defer begun() // also where it ends at once
		for item, err := range l.Subscribe(l.ctx, after, eventstore.Filter{StreamPrefixes: []string{stream}}) {
			if err != nil {
				got.err = err
				break
			}
			if item.CaughtUp {
				begun()
			}
			if item.Event == nil {
				continue
			}
			if got.events = append(got.events, *item.Event); len(got.events) == len(many) {
				break
			}
		}
		done <- got
	}()
	<-live
	l.append(stream, eventstore.AtRevision(2), many)
	l.holds(stream, append(events, many...))
	if got := <-done; got.err != nil || len(got.events) != len(many) || got.events[len(many)-1].ID != many[len(many)-1].ID {
		l.Errorf("a subscription brought %d of %d events: %v", len(got.events), len(many), got.err)
	}
	l.inOrder(l.readAll(l.start))
}

// filled makes a JSON object of exactly n bytes that compression cannot make much smaller.
func filled(n int) []byte {
	var text strings.Builder
	text.WriteString(`{"x":"`)
	for i := uint32(1); text.Len() < n-2; i = i*1664525 + 1013904223 {
		text.WriteByte('a' + byte(i>>24)%26)
	}
	return []byte(text.String() + `"}`)
}
