package problem

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"daybook/domain/access"
	"daybook/eventstore"
	"daybook/eventstore/sealing"
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
	CodeCredentials    = "credentials-required"
	CodeForbidden      = "forbidden"
	CodeSignIn         = "sign-in-refused"
	CodeSignInDelayed  = "sign-in-delayed"
	CodeSession        = "session-required"
	CodeNoMail         = "mail-not-set-up"
	CodeFieldForbidden = "field-forbidden"

	CodeWebhookForged     = "webhook-forged"
	CodeWebhookUnreadable = "webhook-unreadable"
	CodeWebhookProvider   = "webhook-provider-unknown"

	CodeOutsideScope   = "outside-scope"
	CodeMisdirected    = "host-unknown-here"
	CodeProxyRequired  = "proxy-required"
	CodeAddressLong    = "address-too-long"
	CodeHeaderLong     = "headers-too-large"
	CodeTooManyHere    = "too-many-at-once"
	CodeRateLimited    = "rate-limited"
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
	d := New(http.StatusMethodNotAllowed, CodeMethod, "This address does not accept "+method+".")
	d.allow = strings.Join(allowed, ", ")
	return d
}

// Unauthenticated means that a request has no credentials, or that they are not good. The caller
// does not learn why they are not good, but the program's log has the cause.
func Unauthenticated(cause error) *Document {
	detail := "Send an API key (Authorization: Bearer dbk_...), or sign in."
	challenge := `Bearer realm="daybook"`
	if cause != nil {
		detail = "The API key, the token or the session is not good here. It may be misspelt, revoked or expired."
		challenge += `, error="invalid_token"`
	}
	d := New(http.StatusUnauthorized, CodeCredentials, detail).because(cause)
	d.challenge = challenge
	return d
}

// AskPassword lets a browser ask the reader for a name and a password.
func (d *Document) AskPassword() *Document {
	d.challenge = `Basic realm="Daybook: any name, and an API key as the password", charset="UTF-8"`
	return d
}

// Forbidden means that the caller is known and lacks a permission.
func Forbidden(permission access.Permission) *Document {
	return New(http.StatusForbidden, CodeForbidden, fmt.Sprintf("You do not have the permission %s.", permission)).
		With(map[string]any{"permission": permission})
}

// FieldsForbidden means that the request has members, parameters or headers that need a permission
// of their own, which the caller lacks.
func FieldsForbidden(fields ...Invalid) *Document {
	d := New(http.StatusForbidden, CodeFieldForbidden, "The request has members, parameters or headers that need a permission which you do not have.")
	d.Errors = fields
	return d
}

// ForbiddenByScope means that the caller's role has a permission, and that the key lacks it because
// it is limited to locations or channels.
func ForbiddenByScope(permission access.Permission) *Document {
	return New(http.StatusForbidden, CodeForbidden, fmt.Sprintf("A key that is limited to locations or channels does not have the permission %s, because it would reach past them.", permission)).
		With(map[string]any{"permission": permission})
}

// OutsideScope means that the caller's key is limited to other locations or channels.
func OutsideScope(e *access.ScopeError) *Document {
	facts := map[string]any{}
	if e.Location != "" {
		facts["location"] = e.Location
	} else {
		facts["channel"] = e.Channel
	}
	return New(http.StatusForbidden, CodeOutsideScope, e.Error()).With(facts)
}

// SignInRefused means that a password, a code or a token of a sign-in is not good. The caller does
// not learn which one, or whether there is such a person.
func SignInRefused() *Document {
	d := New(http.StatusUnauthorized, CodeSignIn, "The sign-in is refused. The address, the password or the code is wrong, or the access has ended.")
	d.challenge = `Bearer realm="daybook"`
	return d
}

// SignInDelayed means that too many tries have failed, or that somebody has asked too often for a
// new password. The next try is allowed after the given time.
func SignInDelayed(after time.Duration) *Document {
	return New(http.StatusTooManyRequests, CodeSignInDelayed, "There were too many tries. Wait before the next one. In a browser that is known for you, tries of others do not delay you: a link by mail (request-reset) makes your browser known, and so does a token of an admin.").retryIn(after)
}

