package groups

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"daybook/eventstore"
)

// defaults are the default settings of the protocol's clients.
func defaults() Settings {
	return Settings{
		MessageTimeout:     30 * time.Second,
		MaxRetryCount:      10,
		CheckpointAfter:    2 * time.Second,
		MinCheckpointCount: 10,
		MaxCheckpointCount: 1000,
		LiveBufferSize:     500,
		HistoryBufferSize:  500,
		ReadBatchSize:      20,
		Strategy:           RoundRobin,
	}
}

// model is a group with everything that it needs: a source that grows, consumers that answer in any
// way, and a store that survives crashes. For each event it knows what has happened to it.
type model struct {
	*rapid.T
	now      time.Time
	settings Settings
	key      Key
	store    *Memory
	group    *group
	source   []Item // in order; an item without event is one that was not selected

	clients []*client
	slots   int // the slots of all clients so far; no more events can come back than that

	handled map[Place]bool // acknowledged, skipped or durably parked, in any life
	acked   map[Place]bool // in this life
	newest  map[uint64]Place
	lost    *Changes // saved, but the group has not been told so
}

type client struct {
	is    *consumer
	hands map[uuid.UUID]Event // events that the client was given and has not answered
}

var testStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newModel(t *rapid.T) *model {
	history := rapid.IntRange(4, 20).Draw(t, "history")
	m := &model{
		T: t, now: testStart, store: NewMemory(), key: Key{Source: "s", Name: "g"},
		handled: make(map[Place]bool),
		settings: Settings{
			StartFrom:          InStream(0),
			MessageTimeout:     time.Duration(rapid.IntRange(0, 3).Draw(t, "timeout")) * time.Second,
			MaxRetryCount:      rapid.IntRange(0, 3).Draw(t, "retries"),
			CheckpointAfter:    time.Duration(rapid.IntRange(0, 2).Draw(t, "after")) * time.Second,
			MinCheckpointCount: rapid.IntRange(0, 5).Draw(t, "min"),
			MaxCheckpointCount: rapid.IntRange(0, 10).Draw(t, "max"),
			LiveBufferSize:     rapid.IntRange(2, 20).Draw(t, "live"),
			HistoryBufferSize:  history,
			ReadBatchSize:      rapid.IntRange(1, history-1).Draw(t, "batch"),
			Strategy:           rapid.SampledFrom([]Strategy{RoundRobin, DispatchToSingle, Pinned, PinnedByCorrelation}).Draw(t, "strategy"),
		},
	}
	if err := m.store.Put(context.Background(), 1, Group{Definition: Definition{Key: m.key, Settings: m.settings}}); err != nil {
		t.Fatal(err)
	}
	m.begin()
	return m
}

// begin starts a run of the group with what the store holds.
func (m *model) begin() {
	stored, err := m.store.Groups(context.Background())
	if err != nil {
		m.Fatal(err)
	}
	after := None
	if stored[0].Checkpoint != nil {
		after = *stored[0].Checkpoint
	}
	parked, err := m.store.ParkedAfter(context.Background(), m.key, after, 1000)
	if err != nil {
		m.Fatal(err)
	}
	m.group = newGroup(m.settings, stored[0].Checkpoint, parked, m.now)
	m.clients, m.acked, m.newest, m.lost, m.slots = nil, make(map[Place]bool), make(map[uint64]Place), nil, 0
}

func testEvent(n int, stream string) Event {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[8:], uint64(n)+1)
	e := eventstore.Recorded{Event: eventstore.Event{ID: id, Type: "t", Data: []byte(`{}`)}, Stream: stream, Revision: int64(n), Position: eventstore.At(uint64(n) + 1)} //nolint:gosec // it counts
	return Event{Place: InStream(int64(n)), Original: &e}
}

func (m *model) Append(t *rapid.T) {
	for range rapid.IntRange(1, 8).Draw(t, "events") {
		n := len(m.source)
		item := Item{Place: InStream(int64(n))}
		if rapid.IntRange(0, 4).Draw(t, "selected") > 0 {
			e := testEvent(n, fmt.Sprint("stream", rapid.IntRange(0, 3).Draw(t, "stream")))
			item.Event = &e
		}
		m.source = append(m.source, item)
	}
}

func (m *model) Read(t *rapid.T) {
	reading := false
	for range rapid.IntRange(1, 30).Draw(t, "reads") {
		if !m.group.wants(reading) {
			return
		}
		reading = true
		m.readOne()
	}
}

