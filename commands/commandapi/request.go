package commandapi

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/etag"
	"daybook/internal/problem"
)

const (
	maxBodyBytes  = 16 << 10
	maxLinesBytes = 512 << 10 // of a body with lines
	maxKey        = 255

	headerKey   = "Idempotency-Key"
	headerActor = "Daybook-Actor"

	headerGuest = "Daybook-Guest-Token"

	headerOccurredAt  = "Daybook-Occurred-At"
	headerChannel     = "Daybook-Channel"
	headerCorrelation = "X-Correlation-ID"
	headerTrace       = "Traceparent"

	// The values of Headers that stand for none.
	defaultActor, defaultChannel = "anonymous", "api"
)

// Headers are the headers that every write to the log may have. What Daybook-Actor says is believed
// only without access control. With it, the actor is who sends the request.
type Headers struct {
	Key         string `header:"Idempotency-Key" maxLength:"255" doc:"Makes repeating this request harmless: the same key with the same request gets the first answer again."`
	IfMatch     string `header:"If-Match" doc:"ETags of the thing, separated by commas. The write happens only if it is at the revision that one of them names, otherwise 412. With * it must exist."`
	IfNoneMatch string `header:"If-None-Match" doc:"With * the write happens only if the thing does not exist yet, otherwise 412. With ETags it must be at none of their revisions."`
	Actor       string `header:"Daybook-Actor" maxLength:"128" default:"anonymous" example:"operator:eve" doc:"Who asks. It is recorded with every event."`
	Channel     string `header:"Daybook-Channel" needs:"fields.trusted" maxLength:"32" default:"api" example:"web" doc:"Where it comes from. It is recorded with every event."`
	Correlation string `header:"X-Correlation-ID" maxLength:"128" doc:"Joins everything that follows from one request of yours. By default the trace id, or the request id."`
	Trace       string `header:"Traceparent" maxLength:"128" doc:"A W3C trace context. It is recorded with every event."`
	OccurredAt  string `header:"Daybook-Occurred-At" needs:"fields.trusted" format:"date-time" doc:"When it took effect, if not now. From 1990-01-01 to a day from now, unless the server has other bounds."`
}

func (h *Headers) common() *Headers { return h }

// ProcessHeaders are the headers of routes about processes. A process has neither a revision nor a
// stream, so these routes document no condition and no header that is recorded with events. A
// condition is read all the same, because it must not be ignored (see allowed).
type ProcessHeaders struct {
	IfMatch     string `header:"If-Match" hidden:"true"`
	IfNoneMatch string `header:"If-None-Match" hidden:"true"`
}

func (h *ProcessHeaders) common() *Headers {
	return &Headers{IfMatch: h.IfMatch, IfNoneMatch: h.IfNoneMatch}
}

// allowed refuses conditions that no process meets. A process has no revision, and it always
// exists.
func allowed(condition *aggregate.Condition) error {
	if condition != nil && (condition.At != nil || condition.Empty) {
		return problem.Unrevised()
	}
	return nil
}

// requiredKey documents the header where it is needed.
func requiredKey() *huma.Param {
	return &huma.Param{
		Name: headerKey, In: "header", Required: true,
		Description: "Makes repeating this request harmless: the same key with the same request gets the first answer again. It is needed here, because a repeat without a key would move stock or money twice.",
		Schema:      &huma.Schema{Type: huma.TypeString, MinLength: new(1), MaxLength: new(maxKey)},
	}
}

// call is what is known of a request beside its body: who asks, under which command id, and
// with which preconditions.
type call struct {
	commands.Call
}

