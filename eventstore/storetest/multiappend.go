package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"daybook/eventstore"
)

// AppendsAll says that the engine has AppendAll.
func AppendsAll() Option { return func(p *promises) { p.appendsAll = true } }

var multiRules = []rule{
	{"an engine tells whether it appends to several streams at once", tellsAppendsAll},
	{"writes to several streams are recorded together and in order", writesTogether},
	{"one write at fault leaves all writes unrecorded", oneAtFault},
	{"of several writes at fault the first gives the error", firstAtFault},
	{"writes that were recorded before are a replay", writesAgain},
	{"writes of which a part is recorded are a conflict", partOfWrites},
	{"an id that is not log-wide may be in several writes", idInSeveralWrites},
	{"a tombstone among writes ends its stream with them", tombstoneAmongWrites},
	{"writes that can never be taken are refused", invalidWrites},
	{"writes whose context has ended are not made", endedContextWrites},
}

func tellsAppendsAll(l *log) {
	if _, ok := eventstore.MultiAppenderOf(l.Store); ok != l.appendsAll {
		l.Errorf("the engine appends to several streams at once: %t, want %t", ok, l.appendsAll)
	}
}

// multi returns the engine as one that appends to several streams at once. If the engine cannot do
// that, the rule is skipped.
func (l *log) multi() eventstore.MultiAppender {
	l.Helper()
	all, ok := eventstore.MultiAppenderOf(l.Store)
	if !ok {
		l.Skip("the engine does not append to several streams at once")
	}
	return all
}

// appendAll makes writes that must be accepted as new.
func (l *log) appendAll(writes ...eventstore.Write) []eventstore.Result {
	l.Helper()
	results, err := l.multi().AppendAll(l.ctx, writes)
	if err != nil || len(results) != len(writes) {
		l.Fatalf("%d results of %d writes: %v", len(results), len(writes), err)
	}
	for i, result := range results {
		if result.Replayed {
			l.Fatalf("new events of %s were answered as a replay", writes[i].Stream)
		}
	}
	return results
}

// together fails unless the events of writes follow each other in the log, in the order of the
// writes, with nothing between them and with one recorded time.
func (l *log) together(writes []eventstore.Write, results []eventstore.Result) {
	l.Helper()
	all := l.readAll(l.start)
	l.inOrder(all)
	begin := slices.IndexFunc(all, func(e eventstore.Recorded) bool {
		return e.Stream == writes[0].Stream && e.ID == writes[0].Events[0].ID
	})
	if begin < 0 {
		l.Fatalf("the log does not hold the first event of %s", writes[0].Stream)
	}
	at := begin
	for i, w := range writes {
		for n, event := range w.Events {
			if at == len(all) {
				l.Fatalf("the log ends before event %d of %s", n, w.Stream)
			}
			got := all[at]
			at++
			if err := sameEvent(got.Event, event); err != nil || got.Stream != w.Stream {
				l.Fatalf("event %d of %s is followed or preceded by an event of %s: %v", n, w.Stream, got.Stream, err)
			}
			if !got.RecordedAt.Equal(all[begin].RecordedAt) {
				l.Errorf("%s was recorded at %s, the first write at %s", w.Stream, got.RecordedAt, all[begin].RecordedAt)
			}
		}
		if last := all[at-1]; results[i].Revision != last.Revision || results[i].Position != last.Position {
			l.Errorf("the result of %s is %+v, its last event is at revision %d, position %s", w.Stream, results[i], last.Revision, last.Position)
		}
	}
}

