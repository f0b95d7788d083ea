package groups

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
)

// Memory stores the state of groups in memory, for a node that is alone. It implements Store,
// and Node as the node that always leads.
type Memory struct {
	mu     sync.Mutex
	groups map[Key]*remembered
}

type remembered struct {
	Group
	parked []kept // by number
	next   int64
}

type kept struct {
	Parked
	replaying bool
}

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{groups: make(map[Key]*remembered)} }

// Leadership implements Node: this node always leads.
func (*Memory) Leadership() (Leadership, <-chan struct{}) { return Leadership{Epoch: 1}, nil }

// Groups implements Store.
func (m *Memory) Groups(context.Context) ([]Group, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var groups []Group
	for _, g := range m.groups {
		groups = append(groups, g.Group)
	}
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Name, b.Name))
	})
	return groups, nil
}

// Put implements Store.
func (m *Memory) Put(_ context.Context, _ int64, group Group) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.groups[group.Key]
	if kept == nil {
		m.groups[group.Key] = &remembered{Group: group}
		return nil
	}
	kept.Definition = group.Definition
	if group.Checkpoint != nil {
		kept.Checkpoint = group.Checkpoint
	}
	return nil
}

// Delete implements Store.
func (m *Memory) Delete(_ context.Context, _ int64, key Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.groups, key)
	return nil
}

// Save implements Store.
func (m *Memory) Save(_ context.Context, _ int64, key Key, changes Changes) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.groups[key]
	if g == nil {
		return &NotFoundError{Key: key}
	}
	g.parked = slices.DeleteFunc(g.parked, func(k kept) bool {
		return slices.Contains(changes.Unpark, k.Number) ||
			slices.ContainsFunc(changes.Park, func(p Parked) bool { return p.Place == k.Place })
	})
	for _, p := range changes.Park {
		p.Number = g.next
		g.next++
		g.parked = append(g.parked, kept{Parked: p})
	}
	if changes.Checkpoint != nil {
		place := *changes.Checkpoint
		g.Checkpoint = &place
	}
	return nil
}

// Replay implements Store.
func (m *Memory) Replay(_ context.Context, _ int64, key Key, stopAt int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.groups[key]
	if g == nil {
		return &NotFoundError{Key: key}
	}
	for i := range g.parked {
		if g.parked[i].Number < stopAt {
			g.parked[i].replaying = true
		}
	}
	return nil
}

// each visits the parked events of a group.
func (m *Memory) each(key Key, visit func(kept)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if g := m.groups[key]; g != nil {
		for _, k := range g.parked {
			visit(k)
		}
	}
}

// Replaying implements Store.
func (m *Memory) Replaying(_ context.Context, key Key, after int64, limit int) ([]Parked, error) {
	var found []Parked
	m.each(key, func(k kept) {
		if k.replaying && k.Number > after && len(found) < limit {
			found = append(found, k.Parked)
		}
	})
	return found, nil
}

// ParkedAfter implements Store.
func (m *Memory) ParkedAfter(_ context.Context, key Key, after Place, limit int) ([]Place, error) {
	places := make(map[Place]struct{})
	m.each(key, func(k kept) {
		if after.Before(k.Place) && len(places) < limit {
			places[k.Place] = struct{}{}
		}
	})
	return slices.Collect(maps.Keys(places)), nil
}

// CountParked implements Store.
func (m *Memory) CountParked(_ context.Context, key Key) (int64, error) {
	var count int64
	m.each(key, func(k kept) {
		if !k.replaying {
			count++
		}
	})
	return count, nil
}
