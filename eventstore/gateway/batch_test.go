package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
	"daybook/internal/racetest"
)

// batched is a call of BatchAppend.
type batched struct {
	t    *testing.T
	call streams.Streams_BatchAppendClient
}

func (s *served) batch(t *testing.T) *batched {
	t.Helper()
	call, err := s.raw.BatchAppend(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &batched{t, call}
}

// frame is the first frame of an append, or its only one.
func (*batched) frame(stream string, expected expectation, final bool, events ...eventstore.Event) *streams.BatchAppendReq {
	options := &streams.BatchAppendReq_Options{StreamIdentifier: named(stream)}
	expected.batch(options)
	frame := &streams.BatchAppendReq{
		CorrelationId: &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
		Options:       options,
		IsFinal:       final,
	}
	return withEvents(frame, events...)
}

// more is a later frame of the same append.
func more(first *streams.BatchAppendReq, final bool, events ...eventstore.Event) *streams.BatchAppendReq {
	return withEvents(&streams.BatchAppendReq{CorrelationId: first.GetCorrelationId(), IsFinal: final}, events...)
}

func withEvents(frame *streams.BatchAppendReq, events ...eventstore.Event) *streams.BatchAppendReq {
	for _, e := range events {
		m := proposal(e)
		frame.ProposedMessages = append(frame.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{
			Id: m.GetId(), Metadata: m.GetMetadata(), Data: m.GetData(), CustomMetadata: m.GetCustomMetadata(),
		})
	}
	return frame
}

func (b *batched) send(frames ...*streams.BatchAppendReq) {
	b.t.Helper()
	for _, frame := range frames {
		if err := b.call.Send(frame); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *batched) next() *streams.BatchAppendResp {
	b.t.Helper()
	resp, err := b.call.Recv()
	if err != nil {
		b.t.Fatal(err)
	}
	return resp
}

// close ends the client's side of the call, and returns how the call ends.
func (b *batched) close() error {
	b.t.Helper()
	if err := b.call.CloseSend(); err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.call.Recv(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("after the last answer: %w", err)
	}
	return nil
}

func TestBatchAppend(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{Protected: func(stream, _ string) bool { return stream == "ours" }})
		s.write("three", several(3, "t.v1")...)
		s.write("ended", event())
		s.mustTombstone("ended")
		recorded := logWide()
		s.write("elsewhere", recorded)
		b := s.batch(t)
		large := event()
		large.Data = []byte(`{"x":"` + strings.Repeat("x", 1<<20) + `"}`)
		late := func(deadline func(*streams.BatchAppendReq_Options)) *streams.BatchAppendReq {
			frame := b.frame("late", anyRevision, true, event())
			deadline(frame.GetOptions())
			return frame
		}
		nameless := b.frame("a", anyRevision, true, event())
		nameless.Options.StreamIdentifier = nil
		unexpecting := b.frame("a", anyRevision, true, event())
		unexpecting.Options.ExpectedStreamPosition = nil
		untyped := b.frame("a", anyRevision, true, event())
		untyped.ProposedMessages[0].Metadata = nil
		cases := map[string]struct {
			frame *streams.BatchAppendReq
			code  codes.Code
			want  proto.Message // the detail of an error; nil if the code is OK
		}{
			"new":     {b.frame("new", noStream, true, several(2, "t.v1")...), codes.OK, nil},
			"exact":   {b.frame("three", exact(2), true, event()), codes.OK, nil},
			"nothing": {b.frame("empty", noStream, true), codes.OK, nil},
			"wrong, exists": {b.frame("x", streamExists, true, event()), codes.AlreadyExists, &shared.WrongExpectedVersion{
				CurrentStreamRevisionOption:  &shared.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &emptypb.Empty{}},
				ExpectedStreamPositionOption: &shared.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &emptypb.Empty{}},
			}},
			"wrong, no stream": {b.frame("elsewhere", noStream, true, event()), codes.AlreadyExists, &shared.WrongExpectedVersion{
				CurrentStreamRevisionOption:  &shared.WrongExpectedVersion_CurrentStreamRevision{},
				ExpectedStreamPositionOption: &shared.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &emptypb.Empty{}},
			}},
			"wrong, exact": {b.frame("elsewhere", exact(7), true, event()), codes.AlreadyExists, &shared.WrongExpectedVersion{
				CurrentStreamRevisionOption:  &shared.WrongExpectedVersion_CurrentStreamRevision{},
				ExpectedStreamPositionOption: &shared.WrongExpectedVersion_ExpectedStreamPosition{ExpectedStreamPosition: 7},
			}},
			"ended":      {b.frame("ended", anyRevision, true, event()), codes.NotFound, &shared.StreamDeleted{StreamIdentifier: named("ended")}},
			"too large":  {b.frame("a", anyRevision, true, large), codes.InvalidArgument, &shared.MaximumAppendSizeExceeded{MaxAppendSize: 1 << 20}},
			"ours":       {b.frame("ours", anyRevision, true, event()), codes.PermissionDenied, &shared.AccessDenied{}},
			"id known":   {b.frame("a", anyRevision, true, recorded), codes.AlreadyExists, &shared.BadRequest{}},
			"no name":    {nameless, codes.InvalidArgument, &shared.BadRequest{}},
			"no state":   {unexpecting, codes.InvalidArgument, &shared.BadRequest{}},
			"no type":    {untyped, codes.InvalidArgument, &shared.BadRequest{}},
			"no options": {more(b.frame("a", anyRevision, true), true, event()), codes.InvalidArgument, &shared.BadRequest{}},
			"too late": {late(func(o *streams.BatchAppendReq_Options) {
				o.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(-time.Second)}
			}), codes.DeadlineExceeded, &shared.Timeout{}},
			"a time that is none": {late(func(o *streams.BatchAppendReq_Options) {
				o.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: &durationpb.Duration{Seconds: math.MaxInt64}}
			}), codes.InvalidArgument, &shared.BadRequest{}},
			"a time of two signs": {late(func(o *streams.BatchAppendReq_Options) {
				o.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: &durationpb.Duration{Seconds: 60, Nanos: -1}}
			}), codes.InvalidArgument, &shared.BadRequest{}},
			"too late, as it was said once": {late(func(o *streams.BatchAppendReq_Options) {
				o.DeadlineOption = &streams.BatchAppendReq_Options_Deadline_21_10_0{Deadline_21_10_0: timestamppb.New(time.Now().Add(-time.Second))}
			}), codes.DeadlineExceeded, &shared.Timeout{}},
			"in time": {func() *streams.BatchAppendReq {
				frame := b.frame("in time", noStream, true, event())
				frame.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline_21_10_0{Deadline_21_10_0: timestamppb.New(time.Now().Add(patience))}
				return frame
			}(), codes.OK, nil},
		}
		for _, c := range cases {
			b.send(c.frame)
		}
		answers := map[string]*streams.BatchAppendResp{}
		for range cases { // the answers come in any order
			resp := b.next()
			answers[resp.GetCorrelationId().GetString_()] = resp
		}
		for name, c := range cases {
			got := answers[c.frame.GetCorrelationId().GetString_()]
			if !proto.Equal(got.GetStreamIdentifier(), c.frame.GetOptions().GetStreamIdentifier()) {
				t.Errorf("%s: of stream %v", name, got.GetStreamIdentifier())
			}
			if c.want == nil {
				if got.GetSuccess() == nil {
					t.Errorf("%s: %v", name, got)
				}
				continue
			}
			if codes.Code(got.GetError().GetCode()) != c.code || len(got.GetError().GetDetails()) != 1 {
				t.Errorf("%s: %v, want %s", name, got, c.code)
				continue
			}
			detail, err := got.GetError().GetDetails()[0].UnmarshalNew()
			if bad, ok := detail.(*shared.BadRequest); ok && bad.GetMessage() != "" {
				bad.Message = "" // clients do not read the message
			}
			if err != nil || !proto.Equal(detail, c.want) {
				t.Errorf("%s: detail %T %v, %v, want %T %v", name, detail, detail, err, c.want, c.want)
			}
		}
		s.read(ofStream("new")).wants(t, "new/0", "new/1")
		s.read(ofStream("late")).wants(t, "not found late")
		s.read(ofStream("a")).wants(t, "not found a")
		success := answers[cases["exact"].frame.GetCorrelationId().GetString_()]
		if success.GetSuccess().GetCurrentRevision() != 3 || success.GetSuccess().GetPosition().GetCommitPosition() == 0 || success.GetExpectedStreamPosition() != nil {
			t.Errorf("the answer of a success: %v", success)
		}
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
}

