package projections

import (
	"testing"

	"daybook/eventstore"
)

// If the last event of a batch cannot be an anchor, the event before it is the anchor.
func TestABatchIsKnownByItsLatestEventThatCanBeAnAnchor(t *testing.T) {
	t.Parallel()
	q := newQueue(eventstore.Start)
	for n := range uint64(liveBatch + 1) {
		e := eventstore.Recorded{Stream: "order-1", Revision: int64(n), Position: eventstore.At(n + 1)}
		if n == liveBatch-1 {
			e.Stream = "$odd"
		}
		if err := q.put(t.Context(), Event{Recorded: e}); err != nil {
			t.Fatal(err)
		}
	}
	if got := q.take(); got.upTo != eventstore.At(liveBatch) || got.anchor.Position != eventstore.At(liveBatch-1) {
		t.Errorf("the batch up to %s is known by %+v", got.upTo, got.anchor)
	}
}
