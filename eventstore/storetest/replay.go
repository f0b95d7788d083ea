package storetest

import (
	"errors"
	"math"
	"slices"

	"daybook/eventstore"
)

var replayRules = []rule{
	{"the same ids at the same place are recorded once", sameIDsSamePlace},
	{"the beginning of an append that was recorded is a replay", prefixIsReplay},
	{"an id recorded elsewhere in its stream is refused", idElsewhereInStream},
	{"a log-wide id recorded in another stream is refused", logWideIDInAnotherStream},
	{"an id recorded in another stream may be used again", idInAnotherStream},
	{"an append of which a part is recorded is refused", partlyRecorded},
	{"an append that was refused may be repeated", refusedThenRepeated},
}

func sameIDsSamePlace(l *log) {
	for name, c := range map[string]struct {
		present, count int
		expected       eventstore.Expected
	}{
		"one, no stream":    {0, 1, eventstore.NoStream},
		"many, no stream":   {0, 5, eventstore.NoStream},
		"one, exact":        {3, 1, eventstore.AtRevision(2)},
		"many, exact":       {3, 4, eventstore.AtRevision(2)},
		"one, any, absent":  {0, 1, eventstore.Any},
		"many, any":         {2, 3, eventstore.Any},
		"one, must exist":   {2, 1, eventstore.StreamExists},
		"many, must exist":  {2, 6, eventstore.StreamExists},
		"many, any, absent": {0, 3, eventstore.Any},
	} {
		stream := l.stream(name)
		var held []eventstore.Event
		if c.present > 0 {
			held = newEvents(c.present)
			l.append(stream, eventstore.NoStream, held)
		}
		events := newEvents(c.count)
		first := l.append(stream, c.expected, events)
		l.replays(name+", at once", stream, c.expected, events, first)
		more := newEvents(2)
		l.append(stream, eventstore.Any, more)
		l.replays(name+", after more", stream, c.expected, events, first)
		l.holds(stream, append(append(held, events...), more...))
	}
	l.inOrder(l.readAll(l.start))
}

// replays fails unless an append is answered as the first time.
func (l *log) replays(name, stream string, expected eventstore.Expected, events []eventstore.Event, first eventstore.Result) {
	l.Helper()
	for range 2 {
		again, err := l.Append(l.ctx, stream, expected, events)
		if err != nil {
			l.Errorf("%s: error %v, want the first result", name, err)
			return
		}
		if !again.Replayed || again.Revision != first.Revision || again.Position != first.Position {
			l.Errorf("%s: %+v, want %+v as a replay", name, again, first)
		}
	}
}

func prefixIsReplay(l *log) {
	stream := l.stream("a")
	l.append(stream, eventstore.NoStream, newEvents(1))
	events := newEvents(3)
	l.append(stream, eventstore.AtRevision(0), events)
	recorded := l.readStream(stream)
	l.replays("two of three", stream, eventstore.AtRevision(0), events[:2],
		eventstore.Result{Revision: 2, Position: recorded[2].Position})
	l.replays("the rest", stream, eventstore.AtRevision(2), events[2:],
		eventstore.Result{Revision: 3, Position: recorded[3].Position})
}

func idElsewhereInStream(l *log) {
	if !l.logWideIDs {
		l.Skip("the engine compares ids only with those at the place expected")
	}
	for stream, events := range map[string][]eventstore.Event{l.stream("a"): newEvents(3), l.stream("b"): logWide(newEvents(3))} {
		l.append(stream, eventstore.NoStream, events)
		byPlace := l.placesFirst && !eventstore.LogWide(events[0].ID)
		for name, c := range map[string]struct {
			expected eventstore.Expected
			events   []eventstore.Event
			conflict bool // by the place alone
		}{
			"later":                        {eventstore.AtRevision(2), events[:1], false},
			"in another order, any":        {eventstore.Any, []eventstore.Event{events[1], events[0]}, true},
			"beyond the end":               {eventstore.AtRevision(7), events[:1], true},
			"as far beyond as there is":    {eventstore.AtRevision(math.MaxInt64), events, true},
			"as far but for one":           {eventstore.AtRevision(math.MaxInt64 - 1), events[2:], true},
			"the end of it, then new ones": {eventstore.AtRevision(2), append(events[2:3:3], newEvents(1)...), false},
		} {
			_, err := l.Append(l.ctx, stream, c.expected, c.events)
			if _, conflict := errors.AsType[*eventstore.ConflictError](err); conflict && c.conflict && byPlace {
				continue
			}
			l.isDuplicate(name, err, stream, events)
		}
		l.holds(stream, events)
	}
	l.inOrder(l.readAll(l.start))
}

func logWideIDInAnotherStream(l *log) {
	if !l.logWideIDs {
		l.Skip("the engine compares ids only with those at the place expected")
	}
	other := l.stream("b")
	events, held := logWide(newEvents(3)), newEvents(2)
	l.append(l.stream("a"), eventstore.NoStream, events)
	l.append(other, eventstore.NoStream, held)
	for name, c := range map[string]struct {
		stream   string
		expected eventstore.Expected
		events   []eventstore.Event
	}{
		"exact":             {other, eventstore.AtRevision(1), events[:1]},
		"any":               {other, eventstore.Any, events},
		"exists":            {other, eventstore.StreamExists, events},
		"a new stream":      {l.stream("c"), eventstore.NoStream, events},
		"a new stream, any": {l.stream("d"), eventstore.Any, events[2:]},
		"far beyond":        {other, eventstore.AtRevision(math.MaxInt64), events[:1]},
		"among new ones":    {other, eventstore.AtRevision(1), append(newEvents(2), events[1])},
	} {
		_, err := l.Append(l.ctx, c.stream, c.expected, c.events)
		l.isDuplicate(name, err, c.stream, events)
	}
	l.holds(l.stream("a"), events)
	l.holds(other, held)
	l.holds(l.stream("c"), nil)
	l.holds(l.stream("d"), nil)
	l.inOrder(l.readAll(l.start))
}

