package groups

import (
	"container/list"
	"slices"
	"time"

	"github.com/google/uuid"
)

// maxBytes bounds the bytes of the events that a group holds, in its buffers and with its
// consumers. Each event counts some bytes more than its own, so many small events are
// bounded, too.
const (
	maxBytes = 64 << 20
	overhead = 1 << 10
)

// group holds the rules of one group. Its inputs are events, acknowledgements and the time.
// Its outputs are collected: deliveries and drops, and changes to be saved. It has no clock
// and no lock, and does no I/O.
//
// It holds an event from when it is read until it is handled: acknowledged, skipped, or
// parked and saved. The checkpoint can move up to the first event that is held.
type group struct {
	settings     Settings
	consumers    []*consumer // in the order they came
	came         uint64      // consumers so far
	nextConsumer int         // the index of the consumer that RoundRobin tries next, not bounded by their number
	stats        stats

	// Messages that wait for a consumer. They are handed out in this order.
	retry    []*message // were handed out before; by place
	replayed []*message // were parked before; by number
	buffer   []*message // new; by place

	sent     list.List                // messages with a consumer; by deadline
	tracked  list.List                // messages read from the source and not handled; by place
	held     map[Place]*message       // all messages
	byID     map[uuid.UUID][]*message // the same, by the id that consumers acknowledge; a foreign log may have an id twice
	heldSize int                      // bytes

	readTo   Place              // up to where the source was read
	readSeq  int64              // number of the last event read, counted from the first one of this run; skipped events count as more than one
	caughtUp bool               // everything up to the head was read
	ended    bool               // there is nothing more to read, ever
	ahead    map[Place]struct{} // parked before this run of the group, and not yet read again

	checkpoint    Place // saved last, or where this run of the group began
	checkpointSeq int64
	checkpointAt  time.Time

	parks   []*message // to be saved as parked
	unparks []int64    // to be saved as no longer parked
	saving  *saving

	replayedTo   int64 // number of the last parked event that was given to replay
	asked, begun int   // how many replays were asked for, and how many of these have read all their events
	blocked      bool  // the next event to be replayed is still being parked

	out []effect // outputs since the last call of effects
}

// message is an event on its way through a group.
type message struct {
	Event
	size    int
	pin     uint64 // what the pinned strategies hash
	retries int
	number  int64 // its number among the parked events, -1 if it is not parked

	holder   *consumer     // the consumer that has it
	again    bool          // it waits in retry or replayed
	sent     *list.Element // in group.sent
	sentAt   time.Time
	deadline time.Time // when it is taken back; zero: never
	parking  bool
	reason   string // why it is parked

	tracked *list.Element // in group.tracked, nil if it is there only by replay
	prev    Place         // the place before it in the source
	seq     int64
}

// consumer is one of the competing consumers.
type consumer struct {
	slots    int
	inFlight map[uuid.UUID]*message
	salt     uint64 // makes its weights differ from those of others, for the pinned strategies
	stats    stats
}

func (c *consumer) free() int { return max(c.slots-len(c.inFlight), 0) }

// takes tells whether the consumer can get a message: it has a free slot, and has no other
// message with this id, which it could not tell apart.
func (c *consumer) takes(m *message) bool {
	return c.free() > 0 && c.inFlight[m.Original.ID] == nil
}

// effect is something that goes to a consumer.
type effect struct {
	to       *consumer
	kind     effectKind
	delivery Delivery
}

type effectKind int

const (
	deliver effectKind = iota
	recall             // a delivery is taken back, if the consumer does not have it yet
	dropped            // the consumer is served no more
)

// Delivery is an event for a consumer.
type Delivery struct {
	Event
	Retries int
}