func (m *model) readOne() {
	next := int(RevisionOf(m.group.readTo)) + 1
	if next < len(m.source) {
		m.group.read(m.source[next], m.now)
	} else {
		m.group.read(Item{Place: m.group.readTo, CaughtUp: true}, m.now)
	}
	m.effects()
}

func (m *model) Connect(t *rapid.T) { m.connect(rapid.IntRange(1, 5).Draw(t, "slots")) }

func (m *model) connect(slots int) *client {
	c := &client{hands: make(map[uuid.UUID]Event)}
	// The first deliveries come with connect itself.
	c.is = m.group.connect(slots, m.now)
	m.clients = append(m.clients, c)
	m.slots += slots
	m.effects()
	return c
}

// one is a connected client. If there is none, the step is skipped.
func (m *model) one(t *rapid.T) *client {
	if len(m.clients) == 0 {
		t.Skip("no consumer")
	}
	return rapid.SampledFrom(m.clients).Draw(t, "client")
}

func (m *model) Disconnect(t *rapid.T) {
	c := m.one(t)
	m.clients = slices.DeleteFunc(m.clients, func(other *client) bool { return other == c })
	m.group.disconnect(c.is, m.now)
	m.effects()
}

// some returns ids of some events that a client has not answered. The group may have taken them
// back already.
func (m *model) some(t *rapid.T, c *client) []uuid.UUID {
	ids := slices.SortedFunc(maps.Keys(c.hands), func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	if len(ids) == 0 {
		t.Skip("nothing in hand")
	}
	chosen := ids[:0]
	for _, id := range ids {
		if rapid.Bool().Draw(t, "this") {
			chosen = append(chosen, id)
		}
	}
	return chosen
}

func (m *model) Ack(t *rapid.T) {
	c := m.one(t)
	m.ack(c, m.some(t, c))
}

func (m *model) ack(c *client, ids []uuid.UUID) {
	for _, id := range ids {
		e := c.hands[id]
		if held := m.group.held[e.Place]; held != nil && !held.parking {
			m.handled[e.Place], m.acked[e.Place] = true, true
		}
		delete(c.hands, id)
	}
	m.group.ack(c.is, ids, m.now)
	m.effects()
}

func (m *model) Nack(t *rapid.T) {
	c := m.one(t)
	action := rapid.SampledFrom([]Action{Unknown, Park, Retry, Skip, Stop, Action(99)}).Draw(t, "action")
	ids := m.some(t, c)
	for _, id := range ids {
		if e := c.hands[id]; action == Skip && c.is.inFlight[id] != nil {
			m.handled[e.Place], m.acked[e.Place] = true, true
		}
		delete(c.hands, id)
	}
	m.group.nack(c.is, ids, action, "because", m.now)
	m.effects()
}

func (m *model) Wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond)
	m.group.tick(m.now)
	m.effects()
}

// Save begins to save changes. The store may answer later, or never.
func (m *model) Save(t *rapid.T) {
	if m.lost == nil {
		changes := m.group.take(false, m.now)
		if changes == nil {
			return
		}
		m.write(*changes)
		m.lost = changes
	}
	if rapid.Bool().Draw(t, "answered") {
		m.answer()
	}
}

func (m *model) write(changes Changes) {
	if err := m.store.Save(context.Background(), 1, m.key, changes); err != nil {
		m.Fatal(err)
	}
	for _, p := range changes.Park {
		m.handled[p.Place] = true
	}
	if changes.Checkpoint == nil {
		return
	}
	for _, item := range m.source {
		if item.Event != nil && item.Place.Compare(*changes.Checkpoint) <= 0 && !m.handled[item.Place] {
			m.Fatalf("checkpoint %s passes event %s, which is not handled", *changes.Checkpoint, item.Place)
		}
	}
}

func (m *model) answer() {
	m.group.saved(m.now)
	m.lost = nil
	m.effects()
}

func (m *model) Crash(*rapid.T) { m.begin() }

func (m *model) Replay(t *rapid.T) {
	if err := m.store.Replay(context.Background(), 1, m.key, int64(rapid.IntRange(0, 50).Draw(t, "below"))); err != nil {
		t.Fatal(err)
	}
	m.group.asked++
}

