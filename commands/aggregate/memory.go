package aggregate

import (
	"bytes"
	"slices"

	"github.com/google/uuid"

	"daybook/domain/bloom"
	"daybook/eventstore"
)

// memoryLimits is how many commands of a stream are remembered word for word. Of
// those that were forgotten it is known that they were (commandMemory.forgotten), and the
// stream's events say the rest: see search.
type memoryLimits struct {
	done    int
	guarded int // of those whose events the state guards: see Aggregate.Guarded
}

// commandMemory is the commands of a stream that were carried out, the latest
// of each kind.
type commandMemory struct {
	limits  memoryLimits
	done    receipts
	guarded receipts
	// forgotten holds commands that left the two lists. Steps of processes whose events
	// the state guards are not added, because the state recognises them at any age. It
	// costs 5 to 10 bytes a command.
	forgotten bloom.Filter
}

// receipt remembers a command that was carried out.
type receipt struct {
	Command  uuid.UUID           `json:"command"`
	Revision int64               `json:"revision"` // of its last event
	Position eventstore.Position `json:"position"`
	Request  string              `json:"request,omitempty"` // see eventstore.Metadata
}

func (m *commandMemory) add(r receipt, guarded bool) {
	if guarded {
		if oldest, full := m.guarded.add(r, m.limits.guarded); full && oldest.Request != "" {
			m.forget(EventID(oldest.Command, 0))
		}
	} else if oldest, full := m.done.add(r, m.limits.done); full {
		m.forget(EventID(oldest.Command, 0))
	}
}

func (m *commandMemory) find(command uuid.UUID) (receipt, bool) {
	if r, found := m.done.find(command); found {
		return r, true
	}
	return m.guarded.find(command)
}

// forget notes that a command was, by the id of its first event, which is read from
// the log without its metadata being decoded. The id's version is left out, because
// ids of older logs have another one.
func (m *commandMemory) forget(first uuid.UUID) {
	first[6] &= 0x0f
	m.forgotten.Add(string(first[:]))
}

// hasForgotten tells whether a command that is not found was probably carried out.
// It was not if the answer is no.
func (m *commandMemory) hasForgotten(command uuid.UUID) bool {
	if m.forgotten.IsZero() {
		return false
	}
	first := EventID(command, 0)
	first[6] &= 0x0f
	return m.forgotten.Has(string(first[:]))
}

// receipts are the latest, up to a limit.
type receipts struct {
	ring[receipt]
	// at is where in the ring each command is. It is nil while there are few, as there are
	// in nearly every stream, because a map of one is larger than the receipt.
	at map[uuid.UUID]int
}

// fewReceipts is up to how many are found by looking at each.
const fewReceipts = 8

// add returns the one that is forgotten for it, if one is.
func (m *receipts) add(r receipt, limit int) (oldest receipt, full bool) {
	if i := m.index(r.Command); i >= 0 {
		m.latest[i] = r
		return oldest, false
	}
	if oldest, full = m.ring.add(r, limit); full {
		delete(m.at, oldest.Command)
	}
	switch {
	case m.at == nil && len(m.latest) > fewReceipts:
		m.at = make(map[uuid.UUID]int, 2*fewReceipts)
		for i, kept := range m.latest {
			m.at[kept.Command] = i
		}
	case m.at != nil:
		m.at[r.Command] = m.newest()
	}
	return oldest, full
}

func (m *receipts) find(command uuid.UUID) (receipt, bool) {
	if i := m.index(command); i >= 0 {
		return m.latest[i], true
	}
	return receipt{}, false
}

// index is where a command is, or -1.
func (m *receipts) index(command uuid.UUID) int {
	if m.at == nil {
		return slices.IndexFunc(m.latest, func(r receipt) bool { return r.Command == command })
	}
	if i, found := m.at[command]; found {
		return i
	}
	return -1
}

// ring keeps the latest that were added.
type ring[T any] struct {
	latest []T
	next   int // where the oldest is, once it is full
}

// add returns the item that goes for it, if one does.
func (r *ring[T]) add(item T, limit int) (oldest T, full bool) {
	if limit == 0 {
		return item, true
	}
	if len(r.latest) < limit {
		r.latest = append(r.latest, item)
		return oldest, false
	}
	oldest = r.latest[r.next]
	r.latest[r.next] = item
	r.next = (r.next + 1) % limit
	return oldest, true
}

// newest is where the item is that was added last.
func (r *ring[T]) newest() int {
	if r.next == 0 {
		return len(r.latest) - 1
	}
	return r.next - 1
}

// inOrder is what is kept, from the oldest to the latest.
func (r *ring[T]) inOrder() []T { return slices.Concat(r.latest[r.next:], r.latest[:r.next]) }

// reading gathers the commands of events that are read, in order. Their
// metadata is decoded at the end, of those that are to be remembered only.
type reading struct {
	memory  *commandMemory
	last    written
	done    ring[written]
	guarded ring[written]
}

// written is a command as the log holds it.
type written struct {
	meta     []byte    // the same on all its events
	first    uuid.UUID // its first event
	revision int64
	position eventstore.Position
	guarded  bool // all its events are
}

func (r *reading) add(event eventstore.Recorded, guarded bool) {
	first := event.ID
	if r.last.meta != nil && bytes.Equal(r.last.meta, event.Meta) {
		guarded, first = guarded && r.last.guarded, r.last.first
	} else {
		r.keep()
	}
	r.last = written{meta: event.Meta, first: first, revision: event.Revision, position: event.Position, guarded: guarded}
}

// requestMember stands in the metadata of a command that a client's request made. A
// false match only remembers one command too many.
var requestMember = []byte(`"request":`)

func (r *reading) keep() {
	switch {
	case r.last.meta == nil:
	case r.last.guarded:
		if oldest, full := r.guarded.add(r.last, r.memory.limits.guarded); full && bytes.Contains(oldest.meta, requestMember) {
			r.memory.forget(oldest.first)
		}
	default:
		if oldest, full := r.done.add(r.last, r.memory.limits.done); full {
			r.memory.forget(oldest.first)
		}
	}
}

// end adds what was gathered to the memory.
func (r *reading) end() {
	r.keep()
	for _, w := range slices.Concat(r.done.inOrder(), r.guarded.inOrder()) {
		meta := eventstore.MetadataOrNone(w.meta)
		if meta.CommandID != uuid.Nil {
			r.memory.add(receipt{Command: meta.CommandID, Revision: w.revision, Position: w.position, Request: meta.Request}, w.guarded)
		}
	}
}