// SessionRequired means that only a person who has signed in can do this, and the caller has no
// session.
func SessionRequired() *Document {
	return New(http.StatusForbidden, CodeSession, "Only a person who has signed in can do this. Your request has an API key, or the server has no access control.")
}

// WebhookForged means that a message is not signed by the provider that it names, or that its
// signature is too old.
func WebhookForged() *Document {
	return New(http.StatusForbidden, CodeWebhookForged, "The message is not signed by the provider, or its signature is older than five minutes. Compare the secret and the clock of this server with the provider's.")
}

// WebhookProvider means that no provider of this name reports to this program.
func WebhookProvider() *Document {
	return New(http.StatusNotFound, CodeWebhookProvider, "No provider of this name reports here.")
}

// WebhookUnreadable means that a provider has signed a message that the program cannot read.
func WebhookUnreadable() *Document {
	return New(http.StatusUnprocessableEntity, CodeWebhookUnreadable, "The message is signed, but it does not have the form that this program knows.")
}

// NoMail means that the server has no mail server, so it cannot send what is asked for.
func NoMail() *Document {
	return New(http.StatusConflict, CodeNoMail, "This server sends no mail, because no mail server is set up (--smtp-url). Ask an admin for a token with which you can set a new password.")
}

// HeaderRequired means that a request in a session changes something, and lacks the header that
// pages of other sites cannot send.
func HeaderRequired(name string) *Document {
	return New(http.StatusForbidden, CodeCrossOrigin, "A request that changes something in a session needs the header "+name+", with any value. Pages of other sites cannot send it.")
}

// CrossOrigin means that a page of another site made a browser send the request.
func CrossOrigin(cause error) *Document {
	return New(http.StatusForbidden, CodeCrossOrigin, "Pages of other sites may not send requests here.").because(cause)
}

// ProxyRequired means that a request did not come through the proxy in front of the server, and had
// no TLS. So others may have read its key.
func ProxyRequired() *Document {
	return New(http.StatusForbidden, CodeProxyRequired, "This server is reached through its proxy only. The request came past it, without TLS. If it had a key, replace the key.")
}

// Misdirected means that the request is for a host name that is not this server's. The server's
// operator may have forgotten to set the name, or a page of another site may have sent a browser
// here.
func Misdirected(host string) *Document {
	if host == "" {
		return New(http.StatusMisdirectedRequest, CodeMisdirected, "The request names no host.")
	}
	return New(http.StatusMisdirectedRequest, CodeMisdirected, fmt.Sprintf(
		"The host %q is not a name of this server. Its names are localhost, the loopback addresses, and the names in --public-host.", cut(host)))
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

// RateLimited means that somebody sends more requests than perSecond. what and by say which
// requests count together, such as "requests" and "from one address". wait is the time until one
// more request is served.
func RateLimited(perSecond float64, what, by string, wait time.Duration) *Document {
	return New(http.StatusTooManyRequests, CodeRateLimited,
		fmt.Sprintf("There are more than %g %s each second %s. Wait, and send fewer.", perSecond, what, by)).
		With(map[string]any{"per_second": perSecond}).retryIn(wait)
}

// TooManyAtOnce means that this client already has as many things open as one client may have. what
// names the things, such as "live streams". by says who counts as a client, such as "from one
// address".
func TooManyAtOnce(limit int, what, by string) *Document {
	return New(http.StatusTooManyRequests, CodeTooManyHere,
		fmt.Sprintf("%d %s are open %s, and more are not allowed. Close one first.", limit, what, by)).
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
		"This request moves stock or money. It needs the header Idempotency-Key, so that it is not carried out twice if it is repeated.")
}

// KeyReused means that the Idempotency-Key was used for another request before.
func KeyReused() *Document {
	return New(http.StatusUnprocessableEntity, CodeKeyReused, "The Idempotency-Key was used before, for another request.")
}

