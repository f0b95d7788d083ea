package pricebook

import (
	"maps"
	"slices"
	"time"

	"daybook/eventstore"
)

// definitions are all definitions of one kind, whatever their type.
type definitions interface {
	// prefix begins the names of their streams.
	prefix() string
	// fold adds an event to the definition with an id.
	fold(id string, recorded *eventstore.Recorded) error
	// freeze makes the list of all definitions anew. It tells whether one of them has changed.
	freeze() (changed bool)
}

// Definition is a definition as the log has it.
type Definition[S any] struct {
	ID        string
	State     S
	Revision  int64     // of its last event
	CreatedAt time.Time // when its first event was recorded
	ChangedAt time.Time // when its last event was recorded
}

// kind has all definitions of one kind.
type kind[S, E any] struct {
	category string
	decode   func(string, []byte) (E, error)
	evolve   func(S, E) S
	clone    func(S) S // a copy that evolve does not change

	// quiet tells whether an event changes what the definition shows, and not which prices follow
	// from it. nil: no event is quiet.
	quiet func(E) bool

	folded map[string]*Definition[S]
	frozen map[string]Definition[S] // copies; one is missing if the definition has changed
	moved  map[string]bool          // definitions with quiet events since the last copy
	all    []Definition[S]          // the copies, sorted by id; the list itself is never changed
}

func newKind[S, E any](category string, decode func(string, []byte) (E, error), evolve func(S, E) S, clone func(S) S) *kind[S, E] {
	return &kind[S, E]{category: category, decode: decode, evolve: evolve, clone: clone, folded: map[string]*Definition[S]{}, frozen: map[string]Definition[S]{}, moved: map[string]bool{}}
}

func (k *kind[S, E]) prefix() string { return k.category + "-" }

func (k *kind[S, E]) fold(id string, recorded *eventstore.Recorded) error {
	event, err := eventstore.Decode(recorded, k.decode)
	if eventstore.IsForeign(err) {
		return nil // what another program writes sets no price
	}
	if err != nil {
		return err
	}
	held := k.folded[id]
	if held == nil {
		held = &Definition[S]{ID: id, Revision: -1, CreatedAt: recorded.RecordedAt}
		k.folded[id] = held
	}
	if recorded.Revision <= held.Revision {
		return nil
	}
	held.State, held.Revision, held.ChangedAt = k.evolve(held.State, event), recorded.Revision, recorded.RecordedAt
	if _, copied := k.frozen[id]; copied && k.quiet != nil && k.quiet(event) {
		k.moved[id] = true
	} else {
		delete(k.frozen, id)
	}
	return nil
}

func (k *kind[S, E]) freeze() (changed bool) {
	changed = len(k.frozen) != len(k.folded)
	if !changed && len(k.moved) == 0 {
		return false
	}
	all := make([]Definition[S], 0, len(k.folded))
	for _, id := range slices.Sorted(maps.Keys(k.folded)) {
		copied, same := k.frozen[id]
		if !same || k.moved[id] {
			copied = *k.folded[id]
			copied.State = k.clone(copied.State)
			k.frozen[id] = copied
		}
		all = append(all, copied)
	}
	clear(k.moved)
	k.all = all
	return changed
}
