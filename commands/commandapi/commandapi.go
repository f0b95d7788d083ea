// Package commandapi is the HTTP API for writing. It reads a request strictly, makes a command
// with an id from it, calls one method of commands.Service and writes the response.
//
// The rules are in domain, and the queries in readapi. Package internal/problem turns errors
// into responses. The prices of a cart come from the catalogue, and no route takes a price for
// a cart.
package commandapi

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/reactor"
	"daybook/commands/signin"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/rule"
	"daybook/domain/unit"
	"daybook/internal/etag"
	"daybook/internal/problem"
)

// Options are what the API needs in addition to the service.
type Options struct {
	// Answers keeps the responses to requests with an idempotency key; nil: none is kept, so a
	// repeated request is decided again.
	Answers commands.Answers
	// Kept is how many answers are kept for each caller.
	Kept KeptLimits
	// GuestToken makes the token of a cart without a customer; nil: there are no tokens.
	GuestToken func(unit.CartID) string
	// GuestOf reads the token of a guest, and returns the cart that it is for; nil: no token is
	// good.
	GuestOf func(token string) (cart unit.CartID, good bool)
	// Shares are the tokens of shared wish lists.
	Shares Shares
	// CustomerID makes the id of a new customer; see CustomerIDs.
	CustomerID CustomerIDs
	// Processes retries parked work; nil: none is parked.
	Processes *reactor.ParkedWork
	// KeysRead waits until this node knows the API keys up to a revision of their stream. nil: it
	// is not waited for.
	KeysRead func(ctx context.Context, revision int64) error
	// Desk lets people sign in; nil: one that keeps its store in memory.
	Desk   *signin.Desk
	Logger *slog.Logger
	// Timeout bounds a request (20 s). A write that was begun goes on even if the client
	// closes the connection. Otherwise the reactor would have to finish the rest.
	Timeout time.Duration
}

// api is the state behind the routes.
type api struct {
	service *commands.Service
	parked  *reactor.ParkedWork
	keys    *keys
	timeout time.Duration
	huma    huma.API
	// guestToken is Options.GuestToken.
	guestToken func(unit.CartID) string
	shares     Shares
	// guestOf is Options.GuestOf.
	guestOf func(string) (unit.CartID, bool)
	// customerID is Options.CustomerID.
	customerID CustomerIDs
	// keysRead is Options.KeysRead.
	keysRead func(ctx context.Context, revision int64) error
	desk     *signin.Desk
	logger   *slog.Logger
}

// Register adds the routes of the command API.
func Register(to huma.API, service *commands.Service, options Options) {
	a := &api{huma: to, keys: &keys{}}
	a.serve(service, options)
	a.routes()
}

