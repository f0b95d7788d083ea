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

// request is one append that waits or is being sent.
type request struct {
	stream   string
	expected eventstore.Expected
	events   []eventstore.Event
	bytes    int
	done     chan outcome // holds one, so that answering never waits

	state state // guarded by the queue's lock
}

type outcome struct {
	result eventstore.Result
	err    error
}

type state uint8

const (
	waiting   state = iota
	sent            // only the database knows the outcome
	abandoned       // the caller gave up before it was sent
)

func newRequest(stream string, expected eventstore.Expected, events []eventstore.Event) *request {
	r := &request{stream: stream, expected: expected, events: events, done: make(chan outcome, 1)}
	for i := range events {
		r.bytes += events[i].Size()
	}
	return r
}

// weight is what the request counts towards the bound of the queue.
func (r *request) weight() int64 { return int64(r.bytes) + appendOverhead }

// answer tells the caller, once.
func (r *request) answer(result eventstore.Result, err error) { r.done <- outcome{result, err} }

// queue holds appends until a writer takes them. Of each stream only the oldest append is
// ready. The next one becomes ready when that one is answered. So a batch never contains a
// stream twice, and the writers of one node never wait for each other at a stream's lock.
type queue struct {
	mu       sync.Mutex
	filled   sync.Cond
	ready    []*request
	inFlight int // batches taken and not released
	// overdue means that a writer must not wait longer for the batch that is in flight. timerSet
	// means that a timer will set overdue.
	overdue, timerSet bool
	behind            map[string][]*request // by stream: requests that wait for an earlier one of their stream
	closed            bool
}

func newQueue() *queue {
	q := &queue{behind: make(map[string][]*request)}
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
	if line, busy := q.behind[r.stream]; busy {
		q.behind[r.stream] = append(line, r)
		return true
	}
	q.behind[r.stream] = nil
	q.ready = append(q.ready, r)
	q.filled.Signal()
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
	bytes, taken := 0, 0
	for _, r := range q.ready {
		if len(batch) == maxBatchAppends || len(batch) > 0 && bytes+r.bytes > maxBatchBytes {
			break
		}
		taken++
		batch = append(batch, r)
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
		q.next(r.stream)
	}
	if len(q.ready) > 0 || q.closed {
		q.filled.Broadcast()
	}
}

func (q *queue) next(stream string) {
	line := q.behind[stream]
	if len(line) == 0 {
		delete(q.behind, stream)
		return
	}
	q.ready = append(q.ready, line[0])
	line[0] = nil // otherwise the slice would keep the request in memory after it was answered
	q.behind[stream] = line[1:]
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
	r.state, r.events = abandoned, nil
	if at := slices.Index(q.ready, r); at >= 0 {
		q.ready = slices.Delete(q.ready, at, at+1)
		q.next(r.stream)
	} else if at := slices.Index(q.behind[r.stream], r); at >= 0 {
		q.behind[r.stream] = slices.Delete(q.behind[r.stream], at, at+1)
	}
	return true
}

// fail answers all waiting requests with an error.
func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.ready {
		q.failStream(r, err)
	}
	clear(q.ready)
	q.ready = q.ready[:0]
}

// failStream answers a request that is ready, and those behind it in its stream.
func (q *queue) failStream(r *request, err error) {
	for _, r := range append([]*request{r}, q.behind[r.stream]...) {
		r.state = sent
		r.answer(eventstore.Result{}, err)
	}
	delete(q.behind, r.stream)
}

// close accepts no more requests. Writers end after they have taken the rest.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.filled.Broadcast()
}