func (m *model) ReadReplayed(*rapid.T) {
	if !m.group.wantsReplay() {
		return
	}
	parked, err := m.store.Replaying(context.Background(), m.key, m.group.replayedTo, 3)
	if err != nil {
		m.Fatal(err)
	}
	for _, p := range parked {
		if !m.group.replay(p.Number, *m.source[RevisionOf(p.Place)].Event, m.now) {
			break
		}
		delete(m.acked, p.Place) // because a parked event must come again
	}
	if len(parked) == 0 {
		m.group.begun = m.group.asked
	}
	m.effects()
}

// effects passes the group's decisions to the clients, and checks each delivery.
func (m *model) effects() {
	for _, e := range m.group.effects() {
		at := slices.IndexFunc(m.clients, func(c *client) bool { return c.is == e.to })
		switch {
		case at < 0 && e.kind == deliver:
			m.Fatalf("event %s goes to a consumer that is gone", e.delivery.Place)
		case at < 0 || e.kind == recall: // a real consumer may have it already
		case e.kind == dropped:
			m.clients = slices.Delete(m.clients, at, at+1)
		default:
			m.delivered(m.clients[at], e.delivery)
		}
	}
}

func (m *model) delivered(c *client, d Delivery) {
	if m.acked[d.Place] {
		m.Fatalf("event %s comes again after it was acknowledged", d.Place)
	}
	c.hands[d.Original.ID] = d.Event
	held := m.group.held[d.Place]
	if d.Retries > 0 || held != nil && held.number >= 0 {
		return
	}
	// New events come in order. With a pinned strategy, the events of each key come in order.
	pin := pin(m.settings.Strategy, d.Event)
	if last, seen := m.newest[pin]; seen && d.Place.Compare(last) <= 0 {
		m.Fatalf("new event %s comes after %s", d.Place, last)
	}
	m.newest[pin] = d.Place
}

// Check looks at the group after each step.
func (m *model) Check(*rapid.T) {
	g := m.group
	waiting := len(g.buffer) + len(g.retry) + len(g.replayed) + len(g.parks)
	if bound := max(m.settings.HistoryBufferSize, m.settings.LiveBufferSize) + m.slots + m.settings.ReadBatchSize + 3; waiting > bound {
		m.Fatalf("%d events wait, at most %d may", waiting, bound)
	}
	free, size := 0, 0
	for _, c := range g.consumers {
		if len(c.inFlight) > c.slots {
			m.Fatalf("%d events in flight with a consumer of %d slots", len(c.inFlight), c.slots)
		}
		free += c.free()
	}
	pinned := m.settings.Strategy == Pinned || m.settings.Strategy == PinnedByCorrelation
	if queued := len(g.buffer) + len(g.retry) + len(g.replayed); !pinned && free > 0 && queued > 0 {
		m.Fatalf("%d events wait while consumers have %d free slots", queued, free)
	}
	for _, held := range g.held {
		size += held.size
		if !slices.Contains(g.byID[held.Original.ID], held) {
			m.Fatalf("event %s is held and not found by its id", held.Place)
		}
		if queued := slices.Contains(g.retry, held) || slices.Contains(g.replayed, held); queued != held.again {
			m.Fatalf("event %s waits to come again: %t, it is marked: %t", held.Place, queued, held.again)
		}
	}
	if len(g.byID) != len(g.held) { // each event of the model has an id of its own
		m.Fatalf("%d events are held, %d are found by id", len(g.held), len(g.byID))
	}
	if size != g.heldSize {
		m.Fatalf("events of %d bytes are held, counted are %d", size, g.heldSize)
	}
	if !slices.IsSortedFunc(g.retry, comparePlaces) || !slices.IsSortedFunc(g.replayed, compareNumbers) || !slices.IsSortedFunc(g.buffer, comparePlaces) {
		m.Fatal("the waiting events are out of order")
	}
	if len(g.held) == 0 && g.tracked.Len() != 0 || g.sent.Len() > len(g.held) {
		m.Fatal("events that nobody holds any more are still listed")
	}
}

