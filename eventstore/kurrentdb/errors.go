package kurrentdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"daybook/eventstore"
)

// fate is what an error says about a call.
type fate int

const (
	unknown   fate = iota // no answer, or an answer that does not tell: the call may have been done
	lost                  // as unknown, and the connection does not work any more
	notSent               // nothing was sent
	elsewhere             // not done: another node is the leader, and the client goes there
	moved                 // not done: another node is the leader, and it was not named
	busy                  // not done: the server is not able to
	conflict              // not done: the stream is not as expected
	missing               // not done: there is no such stream
	deleted               // not done: the stream has ended
	duplicate             // not done: an event id is recorded already
	denied                // not done: this user has no right to do it
	refused               // not done, and never will be
	nowhere               // not done: the log does not know the place
)

// answers tells whether an error with this fate comes from a server that works.
func answers(f fate) bool {
	switch f {
	case unknown, lost, notSent, elsewhere, moved:
		return false
	default:
		return true
	}
}

// judge is the only place that knows the errors of the client and of the server. The client's
// own function (esdb.FromError) finds only errors that are not wrapped.
func judge(err error) fate {
	if _, ok := errors.AsType[*unsent](err); ok {
		return notSent
	}
	if _, ok := errors.AsType[*clientPanic](err); ok {
		return refused
	}
	if _, ok := errors.AsType[*eventstore.UnknownPlaceError](err); ok {
		return nowhere
	}
	if _, ok := errors.AsType[*noAnswer](err); ok {
		return unknown
	}
	if _, ok := errors.AsType[*notRead](err); ok {
		return unknown
	}
	reply, typed := status.FromError(err)
	if own, ok := errors.AsType[*esdb.Error](err); ok {
		switch own.Code() {
		case esdb.ErrorCodeConnectionClosed:
			return notSent
		case esdb.ErrorCodeNotLeader:
			return elsewhere
		case esdb.ErrorCodeWrongExpectedVersion:
			return conflict
		case esdb.ErrorCodeStreamDeleted:
			return deleted
		case esdb.ErrorCodeResourceNotFound:
			if !typed { // the answer to a read, not an error of the protocol
				return missing
			}
		default: // the wrapped error decides
		}
	}
	switch {
	case typed && answers(judgeCode(reply.Code())):
		return judgeCode(reply.Code())
	case err != nil && strings.Contains(err.Error(), saysNoNode): // every call first asks for a node
		return notSent
	case typed:
		return judgeCode(reply.Code())
	case errors.Is(err, io.EOF): // the server ended the call early, and the client has lost the reason
		return lost
	default:
		return unknown
	}
}

func judgeCode(code codes.Code) fate {
	switch code {
	case codes.Unavailable:
		return lost
	case codes.NotFound:
		return moved
	case codes.FailedPrecondition: // deletions say so; appends say it with a message
		return conflict
	case codes.AlreadyExists:
		return duplicate
	case codes.Unauthenticated, codes.PermissionDenied:
		return denied
	case codes.ResourceExhausted:
		return busy
	case codes.InvalidArgument, codes.OutOfRange, codes.Unimplemented:
		return refused
	default: // Canceled, DeadlineExceeded, Aborted (a write that timed out), Internal, Unknown, DataLoss
		return unknown
	}
}

// appendError turns the error of an append into the contract's error.
func appendError(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event, err error) error {
	switch judge(err) {
	case notSent:
		if ctx.Err() != nil {
			return fmt.Errorf("append to %s: %w", stream, ctx.Err())
		}
		return &eventstore.UnavailableError{Cause: err}
	case elsewhere, moved, busy:
		return &eventstore.UnavailableError{Cause: err}
	case conflict:
		return &eventstore.ConflictError{Stream: stream, Expected: expected, Actual: eventstore.UnknownRevision}
	case deleted:
		return &eventstore.DeletedError{Stream: stream}
	case duplicate:
		return &eventstore.DuplicateEventError{Stream: stream, ID: duplicateID(err, events)}
	case denied:
		return deniedError("append to "+stream, err)
	case refused:
		return refusedError(err)
	default:
		return &eventstore.OutcomeUnknownError{Cause: err}
	}
}

// refusedError is the error if the client cannot go on, or if a server refuses for a reason
// that the contract does not know, such as a lower limit.
func refusedError(err error) error {
	if _, ok := errors.AsType[*clientPanic](err); ok {
		return &eventstore.OutcomeUnknownError{Cause: err}
	}
	return &eventstore.InvalidError{Reason: fmt.Sprintf("the server refuses it: %s", status.Convert(err).Message())}
}

// duplicateID is the id that the server names, as the gateway does. If it names none, it is
// the first id of the append.
func duplicateID(err error, events []eventstore.Event) uuid.UUID {
	for _, detail := range status.Convert(err).Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if !ok {
			continue
		}
		if id, err := uuid.Parse(info.GetMetadata()["event-id"]); err == nil {
			return id
		}
	}
	return events[0].ID
}

// deniedError says what to do about it.
func deniedError(what string, err error) error {
	reason := "this user has no right to (for an append, to the stream; for reading everything, to $all)"
	if status.Code(err) == codes.Unauthenticated {
		reason = "the server does not take these credentials (without TLS none are sent)"
	}
	return &eventstore.DeniedError{Cause: fmt.Errorf("%s: %s: %w", what, reason, err)}
}

// readError turns the error of a read that is not repeated into the contract's error.
func readError(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	switch judge(err) {
	case denied:
		return deniedError(what, err)
	case refused, conflict, duplicate, missing, deleted, nowhere:
		return fmt.Errorf("%s: %w", what, err)
	default:
		return &eventstore.UnavailableError{Cause: fmt.Errorf("%s: %w", what, err)}
	}
}

// refusesPlace tells whether a server may have refused to read from a position: its error is
// the text of an exception, or calls the position invalid.
func refusesPlace(err error) bool {
	reply, typed := status.FromError(err)
	if !typed {
		return false
	}
	switch reply.Code() {
	case codes.Unknown, codes.InvalidArgument, codes.OutOfRange:
		return true
	default:
		return false
	}
}

// passes tells whether a read that failed may succeed if it is repeated.
func passes(err error) bool {
	switch judge(err) {
	case unknown, lost, notSent, elsewhere, moved, busy:
		return true
	default:
		return false
	}
}
