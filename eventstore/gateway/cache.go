package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"daybook/eventstore"
)

const (
	cacheBytes   = 16 << 20 // in two halves
	cacheLargest = 32 << 10 // bytes of a stream that is kept
	watchBackoff = time.Second

	// A subscription that has fallen silent looks like a log in which nothing happens. So the
	// cache is trusted only for trustMax after the watch last reached the head. While the
	// cache is used, this is checked every proveEvery. After a pause, the first call checks
	// it.
	trustMax   = 5 * time.Second
	proveEvery = time.Second
	// proveMax bounds one read of the head. If the watch has not reached a head deafMax after
	// it was read, the watch is started again.
	proveMax = 2 * time.Second
	deafMax  = 10 * time.Second
	// metadataMax bounds a read of metadata, and so the time that a call waits to learn its
	// rights.
	metadataMax = 5 * time.Second
)

// errDeaf ends a watch that does not yield what the log holds.
var errDeaf = errors.New("the subscription brings nothing, although the log has grown")

// cache holds the metadata of streams that were used lately. It is trusted only while a watch
// follows the log for changes, and while that watch is known to work.
type cache struct {
	mu   sync.Mutex
	live bool
	used bool // since the head was last read
	// proven is a time: the watch has seen everything that was recorded before it.
	proven    time.Time
	watchedTo eventstore.Position // up to where the watch has come
	// head is a head of the log that the watch has not reached yet, and sought is when it was read.
	// sought is zero while there is no such head.
	head   eventstore.Position
	sought time.Time
	// changes counts dropped entries and starts of the watch, so that a load which began before one
	// of them is not kept.
	changes uint64
	// New entries go into the younger half. When it is full, the older half is dropped.
	young, old half
	settings   defaultACLs // nil: not known
	open       map[*openRead]struct{}
}

// half of a cache, and the bytes it takes.
type half struct {
	streams map[string]streamMetadata
	bytes   int
}

// cost is about how many bytes this entry of a stream takes. It counts more than the entry
// has, because maps and lists have space to grow.
func cost(stream string, m streamMetadata) int {
	const entry, list, role = 512, 128, 32
	bytes := entry + len(stream) + len(m.acl.defaultList)
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

// cached returns what is in the cache. If it is not there, it loads it from the log and
// stores it. find and keep are called with the lock, and load without it.
func cached[T any](c *cache, find func() (T, bool), keep func(T), load func() (T, error)) (T, error) {
	c.mu.Lock()
	c.used = true
	trusted := c.isTrusted()
	value, known := find()
	changes := c.changes
	c.mu.Unlock()
	if known && trusted {
		return value, nil
	}
	value, err := load()
	if err != nil {
		return value, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isTrusted() && c.changes == changes {
		keep(value)
	}
	return value, nil
}

// isTrusted tells whether the watch has seen everything that was recorded until a moment ago.
// The lock is held.
func (c *cache) isTrusted() bool { return c.live && time.Since(c.proven) <= trustMax }

// isStale tells whether the log is watched, but the watch was not checked lately.
func (c *cache) isStale() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.live && !c.isTrusted() && c.sought.IsZero()
}

// reached notes the position that the watch has reached.
func (c *cache) reached(at eventstore.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watchedTo = at; !c.sought.IsZero() && !at.Before(c.head) {
		c.proven, c.sought = c.sought, time.Time{}
	}
}

// headSeen notes a head of the log. began is when its read began. headSeen returns true if the
// watch is deaf: it has not reached a head that was read long ago.
func (c *cache) headSeen(head eventstore.Position, began time.Time) (deaf bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.watchedTo.Before(head):
		c.proven, c.sought = began, time.Time{}
	case c.sought.IsZero():
		c.head, c.sought = head, began
	}
	return !c.sought.IsZero() && began.Sub(c.sought) > deafMax
}

// wasUsed tells whether the cache was used since the last call of wasUsed. An open read uses it all
// the time, because it must hear of changes.
func (c *cache) wasUsed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	used := c.used || len(c.open) > 0
	c.used = false
	return used
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

// find returns an entry and marks the cache as used. The lock is held.
func (c *cache) find(stream string) (m streamMetadata, known bool) {
	if m, known = c.young.streams[stream]; !known {
		if m, known = c.old.streams[stream]; known {
			c.keep(stream, m)
		}
	}
	return m, known
}

// keep stores an entry if it is small. The lock is held.
func (c *cache) keep(stream string, m streamMetadata) {
	m.members = nil // because the members are many times as large as the rest
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
	c.demandChecks(stream)
}

func (c *cache) dropSettings() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	c.settings = nil
	c.demandChecks("")
}

// trust sets whether changes are being watched. If not, it drops all entries.
func (c *cache) trust(live bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live != live {
		c.changes++
		c.demandChecks("") // nobody may have heard of a change before
	}
	if c.live = live; !live {
		c.young, c.old, c.settings = half{}, half{}, nil
		c.watchedTo, c.sought = eventstore.Start, time.Time{}
	}
}

// changed drops the entries that are out of date after a new event of a stream.
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
		s.logger.WarnContext(ctx, "gateway: changes of metadata cannot be watched, so metadata is read at each call", "error", err)
		pause, cancel := context.WithTimeout(ctx, watchBackoff)
		<-pause.Done()
		cancel()
	}
}

func (s *Server) watchOnce(ctx context.Context) error {
	began := time.Now()
	head, err := s.headSoon(ctx)
	if err != nil {
		return err
	}
	s.cached.headSeen(head, began)
	ctx, end := context.WithCancelCause(ctx)
	var proving sync.WaitGroup
	proving.Go(func() { s.prove(ctx, end) })
	defer proving.Wait()
	defer end(nil)
	metadata := eventstore.Filter{StreamPrefixes: []string{metastreamPrefix, settingsStream}}
	for item, err := range s.store.Subscribe(ctx, head, metadata) {
		if errors.Is(context.Cause(ctx), errDeaf) {
			return errDeaf
		}
		if err != nil {
			return err
		}
		if item.Event != nil {
			s.cached.changed(item.Event.Stream)
		}
		s.cached.reached(item.Checkpoint)
		if item.CaughtUp {
			s.cached.trust(true)
		}
	}
	return nil
}

// prove reads the head while the cache is used, and ends a watch that is deaf.
func (s *Server) prove(ctx context.Context, end context.CancelCauseFunc) {
	ticker := time.NewTicker(proveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !s.cached.wasUsed() {
			continue
		}
		began := time.Now()
		head, err := s.headSoon(ctx)
		if err != nil {
			s.logger.DebugContext(ctx, "gateway: it is not known whether changes of metadata arrive", "error", err)
			continue
		}
		if s.cached.headSeen(head, began) {
			end(errDeaf)
		}
	}
}

// renew reads the head if the cache is not trusted only because nobody has checked for a
// while. Calls that come together share one read.
func (s *Server) renew(ctx context.Context) {
	if !s.cached.isStale() {
		return
	}
	headRead := s.headReads.DoChan("", func() (any, error) {
		began := time.Now()
		head, err := s.headSoon(s.closing)
		if err == nil {
			s.cached.headSeen(head, began)
		}
		return nil, err
	})
	select {
	case result := <-headRead:
		if result.Err != nil {
			s.logger.DebugContext(ctx, "gateway: it is not known whether changes of metadata arrive", "error", result.Err)
		}
	case <-ctx.Done():
	}
}

// headSoon reads the head of the log, within a short time.
func (s *Server) headSoon(ctx context.Context) (eventstore.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, proveMax)
	defer cancel()
	return s.store.Head(ctx)
}