// finish lets one consumer acknowledge everything, and fails if an event was lost.
func (m *model) finish() {
	if m.lost != nil {
		m.answer()
	}
	if err := m.store.Replay(context.Background(), 1, m.key, 1<<40); err != nil {
		m.Fatal(err)
	}
	m.group.asked++
	for len(m.clients) > 0 {
		c := m.clients[0]
		m.clients = m.clients[1:]
		m.group.disconnect(c.is, m.now)
		m.effects()
	}
	c := m.connect(10)
	for round := 0; ; round++ {
		if round > 10_000 {
			m.Fatal("the work never ends")
		}
		ids := slices.Collect(maps.Keys(c.hands))
		m.ack(c, ids)
		if changes := m.group.take(true, m.now); changes != nil {
			m.write(*changes)
			m.answer()
			if len(changes.Park) > 0 {
				if err := m.store.Replay(context.Background(), 1, m.key, 1<<40); err != nil {
					m.Fatal(err)
				}
				m.group.asked++
			}
		}
		m.ReadReplayed(nil)
		if m.group.wants(false) {
			m.readOne()
		}
		m.Check(nil)
		if m.group.caughtUp && len(m.group.held) == 0 && m.group.begun == m.group.asked && int(RevisionOf(m.group.readTo)) == len(m.source)-1 {
			break
		}
	}
	if changes := m.group.take(true, m.now); changes != nil {
		m.write(*changes)
		m.answer()
	}
	for _, item := range m.source {
		if item.Event != nil && !m.handled[item.Place] {
			m.Fatalf("event %s was never handled", item.Place)
		}
	}
	if n := len(m.store.groups[m.key].parked); n > 0 {
		m.Fatalf("%d events stay parked after all were replayed and acknowledged", n)
	}
	if len(m.source) > 0 && m.group.checkpoint != m.source[len(m.source)-1].Place {
		m.Fatalf("all is handled, the checkpoint is %s of %d", m.group.checkpoint, len(m.source))
	}
}

func TestGroup(t *testing.T) {
	t.Parallel()
	for range 30 { // a check is a hundred scripts, and some faults need thousands
		rapid.Check(t, func(t *rapid.T) {
			m := newModel(t)
			t.Repeat(map[string]func(*rapid.T){
				"append": m.Append, "read": m.Read, "read more": m.Read, "connect": m.Connect, "disconnect": m.Disconnect,
				"ack": m.Ack, "ack more": m.Ack, "nack": m.Nack, "wait": m.Wait, "save": m.Save, "save more": m.Save,
				"crash": m.Crash, "replay": m.Replay, "read replayed": m.ReadReplayed,
				"": m.Check,
			})
			m.finish()
		})
	}
}

// A group stops reading at its limit of events, and earlier if the events are large.
func TestLargeEventsStopTheReading(t *testing.T) {
	t.Parallel()
	settings := defaults()
	settings.StartFrom = InStream(0)
	g := newGroup(settings, nil, nil, testStart)
	c := g.connect(1000, testStart)
	read := 0
	for ; g.wants(true); read++ {
		e := testEvent(read, "s")
		e.Original.Data = make([]byte, 1<<20)
		g.read(Item{Event: &e, Place: e.Place}, testStart)
	}
	if read > maxBytes>>20 {
		t.Fatalf("%d MiB were read", read)
	}
	g.ack(c, []uuid.UUID{testEvent(0, "s").Original.ID}, testStart)
	if !g.wants(false) {
		t.Fatal("reading does not go on")
	}
}

func TestThePinnedKeyOfAnEvent(t *testing.T) {
	t.Parallel()
	event := func(stream, eventType, data, meta string) *eventstore.Recorded {
		return &eventstore.Recorded{Event: eventstore.Event{Type: eventType, Data: []byte(data), Meta: []byte(meta)}, Stream: stream}
	}
	link := event("links", "$>", "3@target", "")
	cases := map[string]struct {
		event               Event
		stream, correlation string
	}{
		"an event":               {Event{Original: event("s", "t", "{}", "")}, "s", ""},
		"one with a correlation": {Event{Original: event("s", "t", "{}", `{"$correlationId":"c"}`)}, "s", "c"},
		"metadata of a stranger": {Event{Original: event("s", "t", "{}", `{"$correlationId":7}`)}, "s", ""},
		"a resolved link":        {Event{IsLink: true, Original: link, Resolved: event("target", "t", "{}", `{"$correlationId":"c"}`)}, "target", "c"},
		"a link to nowhere":      {Event{IsLink: true, Original: link}, "target", ""},
	}
	for what, c := range cases {
		if got := streamOf(c.event); got != c.stream {
			t.Errorf("%s: stream %q, want %q", what, got, c.stream)
		}
		if got := correlationOf(c.event); got != c.correlation {
			t.Errorf("%s: correlation %q, want %q", what, got, c.correlation)
		}
	}
}

