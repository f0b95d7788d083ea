package gateway

import (
	"context"
	"sync"
	"time"

	"daybook/eventstore"
)

const (
	cacheBytes   = 16 << 20 // in two halves
	cacheLargest = 32 << 10 // bytes of a stream that is kept
	watchBackoff = time.Second
)

// cache holds the metadata of streams that were asked for lately. It is trusted
// only while the log is watched for changes.
type cache struct {
	mu      sync.Mutex
	live    bool
	changes uint64 // counts what was dropped, and when the watch began, so that no load that began before is kept
	// The younger half is filled; when it is full, the older is forgotten.
	young, old half
	settings   defaultACLs // nil: not known
}

// half of a cache, and the bytes it takes.
type half struct {
	streams map[string]streamMetadata
	bytes   int
}

// cost is about how many bytes it takes to keep this of a stream: more than are
// in use, as maps and lists have room to grow.
func cost(stream string, m streamMetadata) int {
	const entry, list, role = 512, 128, 32
	bytes := entry + len(stream) + len(m.acl.like)
	for _, roles := range m.acl.roles {
		bytes += list
		for _, name := range roles {
			bytes += role + len(name)
		}
	}
	return bytes
}

func (h *half) put(stream string, m streamMetadata) {
	h.remove(stream)
	if h.streams == nil {
		h.streams = make(map[string]streamMetadata)
	}
	h.streams[stream] = m
	h.bytes += cost(stream, m)
}

func (h *half) remove(stream string) {
	if m, known := h.streams[stream]; known {
		delete(h.streams, stream)
		h.bytes -= cost(stream, m)
	}
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
	if m, known = c.young.streams[stream]; !known {
		if m, known = c.old.streams[stream]; known {
			c.keep(stream, m)
		}
	}
	return m, known
}

// keep remembers what is small; the lock is held.
func (c *cache) keep(stream string, m streamMetadata) {
	m.members = nil // they are many times as large as the rest
	bytes := cost(stream, m)
	if bytes > cacheLargest {
		return
	}
	if c.young.bytes+bytes > cacheBytes/2 {
		c.old, c.young = c.young, half{}
	}
	c.young.put(stream, m)
}

// drop forgets a stream whose metadata has changed.
func (c *cache) drop(stream string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	c.young.remove(stream)
	c.old.remove(stream)
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
	if c.live != live {
		c.changes++
	}
	if c.live = live; !live {
		c.young, c.old, c.settings = half{}, half{}, nil
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
