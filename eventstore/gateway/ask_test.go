package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"daybook/eventstore"
)

var (
	empty    = &shared.Empty{}
	textual  = &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: empty}}
	binaryID = &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: empty}}
	noFilter = &streams.ReadReq_Options_NoFilter{NoFilter: empty}
	follow   = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
)

func named(stream string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(stream)}
}

func count(n uint64) *streams.ReadReq_Options_Count { return &streams.ReadReq_Options_Count{Count: n} }

// ofStream asks for a stream from its start, forwards.
func ofStream(stream string) *streams.ReadReq_Options {
	return &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: named(stream),
			RevisionOption:   &streams.ReadReq_Options_StreamOptions_Start{Start: empty},
		}},
		CountOption:  count(1000),
		FilterOption: noFilter,
		UuidOption:   binaryID,
	}
}

// fromRevision asks for a stream from a revision.
func fromRevision(stream string, revision uint64) *streams.ReadReq_Options {
	options := ofStream(stream)
	options.GetStream().RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: revision}
	return options
}

// ofAll asks for $all from its start, forwards.
func ofAll() *streams.ReadReq_Options {
	options := ofStream("")
	options.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
		AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: empty},
	}}
	return options
}

func fromPosition(p eventstore.Position) *streams.ReadReq_Options {
	commit, prepare := p.Pair()
	options := ofAll()
	options.GetAll().AllOption = &streams.ReadReq_Options_AllOptions_Position{
		Position: &streams.ReadReq_Options_Position{CommitPosition: commit, PreparePosition: prepare},
	}
	return options
}

func fromEnd(options *streams.ReadReq_Options) *streams.ReadReq_Options {
	if options.GetAll() != nil {
		options.GetAll().AllOption = &streams.ReadReq_Options_AllOptions_End{End: empty}
	} else {
		options.GetStream().RevisionOption = &streams.ReadReq_Options_StreamOptions_End{End: empty}
	}
	return options
}

func backwards(options *streams.ReadReq_Options) *streams.ReadReq_Options {
	options.ReadDirection = streams.ReadReq_Options_Backwards
	return options
}

func atMost(n uint64, options *streams.ReadReq_Options) *streams.ReadReq_Options {
	options.CountOption = count(n)
	return options
}

func following(options *streams.ReadReq_Options) *streams.ReadReq_Options {
	options.CountOption = follow
	return options
}

func resolving(options *streams.ReadReq_Options) *streams.ReadReq_Options {
	options.ResolveLinks = true
	return options
}

func filtered(options *streams.ReadReq_Options, f *streams.ReadReq_Options_FilterOptions) *streams.ReadReq_Options {
	options.FilterOption = &streams.ReadReq_Options_Filter{Filter: f}
	return options
}

type expression = streams.ReadReq_Options_FilterOptions_Expression

// onType and onStream are filters with checkpoints every window events.
func onType(window uint32, by *expression) *streams.ReadReq_Options_FilterOptions {
	return &streams.ReadReq_Options_FilterOptions{
		Filter:                       &streams.ReadReq_Options_FilterOptions_EventType{EventType: by},
		Window:                       &streams.ReadReq_Options_FilterOptions_Max{Max: window},
		CheckpointIntervalMultiplier: 1,
	}
}

func onStream(window uint32, by *expression) *streams.ReadReq_Options_FilterOptions {
	f := onType(window, nil)
	f.Filter = &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: by}
	return f
}

func prefixes(all ...string) *expression { return &expression{Prefix: all} }
func regex(pattern string) *expression   { return &expression{Regex: pattern} }

// answer is everything that a call returned.
type answer struct {
	messages []*streams.ReadResp
	trailers metadata.MD
	err      error
}

// read reads to the end of the call.
func (s *served) read(options *streams.ReadReq_Options) answer {
	s.tb.Helper()
	call, err := s.raw.Read(s.ctx, &streams.ReadReq{Options: options})
	if err != nil {
		s.tb.Fatal(err)
	}
	var a answer
	for {
		message, err := call.Recv()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				a.err = err
			}
			a.trailers = call.Trailer()
			return a
		}
		a.messages = append(a.messages, message)
	}
}

