// Package readapi is the HTTP API for reading. It responds with rows of the read models. Each
// response says which position of the log it reflects.
//
// It changes nothing, and imports neither commands nor the log. For everything except rows it
// uses the small interfaces in source.go. It does not know how rows are made; the views do.
package readapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgconn"

	"daybook/domain/access"
	"daybook/internal/etag"
	"daybook/internal/personal"
	"daybook/internal/problem"
	"daybook/projections/query"
)

// Config is what the API needs.
type Config struct {
	DB       query.DB // the read models
	Progress Progress
	History  History // of stocks, orders and returns
	Log      Log     // the event stream
	// WithheldHistory and WithheldLog are the same without personal data, for callers without the
	// permission personal.read. If they are nil, such callers get an error.
	WithheldHistory History
	WithheldLog     Log
	// Withhold encrypts the cursors of such callers, because a cursor may have the id of a
	// customer. nil: cursors are good only on this node.
	Withhold *personal.Withholder
	// Processes lists unfinished work. It is nil in a program that does no such work.
	Processes Processes
	// People lists the people who sign in. It is nil in a program without them.
	People People
	// SharedList reads the token of a shared wish list; nil: no token is good.
	SharedList func(token string) (list SharedList, good bool)
	// Access lists API keys and roles. It is nil in a program without them.
	Access Access
	// Definitions are price lists, shipping methods and legal entities. By default there are none.
	Definitions Definitions
	// Erasures tells what was erased. It is nil in a program that erases nothing.
	Erasures Erasures
	// Watch answers probes. By default it is a new Watch whose Run is not called.
	Watch *Watch
	// Stop ends the live streams when it is closed. A server that shuts down waits for its
	// requests to end, and a live stream does not end by itself.
	Stop <-chan struct{}
	// LiveStreams is how many live streams there may be at once (0: 500). LivePerClient is how
	// many of them one client may have (0: a quarter; below 0: all). Clients are told apart by
	// their addresses, and behind a proxy all have the same address. Reads that wait for a
	// position are bounded in the same way.
	LiveStreams, LivePerClient, LivePerKey int
	// LiveWrite is how long a client may take to accept one event of a live stream (0: 30 s).
	// If it takes longer, its stream is ended.
	LiveWrite time.Duration
	Logger    *slog.Logger
	// Now returns the time for which stock levels and due reservations are computed. By default it
	// is the clock.
	Now func() time.Time
}

// Bounds of a request.
const (
	queryTimeout = 10 * time.Second
	waitDefault  = 2 * time.Second  // for Daybook-Min-Position
	waitMax      = 10 * time.Second // with Prefer: wait=n
	waitsMax     = 2000             // reads that wait at once
	liveMax      = 500              // live streams at once
)

// The names of the views, as the runner has them.
const (
	orders    = "orders"
	stock     = "stock"
	carts     = "carts"
	customers = "customers"
	products  = "products"
	sales     = "sales"
)

type api struct {
	Config
	huma        huma.API
	live, waits *places
}

// Register adds the routes of the read API.
func Register(to huma.API, config Config) { newAPI(to, config).routes() }

// newAPI sets the defaults of the configuration.
func newAPI(to huma.API, config Config) *api {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.LiveStreams == 0 {
		config.LiveStreams = liveMax
	}
	if config.LiveWrite == 0 {
		config.LiveWrite = 30 * time.Second
	}
	if config.Withhold == nil {
		config.Withhold = personal.NewWithholder(nil)
	}
	if config.Definitions == nil {
		config.Definitions = noDefinitions{}
	}
	if config.Watch == nil {
		config.Watch = NewWatch(config.Progress, config.Log, config.Processes)
	}
	return &api{
		Config: config, huma: to,
		live:  newPlaces("live streams", config.LiveStreams, config.LivePerClient, config.LivePerKey),
		waits: newPlaces("reads that wait for a position", waitsMax, min(0, config.LivePerClient), min(0, config.LivePerKey)),
	}
}

