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
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/reactor"
	"daybook/domain/rule"
	"daybook/internal/etag"
	"daybook/internal/problem"
)

// Options are what the API needs in addition to the service.
type Options struct {
	// Answers keeps the responses to requests with an idempotency key.
	Answers commands.Answers
	// Processes retries parked work; nil: none is parked.
	Processes *reactor.Processes
	Logger    *slog.Logger
	// Timeout bounds a request (20 s). A write that was begun goes on even if the client
	// closes the connection. Otherwise the reactor would have to finish the rest.
	Timeout time.Duration
}

// api is the state behind the routes.
type api struct {
	service   *commands.Service
	processes *reactor.Processes
	keys      *keys
	timeout   time.Duration
	huma      huma.API
}

// Register adds the routes of the command API.
func Register(to huma.API, service *commands.Service, options Options) {
	if options.Timeout == 0 {
		options.Timeout = 20 * time.Second
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	a := &api{
		service: service, processes: options.Processes, huma: to, timeout: options.Timeout,
		keys: &keys{answers: options.Answers, holds: service.CheckLog, timeout: options.Timeout, underWay: make(map[scopedKey]chan struct{})},
	}
	a.routes()
}

// op describes a route.
type op struct {
	method, path    string
	id              string // its name in the document: "add-cart-lines"
	summary         string
	about           string // more, in Markdown
	created         bool   // answers 201
	found           string // set if it can also answer 200: what the 200 means
	takesMergePatch bool   // its body is a merge patch
	shown           bool   // its response has a Location: where the read API shows the new thing
	// refusals are the refusals that the route may return. process means that the route is
	// about a process, and not about an aggregate.
	refusals refusals
	process  bool
	// lines means that the body holds a list of lines, so that it may be larger.
	lines bool
	// key means that the route needs an Idempotency-Key, because a repeat without a key would move
	// stock or money twice.
	key bool
}

// refusals are refusals of rules.
type refusals []*rule.Rejection

// problems are the codes of the problems that a route may return.
func (o op) problems() []string {
	codes := slices.Clone(problem.OfWrites)
	if o.process {
		codes = slices.DeleteFunc(codes, func(code string) bool { return code == problem.CodeKeyReused })
		codes = append(codes, problem.CodeNotFound)
	}
	for _, refusal := range o.refusals {
		codes = append(codes, refusal.Code)
	}
	return codes
}

// response is what every write returns.
type response[B any] struct {
	Status   int    // the route's own if it is zero
	ETag     string `header:"ETag"` // the revision; package httpapi completes it to the ETag of the body
	Position string `header:"Daybook-Position" doc:"Where the log stands after this write; a read can wait for it."`
	Replayed string `header:"Idempotency-Replayed" doc:"true if the request was done before, under the same key."`
	Location string `header:"Location" doc:"Where the read API will show what was made."`
	Body     B

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
		DefaultStatus: http.StatusOK, MaxBodyBytes: maxBodyBytes, Metadata: problem.Listing(o.problems()...),
	}
	if !o.process { // a process can be retried and dismissed again without a key
		operation.Middlewares = huma.Middlewares{a.keys.middleware(o.key)}
	}
	if o.lines {
		operation.MaxBodyBytes = maxLinesBytes
	}
	if o.created {
		operation.DefaultStatus = http.StatusCreated
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
	defer a.dropHeaders(operation, o)
	huma.Register(a.huma, operation, func(ctx context.Context, in *I) (*response[B], error) {
		ctx, cancel := context.WithTimeout(aggregate.Noting(context.WithoutCancel(ctx)), a.timeout)
		defer cancel()
		c, err := a.newCall(ctx, PI(in).common())
		if err == nil && o.process {
			err = allowed(c.If)
		}
		if err == nil {
			var out *response[B]
			if out, err = handle(ctx, c, in); err == nil {
				if out.changed {
					noteChange(ctx)
				}
				out.Status = cmp.Or(out.Status, operation.DefaultStatus)
				return out, nil
			}
		}
		return nil, problem.From(ctx, known(ctx, err))
	})
}

// mergePatch is the media type of RFC 7396.
const mergePatch = "application/merge-patch+json"

// alsoTakes documents a second media type for the body of a PATCH.
func (a *api) alsoTakes(operation huma.Operation, mediaType string) {
	content := a.huma.OpenAPI().Paths[operation.Path].Patch.RequestBody.Content
	content[mediaType] = content["application/json"]
}

// dropHeaders removes headers from the document that this route never sends.
func (a *api) dropHeaders(operation huma.Operation, o op) {
	item := a.huma.OpenAPI().Paths[operation.Path]
	documented := map[string]*huma.Operation{put: item.Put, post: item.Post, patch: item.Patch, remove: item.Delete}[o.method]
	headers := documented.Responses[strconv.Itoa(operation.DefaultStatus)].Headers
	if !o.shown {
		delete(headers, "Location")
	}
	if o.process { // it is no write to the log
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

// known turns the errors of commands into problems.
func known(ctx context.Context, err error) error {
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
		faults[i] = problem.InBody(at("/lines", line.Index)+"/sku", string(line.SKU)+": "+line.Cause.Detail)
	}
	return faults
}

// respond makes the response with an aggregate's body, its revision and the position of the
// write.
func respond[E, B any](revision int64, done aggregate.Result[E], body B) *response[B] {
	out := &response[B]{ETag: etag.OfRevision(revision), Position: done.Position.String(), Body: body}
	if done.Replayed {
		out.Replayed = "true"
	}
	out.changed = done.Replayed || len(done.Events) > 0
	return out
}

// like is a response with another body.
func like[B, C any](o *response[B], body C) *response[C] {
	return &response[C]{Status: o.Status, ETag: o.ETag, Position: o.Position, Replayed: o.Replayed, Location: o.Location, Body: body, changed: o.changed}
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
