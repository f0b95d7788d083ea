package postgres

import (
	"slices"
	"sync"
	"time"

	"daybook/eventstore"
)

// A batch is taken from what waits, without a timer, up to these bounds.
const (
	maxBatchAppends = 500
	maxBatchBytes   = 1 << 20
	// So many appends are worth a transaction beside another one's; fewer wait for
	// that to end, for with 64 callers small batches cost a tenth more. But not for
	// long: it may be one that hangs.
	besideAppends = 32
	besideWait    = 5 * time.Millisecond
)

// request is one append on its way.
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
	sent            // what becomes of it is the database's word
	abandoned       // by its caller, before it was sent
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

// queue holds appends until a writer takes them. Of each stream only the oldest
// is ready at a time; the next becomes ready when that one is answered. So a
// batch never holds a stream twice, and writers of one node never wait for each
// other at a stream's lock.
type queue struct {
	mu       sync.Mutex
	filled   sync.Cond
	ready    []*request
	inFlight int // batches taken and not released
	// What is ready has waited for a batch in flight for long enough, and whether
	// somebody will say so.
	overdue, armed bool
	behind         map[string][]*request // by stream that is ready or in flight
	closed         bool
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

// take waits for requests and takes those that are ready, up to the bounds of a
// batch. While another batch is in flight it waits a little for more of them. It
// returns none when the queue is closed and empty.
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
		if len(q.ready) > 0 && !q.armed {
			q.armed = true
			time.AfterFunc(besideWait, q.lapse)
		}
		q.filled.Wait()
	}
}

// lapse says that what is ready has waited for long enough.
func (q *queue) lapse() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.armed, q.overdue = false, len(q.ready) > 0
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

// seal marks a batch as sent and returns what is to be sent of it: not those
// whose callers have gone.
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
	line[0] = nil // or the line would keep it when it is answered
	q.behind[stream] = line[1:]
}

// abandon takes a request back, unless it was sent. Nothing of it stays but in a
// batch that was taken: its caller gives up the room that the queue's bound counts.
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

// fail answers everything that waits.
func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.ready {
		q.failStream(r, err)
	}
	clear(q.ready)
	q.ready = q.ready[:0]
}

// failStream answers a request that is ready and those behind it.
func (q *queue) failStream(r *request, err error) {
	for _, r := range append([]*request{r}, q.behind[r.stream]...) {
		r.state = sent
		r.answer(eventstore.Result{}, err)
	}
	delete(q.behind, r.stream)
}

// close lets no more in. Writers end when they have taken the rest.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.filled.Broadcast()
}
