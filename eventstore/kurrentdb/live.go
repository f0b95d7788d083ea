package kurrentdb

import (
	"context"
	"errors"
	"sort"
	"sync"
	"time"

	"daybook/eventstore"
	"daybook/internal/pause"
)

// Bounds of the recent events that are kept for subscriptions.
const (
	ringEvents = 8192
	ringBytes  = 16 << 20
	ringPage   = 256       // events handed out at a time, if they are small
	ringHeld   = 128 << 10 // bytes after which a page ends, because a slow reader keeps the page
)

// headEvery is the pause between reads of the head, which tell whether the ring ends at the
// head.
const headEvery = 10 * time.Millisecond

// live is the store's one subscription to everything. All subscriptions that have reached the
// log's end share it. It exists while there is a subscription, and from the first append on.
type live struct {
	store *Store

	mu      sync.Mutex
	readers int
	appends bool // the store has appended; from then on it counts as a reader
	ring    *ring
	begun   time.Time          // when the ring was made
	stop    context.CancelFunc // ends the goroutine that fills the ring
	closed  bool
	feeding sync.WaitGroup
}

// join counts a subscription. If the ring has failed, only its present readers keep it, and a
// new ring begins.
func (l *live) join() *ring {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readers++
	l.begin()
	return l.ring
}

// follow is the ring for an append. After its first append, the store follows the log until
// it is closed, so that appended events need not be read back.
func (l *live) follow() *ring {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	if !l.appends {
		l.appends = true
		l.readers++
	}
	if l.ring == nil || !l.ring.failed() || time.Since(l.begun) > maxBackoff {
		l.begin()
	}
	return l.ring
}

// begin makes sure that there is a ring that has not failed. l must be locked.
func (l *live) begin() {
	if l.ring != nil && l.ring.failed() {
		l.end()
	}
	if l.ring != nil {
		return
	}
	l.ring, l.begun = newRing(), time.Now()
	if l.closed {
		l.ring.fail(&eventstore.UnavailableError{Cause: errClosed})
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	r := l.ring
	l.feeding.Go(func() { l.store.feed(ctx, r) })
	l.feeding.Go(func() { l.store.answerHeadRequests(ctx, r) })
}

func (l *live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers--; l.readers == 0 {
		l.end()
	}
}

// end forgets the ring. l must be locked.
func (l *live) end() {
	if l.stop != nil {
		l.stop()
	}
	l.ring, l.stop = nil, nil
}

// close ends the goroutine that fills the ring. Readers notice that by themselves.
func (l *live) close() {
	l.mu.Lock()
	l.closed = true
	l.end()
	l.mu.Unlock()
	l.feeding.Wait()
}

// inUse is the ring of the subscriptions; nil if there is no subscription.
func (l *live) inUse() *ring {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ring
}

// prove notes that a position is in the log.
func (l *live) prove(position eventstore.Position) {
	if r := l.inUse(); r != nil {
		r.prove(position)
	}
}

// flows tells whether a subscription follows the log and has caught up.
func (l *live) flows() bool {
	r := l.inUse()
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flows
}

// ring is the end of the log in memory: all events after base, in order.
type ring struct {
	mu     sync.Mutex
	known  bool // base and last are set
	flows  bool // its subscription is open and has caught up
	base   eventstore.Position
	last   eventstore.Position
	proven eventstore.Position // the latest position that is known to be in the log
	events []eventstore.Recorded
	first  int // of events, the oldest
	count  int
	bytes  int
	broken error                   // why no subscription can go on
	renew  context.CancelCauseFunc // makes its subscription open again; nil while there is none

	waiting     bool                // someone waits for changed
	changed     chan struct{}       // closed when the ring changes
	headRequest chan struct{}       // holds one signal: a reader wants to know whether the ring ends at the head
	watches     map[string][]*watch // by stream: appends that are under way
}

func newRing() *ring {
	return &ring{
		events:      make([]eventstore.Recorded, ringEvents),
		changed:     make(chan struct{}),
		headRequest: make(chan struct{}, 1),
		watches:     make(map[string][]*watch),
	}
}

// begin lets the ring start after this head. The head was read before the ring's subscription was
// opened. Nothing else is certain, because another node may have answered that read.
func (r *ring) begin(head eventstore.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known, r.base, r.last = true, head, head
	if r.proven.Before(head) {
		r.proven = head
	}
	r.announce()
}

// reached tells whether the ring has come to a position, or has failed and never will.
func (r *ring) reached(position eventstore.Position) (reached bool, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = true
	return r.broken != nil || r.known && !r.last.Before(position), r.changed
}

// serve says how to end the ring's subscription.
func (r *ring) serve(renew context.CancelCauseFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.renew = renew
}

// open makes the ring's subscription open again.
func (r *ring) open(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.renew != nil {
		r.renew(why)
	}
}

func (r *ring) flow(open bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flows = open
}

// end is where the ring ends; known is false if it has not begun.
func (r *ring) end() (last eventstore.Position, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, r.known
}

// push adds the next event, and forgets the oldest beyond the bounds.
func (r *ring) push(e eventstore.Recorded) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.last.Before(e.Position) {
		return // the ring has this event already, from before the subscription was opened again
	}
	for r.count == ringEvents || r.count > 0 && r.bytes+e.Size() > ringBytes {
		oldest := &r.events[r.first]
		r.base = oldest.Position
		r.bytes -= oldest.Size()
		*oldest = eventstore.Recorded{}
		r.first = (r.first + 1) % ringEvents
		r.count--
	}
	r.events[(r.first+r.count)%ringEvents] = e
	r.count++
	r.bytes += e.Size()
	r.last = e.Position
	for _, w := range r.watches[e.Stream] {
		w.see(&r.events[(r.first+r.count-1)%ringEvents])
	}
	r.announce()
}

