package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"daybook/eventstore"
)

var backwardsRules = []rule{
	{"a stream is read backwards from a revision, up to a limit", streamBackwards},
	{"the log is read backwards before a position, up to a limit", logBackwards},
	{"the log is read backwards down to its first event", firstOfLog},
	{"a long read backwards is a long read turned round", longBackwards},
	{"a filter finds what is far back", farBack},
	{"reading backwards during writes leaves nothing out", backwardsDuringWrites},
	{"a read whose context ends is complete or says so", contextEndsRead},
}

// latest returns what a backwards read must yield if the stream has these events. limit 0 means
// that there is no limit.
func latest(events []eventstore.Recorded, limit int) []eventstore.Recorded {
	turned := slices.Clone(events)
	slices.Reverse(turned)
	if limit > 0 {
		turned = turned[:min(limit, len(turned))]
	}
	return turned
}

// readBackwards reads the log backwards from a position to the place at which this rule's events
// begin.
func (l *log) readBackwards(before eventstore.Position, filter eventstore.Filter, limit int) []eventstore.Recorded {
	l.Helper()
	var events []eventstore.Recorded
	for e, err := range l.ReadAllBackwards(l.ctx, before, filter, limit) {
		if err != nil {
			l.Fatalf("read log backwards, after %d events: %v", len(events), err)
		}
		if !l.start.Before(e.Position) {
			break
		}
		events = append(events, e)
	}
	return events
}

func streamBackwards(l *log) {
	const n = 25
	stream := l.stream("a")
	l.append(stream, eventstore.NoStream, newEvents(n))
	l.append(l.stream("b"), eventstore.NoStream, newEvents(n))
	whole := l.readStream(stream)
	froms := []int64{n, n + 1000, eventstore.LastRevision - 1, eventstore.LastRevision}
	for from := range int64(n) {
		froms = append(froms, from)
	}
	for _, from := range froms {
		for _, limit := range []int{0, 1, 4, n, n + 1} {
			want := latest(whole[:min(from, n-1)+1], limit)
			if err := same(l.collect(l.ReadStreamBackwards(l.ctx, stream, from, limit)), want); err != nil {
				l.Errorf("from %d limit %d: %v", from, limit, err)
			}
		}
	}
}

func logBackwards(l *log) {
	for i := range 12 {
		l.append(l.stream(fmt.Sprint(i%5)), eventstore.Any, newEvents(1+i%4))
	}
	whole := l.readAll(l.start)
	earlier := map[eventstore.Position]int{l.start: 0, eventstore.End: len(whole)} // events of this rule before a position
	for i, e := range whole {
		earlier[e.Position] = i
	}
	for before, count := range earlier {
		for _, limit := range []int{0, 1, 3, 1000} {
			want := latest(whole[:count], limit)
			if err := same(l.readBackwards(before, eventstore.Filter{}, limit), want); err != nil {
				l.Errorf("before %s limit %d: %v", before, limit, err)
			}
		}
	}
}

func firstOfLog(l *log) {
	l.append(l.stream("a"), eventstore.NoStream, newEvents(4))
	oldest := l.readFiltered(eventstore.Start, eventstore.Filter{}, 4)
	for i, e := range oldest {
		got := l.collect(l.ReadAllBackwards(l.ctx, e.Position, eventstore.Filter{}, 0))
		if err := same(got, latest(oldest[:i], 0)); err != nil {
			l.Errorf("before event %d of the log: %v", i, err)
		}
	}
	if got := l.collect(l.ReadAllBackwards(l.ctx, eventstore.Start, eventstore.Filter{}, 0)); len(got) != 0 {
		l.Errorf("before the start of the log: %d events, want none", len(got))
	}
}

// longBackwards reads more events than an engine holds at a time. Their sizes differ much.
func longBackwards(l *log) {
	stream := l.stream("a")
	for i := range 12 {
		events := newEvents(200)
		events[i*7].Data = filled(100_000)
		l.append(stream, eventstore.Any, events)
	}
	for range 8 {
		events := newEvents(1)
		events[0].Data = filled(eventstore.MaxAppendBytes - 1000)
		l.append(stream, eventstore.Any, events)
	}
	whole := l.readStream(stream)
	everything, selected := eventstore.Filter{}, eventstore.Filter{TypePrefixes: []string{"suite."}}
	if err := same(l.readFiltered(l.start, selected, 0), whole); err != nil {
		l.Errorf("the log forwards, filter %v: %v", selected, err)
	}
	for _, limit := range []int{0, 2001} {
		if err := same(l.collect(l.ReadStreamBackwards(l.ctx, stream, eventstore.LastRevision, limit)), latest(whole, limit)); err != nil {
			l.Errorf("the stream, limit %d: %v", limit, err)
		}
	}
	for limit, filter := range map[int]eventstore.Filter{0: everything, 1000: everything, 2001: selected} {
		if err := same(l.readBackwards(eventstore.End, filter, limit), latest(whole, limit)); err != nil {
			l.Errorf("the log, filter %v, limit %d: %v", filter, limit, err)
		}
	}
}

