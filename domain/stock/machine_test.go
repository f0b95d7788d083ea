package stock

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"daybook/domain/rule"
	"daybook/domain/unit"
)

// machine carries out a script of random commands on one stock. After every step it compares the
// stock with the model, which adds up all events from the beginning in a slow and simple way.
type machine struct {
	fatalf func(format string, args ...any)
	pick   func(name string, n int) int // 0 to n-1
	now    time.Time
	state  State // remembers only the latest end and the latest two movements
	whole  State // remembers many more of both
	model  model
	// guarded are commands that were answered only by events which State guards.
	guarded []Command
}

// model keeps the stock a second time, by code that shares nothing with Evolve.
type model struct {
	fatalf   func(format string, args ...any)
	events   []Event
	onHand   unit.Quantity
	apart    map[Condition]unit.Quantity
	open     map[unit.ReservationID]Reserved
	ends     map[unit.ReservationID]int
	promised map[unit.OrderID]unit.Quantity
	policy   Policy
	forced   bool // a shipment of goods that were not on hand is recorded
}

func newModel(fatalf func(string, ...any)) model {
	return model{
		fatalf: fatalf,
		apart:  make(map[Condition]unit.Quantity), open: map[unit.ReservationID]Reserved{},
		ends: map[unit.ReservationID]int{}, promised: map[unit.OrderID]unit.Quantity{},
	}
}

func (b *model) enter(e Event) {
	b.events = append(b.events, e)
	switch e := e.(type) {
	case Received:
		b.onHand += e.Quantity
	case Adjusted:
		b.onHand += e.Change
		b.apart[e.Condition] += e.Change
	case Counted:
		b.onHand += e.Counted - e.Expected
	case Reserved:
		if _, open := b.open[e.ReservationID]; open || b.ends[e.ReservationID] > 0 {
			b.fatalf("reservation %s is made twice", e.ReservationID)
		}
		b.open[e.ReservationID] = e
	case ReservationExtended:
		r := b.open[e.ReservationID]
		r.ExpiresAt = e.ExpiresAt
		b.open[e.ReservationID] = r
	case ReservationReleased:
		b.end(e.ReservationID)
	case ReservationExpired:
		b.end(e.ReservationID)
	case ReservationCommitted:
		b.end(e.ReservationID)
		b.promised[e.OrderID] += e.Quantity
	case Allocated:
		b.promised[e.OrderID] += e.Quantity
	case Deallocated:
		b.promised[e.OrderID] -= e.Quantity
	case Shipped:
		b.onHand -= e.Quantity
		b.promised[e.OrderID] -= e.Promised()
		b.forced = b.forced || e.Forced
	case Returned:
		b.onHand += e.Quantity
		b.apart[e.Condition] += e.Quantity
	case CameBack:
		b.onHand += e.Quantity
		b.apart[e.Condition] += e.Quantity
	case Moved:
		b.apart[e.From] -= e.Quantity
		b.apart[e.To] += e.Quantity
	case TransferredOut:
		b.onHand -= e.Quantity
	case TransferredIn:
		b.onHand += e.Quantity
	case PolicySet:
		b.policy = e.Policy
	case ReorderPointCrossed:
	}
}

func (b *model) end(id unit.ReservationID) {
	if _, open := b.open[id]; !open {
		b.fatalf("reservation %s ends and was not open; it has %d ends", id, b.ends[id])
	}
	b.ends[id]++
	delete(b.open, id)
}

func (b *model) unavailable() unit.Quantity {
	return b.apart[Damaged] + b.apart[QualityControl] + b.apart[OtherCondition]
}

// reserved returns the units of the open reservations at a time. The zero time stands for all of
// them, due or not.
func (b *model) reserved(now time.Time) (sum unit.Quantity) {
	for _, r := range b.open {
		if now.IsZero() || r.ExpiresAt.After(now) {
			sum += r.Quantity
		}
	}
	return sum
}

func (b *model) allocated() (sum unit.Quantity) {
	for _, q := range b.promised {
		sum += q
	}
	return sum
}

func (b *model) available(now time.Time) unit.Quantity {
	return b.onHand - b.unavailable() - b.policy.SafetyStock - b.allocated() - b.reserved(now)
}

