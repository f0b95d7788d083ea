package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"daybook/eventstore"
)

// Append implements Streams. It answers only after it has read the whole request, because a
// client that is answered earlier loses the answer.
func (s *Server) Append(stream streams.Streams_AppendServer) error {
	var asked appendRequest
	var refused error
	defer func() { s.received.Release(asked.held) }()
	for first := true; ; first = false {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if large, ok := errors.AsType[*tooLargeError](err); ok && large.past {
			// The message was read and dropped, so the client can receive the error.
			refused = cmp.Or[error](refused, &eventstore.TooLargeError{What: "bytes", Size: large.size, Limit: eventstore.MaxAppendBytes})
		} else if err != nil {
			return err
		} else if refused == nil {
			refused = asked.take(req, first)
		}
		if refused != nil {
			s.received.Release(asked.held)
			asked.events, asked.held = nil, 0 // the rest of the append is dropped
			continue
		}
		asked.held += kept(stream.Context())
	}
	if refused != nil {
		return refused
	}
	if asked.stream == "" {
		return invalid("the append has no options")
	}
	result, err := s.append(stream.Context(), asked)
	if conflict, ok := errors.AsType[*eventstore.ConflictError](err); ok {
		return stream.SendAndClose(conflicted(asked, conflict.Actual))
	}
	if err != nil {
		return err
	}
	return stream.SendAndClose(appended(result))
}

// appendRequest is an append as it comes in.
type appendRequest struct {
	stream   string
	expected eventstore.Expected
	byNumber bool // the client gave expected as a revision
	events   []eventstore.Event
	size     int
	held     int64 // bytes of its messages that the budget of received bytes counts
}

func (a *appendRequest) take(req *streams.AppendReq, first bool) (err error) {
	switch content := req.GetContent().(type) {
	case *streams.AppendReq_Options_:
		if !first {
			return invalid("an append has its options once, in its first message")
		}
		if a.stream, err = parseStream(content.Options.GetStreamIdentifier()); err != nil {
			return err
		}
		_, a.byNumber = content.Options.GetExpectedStreamRevision().(*streams.AppendReq_Options_Revision)
		a.expected, err = parseExpected(content.Options.GetExpectedStreamRevision())
		return err
	case *streams.AppendReq_ProposedMessage_:
		return a.add(content.ProposedMessage)
	default:
		return invalid("a message of an append has neither options nor an event")
	}
}

// proposed is an event to append, on any method.
type proposed interface {
	GetId() *shared.UUID
	GetMetadata() map[string]string
	GetCustomMetadata() []byte
	GetData() []byte
}

// add takes one event. If the append exceeds a limit with it, the event is not kept.
func (a *appendRequest) add(message proposed) error {
	e, err := parseEvent(message)
	if err != nil {
		return err
	}
	a.events = append(a.events, e)
	a.size += e.Size()
	if a.size > eventstore.MaxAppendBytes {
		return &eventstore.TooLargeError{What: "bytes", Size: a.size, Limit: eventstore.MaxAppendBytes}
	}
	if len(a.events) > eventstore.MaxAppendEvents {
		return &eventstore.TooLargeError{What: "events", Size: len(a.events), Limit: eventstore.MaxAppendEvents}
	}
	return nil
}

func parseEvent(message proposed) (e eventstore.Event, err error) {
	if e.ID, err = parseID(message.GetId()); err != nil {
		return e, err
	}
	content := eventstore.Content{Data: message.GetData(), Meta: message.GetCustomMetadata()}
	var typed, named bool
	e.Type, named = message.GetMetadata()[metaType]
	content.Type, typed = message.GetMetadata()[metaContentType]
	if !named || !typed {
		return e, missingMetadata()
	}
	if e.Data, e.Meta, err = eventstore.Wrap(content); err != nil {
		return e, invalid("content of type %q: %v", content.Type, err)
	}
	return e, nil
}

