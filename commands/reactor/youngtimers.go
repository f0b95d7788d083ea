package reactor

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"daybook/eventstore"
)

// Most deadlines end within milliseconds. For example, a checkout reserves stock and commits it,
// and an order is placed and confirmed. A timer in the database would then be a row that is written
// and deleted at once. So a timer stays in memory while it is young, and the reactor's checkpoint
// stays before the event that set it. If another node takes over, it reads that event again, and
// sets the timer itself.
//
// Example: a reservation at position 100 has a deadline in 15 minutes. The reactor reads it, and
// the checkpoint stays before position 100. The reservation may be committed 20 ms later: then the
// timer is gone, and no row was written. If nothing has ended it after 1 s, the timer is stored,
// and the checkpoint moves past position 100.
const (
	// youngFor is how long a timer stays only in memory.
	youngFor = time.Second
	// youngDue is how far away a deadline must be, if its timer may stay in memory. A timer
	// with a nearer deadline is stored at once, so that it is not late.
	youngDue = 5 * time.Second
)

// youngTimers collects what is to be set and cleared in the database.
type youngTimers struct {
	now   time.Time // when the present page was read; if it is zero, no timer counts as young
	young map[Deadline]youngTimer
	// queue has the young timers in the order in which they were set. Some of its entries are
	// stale: their timers are no longer young.
	queue []youngEntry
	begun int
	set   map[Deadline]Timer
	clear map[Deadline]bool
	// readsFurthest means that no other node has read further than this one. So a deadline that
	// begins now has no timer in the database yet.
	readsFurthest bool
}

type youngTimer struct {
	Timer
	begun  int  // the number of its entry in the queue
	stored bool // the database may have a timer of this deadline
}

// youngEntry is an entry of the queue of young timers.
type youngEntry struct {
	Deadline
	begun  int
	before eventstore.Position // a reader that begins here reads the event again
	since  time.Time
}

func newYoungTimers() youngTimers {
	return youngTimers{young: map[Deadline]youngTimer{}, set: map[Deadline]Timer{}, clear: map[Deadline]bool{}}
}

// put sets the timer of a deadline that begins with the event after this position.
func (t *youngTimers) put(timer Timer, before eventstore.Position) {
	t.keep(timer, before, !t.readsFurthest)
}

// move sets the timer of a deadline that began earlier and has moved.
func (t *youngTimers) move(timer Timer, before eventstore.Position) { t.keep(timer, before, true) }

func (t *youngTimers) keep(timer Timer, before eventstore.Position, stored bool) {
	if t.now.IsZero() || timer.DueAt.Sub(t.now) < youngDue {
		delete(t.young, timer.Deadline)
		t.set[timer.Deadline] = timer
		return
	}
	young, found := t.young[timer.Deadline]
	if _, set := t.set[timer.Deadline]; set {
		delete(t.set, timer.Deadline)
		stored = true
	}
	if !found {
		t.begun++
		young = youngTimer{begun: t.begun, stored: stored}
		t.queue = append(t.queue, youngEntry{timer.Deadline, t.begun, before, t.now})
	}
	young.Timer = timer
	t.young[timer.Deadline] = young
}

// remove clears the timer of a deadline that has ended.
func (t *youngTimers) remove(deadline Deadline) {
	young, found := t.young[deadline]
	_, set := t.set[deadline]
	delete(t.young, deadline)
	delete(t.set, deadline)
	if !found || young.stored || set {
		t.clear[deadline] = true
	}
}

// oldest returns the entry of the oldest young timer.
func (t *youngTimers) oldest() (oldest youngEntry, found bool) {
	for len(t.queue) > 0 {
		oldest = t.queue[0]
		if young, still := t.young[oldest.Deadline]; still && young.begun == oldest.begun {
			return oldest, true
		}
		t.queue = t.queue[1:]
	}
	return youngEntry{}, false
}

// before returns the position from which a reader reads the events of all young timers again.
// If there is no young timer, it returns the given position.
func (t *youngTimers) before(position eventstore.Position) eventstore.Position {
	if oldest, found := t.oldest(); found {
		return oldest.before
	}
	return position
}

// due returns which timers to set and to clear in the database. It returns each change only
// once. A deadline that was cleared and then set again is only set.
func (t *youngTimers) due(now time.Time) (set []Timer, clear []Deadline) {
	for oldest, found := t.oldest(); found && now.Sub(oldest.since) >= youngFor; oldest, found = t.oldest() {
		t.set[oldest.Deadline] = t.young[oldest.Deadline].Timer
		delete(t.young, oldest.Deadline)
	}
	for deadline := range t.set {
		delete(t.clear, deadline)
	}
	set = slices.SortedFunc(maps.Values(t.set), func(a, b Timer) int { return byIdentity(a.Deadline, b.Deadline) })
	clear = slices.SortedFunc(maps.Keys(t.clear), byIdentity)
	t.set, t.clear = map[Deadline]Timer{}, map[Deadline]bool{}
	return set, clear
}

func byIdentity(a, b Deadline) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Target, b.Target), cmp.Compare(a.Item, b.Item))
}
