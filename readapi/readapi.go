// Package readapi is HTTP for reading: it answers from the rows of the read
// models, and says of each answer which position of the log it reflects.
//
// It changes nothing and knows neither commands nor the log; what it needs of
// the running program beside the rows, it asks for by the small interfaces in
// source.go. What the rows mean is the views' business.
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

	"daybook/internal/etag"
	"daybook/internal/problem"
	"daybook/projections/query"
)

// Config is what the API answers from.
type Config struct {
	DB       query.DB // the read models
	Progress Progress
	History  History // of stock
	Log      Log     // the event stream
	// Processes is the unfinished work; nil: this program does none.
	Processes Processes
	// Watch answers probes. By default it is one that nobody runs.
	Watch *Watch
	// Stop ends the live streams when it is closed: a server that shuts down
	// waits for its other requests, and these have no end of their own.
	Stop <-chan struct{}
	// LiveStreams is how many live streams are served at once (0: 500), and
	// LivePerClient how many of them one client may have, by its address (0: a
	// quarter; less than 0: all). Behind a proxy all clients have its address. Reads
	// that wait for a position are bounded in the same way.
	LiveStreams, LivePerClient int
	// LiveWrite is how long the reader of a live stream may take to accept an event
	// (0: 30 s). One that takes longer is cut off.
	LiveWrite time.Duration
	Logger    *slog.Logger
	// Now is the time at which levels and deadlines are looked at.
	Now func() time.Time
}

// Bounds of a request.
const (
	queryTimeout = 10 * time.Second
	waitDefault  = 2 * time.Second  // for Daybook-Min-Position
	waitMax      = 10 * time.Second // with Prefer: wait=n
	waitsMax     = 2000             // at once
	liveMax      = 500              // live streams at once
)

// The views by the runner's names.
const (
	orders   = "orders"
	stock    = "stock"
	carts    = "carts"
	products = "products"
	sales    = "sales"
)

type api struct {
	Config
	huma        huma.API
	live, waits *places
}

// Register adds the routes of the read API.
func Register(to huma.API, config Config) {
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
	if config.Watch == nil {
		config.Watch = NewWatch(config.Progress, config.Log, config.Processes)
	}
	a := &api{
		Config: config, huma: to,
		live:  newPlaces("live streams", config.LiveStreams, config.LivePerClient),
		waits: newPlaces("reads that wait for a position", waitsMax, min(0, config.LivePerClient)),
	}
	a.routes()
}

// Reading is what every read may say: how fresh the answer has to be.
type Reading struct {
	MinPosition string `header:"Daybook-Min-Position" maxLength:"64" doc:"The answer has to reflect this position of the log, such as the one a write returned. It is waited for; if it is not reached, the problem says how far the read model is."`
	Prefer      string `header:"Prefer" maxLength:"64" example:"wait=5" doc:"wait=n waits up to n seconds for Daybook-Min-Position (2 by default, 10 at most)."`
}

func (r *Reading) reading() *Reading { return r }

// Paging asks for a part of a list.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many at most."`
	Cursor string `query:"cursor" maxLength:"1000" doc:"What the last page gave as next."`
}

func (p Paging) page() query.Page { return query.Page{After: p.Cursor, Limit: p.Limit} }

// Counting asks for the number of rows.
type Counting struct {
	Count bool `query:"count" doc:"Also tell how many there are on all pages, counted up to 10,000."`
}

// listing is the page of a list that can be sorted and counted.
func (p Paging) listing(c Counting, sort string) query.Page {
	page := p.page()
	page.Sort, page.Count = sort, c.Count
	return page
}

// values are those of a filter that takes several, separated by commas. A comma that
// belongs to a value has a backslash before it.
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
	ETag     string `header:"ETag"` // the revision, if any; package httpapi makes the tag of the body of it
	Position string `header:"Daybook-Position" doc:"The position of the log that the answer reflects, at least."`
	Body     B
}