// An append to a name that is not text is refused with this reason, and other appends of the call
// go on.
func TestABatchedAppendToANameThatIsNoText(t *testing.T) {
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{Protected: func(stream, _ string) bool { return strings.HasPrefix(stream, "cart-") }})
	b := s.batch(t)
	for stream, want := range map[string]codes.Code{
		"cart-\xff": codes.InvalidArgument, "other-\xff": codes.InvalidArgument, "text": codes.OK,
	} {
		b.send(b.frame(stream, anyRevision, true, event()))
		got := b.next()
		if codes.Code(got.GetError().GetCode()) != want || string(got.GetStreamIdentifier().GetStreamName()) != strings.ToValidUTF8(stream, "\ufffd") {
			t.Errorf("stream %q: %v, want %s", stream, got, want)
		}
	}
	if err := b.close(); err != nil {
		t.Error(err)
	}
}

// A frame without a valid correlation id is answered with what it has as its id, as a real server
// does. Other appends of the call go on. There may be any number of such frames.
func TestABatchedAppendWithoutACorrelation(t *testing.T) {
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{})
	b := s.batch(t)
	unfinished := b.frame("a", anyRevision, false, event())
	b.send(unfinished)
	for name, id := range map[string]*shared.UUID{
		"none": nil, "empty": {}, "text": {Value: &shared.UUID_String_{String_: "x"}}, "no text": {Value: &shared.UUID_String_{}},
	} {
		for _, final := range []bool{true, false} {
			frame := b.frame("b", anyRevision, final, event())
			frame.CorrelationId = id
			b.send(frame)
			got := b.next()
			if codes.Code(got.GetError().GetCode()) != codes.InvalidArgument || !proto.Equal(got.GetCorrelationId(), id) || string(got.GetStreamIdentifier().GetStreamName()) != "b" {
				t.Errorf("a correlation id that is %s: %v", name, got)
			}
		}
	}
	b.send(more(unfinished, true))
	if got := b.next(); got.GetSuccess() == nil || !proto.Equal(got.GetCorrelationId(), unfinished.GetCorrelationId()) {
		t.Errorf("an append that began earlier: %v", got)
	}
	if err := b.close(); err != nil {
		t.Error(err)
	}
	s.read(ofStream("b")).wants(t, "not found b")
}