// parseExpected reads what a writer expects of the stream, on any method.
func parseExpected(option any) (eventstore.Expected, error) {
	switch option := option.(type) {
	case *streams.AppendReq_Options_Revision:
		return exactly(option.Revision)
	case *streams.DeleteReq_Options_Revision:
		return exactly(option.Revision)
	case *streams.TombstoneReq_Options_Revision:
		return exactly(option.Revision)
	case *streams.BatchAppendReq_Options_StreamPosition:
		return exactly(option.StreamPosition)
	case *streams.AppendReq_Options_NoStream, *streams.DeleteReq_Options_NoStream,
		*streams.TombstoneReq_Options_NoStream, *streams.BatchAppendReq_Options_NoStream:
		return eventstore.NoStream, nil
	case *streams.AppendReq_Options_Any, *streams.DeleteReq_Options_Any,
		*streams.TombstoneReq_Options_Any, *streams.BatchAppendReq_Options_Any:
		return eventstore.Any, nil
	case *streams.AppendReq_Options_StreamExists, *streams.DeleteReq_Options_StreamExists,
		*streams.TombstoneReq_Options_StreamExists, *streams.BatchAppendReq_Options_StreamExists:
		return eventstore.StreamExists, nil
	default:
		return 0, invalid("the expected revision is missing")
	}
}

func exactly(revision uint64) (eventstore.Expected, error) {
	switch {
	case revision == endRevision:
		return eventstore.NoStream, nil
	case revision > math.MaxInt64:
		return 0, invalid("expected revision %d is beyond the highest, which is %d", revision, int64(math.MaxInt64))
	}
	return eventstore.AtRevision(int64(revision)), nil
}

// append checks the caller's rights, and then appends. If there is nothing to append and the stream
// has no events either, the result has no position.
func (s *Server) append(ctx context.Context, a appendRequest) (eventstore.Result, error) {
	if err := s.mayWrite(ctx, a.stream, a.events); err != nil {
		return eventstore.Result{}, err
	}
	result, err := s.appendAllowed(ctx, a)
	return result, s.withKnown(ctx, a, err)
}

func (s *Server) appendAllowed(ctx context.Context, a appendRequest) (eventstore.Result, error) {
	m, err := s.metadata(ctx, a.stream)
	if err != nil {
		return eventstore.Result{}, err
	}
	of, ofMetadata := isMetastream(a.stream)
	switch {
	case len(a.events) == 0:
		return s.appendNothing(ctx, a, m)
	case ofMetadata:
		return s.appendMetadata(ctx, of, a)
	case m.isDeleted():
		return s.appendToDeleted(ctx, a)
	}
	result, err := s.appendExpected(ctx, a.stream, a.expected, a.events)
	if a.expected == eventstore.NoStream && m.truncateBefore > 0 && isRefused(err) {
		return s.answerBegun(ctx, a, m.truncateBefore, err)
	}
	if err == nil {
		s.cached.changed(a.stream)
	}
	return result, s.withActual(ctx, a.stream, err)
}

// appendExpected appends to a stream if it is as expected. For clients a stream also exists if it
// has only metadata. The log does not know that, so appendExpected looks for metadata if an append
// expects that the stream exists.
func (s *Server) appendExpected(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	result, err := s.store.Append(ctx, stream, expected, events)
	if _, conflict := errors.AsType[*eventstore.ConflictError](err); !conflict || expected != eventstore.StreamExists {
		return result, err
	}
	m, readErr := s.readMetadata(ctx, metastreamPrefix+stream)
	switch {
	case readErr != nil:
		return result, readErr
	case m.isDeleted():
		return result, &eventstore.DeletedError{Stream: stream}
	case !m.isThere():
		return result, err
	}
	result, err = s.store.Append(ctx, stream, eventstore.NoStream, events)
	if isRefused(err) { // another writer was first
		return s.store.Append(ctx, stream, expected, events)
	}
	return result, err
}

// withKnown turns an append's error into a conflict if the stream already holds the append's
// ids, as EventStoreDB does. For a log-wide id, it says that the id is recorded.
func (s *Server) withKnown(ctx context.Context, a appendRequest, err error) error {
	if !isRefused(err) || isLogWide(err) {
		return err
	}
	if _, known := errors.AsType[*eventstore.DuplicateEventError](err); !known {
		return err
	}
	last, readErr := s.lastRevision(ctx, a.stream)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	return &eventstore.ConflictError{Stream: a.stream, Expected: a.expected, Actual: last}
}

// isLogWide tells whether an append was refused because of an id that is unique in the log.
func isLogWide(err error) bool {
	duplicate, ok := errors.AsType[*eventstore.DuplicateEventError](err)
	return ok && eventstore.LogWide(duplicate.ID)
}

