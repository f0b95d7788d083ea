package httpapi

import (
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"daybook/internal/problem"
	"daybook/internal/ratelimit"
)

// Refusals counts the requests that were refused because of who sent them, by reason. A reason is
// the code of a problem, such as forbidden or rate-limited, or one of the two below. Its methods
// may be called by several goroutines.
type Refusals struct {
	mu     sync.Mutex
	counts map[string]uint64
	quiet  map[string]uint64 // how many refusals had no line in the log since the last line
	lines  *ratelimit.Limiter
}

// The reasons that are not codes of problems.
const (
	// ReasonWrongKey means that a request had a key that is not good. Without a key the reason is
	// credentials-required.
	ReasonWrongKey = "credentials-wrong"
	// ReasonNotOwned means that a request was about a thing of somebody else. The client got 404,
	// as if the thing did not exist.
	ReasonNotOwned = "not-owned"
)

// refusalReasons are the usual reasons. Their counts begin at 0, so that the first refusal is a
// change that a reader of the counts can see.
var refusalReasons = []string{
	problem.CodeCredentials, ReasonWrongKey, problem.CodeForbidden, problem.CodeFieldForbidden, problem.CodeCrossOrigin, problem.CodeProxyRequired,
	ReasonNotOwned, problem.CodeRateLimited, problem.CodeTooManyHere,
}

// refusalLines is how many lines a second the log gets for each reason. Further refusals are only
// counted, so that nobody can fill the log.
const refusalLines = 5

// NewRefusals makes a Refusals in which the count of each of these reasons is 0. Without reasons,
// these are the usual ones of the HTTP API.
func NewRefusals(reasons ...string) *Refusals {
	if len(reasons) == 0 {
		reasons = refusalReasons
	}
	counts := make(map[string]uint64)
	for _, reason := range reasons {
		counts[reason] = 0
	}
	return &Refusals{counts: counts, quiet: make(map[string]uint64), lines: ratelimit.New(refusalLines, burst)}
}

// Counts returns the counts by reason since the start of the program.
func (r *Refusals) Counts() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

// Note counts a refusal. It writes no line in the log.
func (r *Refusals) Note(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[reason]++
}

// line tells whether the log should have a line about a refusal. Then quiet is how many refusals
// with the same reason had no line since the last one.
func (r *Refusals) line(reason string) (write bool, quiet uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lines.Take(reason, time.Now()) > 0 {
		r.quiet[reason]++
		return false, 0
	}
	quiet = r.quiet[reason]
	delete(r.quiet, reason)
	return true, quiet
}

// reasonOf returns the reason if a response refuses a request because of who sent it. Otherwise it
// is empty.
func reasonOf(status int, record *problem.Request) string {
	refused := record.Refusal()
	switch {
	case refused.Hidden && status == http.StatusNotFound:
		return ReasonNotOwned
	case status == http.StatusUnauthorized && refused.Cause != nil:
		return ReasonWrongKey
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusTooManyRequests:
		return refused.Code
	}
	return ""
}

// noteRequest counts a request that was refused, and writes a line about it. The line has neither
// the wrong key nor the query, so it has no secret.
func (r *Refusals) noteRequest(logger *slog.Logger, status int, request *http.Request, record *problem.Request) {
	reason := reasonOf(status, record)
	if reason == "" {
		return
	}
	r.Note(reason)
	write, quiet := r.line(reason)
	if !write {
		return
	}
	refused := record.Refusal()
	attributes := []slog.Attr{
		slog.String("reason", reason), slog.Int("status", status), slog.String("request_id", record.ID), slog.String("client", record.Client),
		slog.String("who", record.Who.ID), slog.String("method", request.Method), slog.String("path", pathToLog(request)),
	}
	if refused.Cause != nil {
		attributes = append(attributes, slog.String("cause", refused.Cause.Error()))
	} else if refused.Detail != "" {
		attributes = append(attributes, slog.String("detail", refused.Detail))
	}
	if quiet > 0 {
		attributes = append(attributes, slog.Uint64("more_without_a_line", quiet))
	}
	logger.LogAttrs(request.Context(), slog.LevelWarn, "request refused", attributes...)
}
