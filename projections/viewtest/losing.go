package viewtest

import (
	"context"
	"iter"

	"daybook/eventstore"
)

// Losing is a log that has lost events: no stream gives its event with the given revision.
type Losing struct {
	eventstore.Store
	Revision int64
}

// ReadStream leaves out the event with the revision that was lost. If the stream goes on after it,
// the reader still gets as many events as it asked for.
func (l Losing) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		given := 0
		for e, err := range l.Store.ReadStream(ctx, stream, from, 0) {
			if err == nil && e.Revision == l.Revision {
				continue
			}
			if given++; !yield(e, err) || given == limit {
				return
			}
		}
	}
}