// When a consumer comes or goes, only its own share of the keys moves to another consumer.
func TestPinsStay(t *testing.T) {
	t.Parallel()
	settings := defaults()
	settings.Strategy = Pinned
	g := newGroup(settings, nil, nil, testStart)
	g.connect(1, testStart)
	g.connect(1, testStart)
	const keys = 10_000
	before := make([]*consumer, keys)
	for key := range before {
		before[key] = g.pinnedTo(mix(uint64(key)))
	}
	newcomer := g.connect(1, testStart)
	moved := 0
	for key, old := range before {
		if now := g.pinnedTo(mix(uint64(key))); now != old {
			moved++
			if now != newcomer {
				t.Fatal("a key moves between consumers that were there")
			}
		}
	}
	if moved < keys/4 || moved > keys/2 {
		t.Fatalf("%d of %d keys move to the third consumer", moved, keys)
	}
}

// A long reason is cut between two runes, and all events of one answer have the same reason.
func TestALongReasonIsCut(t *testing.T) {
	t.Parallel()
	const prefix = "Client explicitly NAK'ed message.\n"
	tests := map[string]struct{ reason, want string }{
		"short":         {"no", "no"},
		"just so long":  {strings.Repeat("x", maxReason), strings.Repeat("x", maxReason)},
		"too long":      {strings.Repeat("x", 8<<20), strings.Repeat("x", maxReason)},
		"between runes": {"x" + strings.Repeat("é", maxReason), "x" + strings.Repeat("é", maxReason/2-1)},
	}
	for name, test := range tests {
		g := newGroup(defaults(), nil, nil, testStart)
		c := g.connect(2, testStart)
		var ids []uuid.UUID
		for n := range 2 {
			e := testEvent(n, "s")
			g.read(Item{Event: &e, Place: e.Place}, testStart)
			ids = append(ids, e.Original.ID)
		}
		g.nack(c, ids, Park, test.reason, testStart)
		parked := g.take(true, testStart).Park
		if got := parked[0].Reason; got != prefix+test.want {
			t.Errorf("%s: a reason of %d bytes is kept with %d, want %d", name, len(test.reason), len(got)-len(prefix), len(test.want))
		}
		if unsafe.StringData(parked[0].Reason) != unsafe.StringData(parked[1].Reason) {
			t.Errorf("%s: each event has a copy of the reason", name)
		}
	}
}

// A consumer may acknowledge any number of events that were already taken back from it. Events
// without an answer stay, in order. Unknown ids change nothing.
func TestLateAcknowledgements(t *testing.T) {
	t.Parallel()
	settings := defaults()
	settings.MaxRetryCount = 1
	g := newGroup(settings, nil, nil, testStart)
	c := g.connect(6, testStart)
	var ids []uuid.UUID
	for n := range 8 {
		e := testEvent(n, "s")
		if n == 5 { // the same id twice, which a foreign log may have
			e.Original.ID = ids[1]
		}
		g.read(Item{Event: &e, Place: e.Place}, testStart)
		ids = append(ids, e.Original.ID)
	}
	other := g.connect(1, testStart)
	g.disconnect(c, testStart)
	g.effects()
	// Event 5 went to the other consumer, because the first one had an event with this id. Event 7
	// went to nobody. The other events wait to be handed out again.
	for range 1000 {
		ids = append(ids, uuid.New())
	}
	g.ack(other, append(ids[7:], ids[0], ids[1], ids[3], ids[3]), testStart)
	var rest []int64
	for _, m := range slices.Concat(g.retry, g.buffer) {
		rest = append(rest, RevisionOf(m.Place))
	}
	if want := []int64{2, 4, 6, 7}; !slices.Equal(rest, want) {
		t.Fatalf("%d wait, want %d", rest, want)
	}
	if len(g.held) != 5 || len(other.inFlight) != 1 {
		t.Fatalf("%d events are held, %d in flight", len(g.held), len(other.inFlight))
	}
	g.ack(other, ids[1:2], testStart) // 1, which has come next
	if len(g.held) != 4 || len(g.byID[ids[1]]) != 0 {
		t.Fatalf("%d events are held, %d with the id that was there twice", len(g.held), len(g.byID[ids[1]]))
	}
}
