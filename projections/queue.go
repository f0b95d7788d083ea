package projections

import (
	"context"
	"sync"

	"daybook/eventstore"
)

const (
	liveBatch     = 500   // usual events of one transaction while the view is up to date
	catchUpBatch  = 5_000 // events of one transaction while the view is behind
	catchUpBehind = 2_000 // waiting events from which a view counts as behind

	// The decoded events that wait are also bounded by the size of their data, because an
	// order can have a thousand lines.
	queueEvents = 2 * catchUpBatch
	queueBytes  = 16 << 20
	batchBytes  = 8 << 20
)

// queue is between reading and applying, so that both run at the same time. The applier gets
// everything that has come in the meantime, and does not wait for more.
type queue struct {
	live     int // events of one transaction at most while the view is up to date
	mu       sync.Mutex
	events   []Event
	bytes    int
	examined eventstore.Position // the log was read up to here
	anchor   eventstore.Anchor   // the latest event known at or before examined
	caughtUp bool                // after examined, the log had no more events
	err      error               // why no more events come

	more, hasRoom chan struct{} // a signal may be old, so the receiver checks again
}

func newQueue(from eventstore.Position) *queue {
	return &queue{live: liveBatch, examined: from, more: make(chan struct{}, 1), hasRoom: make(chan struct{}, 1)}
}

// put adds an event, waiting while the queue is full.
func (q *queue) put(ctx context.Context, event Event) error {
	for {
		q.mu.Lock()
		if len(q.events) < queueEvents && q.bytes < queueBytes {
			q.events = append(q.events, event)
			q.bytes += event.Size()
			q.examined, q.caughtUp = event.Position, false
			q.anchor = q.anchor.Later(eventstore.AnchorOf(&event.Recorded))
			q.mu.Unlock()
			signal(q.more)
			return nil
		}
		q.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-q.hasRoom:
		}
	}
}

// mark notes how far the log was read.
func (q *queue) mark(item eventstore.Item) {
	q.mu.Lock()
	q.examined = item.Checkpoint
	q.anchor = q.anchor.Later(item.Anchor)
	q.caughtUp = q.caughtUp || item.CaughtUp
	q.mu.Unlock()
	signal(q.more)
}

// fail ends the queue. The events in it are still handed out.
func (q *queue) fail(err error) {
	q.mu.Lock()
	if q.err == nil {
		q.err = err
	}
	q.mu.Unlock()
	signal(q.more)
}

// taken is the result of one take.
type taken struct {
	events   []Event
	upTo     eventstore.Position // all events of the view up to here are in events or came before
	anchor   eventstore.Anchor   // the latest event known at or before upTo; zero if no new one is known
	caughtUp bool
	err      error // set when the queue is empty and no more events come
}

// take returns what is there, at most one batch, without waiting.
func (q *queue) take() taken {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) == 0 {
		got := taken{upTo: q.examined, anchor: q.anchor, caughtUp: q.caughtUp, err: q.err}
		q.caughtUp = false // reported once
		return got
	}
	if limit := q.limit(); limit < len(q.events) {
		got := taken{events: q.events[:limit:limit], upTo: q.events[limit-1].Position}
		for i := limit - 1; i >= 0 && got.anchor.IsZero(); i-- { // not every event can be an anchor
			got.anchor = eventstore.AnchorOf(&got.events[i].Recorded)
		}
		q.events = q.events[limit:]
		q.drop(got.events)
		return got
	}
	got := taken{events: q.events, upTo: q.examined, anchor: q.anchor, caughtUp: q.caughtUp}
	q.events, q.caughtUp = nil, false
	q.drop(got.events)
	return got
}

// limit is how many of the waiting events the next batch may have, at least one.
func (q *queue) limit() int {
	limit := q.live
	if len(q.events) > catchUpBehind {
		limit = catchUpBatch
	}
	limit = min(limit, len(q.events))
	bytes := 0
	for i, event := range q.events[:limit] {
		if bytes += event.Size(); bytes > batchBytes && i > 0 {
			return i
		}
	}
	return limit
}

func (q *queue) drop(events []Event) {
	for _, event := range events {
		q.bytes -= event.Size()
	}
	signal(q.hasRoom)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