func farBack(l *log) {
	for range 2 {
		l.append(l.stream("wanted"), eventstore.Any, typed("wanted.v1", newEvents(2)))
		for range 5 { // more events than an engine examines for one page
			l.append(l.stream("other"), eventstore.Any, newEvents(500))
		}
	}
	wanted := l.readStream(l.stream("wanted"))
	for name, filter := range map[string]eventstore.Filter{
		"types":   {TypePrefixes: []string{"wanted."}},
		"streams": {StreamPrefixes: []string{l.stream("wanted")}},
	} {
		for _, limit := range []int{0, 1, 3} {
			if err := same(l.readBackwards(eventstore.End, filter, limit), latest(wanted, limit)); err != nil {
				l.Errorf("%s, limit %d: %v", name, limit, err)
			}
		}
	}
}

// backwardsDuringWrites tests that each read holds every event from the latest one that it
// saw down to the first. It must also hold everything that was acknowledged before it began.
func backwardsDuringWrites(l *log) {
	const writers, appends = 6, 25
	var acknowledged atomic.Int64
	var group errgroup.Group
	for w := range writers {
		group.Go(func() error {
			for n := range appends {
				events := newEvents(1 + (w+n)%3)
				if _, err := l.Append(l.ctx, l.stream(fmt.Sprint((w*7+n)%5)), eventstore.Any, events); err != nil {
					return fmt.Errorf("append: %w", err)
				}
				acknowledged.Add(int64(len(events)))
			}
			return nil
		})
	}
	written := make(chan error, 1)
	go func() { written <- group.Wait() }()
	for done := false; !done; {
		select {
		case err := <-written:
			if err != nil {
				l.Fatal(err)
			}
			done = true
		default:
		}
		least := acknowledged.Load()
		events := latest(l.readBackwards(eventstore.End, eventstore.Filter{}, 0), 0)
		if int64(len(events)) < least {
			l.Fatalf("%d events were read, %d were acknowledged before", len(events), least)
		}
		l.inOrder(events)
	}
}

// contextEndsRead tests that a read ends with an error if ctx cuts it off. Otherwise a caller would
// take it for complete.
func contextEndsRead(l *log) {
	const total = 2000
	stream := l.stream("a")
	for range total / 200 {
		l.append(stream, eventstore.Any, newEvents(200))
	}
	for name, read := range map[string]func(context.Context) iter.Seq2[eventstore.Recorded, error]{
		"stream": func(ctx context.Context) iter.Seq2[eventstore.Recorded, error] {
			return l.ReadStream(ctx, stream, 0, 0)
		},
		"stream backwards": func(ctx context.Context) iter.Seq2[eventstore.Recorded, error] {
			return l.ReadStreamBackwards(ctx, stream, eventstore.LastRevision, 0)
		},
		"log": func(ctx context.Context) iter.Seq2[eventstore.Recorded, error] {
			return l.ReadAll(ctx, l.start, eventstore.Filter{}, total)
		},
		"log backwards": func(ctx context.Context) iter.Seq2[eventstore.Recorded, error] {
			return l.ReadAllBackwards(ctx, eventstore.End, eventstore.Filter{}, total)
		},
	} {
		ctx, cancel := context.WithCancel(l.ctx)
		events := 0
		var last error
		for _, err := range read(ctx) {
			switch {
			case last != nil:
				l.Errorf("%s: the sequence goes on after its error", name)
			case err != nil:
				last = err
			default:
				events++
				cancel()
			}
		}
		cancel()
		if last == nil && events != total {
			l.Errorf("%s: %d of %d events, and no error", name, events, total)
		}
		if last != nil && !errors.Is(last, context.Canceled) {
			l.Errorf("%s: error %v after %d events, want context.Canceled", name, last, events)
		}
	}
}
