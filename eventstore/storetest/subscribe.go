package storetest

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"golang.org/x/sync/errgroup"

	"daybook/eventstore"
)

var subscribeRules = []rule{
	{"a subscriber from every position sees each later event once", fromEveryPosition},
	{"a subscriber at the head is told, each time it gets there", caughtUp},
	{"marks tell how far a filtered subscription has looked", marks},
	{"a slow subscriber holds up nobody and misses nothing", slowSubscriber},
	{"a subscription ends with its context", endsWithContext},
	{"a subscription from beyond the head is refused, and the error names the place", beyondTheHead},
}

func fromEveryPosition(l *log) {
	const before, during = 30, 30
	for i := range before {
		l.append(l.stream(fmt.Sprint(i%7)), eventstore.Any, newEvents(1))
	}
	positions := []eventstore.Position{l.start}
	for _, e := range l.readAll(l.start) {
		positions = append(positions, e.Position)
	}
	seen := make([][]eventstore.Recorded, len(positions))
	var group errgroup.Group
	for i, after := range positions {
		group.Go(func() (err error) {
			seen[i], err = l.subscribe(after, eventstore.Filter{}, before+during-i)
			return err
		})
	}
	for i := range during {
		l.append(l.stream(fmt.Sprint(i%7)), eventstore.Any, newEvents(1))
	}
	if err := group.Wait(); err != nil {
		l.Fatal(err)
	}
	want := l.readAll(l.start)
	for i := range positions {
		if err := same(seen[i], want[i:]); err != nil {
			l.Errorf("subscribed after event %d: %v", i, err)
		}
	}
}

func caughtUp(l *log) {
	first := l.append(l.stream("a"), eventstore.NoStream, newEvents(3))
	rounds, events := 0, 0
	for item, err := range l.Subscribe(l.ctx, l.start, eventstore.Filter{}) {
		if err != nil {
			l.Fatalf("after %d events and %d marks: %v", events, rounds, err)
		}
		if item.Event != nil {
			if events++; item.CaughtUp {
				l.Error("an event is no caught-up mark")
			}
			continue
		}
		if !item.CaughtUp {
			continue
		}
		if want := 3 + 2*rounds; events != want {
			l.Fatalf("caught up after %d events, want %d", events, want)
		}
		if item.Checkpoint != first.Position {
			l.Errorf("caught up at %s, the head is %s", item.Checkpoint, first.Position)
		}
		if rounds++; rounds == 4 {
			break
		}
		first = l.append(l.stream("a"), eventstore.Any, newEvents(2))
	}
	for item, err := range l.Subscribe(l.ctx, first.Position, eventstore.Filter{}) {
		if err != nil || item.Event != nil || !item.CaughtUp || item.Checkpoint != first.Position {
			l.Errorf("subscribed at the head: item %+v, error %v; want a caught-up mark at %s", item, err, first.Position)
		}
		break
	}
}

func marks(l *log) {
	other := typed("other.v1", newEvents(2500))
	for i := 0; i < len(other); i += 250 {
		l.append(l.stream("other"), eventstore.Any, other[i:i+250])
	}
	wanted := newEvents(2)
	l.append(l.stream("wanted"), eventstore.Any, wanted)
	l.append(l.stream("other"), eventstore.Any, typed("other.v1", newEvents(1)))

	whole := l.readAll(l.start)
	// A checkpoint need not be an event's position: it may lie between two.
	examinedAt := func(checkpoint eventstore.Position) int {
		return sort.Search(len(whole), func(i int) bool { return checkpoint.Before(whole[i].Position) })
	}
	for name, filter := range map[string]eventstore.Filter{
		"types":   {TypePrefixes: []string{"suite."}},
		"streams": {StreamPrefixes: []string{l.stream("wanted")}},
	} {
		examined, found := 0, 0
		var resume []eventstore.Position
		for item, err := range l.Subscribe(l.ctx, l.start, filter) {
			if err != nil {
				l.Fatalf("%s: %v", name, err)
			}
			at := examinedAt(item.Checkpoint)
			if at < examined || at-examined > 1000 || whole[len(whole)-1].Position.Before(item.Checkpoint) {
				l.Fatalf("%s: checkpoint %s is %d events on, want at most 1000, and none beyond the last event", name, item.Checkpoint, at-examined)
			}
			examined = at
			if item.Event != nil {
				found++
			} else if found == 0 {
				resume = append(resume, item.Checkpoint)
			}
			if item.CaughtUp && examined == len(whole) {
				break
			}
		}
		if found != len(wanted) || len(resume) < 2 {
			l.Errorf("%s: %d events and %d marks before them; want %d events, at least 2 marks", name, found, len(resume), len(wanted))
		}
		for _, after := range resume {
			got, err := l.subscribe(after, filter, len(wanted))
			if err != nil || got[0].ID != wanted[0].ID || got[1].ID != wanted[1].ID {
				l.Errorf("%s: resumed at mark %s: %d events, error %v", name, after, len(got), err)
			}
		}
	}
}

