package storetest

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"daybook/eventstore"
)

var readRules = []rule{
	{"a stream is read from a revision, up to a limit", streamPages},
	{"a stream without events is not found", streamNotFound},
	{"the log is read after a position, up to a limit", logPages},
	{"a filter selects by type or by stream", filters},
	{"the head is the last event's position", head},
	{"a reader that stops early leaves nothing behind", stopsEarly},
}

func streamPages(l *log) {
	stream := l.stream("a")
	const n = 25
	l.append(stream, eventstore.NoStream, newEvents(n))
	whole := l.readStream(stream)
	for _, c := range []struct {
		from        int64
		limit       int
		first, last int // of whole, half open
	}{
		{0, 0, 0, n},
		{0, 1, 0, 1},
		{0, n, 0, n},
		{0, n + 1, 0, n},
		{7, 0, 7, n},
		{7, 5, 7, 12},
		{n - 1, 0, n - 1, n},
		{n - 1, 9, n - 1, n},
		{n, 0, n, n},
		{n, 3, n, n},
		{n + 1000, 0, n, n},
	} {
		got := l.collect(l.ReadStream(l.ctx, stream, c.from, c.limit))
		if err := same(got, whole[c.first:c.last]); err != nil {
			l.Errorf("from %d limit %d: %v", c.from, c.limit, err)
		}
	}
}

func streamNotFound(l *log) {
	l.append(l.stream("a"), eventstore.NoStream, newEvents(1))
	for _, stream := range []string{l.stream("b"), l.stream("A"), l.stream("a "), l.stream(""), "a\x00", "\xff", ""} {
		for _, from := range []int64{0, 5, eventstore.LastRevision} {
			l.isNotFound(stream, l.ReadStream(l.ctx, stream, from, 0))
			l.isNotFound(stream, l.ReadStreamBackwards(l.ctx, stream, from, 0))
		}
	}
}

func (l *log) isNotFound(stream string, read iter.Seq2[eventstore.Recorded, error]) {
	l.Helper()
	yielded := 0
	for _, err := range read {
		yielded++
		missing, ok := errors.AsType[*eventstore.NotFoundError](err)
		if !ok || missing.Stream != stream {
			l.Errorf("stream %q: error %v, want a NotFoundError", stream, err)
		}
	}
	if yielded != 1 {
		l.Errorf("stream %q: %d items, want one error", stream, yielded)
	}
}

func logPages(l *log) {
	for i := range 12 {
		l.append(l.stream(fmt.Sprint(i%5)), eventstore.Any, newEvents(1+i%4))
	}
	whole := l.readAll(l.start)
	l.inOrder(whole)
	for after := range len(whole) + 1 {
		position := l.start
		if after > 0 {
			position = whole[after-1].Position
		}
		for _, limit := range []int{0, 1, 3, 1000} {
			want := whole[after:]
			if limit > 0 {
				want = want[:min(limit, len(want))]
			}
			if err := same(l.readFiltered(position, eventstore.Filter{}, limit), want); err != nil {
				l.Errorf("after %s limit %d: %v", position, limit, err)
			}
		}
	}
}

