package problem

import (
	"context"
	"errors"
	"sync"
)

// Request is a record about a request: its id in the log, and why it failed. The request's context
// has it.
type Request struct {
	ID string
	// Client is the address that the request came from, without its port. Limits for each client
	// use it. For IPv6 it is the network of 64 bits, because one client has all addresses of such a
	// network.
	Client string

	mu    sync.Mutex
	cause error
}

// Cause is why the status is 5xx. It is nil for other statuses.
func (r *Request) Cause() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cause
}

type contextKey struct{}

// NewContext returns a context that has a request's record.
func NewContext(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, contextKey{}, r)
}

// RequestOf returns the record of a context's request. It returns an empty record if the context
// has none.
func RequestOf(ctx context.Context) *Request {
	if r, ok := ctx.Value(contextKey{}).(*Request); ok {
		return r
	}
	return &Request{}
}

// Note keeps the cause, so that the request's line in the log has it. It returns the request's id.
func Note(ctx context.Context, cause error) (requestID string) {
	r := RequestOf(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cause = errors.Join(r.cause, cause)
	return r.ID
}
