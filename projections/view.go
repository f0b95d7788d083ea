// Package projections runs the views. A view is a read model: it turns the events of the log
// into rows of PostgreSQL.
//
// Each view, in the folders below, knows what its rows mean; the runner does not. The runner does
// not judge events either: a recorded event has happened. Content that no command can have recorded
// does not stop a view. Values outside the bounds are read as the nearest values inside (Bounded).
// An event that makes no sense, such as a parcel of an order that was never placed, is skipped.
// Both are counted and logged. Two things stop a view: an event of the shop whose type is unknown,
// because a newer program wrote it, and a fault of the view itself.
//
// Each event has its effect exactly once, for two reasons. A batch's rows and the checkpoint
// commit in one transaction. The checkpoint moves only from where the batch began, and only
// under the lease's epoch.
package projections

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"daybook/domain/wire"
	"daybook/eventstore"
)

// View is one read model: which events it reads, its tables, and how events become rows.
//
// Table names are written without a schema, because the runner sets the search path to the
// current build. A table whose name begins with "_" is private to the view. All other tables,
// and SQL views, are published as read.<name>, so their names must be unique over all views.
//
// Rows must depend on the events only, and not on now() or on how events were divided into
// batches. Otherwise a rebuild would give other rows.
type View struct {
	// Name is the view's name, such as "orders": lower-case letters and '_'.
	Name string
	// Version is raised when tables or their meaning change. The new version is then built
	// beside the old one from event 0, and comes into use when it has caught up.
	Version int
	// Setting is a configuration on which the rows depend, such as a time zone. A changed
	// setting causes a rebuild, like a changed version.
	Setting string
	// Claims are the prefixes of the event types that the view reads, such as "order.".
	Claims []string
	// Tables creates the tables, with the keys that Apply needs.
	Tables string
	// Columns are the columns of each table, from which the view's statements are made.
	Columns map[string][]string
	// Indexes creates the indexes that only readers need. In a rebuild it runs after the
	// load.
	Indexes string
	// Belongs tells whether a claimed event is in a stream of its kind. If not, the event is
	// skipped. nil: all are.
	Belongs func(eventType, stream string) bool
	// Decode reads the data of a claimed event that the shop wrote; events of other programs
	// are skipped. If it returns *wire.UnknownTypeError for an event of the shop, the view
	// stops. After any other error the event is skipped.
	Decode func(eventType string, data []byte) (any, error)
	// Metadata asks for Event.Meta, which costs one more decoding for each event.
	Metadata bool
	// Apply writes a batch's rows, or queues them in tx.Writes. It must use no connection but
	// tx, keep no state between batches, and leave the events unchanged. It calls Skip for an
	// event that makes no sense.
	Apply func(ctx context.Context, tx *Tx, batch []Event) error
}

// Event is a recorded event, decoded.
type Event struct {
	eventstore.Recorded
	// Value is the result of the view's Decode, within bounds.
	Value any
	// Meta is set if the view asks for it.
	Meta eventstore.Metadata

	odd     string // what no command can have recorded; empty: nothing
	skipped bool   // the event has no effect on the rows
}

// Skip says that the event has no effect on the view's rows, and why.
func (e *Event) Skip(reason string) { e.odd, e.skipped = reason, true }

// EffectiveAt is when the event took effect.
func (e *Event) EffectiveAt() time.Time { return e.Meta.EffectiveAt(e.RecordedAt) }

// Follows tells whether an event is at the right place in its stream: the event that begins
// an aggregate comes once, and everything else comes after it. known says that the aggregate
// has begun. If the place is wrong, Follows skips the event. The revision does not matter,
// because other programs may have written to the stream before.
func (e *Event) Follows(begins, known bool) bool {
	switch {
	case begins && known:
		e.Skip("begins a stream that has begun")
		return false
	case !begins && !known:
		e.Skip("is in a stream that has not begun")
		return false
	}
	return true
}

// OfItsKind tells whether an event's type and its stream have the same category:
// "order.placed.v1" belongs to "order-1001". Other programs may write any type to any stream.
func OfItsKind(eventType, stream string) bool {
	category, _, _ := strings.Cut(eventType, ".")
	of, id, named := strings.Cut(stream, "-")
	return named && id != "" && of == category
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

// Read decodes a recorded event into the form that Apply gets. It does not compare the event with
// Claims. Value is nil if the view skips the event. Read returns an error if the view must stop. A
// panic in a decoder is a fault like any other: it stops the view and not the process.
func (v View) Read(recorded eventstore.Recorded) (event Event, err error) {
	defer recovered(&err)
	event.Recorded = recorded
	if v.Belongs != nil && !v.Belongs(recorded.Type, recorded.Stream) {
		event.Skip("is in a stream of another kind")
		return event, nil
	}
	value, err := eventstore.Decode(&recorded, v.Decode)
	if OfANewerProgram(recorded, err) {
		return event, fmt.Errorf("event %s at %s: %w", eventstore.Visible(recorded.Type), recorded.Position, err)
	}
	if eventstore.IsForeign(err) {
		event.Skip(err.Error())
		return event, nil
	}
	if err != nil {
		event.Skip("cannot be read: " + err.Error())
		return event, nil
	}
	event.Value, event.odd = Bounded(value)
	if event.odd != "" {
		event.odd += " is out of bounds"
	}
	if v.Metadata {
		var odd string
		if event.Meta, odd = ReadMetadata(recorded); odd != "" {
			event.odd = odd
		}
	}
	return event, nil
}

// OfANewerProgram tells whether an event could not be decoded, with this error, because a newer
// version of this program wrote it. Its type is unknown, and its id is of the kind that only the
// domain's events have (eventstore.LogWide). The view must wait for a version that knows the type.
// Every other event of an unknown type comes from another program. No version of this program will
// ever read such an event, so the view skips it.
func OfANewerProgram(recorded eventstore.Recorded, err error) bool {
	_, unknown := errors.AsType[*wire.UnknownTypeError](err)
	return unknown && eventstore.LogWide(recorded.ID)
}

// ReadMetadata reads an event's metadata within bounds. odd says what in it this program
// cannot have recorded. Metadata that cannot be read counts as empty.
func ReadMetadata(recorded eventstore.Recorded) (meta eventstore.Metadata, odd string) {
	meta, err := eventstore.DecodeMetadata(recorded.Meta)
	if err != nil {
		return eventstore.Metadata{}, "the metadata cannot be read"
	}
	if !meta.Credible(recorded.RecordedAt) {
		meta.OccurredAt, odd = time.Time{}, "the effective time cannot be true"
	}
	if changed := planOf(reflect.TypeFor[eventstore.Metadata]())(reflect.ValueOf(&meta).Elem()); changed != "" {
		odd = "metadata: " + changed + " is out of bounds"
	}
	return meta, odd
}

func (v View) apply(ctx context.Context, tx *Tx, batch []Event) (err error) {
	defer recovered(&err)
	return v.Apply(ctx, tx, batch)
}

func recovered(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("panic: %v", cause)
	}
}

// ErrUnknownView means that there is no view with that name.
var ErrUnknownView = errors.New("unknown view")
