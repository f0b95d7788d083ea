package projections

import (
	"math"
	"testing"

	"daybook/eventstore"
)

// The share of the log is the same whether positions count events or bytes.
func TestTheShareOfTheLogIsTheSameOnEveryEngine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at, head uint64
		want     float64
	}{
		{0, 0, 1},
		{7, 7, 1},
		{9, 7, 1},
		{0, 7, 0},
		{5, 20, 0.25},
		{math.MaxInt64 - 1, math.MaxInt64, maxUnfinishedShare}, // the share is 1 only if nothing is left
	} {
		events, _ := behind(eventstore.At(c.at), eventstore.At(c.head))
		bytes, _ := behind(eventstore.AtPair(900*c.at, 900*c.at), eventstore.AtPair(900*c.head, 900*c.head))
		if c.head > math.MaxInt32 {
			bytes = events
		}
		if events != c.want || bytes != c.want {
			t.Errorf("at %d of %d: %v of events, %v of bytes, want %v", c.at, c.head, events, bytes, c.want)
		}
	}
	if share, lag := behind(eventstore.AtPair(90, 40), eventstore.AtPair(90, 80)); share != maxUnfinishedShare || lag != 1 {
		t.Errorf("within one commit: share %v, lag %d", share, lag)
	}
}