// The frames of several appends may be mixed.
func TestBatchAppendInFrames(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		b := s.batch(t)
		one, two := b.frame("one", noStream, false, event()), b.frame("two", noStream, false)
		two.CorrelationId = &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{MostSignificantBits: -1, LeastSignificantBits: 7}}}
		again := more(one, false, event()) // with options again, as some clients do
		again.Options = one.GetOptions()
		b.send(one, two, again, more(two, false, event()), more(two, true, event()))
		if got := b.next(); !proto.Equal(got.GetCorrelationId(), two.GetCorrelationId()) || got.GetSuccess().GetCurrentRevision() != 1 {
			t.Errorf("the second: %v", got)
		}
		b.send(more(one, true))
		if got := b.next(); !proto.Equal(got.GetCorrelationId(), one.GetCorrelationId()) || got.GetSuccess().GetCurrentRevision() != 1 {
			t.Errorf("the first: %v", got)
		}
		s.read(ofStream("one")).wants(t, "one/0", "one/1")

		// An append that is too large is answered once, and its later frames are dropped.
		part := several(1, "t.v1")
		part[0].Data = []byte(`{"x":"` + strings.Repeat("x", 1<<19) + `"}`)
		third := b.frame("three", noStream, false, part...)
		rest := several(2, "t.v1")
		rest[0].Data = part[0].Data
		b.send(third, more(third, false, rest...), more(third, false, event()), more(third, true, event()))
		if got := b.next(); codes.Code(got.GetError().GetCode()) != codes.InvalidArgument {
			t.Errorf("the third: %v", got)
		}
		if err := b.close(); err != nil {
			t.Error(err)
		}
		s.read(ofStream("three")).wants(t, "not found three")
	})
}