// serve sets what is behind the routes. No request may be under way.
func (a *api) serve(service *commands.Service, options Options) {
	if options.Timeout == 0 {
		options.Timeout = 20 * time.Second
	}
	if options.Answers == nil {
		options.Answers = keepsNone{}
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	a.service, a.parked, a.timeout, a.keysRead = service, options.Processes, options.Timeout, options.KeysRead
	a.keys.answers, a.keys.holds, a.keys.timeout = options.Answers, service.CheckLog, options.Timeout
	a.keys.underWay = make(map[scopedKey]chan struct{})
	a.guestToken, a.keys.guestToken = options.GuestToken, options.GuestToken
	a.customerID, a.guestOf, a.shares = options.CustomerID, options.GuestOf, options.Shares
	a.keys.kept = newKeptAllowances(options.Kept)
	if options.Desk == nil {
		options.Desk = signin.New(service, signin.Options{Logger: options.Logger})
	}
	a.desk, a.logger = options.Desk, options.Logger
}

// op describes a route.
type op struct {
	method, path    string
	id              string // its name in the document: "add-cart-lines"
	needs           access.Permission
	summary         string
	about           string // more, in Markdown
	created         bool   // answers 201
	accepted        bool   // answers 202, because what is asked for is done later
	found           string // what an answer 200 means; empty: the route never answers 200 instead of 201
	takesMergePatch bool   // its body is a merge patch
	shown           bool   // its response has a Location: where the read API shows the new thing
	// refusals are the refusals that the route may return. process means that the route is
	// about a process, and not about an aggregate.
	refusals refusals
	process  bool
	// keyless means that the route takes no Idempotency-Key and no condition, because its response
	// must not be kept. Routes about a process take none either.
	keyless bool
	// cookies means that the response may set cookies.
	cookies bool
	// others are further codes of problems that the route may return.
	others []string
	// foreign means that the body is in somebody else's words, so only its size is checked. Its
	// type has the member RawBody.
	foreign bool
	// secret means that the response has a secret, which no cache may keep. A response with
	// cookies, or with a member that has the tag secret, counts as one, too.
	secret bool
	// lines means that the body holds a list of lines, so that it may be larger.
	lines bool
	// key means that the route needs an Idempotency-Key, because a repeat without a key would move
	// stock or money twice.
	key bool
}

// refusals are refusals that rules give, such as stock.ErrInsufficient.
type refusals []*rule.Rejection

// problems are the codes of the problems that a route may return.
func (o op) problems() []string {
	codes := slices.Clone(problem.OfWrites)
	if o.process || o.keyless {
		codes = slices.DeleteFunc(codes, func(code string) bool { return code == problem.CodeKeyReused })
	}
	if o.process {
		codes = append(codes, problem.CodeNotFound)
	}
	for _, refusal := range o.refusals {
		codes = append(codes, refusal.Code)
	}
	return append(codes, o.others...)
}

// response is what every write returns.
type response[B any] struct {
	Status   int           // the route's own if it is zero
	ETag     string        `header:"ETag"` // the revision; package httpapi completes it to the ETag of the body
	Position string        `header:"Daybook-Position" doc:"The position of this write in the log. A read can wait for it."`
	Replayed string        `header:"Idempotency-Replayed" doc:"true if the request was done before, under the same key."`
	Location string        `header:"Location" doc:"Where the read API will show what was made."`
	Guest    string        `header:"Daybook-Guest-Token" doc:"A token for the cart and for the order that it becomes. It is there if the cart has no customer. Whoever has it sends it as Authorization: Bearer dbg_..."`
	Cookies  []http.Cookie `header:"Set-Cookie" doc:"The session, which a browser keeps."`
	Body     *B            // a pointer, because huma and the encoder would each copy a value

	changed bool // something was recorded, now or when the request was first made
}

// input is a request type: it embeds Headers or ProcessHeaders.
type input[I any] interface {
	*I
	common() *Headers
}

// add registers a route. Its handler returns its error as it is.
func add[I any, PI input[I], B any](a *api, tag string, o op, handle func(context.Context, call, PI) (*response[B], error)) {
	operation := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Summary: o.summary, Description: o.about, Tags: []string{tag},
		DefaultStatus: http.StatusOK, MaxBodyBytes: maxBodyBytes, Metadata: problem.Listing(o.needs, o.problems()...),
	}
	if !o.process && !o.keyless { // a process can be retried and dismissed again without a key
		operation.Middlewares = huma.Middlewares{inScope, a.checkHeaders, a.keys.middleware(o.key)}
	}
	if o.secret || o.cookies || o.id == openCartID || hasSecret(reflect.TypeFor[B]()) {
		operation.Middlewares = append(operation.Middlewares, neverStored)
	}
	if o.lines {
		operation.MaxBodyBytes = maxLinesBytes
	}
	if o.foreign {
		operation.MaxBodyBytes = maxWebhookBytes
		operation.Metadata = problem.TakingForeign(operation.Metadata)
		defer a.showForeign(operation)
	}
	if o.created {
		operation.DefaultStatus = http.StatusCreated
	}
	if o.accepted {
		operation.DefaultStatus = http.StatusAccepted
	}
	if o.key {
		operation.Parameters = []*huma.Param{requiredKey()}
	}
	if o.takesMergePatch {
		defer a.alsoTakes(operation, mergePatch)
	}
	if o.found != "" {
		defer a.alsoFinds(operation, o.found)
	}
	guarded := guardedFields(reflect.TypeFor[I]())
	huma.Register(a.huma, operation, func(ctx context.Context, in *I) (*response[B], error) {
		ctx, cancel := context.WithTimeout(aggregate.Noting(context.WithoutCancel(ctx)), a.timeout)
		defer cancel()
		if err := checkFields(ctx, guarded, in); err != nil {
			return nil, problem.From(ctx, err)
		}
		c, err := a.newCall(ctx, o.needs, PI(in).common())
		if err == nil && (o.process || o.keyless) {
			err = allowed(c.If)
		}
		if err == nil {
			var out *response[B]
			out, err = handle(ctx, c, in)
			if c.Absorbed, err = a.absorbedIfHidden(ctx, c, err); len(c.Absorbed) > 0 {
				out, err = handle(ctx, c, in) // the refused request has changed nothing
			}
			if err == nil {
				if out.changed {
					noteChange(ctx)
				}
				out.Status = cmp.Or(out.Status, operation.DefaultStatus)
				return out, nil
			}
		}
		return nil, problem.From(ctx, typedProblem(ctx, err))
	})
	a.dropHeaders(operation, o)
}

// openCartID is the operation whose response may have a guest's token.
const openCartID = "open-cart"

// hasSecret tells whether a body has a member with the tag secret, such as the text of a new key.
func hasSecret(body reflect.Type) bool {
	for i := range body.NumField() {
		if body.Field(i).Tag.Get("secret") != "" {
			return true
		}
	}
	return false
}

// neverStored tells caches not to keep a response.
func neverStored(ctx huma.Context, next func(huma.Context)) {
	ctx.SetHeader("Cache-Control", "no-store")
	next(ctx)
}

// mergePatch is the media type of RFC 7396.
const mergePatch = "application/merge-patch+json"