func (a *api) newCall(ctx context.Context, needs access.Permission, h *Headers) (call, error) {
	var c check
	who := problem.RequestOf(ctx).Who
	meta := a.metadata(&c, h)
	if meta.Channel == defaultChannel {
		meta.Channel = who.Scope.Channel(defaultChannel)
	}
	if who.ID != access.Everyone.ID {
		meta.Actor = who.ID // package httpapi has refused another Daybook-Actor
		meta.ActingFor = string(who.ActsFor)
	}
	if meta.CorrelationID == "" {
		meta.CorrelationID = traceID(meta.Trace)
	}
	if meta.CorrelationID == "" {
		meta.CorrelationID = problem.RequestOf(ctx).ID
	}
	meta.Request = requestOf(ctx)
	condition := conditionOf(&c, h)
	var err error
	if meta.CommandID, err = commandID(scopeOf(who, h.Actor), h.Key); err != nil {
		return call{}, err
	}
	if needs == access.Open { // the sender may be nobody
		return call{commands.Call{Meta: meta, If: condition, Who: who}}, c.err()
	}
	return call{commands.Call{Meta: meta, If: condition, Who: who, Needs: needs}}, cmp.Or(checkReach(who, needs), c.err())
}

// metadata reads what the headers say about an event.
func (a *api) metadata(c *check, h *Headers) eventstore.Metadata {
	meta := eventstore.Metadata{
		Actor: visible(c, headerActor, h.Actor), Channel: visible(c, headerChannel, h.Channel),
		CorrelationID: visible(c, headerCorrelation, h.Correlation), Trace: visible(c, headerTrace, h.Trace),
	}
	if h.OccurredAt != "" {
		at, err := time.Parse(time.RFC3339Nano, h.OccurredAt)
		if err != nil {
			c.fault(problem.InParameter("header", headerOccurredAt, "want a time such as 2026-01-31T12:00:00Z"))
		} else if err := a.service.TimeBounds().Check(at, a.service.Now()); err != nil {
			c.fault(problem.InParameter("header", headerOccurredAt, err.Error()))
		}
		meta.OccurredAt = at.UTC()
	}
	return meta
}

// checkHeaders notes the faults of headers before the body is decoded, so that one answer names
// them and the faults of the body.
func (a *api) checkHeaders(ctx huma.Context, next func(huma.Context)) {
	var c check
	a.metadata(&c, &Headers{
		Actor: ctx.Header(headerActor), Channel: ctx.Header(headerChannel), Correlation: ctx.Header(headerCorrelation),
		Trace: ctx.Header(headerTrace), OccurredAt: ctx.Header(headerOccurredAt),
	})
	visible(&c, headerKey, ctx.Header(headerKey))
	problem.RequestOf(ctx.Context()).Fault(c.faults...)
	next(ctx)
}

// inScope refuses a request whose path or whose channel is outside the scope of the sender's key.
// It comes before the answers that are kept under idempotency keys. A location in a body is refused
// later, when the command is carried out.
func inScope(ctx huma.Context, next func(huma.Context)) {
	scope := problem.RequestOf(ctx.Context()).Who.Scope
	var err error
	if location, bad := unit.ParseLocationID(ctx.Param("location")); bad == nil && ctx.Param("location") != "" {
		err = scope.ReachesLocations(location)
	}
	if channel := ctx.Header(headerChannel); channel != "" {
		err = cmp.Or(err, scope.ReachesChannel(channel))
	}
	if err != nil {
		r, w := humamux.Unwrap(ctx)
		problem.Write(w, r, err)
		return
	}
	next(ctx)
}

// commandID derives from the caller's key, so that a repeated request is the
// same command, on any node and after any crash.
func commandID(scope, key string) (uuid.UUID, error) {
	if key == "" {
		return uuid.NewV7()
	}
	return CommandOf(scope, key), nil
}

// CommandOf is the command id of a request with an idempotency key. scope says whose key it is, as
// scopeOf does.
func CommandOf(scope, key string) uuid.UUID {
	return uuid.UUID(unit.RequestCommand.Of(scope, key).UUID())
}