// idInAnotherStream: to a stream, ids of other streams are as any.
func idInAnotherStream(l *log) {
	other := l.stream("b")
	events, held := newEvents(3), newEvents(2)
	first := l.append(l.stream("a"), eventstore.NoStream, events)
	l.append(other, eventstore.NoStream, held)
	results := map[string]eventstore.Result{
		other:            l.append(other, eventstore.AtRevision(1), events),
		l.stream("c"):    l.append(l.stream("c"), eventstore.NoStream, events[1:]),
		l.stream("d"):    l.append(l.stream("d"), eventstore.Any, []eventstore.Event{events[2], events[0]}),
		l.stream("e"):    l.append(l.stream("e"), eventstore.NoStream, append(append(newEvents(1), events[1]), newEvents(1)...)),
		l.stream("some"): l.append(l.stream("some"), eventstore.Any, events[:1]),
	}
	_, err := l.Append(l.ctx, l.stream("c"), eventstore.AtRevision(7), events[:1])
	l.isConflict(err, l.stream("c"), eventstore.AtRevision(7), 1)
	// Each stream knows its own again, and holds them under the ids that were given.
	l.replays("in the first stream", l.stream("a"), eventstore.NoStream, events, first)
	l.replays("in another", other, eventstore.AtRevision(1), events, results[other])
	l.replays("in a new one", l.stream("c"), eventstore.NoStream, events[1:], results[l.stream("c")])
	l.replays("in another order", l.stream("d"), eventstore.NoStream, []eventstore.Event{events[2], events[0]}, results[l.stream("d")])
	l.holds(l.stream("a"), events)
	l.holds(other, append(held, events...))
	l.holds(l.stream("c"), events[1:])
	l.holds(l.stream("d"), []eventstore.Event{events[2], events[0]})
	if l.logWideIDs {
		_, err := l.Append(l.ctx, other, eventstore.AtRevision(4), events[:1])
		l.isDuplicate("elsewhere in a stream that used it again", err, other, events)
	}
	all := l.readAll(l.start)
	l.inOrder(all)
	seen, err := l.subscribe(l.start, eventstore.Filter{}, len(all))
	if err == nil {
		err = same(seen, all)
	}
	if err != nil {
		l.Errorf("a subscription: %v", err)
	}
}

// isDuplicate fails unless an append was refused for an id that is recorded.
func (l *log) isDuplicate(name string, err error, stream string, recorded []eventstore.Event) {
	l.Helper()
	duplicate, ok := errors.AsType[*eventstore.DuplicateEventError](err)
	if !ok {
		l.Errorf("%s: error %v, want a DuplicateEventError", name, err)
		return
	}
	known := slices.ContainsFunc(recorded, func(e eventstore.Event) bool { return e.ID == duplicate.ID })
	if duplicate.Stream != stream || !known {
		l.Errorf("%s: the error names %s in %s", name, duplicate.ID, duplicate.Stream)
	}
}

// partlyRecorded: both a conflict and a duplicate are true of such an append;
// engines may say either.
func partlyRecorded(l *log) {
	stream := l.stream("a")
	events := newEvents(2)
	l.append(stream, eventstore.NoStream, events)
	for name, c := range map[string]struct {
		expected eventstore.Expected
		events   []eventstore.Event
	}{
		"recorded, then new":           {eventstore.NoStream, append(events[:2:2], newEvents(1)...)},
		"recorded, then new, any":      {eventstore.Any, append(events[:2:2], newEvents(1)...)},
		"new, then recorded":           {eventstore.NoStream, append(newEvents(1), events[1])},
		"new in place of the second":   {eventstore.NoStream, append(events[:1:1], newEvents(1)...)},
		"in another order":             {eventstore.NoStream, []eventstore.Event{events[1], events[0]}},
		"recorded, one place later":    {eventstore.AtRevision(0), events},
		"second one, expected too low": {eventstore.NoStream, events[1:]},
	} {
		_, err := l.Append(l.ctx, stream, c.expected, c.events)
		if !isRefusal(err) {
			l.Errorf("%s: error %v, want a ConflictError or a DuplicateEventError", name, err)
		}
	}
	l.holds(stream, events)
}

// isRefusal tells whether an append was refused for what its stream holds.
func isRefusal(err error) bool {
	_, conflict := errors.AsType[*eventstore.ConflictError](err)
	_, duplicate := errors.AsType[*eventstore.DuplicateEventError](err)
	return conflict || duplicate
}

// refusedThenRepeated: a refused append recorded nothing, so its ids are free.
func refusedThenRepeated(l *log) {
	stream := l.stream("a")
	l.append(stream, eventstore.NoStream, newEvents(2))
	events := newEvents(2)
	_, err := l.Append(l.ctx, stream, eventstore.NoStream, events)
	l.isConflict(err, stream, eventstore.NoStream, 1)
	result := l.append(stream, eventstore.AtRevision(1), events)
	if result.Revision != 3 {
		l.Errorf("revision %d, want 3", result.Revision)
	}
}
