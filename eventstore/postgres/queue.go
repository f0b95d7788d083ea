package postgres

import (
	"slices"
	"sync"
	"time"

	"daybook/eventstore"
)

// A batch is taken from the waiting appends, without a timer, up to these bounds.
const (
	maxBatchAppends = 500
	maxBatchBytes   = 1 << 20
	// If another batch is in flight, a writer waits until besideAppends appends are ready, or until
	// that batch ends, because small batches cost a tenth more with 64 callers. It waits for
	// besideWait at most, because the other transaction may hang.
	besideAppends = 32
	besideWait    = 5 * time.Millisecond
)

// request is an append that waits or is being sent. It is to one stream, or to several that are
// recorded together.
type request struct {
	writes []write
	alone  [1]write // room for the only write of most requests
	bytes  int
	done   chan error // holds one, so that answering never waits; after nil, the writes have results

	// These are guarded by the queue's lock.
	state state
	waits int // how many of its writes stand behind an earlier request
}

// write is what a request appends to one stream.
type write struct {
	eventstore.Write
	request *request
	result  eventstore.Result

	// first tells that no earlier request for the stream is in the queue or in a batch. It is
	// guarded by the queue's lock.
	first bool
	// number is the place of the write in its batch, in the order of streams. begin is the number
	// of its first event in the batch, from 1. The writer that sends the batch sets both.
	number, begin int
}

type state uint8

const (
	waiting   state = iota
	sent            // only the database knows the outcome
	abandoned       // the caller gave up before it was sent
)

func newRequest(writes ...eventstore.Write) *request {
	r := &request{done: make(chan error, 1)}
	r.writes = r.alone[:]
	if len(writes) > 1 {
		r.writes = make([]write, len(writes))
	}
	for i, w := range writes {
		r.writes[i] = write{Write: w, request: r}
		r.bytes += w.Size()
	}
	return r
}

// stream is the first stream of the request.
func (r *request) stream() string { return r.writes[0].Stream }

// weight is what the request counts towards the bound of the queue. No request counts more than
// the largest append of one stream.
func (r *request) weight() int64 {
	return min(int64(r.bytes)+int64(len(r.writes))*appendOverhead, eventstore.MaxAppendBytes+appendOverhead)
}

// finish tells the caller, once.
func (r *request) finish(err error) { r.done <- err }

// queue holds appends until a writer takes them. Each stream has a line, and an append to several
// streams stands in the lines of all of them. It is ready when it is the first in all its lines,
// and leaves them when it is answered. Example: append 1 is to stream a, append 2 is to a and b,
// and append 3 is to b. Append 1 is ready, append 2 waits for 1, and append 3 waits for 2. So a
// batch never contains a stream twice, and the writers of one node never wait for each other at a
// stream's lock. A request enters all its lines at once, so the oldest that waits never waits for a
// younger one.
type queue struct {
	mu       sync.Mutex
	filled   sync.Cond
	ready    []*request
	inFlight int // batches taken and not released
	// overdue means that a writer must not wait longer for the batch that is in flight. timerSet
	// means that a timer will set overdue.
	overdue, timerSet bool
	behind            map[string][]*write // by stream: the line, without the first
	closed            bool
}

func newQueue() *queue {
	q := &queue{behind: make(map[string][]*write)}
	q.filled.L = &q.mu
	return q
}

// put adds a request, unless the queue is closed.
func (q *queue) put(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	for i := range r.writes {
		w := &r.writes[i]
		line, busy := q.behind[w.Stream]
		if w.first = !busy; busy {
			line = append(line, w)
			r.waits++
		}
		q.behind[w.Stream] = line
	}
	if r.waits == 0 {
		q.ready = append(q.ready, r)
		q.filled.Signal()
	}
	return true
}