// CommandOfKept is the command id of the request of a kept answer. It takes off the scope what
// keptScope has added.
func CommandOfKept(answer commands.KeptAnswer) uuid.UUID {
	scope := answer.Scope
	if access.AuthenticatedPrefix(scope) != "" { // other actors choose their names, and nothing is added to them
		scope, _, _ = strings.Cut(scope, keptAs)
		scope, _, _ = strings.Cut(scope, keptLimited)
		scope = strings.TrimSuffix(scope, keptImpersonal)
	}
	return CommandOf(scope, answer.Key)
}

// What keptScope adds to a scope. Ids of authenticated actors and of customers have no spaces.
const (
	keptAs         = " as "
	keptLimited    = " limited to "
	keptImpersonal = " without personal data"
)

// scopeOf is the scope of a principal's idempotency keys. Two principals may use the same key for
// different requests, and so may one that acts for two customers. The customer of a token of an
// identity provider is a claim, which may change. So two customers under one subject are two
// principals here. Without access control, the actor that the request names is the scope.
func scopeOf(who access.Principal, actor string) string {
	switch {
	case who.ID == access.Everyone.ID && actor == "":
		return defaultActor
	case who.ID == access.Everyone.ID:
		return actor
	}
	scope := who.ID
	if isTokenHolder(who) && who.Customer != "" {
		scope += " of customer " + string(who.Customer)
	}
	if who.ActsFor != "" {
		scope += " for " + string(who.ActsFor)
	}
	return scope
}

// keptScope is the scope of the kept answers of a principal, of which scope is the scope of its
// keys. A principal whose rights have changed does not get an answer that it may not see any more.
// For example it may have lost the permission for everything and kept it for its own things. Then
// the request is decided again under the same command id, so it has no second effect.
func keptScope(scope string, who access.Principal, needs access.Permission) string {
	if isTokenHolder(who) {
		scope += keptAs + string(who.Role) // a claim of the token, as the customer is
	}
	if owner, limited := who.Owned(needs); limited {
		scope += keptLimited + string(owner)
	}
	if !who.SeesPersonal(needs) {
		scope += keptImpersonal
	}
	return scope
}

// isTokenHolder tells whether a principal has a token of an identity provider.
func isTokenHolder(who access.Principal) bool {
	return access.AuthenticatedPrefix(who.ID) == access.OIDCPrefix
}

// checkReach refuses a principal who has a permission only for its own things, and owns none.
func checkReach(who access.Principal, needs access.Permission) error {
	if owner, limited := who.Owned(needs); limited && owner == "" {
		return problem.Forbidden(needs)
	}
	return nil
}

// conditionOf reads the preconditions of a write. An ETag begins with the revision of the
// aggregate, and only the revision is compared. The rest of the tag differs between bodies
// that show the same revision.
func conditionOf(c *check, h *Headers) *aggregate.Condition {
	if h.IfMatch == "" && h.IfNoneMatch == "" {
		return nil
	}
	read := func(name, header string) (list etag.List) {
		if header == "" {
			return list
		}
		list, err := etag.Parse(header)
		if err != nil {
			c.fault(problem.InParameter("header", name, err.Error()))
		}
		return list
	}
	match, none := read("If-Match", h.IfMatch), read("If-None-Match", h.IfNoneMatch)
	condition := &aggregate.Condition{Exists: match.Any, Empty: none.Any, NotAt: none.Revisions()}
	if h.IfMatch != "" && !match.Any {
		condition.At = match.Revisions()
	}
	return condition
}

// visible refuses a header with characters that are not printable ASCII, because the header
// goes into logs and into the metadata of events.
func visible(c *check, header, text string) string {
	if !printable(text) {
		c.fault(problem.InParameter("header", header, "only printable ASCII is allowed"))
		return ""
	}
	return text
}

