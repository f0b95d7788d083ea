package storetest

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"daybook/eventstore"
)

var replayRules = []rule{
	{"the same ids at the same place are recorded once", sameIDsSamePlace},
	{"the beginning of an append that was recorded is a replay", prefixIsReplay},
	{"a log-wide id recorded elsewhere in its stream is refused", logWideIDElsewhereInStream},
	{"at the revision expected, ids of the stream may be used again", idAgain},
	{"where no revision is expected, the first id decides", firstIDDecides},
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

// replays repeats an append and fails unless it gets the answer of the first time.
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

func logWideIDElsewhereInStream(l *log) {
	if !l.logWideIDs {
		l.Skip("the engine compares ids only with those at the place expected")
	}
	stream, events := l.stream("a"), logWide(newEvents(3))
	l.append(stream, eventstore.NoStream, events)
	for name, c := range map[string]struct {
		expected eventstore.Expected
		events   []eventstore.Event
	}{
		"later":                            {eventstore.AtRevision(2), events[:1]},
		"in another order, any":            {eventstore.Any, []eventstore.Event{events[1], events[0]}},
		"with a gap, exists":               {eventstore.StreamExists, []eventstore.Event{events[0], events[2]}},
		"beyond the end":                   {eventstore.AtRevision(7), events[:1]},
		"at the highest revision":          {eventstore.AtRevision(math.MaxInt64), events},
		"at the highest revision less one": {eventstore.AtRevision(math.MaxInt64 - 1), events[2:]},
		"the end of it, then new ones":     {eventstore.AtRevision(2), append(events[2:3:3], newEvents(1)...)},
		"behind new ones, any":             {eventstore.Any, append(newEvents(1), events[2])},
	} {
		_, err := l.Append(l.ctx, stream, c.expected, c.events)
		l.isDuplicate(name, err, stream, events)
	}
	l.holds(stream, events)
	l.inOrder(l.readAll(l.start))
}

// idAgain tests that a stream accepts ids that it already holds, if the append is at the expected
// revision. Events that were recorded that way are recognised by their place.
func idAgain(l *log) {
	for name, ids := range map[string][]int{ // indexes of recorded events; 3 and 4 are new
		"all of them":          {0, 1, 2},
		"the first":            {0},
		"the last":             {2},
		"in another order":     {2, 0},
		"known, then new":      {1, 3},
		"new, then known":      {3, 1},
		"one of them twice":    {1, 1},
		"a new one twice":      {3, 3},
		"between new ones":     {3, 0, 4},
		"and again, thrice":    {0, 0, 0},
		"new, and in a circle": {3, 4, 3},
	} {
		stream, all := l.stream(name), newEvents(5)
		held := all[:3:3]
		l.append(stream, eventstore.NoStream, held)
		var events []eventstore.Event
		for n, i := range ids {
			again := all[i]
			again.Data = fmt.Appendf(nil, `{"again":%d}`, n)
			events = append(events, again)
		}
		first := l.append(stream, eventstore.AtRevision(2), events)
		if want := int64(len(held)+len(events)) - 1; first.Revision != want {
			l.Errorf("%s: appended up to revision %d, want %d", name, first.Revision, want)
		}
		held = append(held, events...)
		l.holds(stream, held)
		l.replays(name, stream, eventstore.AtRevision(2), events, first)
		// The same events once more, after the first time.
		second := l.append(stream, eventstore.AtRevision(first.Revision), events)
		held = append(held, events...)
		l.replays(name+", at first", stream, eventstore.AtRevision(2), events, first)
		l.replays(name+", behind itself", stream, eventstore.AtRevision(first.Revision), events, second)
		for _, expected := range []eventstore.Expected{eventstore.NoStream, eventstore.AtRevision(1), eventstore.AtRevision(second.Revision + 3), eventstore.AtRevision(math.MaxInt64)} {
			if _, err := l.Append(l.ctx, stream, expected, append(events[:len(events):len(events)], newEvents(1)...)); !isRefusal(err) {
				l.Errorf("%s, expecting %d: error %v, want a refusal", name, expected, err)
			}
		}
		l.holds(stream, held)
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

// firstIDDecides tests appends without an expected revision. If the stream holds the first
// id, the append is a repetition, and the stream must hold the other ids, too. Otherwise the
// append is new.
func firstIDDecides(l *log) {
	for _, expected := range []eventstore.Expected{eventstore.Any, eventstore.StreamExists} {
		for name, c := range map[string]struct {
			ids  []int // by number: the stream holds 0, 1, 2 and 0 once more; 4 and 5 are new
			at   int64 // the revision that a repeated append returns
			want string
		}{
			"the first":                 {[]int{0}, 0, "repeat"},
			"in another order":          {[]int{1, 0}, 0, "repeat"},
			"with a gap":                {[]int{0, 2}, 2, "repeat"},
			"an id twice in one append": {[]int{2, 0}, 0, "repeat"},
			"one of them twice":         {[]int{1, 1}, 1, "repeat"},
			"known, then new":           {[]int{1, 4}, 0, "refused"},
			"all and a new one":         {[]int{0, 1, 2, 4}, 0, "refused"},
			"new, then known":           {[]int{4, 1}, 0, "new"},
			"a new one twice":           {[]int{4, 4}, 0, "new"},
			"among new ones":            {[]int{4, 0, 5}, 0, "new"},
		} {
			name = fmt.Sprintf("%s, %d", name, expected)
			stream, all := l.stream(name), newEvents(6)
			held := append(all[:3:3], all[0])
			l.append(stream, eventstore.NoStream, held[:3])
			l.append(stream, eventstore.AtRevision(2), held[3:])
			recorded := l.readStream(stream)
			var events []eventstore.Event
			for _, i := range c.ids {
				events = append(events, all[i])
			}
			switch c.want {
			case "repeat":
				l.replays(name, stream, expected, events, eventstore.Result{Revision: c.at, Position: recorded[c.at].Position})
			case "refused":
				if _, err := l.Append(l.ctx, stream, expected, events); !isRefusal(err) {
					l.Errorf("%s: error %v, want a refusal", name, err)
				}
			case "new":
				if added := l.append(stream, expected, events); added.Revision != int64(len(held)+len(events))-1 {
					l.Errorf("%s: appended up to revision %d", name, added.Revision)
				}
				held = append(held, events...)
			}
			l.holds(stream, held)
		}
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

// idInAnotherStream tests that ids of other streams mean nothing to a stream.
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
	// Each stream recognises its own events, and holds them under the ids that were given.
	l.replays("in the first stream", l.stream("a"), eventstore.NoStream, events, first)
	l.replays("in another", other, eventstore.AtRevision(1), events, results[other])
	l.replays("in a new one", l.stream("c"), eventstore.NoStream, events[1:], results[l.stream("c")])
	l.replays("in another order", l.stream("d"), eventstore.NoStream, []eventstore.Event{events[2], events[0]}, results[l.stream("d")])
	l.holds(l.stream("a"), events)
	l.holds(other, append(held, events...))
	l.holds(l.stream("c"), events[1:])
	l.holds(l.stream("d"), []eventstore.Event{events[2], events[0]})
	last := l.append(other, eventstore.AtRevision(4), events[:1])
	l.replays("once more in another", other, eventstore.AtRevision(4), events[:1], last)
	l.holds(other, append(append(held, events...), events[0]))
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
	found := slices.ContainsFunc(recorded, func(e eventstore.Event) bool { return e.ID == duplicate.ID })
	if duplicate.Stream != stream || !found {
		l.Errorf("%s: the error names %s in %s", name, duplicate.ID, duplicate.Stream)
	}
}

// partlyRecorded tests an append that is both a conflict and a duplicate. Engines may return
// either error.
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

// refusedThenRepeated tests that a refused append recorded nothing, so its ids can be used.
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
