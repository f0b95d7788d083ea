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

// The codes of the API itself. The codes of the rules are declared with the rules. Clients depend
// on both, so a code never changes.
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

// Values of Retry-After: how long a caller should wait before it tries again.
const (
	retrySoon            = time.Second
	retryWhenStoreIsBack = 2 * time.Second
)

// Malformed means that the body is not JSON.
func Malformed(detail string) *Document {
	return New(http.StatusBadRequest, CodeMalformed, detail)
}

// MaxFaults is how many faults of a request are looked for and listed. Without this limit, a small
// request could make a large response.
const MaxFaults = 20

// NotValid means that the request could be read, but some of its values are not allowed. If there
// are many faults, only the first MaxFaults are listed.
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

// InBody is a fault in the body. pointer is a JSON pointer, such as "/lines/0/sku".
func InBody(pointer, detail string) Invalid {
	return Invalid{Detail: detail, Pointer: "#" + pointer}
}

// InParameter is a fault of a parameter; in is path, query or header.
func InParameter(in, name, detail string) Invalid {
	return Invalid{Detail: detail, In: in, Parameter: name}
}

// TooLarge means that the request is over a limit. The limit is in bytes, unless what names another
// unit.
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

// NotFound means that nothing has this name. detail says what was looked for.
func NotFound(detail string) *Document {
	return New(http.StatusNotFound, CodeNotFound, detail)
}

// MethodNotAllowed means that the address exists, but only with other methods.
func MethodNotAllowed(method string, allowed []string) *Document {
	d := New(http.StatusMethodNotAllowed, CodeMethod, method+" is not for this address.")
	d.allow = strings.Join(allowed, ", ")
	return d
}

// CrossOrigin means that a page of another site made a browser send the request.
func CrossOrigin(cause error) *Document {
	return New(http.StatusForbidden, CodeCrossOrigin, "Pages of other sites may not send requests here.").because(cause)
}

// Misdirected means that the request is for a host name that is not this server's. Its operator may
// have forgotten to set the name, or a page of another site may have sent a browser here.
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

// TooManyAtOnce means that this client has the most things open that one client may have. what
// names the things.
func TooManyAtOnce(limit int, what string) *Document {
	return New(http.StatusTooManyRequests, CodeTooManyHere,
		fmt.Sprintf("%d %s are open from this address, which is as many as one may have; close one first.", limit, what)).
		With(map[string]any{"limit": limit}).retryIn(retrySoon)
}

// cut shortens text of a request that a response quotes.
func cut(text string) string {
	const most = 80 // bytes
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// KeyRequired means that a write that moves stock or money has no Idempotency-Key.
func KeyRequired() *Document {
	return New(http.StatusBadRequest, CodeKeyRequired,
		"This request moves stock or money and needs the header Idempotency-Key, so that repeating it cannot do it twice.")
}

// KeyReused means that the Idempotency-Key was used for another request before.
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

// Unrevised means that a thing exists without a revision, but a condition names revisions of it or
// asks that it does not exist.
func Unrevised() *Document {
	return New(http.StatusPreconditionFailed, CodeStale, "What is asked for has no revision, and no condition but If-Match: * holds for it: leave the condition out.")
}

// OtherBody means that the If-Match of a read does not name the body that the response would have.
// revision is the revision of the thing in the body, or below 0 if it has none.
func OtherBody(revision int64) *Document {
	d := New(http.StatusPreconditionFailed, CodeStale, "If-Match names other bodies than this read has now.")
	if revision >= 0 {
		d = d.With(map[string]any{"actual_revision": revision})
	}
	return d
}

// Overloaded means that too many requests wait. The caller should try again later.
func Overloaded(cause error) *Document {
	return New(http.StatusServiceUnavailable, CodeOverloaded, "Too much is waiting; come back later.").
		retryIn(retrySoon).because(cause)
}

// Unavailable means that the request needs something that cannot be reached now. The cause says
// whether it is the log or the database.
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

// DatabaseSlow means that the database has not responded within the time that a request may take.
func DatabaseSlow(cause error) *Document {
	return New(http.StatusServiceUnavailable, CodeTimeout, "The database has not answered in time; nothing more is done about it.").
		retryIn(retrySoon).because(cause)
}

// Starting means that the node is not open yet; reason says what it waits for.
func Starting(reason string, cause error) *Document {
	return New(http.StatusServiceUnavailable, CodeUnavailable, "Nothing was done: "+reason+".").
		retryIn(retryWhenStoreIsBack).because(cause)
}

// Stopping means that the node is stopping and takes no more requests.
func Stopping(cause error) *Document {
	return New(http.StatusServiceUnavailable, CodeUnavailable, "The node is stopping; nothing was done.").
		retryIn(retryWhenStoreIsBack).because(cause)
}

// PositionNotReached means that a read should reflect a position that its view did not reach in
// time. The facts say which position the view has reached.
func PositionNotReached(want, reached string, waited time.Duration) *Document {
	return New(http.StatusServiceUnavailable, CodePositionNotYet,
		fmt.Sprintf("After %s the read model is at position %s, not yet at %s.", waited.Round(time.Millisecond), reached, want)).
		With(map[string]any{"position": reached, "wanted": want}).retryIn(retrySoon)
}

// PositionBeyondHead means that a client asks for events after a position that the log has not
// reached. It does not help to wait.
func PositionBeyondHead(position, head string) *Document {
	return New(http.StatusConflict, CodeBeyondHead,
		fmt.Sprintf("Position %s is beyond the head of the log, which is %s: it is of another log, or of one that was restored since. Go on from a position that this log has.", position, head)).
		With(map[string]any{"position": position, "head": head})
}

// OutcomeUnknown means that the request may have been carried out, or not.
func OutcomeUnknown(cause error) *Document {
	if diverged, ok := errors.AsType[*eventstore.DivergedError](cause); ok {
		return New(http.StatusServiceUnavailable, CodeOutcomeUnknown,
			"It may have been done before the log was replaced, and may be lost with it: "+diverged.Error()).because(cause)
	}
	return New(http.StatusServiceUnavailable, CodeOutcomeUnknown,
		"Whether it was done is not known. Repeat it with the same Idempotency-Key to find out; it will not be done twice.").
		retryIn(retrySoon).because(cause)
}

// Diverged means that the log is not the log that this node has read so far. It does not help to
// try again until an operator has decided which log is right, unless the error says that it may
// pass.
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
