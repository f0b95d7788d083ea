package gateway

import (
	"context"
	"errors"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"daybook/eventstore"
)

// repeatStream names the stream of the request in the answer. Bytes that are not UTF-8 become
// U+FFFD, as on a real server.
func repeatStream(options *streams.BatchAppendReq_Options) *shared.StreamIdentifier {
	if id := options.GetStreamIdentifier(); id != nil {
		return streamID(string([]rune(string(id.GetStreamName()))))
	}
	return nil
}

func batchSuccess(result eventstore.Result) *streams.BatchAppendResp_Success {
	if result.Position.IsStart() {
		return &streams.BatchAppendResp_Success{
			CurrentRevisionOption: &streams.BatchAppendResp_Success_NoStream{NoStream: &emptypb.Empty{}},
			PositionOption:        &streams.BatchAppendResp_Success_NoPosition{NoPosition: &emptypb.Empty{}},
		}
	}
	commit, prepare := result.Position.Pair()
	return &streams.BatchAppendResp_Success{
		CurrentRevisionOption: &streams.BatchAppendResp_Success_CurrentRevision{CurrentRevision: uint64(result.Revision)},
		PositionOption: &streams.BatchAppendResp_Success_Position{
			Position: &shared.AllStreamPosition{CommitPosition: commit, PreparePosition: prepare},
		},
	}
}

// batchError is an error in the form of this method. Clients tell errors apart by the detail.
func batchError(stream string, err error) *rpcstatus.Status {
	told := failureOf(err)
	message := strings.ToValidUTF8(told.Error(), "?") // names in it may be any bytes
	code, detail := told.status.Code(), proto.Message(&shared.Unknown{})
	conflict, isConflict := errors.AsType[*eventstore.ConflictError](err)
	tooLarge, isTooLarge := errors.AsType[*eventstore.TooLargeError](err)
	_, isDeleted := errors.AsType[*eventstore.DeletedError](err)
	_, isUnknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
	switch {
	case isConflict:
		code, detail = codes.AlreadyExists, wrongVersionDetail(conflict)
	case isDeleted:
		code, detail = codes.NotFound, &shared.StreamDeleted{StreamIdentifier: streamID(stream)}
	case isTooLarge && isOfBytes(tooLarge):
		detail = &shared.MaximumAppendSizeExceeded{MaxAppendSize: eventstore.MaxAppendBytes}
	case code == codes.PermissionDenied:
		detail = &shared.AccessDenied{}
	case isUnknown || errors.Is(err, context.DeadlineExceeded):
		code, detail = codes.DeadlineExceeded, &shared.Timeout{}
	case code == codes.InvalidArgument || code == codes.AlreadyExists:
		detail = &shared.BadRequest{Message: message}
	}
	answer := &rpcstatus.Status{Code: int32(code), Message: message}
	if packed, err := anypb.New(detail); err == nil {
		answer.Details = []*anypb.Any{packed}
	}
	return answer
}

func wrongVersionDetail(conflict *eventstore.ConflictError) *shared.WrongExpectedVersion {
	detail := &shared.WrongExpectedVersion{
		CurrentStreamRevisionOption: &shared.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: uint64(conflict.Actual)},
	}
	if conflict.Actual < 0 {
		detail.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &emptypb.Empty{}}
	}
	switch conflict.Expected {
	case eventstore.Any:
		detail.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedAny{ExpectedAny: &emptypb.Empty{}}
	case eventstore.StreamExists:
		detail.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &emptypb.Empty{}}
	case eventstore.NoStream:
		detail.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &emptypb.Empty{}}
	default:
		detail.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamPosition{ExpectedStreamPosition: uint64(conflict.Expected)}
	}
	return detail
}
