package aggregate

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"

	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// A lane that hears of another node's events appends after them at once. It loses no race, reads
// nothing, and knows the other node's commands.
func TestALaneFoldsTheNewsBeforeItDecides(t *testing.T) {
	t.Parallel()
	log := memory.New()
	news := new(News)
	counted := &spy{Store: log}
	here, other := NewHandler(counted, boxes(0), Options{News: news}), newBox(log)
	if _, err := here.Handle(t.Context(), put(uuid.New(), 1)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var following sync.WaitGroup
	defer following.Wait()
	defer stop()
	following.Go(func() { _ = news.Follow(ctx, log, []string{"box-"}, slog.New(slog.DiscardHandler)) })
	heard := 0
	await(func() bool { // the first events may come before the subscription has begun
		heard++
		request := put(uuid.New(), 1)
		request.Stream = fmt.Sprint("box-heard-", heard)
		if _, err := other.Handle(t.Context(), request); err != nil {
			t.Error(err)
			return true
		}
		return len(news.after(request.Stream, -1)) > 0
	})
	theirs := uuid.New()
	if _, err := other.Handle(t.Context(), put(theirs, 900)); err != nil {
		t.Fatal(err)
	}
	await(func() bool { return len(news.after("box-1", 0)) > 0 })
	appends, reads := counted.appends.Load(), counted.reads.Load()
	result, err := here.Handle(t.Context(), put(uuid.New(), 1))
	if err != nil || result.Revision != 2 {
		t.Errorf("%+v, %v; want revision 2", result, err)
	}
	if n, read := counted.appends.Load()-appends, counted.reads.Load()-reads; n != 1 || read != 0 {
		t.Errorf("%d appends and %d events read, want 1 and 0", n, read)
	}
	if again, err := here.Handle(t.Context(), put(theirs, 900)); err != nil || !again.Replayed {
		t.Errorf("the other node's command, sent here: %+v, %v; want its first result", again, err)
	}
	if total, _ := coinsIn(t, log, "box-1"); total != 902 {
		t.Errorf("%d coins, want 902", total)
	}
}

// News keeps the latest events, without gaps, within its bounds.
func TestNewsHasEventsInARow(t *testing.T) {
	t.Parallel()
	event := func(stream string, revision int64, bytes int) eventstore.Recorded {
		return eventstore.Recorded{Stream: stream, Revision: revision, Event: eventstore.Event{Data: make([]byte, bytes)}}
	}
	n := new(News)
	have := func(stream string, after int64) (revisions []int64) {
		for _, e := range n.after(stream, after) {
			revisions = append(revisions, e.Revision)
		}
		return revisions
	}
	expect := func(stream string, after int64, want ...int64) {
		t.Helper()
		if got := have(stream, after); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("after revision %d of %s: %v, want %v", after, stream, got, want)
		}
	}
	for revision := range int64(3) {
		n.add(event("a", 5+revision, 10))
	}
	expect("a", 4, 5, 6, 7)
	expect("a", 5, 6, 7)
	expect("a", 7)
	expect("a", 3) // it lacks 4
	expect("b", -1)
	n.add(event("a", 9, 10)) // 8 was missed
	expect("a", 7)
	expect("a", 8, 9)
	for revision := range int64(newsEvents - 1) {
		n.add(event("b", revision, 10))
	}
	expect("a", 8, 9)
	n.add(event("b", newsEvents-1, 10))
	expect("a", 8)
	for range 3 {
		n.add(event("c", 0, newsBytes/2))
		n.add(event("d", 0, newsBytes/2+1))
	}
	if len(n.arrived) != 1 || len(n.streams) != 1 || n.bytes > newsBytes {
		t.Errorf("%d events of %d streams, %d bytes", len(n.arrived), len(n.streams), n.bytes)
	}
}

// Await waits until the log was heard of up to a position, and no longer than its context.
func TestNewsAreAwaited(t *testing.T) {
	t.Parallel()
	log, news := memory.New(), new(News)
	ctx, stop := context.WithCancel(t.Context())
	var following sync.WaitGroup
	defer following.Wait()
	defer stop()
	heardTo := func() eventstore.Position {
		news.mu.Lock()
		defer news.mu.Unlock()
		return news.heardTo
	}
	following.Go(func() { _ = news.Follow(ctx, log, []string{"box-"}, slog.New(slog.DiscardHandler)) })
	for heardTo().IsStart() { // the first events may come before the subscription has begun
		appendTo(t, log, "box-0")
		runtime.Gosched()
	}
	for _, stream := range []string{"box-1", "crate-1"} { // the second one is of a kind that is not followed
		position := appendTo(t, log, stream)
		if err := news.Await(t.Context(), position); err != nil {
			t.Fatal(err)
		}
		if to := heardTo(); to.Before(position) {
			t.Errorf("heard up to %s, want %s", to, position)
		}
	}
	if err := news.Await(hasEnded(t), eventstore.At(1<<40)); err == nil {
		t.Error("a position that was never reached was heard of")
	}
}

func TestNobodyAwaitsNewsThatNobodyFollows(t *testing.T) {
	t.Parallel()
	if err := new(News).Await(hasEnded(t), appendTo(t, memory.New(), "box-0")); err != nil {
		t.Errorf("Await waited: %v", err)
	}
}

func appendTo(t *testing.T, log eventstore.Store, stream string) eventstore.Position {
	t.Helper()
	result, err := log.Append(t.Context(), stream, eventstore.Any, []eventstore.Event{{ID: uuid.New(), Type: "t.v1", Data: []byte(`{}`)}})
	if err != nil {
		t.Fatal(err)
	}
	return result.Position
}

// hasEnded returns a context that has ended, so nothing waits with it.
func hasEnded(t *testing.T) context.Context {
	t.Helper()
	ended, end := context.WithCancel(t.Context())
	end()
	return ended
}
