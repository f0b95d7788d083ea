package reactor

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// logbook is a Journal in memory.
type logbook struct {
	mu     sync.Mutex
	at     eventstore.Position
	timers map[Deadline]Timer
	parked map[uuid.UUID]UnfinishedWork

	cartsExpireAfter time.Duration
	cartsKnown       int // how often the rule of the carts was stored
}

func (l *logbook) CartExpiry(context.Context) (time.Duration, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cartsExpireAfter, l.cartsKnown > 0, nil
}

func (l *logbook) KeepCartExpiry(_ context.Context, after time.Duration, set []Timer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cartsExpireAfter = after
	l.cartsKnown++
	for _, timer := range set {
		l.timers[timer.Deadline] = timer
	}
	return nil
}

func (l *logbook) Lead(ctx context.Context) (context.Context, func(), error) {
	return ctx, func() {}, nil
}

func (l *logbook) Checkpoint(context.Context) (eventstore.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at, nil
}

func (l *logbook) Advance(_ context.Context, from, to eventstore.Position, notes Notes) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at != from {
		return ErrNotLeading
	}
	l.at = to
	for _, parked := range notes.Park {
		l.park(parked)
	}
	for _, key := range notes.Clear {
		delete(l.timers, key)
	}
	for _, timer := range notes.Set {
		l.timers[timer.Deadline] = timer
	}
	return nil
}

func (l *logbook) park(p UnfinishedWork) {
	if l.parked == nil {
		l.parked = map[uuid.UUID]UnfinishedWork{}
	}
	if before, again := l.parked[p.ID]; again {
		p.Tries, p.FirstTried = p.Tries+before.Tries, before.FirstTried
	}
	l.parked[p.ID] = p
}

func (l *logbook) Parked(_ context.Context, after uuid.UUID, limit int) ([]UnfinishedWork, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var page []UnfinishedWork
	for _, id := range slices.SortedFunc(maps.Keys(l.parked), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) {
		if bytes.Compare(id[:], after[:]) > 0 && len(page) < limit {
			page = append(page, l.parked[id])
		}
	}
	return page, nil
}

func (l *logbook) FindParked(_ context.Context, id uuid.UUID) (*UnfinishedWork, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, found := l.parked[id]; found {
		return &p, nil
	}
	return nil, nil
}

func (l *logbook) CountParked(context.Context) (n int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.parked {
		if p.Dismissed.IsZero() {
			n++
		}
	}
	return n, nil
}

func (l *logbook) Dismiss(_ context.Context, id uuid.UUID, at time.Time, by, reason string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, found := l.parked[id]
	if found && p.Dismissed.IsZero() {
		p.Dismissed, p.DismissedBy, p.DismissedReason = at, by, reason
		l.parked[id] = p
	}
	return found, nil
}

func (l *logbook) TryFailed(_ context.Context, id uuid.UUID, at time.Time, reason string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, found := l.parked[id]; found {
		p.Tries, p.LastTried, p.Reason = p.Tries+1, at, reason
		l.parked[id] = p
	}
	return nil
}

func (l *logbook) Unpark(_ context.Context, id uuid.UUID, set []Timer, clear []Deadline) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.parked, id)
	for _, deadline := range clear {
		delete(l.timers, deadline)
	}
	for _, timer := range set {
		l.timers[timer.Deadline] = timer
	}
	return nil
}

func (l *logbook) only(t *testing.T) UnfinishedWork {
	t.Helper()
	all, _ := l.Parked(t.Context(), uuid.Nil, 10)
	if len(all) != 1 {
		t.Fatalf("%d processes are parked, want one: %+v", len(all), all)
	}
	return all[0]
}

func (l *logbook) reaches(t *testing.T, store eventstore.Store) func() bool {
	t.Helper()
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func() bool {
		at, _ := l.Checkpoint(t.Context())
		return !at.Before(head)
	}
}
