package gateway

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"daybook/eventstore"
)

// Names of trailers, and the values of the trailer by which clients tell errors apart.
const (
	trailerException = "exception"
	trailerStream    = "stream-name"
	trailerExpected  = "expected-version"
	trailerActual    = "actual-version"
	trailerMaxAppend = "maximum-append-size"
	trailerRequired  = "required-metadata-properties"

	accessDenied    = "access-denied"
	streamDeleted   = "stream-deleted"
	wrongVersion    = "wrong-expected-version"
	appendTooLarge  = "maximum-append-size-exceeded"
	missingProperty = "missing-required-metadata-property"
)

// reasonDuplicate is the reason in the details of ALREADY_EXISTS: the append was refused
// because an event id is recorded elsewhere.
const reasonDuplicate = "duplicate-event-id"

// failure is an error in the form of the protocol: a status and trailers. It is sent as it
// is. All other errors are turned into one first.
type failure struct {
	status   *status.Status
	trailers metadata.MD // each key once, because a client would misread a key that comes twice
}

func (f *failure) Error() string              { return f.status.Message() }
func (f *failure) GRPCStatus() *status.Status { return f.status }

// fail makes a failure. trailers are pairs of name and value.
func fail(code codes.Code, message string, trailers ...string) *failure {
	return &failure{status: status.New(code, message), trailers: metadata.Pairs(trailers...)}
}

func invalid(format string, args ...any) *failure {
	return fail(codes.InvalidArgument, fmt.Sprintf(format, args...))
}

func denied(format string, args ...any) *failure {
	return fail(codes.PermissionDenied, "access denied: "+fmt.Sprintf(format, args...), trailerException, accessDenied)
}

func deleted(stream string) *failure {
	return fail(codes.FailedPrecondition, fmt.Sprintf("stream %s is deleted", stream),
		trailerException, streamDeleted, trailerStream, trailerText(stream))
}

// trailerText makes a name fit into a trailer, which carries printable ASCII only.
func trailerText(name string) string {
	text := []byte(name)
	for i, b := range text {
		if b < ' ' || b > '~' {
			text[i] = '?'
		}
	}
	return string(text)
}

// failureOf turns an error of the store into the protocol's form. An error without such a
// form becomes INTERNAL, without its text, because the text may be about the database.
func failureOf(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if f := failureOfAppend(err); f != nil {
		return f
	}
	if e, ok := errors.AsType[*eventstore.NotFoundError](err); ok {
		return fail(codes.NotFound, e.Error())
	}
	if e, ok := errors.AsType[*eventstore.DeletedError](err); ok {
		return deleted(e.Stream)
	}
	if e, ok := errors.AsType[*eventstore.OutcomeUnknownError](err); ok {
		if errors.Is(e.Cause, context.DeadlineExceeded) {
			return fail(codes.DeadlineExceeded, e.Error())
		}
		return fail(codes.Aborted, "write timed out, its outcome is unknown: repeat it with the same event ids")
	}
	if e, ok := errors.AsType[*tooLargeError](err); ok {
		return fail(codes.ResourceExhausted, e.Error())
	}
	if _, ok := errors.AsType[*eventstore.DivergedError](err); ok {
		return fail(codes.Unavailable, "the log is not available: it has diverged from what this server knows of it")
	}
	switch {
	case isUnavailable(err):
		return fail(codes.Unavailable, "the log is not available")
	case errors.Is(err, context.DeadlineExceeded):
		return fail(codes.DeadlineExceeded, "deadline exceeded")
	case errors.Is(err, context.Canceled):
		return fail(codes.Canceled, "canceled")
	}
	if fromGRPC, ok := status.FromError(err); ok { // an error of gRPC itself
		return &failure{status: fromGRPC}
	}
	return fail(codes.Internal, "internal error")
}

func isUnavailable(err error) bool {
	_, ok := errors.AsType[*eventstore.UnavailableError](err)
	return ok
}

// failureOfAppend says why an append was refused. It is nil if the reason is not the append
// or its stream.
func failureOfAppend(err error) *failure {
	if e, ok := errors.AsType[*eventstore.ConflictError](err); ok {
		return fail(codes.FailedPrecondition, e.Error(),
			trailerException, wrongVersion, trailerStream, trailerText(e.Stream),
			trailerExpected, strconv.FormatInt(int64(e.Expected), 10), trailerActual, strconv.FormatInt(e.Actual, 10))
	}
	if e, ok := errors.AsType[*eventstore.DuplicateEventError](err); ok {
		return duplicate(e)
	}
	if e, ok := errors.AsType[*eventstore.TooLargeError](err); ok {
		switch {
		case isOfBytes(e):
			return fail(codes.InvalidArgument, saysTooLarge, trailerException, appendTooLarge, trailerMaxAppend, strconv.Itoa(eventstore.MaxAppendBytes))
		case e.What == "events":
			// Not the form for an append that is too large, because clients turn that into an
			// error about bytes.
			return invalid("too many events in one append: it takes %d at most", e.Limit)
		}
		return fail(codes.InvalidArgument, e.Error())
	}
	if e, ok := errors.AsType[*eventstore.InvalidError](err); ok {
		return fail(codes.InvalidArgument, e.Error())
	}
	return nil
}

// saysTooLarge names no size, because only a part of the append was read, and in the form of
// the log.
var saysTooLarge = fmt.Sprintf("the append is over the limit of %d bytes of data, metadata and twice the type names; "+
	"content that is no JSON object counts 4/3 of its bytes", eventstore.MaxAppendBytes)

// isOfBytes tells whether the whole append has too many bytes. Otherwise a name in it is too
// long, or it has too many events.
func isOfBytes(e *eventstore.TooLargeError) bool { return e.What == "bytes" }

func duplicate(e *eventstore.DuplicateEventError) *failure {
	f := fail(codes.AlreadyExists, e.Error())
	info := &errdetails.ErrorInfo{Reason: reasonDuplicate, Metadata: map[string]string{"event-id": e.ID.String()}}
	if detailed, err := f.status.WithDetails(info); err == nil {
		f.status = detailed
	}
	return f
}

func missingMetadata() *failure {
	return fail(codes.InvalidArgument, "an event needs a type and a content type",
		trailerException, missingProperty, trailerRequired, metaType+","+metaContentType)
}
