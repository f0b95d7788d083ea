package readapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"daybook/internal/resource"
	"daybook/projections/orderview"
	"daybook/projections/query"
	"daybook/projections/stockview"
)

// Progress tells how far the read models are. Positions are opaque text here.
type Progress interface {
	// Position returns the smallest of the views' positions.
	Position(ctx context.Context, views ...string) (string, error)
	// Wait returns when all views have reached a position. It returns *BehindError if ctx ends
	// first, and *PositionError if the text is no position.
	Wait(ctx context.Context, position string, views ...string) error
	// Status returns the state of every build of every view.
	Status(ctx context.Context) ([]ProjectionStatus, error)
}

// BehindError means that a view did not reach a position in time.
type BehindError struct {
	Want, Reached string
	Waited        time.Duration
}

func (e *BehindError) Error() string {
	return fmt.Sprintf("at position %s, not yet at %s", e.Reached, e.Want)
}

// PositionError means that a parameter is not a position of this log. In and Name say which
// parameter, such as "query" and "after".
type PositionError struct{ In, Name, Text string }

func (e *PositionError) Error() string { return fmt.Sprintf("%s: not a position: %q", e.Name, e.Text) }

// BeyondError means that a position is beyond the end of the log: the log was restored from a
// backup, or the position belongs to another log.
type BeyondError struct{ Position, Head string }

func (e *BeyondError) Error() string {
	return fmt.Sprintf("position %s is beyond the head of the log, %s", e.Position, e.Head)
}

// ProjectionStatus is the state of a build of a read model.
type ProjectionStatus struct {
	View       string  `json:"view" enum:"carts,customers,orders,products,sales,stock"`
	Build      int     `json:"build"`
	Version    int     `json:"version"`
	State      string  `json:"state" enum:"live,catching_up,rebuilding,failed,unowned,kept"`
	InUse      bool    `json:"in_use" doc:"Reads are answered from this build."`
	Position   string  `json:"position"`
	Head       string  `json:"head" doc:"The position of the log's last event."`
	Complete   bool    `json:"complete" doc:"The build has reached the head of the log at least once. Before that, reads from it may lack old events. After that, it can only lag."`
	Share      float64 `json:"share" minimum:"0" maximum:"1" doc:"How much of the log it has read, from 0 to 1. It means the same on every kind of log."`
	AgeSeconds float64 `json:"age_seconds" doc:"How long ago the oldest event that it has not read was recorded; 0 if there is none. It means the same on every kind of log."`
	Lag        uint64  `json:"lag" doc:"The distance to the head in positions: events in PostgreSQL, bytes of the log in KurrentDB. Prefer share and age_seconds."`
	Events     int64   `json:"events" doc:"How many events it has applied."`
	Odd        int64   `json:"odd" doc:"How many of the events no command can have recorded in this form. A value out of bounds is read as the nearest value within bounds, and an event that makes no sense is skipped. The node's own log names such events."`
	Owner      string  `json:"owner,omitempty" doc:"The node that applies events to it."`
	Error      string  `json:"error,omitempty"`
}

// Processes lists work that spans aggregates and is not finished.
type Processes interface {
	// List returns processes by ascending id, after a given id (empty: from the first). states
	// has "open", "parked" or both; none means both. leading is false if another node knows the
	// open work; then only parked work is listed.
	List(ctx context.Context, after string, states []string, limit int) (all []resource.Process, leading bool, err error)
	// Parked counts the parked work.
	Parked(ctx context.Context) (int64, error)
}

// History lists what has happened to one stock, order or return, from its stream in the log.
type History interface {
	// OrderTimeline and ReturnTimeline list the events that changed an order or a return, the
	// oldest first, up to the revision that its row has.
	OrderTimeline(ctx context.Context, orderID string, last int64) ([]orderview.Entry, error)
	ReturnTimeline(ctx context.Context, returnID string, last int64) ([]orderview.Entry, error)
	// OrderMoney explains the amounts of an order by its events, up to the revision that its row
	// has.
	OrderMoney(ctx context.Context, orderID string, last int64) (orderview.Money, error)
	// Movements lists the movements of one stock, a page at a time.
	Movements(ctx context.Context, db query.DB, sku, location string, f stockview.MovementFilter, p query.Page) (query.List[stockview.Movement], error)
}

// ErrNoStream means that the log has no stream of the name that was asked for.
var ErrNoStream = errors.New("no such stream")

// Log is the event stream as consumers see it.
type Log interface {
	// Page yields at most limit events after a position. types are prefixes of event types;
	// none means all events. It yields *BeyondError if the position is beyond the head.
	Page(ctx context.Context, after string, types []string, limit int) iter.Seq2[Event, error]
	// Stream yields at most limit events of a stream, from a revision on. If the stream has no
	// events, it yields ErrNoStream.
	Stream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[Event, error]
	// Follow yields events after a position, and then new ones until ctx ends. An Event without an
	// id is no event of the log. It means that all events up to its Position were yielded or did
	// not match. Follow returns *BeyondError if the position is beyond the head.
	Follow(ctx context.Context, after string, types []string) (iter.Seq2[Event, error], error)
	// Head is the position of the last event.
	Head(ctx context.Context) (string, error)
	// Components says whether events come from the log. It answers from memory, without asking
	// the log. It is empty for a log that cannot fall silent.
	Components() []Component
}

// Event is a recorded event in the form of CloudEvents 1.0. That form wants names of extension
// attributes in lower case and without separators, such as recordedtime.
type Event struct {
	SpecVersion   string    `json:"specversion"`
	ID            string    `json:"id"`
	Source        string    `json:"source" doc:"The address of the stream: /v1/streams/ and the stream's name."`
	Type          string    `json:"type" doc:"The event's wire name, with its version. Control characters of a foreign name are written out, such as \\u000a."`
	Subject       string    `json:"subject" doc:"The name of the stream, with its control characters written out in the same way. source has the exact name."`
	Time          time.Time `json:"time" doc:"When the event took effect."`
	ContentType   string    `json:"datacontenttype"`
	DataSchema    string    `json:"dataschema" doc:"The form of the data. Each type of event of the shop has its own; urn:daybook:unknown may have any form."`
	Position      string    `json:"position" doc:"The event's position in the log."`
	Revision      int64     `json:"revision" doc:"The event's revision in its stream: 0 for the first event."`
	RecordedAt    time.Time `json:"recordedtime" doc:"When the log recorded it."`
	CommandID     string    `json:"commandid,omitempty"`
	CorrelationID string    `json:"correlationid,omitempty"`
	CausationID   string    `json:"causationid,omitempty"`
	Actor         string    `json:"actor,omitempty"`
	OnBehalfOf    string    `json:"onbehalfof,omitempty"`
	ActingFor     string    `json:"actingfor,omitempty"`
	Channel       string    `json:"channel,omitempty"`
	Trace         string    `json:"traceparent,omitempty"`
	Foreign       bool      `json:"foreign,omitzero" doc:"true if another program wrote the event. Such an event says nothing about the shop, whatever its type and stream are. Left out in the shop's own events."`
	Data          any       `json:"data" doc:"The content of the event."`
}