// command draws the next command. There are only a few ids, so that several commands have the same
// one.
func (m *machine) command() Command {
	at := At{Key: lamp, Now: m.now}
	quantity := func() unit.Quantity { return unit.Quantity(m.pick("quantity", 9)) } // 0 is refused
	reservation := func() unit.ReservationID { return unit.ReservationID(fmt.Sprintf("r%d", m.pick("reservation", 20))) }
	order := func() unit.OrderID { return unit.OrderID(fmt.Sprintf("o%d", m.pick("order", 4))) }
	deadline := func() time.Time { return m.now.Add(time.Duration(m.pick("minutes", 8)-1) * time.Minute) }
	condition := func() Condition {
		return []Condition{Available, Damaged, QualityControl, OtherCondition}[m.pick("condition", 4)]
	}
	origin := func() Origin {
		return []Origin{{}, {Direct: true}, {Direct: true, Override: "because"}}[m.pick("origin", 3)]
	}
	switch m.pick("command", 21) {
	case 0:
		return Receive{At: at, Quantity: quantity()}
	case 1:
		return Adjust{At: at, Change: quantity() - 4, Reason: Shrinkage, Condition: condition()}
	case 2:
		return Count{At: at, Expected: m.state.Goods + unit.Quantity(m.pick("stale", 2)), Counted: quantity()}
	case 3, 4, 5:
		id := reservation()
		return Reserve{At: at, Origin: origin(), ReservationID: id, OrderID: unit.OrderID("o" + string("0123"[id[1]%4])), Quantity: quantity(), ExpiresAt: deadline(), Commit: m.pick("commit", 4) == 0}
	case 6:
		return Extend{At: at, Origin: origin(), ReservationID: reservation(), ExpiresAt: deadline()}
	case 7:
		return Release{At: at, Origin: origin(), ReservationID: reservation()}
	case 8:
		return ExpireDue{At: at}
	case 9, 10:
		return Commit{At: at, Origin: origin(), ReservationID: reservation()}
	case 11:
		return Allocate{At: at, Origin: origin(), OrderID: order(), Quantity: quantity()}
	case 12:
		return Deallocate{At: at, Origin: origin(), OrderID: order(), Ref: []string{"", "1", "2"}[m.pick("ref", 3)], Quantity: quantity()}
	case 13, 14:
		return Ship{
			At: at, Origin: origin(), OrderID: order(), ShipmentID: unit.ShipmentID(fmt.Sprintf("s%d", m.pick("shipment", 4))),
			Quantity: quantity(), Force: m.pick("force", 4) == 0,
		}
	case 15:
		return TakeBack{
			At: at, Origin: origin(), ReturnID: unit.ReturnID(fmt.Sprintf("b%d", m.pick("return", 3))), Receipt: m.pick("receipt", 2),
			Quantity: quantity(), Condition: condition(),
		}
	case 20:
		return TakeParcelBack{
			At: at, OrderID: order(), ShipmentID: unit.ShipmentID(fmt.Sprintf("s%d", m.pick("shipment", 4))), Quantity: quantity(), Condition: condition(),
			Keep: unit.Quantity(m.pick("keep", 3)), ReservationID: unit.ReservationID(fmt.Sprintf("k%d", m.pick("kept", 20))),
		}
	case 16:
		return Move{At: at, From: condition(), To: condition(), Quantity: quantity()}
	case 17:
		return TransferOut{At: at, TransferID: unit.TransferID(fmt.Sprintf("t%d", m.pick("transfer", 4))), To: "north", Quantity: quantity()}
	case 18:
		return TransferIn{At: at, TransferID: unit.TransferID(fmt.Sprintf("t%d", m.pick("transfer", 4))), From: "north", Quantity: quantity()}
	}
	return SetPolicy{At: at, Policy: Policy{
		SafetyStock: unit.Quantity(m.pick("safety", 3)), BackorderLimit: unit.Quantity(m.pick("backorder", 4)), ReorderPoint: unit.Quantity(m.pick("reorder", 4)),
	}}
}

// step lets the clock go on, sometimes a little back as between two nodes, and
// decides one command.
func (m *machine) step() {
	m.now = m.now.Add(time.Duration(m.pick("clock", 6)-1) * 30 * time.Second)
	cmd := m.command()
	belowBefore := m.model.policy.ReorderPoint > 0 && m.model.available(m.now) <= m.model.policy.ReorderPoint
	before := maps.Clone(m.state.Orders)
	reservations := maps.Clone(m.state.Reservations)
	events, err := m.decide(cmd)
	if whole, wholeErr := stocks.Ask(cmd, m.whole, m.model.events); !slices.Equal(events, whole) || fmt.Sprint(err) != fmt.Sprint(wholeErr) {
		m.fatalf("%+v: answered %v, %v; with a whole memory %v, %v", cmd, events, err, whole, wholeErr)
	}
	if err != nil {
		if _, refused := errors.AsType[*rule.Rejection](err); !refused || len(events) > 0 {
			m.fatalf("%T: error %v with %d events", cmd, err, len(events))
		}
		return
	}
	for _, e := range events {
		m.evolve(e)
		m.model.enter(e)
	}
	m.checkQuantities(cmd)
	m.checkPromises(cmd, events)
	m.checkOwners(cmd, before, reservations)
	if len(events) > 0 {
		m.checkReorder(cmd, events, belowBefore)
	}
	m.checkRetry(cmd)
	if len(events) > 0 && !slices.ContainsFunc(events, func(e Event) bool { return !Guarded(e) }) {
		m.guarded = append(m.guarded, cmd)
	}
	m.checkGuarded()
}