// newGroup begins a run of a group, after a checkpoint if there is one. parked are the places
// of parked events after the checkpoint.
func newGroup(settings Settings, checkpoint *Place, parked []Place, now time.Time) *group {
	g := &group{
		settings:     settings,
		held:         make(map[Place]*message),
		byID:         make(map[uuid.UUID][]*message),
		ahead:        make(map[Place]struct{}, len(parked)),
		readTo:       before(settings.StartFrom),
		checkpointAt: now,
		replayedTo:   -1,
		asked:        1, // a crash may have cut off a replay
		stats:        newStats(now),
	}
	if checkpoint != nil {
		g.readTo = *checkpoint
	}
	g.checkpoint = g.readTo // so nothing is saved before something was handled
	for _, place := range parked {
		g.ahead[place] = struct{}{}
	}
	return g
}

// connect adds a consumer that works on at most slots messages at a time.
func (g *group) connect(slots int, now time.Time) *consumer {
	g.came++
	c := &consumer{slots: slots, inFlight: make(map[uuid.UUID]*message), salt: mix(g.came), stats: newStats(now)}
	g.consumers = append(g.consumers, c)
	g.dispatch(now)
	return c
}

// full tells whether no more consumers may connect.
func (g *group) full() bool {
	return g.settings.MaxSubscriberCount > 0 && len(g.consumers) >= g.settings.MaxSubscriberCount
}

// disconnect removes a consumer. Its messages are handed out again before new ones. Each of them
// counts one more retry, but is not parked for this reason.
func (g *group) disconnect(c *consumer, now time.Time) {
	at := slices.Index(g.consumers, c)
	if at < 0 {
		return
	}
	g.consumers = slices.Delete(g.consumers, at, at+1)
	for _, m := range c.inFlight {
		g.release(m)
		m.retries++
		g.enqueue(m)
	}
	g.dispatch(now)
}

// drop disconnects a consumer because the group decides so.
func (g *group) drop(c *consumer, now time.Time) {
	g.out = append(g.out, effect{to: c, kind: dropped})
	g.disconnect(c, now)
}

// wants tells whether the source should be read: there are consumers, and the buffers have
// space. If reading was stopped, it goes on when there is space for a batch.
func (g *group) wants(reading bool) bool {
	room := g.settings.HistoryBufferSize
	if g.caughtUp {
		room = g.settings.LiveBufferSize
	}
	room -= len(g.buffer) + len(g.retry) + len(g.replayed) + len(g.parks)
	if g.saving != nil {
		room -= len(g.saving.parks)
	}
	need := 1
	if !reading {
		need = min(g.settings.ReadBatchSize, g.settings.LiveBufferSize)
	}
	return len(g.consumers) > 0 && room >= need && g.heldSize < maxBytes && !g.ended
}

// idle drops the consumers of a group whose source has ended, once everything that was read
// is handled, because nothing more will come. The end of the source is not stored; the next
// run finds it by reading.
func (g *group) idle(now time.Time) {
	if !g.ended || len(g.held) > 0 || g.wantsReplay() {
		return
	}
	for len(g.consumers) > 0 {
		g.drop(g.consumers[0], now)
	}
}

// read takes the next item of the source.
func (g *group) read(item Item, now time.Time) {
	if item.Ended {
		g.ended = true
		return
	}
	if item.Place.Compare(g.readTo) <= 0 { // a mark that says nothing new
		g.caughtUp = item.CaughtUp
		return
	}
	prev := g.readTo
	g.readTo, g.caughtUp = item.Place, item.CaughtUp || g.caughtUp
	if item.Event == nil {
		// A skipped event goes to no consumer, but the checkpoint may move over it.
		g.readSeq += int64(max(g.settings.MinCheckpointCount, 1))
		return
	}
	g.readSeq++
	if _, parked := g.ahead[item.Place]; parked { // handled in an earlier run
		delete(g.ahead, item.Place)
		return
	}
	m, replaying := g.held[item.Place]
	if !replaying {
		m = g.hold(*item.Event)
		g.buffer = append(g.buffer, m)
	}
	m.prev, m.seq = prev, g.readSeq
	m.tracked = g.tracked.PushBack(m)
	g.dispatch(now)
}

// behind notes that there is more to read than was read.
func (g *group) behind() { g.caughtUp = false }

