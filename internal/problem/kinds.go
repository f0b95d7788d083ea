package problem

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"daybook/eventstore"
)

// Codes of the API itself; the rules' codes are declared beside the rules. Like
// those, they are public contract.
const (
	CodeMalformed      = "request-malformed"
	CodeInvalid        = "request-invalid"
	CodeTooLarge       = "request-too-large"
	CodeMediaType      = "media-type-unsupported"
	CodeNotAcceptable  = "not-acceptable"
	CodeSlow           = "request-too-slow"
	CodeNotFound       = "not-found"
	CodeMethod         = "method-not-allowed"
	CodeCrossOrigin    = "cross-origin"
	CodeMisdirected    = "host-unknown-here"
	CodeAddressLong    = "address-too-long"
	CodeHeaderLong     = "headers-too-large"
	CodeTooManyHere    = "too-many-at-once"
	CodeKeyRequired    = "idempotency-key-required"
	CodeKeyReused      = "idempotency-key-reused"
	CodeStale          = "revision-stale"
	CodeConflict       = "conflict"
	CodeGone           = "stream-deleted"
	CodeOverloaded     = "overloaded"
	CodeUnavailable    = "unavailable"
	CodeTimeout        = "timeout"
	CodeOutcomeUnknown = "outcome-unknown"
	CodePositionNotYet = "position-not-reached"
	CodeDiverged       = "log-diverged"
	CodeBeyondHead     = "position-beyond-head"
)

// What a Retry-After says: how long callers should wait where it is known that
// waiting helps.
const (
	retrySoon            = time.Second
	retryWhenStoreIsBack = 2 * time.Second
)

// Malformed means the body could not be read as JSON at all.
func Malformed(detail string) *Document {
	return New(http.StatusBadRequest, CodeMalformed, detail)
}

// MaxFaults bounds how many faults of a request are looked for and told, so that
// neither the search nor the answer costs much more than what it answers.
const MaxFaults = 20

// NotValid means the request was understood and some of it cannot be. Of many
// faults the first MaxFaults are listed.
func NotValid(faults ...Invalid) *Document {
	d := New(http.StatusUnprocessableEntity, CodeInvalid, "The request is not valid.")
	d.Errors = faults
	switch n := len(faults); {
	case n == 1:
		d.Detail = faults[0].Detail
	case n >= MaxFaults:
		d.Errors = slices.Clone(faults[:MaxFaults])
		d.Detail = fmt.Sprintf("The request is not valid. The first %d faults are listed; there may be more.", MaxFaults)
	}
	return d
}

// InBody is a fault at a place of the body; pointer is a JSON pointer, such as
// "/lines/0/sku".
func InBody(pointer, detail string) Invalid {
	return Invalid{Detail: detail, Pointer: "#" + pointer}
}

// InParameter is a fault of a parameter; in is path, query or header.
func InParameter(in, name, detail string) Invalid {
	return Invalid{Detail: detail, In: in, Parameter: name}
}

// TooLarge means the request is over a limit, which is told in bytes or as what
// says.
func TooLarge(limit int64, what string) *Document {
	return New(http.StatusRequestEntityTooLarge, CodeTooLarge,
		fmt.Sprintf("The request is larger than %d %s.", limit, what)).With(map[string]any{"limit": limit})
}

// WrongForm means that the body is not plain JSON in UTF-8; detail says what it is.
func WrongForm(detail string) *Document {
	return New(http.StatusUnsupportedMediaType, CodeMediaType, detail)
}

// TooSlow means that the body did not arrive in time.
func TooSlow() *Document {
	return New(http.StatusRequestTimeout, CodeSlow, "The body came too slowly.")
}

// NotFound means there is nothing by that name; detail says what was looked for.
func NotFound(detail string) *Document {
	return New(http.StatusNotFound, CodeNotFound, detail)
}

// MethodNotAllowed means the address exists and knows other methods.
func MethodNotAllowed(method string, allowed []string) *Document {
	d := New(http.StatusMethodNotAllowed, CodeMethod, method+" is not for this address.")
	d.allow = strings.Join(allowed, ", ")
	return d
}

// CrossOrigin means that a page of another site made a browser send the request.
func CrossOrigin(cause error) *Document {
	return New(http.StatusForbidden, CodeCrossOrigin, "Pages of other sites may not send requests here.").because(cause)
}

// Misdirected means that the request is for a host whose name this server does not
// answer to. Its operator may not have named it, or a page of another site may have
// led a browser here.
func Misdirected(host string) *Document {
	if host == "" {
		return New(http.StatusMisdirectedRequest, CodeMisdirected, "The request names no host.")
	}
	return New(http.StatusMisdirectedRequest, CodeMisdirected, fmt.Sprintf(
		"This server does not answer to the host %q. It answers to localhost, to loopback addresses, and to names given by --public-host.", cut(host)))
}

// AddressTooLong means that the path or the query is over a limit; what says which.
func AddressTooLong(limit int, what string) *Document {
	return New(http.StatusRequestURITooLong, CodeAddressLong,
		fmt.Sprintf("The address has more than %d %s.", limit, what)).With(map[string]any{"limit": limit})
}

// HeadersTooLarge means that there are too many headers, or one is too long; what
// says which.
func HeadersTooLarge(limit int, what string) *Document {
	return New(http.StatusRequestHeaderFieldsTooLarge, CodeHeaderLong,
		fmt.Sprintf("The request has more than %d %s.", limit, what)).With(map[string]any{"limit": limit})
}

// TooManyAtOnce means that this client has as many of something open as one client
// may; what says of what.
func TooManyAtOnce(limit int, what string) *Document {
	return New(http.StatusTooManyRequests, CodeTooManyHere,
		fmt.Sprintf("%d %s are open from this address, which is as many as one may have; close one first.", limit, what)).
		With(map[string]any{"limit": limit}).retryIn(retrySoon)
}