// appendNothing succeeds if the expectation holds.
func (s *Server) appendNothing(ctx context.Context, a appendRequest, m streamMetadata) (eventstore.Result, error) {
	err := s.isEnded(ctx, a.stream)
	// Others may have written the stream since.
	if err == nil && a.expected == eventstore.StreamExists && !m.isThere() {
		m, err = s.readMetadata(ctx, metastreamPrefix+a.stream)
	}
	if err != nil {
		return eventstore.Result{}, err
	}
	last, err := s.checkExpected(ctx, a.stream, a.expected, m)
	return eventstore.Result{Revision: last.Revision, Position: last.Position}, err
}

// checkExpected returns the last event of a stream, with revision -1 if there is none, and an error
// if the stream is not as expected. An append to a deleted stream may expect no stream, or the
// stream's last revision.
func (s *Server) checkExpected(ctx context.Context, stream string, expected eventstore.Expected, m streamMetadata) (eventstore.Recorded, error) {
	last, err := s.lastEvent(ctx, stream)
	if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
		last, err = eventstore.Recorded{Revision: -1}, nil
	}
	switch {
	case err != nil:
		return last, err
	case m.isDeleted() && expected == eventstore.StreamExists:
		return last, &eventstore.DeletedError{Stream: stream}
	case expected == eventstore.Any || int64(expected) == last.Revision,
		expected == eventstore.StreamExists && (last.Revision >= 0 || m.isThere()),
		expected == eventstore.NoStream && m.isDeleted():
		return last, nil
	}
	return last, &eventstore.ConflictError{Stream: stream, Expected: expected, Actual: last.Revision}
}

// beginAttempts bounds how often the gateway tries to begin a deleted stream again while others do
// the same.
const beginAttempts = 5

// errRaced means that somebody else wrote a stream's metadata at the same time.
var errRaced = errors.New("its metadata is being written by others")

// appendToDeleted appends to a stream that was deleted.
func (s *Server) appendToDeleted(ctx context.Context, a appendRequest) (eventstore.Result, error) {
	for range beginAttempts {
		m, err := s.readMetadata(ctx, metastreamPrefix+a.stream)
		if err != nil {
			return eventstore.Result{}, err
		}
		s.cached.drop(a.stream)
		if !m.isDeleted() {
			return s.appendAllowed(ctx, a)
		}
		result, err := s.beginAgain(ctx, a, m)
		if !errors.Is(err, errRaced) {
			return result, s.withActual(ctx, a.stream, err)
		}
	}
	return eventstore.Result{}, fmt.Errorf("begin %s again: %w", a.stream, &eventstore.UnavailableError{Cause: errRaced})
}

// beginAgain lets a deleted stream go on with its old revision numbers, and shows only the new
// events. Example: a stream with the revisions 0 to 2 was deleted. The next append gets revision 3,
// and readers see only this event. If the append was recorded before, nothing changes, and it gets
// the same answer as before.
func (s *Server) beginAgain(ctx context.Context, a appendRequest, m streamMetadata) (eventstore.Result, error) {
	recorded, err := s.isRecorded(ctx, a)
	if err != nil {
		return eventstore.Result{}, err
	}
	expected := a.expected
	if recorded {
		// This append may itself have begun the stream again, at any revision.
		if expected == eventstore.NoStream {
			expected = eventstore.Any
		}
		return s.store.Append(ctx, a.stream, expected, a.events)
	}
	last, err := s.checkExpected(ctx, a.stream, expected, m)
	// The stream has gone beyond this revision, so the log refuses the append.
	if expected >= 0 && int64(expected) < last.Revision {
		return s.store.Append(ctx, a.stream, expected, a.events)
	}
	if err != nil {
		return eventstore.Result{}, err
	}
	if expected == eventstore.NoStream {
		expected = eventstore.AtRevision(last.Revision)
	}
	if _, err := s.writeTruncateBefore(ctx, a.stream, m, last.Revision+1, a.beginning(m.revision+1)); err != nil {
		return eventstore.Result{}, err
	}
	return s.store.Append(ctx, a.stream, expected, a.events)
}