func filters(l *log) {
	for i := range 30 {
		events := typed(fmt.Sprintf("suite.t%d.v1", i%6), newEvents(2))
		l.append(l.stream(fmt.Sprintf("s%d-%d", i%4, i%2)), eventstore.Any, events)
	}
	events := typed(`suite.50%_off\.v1`, newEvents(1))
	l.append(l.stream(`50%_off\`), eventstore.Any, events)
	whole := l.readAll(l.start)
	for name, filter := range map[string]eventstore.Filter{
		"all":                     {},
		"one type":                {TypePrefixes: []string{"suite.t3.v1"}},
		"two types":               {TypePrefixes: []string{"suite.t3", "suite.t5"}},
		"every type":              {TypePrefixes: []string{"suite."}},
		"no such type":            {TypePrefixes: []string{"suit.", "nothing"}},
		"longer than any type":    {TypePrefixes: []string{"suite.t3.v1.and.more"}},
		"one stream prefix":       {StreamPrefixes: []string{l.stream("s1-")}},
		"two stream prefixes":     {StreamPrefixes: []string{l.stream("s1-"), l.stream("s2")}},
		"overlapping prefixes":    {StreamPrefixes: []string{l.stream("s"), l.stream("s2")}},
		"no such stream":          {StreamPrefixes: []string{l.stream("S")}},
		"wildcards are no prefix": {StreamPrefixes: []string{l.stream("_"), l.stream("%"), l.stream("s.")}},
		"odd type":                {TypePrefixes: []string{`suite.50%_off\`}},
		"odd stream":              {StreamPrefixes: []string{l.stream(`50%_`)}},
		"empty prefix":            {TypePrefixes: []string{""}},
		"not text":                {TypePrefixes: []string{"suite.t3", "\xff", "\x00"}},
	} {
		var want []eventstore.Recorded
		for _, e := range whole {
			if filter.Selects(e.Type, e.Stream) {
				want = append(want, e)
			}
		}
		if err := same(l.readFiltered(l.start, filter, 0), want); err != nil {
			l.Errorf("%s: %v", name, err)
		}
		limited := want[:min(len(want), 4)]
		if err := same(l.readFiltered(l.start, filter, 4), limited); err != nil {
			l.Errorf("%s, limit 4: %v", name, err)
		}
		for _, limit := range []int{0, 4} {
			if err := same(l.readBackwards(eventstore.End, filter, limit), latest(want, limit)); err != nil {
				l.Errorf("%s, backwards, limit %d: %v", name, limit, err)
			}
		}
		got, err := l.subscribe(l.start, filter, len(want))
		if err != nil {
			l.Fatalf("%s: %v", name, err)
		}
		if err := same(got, want); err != nil {
			l.Errorf("%s, subscribed: %v", name, err)
		}
	}
}

func head(l *log) {
	for i := range 4 {
		result := l.append(l.stream(fmt.Sprint(i)), eventstore.NoStream, newEvents(i+1))
		if got, err := l.Head(l.ctx); err != nil || got != result.Position {
			l.Errorf("head is %s (error %v) after an append at %s", got, err, result.Position)
		}
	}
}

func stopsEarly(l *log) {
	stream := l.stream("a")
	for range 20 {
		l.append(stream, eventstore.Any, newEvents(100))
	}
	stop := func(n int) {
		seen := 0
		for _, read := range []iter.Seq2[eventstore.Recorded, error]{
			l.ReadStream(l.ctx, stream, 0, 0),
			l.ReadStreamBackwards(l.ctx, stream, eventstore.LastRevision, 0),
			l.ReadAll(l.ctx, l.start, eventstore.Filter{}, 0),
			l.ReadAllBackwards(l.ctx, eventstore.End, eventstore.Filter{}, 0),
		} {
			seen = 0
			for _, err := range read {
				if seen++; seen == n || err != nil {
					break
				}
			}
		}
		seen = 0
		for _, err := range l.Subscribe(l.ctx, l.start, eventstore.Filter{}) {
			if seen++; seen == n || err != nil {
				break
			}
		}
	}
	stop(1) // so that the engine has started all goroutines that it keeps
	before, _ := l.goroutines()
	for i := range 24 { // more than an engine has connections
		stop([]int{1, 2, 100}[i%3])
	}
	stop(1999) // once: it reads nearly all
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for left, stacks := l.goroutines(); left > before; left, stacks = l.goroutines() { // the machine may be busy
		select {
		case <-poll.C:
		case <-l.ctx.Done():
			l.Fatalf("%d goroutines were there, and %d after readers stopped early:\n%s", before, left, stacks)
		}
	}
	// If one of the stopped reads still held a connection or a lock, this append would hang.
	l.append(stream, eventstore.AtRevision(1999), newEvents(1))
}