// evolve folds an event into two states: one that forgets soon, and one that forgets nothing.
func (m *machine) evolve(e Event) {
	m.whole = Evolve(m.whole, e)
	ends, movements := rememberedEnds, rememberedMovements
	defer func() { rememberedEnds, rememberedMovements = ends, movements }()
	rememberedEnds, rememberedMovements = 1, 2
	m.state = Evolve(m.state, e)
}

func (m *machine) decide(cmd Command) ([]Event, error) {
	return stocks.Ask(cmd, m.state, m.model.events)
}

func (m *machine) checkQuantities(cmd Command) {
	for _, q := range []struct {
		name      string
		got, want unit.Quantity
	}{
		{"on hand", m.state.OnHand(), m.model.onHand},
		{"unavailable", m.state.UnavailableTotal(), m.model.unavailable()},
		{"damaged", m.state.Unavailable(Damaged), m.model.apart[Damaged]},
		{"reserved", m.state.Reserved(m.now), m.model.reserved(m.now)},
		{"allocated", m.state.Allocated(), m.model.allocated()},
		{"available", m.state.Available(m.now), m.model.available(m.now)},
	} {
		if q.got != q.want {
			m.fatalf("after %T: %s is %d, the events say %d", cmd, q.name, q.got, q.want)
		}
	}
	if m.model.onHand < m.model.unavailable() && !m.model.forced {
		m.fatalf("after %T: %d on hand, %d of it unavailable", cmd, m.model.onHand, m.model.unavailable())
	}
	for c, q := range m.model.apart {
		if q < 0 && c != Available && c != "" {
			m.fatalf("after %T: %d units are %s", cmd, q, c)
		}
	}
	for order, q := range m.model.promised {
		if q < 0 {
			m.fatalf("after %T: order %s is promised %d", cmd, order, q)
		}
	}
}

// checkPromises checks that goods and the policy cover each promise. A promise must not use the
// units of a reservation whose end is not recorded.
func (m *machine) checkPromises(cmd Command, events []Event) {
	for _, e := range events {
		limit := m.model.onHand - m.model.unavailable() - m.model.policy.SafetyStock
		_, reserves := e.(Reserved)
		_, allocates := e.(Allocated)
		_, sends := e.(TransferredOut)
		if reserves || allocates {
			limit += m.model.policy.BackorderLimit
		} else if !sends {
			continue
		}
		if promised := m.model.allocated() + m.model.reserved(time.Time{}); promised > limit {
			m.fatalf("after %T: %d promised, the limit is %d", cmd, promised, limit)
		}
	}
}

// checkOwners checks that a direct command without an override changes nothing that belongs to an
// order's process.
func (m *machine) checkOwners(cmd Command, before map[unit.OrderID]Promise, reservations map[unit.ReservationID]Reservation) {
	for id, p := range m.state.Orders {
		if p.Owned < 0 || p.Owned > p.Open {
			m.fatalf("after %T: %d of %d promised to order %s belong to its process", cmd, p.Owned, p.Open, id)
		}
	}
	origin, _ := originOf(cmd)
	if !origin.Direct || origin.Override != "" {
		return
	}
	for id, p := range before {
		if now := m.state.Orders[id].Owned; now != p.Owned {
			m.fatalf("after a direct %T: %d belong to the process of order %s, before %d", cmd, now, id, p.Owned)
		}
	}
	for id, h := range reservations {
		if now, found := m.state.Reservations[id]; !h.Direct && !h.isExpired(m.now) && (!found || now != h) {
			m.fatalf("after a direct %T: reservation %s of a process is changed", cmd, id)
		}
	}
}

