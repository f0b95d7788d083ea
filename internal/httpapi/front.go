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

	"daybook/domain/access"
	"daybook/internal/problem"
)

// headerRequestID is X-Request-ID as net/http writes it. Another form would be converted each time.
const headerRequestID = "X-Request-Id"

// dataPolicy is for responses that are data and not pages. A browser that shows such a response
// loads nothing for it, and does not show it within another page. The page of the documentation has
// docsPolicy.
const dataPolicy = "default-src 'none'; frame-ancestors 'none'"

// front is the outermost handler.
type front struct {
	next   http.Handler
	logger *slog.Logger
	slow   time.Duration
	// origin refuses writes that a page of another site made a browser send. Without this check,
	// such a page could change the shop through the browser of somebody who can reach this server.
	origin *http.CrossOriginProtection
	hosts  hosts
	shared *sharing
	// proxies are believed when they say who their client is.
	proxies *proxies
	refuse  func(path string) error
	access  Access
	// observer is nil if nobody measures requests.
	observer   Observer
	allowances *Allowances
	guests     func() access.Principal // nil: a request without a key is refused
	refusals   *Refusals
	// open are the paths that need no credentials, in addition to the probes: those for signing in.
	open pathSet

	document *huma.OpenAPI
	router   *mux.Router
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	from := f.proxies.originOf(r)
	record := &problem.Request{ID: requestID(r.Header.Get(headerRequestID)), Client: from.client, Secure: from.secure}
	ctx := r.Context()
	if f.observer != nil {
		ctx = f.observer.Begin(ctx, r.Header)
	}
	r = r.WithContext(problem.NewContext(ctx, record))
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet // the server leaves the body out
	}
	joinLists(r.Header)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = http.MaxBytesReader(w, r.Body, MaxBodyBytes)
	}
	headers := w.Header()
	headers.Set(headerRequestID, record.ID)
	headers.Set("X-Content-Type-Options", "nosniff")
	headers.Set("Cache-Control", "no-cache")
	headers.Set("Cross-Origin-Resource-Policy", "same-origin")
	headers.Set("Content-Security-Policy", dataPolicy)
	headers.Set("Referrer-Policy", "no-referrer")
	if record.Secure {
		headers.Set("Strict-Transport-Security", "max-age=31536000") // a year
	}
	response := &response{ResponseWriter: w}
	if f.observer != nil {
		defer f.observe(response, r, record, started)
	}
	defer func() {
		if cause := recover(); cause != nil {
			f.panicked(response, r, record, cause)
		}
		f.refusals.noteRequest(f.logger, response.status, r, record)
		f.log(response, r, record, time.Since(started))
	}()
	f.shared.expose(response, r)
	if err := f.hosts.check(r); err != nil {
		problem.Write(response, r, err)
		return
	}
	if f.shared.respondPreflight(response, r) {
		return
	}
	if err := from.checkProxy(r.URL.EscapedPath()); err != nil {
		problem.Write(response, r, err)
		return
	}
	if err := f.admit(r, record); err != nil {
		problem.Write(response, r, err)
		return
	}
	f.next.ServeHTTP(response, r)
	f.noteSession(headers)
}

// admit refuses requests of other sites' pages, requests whose address or headers are too long,
// requests without good credentials, and requests over a limit.
func (f *front) admit(r *http.Request, record *problem.Request) error {
	if err := f.origin.Check(r); err != nil {
		return problem.CrossOrigin(err)
	}
	if fromElsewhere(r) && !f.shared.allows(r) {
		return problem.CrossOrigin(errors.New("a page of another site tried to read"))
	}
	if err := checkHead(r); err != nil {
		return err
	}
	if err := f.limited(r, record); err != nil {
		return err
	}
	if f.refuse != nil {
		return f.refuse(r.URL.EscapedPath())
	}
	return nil
}

func (f *front) panicked(w *response, r *http.Request, record *problem.Request, cause any) {
	wrong := problem.Panicked(cause, debug.Stack())
	if w.status == 0 {
		problem.Write(w, r, wrong)
		return
	}
	// The response has begun, so all that can be done is to break it off.
	problem.Note(r.Context(), wrong)
	f.logger.ErrorContext(r.Context(), "response broken off", "request_id", record.ID, "error", record.Cause())
	panic(http.ErrAbortHandler)
}

// log writes a line about a request. Most lines have the level debug, because a shop may have
// thousands of requests each second. A slow request is a warning, and a failed one is an error.
func (f *front) log(w *response, r *http.Request, record *problem.Request, took time.Duration) {
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
		slog.String("request_id", record.ID), slog.String("method", r.Method), slog.String("path", pathToLog(r)),
		slog.Int("status", w.status), slog.Int64("bytes", w.bytes), slog.Duration("took", took),
	}
	if cause := record.Cause(); cause != nil {
		attributes = append(attributes, slog.String("error", cause.Error()))
	}
	f.logger.LogAttrs(r.Context(), level, message, attributes...)
}

// secretMarks begin the secrets that a client may write into a path by mistake: keys, tokens of
// guests, of people (also those in links) and of wish lists, sessions, and what tells browsers
// apart.
var secretMarks = []string{"dbk_", "dbg_", "dbt_", "dbr_", "dbe_", "dbu_", "dbs_", "dbb_", "dbw_"}

// pathToLog returns the path of a request without secrets, without the id of a customer, and
// without e-mail addresses, because the program's log must not have personal data.
func pathToLog(r *http.Request) string {
	path := r.URL.EscapedPath()
	for _, mark := range secretMarks {
		if strings.Contains(path, mark) || strings.Contains(r.URL.Path, mark) {
			return "(it has a secret)"
		}
	}
	steps := strings.Split(path, "/")
	for i, step := range steps {
		if i > 0 && steps[i-1] == "customers" || strings.Contains(step, "@") || strings.Contains(step, "%40") {
			steps[i] = "-"
		}
	}
	return strings.Join(steps, "/")
}

// requestID returns the id that the caller gave, if it can be written to a log. Otherwise it
// returns a new one.
func requestID(given string) string {
	if given != "" && len(given) <= 64 && strings.Trim(given, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:") == "" {
		return given
	}
	return uuid.NewString()
}

// response is a ResponseWriter that notes the status and the size of the response.
type response struct {
	http.ResponseWriter

	status  int
	bytes   int64
	streams bool // it was flushed before its end
}

func (a *response) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *response) Write(data []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(data)
	a.bytes += int64(n)
	return n, err
}

// Flush lets a response stream.
func (a *response) Flush() {
	a.streams = true
	if flusher, ok := a.ResponseWriter.(http.Flusher); ok {
		flusher.Flush()
	}
}

// Unwrap lets http.ResponseController find the connection.
func (a *response) Unwrap() http.ResponseWriter { return a.ResponseWriter }

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
			if wrong != "" { // refuseFaults refuses the request
				problem.RequestOf(r.Context()).Fault(problem.InParameter("path", name, wrong))
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
