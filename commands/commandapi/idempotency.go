package commandapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"

	"daybook/commands"
	"daybook/domain/unit"
	"daybook/internal/problem"
)

// keys gives a repeated request its first response, if the request changed something. A
// refusal is not kept, because the same request may be allowed later, and a corrected request
// may use the same key. On one node, requests with the same key are carried out one after the
// other. If they come to two nodes, the second has no second effect, because the command id
// derives from the key.
//
// A checkout can place its order and then be refused its payment or confirmation. This
// response is not kept either. If the request is repeated, it goes on under the same ids.
type keys struct {
	answers commands.Answers
	holds   func(context.Context) error // returns an error if the log has diverged
	timeout time.Duration
	// guestToken is Options.GuestToken.
	guestToken func(unit.CartID) string
	// kept is how many answers are kept for each caller.
	kept keptAllowances

	mu       sync.Mutex
	underWay map[scopedKey]chan struct{} // closed when the request is done
}

type scopedKey struct{ scope, key string }

// middleware handles the Idempotency-Key of a route.
func (k *keys) middleware(required bool) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		key := ctx.Header(headerKey)
		r, w := humamux.Unwrap(ctx)
		switch {
		case len(problem.RequestOf(r.Context()).Faults()) > 0:
			next(ctx) // next names these faults, and those of the body
		case key == "" && required:
			problem.Write(w, r, problem.KeyRequired())
		case key == "":
			next(ctx)
		case len(key) > maxKey:
			problem.Write(w, r, problem.NotValid(problem.InParameter("header", headerKey, "want at most 255 characters")))
		case !printable(key) || !printable(r.Header.Get(headerActor)):
			// Key and actor are stored in one row of the database. One look-up finds the rows of
			// several requests, so a text that the database cannot store would make all of them
			// fail.
			problem.Write(w, r, problem.NotValid(problem.InParameter("header", headerKey, "only printable ASCII is allowed, in Daybook-Actor too")))
		default:
			who := problem.RequestOf(ctx.Context()).Who
			scope := scopeOf(who, r.Header.Get(headerActor))
			kept := keptScope(scope, who, problem.Needs(ctx.Operation().Metadata))
			if err := k.serve(ctx, scopedKey{scope, key}, kept, next); err != nil {
				problem.Write(w, r, err)
			}
		}
	}
}

// heldResponse is a response that is held back until the request has been handled. Package httpapi
// makes it.
type heldResponse interface {
	Response() (status int, header http.Header, body []byte)
}

// serve serves a request. Its answer is kept in the scope keptScope.
func (k *keys) serve(ctx huma.Context, key scopedKey, keptScope string, next func(huma.Context)) error {
	r, w := humamux.Unwrap(ctx)
	held, is := w.(heldResponse)
	if !is {
		return errNotHeld
	}
	body, err := wholeBody(r)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem.TooLarge(tooLarge.Limit, "bytes")
	}
	if err != nil {
		return problem.Malformed("The body could not be read.")
	}
	hash := hashOf(r, body)
	limited, cancel := context.WithTimeout(r.Context(), k.timeout)
	defer cancel()
	release, err := k.enter(limited, key)
	if err != nil {
		return err
	}
	defer release()
	if err := problem.RequestOf(r.Context()).StillAllowed(); err != nil { // it may have waited for another request
		return err
	}
	kept, err := k.answers.Find(limited, keptScope, key.key)
	if err != nil {
		return problem.Unavailable(err)
	}
	if kept != nil && kept.Status < http.StatusBadRequest { // an older version may have kept a refusal, which is not given again
		if !bytes.Equal(kept.RequestHash, hash) && !bytes.Equal(kept.RequestHash, hashBefore(r, body)) {
			return problem.KeyReused()
		}
		// The response describes a log that may have been replaced.
		if err := k.holds(limited); err != nil {
			return err
		}
		k.replay(w, kept)
		return nil
	}
	keyed := &keyedRequest{text: requestText(hash)}
	next(humamux.NewContext(ctx.Operation(), r.WithContext(context.WithValue(r.Context(), keyedKey{}, keyed)), w))
	if status, header, body := held.Response(); keyed.changed && status < http.StatusBadRequest && k.kept.take(problem.RequestOf(r.Context()), key.scope) {
		k.answers.Keep(commands.KeptAnswer{
			Scope: keptScope, Key: key.key, RequestHash: hash, Status: status, Headers: firstValues(header), Body: body,
		})
	}
	return nil
}

// keepsNone finds no answer and keeps none.
type keepsNone struct{}

