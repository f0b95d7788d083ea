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
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"

	"daybook/commands"
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
		case key == "" && required:
			problem.Write(w, r, problem.KeyRequired())
		case key == "":
			next(ctx)
		case len(key) > maxKey:
			problem.Write(w, r, problem.NotValid(problem.InParameter("header", headerKey, "want at most 255 characters")))
		case !printable(key) || !printable(r.Header.Get(headerActor)):
			// Key and actor are the key of a database row, and are looked up together with
			// those of other requests.
			problem.Write(w, r, problem.NotValid(problem.InParameter("header", headerKey, "only printable ASCII is allowed, in Daybook-Actor too")))
		default:
			if err := k.serve(ctx, scopedKey{scopeOf(r.Header.Get(headerActor)), key}, next); err != nil {
				problem.Write(w, r, err)
			}
		}
	}
}

func (k *keys) serve(ctx huma.Context, key scopedKey, next func(huma.Context)) error {
	r, w := humamux.Unwrap(ctx)
	body, err := io.ReadAll(r.Body)
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
	kept, err := k.answers.Find(limited, key.scope, key.key)
	if err != nil {
		return problem.Unavailable(err)
	}
	if kept != nil && kept.Status < http.StatusBadRequest { // earlier versions kept refusals
		if !bytes.Equal(kept.RequestHash, hash) && !bytes.Equal(kept.RequestHash, hashBefore(r, body)) {
			return problem.KeyReused()
		}
		// The response describes a log that may have been replaced.
		if err := k.holds(limited); err != nil {
			return err
		}
		replay(w, kept)
		return nil
	}
	changed := false
	noted := context.WithValue(r.Context(), changedKey{}, &changed)
	repeatable := r.WithContext(context.WithValue(noted, requestKey{}, requestText(hash)))
	repeatable.Body = io.NopCloser(bytes.NewReader(body))
	record := &recorder{header: make(http.Header), status: http.StatusOK}
	next(humamux.NewContext(ctx.Operation(), repeatable, record))
	if changed && record.status < http.StatusBadRequest {
		k.answers.Keep(record.answer(key, hash))
	}
	record.writeTo(w)
	return nil
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

// changedKey is the context key of a *bool. It is set to true if the request changed
// something.
type changedKey struct{}

// noteChange says that the request changed something, now or when it was first
// made.
func noteChange(ctx context.Context) {
	if changed, ok := ctx.Value(changedKey{}).(*bool); ok {
		*changed = true
	}
}

// hashOf is the hash by which requests are compared: of method, path, query, media type,
// preconditions, effective time and body. The order of the query's parameters does not matter. The
// parameters of the content type, such as a charset, do not matter either.
func hashOf(r *http.Request, body []byte) []byte {
	contentType := ""
	if len(body) > 0 {
		contentType = r.Header.Get("Content-Type")
		if mediaType, _, err := mime.ParseMediaType(contentType); err == nil {
			contentType = mediaType
		}
	}
	parts := []string{
		r.Method, r.URL.EscapedPath(), r.URL.Query().Encode(), contentType,
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
	for _, part := range parts {
		_, _ = io.WriteString(hash, part+"\x00")
	}
	_, _ = hash.Write(body)
	return hash.Sum(nil)
}

// requestKey is the context key of requestText. The text is recorded with the events
// (eventstore.Metadata.Request), so it is still known after the kept answer was removed.
type requestKey struct{}

// requestText is the short form of a request's hash. It begins with a version number and a
// point. Raise the number when hashOf changes, so that a request with an older hash still
// counts as the same request.
func requestText(hash []byte) string {
	return "1." + base64.RawURLEncoding.EncodeToString(hash[:16])
}

func replay(w http.ResponseWriter, kept *commands.KeptAnswer) {
	for name, value := range kept.Headers {
		w.Header().Set(name, value)
	}
	w.Header().Set("Idempotency-Replayed", "true")
	w.WriteHeader(kept.Status)
	_, _ = w.Write(kept.Body) // the client may have gone
}

// recorder keeps a response in memory until it is known whether the response is kept under the
// key.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (rec *recorder) Header() http.Header               { return rec.header }
func (rec *recorder) WriteHeader(status int)            { rec.status = status }
func (rec *recorder) Write(data []byte) (int, error)    { return rec.body.Write(data) }
func (rec *recorder) SetReadDeadline(_ time.Time) error { return nil } // the body is here already

func (rec *recorder) answer(key scopedKey, hash []byte) commands.KeptAnswer {
	headers := make(map[string]string, len(rec.header))
	for name := range rec.header {
		headers[name] = rec.header.Get(name)
	}
	return commands.KeptAnswer{
		Scope: key.scope, Key: key.key, RequestHash: hash,
		Status: rec.status, Headers: headers, Body: rec.body.Bytes(),
	}
}

func (rec *recorder) writeTo(w http.ResponseWriter) {
	for name, values := range rec.header {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.status)
	_, _ = w.Write(rec.body.Bytes()) // the client may have gone
}
