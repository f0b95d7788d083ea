package projections

import (
	"testing"

	"daybook/eventstore"
)

// A batch that ends with an event that cannot be an anchor is known by the one before.
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
	if got := q.take(); got.upTo != eventstore.At(liveBatch) || got.known.Position != eventstore.At(liveBatch-1) {
		t.Errorf("the batch up to %s is known by %+v", got.upTo, got.known)
	}
}