// Stale means that If-Match or If-None-Match does not hold. expected are the revisions that
// If-Match named. actual is the present revision of the thing, or below 0 if the thing does not
// exist.
func Stale(expected []int64, actual int64) *Document {
	facts := make(map[string]any, 2)
	if actual >= 0 {
		facts["actual_revision"] = actual
	}
	detail := fmt.Sprintf("The present revision is %d, which the condition of the request does not allow. Read it again.", actual)
	switch {
	case actual < 0:
		detail = "It does not exist."
	case len(expected) == 1:
		facts["expected_revision"] = expected[0]
		detail = fmt.Sprintf("The present revision is %d, not %d. Read it again.", actual, expected[0])
	}
	return New(http.StatusPreconditionFailed, CodeStale, detail).With(facts)
}

// Unrevised means that the condition of a request cannot be met, because the thing exists and has
// no revision, such as a process. The condition names a revision (If-Match: "4"), or it asks that
// the thing does not exist (If-None-Match: *).
func Unrevised() *Document {
	return New(http.StatusPreconditionFailed, CodeStale, "The thing that you asked for has no revision. Only the condition If-Match: * fits it, so leave the condition out.")
}

// OtherBody means that the If-Match of a read does not name the body that the response would have.
// revision is the revision of the thing in the body, or below 0 if it has none.
func OtherBody(revision int64) *Document {
	d := New(http.StatusPreconditionFailed, CodeStale, "The body of the response would have none of the ETags in If-Match. The body may have changed since you got those ETags, or they are wrong.")
	if revision >= 0 {
		d = d.With(map[string]any{"actual_revision": revision})
	}
	return d
}

// Overloaded means that too many requests wait. The caller should try again later.
func Overloaded(cause error) *Document {
	return New(http.StatusServiceUnavailable, CodeOverloaded, "Too many requests are waiting. Try again later.").
		retryIn(retrySoon).because(cause)
}

// Unavailable means that the request needs something that cannot be reached now. The cause says
// whether it is the log, the database or the keys of personal texts.
func Unavailable(cause error) *Document {
	missing := "The database"
	_, away := errors.AsType[*eventstore.UnavailableError](cause)
	_, denied := errors.AsType[*eventstore.DeniedError](cause)
	if away || denied {
		missing = "The log"
	}
	if sealing.IsKeyAway(cause) {
		missing = "The keys of personal texts"
	}
	return New(http.StatusServiceUnavailable, CodeUnavailable, missing+" cannot be reached now; nothing was done.").
		retryIn(retryWhenStoreIsBack).because(cause)
}

// DatabaseSlow means that the database has not responded within the time that a request may take.
func DatabaseSlow(cause error) *Document {
	return New(http.StatusServiceUnavailable, CodeTimeout, "The database did not answer in time. Nothing more will be done.").
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
		fmt.Sprintf("After %s the read model has reached position %s, and not yet %s.", waited.Round(time.Millisecond), reached, want)).
		With(map[string]any{"position": reached, "wanted": want}).retryIn(retrySoon)
}

// PositionBeyondHead means that a client asks for events after a position that the log has not
// reached. It does not help to wait.
func PositionBeyondHead(position, head string) *Document {
	return New(http.StatusConflict, CodeBeyondHead,
		fmt.Sprintf("The log has not reached position %s; its last event is at %s. The position belongs to another log, or the log was restored since then. Continue from a position that this log has.", position, head)).
		With(map[string]any{"position": position, "head": head})
}

// OutcomeUnknown means that the request may have been carried out, or not.
func OutcomeUnknown(cause error) *Document {
	if diverged, ok := errors.AsType[*eventstore.DivergedError](cause); ok {
		return New(http.StatusServiceUnavailable, CodeOutcomeUnknown,
			"The request may have been carried out before the log was replaced, and may be lost with the old log: "+diverged.Error()).because(cause)
	}
	return New(http.StatusServiceUnavailable, CodeOutcomeUnknown,
		"It is not known whether the request was carried out. Repeat it with the same Idempotency-Key to find out. It will not be carried out twice.").
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
