package postgres

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"daybook/eventstore"
)

// put queues an append to a stream, or to several.
func put(q *queue, streams ...string) *request {
	var writes []eventstore.Write
	for _, stream := range streams {
		writes = append(writes, eventstore.Write{Stream: stream, Expected: eventstore.Any, Events: []eventstore.Event{{Type: "t.v1", Data: []byte(`{}`)}}})
	}
	r := newRequest(writes...)
	q.put(r)
	return r
}

// The bound of the queue does not count requests that their callers have taken back. So such a
// request must leave the queue at once, even if the batch before it hangs for a long time.
func TestAnAbandonedAppendLeavesTheQueue(t *testing.T) {
	q := newQueue()
	hanging := put(q, "a")
	batch := q.take()
	var abandoned []*request
	for _, stream := range []string{"a", "a", "b", "b", "c"} {
		abandoned = append(abandoned, put(q, stream))
	}
	for _, r := range slices.Backward(abandoned) {
		if !q.abandon(r) {
			t.Errorf("an append to %s that was not sent could not be taken back", r.stream())
		}
		if r.writes[0].Events != nil {
			t.Error("its events are kept")
		}
	}
	if line, busy := q.behind["a"]; len(q.ready) > 0 || len(q.behind) != 1 || !busy || len(line) > 0 {
		t.Errorf("%d ready and %v behind, want only that a is in flight", len(q.ready), q.behind)
	}
	if !q.abandon(hanging) || len(q.seal(batch)) > 0 {
		t.Error("an append taken back before its batch was sealed was sent")
	}
	q.release(batch)
	if len(q.behind) > 0 {
		t.Errorf("%v behind nothing", q.behind)
	}
}

// If a caller gives up, the other requests for the same stream keep their order.
func TestAppendsAroundAnAbandonedOneKeepTheirOrder(t *testing.T) {
	for name, gone := range map[string]int{"the first": 0, "one between": 1, "the last": 2} {
		t.Run(name, func(t *testing.T) {
			q := newQueue()
			waiting := []*request{put(q, "a"), put(q, "a"), put(q, "a")}
			q.abandon(waiting[gone])
			for _, want := range slices.Delete(waiting, gone, gone+1) {
				batch := q.take()
				if !slices.Equal(batch, []*request{want}) {
					t.Fatalf("%d appends come next, want the one that waited longest, alone", len(batch))
				}
				q.release(batch)
			}
			if len(q.ready) > 0 || len(q.behind) > 0 {
				t.Errorf("%d ready and %v behind are left", len(q.ready), q.behind)
			}
		})
	}
}

// takeNow takes what is ready. It fails if nothing is ready, because take would then wait for ever.
func takeNow(t *testing.T, q *queue) []*request {
	t.Helper()
	if len(q.ready) == 0 {
		t.Fatalf("nothing is ready, and %v wait", q.behind)
	}
	return q.take()
}

// An append to several streams is ready when it is the first in all its lines, and later ones wait
// for it in each of them.
func TestAnAppendToSeveralStreamsWaitsInAllLines(t *testing.T) {
	q := newQueue()
	a, b := put(q, "a"), put(q, "b")
	both := put(q, "b", "a", "c")
	afterA, afterC := put(q, "a"), put(q, "c")
	other := put(q, "d")
	takes := func(want ...*request) {
		t.Helper()
		batch := takeNow(t, q)
		if !slices.Equal(batch, want) {
			t.Fatalf("%d appends come next, want %d others", len(batch), len(want))
		}
		q.release(batch)
	}
	takes(a, b, other)
	takes(both)
	takes(afterA, afterC) // in the order of the streams of both
	if len(q.behind) > 0 {
		t.Errorf("%v behind nothing", q.behind)
	}
	// Taken back while it waits, it holds up nobody any more.
	first := put(q, "a")
	both = put(q, "a", "b")
	second := put(q, "b")
	if !q.abandon(both) {
		t.Error("it could not be taken back")
	}
	takes(first, second)
	if len(q.behind) > 0 || len(q.ready) > 0 {
		t.Errorf("%d ready and %v behind are left", len(q.ready), q.behind)
	}
}

