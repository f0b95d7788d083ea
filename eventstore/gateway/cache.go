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

	// A silent subscription looks like a quiet log. So the cache is trusted only for
	// trustMax after the watch last reached the head. While the cache is used, this is
	// checked every proveEvery. After a rest, the first call checks it.
	trustMax   = 5 * time.Second
	proveEvery = time.Second
	// proveMax bounds one read of the head. A watch that has not reached a head deafMax
	// after it was read is started again.
	proveMax = 2 * time.Second
	deafMax  = 10 * time.Second
	// metadataMax bounds a read of metadata: a call waits no longer for what it may do.
	metadataMax = 5 * time.Second
)

// errDeaf ends a watch that does not bring what the log holds.
var errDeaf = errors.New("the subscription brings nothing, though the log has grown")

// cache holds the metadata of streams that were asked for lately. It is trusted
// only while the log is watched for changes, and the watch is known to be alive.
type cache struct {
	mu   sync.Mutex
	live bool
	used bool // since the last look at the head
	// The watch has seen everything recorded before proven.
	proven    time.Time
	watchedTo eventstore.Position // up to where the watch has come
	// The head that was seen at sought, if the watch has not come there yet.
	head    eventstore.Position
	sought  time.Time
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

// isTrusted tells whether all that was recorded until a moment ago was heard of;
// the lock is held.
func (c *cache) isTrusted() bool { return c.live && time.Since(c.proven) <= trustMax }

// isStale tells whether the log is watched, but the watch was not looked at lately.
func (c *cache) isStale() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.live && !c.isTrusted() && c.sought.IsZero()
}

// reached notes how far the watch has come.
func (c *cache) reached(at eventstore.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watchedTo = at; !c.sought.IsZero() && !at.Before(c.head) {
		c.proven, c.sought = c.sought, time.Time{}
	}
}

// headSeen notes that the log reached up to a head after this time. It tells whether
// the watch is deaf: it has not come to a head that was seen long ago.
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

// wasUsed tells whether the cache was asked for anything since the last question.
func (c *cache) wasUsed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	used := c.used
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
		c.watchedTo, c.sought = eventstore.Start, time.Time{}
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

// prove looks at the head while the cache is used, and ends a watch that is deaf.
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
			s.logger.DebugContext(ctx, "gateway: it is not known whether changes of metadata are heard of", "error", err)
			continue
		}
		if s.cached.headSeen(head, began) {
			end(errDeaf)
		}
	}
}

// renew looks at the head if the cache is not trusted only because nobody has looked for
// a while. Calls that come together look once.
func (s *Server) renew(ctx context.Context) {
	if !s.cached.isStale() {
		return
	}
	look := s.looking.DoChan("", func() (any, error) {
		began := time.Now()
		head, err := s.headSoon(s.closing)
		if err == nil {
			s.cached.headSeen(head, began)
		}
		return nil, err
	})
	select {
	case result := <-look:
		if result.Err != nil {
			s.logger.DebugContext(ctx, "gateway: it is not known whether changes of metadata are heard of", "error", result.Err)
		}
	case <-ctx.Done():
	}
}

// headSoon is the head of the log, if it can be told soon.
func (s *Server) headSoon(ctx context.Context) (eventstore.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, proveMax)
	defer cancel()
	return s.store.Head(ctx)
}
