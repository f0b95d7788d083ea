package eventstore

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// ConflictError means the stream was not as expected. Nothing was appended.
type ConflictError struct {
	Stream   string
	Expected Expected
	// Actual is the stream's last revision, -1 if it is empty, or UnknownRevision.
	Actual int64
}

// UnknownRevision is ConflictError.Actual where the engine does not tell.
const UnknownRevision int64 = -100

func (e *ConflictError) Error() string {
	is := "it is not there"
	switch {
	case e.Actual == UnknownRevision:
		is = "it is not so"
	case e.Actual >= 0:
		is = fmt.Sprintf("it is at revision %d", e.Actual)
	}
	if e.Expected == Any || e.Expected == StreamExists && e.Actual >= 0 { // it is so: the events are the reason
		is += ", and holds some of these events already"
	}
	return fmt.Sprintf("stream %s: expected %s, %s", Visible(e.Stream), e.Expected, is)
}

// DuplicateEventError means that an event id is already recorded, but not at the
// place asked for: one that is LogWide anywhere in the log, another in the stream,
// which was not as expected. Nothing was appended.
type DuplicateEventError struct {
	Stream string // of the append that was refused
	ID     uuid.UUID
}

func (e *DuplicateEventError) Error() string {
	return fmt.Sprintf("stream %s: event id %s is already recorded elsewhere", Visible(e.Stream), e.ID)
}

// NotFoundError means the stream holds no event.
type NotFoundError struct{ Stream string }

func (e *NotFoundError) Error() string { return fmt.Sprintf("stream %s: not found", Visible(e.Stream)) }

// DeletedError means a tombstone ended the stream for good: it takes no more
// events, and is read in the log only. An append that was recorded before is
// answered so too.
type DeletedError struct{ Stream string }

func (e *DeletedError) Error() string { return fmt.Sprintf("stream %s: deleted", Visible(e.Stream)) }

// UnknownPlaceError means that the log does not know the position at which a read or
// a subscription was to begin: it is beyond the log's end, or no event is there. A log
// knows every position that it gave out. So the position is of another log, or of a
// part that this log has lost, as when it was restored from an older backup. Asking
// again does not help.
type UnknownPlaceError struct {
	Position Position
	// Head is the position of the log's last event, or Start if the log is empty.
	Head Position
	// Cause is what the engine's server says of it; nil if it says nothing.
	Cause error
}

func (e *UnknownPlaceError) Error() string {
	if e.Head.Before(e.Position) {
		return fmt.Sprintf("position %s is beyond the head %s: it is of another log, or of a part that this log has lost", e.Position, e.Head)
	}
	return fmt.Sprintf("the log does not know position %s (the head is %s): it is of another log, or of a part that this log has lost: %v", e.Position, e.Head, e.Cause)
}

// Unwrap is what the server says.
func (e *UnknownPlaceError) Unwrap() error { return e.Cause }

// TooLargeError means an append is over a limit. Nothing was appended.
type TooLargeError struct {
	What        string // "bytes", "events", "stream name bytes", "type name bytes"
	Size, Limit int
}

func (e *TooLargeError) Error() string {
	if name, ok := strings.CutSuffix(e.What, " bytes"); ok {
		return fmt.Sprintf("%s of %d bytes is over the limit of %d", name, e.Size, e.Limit)
	}
	return fmt.Sprintf("append of %d %s is over the limit of %d", e.Size, e.What, e.Limit)
}

// InvalidError means an append can never be accepted as it is: no events, an
// empty stream or type name or one with control characters, a nil id, the same LogWide id twice, bytes that are not
// JSON, events after a tombstone. Nothing was appended.
type InvalidError struct{ Reason string }

func (e *InvalidError) Error() string { return "append refused: " + e.Reason }

// UnavailableError means the engine could not take the request; nothing was
// appended, and the same request may be made again.
type UnavailableError struct{ Cause error }

func (e *UnavailableError) Error() string { return fmt.Sprintf("event store unavailable: %v", e.Cause) }
func (e *UnavailableError) Unwrap() error { return e.Cause }

// DeniedError means that the engine's server does not let this program do what it
// asked for, with the credentials it has. Nothing was done, and asking again
// helps only after somebody has changed that.
type DeniedError struct{ Cause error }

func (e *DeniedError) Error() string { return fmt.Sprintf("event store: not allowed: %v", e.Cause) }
func (e *DeniedError) Unwrap() error { return e.Cause }

// OutcomeUnknownError means the request was sent and no answer came: the events
// may be recorded or not. Repeating it with the same ids and the same
// expectation settles it.
type OutcomeUnknownError struct{ Cause error }

func (e *OutcomeUnknownError) Error() string {
	return fmt.Sprintf("append sent, outcome unknown: %v", e.Cause)
}
func (e *OutcomeUnknownError) Unwrap() error { return e.Cause }

// DivergedError means that the log is not the one that was followed so far: it was
// restored from a backup, or it is another one. Nothing was done, and nothing will
// be until somebody has decided what holds.
type DivergedError struct {
	Keeper string // who knows the log, such as "the view orders"
	// At is the position about which the two differ; Start where it is not known.
	At Position
	// Expected and Found say in words what was known to be there and what is there.
	Expected, Found string
	// MayPass: the log is compared again for a moment, because a cluster's new leader may
	// be behind. Without it, the difference is final.
	MayPass bool
}

func (e *DivergedError) Error() string {
	at, hope := "", ""
	if !e.At.IsStart() {
		at = fmt.Sprintf("at position %s ", e.At)
	}
	if e.MayPass {
		hope = " (this may pass while a cluster elects a leader: the log is compared again)"
	}
	return fmt.Sprintf("the log has diverged from what %s knows of it: expected %s%s, found %s%s", e.Keeper, at, e.Expected, e.Found, hope)
}