// Reading has the headers that every read may have. They say how new the response must be.
type Reading struct {
	MinPosition string `header:"Daybook-Min-Position" maxLength:"64" doc:"The answer must reflect this position of the log, such as the position that a write returned. The server waits until the read model has reached it. If that takes too long, the problem says how far the read model is."`
	Prefer      string `header:"Prefer" maxLength:"64" example:"wait=5" doc:"wait=n waits up to n seconds for Daybook-Min-Position (2 by default, 10 at most)."`
}

func (r *Reading) reading() *Reading { return r }

// Paging asks for a part of a list.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many entries a page has at most."`
	Cursor string `query:"cursor" maxLength:"4000" doc:"The member next of the page before the one that you want. Without it, the first page."`
	// secret is that of query.Page. No parameter sets it.
	secret string
}

func (p Paging) page() query.Page {
	return query.Page{After: p.Cursor, Limit: p.Limit, Secret: p.secret}
}

// Counting asks for the number of rows.
type Counting struct {
	Count bool `query:"count" doc:"Also tell how many there are on all pages, counted up to 10,000."`
}

// listing asks for a page of a list that can be sorted and counted.
func (p Paging) listing(c Counting, sort string) query.Page {
	page := p.page()
	page.Sort, page.Count = sort, c.Count
	return page
}