// short is a short text for a message. For an event it has stream and revision.
func short(message *streams.ReadResp) string {
	switch content := message.GetContent().(type) {
	case *streams.ReadResp_Event:
		if content.Event.GetLink() != nil && content.Event.GetEvent() == nil {
			return "broken link"
		}
		e := content.Event.GetEvent()
		text := fmt.Sprintf("%s/%d", e.GetStreamIdentifier().GetStreamName(), e.GetStreamRevision())
		if link := content.Event.GetLink(); link != nil {
			text += fmt.Sprintf(" by %s/%d", link.GetStreamIdentifier().GetStreamName(), link.GetStreamRevision())
		}
		return text
	case *streams.ReadResp_Confirmation:
		return "confirmation"
	case *streams.ReadResp_Checkpoint_:
		return fmt.Sprintf("checkpoint %d", content.Checkpoint.GetCommitPosition())
	case *streams.ReadResp_StreamNotFound_:
		return "not found " + string(content.StreamNotFound.GetStreamIdentifier().GetStreamName())
	case *streams.ReadResp_FirstStreamPosition:
		return fmt.Sprintf("first %d", content.FirstStreamPosition)
	case *streams.ReadResp_LastStreamPosition:
		return fmt.Sprintf("last %d", content.LastStreamPosition)
	case *streams.ReadResp_CaughtUp_:
		return "caught up"
	default:
		return fmt.Sprintf("%T", content)
	}
}

func shorts(messages []*streams.ReadResp) []string {
	texts := make([]string, len(messages))
	for i, message := range messages {
		texts[i] = short(message)
	}
	return texts
}

// wants fails the test unless the call ended well with these messages.
func (a answer) wants(t *testing.T, want ...string) {
	t.Helper()
	if a.err != nil {
		t.Errorf("the call failed: %v", a.err)
	}
	if got := shorts(a.messages); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// refusal is the status and the trailers of a failed call.
type refusal struct {
	code     codes.Code
	trailers map[string]string // all of them
}

// checkRefused fails the test unless a call failed in this way.
func checkRefused(t *testing.T, err error, trailers metadata.MD, want refusal) {
	t.Helper()
	if code := status.Code(err); code != want.code {
		t.Errorf("status %s, want %s: %v", code, want.code, err)
	}
	for name, value := range want.trailers {
		if got := trailers.Get(name); len(got) != 1 || got[0] != value {
			t.Errorf("trailer %s is %q, want %q once", name, got, value)
		}
	}
	for name := range trailers {
		if _, expected := want.trailers[name]; !expected && name != "content-type" && name != "grpc-status-details-bin" {
			t.Errorf("trailer %s is there: %q", name, trailers.Get(name))
		}
	}
}

// expectation is an expected revision in the forms of all methods.
type expectation struct {
	append    func(*streams.AppendReq_Options)
	delete    func(*streams.DeleteReq_Options)
	tombstone func(*streams.TombstoneReq_Options)
	batch     func(*streams.BatchAppendReq_Options)
}

func exact(revision uint64) expectation {
	return expectation{
		append: func(o *streams.AppendReq_Options) {
			o.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: revision}
		},
		delete: func(o *streams.DeleteReq_Options) {
			o.ExpectedStreamRevision = &streams.DeleteReq_Options_Revision{Revision: revision}
		},
		tombstone: func(o *streams.TombstoneReq_Options) {
			o.ExpectedStreamRevision = &streams.TombstoneReq_Options_Revision{Revision: revision}
		},
		batch: func(o *streams.BatchAppendReq_Options) {
			o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: revision}
		},
	}
}

var (
	anyRevision = expectation{
		append: func(o *streams.AppendReq_Options) {
			o.ExpectedStreamRevision = &streams.AppendReq_Options_Any{Any: empty}
		},
		delete: func(o *streams.DeleteReq_Options) {
			o.ExpectedStreamRevision = &streams.DeleteReq_Options_Any{Any: empty}
		},
		tombstone: func(o *streams.TombstoneReq_Options) {
			o.ExpectedStreamRevision = &streams.TombstoneReq_Options_Any{Any: empty}
		},
		batch: func(o *streams.BatchAppendReq_Options) {
			o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}}
		},
	}
	noStream = expectation{
		append: func(o *streams.AppendReq_Options) {
			o.ExpectedStreamRevision = &streams.AppendReq_Options_NoStream{NoStream: empty}
		},
		delete: func(o *streams.DeleteReq_Options) {
			o.ExpectedStreamRevision = &streams.DeleteReq_Options_NoStream{NoStream: empty}
		},
		tombstone: func(o *streams.TombstoneReq_Options) {
			o.ExpectedStreamRevision = &streams.TombstoneReq_Options_NoStream{NoStream: empty}
		},
		batch: func(o *streams.BatchAppendReq_Options) {
			o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}
		},
	}
	streamExists = expectation{
		append: func(o *streams.AppendReq_Options) {
			o.ExpectedStreamRevision = &streams.AppendReq_Options_StreamExists{StreamExists: empty}
		},
		delete: func(o *streams.DeleteReq_Options) {
			o.ExpectedStreamRevision = &streams.DeleteReq_Options_StreamExists{StreamExists: empty}
		},
		tombstone: func(o *streams.TombstoneReq_Options) {
			o.ExpectedStreamRevision = &streams.TombstoneReq_Options_StreamExists{StreamExists: empty}
		},
		batch: func(o *streams.BatchAppendReq_Options) {
			o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamExists{StreamExists: &emptypb.Empty{}}
		},
	}
)