// take waits for requests, and takes those that are ready, up to the bounds of a batch. While
// another batch is in flight, it waits a little for more of them. It returns none when the
// queue is closed and empty.
func (q *queue) take() []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.inFlight == 0 || q.overdue || q.closed || len(q.ready) >= besideAppends {
			batch := q.takeReady()
			if len(batch) > 0 {
				q.inFlight++
				q.overdue = false
			}
			if len(batch) > 0 || q.closed {
				return batch
			}
		}
		if len(q.ready) > 0 && !q.timerSet {
			q.timerSet = true
			time.AfterFunc(besideWait, q.markOverdue)
		}
		q.filled.Wait()
	}
}

// markOverdue marks what is ready as overdue.
func (q *queue) markOverdue() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.timerSet, q.overdue = false, len(q.ready) > 0
	q.filled.Broadcast()
}

func (q *queue) takeReady() []*request {
	var batch []*request
	appends, bytes, taken := 0, 0, 0
	for _, r := range q.ready {
		if len(batch) > 0 && (appends+len(r.writes) > maxBatchAppends || bytes+r.bytes > maxBatchBytes) {
			break
		}
		taken++
		batch = append(batch, r)
		appends += len(r.writes)
		bytes += r.bytes
	}
	left := copy(q.ready, q.ready[taken:])
	clear(q.ready[left:])
	q.ready = q.ready[:left]
	return batch
}

// seal marks a batch as sent and returns the requests to send. Requests whose callers have
// given up are left out.
func (q *queue) seal(batch []*request) []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	kept := make([]*request, 0, len(batch))
	for _, r := range batch {
		if r.state == waiting {
			r.state = sent
			kept = append(kept, r)
		}
	}
	return kept
}

// release makes the next request of each stream of a batch ready.
func (q *queue) release(batch []*request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inFlight--
	for _, r := range batch {
		q.leave(r)
	}
	if len(q.ready) > 0 || q.closed {
		q.filled.Broadcast()
	}
}

// leave takes a request out of all its lines.
func (q *queue) leave(r *request) {
	for i := range r.writes {
		w := &r.writes[i]
		line := q.behind[w.Stream]
		switch {
		case !w.first:
			at := slices.Index(line, w)
			q.behind[w.Stream] = slices.Delete(line, at, at+1)
		case len(line) == 0:
			delete(q.behind, w.Stream)
		default:
			q.moveUp(line[0])
			line[0] = nil // otherwise the slice would keep the request in memory after it was answered
			q.behind[w.Stream] = line[1:]
		}
	}
}

// moveUp makes a write the first of its line.
func (q *queue) moveUp(w *write) {
	w.first = true
	if w.request.waits--; w.request.waits == 0 {
		q.ready = append(q.ready, w.request)
	}
}

// abandon takes a request back, unless it was sent. It removes the request from the queue, but not
// from a batch that a writer has taken already. The caller of abandon gives back the request's
// space in the queue.
func (q *queue) abandon(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.state == sent {
		return false
	}
	r.state = abandoned
	for i := range r.writes {
		r.writes[i].Events = nil
	}
	at := slices.Index(q.ready, r)
	if at >= 0 {
		q.ready = slices.Delete(q.ready, at, at+1)
	}
	if at >= 0 || r.waits > 0 {
		q.leave(r)
		// Requests that waited behind this one may be ready now.
		q.filled.Signal()
	}
	return true
}

// fail answers all waiting requests with an error.
func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	failed := slices.Clone(q.ready)
	for stream, line := range q.behind {
		for _, w := range line {
			failed = append(failed, w.request)
		}
		q.behind[stream] = nil // of the lines, only batches that are in flight are left
	}
	clear(q.ready)
	q.ready = q.ready[:0]
	for _, r := range failed {
		if r.state != waiting { // it stands in several lines, and was answered already
			continue
		}
		r.state = sent
		r.finish(err)
		for i := range r.writes {
			if r.writes[i].first {
				delete(q.behind, r.writes[i].Stream)
			}
		}
	}
}

// close accepts no more requests. Writers end after they have taken the rest.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.filled.Broadcast()
}