// values splits a filter's values, which are separated by commas. A comma that belongs to a
// value has a backslash before it.
func values(parts []string) (all []string) {
	whole := true
	for _, part := range parts {
		text, more := strings.CutSuffix(part, `\`)
		if more {
			text += ","
		}
		if whole {
			all = append(all, text)
		} else {
			all[len(all)-1] += text
		}
		whole = !more
	}
	return all
}

// output is what every read returns.
type output[B any] struct {
	ETag     string `header:"ETag"` // the revision, if any; package httpapi completes it to the ETag of the body
	Position string `header:"Daybook-Position" doc:"The answer reflects at least this position of the log."`
	Body     B
}

// input is a request type: it embeds Reading.
type input[I any] interface {
	*I
	reading() *Reading
}

// route describes a route of the read API.
type route struct {
	path, id, summary, about string
	needs                    access.Permission
	views                    []string // that it reads
	problems                 []string // codes of problems that only some routes have
}

// get registers a route. revision returns the revision for the ETag of a body. If it is nil,
// there is no revision.
func get[I any, PI input[I], B any](a *api, tag string, r route, revision func(B) int64, read func(context.Context, PI) (B, error)) {
	operation := huma.Operation{
		OperationID: r.id, Method: http.MethodGet, Path: r.path, Summary: r.summary, Description: r.about, Tags: []string{tag},
		Metadata: problem.Listing(r.needs, slices.Concat(problem.OfFreshReads, r.problems)...), Middlewares: huma.Middlewares{noteFaults},
	}
	huma.Register(a.huma, operation, func(ctx context.Context, in *I) (*output[B], error) {
		ctx, cancel := context.WithTimeout(ctx, queryTimeout+waitMax)
		defer cancel()
		if err := mayAsk(ctx, r.needs, in); err != nil {
			return nil, problem.From(ctx, err)
		}
		seal, err := a.openCursorFor(ctx, r, in)
		if err != nil {
			return nil, problem.From(ctx, err)
		}
		out := &output[B]{}
		if out.Position, err = a.waitForPosition(ctx, PI(in).reading(), viewsOf(r, in)); err != nil {
			return nil, problem.From(ctx, typedProblem(err))
		}
		if out.Body, err = read(ctx, in); err != nil {
			return nil, problem.From(ctx, typedProblem(err))
		}
		if list, is := any(&out.Body).(linked); is && seal != nil {
			list.ReplaceNext(seal)
		}
		if revision != nil {
			out.ETag = etag.OfRevision(revision(out.Body))
		}
		return out, nil
	})
}

// viewsOf returns the views that a request reads: those of its route, and those of what it
// includes.
func viewsOf(r route, in any) []string {
	if more, ok := in.(interface{ also() []string }); ok {
		return slices.Concat(r.views, more.also())
	}
	return r.views
}

// waitFor waits until what a route reads has reached a position.
func (a *api) waitFor(ctx context.Context, position string, views []string) error {
	if slices.Contains(views, definitions) {
		return a.Definitions.Wait(ctx, position)
	}
	return a.Progress.Wait(ctx, position, views...)
}

// waitForPosition waits until the views have reached the position in the request. It returns the
// position that the views have before the query is made. So the response reflects at least this
// position.
func (a *api) waitForPosition(ctx context.Context, r *Reading, views []string) (string, error) {
	if r.MinPosition != "" {
		patience, _ := patience(r.Prefer) // noteFaults has checked it
		leave, err := a.waits.enter(problem.RequestOf(ctx))
		if err != nil {
			return "", err
		}
		defer leave()
		waiting, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := a.waitFor(waiting, r.MinPosition, views); err != nil {
			return "", err
		}
		if err := problem.RequestOf(ctx).StillAllowed(); err != nil {
			return "", err
		}
	}
	if slices.Contains(views, definitions) {
		return a.Definitions.Position(), nil
	}
	return a.Progress.Position(ctx, views...)
}

// patience reads from a Prefer header (RFC 7240) how long the client wants to wait. ok is false if
// that is not a number of seconds.
func patience(prefer string) (wait time.Duration, ok bool) {
	for preference := range strings.SplitSeq(prefer, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
		if !strings.EqualFold(name, "wait") {
			continue
		}
		seconds, err := strconv.Atoi(value)
		if err != nil || seconds < 0 {
			return 0, false
		}
		return min(time.Duration(seconds)*time.Second, waitMax), true
	}
	return waitDefault, true
}

// typedProblem turns the errors of queries into problems.
func typedProblem(err error) error {
	if errors.Is(err, query.ErrNotFound) {
		return problem.NotFound("There is nothing with this name, as far as the read model has read the log.")
	}
	if errors.Is(err, ErrNoStream) {
		return problem.NotFound("The log has no stream of this name.")
	}
	if errors.Is(err, ErrNoPerson) {
		return problem.NotFound("There is no such person.")
	}
	if _, ok := errors.AsType[*query.CursorError](err); ok {
		return problem.NotValid(problem.InParameter("query", "cursor", "this list did not give out this cursor"))
	}
	if behind, ok := errors.AsType[*BehindError](err); ok {
		return problem.PositionNotReached(behind.Want, behind.Reached, behind.Waited)
	}
	if beyond, ok := errors.AsType[*BeyondError](err); ok {
		return problem.PositionBeyondHead(beyond.Position, beyond.Head)
	}
	if bad, ok := errors.AsType[*PositionError](err); ok {
		return problem.NotValid(problem.InParameter(bad.In, bad.Name, faultPosition))
	}
	_, unconnected := errors.AsType[*pgconn.ConnectError](err)
	switch {
	case unconnected, pgconn.Timeout(err) && !errors.Is(err, context.DeadlineExceeded):
		return problem.Unavailable(err)
	case pgconn.Timeout(err):
		return problem.DatabaseSlow(err)
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch refused.Code[:min(2, len(refused.Code))] {
		case "08", "53", "57": // connection, resources, operator
			return problem.Unavailable(err)
		}
	}
	return err
}

// sku writes a code in the form that the read models have.
func sku(text string) string { return query.SKU(text) }

func skus(parts []string) []string {
	all := values(parts)
	for i := range all {
		all[i] = sku(all[i])
	}
	return all
}

func upper(codes []string) []string {
	all := values(codes)
	for i := range all {
		all[i] = strings.ToUpper(all[i])
	}
	return all
}

// yesOrNo reads a filter that may be absent.
func yesOrNo(text string) *bool {
	if text == "" {
		return nil
	}
	return new(text == "true")
}
