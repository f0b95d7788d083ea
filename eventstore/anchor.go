package eventstore

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Anchor is an event by which a place in the log is known. Whoever keeps a place,
// in order to go on from there, keeps an anchor with it: as long as the log holds
// this event at this position, it also holds what came before as it was. The zero
// Anchor names no event.
type Anchor struct {
	Position Position
	Stream   string
	Revision int64
	ID       uuid.UUID
	// RecordedAt is zero where it was not known.
	RecordedAt time.Time
}

// AnchorOf is the anchor that names an event. It is zero if a database cannot store
// the stream's name, and for an event of the server's own, which may vanish.
func AnchorOf(e *Recorded) Anchor {
	if e == nil || !IsText(e.Stream) || strings.HasPrefix(e.Stream, "$") {
		return Anchor{}
	}
	return Anchor{Position: e.Position, Stream: e.Stream, Revision: e.Revision, ID: e.ID, RecordedAt: e.RecordedAt}
}

// IsZero tells whether the anchor names no event.
func (a Anchor) IsZero() bool { return a.Position.IsStart() }

// Later is the one of two anchors that stands later in the log. If both name the same
// event, it is the one that knows the recorded time.
func (a Anchor) Later(other Anchor) Anchor {
	if a.before(other.Position) {
		return other
	}
	return a
}

// before tells whether an anchor at this position, with its time, would say more.
func (a Anchor) before(position Position) bool {
	return a.Position.Before(position) || a.Position == position && a.RecordedAt.IsZero() && !a.IsZero()
}

// Names tells whether an event of a log is the one that the anchor names.
func (a Anchor) Names(e *Recorded) bool {
	return e.Position == a.Position && e.Stream == a.Stream && e.Revision == a.Revision && e.ID == a.ID &&
		(a.RecordedAt.IsZero() || a.RecordedAt.Equal(e.RecordedAt))
}

// Describe says in words which event it is, but not where it stands in the log.
func (a Anchor) Describe() string {
	recorded := ""
	if !a.RecordedAt.IsZero() {
		recorded = ", recorded at " + a.RecordedAt.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprintf("event %s (%s, revision %d%s)", a.ID, Visible(a.Stream), a.Revision, recorded)
}

// String is the form in which databases keep an anchor: position, revision, id,
// recorded time in microseconds since 1970 (0: not known) and stream, with a space
// between. It is empty for the zero Anchor. The form never changes.
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

// Place is where somebody who follows the log will go on.
type Place struct {
	Keeper string // whose it is, such as "the view orders"
	At     Position
	// Anchor is an event known at or before the place, or one after it that the keeper
	// has seen as well. No event that the keeper wants, and that can be an anchor, is
	// between it and the place. Zero where none was noted.
	Anchor Anchor
	// Filter is what the keeper wants of the log. nil: it is not known.
	Filter *Filter
}