func TestBatchAppendThatIsNeverFinished(t *testing.T) {
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{})
	b := s.batch(t)
	frame := b.frame("a", noStream, false, event())
	frame.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(time.Millisecond)}
	b.send(frame)
	got := b.next()
	if codes.Code(got.GetError().GetCode()) != codes.DeadlineExceeded {
		t.Errorf("got %v", got)
	}
	b.send(more(frame, true))
	if err := b.close(); err != nil {
		t.Error(err)
	}

	cut := s.batch(t) // its client goes away in the middle
	cut.send(cut.frame("b", noStream, false, event()))
	if err := cut.close(); err != nil {
		t.Error(err)
	}
	s.read(ofStream("a")).wants(t, "not found a")
	s.read(ofStream("b")).wants(t, "not found b")

	many := s.batch(t)
	for range 1000 {
		if many.call.Send(many.frame("c", anyRevision, false, event())) != nil {
			break
		}
	}
	if err := many.close(); err == nil || !strings.Contains(err.Error(), "ResourceExhausted") {
		t.Errorf("a thousand unfinished appends: %v", err)
	}
}

// While appends wait for the log, later frames of the call are not read, because the bytes that are
// given to the log are bounded.
func TestBatchAppendsInFlightAreBounded(t *testing.T) {
	t.Parallel()
	log := &blocking{Store: memory.New(), begun: make(chan struct{}, 1000), release: make(chan struct{})}
	s := serve(t, log, gateway.Options{})
	b := s.batch(t)
	appends := racetest.Few(100, 24) // of a megabyte; 16 of them fit
	sent := make(chan error, 1)
	go func() {
		var err error
		for i := range appends {
			e := event()
			e.Data = []byte(`{"x":"` + strings.Repeat("x", 1_000_000) + `"}`)
			frame := b.frame(fmt.Sprint(i), noStream, true, e)
			frame.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(patience)}
			err = errors.Join(err, b.call.Send(frame))
		}
		sent <- err
	}()
	for range 16 {
		<-log.begun
	}
	if n := len(log.begun); n > 0 {
		t.Errorf("%d more appends were begun", n)
	}
	close(log.release)
	var answered []string
	for range appends {
		got := b.next()
		if got.GetSuccess() == nil {
			t.Fatal(got)
		}
		answered = append(answered, string(got.GetStreamIdentifier().GetStreamName()))
	}
	slices.Sort(answered)
	if n := len(slices.Compact(answered)); n != appends {
		t.Errorf("%d appends were answered, want %d", n, appends)
	}
	if err := errors.Join(<-sent, b.close()); err != nil {
		t.Error(err)
	}
}