// isRecorded tells whether the log recognises an append by its ids, and so adds nothing
// although the stream is as expected. It recognises a log-wide id, or the first id if no
// revision is expected. To find out, it sends the append with a revision that no stream has:
// if the log does not recognise the append, it answers with a conflict.
func (s *Server) isRecorded(ctx context.Context, a appendRequest) (bool, error) {
	const never = math.MaxInt64 / 2
	_, err := s.store.Append(ctx, a.stream, eventstore.AtRevision(never), a.events)
	if duplicate, ok := errors.AsType[*eventstore.DuplicateEventError](err); ok {
		return isLogWide(err) || a.expected < 0 && duplicate.ID == a.events[0].ID, nil
	}
	if _, conflict := errors.AsType[*eventstore.ConflictError](err); conflict {
		return false, nil
	}
	return false, err
}

// beginning is the id of the metadata event with which this append begins its stream again, if that
// event has this revision. It is derived from the append's first id. So when the append is
// repeated, it can be seen that it has begun the stream.
func (a appendRequest) beginning(revision int64) uuid.UUID {
	return uuid.NewSHA1(a.events[0].ID, strconv.AppendInt([]byte(metadataType), revision, 10))
}

// answerBegun is called when an append was refused and its stream was begun again, at this
// revision. If this same append began the stream, there are two cases. The append is recorded
// there: it is a replay. Or it was cut off after its metadata was written: it is appended now. If
// another append began the stream, the refusal stands.
func (s *Server) answerBegun(ctx context.Context, a appendRequest, at int64, refused error) (eventstore.Result, error) {
	i, result := 0, eventstore.Result{Replayed: true}
	for e, err := range s.store.ReadStream(ctx, a.stream, at, len(a.events)) {
		if err != nil || e.ID != a.events[i].ID {
			return eventstore.Result{}, refused
		}
		i, result.Revision, result.Position = i+1, e.Revision, e.Position
	}
	if i == len(a.events) {
		return result, nil
	}
	if e, err := s.lastEvent(ctx, metastreamPrefix+a.stream); i > 0 || err != nil || e.ID != a.beginning(e.Revision) {
		return eventstore.Result{}, refused
	}
	return s.store.Append(ctx, a.stream, eventstore.AtRevision(at-1), a.events)
}

// isRefused tells whether an append was refused because of the state of the stream.
func isRefused(err error) bool {
	_, conflict := errors.AsType[*eventstore.ConflictError](err)
	_, duplicate := errors.AsType[*eventstore.DuplicateEventError](err)
	return conflict || duplicate
}

// withActual adds the stream's revision to a conflict if the engine does not say it.
func (s *Server) withActual(ctx context.Context, stream string, err error) error {
	conflict, ok := errors.AsType[*eventstore.ConflictError](err)
	if !ok || conflict.Actual != eventstore.UnknownRevision {
		return err
	}
	last, readErr := s.lastRevision(ctx, stream)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	return &eventstore.ConflictError{Stream: conflict.Stream, Expected: conflict.Expected, Actual: last}
}

// appended is the answer of an append that succeeded.
func appended(result eventstore.Result) *streams.AppendResp {
	success := &streams.AppendResp_Success{}
	if result.Position.IsStart() {
		success.CurrentRevisionOption = &streams.AppendResp_Success_NoStream{NoStream: &shared.Empty{}}
		success.PositionOption = &streams.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}}
	} else {
		commit, prepare := result.Position.Pair()
		success.CurrentRevisionOption = &streams.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(result.Revision)}
		success.PositionOption = &streams.AppendResp_Success_Position{
			Position: &streams.AppendResp_Position{CommitPosition: commit, PreparePosition: prepare},
		}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_Success_{Success: success}}
}

// conflicted is the answer to an append whose stream was not as expected. It also sets the
// fields for old clients.
func conflicted(asked appendRequest, actual int64) *streams.AppendResp {
	empty := &shared.Empty{}
	wrong := &streams.AppendResp_WrongExpectedVersion{
		CurrentRevisionOption_20_6_0: &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: uint64(actual)},
		CurrentRevisionOption:        &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(actual)},
	}
	if actual < 0 {
		wrong.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: empty}
		wrong.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: empty}
	}
	switch asked.expected {
	case eventstore.Any:
		wrong.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: empty}
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: empty}
	case eventstore.StreamExists:
		wrong.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: empty}
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: empty}
	case eventstore.NoStream: // old clients only know the number -1 for it
		wrong.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: endRevision}
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: empty}
		if asked.byNumber { // the answer has the form that the client used
			wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: endRevision}
		}
	default:
		wrong.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: uint64(asked.expected)}
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: uint64(asked.expected)}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: wrong}}
}
