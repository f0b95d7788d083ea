package gateway

import "context"

// openRead is a subscription, or a consumer of a group. Its right to read a stream is checked again
// when the rights on the stream may have changed.
type openRead struct {
	stream string        // whose metadata says who may read
	check  chan struct{} // has a value when the right must be checked
}

// demand asks for a check, without waiting for it.
func (r *openRead) demand() {
	select {
	case r.check <- struct{}{}:
	default: // a check is due, which sees this change, too
	}
}

// opened notes an open read. closed must be called.
func (c *cache) opened(r *openRead) (closed func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = make(map[*openRead]struct{})
	}
	c.open[r] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.open, r)
	}
}

// demandChecks asks for checks of the open reads of a stream. If stream is empty, it asks for those
// of all open reads. The lock is held.
func (c *cache) demandChecks(stream string) {
	for r := range c.open {
		if stream == "" || r.stream == stream {
			r.demand()
		}
	}
}

// whileReadable returns a context that ends when the caller may no longer read the stream. Its
// cause says why. If it cannot be read who may, the context ends, too. stop must be called.
func (s *Server) whileReadable(ctx context.Context, stream string) (_ context.Context, stop func()) {
	if s.options.Users == nil {
		return ctx, func() {}
	}
	ctx, end := context.WithCancelCause(ctx)
	r := &openRead{stream: stream, check: make(chan struct{}, 1)}
	if of, ok := isMetastream(stream); ok {
		r.stream = of
	}
	closed := s.cached.opened(r)
	r.demand() // because the rights may have changed since the call was authorized
	go func() {
		defer closed()
		for {
			select {
			case <-ctx.Done():
				return
			case <-r.check:
			}
			if err := s.authorize(ctx, stream, toRead); err != nil {
				end(err)
			}
		}
	}()
	return ctx, func() { end(nil) }
}

// causeOr returns why a context has ended, and err if it has not.
func causeOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
