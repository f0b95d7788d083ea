package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"golang.org/x/sync/semaphore"

	"daybook/internal/apidoc"
	"daybook/internal/problem"
)

// Limits of bodies, in bytes.
const (
	// MaxBodyBytes is the limit for the body of any request. A route can have a lower limit:
	// huma.Operation.MaxBodyBytes, which the document shows as x-max-body-bytes.
	MaxBodyBytes = 512 << 10
	// DefaultBodyBytes is the limit of a route that sets none.
	DefaultBodyBytes = 16 << 10
	// DefaultBodyBudget is how many bytes all bodies in memory may have. Bodies and the values that
	// they are decoded into take up to four times as much memory. One sender may have a quarter.
	DefaultBodyBudget = 32 << 20

	humaDefaultBodyBytes = 1 << 20 // huma's default for a route that sets no limit
	firstRead            = 4 << 10
)

const (
	defaultBodyWait = 2 * time.Second // for the budget
	bodyReadMax     = 5 * time.Second // from its first byte to its last
)

// bodies reads the body of every request before the route does. It keeps to the limit of the route
// and the budget of the node. It refuses a body with more values than the route can accept.
type bodies struct {
	api    huma.API
	budget *semaphore.Weighted
	total  int64
	shares *shares
	wait   time.Duration
	routes map[*huma.Operation]*shape
	// checks limits how many bodies are checked at once. So even many large bodies leave processor
	// time for leases, timers and other requests.
	checks *semaphore.Weighted
}

func newBodies(api huma.API, budget int64, wait time.Duration) *bodies {
	if budget == 0 {
		budget = DefaultBodyBudget
	}
	if wait == 0 {
		wait = defaultBodyWait
	}
	budget = max(budget, 2*(MaxBodyBytes+1)) // otherwise the largest body could never be read
	return &bodies{
		api: api, budget: semaphore.NewWeighted(budget), total: budget, shares: newShares(budget), wait: wait, routes: make(map[*huma.Operation]*shape),
		checks: semaphore.NewWeighted(int64(2 * runtime.GOMAXPROCS(0))),
	}
}

// limitBody sets the default limit of a route that sets none, and writes the limit into the
// document.
func limitBody(_ *huma.OpenAPI, op *huma.Operation) {
	if op.RequestBody == nil {
		return
	}
	if op.MaxBodyBytes == humaDefaultBodyBytes {
		op.MaxBodyBytes = DefaultBodyBytes
	}
	if op.Extensions == nil {
		op.Extensions = make(map[string]any)
	}
	op.Extensions["x-max-body-bytes"] = op.MaxBodyBytes
	op.SkipValidateBody = true // the scan has found all that a schema can forbid
	op.BodyReadTimeout = 0     // the body is in memory already
	op.MaxBodyBytes++          // huma also refuses a body that has exactly the limit
}

// learn computes how many values the body of each route may have. It returns an error if there is
// no limit, because a list has no maxItems or a text has no maxLength.
func (b *bodies) learn(document *huma.OpenAPI) error {
	schemas := document.Components.Schemas
	if r, ours := schemas.(*apidoc.Registry); ours {
		schemas = r.Fixed() // because requests are checked while the document is still being completed
	}
	for path, item := range document.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op == nil {
				continue
			}
			s := &shape{limit: DefaultBodyBytes, schemas: schemas, names: make(map[string]string), notEmpty: make(map[*huma.Schema]bool)}
			if op.RequestBody != nil {
				s.limit = op.MaxBodyBytes - 1
				if problem.TakesForeign(op.Metadata) {
					b.routes[op] = s
					continue
				}
				for _, content := range op.RequestBody.Content {
					s.root = content.Schema
				}
				var err error
				if s.values, err = s.count(s.root, "", 1); err != nil {
					return fmt.Errorf("%s %s: %w", op.Method, path, err)
				}
			}
			if s.limit > MaxBodyBytes {
				return fmt.Errorf("%s %s: a body of %d bytes is over the limit of %d", op.Method, path, s.limit, MaxBodyBytes)
			}
			b.routes[op] = s
		}
	}
	return nil
}

// middleware runs before the middlewares of the routes.
func (b *bodies) middleware(ctx huma.Context, next func(huma.Context)) {
	r, w := humamux.Unwrap(ctx)
	route := b.routes[ctx.Operation()]
	if r.Method == http.MethodGet || r.Body == nil || r.Body == http.NoBody || route == nil {
		next(ctx)
		return
	}
	if err := checkForm(r.Header, ctx.Operation().RequestBody); err != nil {
		problem.Write(w, r, err)
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyReadMax)) // it fails only for the recorder of a test
	held := b.hold(r)
	defer held.release()
	body, err := held.read(r, route.limit)
	var faults []problem.Invalid
	if err == nil {
		body, faults, err = b.check(r, route, body)
	}
	if lost := problem.RequestOf(r.Context()).StillAllowed(); lost != nil { // the body may have come slowly
		problem.Write(w, r, lost)
		return
	}
	switch {
	case errors.Is(err, errNotJSON):
		r = r.WithContext(context.WithValue(r.Context(), refusalKey{}, &refusal{malformed: b.refuseMalformed(body)}))
	case err != nil:
		problem.Write(w, r, err)
		return
	case len(faults) > 0:
		r = r.WithContext(context.WithValue(r.Context(), refusalKey{}, &refusal{faults: faults}))
	}
	r.Body = newWholeBody(body)
	next(humamux.NewContext(ctx.Operation(), r, w))
}

