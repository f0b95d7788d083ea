package postgres

import (
	"slices"
	"testing"

	"daybook/eventstore"
)

func put(q *queue, stream string) *request {
	r := newRequest(stream, eventstore.Any, []eventstore.Event{{Type: "t.v1", Data: []byte(`{}`)}})
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
			t.Errorf("an append to %s that was not sent could not be taken back", r.stream)
		}
		if r.events != nil {
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