// input is a request type: it embeds Reading.
type input[I any] interface {
	*I
	reading() *Reading
}

// route describes a read.
type route struct {
	path, id, summary, about string
	views                    []string // it reads
	problems                 []string // codes of its own
}

// get registers a read. revision tells what the ETag of the body is; nil is none.
func get[I any, PI input[I], B any](a *api, tag string, r route, revision func(B) int64, read func(context.Context, PI) (B, error)) {
	operation := huma.Operation{
		OperationID: r.id, Method: http.MethodGet, Path: r.path, Summary: r.summary, Description: r.about, Tags: []string{tag},
		Metadata: problem.Listing(slices.Concat(problem.OfFreshReads, r.problems)...),
	}
	huma.Register(a.huma, operation, func(ctx context.Context, in *I) (*output[B], error) {
		ctx, cancel := context.WithTimeout(ctx, queryTimeout+waitMax)
		defer cancel()
		if demanding, ok := any(in).(interface{ check() error }); ok {
			if err := demanding.check(); err != nil {
				return nil, problem.From(ctx, err)
			}
		}
		seal, err := openCursor(r.id, in)
		if err != nil {
			return nil, problem.From(ctx, err)
		}
		out := &output[B]{}
		if out.Position, err = a.waitForPosition(ctx, PI(in).reading(), viewsOf(r, in)); err != nil {
			return nil, problem.From(ctx, known(err))
		}
		if out.Body, err = read(ctx, in); err != nil {
			return nil, problem.From(ctx, known(err))
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

// viewsOf are the views that a request reads.
func viewsOf(r route, in any) []string {
	if more, ok := in.(interface{ also() []string }); ok {
		return slices.Concat(r.views, more.also())
	}
	return r.views
}

// waitForPosition waits until the views reflect what the reader asks for, and returns the
// position they reflect before the query is made: the answer may show more, and
// never less.
func (a *api) waitForPosition(ctx context.Context, r *Reading, views []string) (string, error) {
	if r.MinPosition != "" {
		patience, err := patience(r.Prefer)
		if err != nil {
			return "", err
		}
		leave, err := a.waits.enter(problem.RequestOf(ctx).Client)
		if err != nil {
			return "", err
		}
		defer leave()
		waiting, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := a.Progress.Wait(waiting, r.MinPosition, views...); err != nil {
			return "", err
		}
	}
	return a.Progress.Position(ctx, views...)
}

// patience reads the wait preference of RFC 7240.
func patience(prefer string) (time.Duration, error) {
	for preference := range strings.SplitSeq(prefer, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
		if !strings.EqualFold(name, "wait") {
			continue
		}
		seconds, err := strconv.Atoi(value)
		if err != nil || seconds < 0 {
			return 0, problem.NotValid(problem.InParameter("header", "Prefer", "want wait=n, in seconds"))
		}
		return min(time.Duration(seconds)*time.Second, waitMax), nil
	}
	return waitDefault, nil
}

// known turns the errors of queries into problems.
func known(err error) error {
	if errors.Is(err, query.ErrNotFound) {
		return problem.NotFound("The read model has no such thing, at the position it is at.")
	}
	if _, ok := errors.AsType[*query.CursorError](err); ok {
		return problem.NotValid(problem.InParameter("query", "cursor", "not one that this list gave out"))
	}
	if behind, ok := errors.AsType[*BehindError](err); ok {
		return problem.PositionNotReached(behind.Want, behind.Reached, behind.Waited)
	}
	if beyond, ok := errors.AsType[*BeyondError](err); ok {
		return problem.PositionBeyondHead(beyond.Position, beyond.Head)
	}
	if bad, ok := errors.AsType[*PositionError](err); ok {
		return problem.NotValid(problem.InParameter(bad.In, bad.Name, "not a position of this log"))
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

// sku writes a code as the catalogue does.
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
