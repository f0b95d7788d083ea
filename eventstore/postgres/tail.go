package postgres

import (
	"sync"

	"daybook/eventstore"
)

// These are the bounds of the recent events that a node keeps for its subscriptions. They also
// bound the events ahead of a gap, which arrived before the events in the gap.
const (
	tailEvents = 8192
	tailBytes  = 16 << 20
)

// tail is the end of the log in memory. While there are subscriptions, it holds the latest events,
// without gaps, from first to last. Writers of this node add what they have committed, and follow
// reads what other nodes have committed. Every subscription that has come this far is served from
// here. A subscription that falls behind reads from the database again, so nothing waits for it.
// Events can arrive too early. Example: last is 10, and one writer adds the events 13 to 15 before
// the other writer adds 11 and 12. Then 13 to 15 wait in ahead until 11 and 12 have come.
type tail struct {
	mu      sync.Mutex
	readers int
	known   bool // whether last has a meaning; false until follow has read the head
	first   uint64
	last    uint64
	proven  uint64                // the highest position known to be committed; last is never above
	events  []eventstore.Recorded // the event at a position has the index position % tailEvents
	bytes   int
	ahead   map[uint64][]eventstore.Recorded // by first position: events that came before the ones in front of them
	held    int                              // events in ahead
	heldSum int                              // their bytes
	broken  error                            // why no subscription can go on

	changed     chan struct{} // closed when the tail changes
	gap         chan struct{} // holds one signal: events after last are missing
	headRequest chan struct{} // holds one signal: the head may be beyond last
}

func newTail() *tail {
	return &tail{
		ahead:       make(map[uint64][]eventstore.Recorded),
		changed:     make(chan struct{}),
		gap:         make(chan struct{}, 1),
		headRequest: make(chan struct{}, 1),
	}
}

// signal puts a signal into a channel that can hold one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// join counts a subscription. While there are none, the tail keeps nothing.
func (t *tail) join() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.readers++
	if t.readers == 1 {
		t.events = make([]eventstore.Recorded, tailEvents)
		signal(t.headRequest)
	}
}

func (t *tail) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.readers--
	if t.readers == 0 {
		t.known, t.proven, t.events, t.bytes, t.broken = false, 0, nil, 0, nil
		t.dropAhead()
	}
}

func (t *tail) wanted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.readers > 0
}

// end is the position of the last event that the tail holds. known is false if it holds none.
func (t *tail) end() (last uint64, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last, t.known
}

// prove notes that a position is committed.
func (t *tail) prove(position uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.readers > 0 {
		t.proven = max(t.proven, position)
	}
}

// begin lets the tail start after the head that was just read, and returns where the tail
// ends now.
func (t *tail) begin(head uint64) (last uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.readers > 0 && !t.known {
		t.known, t.first, t.last, t.proven = true, head+1, head, max(t.proven, head)
		t.drain()
		t.announce()
	}
	return t.last
}

// add takes committed events that follow each other.
func (t *tail) add(events []eventstore.Recorded) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.readers == 0 || len(events) == 0 {
		return
	}
	first := number(events[0].Position)
	if old := t.ahead[first]; len(events) > len(old) {
		t.held += len(events) - len(old)
		t.heldSum += size(events) - size(old)
		t.ahead[first] = events
	}
	if t.known && t.drain() {
		t.announce()
	}
	if len(t.ahead) == 0 {
		return
	}
	// Most likely, another writer of this node has committed the missing events, and they will come
	// soon.
	signal(t.gap)
	if t.held > tailEvents || t.heldSum > tailBytes {
		t.dropAhead()
		signal(t.headRequest)
	}
}

// drain moves what follows last from ahead to the tail.
func (t *tail) drain() (moved bool) {
	for again := true; again; {
		again = false
		for first, events := range t.ahead {
			if first > t.last+1 {
				continue
			}
			delete(t.ahead, first)
			t.held -= len(events)
			t.heldSum -= size(events)
			if present := t.last + 1 - first; present < uint64(len(events)) {
				t.push(events[present:])
				again, moved = true, true
			}
		}
	}
	return moved
}

func (t *tail) dropAhead() {
	clear(t.ahead)
	t.held, t.heldSum = 0, 0
}

func size(events []eventstore.Recorded) (bytes int) {
	for i := range events {
		bytes += events[i].Size()
	}
	return bytes
}

// push adds events that follow last, and forgets the oldest beyond the bounds.
func (t *tail) push(events []eventstore.Recorded) {
	for i := range events {
		t.last++
		for t.last-t.first >= tailEvents || t.bytes > tailBytes && t.first < t.last {
			oldest := &t.events[t.first%tailEvents]
			t.bytes -= oldest.Size()
			*oldest = eventstore.Recorded{}
			t.first++
		}
		t.events[t.last%tailEvents] = events[i]
		t.bytes += events[i].Size()
	}
	t.proven = max(t.proven, t.last)
}

// announce wakes all that wait for a change.
func (t *tail) announce() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// fail ends all present subscriptions with an error.
func (t *tail) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.readers == 0 {
		return
	}
	t.broken = err
	t.announce()
}

// hasGap tells whether events are missing between the tail and what is ahead.
func (t *tail) hasGap() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.ahead) > 0
}

// fromTail is how many events a reader gets at a time from the tail, if they are small.
const fromTail = 256

// view is what the tail has for a reader.
type view struct {
	events  []eventstore.Recorded // a copy for this reader
	known   bool                  // the tail has begun
	covered bool                  // nothing is missing between the reader and the tail
	head    bool                  // the reader is at the highest position known to be committed
	changed <-chan struct{}
	err     error
}

// read returns events after a position.
func (t *tail) read(after uint64) view {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := view{known: t.known, covered: t.known && after+1 >= t.first, changed: t.changed, err: t.broken}
	if !v.covered {
		return v
	}
	if after >= t.last {
		if v.head = t.last >= t.proven; !v.head {
			signal(t.headRequest)
		}
		return v
	}
	n, bytes := uint64(0), 0
	for ; n < min(fromTail, t.last-after) && bytes < smallBytes; n++ {
		bytes += t.events[(after+1+n)%tailEvents].Size()
	}
	v.events = make([]eventstore.Recorded, n)
	for i := range v.events {
		v.events[i] = t.events[(after+1+uint64(i))%tailEvents]
	}
	return v
}

// covers tells whether a reader can go on from the tail without missing an event.
func (t *tail) covers(after uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known && after+1 >= t.first
}
