package keyring

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"daybook/domain/access"
	"daybook/internal/pause"
)

// UseStore stores when keys were last used.
type UseStore interface {
	// Keep stores times. It does not replace a later time by an earlier one.
	Keep(ctx context.Context, uses map[access.KeyID]time.Time) error
	// All returns the time of each key that was used.
	All(ctx context.Context) (map[access.KeyID]time.Time, error)
}

// How exact the times are, and how long a node collects them before it stores them.
const (
	useEvery   = time.Minute
	keepUses   = 5 * time.Second
	keepUsesIn = 10 * time.Second // at most, before the node stops
)

// Uses notes when keys are used. No request waits for the store: a use is noted in memory, at most
// once a minute for each key, and Run stores it a few seconds later. If the program is killed,
// these seconds are lost. Its methods may be called by several goroutines.
type Uses struct {
	store  UseStore
	now    func() time.Time
	logger *slog.Logger

	noted sync.Map // of *atomic.Int64, by access.KeyID: when the key was noted, in ns since 1970

	mu      sync.Mutex
	pending map[access.KeyID]time.Time // not stored yet, and not about to be
	storing map[access.KeyID]time.Time // about to be stored; never changed
}

// NewUses makes a Uses. Run stores what it notes.
func NewUses(store UseStore, now func() time.Time, logger *slog.Logger) *Uses {
	return &Uses{store: store, now: now, logger: logger, pending: map[access.KeyID]time.Time{}}
}

// Note says that a key was used just now. The key must be good. So there are at most as many
// uses as the shop has keys.
func (u *Uses) Note(id access.KeyID) {
	now := u.now()
	last, known := u.noted.Load(id)
	if !known {
		last, _ = u.noted.LoadOrStore(id, new(atomic.Int64))
	}
	at := last.(*atomic.Int64) //nolint:forcetypeassert // the map has nothing else
	before := at.Load()
	if now.UnixNano()-before < int64(useEvery) && before != 0 || !at.CompareAndSwap(before, now.UnixNano()) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.pending[id] = now
}

// Run stores the uses until ctx ends, and then once more.
func (u *Uses) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		pause.For(ctx, keepUses)
		u.keep(ctx)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepUsesIn)
	defer cancel()
	u.keep(last)
	return ctx.Err()
}

// keep stores what is pending. What cannot be stored stays pending.
func (u *Uses) keep(ctx context.Context) {
	u.mu.Lock()
	uses := u.pending
	u.pending, u.storing = map[access.KeyID]time.Time{}, uses
	u.mu.Unlock()
	if len(uses) == 0 {
		return
	}
	err := u.store.Keep(ctx, uses)
	if err != nil && ctx.Err() == nil {
		u.logger.WarnContext(ctx, "cannot store when API keys were used", "error", err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.storing = nil
	if err != nil {
		uses = maps.Clone(uses)
		maps.Copy(uses, u.pending) // a later use counts
		u.pending = uses
	}
}

// All returns when each key was last used: what is stored, and what this node has not stored yet.
// It looks first at what is not stored, so that it misses nothing that is stored meanwhile.
func (u *Uses) All(ctx context.Context) (map[access.KeyID]time.Time, error) {
	u.mu.Lock()
	fresh := maps.Clone(u.pending)
	for id, at := range u.storing {
		if at.After(fresh[id]) {
			fresh[id] = at
		}
	}
	u.mu.Unlock()
	all, err := u.store.All(ctx)
	if err != nil {
		return nil, err
	}
	for id, at := range fresh {
		if at.After(all[id]) {
			all[id] = at
		}
	}
	return all, nil
}