// cut bounds what of a request is quoted in an answer.
func cut(text string) string {
	const most = 80 // bytes
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// KeyRequired means a write that moves stock or money came without an
// Idempotency-Key.
func KeyRequired() *Document {
	return New(http.StatusBadRequest, CodeKeyRequired,
		"This request moves stock or money and needs the header Idempotency-Key, so that repeating it cannot do it twice.")
}

// KeyReused means the Idempotency-Key was used for another request.
func KeyReused() *Document {
	return New(http.StatusUnprocessableEntity, CodeKeyReused, "The Idempotency-Key was used before, for another request.")
}

// Stale means that If-Match or If-None-Match does not hold. expected are the revisions that
// If-Match named, and actual is the one that the thing is at; below 0 it does not exist.
func Stale(expected []int64, actual int64) *Document {
	facts := make(map[string]any, 2)
	if actual >= 0 {
		facts["actual_revision"] = actual
	}
	detail := fmt.Sprintf("It is at revision %d, which the condition of the request does not allow: look at it again.", actual)
	switch {
	case actual < 0:
		detail = "It does not exist."
	case len(expected) == 1:
		facts["expected_revision"] = expected[0]
		detail = fmt.Sprintf("It is at revision %d, not %d: look at it again.", actual, expected[0])
	}
	return New(http.StatusPreconditionFailed, CodeStale, detail).With(facts)
}

// OtherBody means that a read's If-Match does not name the body that it would be answered
// with. revision is that of the thing in it; below 0 it has none.
func OtherBody(revision int64) *Document {
	d := New(http.StatusPreconditionFailed, CodeStale, "If-Match names other bodies than this read has now.")
	if revision >= 0 {
		d = d.With(map[string]any{"actual_revision": revision})
	}
	return d
}

// Overloaded means too much is waiting; the caller should come back.
func Overloaded(cause error) *Document {
	return New(http.StatusServiceUnavailable, CodeOverloaded, "Too much is waiting; come back later.").
		retryIn(retrySoon).because(cause)
}

// Unavailable means something the request needs cannot be reached now: the log, if
// the cause says so, or the database.
func Unavailable(cause error) *Document {
	missing := "The database"
	_, away := errors.AsType[*eventstore.UnavailableError](cause)
	_, denied := errors.AsType[*eventstore.DeniedError](cause)
	if away || denied {
		missing = "The log"
	}
	return New(http.StatusServiceUnavailable, CodeUnavailable, missing+" cannot be reached now; nothing was done.").
		retryIn(retryWhenStoreIsBack).because(cause)
}

// DatabaseSlow means that the database has not answered as long as a request may take.
func DatabaseSlow(cause error) *Document {
	return New(http.StatusServiceUnavailable, CodeTimeout, "The database has not answered in time; nothing more is done about it.").
		retryIn(retrySoon).because(cause)
}

// Starting means that the node is not open yet; reason says what it waits for.
func Starting(reason string, cause error) *Document {
	return New(http.StatusServiceUnavailable, CodeUnavailable, "Nothing was done: "+reason+".").
		retryIn(retryWhenStoreIsBack).because(cause)
}

// Stopping means that the node takes no more requests.
func Stopping(cause error) *Document {
	return New(http.StatusServiceUnavailable, CodeUnavailable, "The node is stopping; nothing was done.").
		retryIn(retryWhenStoreIsBack).because(cause)
}

// PositionNotReached means a read was asked to reflect a position and could not
// in time. The facts say how far it is.
func PositionNotReached(want, reached string, waited time.Duration) *Document {
	return New(http.StatusServiceUnavailable, CodePositionNotYet,
		fmt.Sprintf("After %s the read model is at position %s, not yet at %s.", waited.Round(time.Millisecond), reached, want)).
		With(map[string]any{"position": reached, "wanted": want}).retryIn(retrySoon)
}

// PositionBeyondHead means that events after a position were asked for which the log has
// not reached. Waiting does not help.
func PositionBeyondHead(position, head string) *Document {
	return New(http.StatusConflict, CodeBeyondHead,
		fmt.Sprintf("Position %s is beyond the head of the log, which is %s: it is of another log, or of one that was restored since. Go on from a position that this log has.", position, head)).
		With(map[string]any{"position": position, "head": head})
}

// OutcomeUnknown means that a request may have been done.
func OutcomeUnknown(cause error) *Document {
	if diverged, ok := errors.AsType[*eventstore.DivergedError](cause); ok {
		return New(http.StatusServiceUnavailable, CodeOutcomeUnknown,
			"It may have been done before the log was replaced, and may be lost with it: "+diverged.Error()).because(cause)
	}
	return New(http.StatusServiceUnavailable, CodeOutcomeUnknown,
		"Whether it was done is not known. Repeat it with the same Idempotency-Key to find out; it will not be done twice.").
		retryIn(retrySoon).because(cause)
}

// Diverged means that the log is not the one that was followed so far. Coming back
// does not help until somebody has decided what holds, unless it may pass.
func Diverged(found *eventstore.DivergedError) *Document {
	d := New(http.StatusServiceUnavailable, CodeDiverged, found.Error()).With(map[string]any{
		"keeper": found.Keeper, "position": found.At.String(), "expected": found.Expected, "found": found.Found,
	})
	if found.MayPass {
		d = d.retryIn(retryWhenStoreIsBack)
	}
	return d
}

func internal(cause error) *Document {
	return (&Document{
		Type: "about:blank", Title: http.StatusText(http.StatusInternalServerError), Status: http.StatusInternalServerError,
	}).because(cause)
}