func (m *machine) checkReorder(cmd Command, events []Event, belowBefore bool) {
	available := m.model.available(m.now)
	below := m.model.policy.ReorderPoint > 0 && available <= m.model.policy.ReorderPoint
	told, tells := events[len(events)-1].(ReorderPointCrossed)
	if want := below && !belowBefore; tells != want {
		m.fatalf("after %T: ReorderPointCrossed recorded: %v, want %v (available %d of %d)", cmd, tells, want, available, m.model.policy.ReorderPoint)
	}
	if tells && told.Available != available {
		m.fatalf("after %T: the event says that %d are available, want %d", cmd, told.Available, available)
	}
}

// checkRetry checks that a command which is sent twice has its effect once. Some commands are
// excepted, because they happen again each time.
func (m *machine) checkRetry(cmd Command) {
	switch cmd := cmd.(type) {
	case Receive, Adjust, Count, Move:
		return
	case Deallocate:
		if cmd.Ref == "" {
			return
		}
	case Reserve, Extend, Release, ExpireDue, Commit, Allocate, Ship, TakeBack, TakeParcelBack, TransferOut, TransferIn, SetPolicy:
	}
	if again, err := m.decide(cmd); err == nil && len(again) > 0 {
		m.fatalf("%T asked twice happens twice: %v", cmd, again)
	}
}

// checkGuarded checks that a command which State guards is not recorded twice, even after many
// other events. Deadlines may move again, and other reservations may be due.
func (m *machine) checkGuarded() {
	for _, cmd := range m.guarded {
		switch cmd.(type) {
		case Extend, ExpireDue:
			continue
		case Receive, Adjust, Count, Reserve, Release, Commit, Allocate, Deallocate, Ship, TakeBack, TakeParcelBack, Move, TransferOut, TransferIn, SetPolicy:
		}
		if again, err := m.decide(cmd); err == nil && len(again) > 0 {
			m.fatalf("%T asked again later happens twice: %v", cmd, again)
		}
	}
}

// snapshot returns the state as JSON, and the state that is read back from this JSON.
func (m *machine) snapshot() (text string, back State) {
	data, err := json.Marshal(m.state, json.Deterministic(true))
	if err != nil {
		m.fatalf("snapshot: %v", err)
	}
	if err := json.Unmarshal(data, &back); err != nil {
		m.fatalf("snapshot: %v", err)
	}
	return string(data), back
}

// checkReplay checks that the recorded events, read back from their JSON, give the same state.
func (m *machine) checkReplay() {
	want, back := m.snapshot()
	if got, _ := (&machine{fatalf: m.fatalf, state: back}).snapshot(); got != want {
		m.fatalf("the snapshot reads back as\n     %s\nfrom %s", got, want)
	}
	replayed := machine{fatalf: m.fatalf}
	for _, e := range m.model.events {
		typ, data, err := Encode(e)
		if err != nil {
			m.fatalf("encode %T: %v", e, err)
		}
		decoded, err := Decode(typ, data)
		if err != nil {
			m.fatalf("decode %s: %v", typ, err)
		}
		replayed.evolve(decoded)
	}
	if got, _ := replayed.snapshot(); got != want {
		m.fatalf("replayed, the state is\n     %s\nand was %s", got, want)
	}
}

func TestAnyScriptKeepsTheInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{now: noon, model: newModel(t.Fatalf), fatalf: t.Fatalf}
		m.pick = func(name string, n int) int { return rapid.IntRange(0, n-1).Draw(t, name) }
		t.Repeat(map[string]func(*rapid.T){
			"command":                   func(*rapid.T) { m.step() },
			"restart from the snapshot": func(*rapid.T) { _, m.state = m.snapshot() },
			"":                          func(*rapid.T) { m.checkReplay() },
		})
	})
}

// Each byte makes a choice: the command, the reservation, or a quantity.
func FuzzStock(f *testing.F) {
	f.Add([]byte{1, 0, 8, 1, 3, 0, 5, 4, 1, 9, 0, 1, 13, 0, 0, 5, 1})
	f.Add([]byte{1, 19, 1, 2, 3, 1, 0, 8, 1, 3, 7, 4, 0, 5, 5, 5, 8, 1, 11, 2, 8})
	f.Fuzz(func(t *testing.T, script []byte) {
		m := &machine{now: noon, model: newModel(t.Fatalf), fatalf: t.Fatalf}
		m.pick = func(_ string, n int) int {
			if len(script) == 0 {
				return 0
			}
			b := script[0]
			script = script[1:]
			return int(b) % n
		}
		for len(script) > 0 {
			m.step()
		}
		m.checkReplay()
	})
}