func writesTogether(l *log) {
	held := newEvents(2)
	l.append(l.stream("m"), eventstore.NoStream, held)
	l.append(l.stream("x"), eventstore.NoStream, newEvents(1))
	// The names are not sorted, and new streams are mixed with others.
	first := []eventstore.Write{
		{Stream: l.stream("z"), Expected: eventstore.NoStream, Events: newEvents(3)},
		{Stream: l.stream("m"), Expected: eventstore.AtRevision(1), Events: newEvents(2)},
		{Stream: l.stream("a"), Expected: eventstore.Any, Events: newEvents(1)},
		{Stream: l.stream("x"), Expected: eventstore.StreamExists, Events: logWide(newEvents(4))},
		{Stream: l.stream("b"), Expected: eventstore.NoStream, Events: logWide(newEvents(2))},
	}
	l.together(first, l.appendAll(first...))
	alone := []eventstore.Write{{Stream: l.stream("c"), Expected: eventstore.NoStream, Events: newEvents(2)}}
	l.together(alone, l.appendAll(alone...))
	second := []eventstore.Write{
		{Stream: l.stream("m"), Expected: eventstore.AtRevision(3), Events: newEvents(1)},
		{Stream: l.stream("b"), Expected: eventstore.Any, Events: newEvents(2)},
		{Stream: l.stream("z"), Expected: eventstore.AtRevision(2), Events: newEvents(1)},
	}
	results := l.appendAll(second...)
	l.together(second, results)
	if head, err := l.Head(l.ctx); err != nil || head != results[2].Position {
		l.Errorf("the head is %s (error %v), the last write is at %s", head, err, results[2].Position)
	}
	l.holds(l.stream("m"), slices.Concat(held, first[1].Events, second[0].Events))
	l.holds(l.stream("z"), slices.Concat(first[0].Events, second[2].Events))
	l.holds(l.stream("b"), slices.Concat(first[4].Events, second[1].Events))
}

// fault is a write that the engine must refuse.
type fault struct {
	name string
	eventstore.Write
}

// faults makes writes that Append refuses, each in a stream of its own.
func (l *log) faults(prefix string) []fault {
	l.Helper()
	var all []fault
	add := func(name string, present int, expected eventstore.Expected, make func(held []eventstore.Event) []eventstore.Event) {
		stream := l.stream(prefix + name)
		held := logWide(newEvents(max(present, 1)))
		if present > 0 {
			l.append(stream, eventstore.NoStream, held)
		}
		all = append(all, fault{name, eventstore.Write{Stream: stream, Expected: expected, Events: make(held)}})
	}
	fresh := func([]eventstore.Event) []eventstore.Event { return newEvents(2) }
	add("no stream, present", 2, eventstore.NoStream, fresh)
	add("an older revision", 3, eventstore.AtRevision(1), fresh)
	add("a revision still to come", 1, eventstore.AtRevision(1), fresh)
	add("exists, absent", 0, eventstore.StreamExists, fresh)
	add("a part recorded", 2, eventstore.NoStream, func(held []eventstore.Event) []eventstore.Event { return append(held[:1:1], newEvents(1)...) })
	add("too large", 0, eventstore.Any, func([]eventstore.Event) []eventstore.Event {
		return one(func(e *eventstore.Event) { e.Data = filled(eventstore.MaxAppendBytes) })
	})
	add("invalid", 0, eventstore.Any, func([]eventstore.Event) []eventstore.Event { return data("[]") })
	if l.logWideIDs {
		add("recorded in the stream, as expected", 3, eventstore.AtRevision(2), func(held []eventstore.Event) []eventstore.Event { return held[:1] })
		elsewhere := logWide(newEvents(1))
		l.append(l.stream(prefix+"elsewhere"), eventstore.NoStream, elsewhere)
		add("recorded elsewhere, new stream", 0, eventstore.NoStream, func([]eventstore.Event) []eventstore.Event { return append(newEvents(1), elsewhere...) })
		add("recorded elsewhere, any", 1, eventstore.Any, func([]eventstore.Event) []eventstore.Event { return elsewhere })
	}
	add("ended", 1, eventstore.Any, fresh)
	l.append(all[len(all)-1].Stream, eventstore.AtRevision(0), ending(1))
	return all
}

func oneAtFault(l *log) {
	all := l.multi()
	for place := range 3 {
		for _, f := range l.faults(fmt.Sprint(place, "-")) {
			name := fmt.Sprintf("%s, at place %d", f.name, place)
			present := l.stream(name + ", present")
			held := newEvents(2)
			l.append(present, eventstore.NoStream, held)
			// Streams before and behind the one at fault, in the order of names, too.
			writes := []eventstore.Write{
				{Stream: present, Expected: eventstore.AtRevision(1), Events: logWide(newEvents(2))},
				{Stream: l.stream("~" + name), Expected: eventstore.NoStream, Events: newEvents(1)},
			}
			writes = slices.Insert(writes, place, f.Write)
			before := l.readAll(l.start)
			_, want := l.Append(l.ctx, f.Stream, f.Expected, f.Events)
			for range 2 {
				results, err := all.AppendAll(l.ctx, writes)
				if err == nil || want == nil || err.Error() != want.Error() || fmt.Sprintf("%T", err) != fmt.Sprintf("%T", want) {
					l.Errorf("%s: results %v, error %v; Append alone says %v", name, results, err, want)
				}
			}
			if err := same(l.readAll(l.start), before); err != nil {
				l.Errorf("%s: the log has changed: %v", name, err)
			}
			// The others can be recorded without it.
			others := slices.Delete(slices.Clone(writes), place, place+1)
			l.together(others, l.appendAll(others...))
			l.holds(present, slices.Concat(held, others[0].Events))
		}
	}
}