// proposal is an event as a client proposes it.
func proposal(e eventstore.Event) *streams.AppendReq_ProposedMessage {
	return &streams.AppendReq_ProposedMessage{
		Id:             &shared.UUID{Value: &shared.UUID_String_{String_: e.ID.String()}},
		Metadata:       map[string]string{"type": e.Type, "content-type": "application/json"},
		Data:           e.Data,
		CustomMetadata: e.Meta,
	}
}

// appendTo sends an append and waits for the answer.
func (s *served) appendTo(stream string, expected expectation, events ...eventstore.Event) (*streams.AppendResp, metadata.MD, error) {
	messages := make([]*streams.AppendReq_ProposedMessage, len(events))
	for i := range events {
		messages[i] = proposal(events[i])
	}
	return s.propose(stream, expected, messages...)
}

func (s *served) propose(stream string, expected expectation, messages ...*streams.AppendReq_ProposedMessage) (*streams.AppendResp, metadata.MD, error) {
	s.tb.Helper()
	options := &streams.AppendReq_Options{StreamIdentifier: named(stream)}
	expected.append(options)
	requests := []*streams.AppendReq{{Content: &streams.AppendReq_Options_{Options: options}}}
	for _, message := range messages {
		requests = append(requests, &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: message}})
	}
	return s.sendAppend(requests...)
}

func (s *served) sendAppend(requests ...*streams.AppendReq) (*streams.AppendResp, metadata.MD, error) {
	s.tb.Helper()
	call, err := s.raw.Append(s.ctx)
	if err != nil {
		s.tb.Fatal(err)
	}
	for i, request := range requests {
		if err := call.Send(request); err != nil {
			s.tb.Fatalf("the server did not take request %d of %d: %v", i, len(requests), err)
		}
	}
	resp, err := call.CloseAndRecv()
	return resp, call.Trailer(), err
}

// mustAppend appends through the gateway and returns the last revision.
func (s *served) mustAppend(stream string, expected expectation, events ...eventstore.Event) uint64 {
	s.tb.Helper()
	resp, _, err := s.appendTo(stream, expected, events...)
	if err != nil || resp.GetSuccess() == nil {
		s.tb.Fatalf("append to %s: %v, %v", stream, resp, err)
	}
	return resp.GetSuccess().GetCurrentRevision()
}

func (s *served) delete(stream string, expected expectation) (*streams.DeleteResp, metadata.MD, error) {
	options := &streams.DeleteReq_Options{StreamIdentifier: named(stream)}
	expected.delete(options)
	var trailers metadata.MD
	resp, err := s.raw.Delete(s.ctx, &streams.DeleteReq{Options: options}, grpc.Trailer(&trailers))
	return resp, trailers, err
}

func (s *served) mustDelete(stream string) {
	s.tb.Helper()
	if _, _, err := s.delete(stream, anyRevision); err != nil {
		s.tb.Fatal(err)
	}
}

func (s *served) tombstone(stream string, expected expectation) (*streams.TombstoneResp, metadata.MD, error) {
	options := &streams.TombstoneReq_Options{StreamIdentifier: named(stream)}
	expected.tombstone(options)
	var trailers metadata.MD
	resp, err := s.raw.Tombstone(s.ctx, &streams.TombstoneReq{Options: options}, grpc.Trailer(&trailers))
	return resp, trailers, err
}

func (s *served) mustTombstone(stream string) {
	s.tb.Helper()
	if _, _, err := s.tombstone(stream, anyRevision); err != nil {
		s.tb.Fatal(err)
	}
}

// setMetadata writes a stream's metadata through the gateway.
func (s *served) setMetadata(stream, text string) {
	s.tb.Helper()
	s.mustAppend("$$"+stream, anyRevision, document(text))
}

// document is an event with a document of metadata.
func document(text string) eventstore.Event {
	return eventstore.Event{ID: uuid.New(), Type: "$metadata", Data: []byte(text)}
}
