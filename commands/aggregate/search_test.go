package aggregate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/logtest"
	"daybook/eventstore/memory"
)

// slowBackwards holds searches of the log back until the gate is opened, and counts them.
type slowBackwards struct {
	eventstore.Store
	begun, gate chan struct{}
}

func (s *slowBackwards) ReadStreamBackwards(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		s.begun <- struct{}{}
		select {
		case <-s.gate:
		case <-ctx.Done():
			yield(eventstore.Recorded{}, ctx.Err())
			return
		}
		for r, err := range s.Store.ReadStreamBackwards(ctx, stream, from, limit) {
			if !yield(r, err) {
				return
			}
		}
	}
}

// longBox is a box with a long stream. One of the first commands of the stream is so old that no
// handler remembers it.
func longBox(t *testing.T) (store *slowBackwards, handler *Handler[box, boxCmd, coined], old uuid.UUID) {
	t.Helper()
	store = &slowBackwards{Store: logtest.Unindexed{Store: memory.New()}, begun: make(chan struct{}, 100), gate: make(chan struct{})}
	handler, old = NewHandler(store, boxes(0), Options{Remembered: -1}), uuid.New()
	if _, err := handler.Handle(t.Context(), put(old, 1)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		var coins []int
		for range searchInLane / 2 {
			coins = append(coins, 1)
		}
		for range searchInLane / 2 {
			coins = append(coins, -1)
		}
		if _, err := handler.Handle(t.Context(), put(uuid.New(), coins...)); err != nil {
			t.Fatal(err)
		}
	}
	return store, handler, old
}

func TestALaneGoesOnWhileTheLogIsSearched(t *testing.T) {
	t.Parallel()
	store, handler, old := longBox(t)
	var again Result[coined]
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		again, err = handler.Handle(t.Context(), put(old, 1))
	}()
	<-store.begun
	for range 3 {
		if _, err := handler.Handle(t.Context(), put(uuid.New(), 1)); err != nil {
			t.Fatal(err)
		}
	}
	close(store.gate)
	<-done
	if err != nil || !again.Replayed || again.Revision != 0 {
		t.Errorf("the old command: %+v, %v; want revision 0, replayed", again, err)
	}
	if total, _ := coinsIn(t, store, "box-1"); total != 4 {
		t.Errorf("%d coins, want 4", total)
	}
}

func TestACallerWhoGivesUpDuringASearchLearnsThatNothingWasBegun(t *testing.T) {
	t.Parallel()
	store, handler, old := longBox(t)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := handler.Handle(ctx, put(old, 1))
		failed <- err
	}()
	<-store.begun
	cancel()
	err := <-failed
	if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err); unknown || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was canceled and not begun", err)
	}
	close(store.gate)
	if err := handler.Close(t.Context()); err != nil { // waits for the search
		t.Error(err)
	}
}

// The filter may report a new command as forgotten by mistake. The command is carried out
// after the search.
func TestAFalseMemoryOnlyDelays(t *testing.T) {
	t.Parallel()
	store, handler, _ := longBox(t)
	close(store.gate)
	fresh := uuid.New()
	if err := handler.View(t.Context(), "box-1", func(box, int64) {}); err != nil {
		t.Fatal(err)
	}
	handler.mu.Lock()
	handler.lanes["box-1"].memory.forget(EventID(fresh, 0)) // as if the filter took its name for another one
	handler.mu.Unlock()
	answer, err := handler.Handle(t.Context(), put(fresh, 2, 3))
	if err != nil || answer.Replayed || len(answer.Events) != 2 {
		t.Errorf("%+v, %v; want it carried out", answer, err)
	}
	if len(store.begun) == 0 {
		t.Error("the log was not searched")
	}
}