// When a writer has no connection, everything that waits is answered, once, and what is in flight
// keeps its lines.
func TestAllThatWaitIsFailed(t *testing.T) {
	q := newQueue()
	flying := []*request{put(q, "a"), put(q, "b", "c")}
	batch := takeNow(t, q)
	waiting := []*request{put(q, "a"), put(q, "a", "d"), put(q, "d", "e", "b"), put(q, "e"), put(q, "f"), put(q, "f", "c")}
	failure := errors.New("away")
	q.fail(failure)
	for i, r := range waiting {
		select {
		case err := <-r.done:
			if !errors.Is(err, failure) {
				t.Errorf("append %d: error %v", i, err)
			}
		default:
			t.Errorf("append %d was not answered", i)
		}
	}
	if len(q.seal(batch)) != len(flying) {
		t.Error("a batch in flight was failed, too")
	}
	behind, later := put(q, "a", "f"), put(q, "g")
	if next := takeNow(t, q); !slices.Equal(next, []*request{later}) {
		t.Errorf("%d appends come next", len(next))
	}
	q.release(batch)
	if next := takeNow(t, q); !slices.Equal(next, []*request{behind}) {
		t.Errorf("%d appends come after the batch", len(next))
	}
}

// Two writers take, callers give up and connections fail, at random. No stream is in two batches or
// twice in one, appends to a stream go in the order in which they came, and everything is answered.
func TestTheQueueAtRandom(t *testing.T) {
	streams := []string{"a", "b", "c", "d", "e"}
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(4, seed))
		q := newQueue()
		came := make(map[*request]int)
		var all []*request
		var flying [][]*request
		last := make(map[string]int) // by stream: the number of the append that was taken last
		finish := func() {
			n := random.IntN(len(flying))
			for _, r := range q.seal(flying[n]) {
				for i := range r.writes {
					if stream := r.writes[i].Stream; last[stream] > came[r] {
						t.Fatalf("seed %d: an append to %s overtook another", seed, stream)
					} else {
						last[stream] = came[r]
					}
				}
				r.finish(nil)
			}
			q.release(flying[n])
			flying = slices.Delete(flying, n, n+1)
		}
		take := func() {
			flying = append(flying, q.take())
			seen := make(map[string]bool)
			for _, r := range slices.Concat(flying...) {
				for i := range r.writes {
					if stream := r.writes[i].Stream; seen[stream] {
						t.Fatalf("seed %d: %s is twice in flight", seed, stream)
					}
					seen[r.writes[i].Stream] = true
				}
			}
		}
		for range 60 {
			switch choice := random.IntN(20); {
			case choice < 10:
				var to []string
				for _, n := range random.Perm(len(streams))[:1+random.IntN(3)] {
					to = append(to, streams[n])
				}
				r := put(q, to...)
				all = append(all, r)
				came[r] = len(all)
			case choice < 14 && len(q.ready) > 0 && len(flying) < writers:
				q.overdue = true // so that a writer does not wait for the other one
				take()
			case choice < 17 && len(flying) > 0:
				finish()
			case choice < 19 && len(all) > 0:
				if r := all[random.IntN(len(all))]; r.state == waiting && q.abandon(r) {
					r.finish(errors.New("taken back"))
				}
			case choice == 19:
				q.fail(errors.New("away"))
			}
		}
		for len(flying) > 0 || len(q.ready) > 0 {
			for len(flying) > 0 {
				finish()
			}
			if len(q.ready) > 0 {
				take()
			}
		}
		for i, r := range all {
			if len(r.done) != 1 {
				t.Fatalf("seed %d: append %d was never answered", seed, i)
			}
		}
		if len(q.behind) > 0 {
			t.Fatalf("seed %d: %v behind nothing", seed, q.behind)
		}
	}
}
