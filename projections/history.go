package projections

import (
	"context"
	"fmt"
	"iter"

	"daybook/eventstore"
)

// StreamReader reads a stream of the log, for histories.
type StreamReader interface {
	ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error]
}

// ReadRevisions reads count events of a stream, from a revision on. The caller knows from a row
// that the stream has them. So it is an error if one of them is missing. Otherwise a history could
// be shown with a gap.
func ReadRevisions(ctx context.Context, log StreamReader, stream string, from int64, count int) ([]eventstore.Recorded, error) {
	if count <= 0 {
		return nil, nil
	}
	events := make([]eventstore.Recorded, 0, count)
	for recorded, err := range log.ReadStream(ctx, stream, from, count) {
		if err != nil {
			return nil, fmt.Errorf("history of %s: %w", stream, err)
		}
		if want := from + int64(len(events)); recorded.Revision != want {
			return nil, fmt.Errorf("history of %s: the log gives revision %d in place of revision %d", stream, recorded.Revision, want)
		}
		events = append(events, recorded)
	}
	if len(events) < count {
		return nil, fmt.Errorf("history of %s: the stream ends before revision %d, which the read model has", stream, from+int64(count)-1)
	}
	return events, nil
}
