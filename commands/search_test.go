package commands

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"

	"github.com/google/uuid"

	"daybook/eventstore"
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

// longTill is a till with a command far back in its stream that no handler remembers.
func longTill(t *testing.T) (store *slowBackwards, handler *Handler[till, tillCmd, coined], old uuid.UUID) {
	t.Helper()
	store = &slowBackwards{Store: unindexed{memory.New()}, begun: make(chan struct{}, 100), gate: make(chan struct{})}
	handler, old = NewHandler(store, tills(0), Options{Remembered: -1}), uuid.New()
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
	store, handler, old := longTill(t)
	var again Answer[coined]
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
	if total, _ := coinsIn(t, store, "till-1"); total != 4 {
		t.Errorf("%d coins, want 4", total)
	}
}

func TestACallerWhoGivesUpDuringASearchIsToldThatNothingWasBegun(t *testing.T) {
	t.Parallel()
	store, handler, old := longTill(t)
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

// A command that is taken for one of those that were forgotten is carried out all the same,
// after the search.
func TestAFalseMemoryOnlyDelays(t *testing.T) {
	t.Parallel()
	store, handler, _ := longTill(t)
	close(store.gate)
	fresh := uuid.New()
	if err := handler.View(t.Context(), "till-1", func(till, int64) {}); err != nil {
		t.Fatal(err)
	}
	handler.mu.Lock()
	handler.lanes["till-1"].memory.forget(EventID(fresh, 0)) // as if its name were taken for another
	handler.mu.Unlock()
	answer, err := handler.Handle(t.Context(), put(fresh, 2, 3))
	if err != nil || answer.Replayed || len(answer.Events) != 2 {
		t.Errorf("%+v, %v; want it carried out", answer, err)
	}
	if len(store.begun) == 0 {
		t.Error("the log was not searched")
	}
}

// Two callers at once with the same command id, as a client that is impatient: it is done
// once, and both are told so.
func TestTheSameCommandTwiceInOneBatchIsDoneOnce(t *testing.T) {
	t.Parallel()
	watched := &spy{Store: memory.New(), gate: make(chan struct{}, 10)}
	handler, id := newTill(watched), uuid.New()
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
	if total, _ := coinsIn(t, watched, "till-1"); total != 6 {
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
