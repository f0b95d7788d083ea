package aggregate

import (
	"bytes"
	"slices"

	"github.com/google/uuid"

	"daybook/domain/bloom"
	"daybook/eventstore"
)

// memoryLimits is how many commands of a stream are remembered with their results. Of an older
// command only its id is kept, in commandMemory.forgotten. If such a command comes again, its
// result is searched in the stream; see search.
type memoryLimits struct {
	done    int
	guarded int // for commands whose events the state guards; see Definition.Guarded
}

// commandMemory has the latest commands of a stream that were carried out, guarded ones and
// others in two lists.
type commandMemory struct {
	limits  memoryLimits
	done    pastCommands
	guarded pastCommands
	// forgotten has the commands that have left the two lists. Guarded steps of processes are
	// not added, because the state recognises them at any age. It takes 5 to 10 bytes for each
	// command.
	forgotten bloom.Filter
}

// pastCommand is what is remembered of a command that was carried out.
type pastCommand struct {
	Command  uuid.UUID           `json:"command"`
	Revision int64               `json:"revision"` // of its last event
	Position eventstore.Position `json:"position"`
	Request  string              `json:"request,omitempty"` // see eventstore.Metadata
}

func (m *commandMemory) add(r pastCommand, guarded bool) {
	if guarded {
		if oldest, full := m.guarded.add(r, m.limits.guarded); full && oldest.Request != "" {
			m.forget(EventID(oldest.Command, 0))
		}
	} else if oldest, full := m.done.add(r, m.limits.done); full {
		m.forget(EventID(oldest.Command, 0))
	}
}

func (m *commandMemory) find(command uuid.UUID) (pastCommand, bool) {
	if r, found := m.done.find(command); found {
		return r, true
	}
	return m.guarded.find(command)
}

// forget adds a command to forgotten, by the id of its first event. That id can be read from
// the log without decoding the metadata. The UUID's version digit is left out, because ids in
// older logs have another version.
func (m *commandMemory) forget(first uuid.UUID) {
	first[6] &= 0x0f
	m.forgotten.Add(string(first[:]))
}

// hasForgotten tells whether a command that find does not find was probably carried out. If it
// returns false, the command was certainly not carried out.
func (m *commandMemory) hasForgotten(command uuid.UUID) bool {
	if m.forgotten.IsZero() {
		return false
	}
	first := EventID(command, 0)
	first[6] &= 0x0f
	return m.forgotten.Has(string(first[:]))
}

// pastCommands are the latest of them, up to a limit.
type pastCommands struct {
	ring[pastCommand]
	// at is the index in the ring of each command. It is nil while there are at most
	// fewPastCommands, because a map of a few entries is larger than the commands. Most streams
	// have only a few.
	at map[uuid.UUID]int
}

// fewPastCommands is how many commands are searched one by one, without a map.
const fewPastCommands = 8

// add adds a command. If the limit is reached, it returns the oldest one, which is forgotten
// now, and full is true.
func (m *pastCommands) add(r pastCommand, limit int) (oldest pastCommand, full bool) {
	if i := m.index(r.Command); i >= 0 {
		m.latest[i] = r
		return oldest, false
	}
	if oldest, full = m.ring.add(r, limit); full {
		delete(m.at, oldest.Command)
	}
	switch {
	case m.at == nil && len(m.latest) > fewPastCommands:
		m.at = make(map[uuid.UUID]int, 2*fewPastCommands)
		for i, kept := range m.latest {
			m.at[kept.Command] = i
		}
	case m.at != nil:
		m.at[r.Command] = m.newest()
	}
	return oldest, full
}

func (m *pastCommands) find(command uuid.UUID) (pastCommand, bool) {
	if i := m.index(command); i >= 0 {
		return m.latest[i], true
	}
	return pastCommand{}, false
}

// index is the index of a command in the ring, or -1.
func (m *pastCommands) index(command uuid.UUID) int {
	if m.at == nil {
		return slices.IndexFunc(m.latest, func(r pastCommand) bool { return r.Command == command })
	}
	if i, found := m.at[command]; found {
		return i
	}
	return -1
}

// ring has the items that were added last, up to a limit.
type ring[T any] struct {
	latest []T
	next   int // the index of the oldest item, once the ring is full
}

// add adds an item. If the limit is reached, it returns the item that was removed, and full is
// true.
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

// newest is the index of the item that was added last.
func (r *ring[T]) newest() int {
	if r.next == 0 {
		return len(r.latest) - 1
	}
	return r.next - 1
}

// inOrder returns the items, the oldest first.
func (r *ring[T]) inOrder() []T { return slices.Concat(r.latest[r.next:], r.latest[:r.next]) }

// reading collects the commands of the events that are read, in order. At the end, it decodes
// the metadata only of the commands that are remembered.
type reading struct {
	memory  *commandMemory
	last    written
	done    ring[written]
	guarded ring[written]
}

// written is a command as it is in the log.
type written struct {
	meta     []byte    // the same for all its events
	first    uuid.UUID // its first event
	revision int64
	position eventstore.Position
	guarded  bool // the state guards all its events
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

// requestMember is in the metadata of a command that came from a client's request. The bytes may be
// there for another reason. Then forgotten gets a command that it does not need, which does no
// harm.
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

// end adds the collected commands to the memory.
func (r *reading) end() {
	r.keep()
	for _, w := range slices.Concat(r.done.inOrder(), r.guarded.inOrder()) {
		meta := eventstore.MetadataOrNone(w.meta)
		if meta.CommandID != uuid.Nil {
			r.memory.add(pastCommand{Command: meta.CommandID, Revision: w.revision, Position: w.position, Request: meta.Request}, w.guarded)
		}
	}
}
