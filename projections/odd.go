package projections

import (
	"context"
	"slices"
	"sync"
	"time"

	"daybook/eventstore"
)

// readable separates the events that the view gets from those that could not be read.
func readable(events []Event) (readable, skipped []Event) {
	if !slices.ContainsFunc(events, func(e Event) bool { return e.skipped }) {
		return events, nil
	}
	for _, e := range events {
		if e.skipped {
			skipped = append(skipped, e)
		} else {
			readable = append(readable, e)
		}
	}
	return readable, skipped
}

// oddOf returns the events that no command can have recorded in this form.
func oddOf(events []Event) (odd []Event) {
	for i := range events {
		if events[i].odd != "" {
			odd = append(odd, events[i])
		}
	}
	return odd
}

func (w *worker) applyAll(ctx context.Context, tx *Tx, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	return w.view.apply(ctx, tx, events)
}

// countOdd adds to the build's count of odd events, in the transaction of their rows.
func (w *worker) countOdd(tx *Tx, count int) {
	if count > 0 {
		tx.Writes().Queue(`UPDATE projections.builds SET odd = odd + $3 WHERE view = $1 AND build = $2`, w.view.Name, w.build.number, count)
	}
}

const (
	// maxOddStreams bounds how many streams with odd events are named in the log.
	maxOddStreams = 100
	// oddCountEvery is the least time between two log lines that only count odd events.
	oddCountEvery = time.Minute
)

// oddLog writes odd events to the log: the first of each stream, once for all views. The
// others are only counted at intervals, because another program may write any number of them.
type oddLog struct {
	mu      sync.Mutex
	named   map[string]struct{} // streams
	untold  int
	counted time.Time // when the last line that counts was written
}

// choose returns which of some odd events get a log line, and how many others there were
// since the last line that counts them. If more is 0, no such line is due.
func (l *oddLog) choose(odd []Event, now time.Time) (named []Event, more int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.named == nil {
		l.named = make(map[string]struct{})
	}
	for _, e := range odd {
		if _, known := l.named[e.Stream]; known || len(l.named) >= maxOddStreams {
			l.untold++
			continue
		}
		l.named[e.Stream] = struct{}{}
		named = append(named, e)
	}
	if l.untold == 0 || now.Sub(l.counted) < oddCountEvery {
		return named, 0
	}
	more, l.untold, l.counted = l.untold, 0, now
	return named, more
}

func (w *worker) tellOdd(ctx context.Context, odd []Event) {
	named, more := w.odd.choose(odd, time.Now())
	for _, e := range named {
		w.log.WarnContext(ctx, "odd event; further odd events of this stream are only counted", "type", eventstore.Visible(e.Type), "stream", eventstore.Visible(e.Stream),
			"position", e.Position, "reason", eventstore.Visible(e.odd), "skipped", e.skipped)
	}
	if more > 0 {
		w.log.WarnContext(ctx, "odd events without a line of their own, of all views", "count", more)
	}
}
