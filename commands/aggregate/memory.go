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
	if r, found := m.done.byID[command]; found {
		return r, true
	}
	r, found := m.guarded.byID[command]
	return r, found
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
	byID  map[uuid.UUID]receipt
	order ring[uuid.UUID]
}

// add returns the one that is forgotten for it, if one is.
func (m *receipts) add(r receipt, limit int) (oldest receipt, full bool) {
	if m.byID == nil {
		m.byID = map[uuid.UUID]receipt{}
	}
	if _, twice := m.byID[r.Command]; !twice {
		var id uuid.UUID
		if limit == 0 {
			return r, true
		}
		if id, full = m.order.add(r.Command, limit); full {
			oldest = m.byID[id]
			delete(m.byID, id)
		}
	}
	m.byID[r.Command] = r
	return oldest, full
}

// inOrder is what is kept, from the oldest to the latest.
func (m *receipts) inOrder() []receipt {
	kept := make([]receipt, 0, len(m.byID))
	for _, id := range m.order.inOrder() {
		kept = append(kept, m.byID[id])
	}
	return kept
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