func slowSubscriber(l *log) {
	const total = 3000
	blocked, resume := make(chan struct{}), make(chan struct{})
	l.append(l.stream("a"), eventstore.Any, newEvents(1))
	var seen []eventstore.Recorded
	var group errgroup.Group
	group.Go(func() error {
		for item, err := range l.Subscribe(l.ctx, l.start, eventstore.Filter{}) {
			if err != nil {
				return fmt.Errorf("after %d events: %w", len(seen), err)
			}
			if item.Event == nil {
				continue
			}
			seen = append(seen, *item.Event)
			if len(seen) == 1 {
				close(blocked)
				<-resume
			}
			if len(seen) == total {
				return nil
			}
		}
		return errors.New("the subscription ended")
	})
	<-blocked
	for n := 1; n < total; {
		events := newEvents(min(100, total-n))
		l.append(l.stream("a"), eventstore.Any, events)
		n += len(events)
	}
	quick, err := l.subscribe(l.start, eventstore.Filter{}, total)
	if err != nil {
		l.Errorf("another subscriber meanwhile: %v", err)
	}
	close(resume)
	if err := group.Wait(); err != nil {
		l.Fatal(err)
	}
	if err := same(seen, quick); err != nil {
		l.Errorf("the slow subscriber saw other than the quick one: %v", err)
	}
	if err := same(seen, l.readAll(l.start)); err != nil {
		l.Errorf("the slow subscriber: %v", err)
	}
}

func endsWithContext(l *log) {
	l.append(l.stream("a"), eventstore.Any, newEvents(1))
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	var last error
	events, marks := 0, 0
	for item, err := range l.Subscribe(ctx, l.start, eventstore.Filter{}) {
		switch {
		case last != nil:
			l.Error("the sequence goes on after its error")
		case err != nil:
			last = err
		case item.Event != nil:
			events++
		case item.CaughtUp:
			marks++
			cancel()
		}
	}
	if events != 1 || marks != 1 || !errors.Is(last, context.Canceled) {
		l.Errorf("%d events, %d marks, then error %v; want 1, 1, context.Canceled", events, marks, last)
	}
}

func beyondTheHead(l *log) {
	head := l.append(l.stream("a"), eventstore.Any, newEvents(3)).Position
	commit, _ := head.Pair()
	place := eventstore.At(commit + 1_000_000)
	ctx, cancel := context.WithTimeout(l.ctx, l.patience/2)
	defer cancel()
	items := 0
	for _, err := range l.Subscribe(ctx, place, eventstore.Filter{}) {
		items++
		unknown, ok := errors.AsType[*eventstore.UnknownPlaceError](err)
		if !ok {
			l.Fatalf("item %d has error %v, want an UnknownPlaceError", items, err)
		}
		if unknown.Position != place || unknown.Head.Before(head) || !unknown.Head.Before(place) {
			l.Errorf("it names %s and the head %s; want %s, and %s or what came after", unknown.Position, unknown.Head, place, head)
		}
	}
	if items != 1 {
		l.Errorf("%d items, want one error", items)
	}
	for e, err := range l.ReadAll(ctx, place, eventstore.Filter{}, 0) {
		l.Errorf("a read from there yields %+v, error %v; want nothing", e, err)
	}
}
