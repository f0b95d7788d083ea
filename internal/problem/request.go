package problem

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"

	"daybook/domain/access"
)

// Cookies of people who sign in. Their prefix makes browsers accept them only from this host, over
// a secure connection, and for all paths.
const (
	SessionCookie = "__Host-daybook"         // the token of a session
	BrowserCookie = "__Host-daybook-browser" // tells a browser with which somebody has signed in before
)

// Request is a record about a request: its id in the log, and why it failed. The request's context
// has it.
type Request struct {
	ID string
	// Client is the address that the request came from, without its port. If it came through a
	// trusted proxy, it is the address that the proxy names. Limits for each client use it. For
	// IPv6 it is the network of 64 bits, because one client has all addresses of such a network.
	Client string
	// Secure tells whether the client's connection has TLS, to this server or to a trusted proxy.
	Secure bool
	// Who sends the request. It is nobody until package httpapi has read the credentials.
	Who access.Principal
	// Anonymous means that Who is a guest who has no token yet, so there is nothing by which the
	// sender of two requests could be told apart but the address.
	Anonymous bool
	// WhileAllowed returns a context that ends when the rights of Who change. It is for requests
	// that go on for long, such as live streams. The caller must call stop. It may be nil.
	WhileAllowed func(ctx context.Context) (_ context.Context, stop func())
	// Recheck checks the credentials again, unless they were checked a moment ago. It is nil if
	// the request has none.
	Recheck func() error

	// Route is the template of the route that was found for the request. It is empty if none was.
	Route string
	// Browser is the token of BrowserCookie; empty if the request has none.
	Browser string

	mu      sync.Mutex
	code    string
	cause   error
	faults  []Invalid
	refusal Refusal
}

// StillAllowed returns nil if the sender of the request still has the rights that it had when the
// request began, and otherwise a refusal. Code that has waited, for example for the body, calls it
// before it goes on, because the rights may have ended meanwhile.
func (r *Request) StillAllowed() error {
	if r.Recheck == nil {
		return nil
	}
	return r.Recheck()
}

// Refusal says why a request was refused because of who sent it.
type Refusal struct {
	Code   string // of the problem
	Detail string // of the problem; only for a lack of rights and for limits
	Cause  error  // only the log gets it
	Hidden bool   // the thing belongs to somebody else, and the client was told that it does not exist
}

// Refusal returns what was noted by NoteHidden, or when the request's problem was made.
func (r *Request) Refusal() Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refusal
}

// NoteHidden notes that the request is about a thing of somebody else.
func (r *Request) NoteHidden() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusal.Hidden = true
}

// noteRefusal notes a problem that has to do with who sent the request.
func (r *Request) noteRefusal(d *Document, err error) {
	_, hidden := errors.AsType[*access.HiddenError](err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusal.Hidden = r.refusal.Hidden || hidden
	switch d.Status {
	case http.StatusUnauthorized:
		r.refusal.Code, r.refusal.Cause = d.Code(), d.cause
	case http.StatusForbidden, http.StatusTooManyRequests:
		r.refusal.Code, r.refusal.Detail = d.Code(), d.Detail
	}
}

// Fault notes faults of the request's parameters, so that one response names them all. Of several
// faults of one parameter, only the first is noted.
func (r *Request) Fault(faults ...Invalid) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, fault := range faults {
		if !slices.ContainsFunc(r.faults, func(f Invalid) bool { return f.In == fault.In && f.Parameter == fault.Parameter }) {
			r.faults = append(r.faults, fault)
		}
	}
}

// Faults returns the faults that were noted.
func (r *Request) Faults() []Invalid {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.faults
}

// Code is the code of the request's problem. It is empty if there was none, or if the problem has
// no code.
func (r *Request) Code() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.code
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

// refused notes the code of the problem that was made last, because that one is sent.
func (r *Request) refused(code string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.code = code
}

// Note keeps the cause, so that the request's line in the log has it. It returns the request's id.
func Note(ctx context.Context, cause error) (requestID string) {
	r := RequestOf(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cause = errors.Join(r.cause, cause)
	return r.ID
}
