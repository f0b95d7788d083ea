package eventstore

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Anchor names an event, so that a place in the log can be recognised. A part of the program
// that stores a place, in order to go on from there, stores an anchor with it. If the log
// still holds this event at this position, it also holds everything before it unchanged. The
// zero Anchor names no event.
type Anchor struct {
	Position Position
	Stream   string
	Revision int64
	ID       uuid.UUID
	// RecordedAt is zero where it was not known.
	RecordedAt time.Time
}

// AnchorOf is the anchor that names an event. It is the zero Anchor in two cases: a database
// cannot store the stream's name, or the event belongs to the server, which may delete it.
func AnchorOf(e *Recorded) Anchor {
	if e == nil || !IsText(e.Stream) || strings.HasPrefix(e.Stream, "$") {
		return Anchor{}
	}
	return Anchor{Position: e.Position, Stream: e.Stream, Revision: e.Revision, ID: e.ID, RecordedAt: e.RecordedAt}
}

// IsZero tells whether the anchor names no event.
func (a Anchor) IsZero() bool { return a.Position.IsStart() }

// Later returns this anchor or the other one, whichever is later in the log. If both name the same
// event, it returns the one that knows the recorded time.
func (a Anchor) Later(other Anchor) Anchor {
	if a.before(other.Position) {
		return other
	}
	return a
}

// before tells whether another anchor, at this position, should take the place of this one: it is
// later in the log, or it names the same event and this anchor does not know the recorded time.
func (a Anchor) before(position Position) bool {
	return a.Position.Before(position) || a.Position == position && a.RecordedAt.IsZero() && !a.IsZero()
}

// Names tells whether the anchor names this event of a log.
func (a Anchor) Names(e *Recorded) bool {
	return e.Position == a.Position && e.Stream == a.Stream && e.Revision == a.Revision && e.ID == a.ID &&
		(a.RecordedAt.IsZero() || a.RecordedAt.Equal(e.RecordedAt))
}

// Describe describes the event in words, without its position in the log.
func (a Anchor) Describe() string {
	recorded := ""
	if !a.RecordedAt.IsZero() {
		recorded = ", recorded at " + a.RecordedAt.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprintf("event %s (%s, revision %d%s)", a.ID, Visible(a.Stream), a.Revision, recorded)
}

// String is the form in which databases store an anchor: position, revision, id, recorded
// time in microseconds since 1970 (0: not known) and stream, with spaces between them.
// Example: "32 4 <id> 1700000000000000 stock-MUG@main". It is empty for the zero Anchor. The
// form never changes.
func (a Anchor) String() string {
	if a.IsZero() {
		return ""
	}
	recorded := int64(0)
	if !a.RecordedAt.IsZero() {
		recorded = a.RecordedAt.UnixMicro()
	}
	return a.Position.String() + " " + strconv.FormatInt(a.Revision, 10) + " " + a.ID.String() + " " + strconv.FormatInt(recorded, 10) + " " + a.Stream
}

// ParseAnchor reads what String has written.
func ParseAnchor(text string) (Anchor, error) {
	if text == "" {
		return Anchor{}, nil
	}
	const parts = 5
	fields := strings.SplitN(text, " ", parts)
	if len(fields) != parts {
		return Anchor{}, fmt.Errorf("anchor %q: want a position, a revision, an id, a time and a stream", text)
	}
	var a Anchor
	var recorded int64
	var err error
	if a.Position, err = ParsePosition(fields[0]); err == nil {
		if a.Revision, err = strconv.ParseInt(fields[1], 10, 64); err == nil {
			if a.ID, err = uuid.Parse(fields[2]); err == nil {
				recorded, err = strconv.ParseInt(fields[3], 10, 64)
			}
		}
	}
	if err != nil {
		return Anchor{}, fmt.Errorf("anchor %q: %w", text, err)
	}
	if recorded != 0 {
		a.RecordedAt = time.UnixMicro(recorded).UTC()
	}
	a.Stream = fields[4]
	return a, nil
}

// Place is where a follower of the log will go on reading.
type Place struct {
	Keeper string // who stores the place, such as "the view orders"
	At     Position
	// Anchor is an event at or before the place, or a later event that the keeper has read. Of the
	// events between the anchor and the place, the keeper wants none, except those that cannot be
	// anchors (see AnchorOf). Example: a view that wants only orders is at place 40, and its anchor
	// is the event at 32. So the events from 33 to 40 are not of orders. Anchor is zero if no event
	// was stored.
	Anchor Anchor
	// Filter is what the keeper wants of the log. nil means that it is not known.
	Filter *Filter
}