func firstAtFault(l *log) {
	all := l.multi()
	behind := l.stream("behind")
	l.append(behind, eventstore.NoStream, newEvents(3))
	stale := eventstore.Write{Stream: behind, Expected: eventstore.AtRevision(0), Events: newEvents(1)}
	good := eventstore.Write{Stream: l.stream("good"), Expected: eventstore.NoStream, Events: newEvents(1)}
	for _, f := range l.faults("first-") {
		_, first := l.Append(l.ctx, f.Stream, f.Expected, f.Events)
		_, second := l.Append(l.ctx, stale.Stream, stale.Expected, stale.Events)
		before := l.readAll(l.start)
		_, err := all.AppendAll(l.ctx, []eventstore.Write{f.Write, good, stale})
		if err == nil || err.Error() != first.Error() {
			l.Errorf("%s, then a conflict: error %v, want %v", f.name, err, first)
		}
		want := second
		if refusedByForm(first) {
			want = first
		}
		_, err = all.AppendAll(l.ctx, []eventstore.Write{stale, good, f.Write})
		if err == nil || err.Error() != want.Error() {
			l.Errorf("a conflict, then %s: error %v, want %v", f.name, err, want)
		}
		if err := same(l.readAll(l.start), before); err != nil {
			l.Errorf("%s: the log has changed: %v", f.name, err)
		}
	}
}

// refusedByForm tells whether an append was refused without a look at the log.
func refusedByForm(err error) bool {
	_, invalid := errors.AsType[*eventstore.InvalidError](err)
	_, large := errors.AsType[*eventstore.TooLargeError](err)
	return invalid || large
}

// replaysAll repeats writes and fails unless each gets the answer of the first time.
func (l *log) replaysAll(name string, writes []eventstore.Write, first []eventstore.Result) {
	l.Helper()
	before := l.readAll(l.start)
	for range 2 {
		again, err := l.multi().AppendAll(l.ctx, writes)
		if err != nil || len(again) != len(writes) {
			l.Errorf("%s: %d results, error %v, want the first results", name, len(again), err)
			return
		}
		for i, result := range again {
			if !result.Replayed || result.Revision != first[i].Revision || result.Position != first[i].Position {
				l.Errorf("%s: write %d gets %+v, want %+v as a replay", name, i, result, first[i])
			}
		}
	}
	if err := same(l.readAll(l.start), before); err != nil {
		l.Errorf("%s: the log has changed: %v", name, err)
	}
}

// threeWrites makes writes to two streams that hold events and a new one.
func (l *log) threeWrites(name string, expected eventstore.Expected, ids func([]eventstore.Event) []eventstore.Event) []eventstore.Write {
	l.Helper()
	at := expected
	if expected >= eventstore.NoStream {
		at = eventstore.AtRevision(1)
	}
	writes := []eventstore.Write{
		{Stream: l.stream(name + " y"), Expected: at, Events: ids(newEvents(2))},
		{Stream: l.stream(name + " z"), Expected: at, Events: ids(newEvents(1))},
		{Stream: l.stream(name + " a"), Expected: eventstore.NoStream, Events: ids(newEvents(3))},
	}
	for _, w := range writes[:2] {
		l.append(w.Stream, eventstore.NoStream, newEvents(2))
	}
	return writes
}

func asTheyAre(events []eventstore.Event) []eventstore.Event { return events }

func writesAgain(l *log) {
	for _, expected := range []eventstore.Expected{eventstore.NoStream, eventstore.Any, eventstore.StreamExists} {
		for kind, ids := range map[string]func([]eventstore.Event) []eventstore.Event{"log-wide ids": logWide, "ids": asTheyAre} {
			name := fmt.Sprintf("%s, %s", expected, kind)
			writes := l.threeWrites(name, expected, ids)
			first := l.appendAll(writes...)
			l.replaysAll(name, writes, first)
			l.append(writes[1].Stream, eventstore.Any, newEvents(1))
			l.replaysAll(name+", after more", writes, first)
			turned, results := slices.Clone(writes), slices.Clone(first)
			slices.Reverse(turned)
			slices.Reverse(results)
			l.replaysAll(name+", in another order", turned, results)
			l.replaysAll(name+", two of them", turned[1:], results[1:])
			for i, w := range writes {
				l.replays(name+", alone", w.Stream, w.Expected, w.Events, first[i])
			}

			// Recorded one by one, and repeated together.
			name += ", one by one"
			writes = l.threeWrites(name, expected, ids)
			for i, w := range writes {
				first[i] = l.append(w.Stream, w.Expected, w.Events)
			}
			l.replaysAll(name, writes, first)
		}
	}
	l.inOrder(l.readAll(l.start))
}