// showForeign documents a body that is in somebody else's words.
func (a *api) showForeign(operation huma.Operation) {
	a.huma.OpenAPI().Paths[operation.Path].Post.RequestBody.Content["application/json"].Schema = &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: true, Description: "A message in the provider's own words.",
	}
}

// alsoTakes documents a second media type for the body of a PATCH.
func (a *api) alsoTakes(operation huma.Operation, mediaType string) {
	content := a.huma.OpenAPI().Paths[operation.Path].Patch.RequestBody.Content
	content[mediaType] = content["application/json"]
}

// dropHeaders removes from the document the headers that this route never sends.
func (a *api) dropHeaders(operation huma.Operation, o op) {
	item := a.huma.OpenAPI().Paths[operation.Path]
	documented := map[string]*huma.Operation{put: item.Put, post: item.Post, patch: item.Patch, remove: item.Delete}[o.method]
	headers := documented.Responses[strconv.Itoa(operation.DefaultStatus)].Headers
	if !o.shown {
		delete(headers, "Location")
	}
	if o.id != openCartID {
		delete(headers, headerGuest)
	}
	if !o.cookies {
		delete(headers, "Set-Cookie")
	}
	if o.accepted { // its body says nothing of a thing
		delete(headers, "ETag")
	}
	if o.process || o.keyless { // a route about a process writes nothing to the log
		delete(headers, "Daybook-Position")
		delete(headers, "Idempotency-Replayed")
	}
}

// alsoFinds documents that an operation which creates a thing returns 200 if the thing exists
// already.
func (a *api) alsoFinds(operation huma.Operation, what string) {
	responses := a.huma.OpenAPI().Paths[operation.Path].Post.Responses
	found := *responses[strconv.Itoa(http.StatusCreated)]
	found.Description = what
	responses[strconv.Itoa(http.StatusOK)] = &found
}

// typedProblem turns the errors of commands into problems.
func typedProblem(ctx context.Context, err error) error {
	err = aggregate.OutcomeUnknownIfRecorded(ctx, err)
	if stale, ok := errors.AsType[*aggregate.StaleError](err); ok {
		return problem.Stale(stale.If.At, stale.Actual)
	}
	if lines, ok := errors.AsType[*commands.LinesError](err); ok {
		return problem.LinesRefused(lines.Unwrap(), string(lines.Refused[0].SKU), faultsOf(lines))
	}
	if errors.Is(err, aggregate.ErrCommandReused) {
		return problem.KeyReused()
	}
	if bad, ok := errors.AsType[*commands.TimeError](err); ok {
		if bad.What == "expires_at" {
			return problem.NotValid(problem.InBody("/expires_at", bad.Cause.Error()))
		}
		return problem.NotValid(problem.InParameter("header", headerOccurredAt, bad.Cause.Error()))
	}
	if errors.Is(err, aggregate.ErrOverloaded) {
		return problem.Overloaded(err)
	}
	if errors.Is(err, aggregate.ErrClosed) {
		return problem.Stopping(err)
	}
	return err
}

// faultsOf says where in the body the refused lines are.
func faultsOf(lines *commands.LinesError) []problem.Invalid {
	faults := make([]problem.Invalid, len(lines.Refused))
	for i, line := range lines.Refused {
		faults[i] = problem.InBody(at("/lines", line.Index)+memberOf(line.Cause), string(line.SKU)+": "+line.Cause.Detail)
	}
	return faults
}

// memberOf is the member of a line that a refusal is about; empty if it is the whole line.
func memberOf(refusal *rule.Rejection) string {
	switch {
	case errors.Is(refusal, cart.ErrFull):
		return ""
	case isQuantityLimit(refusal):
		return "/quantity"
	}
	return "/sku"
}

func isQuantityLimit(err error) bool {
	return errors.Is(err, cart.ErrUnitLimit) || errors.Is(err, cart.ErrAmountLimit)
}

// respond makes the response with an aggregate's body, its revision and the position of the
// write.
func respond[E, B any](revision int64, done aggregate.Result[E], body B) *response[B] {
	out := &response[B]{ETag: etag.OfRevision(revision), Position: done.Position.String(), Body: &body}
	if done.Replayed {
		out.Replayed = "true"
	}
	out.changed = done.Replayed || len(done.Events) > 0
	return out
}

// like is a response with another body.
func like[B, C any](o *response[B], body C) *response[C] {
	return &response[C]{Status: o.Status, ETag: o.ETag, Position: o.Position, Replayed: o.Replayed, Location: o.Location, Guest: o.Guest, Body: &body, changed: o.changed}
}

func (o *response[B]) at(location string) *response[B] {
	o.Location = location
	return o
}

// foldNew folds the state of a stream that this request has begun, without reading the stream.
// ok is false if the stream has other events.
func foldNew[S, E any](evolve func(S, E) S, done aggregate.Result[E]) (state S, revision int64, ok bool) {
	if done.Replayed || len(done.Events) == 0 || done.Revision != int64(len(done.Events))-1 {
		return state, 0, false
	}
	for _, event := range done.Events {
		state = evolve(state, event)
	}
	return state, done.Revision, true
}