// Two callers send the same command id at once, like an impatient client. The command is
// carried out once, and both get its result.
func TestTheSameCommandTwiceInOneBatchIsDoneOnce(t *testing.T) {
	t.Parallel()
	watched := &spy{Store: memory.New(), gate: make(chan struct{}, 10)}
	handler, id := newBox(watched), uuid.New()
	var wait sync.WaitGroup
	replayed := make([]bool, 3)
	wait.Go(func() {
		if _, err := handler.Handle(t.Context(), put(uuid.New(), 1)); err != nil {
			t.Error(err)
		}
	})
	await(func() bool { return watched.appends.Load() == 1 })
	for i := range replayed {
		wait.Go(func() {
			answer, err := handler.Handle(t.Context(), put(id, 5))
			if err != nil {
				t.Error(err)
			}
			replayed[i] = answer.Replayed
		})
	}
	await(func() bool { return queued(handler) == len(replayed) })
	close(watched.gate)
	wait.Wait()
	if total, _ := coinsIn(t, watched, "box-1"); total != 6 {
		t.Errorf("%d coins, want 6", total)
	}
	if n := count(replayed); n != 2 {
		t.Errorf("%d of 3 were told that it was done before, want 2", n)
	}
}

func count(flags []bool) (n int) {
	for _, flag := range flags {
		if flag {
			n++
		}
	}
	return n
}

// A stream can be so long that no caller waits for its search. The search goes on without
// them, and a caller who asks again gets its result.
func TestASearchGoesOnWhenItsCallerGivesUp(t *testing.T) {
	t.Parallel()
	store, handler, old := longBox(t)
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := handler.Handle(ctx, put(old, 1))
			failed <- err
		}()
		if len(handler.searchesRunning()) == 0 {
			<-store.begun
		}
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	close(store.gate)
	await(func() bool { return len(handler.searchesRunning()) == 0 })
	answer, err := handler.Handle(t.Context(), put(old, 1))
	if err != nil || !answer.Replayed || answer.Revision != 0 {
		t.Errorf("asked again: %+v, %v; want revision 0, replayed", answer, err)
	}
	if n := len(store.begun); n != 0 {
		t.Errorf("the log was searched %d times more", n)
	}
}

func (h *Handler[S, C, E]) searchesRunning() (running []searchKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, s := range h.searches {
		if s.running {
			running = append(running, key)
		}
	}
	return running
}

// breaking is a log whose reads backwards break after some events.
type breaking struct {
	eventstore.Store
	after int
	read  int
}

func (b *breaking) ReadStreamBackwards(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		left := b.after
		for r, err := range b.Store.ReadStreamBackwards(ctx, stream, from, limit) {
			if left--; left < 0 {
				yield(eventstore.Recorded{}, errors.New("broken"))
				return
			}
			b.read++
			if !yield(r, err) {
				return
			}
		}
	}
}

func TestASearchThatFailedGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	slow, first, old := longBox(t)
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	store := &breaking{Store: slow.Store, after: searchInLane / 2}
	handler := NewHandler[box, boxCmd, coined](store, boxes(0), Options{Remembered: -1})
	tries := 1
	answer, err := handler.Handle(t.Context(), put(old, 1))
	for ; err != nil && tries < 20; tries++ {
		answer, err = handler.Handle(t.Context(), put(old, 1))
	}
	if err != nil || !answer.Replayed {
		t.Fatalf("after %d tries: %+v, %v; want it replayed", tries, answer, err)
	}
	if _, events := coinsIn(t, slow, "box-1"); store.read > events+1 {
		t.Errorf("%d events were read of %d", store.read, events)
	}
}

func TestCloseEndsSearches(t *testing.T) {
	t.Parallel()
	store, handler, old := longBox(t)
	failed := make(chan error, 1)
	go func() {
		_, err := handler.Handle(t.Context(), put(old, 1))
		failed <- err
	}()
	<-store.begun // the gate stays shut, so the search cannot end by itself
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := handler.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errors.Is(err, ErrClosed) {
		t.Errorf("a caller that waited for the search gets %v, want ErrClosed", err)
	}
}

