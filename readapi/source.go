package readapi

import (
	"context"
	"fmt"
	"iter"
	"time"

	"daybook/internal/resource"
	"daybook/projections/query"
	"daybook/projections/stockview"
)

// Progress tells how far the read models are. Positions are opaque text here.
type Progress interface {
	// Position is how far the least of the views has come.
	Position(ctx context.Context, views ...string) (string, error)
	// Wait returns when all views reflect a position; *BehindError when ctx ends
	// first, *PositionError when the text is no position.
	Wait(ctx context.Context, position string, views ...string) error
	// Status tells how every build of every view stands.
	Status(ctx context.Context) ([]ProjectionStatus, error)
}

// BehindError means a view was not as far as asked for in time.
type BehindError struct {
	Want, Reached string
	Waited        time.Duration
}

func (e *BehindError) Error() string {
	return fmt.Sprintf("at position %s, not yet at %s", e.Reached, e.Want)
}

// PositionError means that a parameter is not a position of this log.
type PositionError struct{ In, Name, Text string }

func (e *PositionError) Error() string { return fmt.Sprintf("%s: not a position: %q", e.Name, e.Text) }

// BeyondError means that a position is beyond the end of the log. No event will follow it:
// the log was restored, or the position is of another log.
type BeyondError struct{ Position, Head string }

func (e *BeyondError) Error() string {
	return fmt.Sprintf("position %s is beyond the head of the log, %s", e.Position, e.Head)
}

// ProjectionStatus tells how a build of a read model stands.
type ProjectionStatus struct {
	View       string  `json:"view"`
	Build      int     `json:"build"`
	Version    int     `json:"version"`
	State      string  `json:"state" enum:"live,catching_up,rebuilding,failed,unowned,kept"`
	InUse      bool    `json:"in_use" doc:"It is what reads are answered from."`
	Position   string  `json:"position"`
	Head       string  `json:"head" doc:"Of the log."`
	Complete   bool    `json:"complete" doc:"It has been at the head of the log once since it was built. Until then reads from it lack what is older; later it may only lag."`
	Share      float64 `json:"share" minimum:"0" maximum:"1" doc:"How much of the log it has looked at: 1 is all of it. It means the same wherever the log is."`
	AgeSeconds float64 `json:"age_seconds" doc:"How long ago the oldest event was recorded that it has not looked at; 0 if there is none. It means the same wherever the log is."`
	Lag        uint64  `json:"lag" doc:"The distance to the head in positions: events in PostgreSQL, bytes of the log in KurrentDB. Prefer share and age_seconds."`
	Events     int64   `json:"events" doc:"Applied since the first."`
	Odd        int64   `json:"odd" doc:"How many of them no command can have recorded. A value out of bounds is read as the nearest one within bounds; an event that makes no sense is skipped. The node's log names them."`
	Owner      string  `json:"owner,omitempty" doc:"The node that posts to it."`
	Error      string  `json:"error,omitempty"`
}

// Processes tells of work that spans aggregates and is not finished.
type Processes interface {
	// List is by ascending id, after an id (empty: from the first); state is open,
	// parked or, for both, empty. leading is false where this node does not know what
	// is open.
	List(ctx context.Context, after, state string, limit int) (all []resource.Process, leading bool, err error)
	// Parked is how much is parked.
	Parked(ctx context.Context) (int64, error)
}

// History answers what moved in a stock.
type History interface {
	Movements(ctx context.Context, db query.DB, sku, location string, f stockview.MovementFilter, p query.Page) (query.List[stockview.Movement], error)
}

// Log is the event stream as consumers see it.
type Log interface {
	// Page yields events after a position, at most limit; types are prefixes, none
	// is all. It yields *BeyondError if the position is beyond the head.
	Page(ctx context.Context, after string, types []string, limit int) iter.Seq2[Event, error]
	// Stream yields a stream's events from a revision on, at most limit. One that
	// holds none yields query.ErrNotFound.
	Stream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[Event, error]
	// Follow yields events after a position and then new ones, until ctx ends. An
	// Event without an id marks that everything up to its Position was looked at
	// and there is no more for now. *BeyondError means that the position is beyond the
	// head.
	Follow(ctx context.Context, after string, types []string) (iter.Seq2[Event, error], error)
	// Head is the position of the last event.
	Head(ctx context.Context) (string, error)
	// Components tells of the log whether it is heard, from memory. A log that
	// cannot fall silent is not in it.
	Components() []Component
}

// Event is a recorded event in the form of CloudEvents 1.0. Names of extension
// attributes are its: lower case, no separators.
type Event struct {
	SpecVersion   string    `json:"specversion"`
	ID            string    `json:"id"`
	Source        string    `json:"source" doc:"/v1/streams/ and the stream."`
	Type          string    `json:"type" doc:"The event's wire name, with its version. Control characters of a foreign name are written out, such as \\u000a."`
	Subject       string    `json:"subject" doc:"The stream, written out in the same way; source has its exact name."`
	Time          time.Time `json:"time" doc:"When it took effect."`
	ContentType   string    `json:"datacontenttype"`
	Position      string    `json:"position" doc:"In the log."`
	Revision      int64     `json:"revision" doc:"In the stream."`
	RecordedAt    time.Time `json:"recordedtime" doc:"When the log took it."`
	CommandID     string    `json:"commandid,omitempty"`
	CorrelationID string    `json:"correlationid,omitempty"`
	CausationID   string    `json:"causationid,omitempty"`
	Actor         string    `json:"actor,omitempty"`
	Channel       string    `json:"channel,omitempty"`
	Trace         string    `json:"traceparent,omitempty"`
	Foreign       bool      `json:"foreign,omitzero" doc:"Another program wrote it. It says nothing of the shop, whatever its type and stream are; left out of events of the shop's own."`
	Data          any       `json:"data" doc:"The event itself."`
}