func partOfWrites(l *log) {
	all := l.multi()
	for _, expected := range []eventstore.Expected{eventstore.NoStream, eventstore.Any, eventstore.StreamExists} {
		for kind, ids := range map[string]func([]eventstore.Event) []eventstore.Event{"log-wide ids": logWide, "ids": asTheyAre} {
			for recorded := 1; recorded < 7; recorded++ { // a set of writes; 7 would be all of them
				name := fmt.Sprintf("%s, %s, %03b", expected, kind, recorded)
				writes := l.threeWrites(name, expected, ids)
				first, actual := eventstore.Write{}, int64(0)
				for i, w := range slices.Backward(writes) {
					if recorded&(1<<i) == 0 {
						continue
					}
					result := l.append(w.Stream, w.Expected, w.Events)
					first, actual = w, result.Revision
				}
				before := l.readAll(l.start)
				for range 2 {
					_, err := all.AppendAll(l.ctx, writes)
					l.isConflict(err, first.Stream, first.Expected, actual)
				}
				// The error is that of a write at fault, even behind one that was recorded before.
				absent := eventstore.Write{Stream: l.stream(name + " absent"), Expected: eventstore.StreamExists, Events: newEvents(1)}
				_, err := all.AppendAll(l.ctx, append(slices.Clone(writes), absent))
				l.isConflict(err, absent.Stream, absent.Expected, -1)
				if err := same(l.readAll(l.start), before); err != nil {
					l.Errorf("%s: the log has changed: %v", name, err)
				}
			}
		}
	}
	l.inOrder(l.readAll(l.start))
}

// idInSeveralWrites tests that an id that is not log-wide may also be in other streams, even in one
// AppendAll.
func idInSeveralWrites(l *log) {
	used := newEvents(3)
	l.append(l.stream("before"), eventstore.NoStream, used)
	l.append(l.stream("d"), eventstore.NoStream, used[:1])
	fresh := newEvents(2)
	for name, events := range map[string][]eventstore.Event{
		"new ids":             fresh,
		"ids used before":     used[1:],
		"some used before":    {newEvents(1)[0], used[1], newEvents(1)[0]},
		"an id twice in each": {used[2], fresh[0], used[2]},
		"new, and used twice": {newEvents(1)[0], fresh[0], fresh[1], fresh[0]},
	} {
		held := newEvents(1)
		l.append(l.stream(name+" c"), eventstore.NoStream, held)
		writes := []eventstore.Write{
			{Stream: l.stream(name + " b"), Expected: eventstore.NoStream, Events: events},
			{Stream: l.stream(name + " a"), Expected: eventstore.NoStream, Events: events},
			{Stream: l.stream(name + " c"), Expected: eventstore.AtRevision(0), Events: events[1:]},
		}
		results := l.appendAll(writes...)
		l.together(writes, results)
		l.replaysAll(name, writes, results)
		l.holds(writes[0].Stream, events)
		l.holds(writes[2].Stream, append(held, events[1:]...))
		// Once more behind the first time, where a revision is expected.
		again := []eventstore.Write{
			{Stream: writes[2].Stream, Expected: eventstore.AtRevision(results[2].Revision), Events: events},
			{Stream: writes[0].Stream, Expected: eventstore.AtRevision(results[0].Revision), Events: events},
		}
		second := l.appendAll(again...)
		l.replaysAll(name+", behind itself", again, second)
		l.holds(writes[0].Stream, slices.Concat(events, events))
		l.holds(writes[2].Stream, slices.Concat(held, events[1:], events))
	}
	l.inOrder(l.readAll(l.start))
}

