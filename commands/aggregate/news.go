package aggregate

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"daybook/eventstore"
	"daybook/internal/pause"
)

// Bounds of the events that News keeps.
const (
	newsEvents = 8192
	newsBytes  = 8 << 20
)

// News keeps the latest events of the log in memory, by stream. Before a lane decides, it folds the
// news of its stream: what other nodes have recorded since. So its append rarely conflicts with
// theirs, and the stream need not be read again.
//
// News is only a help. It may lack events, and a lane never needs it: an append expects the
// stream's revision, so it conflicts if the lane has missed an event.
type News struct {
	mu      sync.Mutex
	streams map[string][]eventstore.Recorded // of each stream some events in a row, the latest last
	arrived []arrival                        // all that are kept, the oldest first
	bytes   int

	heardTo eventstore.Position // up to where the log was heard of
	awaited eventstore.Position // the position for which Await waits
	arrives chan struct{}       // closed when heardTo reaches awaited; nil: nobody waits
}

// arrival is an event that News keeps.
type arrival struct {
	stream   string
	revision int64
	bytes    int
}

// Follow hears of the events of some streams, until ctx ends.
func (n *News) Follow(ctx context.Context, log eventstore.Store, streamPrefixes []string, logger *slog.Logger) error {
	for ctx.Err() == nil {
		if err := n.listen(ctx, log, eventstore.Filter{StreamPrefixes: streamPrefixes}); ctx.Err() == nil {
			logger.InfoContext(ctx, "commands cannot hear of other nodes' events", "error", err)
		}
		pause.For(ctx, time.Second)
	}
	return ctx.Err()
}

func (n *News) listen(ctx context.Context, log eventstore.Store, filter eventstore.Filter) error {
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	for item, err := range log.Subscribe(ctx, head, filter) {
		if err != nil {
			return err
		}
		if item.Event != nil {
			n.add(*item.Event)
		}
		n.heard(item.Checkpoint)
	}
	return nil
}

// heard notes how far the log was heard of.
func (n *News) heard(to eventstore.Position) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heardTo = to
	if n.arrives != nil && !to.Before(n.awaited) {
		close(n.arrives)
		n.arrives = nil
	}
}

// Await waits until all events up to a position were heard of, or until ctx ends. If nothing was
// heard of so far, it returns at once, because perhaps nobody follows the log. Only one goroutine
// may wait at a time.
func (n *News) Await(ctx context.Context, position eventstore.Position) error {
	n.mu.Lock()
	if n.heardTo.IsStart() || !n.heardTo.Before(position) {
		n.mu.Unlock()
		return nil
	}
	arrives := make(chan struct{})
	n.awaited, n.arrives = position, arrives
	n.mu.Unlock()
	select {
	case <-arrives:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// add adds the next event of the log.
func (n *News) add(event eventstore.Recorded) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.streams == nil {
		n.streams = make(map[string][]eventstore.Recorded)
	}
	row := n.streams[event.Stream]
	if last := len(row) - 1; last >= 0 && event.Revision != row[last].Revision+1 {
		row = nil // events between them were not heard of
	}
	n.streams[event.Stream] = append(row, event)
	size := event.Size()
	n.arrived = append(n.arrived, arrival{event.Stream, event.Revision, size})
	n.bytes += size
	for len(n.arrived) > newsEvents || n.bytes > newsBytes {
		n.drop(n.arrived[0])
		n.arrived = n.arrived[1:]
	}
}

// drop removes an event, if it is the first that is kept of its stream.
func (n *News) drop(oldest arrival) {
	n.bytes -= oldest.bytes
	row := n.streams[oldest.stream]
	switch {
	case len(row) == 0 || row[0].Revision != oldest.revision: // removed before
	case len(row) == 1:
		delete(n.streams, oldest.stream)
	default:
		n.streams[oldest.stream] = row[1:]
	}
}

// after returns what a stream has after a revision, as far as it is known without a gap. The caller
// must not change it.
func (n *News) after(stream string, revision int64) []eventstore.Recorded {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	row := n.streams[stream]
	if len(row) == 0 {
		return nil
	}
	first := revision + 1 - row[0].Revision // in the row, of the events that the caller lacks
	if first < 0 || first >= int64(len(row)) {
		return nil
	}
	return row[first:len(row):len(row)]
}