// If a client goes away, its appends end and nothing of them is left.
func TestBatchAppendOfADeadClient(t *testing.T) {
	t.Parallel()
	log := &blocking{Store: memory.New(), begun: make(chan struct{}, 8), release: make(chan struct{})}
	s := serve(t, log, gateway.Options{})
	ctx, cancel := context.WithCancel(s.ctx)
	call, err := s.raw.BatchAppend(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b := &batched{t, call}
	b.send(b.frame("a", noStream, true, event()), b.frame("a", exact(0), true, event()), b.frame("b", noStream, false, event()))
	<-log.begun
	cancel()
	// Closing waits for all handlers, so it ends only after the append has ended.
	closing, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if err := s.server.Close(closing); err != nil {
		t.Error(err)
	}
	if n := len(log.begun); n > 0 {
		t.Errorf("%d more appends were begun", n)
	}
}

// Appends to one stream are recorded in the order in which they were sent. So a client can send
// several at once, each with the revision that the one before leaves.
func TestBatchAppendKeepsTheOrderOfAStream(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		b := s.batch(t)
		const appends = 200
		events, expected := several(2*appends, "t.v1"), noStream
		for i := range appends {
			b.send(b.frame("any", anyRevision, true, events[2*i]), b.frame("chained", expected, true, events[2*i+1]))
			expected = exact(uint64(i))
		}
		answered := map[string]uint64{}
		for range 2 * appends {
			got := b.next()
			stream := string(got.GetStreamIdentifier().GetStreamName())
			if got.GetSuccess() == nil || got.GetSuccess().GetCurrentRevision() != answered[stream] {
				t.Fatalf("answer %d of stream %s: %v", answered[stream], stream, got)
			}
			answered[stream]++
		}
		for i, stream := range []string{"any", "chained"} {
			for e, err := range store.ReadStream(s.ctx, stream, 0, 0) {
				if err != nil || e.ID != events[2*e.Revision+int64(i)].ID {
					t.Fatalf("stream %s: event %d is another, %v", stream, e.Revision, err)
				}
			}
		}
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
}

// holding is a log in which appends to one stream wait.
type holding struct {
	eventstore.Store
	stream string
	held   blocking
}

func (h *holding) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if stream == h.stream {
		return h.held.Append(ctx, stream, expected, events)
	}
	return h.Store.Append(ctx, stream, expected, events)
}

// An append may wait for earlier appends to its stream. Other streams do not wait for it. At its
// deadline it is answered without having been appended. No later append to the stream overtakes it.
func TestABatchedAppendThatWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	store := memory.New()
	log := &holding{Store: store, stream: "slow", held: blocking{Store: store, begun: make(chan struct{}, 8), release: make(chan struct{})}}
	s := serve(t, log, gateway.Options{})
	b := s.batch(t)
	first, hasty, third := b.frame("slow", noStream, true, event()), b.frame("slow", anyRevision, true, event()), b.frame("slow", exact(0), true, event())
	hasty.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(50 * time.Millisecond)}
	for _, frame := range []*streams.BatchAppendReq{first, third} {
		frame.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(patience)}
	}
	b.send(first)
	<-log.held.begun
	b.send(hasty)
	if got := b.next(); !proto.Equal(got.GetCorrelationId(), hasty.GetCorrelationId()) || codes.Code(got.GetError().GetCode()) != codes.DeadlineExceeded {
		t.Errorf("the one in a hurry: %v", got)
	}
	other := b.frame("other", noStream, true, event())
	b.send(third, other)
	if got := b.next(); !proto.Equal(got.GetCorrelationId(), other.GetCorrelationId()) || got.GetSuccess() == nil {
		t.Errorf("to another stream: %v", got)
	}
	if n := len(log.held.begun); n > 0 {
		t.Errorf("%d more appends were begun", n)
	}
	close(log.held.release)
	for i, frame := range []*streams.BatchAppendReq{first, third} {
		if got := b.next(); !proto.Equal(got.GetCorrelationId(), frame.GetCorrelationId()) || got.GetSuccess().GetCurrentRevision() != uint64(i) {
			t.Errorf("number %d: %v", i, got)
		}
	}
	if err := b.close(); err != nil {
		t.Error(err)
	}
	s.read(ofStream("slow")).wants(t, "slow/0", "slow/1")
}
