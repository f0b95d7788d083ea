package aggregate

import (
	"sync"
	"testing"

	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// What was forgotten is read again, and work that is under way is not disturbed: every command is
// carried out once.
func TestForgottenStatesAreReadAgain(t *testing.T) {
	t.Parallel()
	counted := &spy{Store: memory.New()}
	h := NewHandler(counted, boxes(0), Options{})
	if _, err := h.Handle(t.Context(), put(uuid.New(), 1)); err != nil {
		t.Fatal(err)
	}
	reads := counted.reads.Load()
	if _, err := h.Handle(t.Context(), put(uuid.New(), 1)); err != nil || counted.reads.Load() != reads {
		t.Fatalf("%v, %d events read from a stream in memory", err, counted.reads.Load()-reads)
	}
	h.Forget()
	if n := len(h.lanes); n != 0 || h.recent.Len() != 0 || h.bytes != 0 {
		t.Errorf("%d lanes, %d in order, %d bytes are left", n, h.recent.Len(), h.bytes)
	}
	result, err := h.Handle(t.Context(), put(uuid.New(), 1))
	if err != nil || result.Revision != 2 || counted.reads.Load() == reads {
		t.Errorf("%+v, %v, %d events read; want the stream read again", result, err, counted.reads.Load()-reads)
	}

	const callers, each = 8, 100
	var work, forgetting sync.WaitGroup
	done := make(chan struct{})
	forgetting.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				h.Forget()
			}
		}
	})
	for range callers {
		work.Go(func() {
			for range each {
				if _, err := h.Handle(t.Context(), put(uuid.New(), 1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	close(done)
	forgetting.Wait()
	if total, _ := coinsIn(t, counted, "box-1"); total != 3+callers*each {
		t.Errorf("%d coins, want %d", total, 3+callers*each)
	}
	h.Forget()
	await(func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.lanes) == 0
	})
}

func TestNewsIsForgotten(t *testing.T) {
	t.Parallel()
	n := new(News)
	n.add(eventstore.Recorded{Stream: "box-1", Event: eventstore.Event{Data: []byte("{}")}})
	n.Forget()
	if left := n.after("box-1", -1); len(left) > 0 || n.bytes != 0 || len(n.arrived) > 0 {
		t.Errorf("%d events are left", len(left))
	}
	n.add(eventstore.Recorded{Stream: "box-1", Revision: 1, Event: eventstore.Event{Data: []byte("{}")}})
	if left := n.after("box-1", 0); len(left) != 1 {
		t.Errorf("%d events after one was added", len(left))
	}
}