// wholeBody is a body that is in memory.
type wholeBody struct {
	bytes.Reader

	whole []byte
}

func newWholeBody(whole []byte) *wholeBody {
	b := &wholeBody{whole: whole}
	b.Reset(whole)
	return b
}

// Whole returns the whole body. The body can still be read afterwards. The bytes must not be
// changed.
func (b *wholeBody) Whole() []byte { return b.whole }

func (b *wholeBody) Close() error { return nil }

// refusal says why a body is refused. Either the body is not JSON, or it has faults.
type refusal struct {
	malformed func(huma.Context) // writes the refusal of a body that is not JSON; nil if the body is JSON
	faults    []problem.Invalid
}

// refusalKey is the key of a context for the refusal of a request's body.
type refusalKey struct{}

// refuseFaults refuses a request with the faults of its parameters and of its body at once. It runs
// after the middlewares of the routes, so that their refusals come first, such as a missing key. If
// the body is not JSON, the response says only that.
func refuseFaults(ctx huma.Context, next func(huma.Context)) {
	faults := problem.RequestOf(ctx.Context()).Faults()
	if body, faulty := ctx.Context().Value(refusalKey{}).(*refusal); faulty {
		if body.malformed != nil {
			body.malformed(ctx)
			return
		}
		faults = slices.Concat(faults, body.faults)
	}
	if len(faults) > 0 {
		r, w := humamux.Unwrap(ctx)
		problem.Write(w, r, problem.NotValid(faults...))
		return
	}
	next(ctx)
}

// refuseMalformed refuses a body that is not JSON, with what the decoder says about it.
func (b *bodies) refuseMalformed(body []byte) func(huma.Context) {
	return func(ctx huma.Context) {
		detail := &huma.ErrorDetail{Location: "body"}
		var value any
		if err := strictJSON.Unmarshal(body, &value); err != nil {
			detail.Message = err.Error()
		}
		_ = huma.WriteErr(b.api, ctx, http.StatusBadRequest, "validation failed", detail) // the client may have gone
	}
}

// check waits until few other bodies are being checked. Then it checks the body. It stops if the
// client has gone.
func (b *bodies) check(r *http.Request, route *shape, body []byte) (plain []byte, faults []problem.Invalid, err error) {
	if !b.checks.TryAcquire(1) {
		waiting, cancel := context.WithTimeout(r.Context(), b.wait)
		defer cancel()
		if err := b.checks.Acquire(waiting, 1); err != nil {
			return nil, nil, problem.Overloaded(fmt.Errorf("other bodies are being checked: %w", err))
		}
	}
	defer b.checks.Release(1)
	return route.check(r.Context(), body)
}

// checkForm refuses a body whose headers say that it is not plain JSON in UTF-8. The media type
// must be one that the document lists for the operation; it may be written in any case and have
// parameters. A body without a Content-Type counts as JSON.
func checkForm(header http.Header, wanted *huma.RequestBody) error {
	if wanted == nil {
		return nil
	}
	for _, coding := range header.Values("Content-Encoding") {
		if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
			return problem.WrongForm(fmt.Sprintf("The body is encoded with %.40q. Send it as it is, without a Content-Encoding.", coding))
		}
	}
	kinds := header.Values("Content-Type")
	if len(kinds) == 0 || len(kinds) == 1 && wanted.Content[kinds[0]] != nil {
		return nil
	}
	kind, params, err := mime.ParseMediaType(strings.Join(kinds, ", "))
	if err != nil || wanted.Content[kind] == nil {
		return problem.WrongForm("Send JSON, with Content-Type: " + strings.Join(slices.Sorted(maps.Keys(wanted.Content)), " or ") + ".")
	}
	if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return problem.WrongForm(fmt.Sprintf("The charset is %.40q. JSON is UTF-8: leave charset out, or say charset=utf-8.", charset))
	}
	header.Set("Content-Type", kind) // huma compares it as it is written
	return nil
}

// read returns the body. Its bytes are taken while the body arrives. So a client that announces a
// large body and sends nothing takes little.
func (h *holding) read(r *http.Request, limit int64) (body []byte, err error) {
	if r.ContentLength > limit {
		return nil, problem.TooLarge(limit, "bytes")
	}
	size := min(int64(firstRead), limit+1)
	if r.ContentLength >= 0 {
		size = min(size, r.ContentLength+1)
	}
	for {
		if err := h.grow(r.Context(), size); err != nil {
			return nil, err
		}
		larger := make([]byte, len(body), size)
		copy(larger, body)
		body = larger
		for len(body) < cap(body) {
			n, err := r.Body.Read(body[len(body):cap(body)])
			body = body[:len(body)+n]
			if errors.Is(err, io.EOF) {
				return body, nil
			}
			if err != nil {
				return nil, unreadable(err)
			}
		}
		if int64(len(body)) > limit {
			return nil, problem.TooLarge(limit, "bytes")
		}
		size = min(2*size, limit+1)
	}
}

func unreadable(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem.TooLarge(tooLarge.Limit, "bytes")
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return problem.TooSlow()
	}
	return problem.Malformed("The body could not be read to its end.")
}
