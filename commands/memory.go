package commands

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// How many commands of a stream are remembered. A log that keeps an index of
// ids knows older ones too; one that does not (KurrentDB) has only this memory to
// keep them from being recorded again.
const (
	memoryLimit  = 4096
	guardedLimit = 256 // of those whose events the state guards: see Aggregate.Guarded
)

// commandMemory is the commands of a stream that were carried out, the latest
// of each kind.
type commandMemory struct {
	done    receipts
	guarded receipts
}

// receipt remembers a command that was carried out.
type receipt struct {
	Command  uuid.UUID           `json:"command"`
	Revision int64               `json:"revision"` // of its last event
	Position eventstore.Position `json:"position"`
}

func (m *commandMemory) add(r receipt, guarded bool) {
	if guarded {
		m.guarded.add(r, guardedLimit)
	} else {
		m.done.add(r, memoryLimit)
	}
}

func (m *commandMemory) find(command uuid.UUID) (receipt, bool) {
	if r, found := m.done.find(command); found {
		return r, true
	}
	return m.guarded.find(command)
}

// receipts are the latest, up to a limit.
type receipts struct{ ring[receipt] }

func (m *receipts) find(command uuid.UUID) (receipt, bool) {
	for i := range m.latest {
		if m.latest[i].Command == command {
			return m.latest[i], true
		}
	}
	return receipt{}, false
}

// ring keeps the latest that were added.
type ring[T any] struct {
	latest []T
	next   int // where the oldest is, once it is full
}

func (r *ring[T]) add(item T, limit int) {
	if len(r.latest) < limit {
		r.latest = append(r.latest, item)
		return
	}
	r.latest[r.next] = item
	r.next = (r.next + 1) % limit
}

// inOrder is what is kept, from the oldest to the latest.
func (r *ring[T]) inOrder() []T { return slices.Concat(r.latest[r.next:], r.latest[:r.next]) }

// reading gathers the commands of events that are read, in order. Their
// metadata is decoded at the end, of those that are to be remembered only.
type reading struct {
	last    written
	done    ring[written]
	guarded ring[written]
}

// written is a command as the log holds it.
type written struct {
	meta     []byte // the same on all its events
	revision int64
	position eventstore.Position
	guarded  bool // all its events are
}

func (r *reading) add(event eventstore.Recorded, guarded bool) {
	if r.last.meta != nil && bytes.Equal(r.last.meta, event.Meta) {
		guarded = guarded && r.last.guarded
	} else {
		r.keep()
	}
	r.last = written{meta: event.Meta, revision: event.Revision, position: event.Position, guarded: guarded}
}

func (r *reading) keep() {
	switch {
	case r.last.meta == nil:
	case r.last.guarded:
		r.guarded.add(r.last, guardedLimit)
	default:
		r.done.add(r.last, memoryLimit)
	}
}

// into adds what was gathered to a memory.
func (r *reading) into(m *commandMemory) error {
	r.keep()
	for _, w := range slices.Concat(r.done.inOrder(), r.guarded.inOrder()) {
		meta, err := eventstore.DecodeMetadata(w.meta)
		if err != nil {
			return fmt.Errorf("revision %d: %w", w.revision, err)
		}
		if meta.CommandID != uuid.Nil {
			m.add(receipt{Command: meta.CommandID, Revision: w.revision, Position: w.position}, w.guarded)
		}
	}
	return nil
}