func tombstoneAmongWrites(l *log) {
	all := l.multi()
	for place := range 3 {
		held, end := newEvents(2), l.endable(ending(2))
		last := l.stream(fmt.Sprint("m", place))
		l.append(last, eventstore.NoStream, held)
		writes := []eventstore.Write{
			{Stream: l.stream(fmt.Sprint("z", place)), Expected: eventstore.NoStream, Events: newEvents(2)},
			{Stream: l.stream(fmt.Sprint("a", place)), Expected: eventstore.NoStream, Events: newEvents(1)},
		}
		writes = slices.Insert(writes, place, eventstore.Write{Stream: last, Expected: eventstore.AtRevision(1), Events: end})
		// With a write at fault, the stream does not end.
		stale := eventstore.Write{Stream: l.stream("stale"), Expected: eventstore.StreamExists, Events: newEvents(1)}
		_, err := all.AppendAll(l.ctx, append(slices.Clone(writes), stale))
		l.isConflict(err, stale.Stream, stale.Expected, -1)
		l.holds(last, held)
		results := l.appendAll(writes...)
		if !isEnd(results[place].Revision, int64(len(held)+len(end))-1) {
			l.Errorf("the tombstone's revision is %d", results[place].Revision)
		}
		l.refusesAppends("among writes", last, append(held, end...))
		l.refusesReads("among writes", last)
		_, err = all.AppendAll(l.ctx, writes)
		l.isDeleted("all writes again", last, err)
	}
	l.inOrder(l.readAll(l.start))
}

func invalidWrites(l *log) {
	all := l.multi()
	write := func(name string, events []eventstore.Event) eventstore.Write {
		return eventstore.Write{Stream: l.stream(name), Expected: eventstore.NoStream, Events: events}
	}
	twice := logWide(newEvents(1))
	many := make([]eventstore.Write, eventstore.MaxAppendStreams+1)
	for i := range many {
		many[i] = write(fmt.Sprint("many-", i), newEvents(1))
	}
	half := func(n int) []eventstore.Event {
		return one(func(e *eventstore.Event) { e.Meta, e.Data = nil, filled(n-2*len(e.Type)) })
	}
	const middle = eventstore.MaxAppendBytes / 2
	for name, c := range map[string]struct {
		writes []eventstore.Write
		what   string // of a TooLargeError; InvalidError if empty
		size   int
	}{
		"no writes":                       {nil, "", 0},
		"a stream twice":                  {[]eventstore.Write{write("a", newEvents(1)), write("b", newEvents(1)), write("a", newEvents(1))}, "", 0},
		"a stream twice, the same events": {[]eventstore.Write{write("a", twice), write("a", twice)}, "", 0},
		"a log-wide id in two streams":    {[]eventstore.Write{write("a", twice), write("b", append(newEvents(1), twice...))}, "", 0},
		"a write without events":          {[]eventstore.Write{write("a", newEvents(1)), write("b", nil)}, "", 0},
		"a stream too many":               {many, "streams", eventstore.MaxAppendStreams + 1},
		"a byte too many":                 {[]eventstore.Write{write("a", half(middle)), write("b", half(middle+1))}, "bytes", eventstore.MaxAppendBytes + 1},
		"an event too many":               {[]eventstore.Write{write("a", newEvents(5000)), write("b", newEvents(5001))}, "events", eventstore.MaxAppendEvents + 1},
	} {
		_, err := all.AppendAll(l.ctx, c.writes)
		large, tooLarge := errors.AsType[*eventstore.TooLargeError](err)
		_, invalid := errors.AsType[*eventstore.InvalidError](err)
		if c.what == "" && !invalid || c.what != "" && (!tooLarge || large.What != c.what || large.Size != c.size) {
			l.Errorf("%s: error %v", name, err)
		}
	}
	if left := l.readAll(l.start); len(left) != 0 {
		l.Errorf("%d events were recorded", len(left))
	}
	l.together(many[1:], l.appendAll(many[1:]...))
	most := []eventstore.Write{write("a", half(middle)), write("b", half(middle))}
	l.together(most, l.appendAll(most...))
}

func endedContextWrites(l *log) {
	ended, cancel := context.WithCancel(l.ctx)
	cancel()
	writes := []eventstore.Write{
		{Stream: l.stream("a"), Expected: eventstore.NoStream, Events: newEvents(1)},
		{Stream: l.stream("b"), Expected: eventstore.NoStream, Events: newEvents(1)},
	}
	_, err := l.multi().AppendAll(ended, writes)
	if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err); unknown || !errors.Is(err, context.Canceled) {
		l.Errorf("error %v, want context.Canceled", err)
	}
	l.holds(writes[0].Stream, nil)
	l.holds(writes[1].Stream, nil)
	l.together(writes, l.appendAll(writes...))
}
