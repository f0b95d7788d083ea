// Package projections posts the log to read models: it runs the views, each of
// which turns facts into rows of Postgres.
//
// What the rows mean is not its business: that is each view's, in the folders
// below. Nor does it judge facts: a recorded event has happened. What no command
// of ours can have recorded does not stop a view: values beyond all bounds are
// read as the nearest within (Bounded), and an event that makes no sense, such
// as a parcel of an order that was never placed, is skipped. Both are counted
// and logged. Only an event of ours of an unknown type stops a view, because a newer
// program wrote it, and so does a fault of the view itself.
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
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/domain/wire"
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
	// Columns are the columns of each table, from which the view's statements are made.
	Columns map[string][]string
	// Indexes creates what only readers need; on a rebuild it runs after the load.
	Indexes string
	// Belongs tells whether a claimed event is in a stream of its kind; one that is
	// not is skipped. Nil: all are.
	Belongs func(eventType, stream string) bool
	// Decode reads the data of a claimed event that the shop wrote; others are skipped. A *wire.UnknownTypeError of an event of
	// ours stops the view; after any other error the event is skipped.
	Decode func(eventType string, data []byte) (any, error)
	// Metadata asks for Event.Meta, which costs a decoding more per event.
	Metadata bool
	// Apply writes a batch's rows. It must use no connection but tx, keep no
	// state between batches, and leave the events unchanged. It calls Skip on an event
	// that makes no sense.
	Apply func(ctx context.Context, tx pgx.Tx, batch []Event) error
}

// Event is a recorded event, decoded.
type Event struct {
	eventstore.Recorded
	// Value is what the view's Decode made of the data, within bounds.
	Value any
	// Meta is set if the view asks for it.
	Meta eventstore.Metadata

	odd     string // what about it no command can have recorded
	skipped bool   // nothing was made of it
}

// Skip says that a view makes nothing of the event, and why.
func (e *Event) Skip(reason string) { e.odd, e.skipped = reason, true }

// EffectiveAt is when the event took effect.
func (e *Event) EffectiveAt() time.Time { return e.Meta.EffectiveAt(e.RecordedAt) }

// Follows tells whether an event has its place in its stream: what begins an
// aggregate comes once, and everything else comes after it. known says that the
// aggregate has begun. Otherwise Follows skips the event. At which revision an aggregate
// begins does not matter, because other programs may have written before.
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

// OfItsKind tells whether an event's type and its stream are of one category:
// "order.placed.v1" belongs in "order-1001". Whoever writes to the log past the
// program may name types and streams as they like.
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

// decode reads a recorded event for the view. A panic in a decoder is a bug
// like any other: it stops the view, not the process.
func (v View) decode(recorded eventstore.Recorded) (event Event, err error) {
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

// OfANewerProgram tells whether an event could not be decoded, with this error,
// because a newer program of ours wrote it: its type is unknown and its id of the kind
// that only the domain's events have (eventstore.LogWide). Such an event must be
// waited for. Whatever else is of an unknown type was written by another program,
// and no program of ours will ever read it.
func OfANewerProgram(recorded eventstore.Recorded, err error) bool {
	_, unknown := errors.AsType[*wire.UnknownTypeError](err)
	return unknown && eventstore.LogWide(recorded.ID)
}

// ReadMetadata reads an event's metadata within bounds. odd says what about it no
// writer of ours can have recorded; metadata that cannot be read counts as empty.
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
