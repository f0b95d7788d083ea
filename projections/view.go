// Package projections posts the log to read models: it runs the views, each of
// which turns facts into rows of Postgres.
//
// What the rows mean is not its business: that is each view's, in the folders
// below. Nor does it judge facts: a recorded event has happened, and a view
// that cannot read one stops rather than skip it.
//
// How it is kept right: a batch's rows and the checkpoint commit in one
// transaction, and the checkpoint moves only from where the batch began and
// only under the lease's epoch. Whatever happens, an event's effect is there
// exactly once.
package projections

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5"

	"daybook/eventstore"
)

// View is one read model: what it claims of the log, its tables, and how events
// become rows.
//
// Table names are written plainly, without a schema: the runner sets the search
// path to the build in hand. A table whose name begins with "_" is the view's
// own; all others, and SQL views, are published as read.<name>, so their names
// must be unique over all views.
//
// Rows must depend on nothing but the events (never on now() or on how events
// were cut into batches), or a rebuild would not equal what it replaces.
type View struct {
	// Name is the view's name, such as "orders": lower-case letters and '_'.
	Name string
	// Version is raised when tables or their meaning change. The new shape is
	// then built beside the old from event 0 and switched to when caught up.
	Version int
	// Setting is any configuration the rows depend on, such as a time zone. A
	// changed setting rebuilds like a changed version.
	Setting string
	// Claims are the type prefixes the view reads, such as "order.".
	Claims []string
	// Tables creates the tables, with the keys that Apply needs.
	Tables string
	// Indexes creates what only readers need; on a rebuild it runs after the load.
	Indexes string
	// Decode reads the data of a claimed event; an error stops the view.
	Decode func(eventType string, data []byte) (any, error)
	// Metadata asks for Event.Meta, which costs a decoding more per event.
	Metadata bool
	// Apply writes a batch's rows. It must use no connection but tx, keep no
	// state between batches, and leave the events unchanged.
	Apply func(ctx context.Context, tx pgx.Tx, batch []Event) error
}

// Event is a recorded event, decoded.
type Event struct {
	eventstore.Recorded
	// Value is what the view's Decode made of the data.
	Value any
	// Meta is set if the view asks for it.
	Meta eventstore.Metadata
}

var viewName = regexp.MustCompile(`^[a-z][a-z_]{0,31}$`)

func (v View) check() error {
	switch {
	case !viewName.MatchString(v.Name):
		return fmt.Errorf("view name %q: want lower-case letters and '_'", v.Name)
	case v.Version < 1:
		return fmt.Errorf("view %s: version %d, want 1 or more", v.Name, v.Version)
	case len(v.Claims) == 0:
		return fmt.Errorf("view %s: claims no events", v.Name)
	case v.Decode == nil || v.Apply == nil:
		return fmt.Errorf("view %s: incomplete", v.Name)
	}
	return nil
}

// decode reads a recorded event for the view. A panic in a decoder is a bug
// like any other: it stops the view, not the process.
func (v View) decode(recorded eventstore.Recorded) (event Event, err error) {
	defer recovered(&err)
	event.Recorded = recorded
	if event.Value, err = v.Decode(recorded.Type, recorded.Data); err != nil {
		return event, fmt.Errorf("event %s at %s: %w", eventstore.Visible(recorded.Type), recorded.Position, err)
	}
	if v.Metadata {
		if event.Meta, err = eventstore.DecodeMetadata(recorded.Meta); err != nil {
			return event, fmt.Errorf("event %s at %s: %w", eventstore.Visible(recorded.Type), recorded.Position, err)
		}
	}
	return event, nil
}

func (v View) apply(ctx context.Context, tx pgx.Tx, batch []Event) (err error) {
	defer recovered(&err)
	return v.Apply(ctx, tx, batch)
}

func recovered(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("panic: %v", cause)
	}
}

// ErrUnknownView means there is no view of that name.
var ErrUnknownView = errors.New("unknown view")
