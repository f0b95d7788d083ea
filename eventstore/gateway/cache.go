package gateway

import (
	"context"
	"sync"
	"time"

	"daybook/eventstore"
)

const (
	cacheSize     = 1 << 15 // streams in each of two halves
	cacheDocument = 4 << 10 // bytes of a document that is kept
	watchBackoff  = time.Second
)

// cache holds the metadata of streams that were asked for lately. It is trusted
// only while the log is watched for changes.
type cache struct {
	mu      sync.Mutex
	live    bool
	changes uint64 // counts what was dropped, so that no load that began before is kept
	// The younger half is filled; when it is full, the older is forgotten.
	young, old map[string]streamMetadata
	settings   defaultACLs // nil: not known
}

// cached gives what is found in the cache, or else loads it from the log and keeps
// it. The lock is held by find and keep, and not by load.
func cached[T any](c *cache, find func() (T, bool), keep func(T), load func() (T, error)) (T, error) {
	c.mu.Lock()
	value, known := find()
	changes := c.changes
	c.mu.Unlock()
	if known {
		return value, nil
	}
	value, err := load()
	if err != nil {
		return value, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live && c.changes == changes {
		keep(value)
	}
	return value, nil
}

// ofStream gives a stream's metadata.
func (c *cache) ofStream(stream string, load func() (streamMetadata, error)) (streamMetadata, error) {
	return cached(c,
		func() (streamMetadata, bool) { return c.find(stream) },
		func(m streamMetadata) { c.keep(stream, m) }, load)
}

// ofSettings gives the lists of $settings.
func (c *cache) ofSettings(load func() (defaultACLs, error)) (defaultACLs, error) {
	return cached(c,
		func() (defaultACLs, bool) { return c.settings, c.settings != nil },
		func(lists defaultACLs) { c.settings = lists }, load)
}

// find remembers what is asked for; the lock is held.
func (c *cache) find(stream string) (m streamMetadata, known bool) {
	if m, known = c.young[stream]; !known {
		if m, known = c.old[stream]; known {
			c.keep(stream, m)
		}
	}
	return m, known
}

// keep remembers what is small; the lock is held.
func (c *cache) keep(stream string, m streamMetadata) {
	if m.size > cacheDocument {
		return
	}
	if len(c.young) >= cacheSize {
		c.old, c.young = c.young, nil
	}
	if c.young == nil {
		c.young = make(map[string]streamMetadata)
	}
	c.young[stream] = m
}

// drop forgets a stream whose metadata has changed.
func (c *cache) drop(stream string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	delete(c.young, stream)
	delete(c.old, stream)
}

func (c *cache) dropSettings() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	c.settings = nil
}

// trust tells whether changes are being heard of; if not, all is forgotten.
func (c *cache) trust(live bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live = live; !live {
		c.changes++
		c.young, c.old, c.settings = nil, nil, nil
	}
}

// changed drops what a written event makes stale.
func (c *cache) changed(stream string) {
	if of, ok := isMetastream(stream); ok {
		c.drop(of)
	}
	if stream == settingsStream {
		c.dropSettings()
	}
}

// watch keeps the cache true to the log until ctx ends.
func (s *Server) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.watchOnce(ctx)
		s.cached.trust(false)
		if ctx.Err() != nil {
			return
		}
		s.logger.WarnContext(ctx, "gateway: metadata is read anew each time, its changes cannot be watched", "error", err)
		pause, cancel := context.WithTimeout(ctx, watchBackoff)
		<-pause.Done()
		cancel()
	}
}

func (s *Server) watchOnce(ctx context.Context) error {
	head, err := s.store.Head(ctx)
	if err != nil {
		return err
	}
	metadata := eventstore.Filter{StreamPrefixes: []string{metastreamPrefix, settingsStream}}
	for item, err := range s.store.Subscribe(ctx, head, metadata) {
		switch {
		case err != nil:
			return err
		case item.Event != nil:
			s.cached.changed(item.Event.Stream)
		case item.CaughtUp:
			s.cached.trust(true)
		}
	}
	return nil
}
