package eventstore

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// ConflictError means that the stream was not as expected. Nothing was appended.
type ConflictError struct {
	Stream   string
	Expected Expected
	// Actual is the stream's last revision, -1 if it is empty, or UnknownRevision.
	Actual int64
}

// UnknownRevision is ConflictError.Actual if the engine does not say the revision.
const UnknownRevision int64 = -100

func (e *ConflictError) Error() string {
	is := "it does not exist"
	switch {
	case e.Actual == UnknownRevision:
		is = "it is in another state"
	case e.Actual >= 0:
		is = fmt.Sprintf("it is at revision %d", e.Actual)
	}
	// The stream is as expected, so the events are the reason.
	if e.Expected == Any || e.Expected == StreamExists && e.Actual >= 0 {
		return fmt.Sprintf("stream %s: expected %s; %s, but it holds some of these events already", Visible(e.Stream), e.Expected, is)
	}
	return fmt.Sprintf("stream %s: expected %s, but %s", Visible(e.Stream), e.Expected, is)
}

// DuplicateEventError means that an event id of the append is already recorded elsewhere. A LogWide
// id is compared with the whole log. Any other id is compared with the ids of its stream, and only
// if that stream is not as expected. Nothing was appended.
type DuplicateEventError struct {
	Stream string // of the append that was refused
	ID     uuid.UUID
}

func (e *DuplicateEventError) Error() string {
	return fmt.Sprintf("stream %s: event id %s is already recorded elsewhere", Visible(e.Stream), e.ID)
}

// NotFoundError means that the stream holds no event.
type NotFoundError struct{ Stream string }

func (e *NotFoundError) Error() string { return fmt.Sprintf("stream %s: not found", Visible(e.Stream)) }

// DeletedError means that a tombstone ended the stream for good: it takes no more events, and its
// events can be read only from the whole log (ReadAll). If an append that was recorded before is
// repeated now, it gets this error, too.
type DeletedError struct{ Stream string }

func (e *DeletedError) Error() string { return fmt.Sprintf("stream %s: deleted", Visible(e.Stream)) }

// UnknownPlaceError means that the log does not know the position at which a read or a
// subscription should begin: it is beyond the log's end, or no event is there. A log knows
// every position that it gave out. So the position belongs to another log, or to a part that
// this log has lost, for example because it was restored from an older backup. A repetition
// does not help.
type UnknownPlaceError struct {
	Position Position
	// Head is the position of the log's last event, or Start if the log is empty.
	Head Position
	// Cause is the error of the engine's server; nil if it gave none.
	Cause error
}

func (e *UnknownPlaceError) Error() string {
	if e.Head.Before(e.Position) {
		return fmt.Sprintf("position %s is beyond the head %s: it belongs to another log, or to a part that this log has lost", e.Position, e.Head)
	}
	return fmt.Sprintf("the log does not know position %s (the head is %s): it belongs to another log, or to a part that this log has lost: %v", e.Position, e.Head, e.Cause)
}

// Unwrap returns the error of the server.
func (e *UnknownPlaceError) Unwrap() error { return e.Cause }

// TooLargeError means that an append is over a limit. Nothing was appended.
type TooLargeError struct {
	What        string // "bytes", "events", "streams", "stream name bytes", "type name bytes"
	Size, Limit int
}

func (e *TooLargeError) Error() string {
	if name, ok := strings.CutSuffix(e.What, " bytes"); ok {
		return fmt.Sprintf("%s of %d bytes is over the limit of %d", name, e.Size, e.Limit)
	}
	return fmt.Sprintf("append of %d %s is over the limit of %d", e.Size, e.What, e.Limit)
}

// InvalidError means that an append can never be accepted as it is. Examples: no events, an
// empty stream name or type name, a name with control characters, a nil id, the same LogWide
// id twice, data that is not a JSON object, or events after a tombstone. Nothing was
// appended.
type InvalidError struct{ Reason string }

func (e *InvalidError) Error() string { return "append refused: " + e.Reason }

// UnavailableError means that the engine could not take the request. Nothing was appended,
// and the same request can be repeated.
type UnavailableError struct{ Cause error }

func (e *UnavailableError) Error() string { return fmt.Sprintf("event store unavailable: %v", e.Cause) }
func (e *UnavailableError) Unwrap() error { return e.Cause }

// DeniedError means that the engine's server refuses the request because of the credentials
// of this program. Nothing was done. A repetition helps only after somebody has changed the
// rights.
type DeniedError struct{ Cause error }

func (e *DeniedError) Error() string { return fmt.Sprintf("event store: not allowed: %v", e.Cause) }
func (e *DeniedError) Unwrap() error { return e.Cause }

// OutcomeUnknownError means that the request was sent and no answer came. The events may or
// may not be recorded. Repeat the request with the same ids and the same expectation to find
// out.
type OutcomeUnknownError struct{ Cause error }

func (e *OutcomeUnknownError) Error() string {
	return fmt.Sprintf("append sent, outcome unknown: %v", e.Cause)
}
func (e *OutcomeUnknownError) Unwrap() error { return e.Cause }

// DivergedError means that the log is not the log that was followed so far: it was restored
// from a backup, or it is a different log. Nothing was done, and every call is refused until
// somebody decides what to do (see daybook accept-log).
type DivergedError struct {
	Keeper string // who knows the log, such as "the view orders"
	// At is the position at which the two logs differ. It is Start if that is not known.
	At Position
	// Expected and Found say in words what should be there and what is there.
	Expected, Found string
	// MayPass means that the difference may go away: a cluster's new leader may be behind for
	// a moment, so the log is compared again. Without MayPass the difference is final.
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
