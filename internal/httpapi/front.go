package httpapi

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"daybook/internal/problem"
)

// front is the outermost handler.
type front struct {
	next   http.Handler
	logger *slog.Logger
	slow   time.Duration
	// origin refuses writes of other sites' pages. Such a page could use the browser of somebody
	// who can reach this server.
	origin *http.CrossOriginProtection
	hosts  hosts
	shared *sharing
	refuse func(path string) error

	document *huma.OpenAPI
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	record := &problem.Request{ID: requestID(r.Header.Get("X-Request-ID")), Client: clientOf(r.RemoteAddr)}
	r = r.WithContext(problem.NewContext(r.Context(), record))
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet // the server leaves the body out
	}
	joinLists(r.Header)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = http.MaxBytesReader(w, r.Body, MaxBodyBytes)
	}
	headers := w.Header()
	headers.Set("X-Request-ID", record.ID)
	headers.Set("X-Content-Type-Options", "nosniff")
	headers.Set("Cache-Control", "no-cache")
	headers.Set("Cross-Origin-Resource-Policy", "same-origin")
	answer := &answer{ResponseWriter: w}
	defer func() {
		if cause := recover(); cause != nil {
			f.panicked(answer, r, record, cause)
		}
		f.log(answer, r, record, time.Since(started))
	}()
	f.shared.expose(answer, r)
	if err := f.hosts.check(r); err != nil {
		problem.Write(answer, r, err)
		return
	}
	if f.shared.answerPreflight(answer, r) {
		return
	}
	if err := f.admit(r); err != nil {
		problem.Write(answer, r, err)
		return
	}
	f.next.ServeHTTP(answer, r)
}

// admit refuses requests of other sites' pages, and requests whose address or headers are too long.
func (f *front) admit(r *http.Request) error {
	if err := f.origin.Check(r); err != nil {
		return problem.CrossOrigin(err)
	}
	if fromElsewhere(r) && !f.shared.allows(r) {
		return problem.CrossOrigin(errors.New("a page of another site tried to read"))
	}
	if err := checkHead(r); err != nil {
		return err
	}
	if f.refuse != nil {
		return f.refuse(r.URL.Path)
	}
	return nil
}

func (f *front) panicked(w *answer, r *http.Request, record *problem.Request, cause any) {
	wrong := problem.Panicked(cause, debug.Stack())
	if w.status == 0 {
		problem.Write(w, r, wrong)
		return
	}
	// The response has begun, so all that can be done is to break it off.
	problem.Note(r.Context(), wrong)
	f.logger.ErrorContext(r.Context(), "answer broken off", "request_id", record.ID, "error", record.Cause())
	panic(http.ErrAbortHandler)
}

// log writes a line about a request. Most lines have the level debug, because a shop may have
// thousands of requests each second. A slow request is a warning, and a failed one is an error.
func (f *front) log(w *answer, r *http.Request, record *problem.Request, took time.Duration) {
	level, message := slog.LevelDebug, "request"
	switch {
	case w.status >= http.StatusInternalServerError && record.Cause() != nil:
		level, message = slog.LevelError, "request failed"
		if w.status == http.StatusServiceUnavailable {
			level = slog.LevelWarn
		}
	case took > f.slow && !w.streams:
		level, message = slog.LevelWarn, "request slow"
	}
	if !f.logger.Enabled(r.Context(), level) {
		return
	}
	attributes := []slog.Attr{
		slog.String("request_id", record.ID), slog.String("method", r.Method), slog.String("path", r.URL.EscapedPath()),
		slog.Int("status", w.status), slog.Int64("bytes", w.bytes), slog.Duration("took", took),
	}
	if cause := record.Cause(); cause != nil {
		attributes = append(attributes, slog.String("error", cause.Error()))
	}
	f.logger.LogAttrs(r.Context(), level, message, attributes...)
}

// requestID returns the id that the caller gave, if it can be written to a log. Otherwise it
// returns a new one.
func requestID(given string) string {
	if given != "" && len(given) <= 64 && strings.Trim(given, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:") == "" {
		return given
	}
	return uuid.NewString()
}

// answer is a ResponseWriter that notes the status and the size of the response.
type answer struct {
	http.ResponseWriter

	status  int
	bytes   int64
	streams bool // it was flushed before its end
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(data []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(data)
	a.bytes += int64(n)
	return n, err
}

// Flush lets a response stream.
func (a *answer) Flush() {
	a.streams = true
	if flusher, ok := a.ResponseWriter.(http.Flusher); ok {
		flusher.Flush()
	}
}

// Unwrap lets http.ResponseController find the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// unescapeVars decodes the variables of the path, because the router matches the encoded path.
func unescapeVars(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		vars := mux.Vars(r)
		var decoded map[string]string
		for name, value := range vars {
			if !strings.Contains(value, "%") {
				continue
			}
			plain, wrong := plainText(value, url.PathUnescape)
			if wrong != "" {
				problem.Write(w, r, problem.NotValid(problem.InParameter("path", name, wrong)))
				return
			}
			if decoded == nil {
				decoded = make(map[string]string, len(vars))
			}
			decoded[name] = plain
		}
		if decoded != nil {
			for name, value := range vars {
				if _, done := decoded[name]; !done {
					decoded[name] = value
				}
			}
			r = mux.SetURLVars(r, decoded)
		}
		next.ServeHTTP(w, r)
	})
}

// allowedMethods returns the methods that an address has.
func allowedMethods(router *mux.Router, r *http.Request) []string {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		try := r.WithContext(r.Context())
		try.Method = method
		var match mux.RouteMatch
		if router.Match(try, &match) && match.MatchErr == nil {
			allowed = append(allowed, method)
			if method == http.MethodGet {
				allowed = append(allowed, http.MethodHead)
			}
		}
	}
	return allowed
}