func (keepsNone) Find(context.Context, string, string) (*commands.KeptAnswer, error) { return nil, nil }
func (keepsNone) Keep(commands.KeptAnswer)                                           {}

// errNotHeld is a fault of the program: see heldResponse.
var errNotHeld = errors.New("the response to a request with a key is not held back")

// wholeBody returns the body of a request. The body can still be read afterwards. Package httpapi
// has it in memory already.
func wholeBody(r *http.Request) ([]byte, error) {
	if in, is := r.Body.(interface{ Whole() []byte }); is {
		return in.Whole(), nil
	}
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, err
}

func firstValues(header http.Header) map[string]string {
	first := make(map[string]string, len(header))
	for name := range header {
		first[name] = header.Get(name)
	}
	if first[headerGuest] != "" {
		first[headerGuest] = hiddenToken
	}
	return first
}

// enter waits until no other request is under way under the key.
func (k *keys) enter(ctx context.Context, key scopedKey) (release func(), err error) {
	for {
		k.mu.Lock()
		other, busy := k.underWay[key]
		if !busy {
			done := make(chan struct{})
			k.underWay[key] = done
			k.mu.Unlock()
			return func() {
				k.mu.Lock()
				delete(k.underWay, key)
				k.mu.Unlock()
				close(done)
			}, nil
		}
		k.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// keyedRequest is what this package notes about a request with a key while it is carried out.
type keyedRequest struct {
	// text is the short form of its hash. It is recorded with the events
	// (eventstore.Metadata.Request), so it is still known after the kept answer was removed.
	text    string
	changed bool // the request changed something
}

// keyedKey is the context key of a *keyedRequest.
type keyedKey struct{}

// requestOf returns the short form of the request's hash. It is empty without a key.
func requestOf(ctx context.Context) string {
	if keyed, ok := ctx.Value(keyedKey{}).(*keyedRequest); ok {
		return keyed.text
	}
	return ""
}

// noteChange says that the request changed something, now or when it was first
// made.
func noteChange(ctx context.Context) {
	if keyed, ok := ctx.Value(keyedKey{}).(*keyedRequest); ok {
		keyed.changed = true
	}
}

// hashOf is the hash by which requests are compared: of method, path, query, media type,
// preconditions, effective time and body. The order of the query's parameters does not matter. The
// parameters of the content type, such as a charset, do not matter either.
func hashOf(r *http.Request, body []byte) []byte {
	contentType := ""
	if len(body) > 0 {
		contentType = r.Header.Get("Content-Type")
		if contentType != "application/json" { // it has its plain form already
			if mediaType, _, err := mime.ParseMediaType(contentType); err == nil {
				contentType = mediaType
			}
		}
	}
	query := ""
	if r.URL.RawQuery != "" {
		query = r.URL.Query().Encode()
	}
	parts := []string{
		r.Method, r.URL.EscapedPath(), query, contentType,
		r.Header.Get("If-Match"), r.Header.Get("Daybook-Occurred-At"),
	}
	// Earlier versions did not know this header, and their hashes must stay the same.
	if condition := r.Header.Get("If-None-Match"); condition != "" {
		parts = append(parts, condition)
	}
	return hashParts(body, parts...)
}

// hashBefore is the hash of earlier versions, whose answers are kept for two
// days.
func hashBefore(r *http.Request, body []byte) []byte {
	return hashParts(body, r.Method, r.URL.EscapedPath(), r.Header.Get("If-Match"), r.Header.Get("Daybook-Occurred-At"))
}

func hashParts(body []byte, parts ...string) []byte {
	hash := sha256.New()
	head := make([]byte, 0, 256)
	for _, part := range parts {
		head = append(append(head, part...), 0)
	}
	_, _ = hash.Write(head)
	_, _ = hash.Write(body)
	return hash.Sum(nil)
}

// requestText is the short form of a request's hash. It begins with a version number and a
// point. Raise the number when hashOf changes, so that a request with an older hash still
// counts as the same request.
func requestText(hash []byte) string {
	return "1." + base64.RawURLEncoding.EncodeToString(hash[:16])
}

// hiddenToken stands in a kept answer for a guest's token, which is stored nowhere.
const hiddenToken = "hidden"

func (k *keys) replay(w http.ResponseWriter, kept *commands.KeptAnswer) {
	for name, value := range kept.Headers {
		if name == headerGuest {
			id, _ := strings.CutPrefix(kept.Headers["Location"], cartsAddress)
			value = k.guestToken(unit.CartID(id))
		}
		w.Header().Set(name, value)
	}
	w.Header().Set("Idempotency-Replayed", "true")
	w.WriteHeader(kept.Status)
	_, _ = w.Write(kept.Body) // the client may have gone
}
