package problem

import (
	"context"
	"errors"
	"sync"
)

// Request is what is known of a request beside itself: its name in the log, and
// why it failed. One goes with each request's context.
type Request struct {
	ID string
	// Client is the address that the request came from, without its port: what
	// bounds for each client go by. For IPv6 it is the network of 64 bits, of which
	// a client has all addresses.
	Client string

	mu    sync.Mutex
	cause error
}

// Cause is why the answer is a 5xx, or nil.
func (r *Request) Cause() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cause
}

type contextKey struct{}

// NewContext carries a request's record.
func NewContext(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, contextKey{}, r)
}

// RequestOf is the record of the request a context is of; an empty one where
// there is none.
func RequestOf(ctx context.Context) *Request {
	if r, ok := ctx.Value(contextKey{}).(*Request); ok {
		return r
	}
	return &Request{}
}

// Note keeps a cause for the request's line in the log, and returns the
// request's id.
func Note(ctx context.Context, cause error) (requestID string) {
	r := RequestOf(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cause = errors.Join(r.cause, cause)
	return r.ID
}