func printable(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// note reads a free text from the query.
func note(c *check, name, text string) string {
	if fault := unit.TextFault(text, unit.MaxNote); fault != "" {
		c.fault(problem.InParameter("query", name, fault))
	}
	return text
}

// oneLine reads a short text of the body.
func oneLine(c *check, pointer, text string) string {
	if fault := unit.LineFault(text, unit.MaxReference); fault != "" {
		c.fault(problem.InBody(pointer, fault))
	}
	return text
}

// traceID is the second field of a traceparent.
func traceID(traceparent string) string {
	_, rest, _ := strings.Cut(traceparent, "-")
	id, _, _ := strings.Cut(rest, "-")
	return id
}

// absorbedIfHidden returns the accounts that were merged into the caller's own, if a request was
// refused because its thing is somebody else's. The thing may belong to one of them. Only such a
// request pays for this look. The error is that of the request, or of the look.
func (a *api) absorbedIfHidden(ctx context.Context, c call, err error) ([]unit.CustomerID, error) {
	if _, hidden := errors.AsType[*access.HiddenError](err); !hidden {
		return nil, err
	}
	absorbed, failed := a.service.AbsorbedBy(ctx, c.Who, c.Needs)
	return absorbed, cmp.Or(failed, err)
}

// derive makes an id for a thing that this request creates. The id is the same each time the
// request is repeated under its key.
func (c call) derive(what *unit.Derivation) string { return what.Of(c.Meta.CommandID.String()).ID() }

// then is the call of a further step of the same request. Its command id derives from the
// request's.
func (c call) then(step string) commands.Call {
	next := commands.Call{Meta: c.Meta, Who: c.Who, Needs: c.Needs, Absorbed: c.Absorbed}
	next.Meta.CommandID = uuid.UUID(unit.StepCommand.Of(step, c.Meta.CommandID.String()).UUID())
	next.Meta.CausationID = c.Meta.CommandID.String()
	return next
}

// check collects what is wrong with a request.
type check struct {
	faults []problem.Invalid
	// forbidden are members that the caller may not send.
	forbidden []problem.Invalid
}

func (c *check) fault(f problem.Invalid) { c.faults = append(c.faults, f) }

func (c *check) err() error {
	switch {
	case len(c.forbidden) > 0:
		return problem.FieldsForbidden(c.forbidden...)
	case len(c.faults) > 0:
		return problem.NotValid(c.faults...)
	}
	return nil
}

// inPath reads a path parameter.
func inPath[T any](c *check, name, value string, parse func(string) (T, error)) T {
	parsed, err := parse(value)
	if err != nil {
		c.fault(problem.InParameter("path", name, err.Error()))
	}
	return parsed
}

// inBody reads a member of the body; pointer is a JSON pointer.
func inBody[V, T any](c *check, pointer string, value V, parse func(V) (T, error)) T {
	parsed, err := parse(value)
	if err != nil {
		c.fault(problem.InBody(pointer, err.Error()))
	}
	return parsed
}

// optional reads a member that may be absent, as the zero value.
func optional[T any](c *check, pointer, value string, parse func(string) (T, error)) T {
	if value == "" {
		var none T
		return none
	}
	return inBody(c, pointer, value, parse)
}

// orElse reads an id that may be absent. If it is, made is used.
func orElse[T ~string](c *check, pointer, value string, parse func(string) (T, error), made string) T {
	if value == "" {
		return T(made)
	}
	return inBody(c, pointer, value, parse)
}

// money reads an amount.
func money(c *check, pointer string, given MoneyInput) unit.Money {
	currency := inBody(c, pointer+"/currency", given.Currency, unit.ParseOldCurrency)
	amount := inBody(c, pointer+"/amount", given.Amount, unit.ParseAmount)
	return unit.Money{Amount: amount, Currency: currency}
}

// MoneyInput is an amount as it is given.
type MoneyInput struct {
	Amount   string `json:"amount" maxLength:"26" example:"7.50" doc:"A plain decimal: at most 18 digits before and 6 after the point."`
	Currency string `json:"currency" minLength:"3" maxLength:"3" example:"GBP" doc:"ISO 4217."`
}