func (r *ring) prove(position eventstore.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.proven.Before(position) {
		r.proven = position
		r.announce()
	}
}

// unproven tells whether the ring ends beyond the last position that is known to be in the
// log. Its last event may then be in the middle of an append.
func (r *ring) unproven() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known && r.proven.Before(r.last)
}

func (r *ring) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = err
	r.announce()
}

func (r *ring) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.broken != nil
}

// announce wakes all that wait for a change.
func (r *ring) announce() {
	if r.waiting {
		r.waiting = false
		close(r.changed)
		r.changed = make(chan struct{})
	}
}

// view is what the ring has for a reader.
type view struct {
	events  []eventstore.Recorded // a copy for this reader
	known   bool                  // the ring has begun
	covered bool                  // nothing is missing between the reader and the ring
	head    bool                  // the reader is at the head
	changed <-chan struct{}
	err     error
}

// read returns events after a position.
func (r *ring) read(after eventstore.Position) view {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = true
	v := view{known: r.known, covered: r.known && !after.Before(r.base), changed: r.changed, err: r.broken}
	if !v.covered {
		return v
	}
	skip := sort.Search(r.count, func(i int) bool { return after.Before(r.at(i).Position) })
	n, bytes := 0, 0
	for ; n < min(ringPage, r.count-skip) && bytes < ringHeld; n++ {
		bytes += r.at(skip + n).Size()
	}
	v.events = make([]eventstore.Recorded, n)
	for i := range v.events {
		v.events[i] = *r.at(skip + i)
	}
	if len(v.events) == 0 {
		v.head = r.proven == r.last
		if r.proven.Before(r.last) {
			select {
			case r.headRequest <- struct{}{}:
			default:
			}
		}
	}
	return v
}

func (r *ring) at(i int) *eventstore.Recorded { return &r.events[(r.first+i)%ringEvents] }

// covers tells whether a reader can go on from the ring without missing an event.
func (r *ring) covers(after eventstore.Position) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known && !after.Before(r.base)
}

// feed fills a ring until ctx ends.
func (s *Store) feed(ctx context.Context, r *ring) {
	var behind time.Time // since when the log has been shorter than the ring
	for backoff := minBackoff; ctx.Err() == nil; backoff = min(2*backoff, maxBackoff) {
		began := time.Now()
		err := s.feedOnce(ctx, r)
		if ctx.Err() != nil {
			return
		}
		beyond := judge(err) == nowhere
		switch {
		case !beyond:
			behind = time.Time{}
		case behind.IsZero():
			behind = time.Now()
		}
		// A node that has just become the leader may need a moment until it has all events.
		if beyond && time.Since(behind) > patience || !beyond && !passes(err) {
			r.fail(readError(ctx, "subscribe", err))
			return
		}
		if time.Since(began) > maxBackoff {
			backoff = minBackoff
		}
		s.logger.Warn("the subscription is opened again", "error", err)
		pause.For(ctx, backoff)
	}
}

// feedOnce fills a ring until its subscription drops.
func (s *Store) feedOnce(ctx context.Context, r *ring) (err error) {
	ctx, renew := context.WithCancelCause(ctx)
	defer renew(nil)
	r.serve(renew)
	defer r.serve(nil)
	defer func() {
		if errors.Is(context.Cause(ctx), errStuck) {
			err = errStuck // the client only reports that it was canceled
		}
	}()
	head, err := s.readHead(ctx)
	if err != nil {
		return err
	}
	last, known := r.end()
	if known && head.Before(last) {
		return &eventstore.UnknownPlaceError{Position: last, Head: head}
	}
	if !known {
		last = head
	}
	stream, err := s.stream(ctx, last, newSelection(eventstore.Filter{}))
	if err != nil {
		return err
	}
	defer stream.close()
	if !known {
		r.begin(head)
	}
	r.prove(head)
	defer r.flow(false)
	for {
		message, err := stream.next()
		if err != nil {
			return err
		}
		if message.caughtUp {
			r.flow(true)
		}
		if e := message.event; e != nil && !isSystem(e.Type, e.Stream) {
			s.head.advance(e.Position)
			r.push(*e)
		}
	}
}

// answerHeadRequests reads the head when a reader at the ring's end does not know whether the
// ring ends at the head.
func (s *Store) answerHeadRequests(ctx context.Context, r *ring) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.headRequest:
		}
		for r.unproven() && ctx.Err() == nil {
			if head, err := s.readHead(ctx); err == nil {
				r.prove(head)
			}
			pause.For(ctx, headEvery)
		}
	}
}