// wantsReplay tells whether parked events that are marked are to be read.
func (g *group) wantsReplay() bool {
	return g.asked > g.begun && !g.blocked && len(g.consumers) > 0 && len(g.replayed) < g.settings.ReadBatchSize && g.heldSize < maxBytes
}

// replay takes an event that was parked. It returns false if the event is still being parked. Then
// the event and all later ones must be read again.
func (g *group) replay(number int64, e Event, now time.Time) bool {
	m, held := g.held[e.Place]
	if held && m.parking {
		g.blocked = true
		return false
	}
	if !held {
		m = g.hold(e)
	}
	m.number = number // it may also have been read from the source
	g.replayedTo = max(g.replayedTo, number)
	if !held {
		g.enqueue(m)
		g.dispatch(now)
	}
	return true
}

// gone notes that a parked event can no longer be read.
func (g *group) gone(number int64) {
	g.replayedTo = max(g.replayedTo, number)
	g.unparks = append(g.unparks, number)
}

func (g *group) hold(e Event) *message {
	m := &message{Event: e, size: overhead + e.Original.Size(), number: -1, pin: pin(g.settings.Strategy, e)}
	if e.Resolved != nil {
		m.size += e.Resolved.Size()
	}
	g.held[e.Place] = m
	g.byID[e.Original.ID] = append(g.byID[e.Original.ID], m)
	g.heldSize += m.size
	return m
}

// enqueue puts a message into the queue in which it waits to be handed out again.
func (g *group) enqueue(m *message) {
	queue, compare := &g.replayed, compareNumbers
	if m.tracked != nil {
		queue, compare = &g.retry, comparePlaces
	}
	m.again = true
	at, _ := slices.BinarySearchFunc(*queue, m, compare)
	*queue = slices.Insert(*queue, at, m)
}

// tick gives the time to the rules: messages whose deadline has passed are taken back.
func (g *group) tick(now time.Time) {
	for front := g.sent.Front(); front != nil; front = g.sent.Front() {
		m := front.Value.(*message)
		if m.deadline.After(now) {
			break
		}
		g.release(m)
		g.retryOrPark(m)
	}
	g.dispatch(now)
}

// next is when tick or take must be called at the latest. It is zero if there is no such
// time.
func (g *group) next() time.Time {
	var next time.Time
	if front := g.sent.Front(); front != nil {
		next = front.Value.(*message).deadline
	}
	place, seq := g.handledTo()
	if g.settings.CheckpointAfter > 0 && place != g.checkpoint && seq-g.checkpointSeq >= int64(g.settings.MinCheckpointCount) {
		if at := g.checkpointAt.Add(g.settings.CheckpointAfter); next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// release takes a message from the consumer that works on it, if any does.
func (g *group) release(m *message) {
	if m.holder == nil {
		return
	}
	delete(m.holder.inFlight, m.Original.ID)
	g.out = append(g.out, effect{to: m.holder, kind: recall, delivery: Delivery{Event: m.Event}})
	m.holder = nil
	if m.sent != nil {
		g.sent.Remove(m.sent)
		m.sent = nil
	}
}

// finish removes a message that is handled.
func (g *group) finish(m *message) {
	delete(g.held, m.Place)
	id := m.Original.ID
	if same := slices.DeleteFunc(g.byID[id], func(other *message) bool { return other == m }); len(same) > 0 {
		g.byID[id] = same
	} else {
		delete(g.byID, id)
	}
	g.heldSize -= m.size
	if m.tracked != nil {
		g.tracked.Remove(m.tracked)
	}
	if m.number >= 0 {
		g.unparks = append(g.unparks, m.number)
	}
}

// effects returns what was decided since the last call.
func (g *group) effects() []effect {
	out := g.out
	g.out = nil
	return out
}

// status is the group's state in the protocol's words.
func (g *group) status() string {
	status := "Behind"
	switch {
	case len(g.consumers) == 0:
		return "Paused"
	case g.caughtUp:
		status = "Live"
	}
	if len(g.replayed) > 0 || g.asked > max(g.begun, 1) {
		status += ", ReplayingParkedMessages"
	}
	return status
}
