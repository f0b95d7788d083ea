package kurrentdb

import (
	"context"
	"slices"
	"time"

	"daybook/eventstore"
)

// watch collects what the shared subscription yields of a stream while an append to it is
// under way. So the append need not be read back, and an append that was refused notices when
// the stream has changed.
type watch struct {
	ring   *ring // nil if there is no subscription
	stream string
	events []eventstore.Event // of the append

	// The following fields are guarded by the ring's lock.
	last    int64                 // the highest revision that came; -1 if none has come
	came    []eventstore.Recorded // the append's events that came so far, recognised by their ids
	changed chan struct{}         // holds one signal: more events came
}

// watch begins to watch a stream. Call it before the append.
func (l *live) watch(stream string, events []eventstore.Event) *watch {
	w := &watch{ring: l.follow(), stream: stream, events: events, last: -1, changed: make(chan struct{}, 1)}
	if r := w.ring; r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.watches[stream] = append(r.watches[stream], w)
	}
	return w
}

func (w *watch) end() {
	r := w.ring
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	left := slices.DeleteFunc(r.watches[w.stream], func(other *watch) bool { return other == w })
	if r.watches[w.stream] = left; len(left) == 0 {
		delete(r.watches, w.stream)
	}
}

// see takes the stream's next event. The ring must be locked.
func (w *watch) see(e *eventstore.Recorded) {
	w.last = e.Revision
	if n := len(w.came); n < len(w.events) {
		if w.events[n].ID != e.ID {
			w.came, n = w.came[:0], 0
		}
		if w.events[n].ID == e.ID {
			w.came = append(w.came, *e)
		}
	}
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// beyond tells whether the stream was seen to go beyond a revision.
func (w *watch) beyond(revision int64) bool {
	if w.ring == nil {
		return false
	}
	w.ring.mu.Lock()
	defer w.ring.mu.Unlock()
	return w.last > revision
}

// wait waits until more has come, or for a while. It returns false if ctx has ended.
func (w *watch) wait(ctx context.Context, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-w.changed:
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// brought waits until the subscription yields the appended events, and compares them with those
// that were sent. It does not wait if the subscription cannot yield them.
func (w *watch) brought(ctx context.Context, answer eventstore.Result) (result eventstore.Result, brought bool) {
	if w.ring == nil {
		return eventstore.Result{}, false
	}
	for until := time.Now().Add(bringMax); ; {
		result, brought, comes := w.compare(answer)
		left := time.Until(until)
		if brought || !comes || left <= 0 || !w.wait(ctx, left) {
			return result, brought
		}
	}
}

// compare compares what has come so far. comes tells whether the rest can still come.
func (w *watch) compare(answer eventstore.Result) (result eventstore.Result, brought, comes bool) {
	r := w.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(w.came); n == len(w.events) {
		last := &w.came[n-1]
		if last.Revision != answer.Revision {
			return eventstore.Result{}, false, false
		}
		result = eventstore.Result{Revision: last.Revision, Position: last.Position}
		for i := range w.came {
			result.Replayed = result.Replayed || !same(&w.events[i], &w.came[i].Event)
		}
		return result, true, false
	}
	return eventstore.Result{}, false, r.flows && r.broken == nil && (len(w.came) > 0 || r.last.Before(answer.Position))
}
