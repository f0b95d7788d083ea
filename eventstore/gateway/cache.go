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

	// settingsKey is where the content of $settings is kept: the name of no stream.
	settingsKey = ""
)

// cache holds the metadata of streams that were asked for lately. It is trusted
// only while the log is watched for changes.
type cache struct {
	mu      sync.Mutex
	live    bool
	changes uint64 // counts what was dropped, so that no load that began before is kept
	// The younger half is filled; when it is full, the older is forgotten.
	young, old map[string]streamMetadata
}

// get gives a stream's metadata, which load reads from the log.
func (c *cache) get(stream string, load func() (streamMetadata, error)) (streamMetadata, error) {
	c.mu.Lock()
	m, known := c.young[stream]
	if !known {
		if m, known = c.old[stream]; known {
			c.keep(stream, m)
		}
	}
	changes := c.changes
	c.mu.Unlock()
	if known {
		return m, nil
	}
	m, err := load()
	if err != nil {
		return streamMetadata{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live && c.changes == changes && m.size <= cacheDocument {
		c.keep(stream, m)
	}
	return m, nil
}

// keep remembers; the lock is held.
func (c *cache) keep(stream string, m streamMetadata) {
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

// trust tells whether changes are being heard of; if not, all is forgotten.
func (c *cache) trust(live bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live = live; !live {
		c.changes++
		c.young, c.old = nil, nil
	}
}

// changed drops what a written event makes stale.
func (c *cache) changed(stream string) {
	if of, ok := isMetastream(stream); ok {
		c.drop(of)
	}
	if stream == settingsStream {
		c.drop(settingsKey)
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