func TestCommandsThatWaitForSearchesAreBounded(t *testing.T) {
	t.Parallel()
	store, handler, old := longBox(t)
	handler.options.SearchLimit = 2
	done := make(chan error, 3)
	ask := func() {
		_, err := handler.Handle(t.Context(), put(old, 1))
		done <- err
	}
	go ask()
	<-store.begun
	for range 2 { // the same search is counted for each job that waits for it
		go ask()
	}
	if err := <-done; !errors.Is(err, ErrOverloaded) {
		t.Errorf("the third: %v, want ErrOverloaded", err)
	}
	close(store.gate)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Few streams can be large: the cache is bounded by their size as well.
func TestTheCacheOfStreamsIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	shelf := &memorySnapshots{saved: map[string]Snapshot{}}
	const limit = 2000
	handler := NewHandler(memory.New(), boxes(1), Options{Snapshots: shelf, CacheBytes: limit})
	for i := range 100 {
		request := put(uuid.New(), 1, 1)
		request.Stream = fmt.Sprintf("box-%d", i)
		if _, err := handler.Handle(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	var total int64
	await(func() bool { // the last lane has nothing left to do
		handler.mu.Lock()
		defer handler.mu.Unlock()
		total = 0
		for _, l := range handler.lanes {
			if l.queue.isWorking() {
				return false
			}
			total += l.savedSize
		}
		return handler.bytes == total
	})
	if total > limit || total == 0 {
		t.Errorf("%d bytes are kept, want at most %d and not none", total, limit)
	}
	request := put(uuid.New(), 1)
	request.Stream = "box-0" // was forgotten
	if answer, err := handler.Handle(t.Context(), request); err != nil || answer.Revision != 2 {
		t.Errorf("a stream that left the cache: %+v, %v; want revision 2", answer, err)
	}
}

// A search skips events that another program wrote, with any command id.
func TestASearchFindsNothingOfOthers(t *testing.T) {
	t.Parallel()
	log, command := memory.New(), uuid.New()
	meta, err := eventstore.Metadata{CommandID: command}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	theirs := eventstore.Event{ID: uuid.New(), Type: "box.coined.v1", Data: []byte(`{"Coins":1}`), Meta: meta}
	if _, err := log.Append(t.Context(), "box-1", eventstore.NoStream, []eventstore.Event{theirs}); err != nil {
		t.Fatal(err)
	}
	boxes := boxes(0)
	boxes.About = func(string, coined) (about, enough bool) { return true, true }
	for _, name := range []string{"", "p"} {
		found := &search[coined]{name: name, upTo: -1}
		err := NewHandler(log, boxes, Options{}).search(t.Context(), "box-1", 1000, command, found)
		if err != nil || found.command != nil || len(found.about) > 0 || found.enough {
			t.Errorf("a search for %q finds %+v, %v", name, found, err)
		}
	}
}

// If a search or a fold cannot read an event, its error names the event.
func TestAnEventThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	log := memory.New()
	event := eventstore.Event{ID: EventID(uuid.New(), 0), Type: "box.coined.v1", Data: []byte(`{"Coins":"many"}`)}
	if _, err := log.Append(t.Context(), "box-1", eventstore.NoStream, []eventstore.Event{event}); err != nil {
		t.Fatal(err)
	}
	handler := newBox(log)
	for what, err := range map[string]error{
		"search": handler.search(t.Context(), "box-1", 0, uuid.New(), &search[coined]{name: "x", upTo: -1}),
		"fold":   handler.View(t.Context(), "box-1", func(box, int64) {}),
	} {
		if bad, is := errors.AsType[*UndecodableError](err); !is || bad.Stream != "box-1" || bad.Revision != 0 {
			t.Errorf("%s: %v, want it to name revision 0 of box-1", what, err)
		}
	}
}
