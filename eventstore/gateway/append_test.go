package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
)

// outcome is a short text for the answer to an append.
func outcome(resp *streams.AppendResp, err error) string {
	if err != nil {
		return status.Code(err).String()
	}
	switch result := resp.GetResult().(type) {
	case *streams.AppendResp_Success_:
		if _, none := result.Success.GetCurrentRevisionOption().(*streams.AppendResp_Success_NoStream); none {
			return "ok, no stream"
		}
		return fmt.Sprintf("ok %d", result.Success.GetCurrentRevision())
	case *streams.AppendResp_WrongExpectedVersion_:
		if result.WrongExpectedVersion.GetCurrentNoStream() != nil {
			return "wrong, no stream"
		}
		return fmt.Sprintf("wrong, at %d", result.WrongExpectedVersion.GetCurrentRevision())
	default:
		return fmt.Sprintf("%T", result)
	}
}

// Each expectation is tried with each state of a stream, with events and without. An append of no
// events succeeds in the same cases as an append with events.
func TestExpectedRevisions(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		states := map[string]func(stream string){
			"missing":               func(string) {},
			"with three":            func(stream string) { s.write(stream, several(3, "t.v1")...) },
			"deleted":               func(stream string) { s.write(stream, several(3, "t.v1")...); s.mustDelete(stream) },
			"deleted before it was": func(stream string) { s.setMetadata(stream, `{}`); s.mustDelete(stream) },
			"with metadata only":    func(stream string) { s.setMetadata(stream, `{}`) },
			"ended":                 func(stream string) { s.write(stream, several(3, "t.v1")...); s.mustTombstone(stream) },
		}
		const ended = "FailedPrecondition"
		cases := []struct {
			state         string
			name          string
			expected      expectation
			want, nothing string
		}{
			{"missing", "any", anyRevision, "ok 0", "ok, no stream"},
			{"missing", "no stream", noStream, "ok 0", "ok, no stream"},
			{"missing", "the number for no stream", exact(math.MaxUint64), "ok 0", "ok, no stream"},
			{"missing", "exists", streamExists, "wrong, no stream", "wrong, no stream"},
			{"missing", "0", exact(0), "wrong, no stream", "wrong, no stream"},
			{"with three", "any", anyRevision, "ok 3", "ok 2"},
			{"with three", "no stream", noStream, "wrong, at 2", "wrong, at 2"},
			{"with three", "exists", streamExists, "ok 3", "ok 2"},
			{"with three", "2", exact(2), "ok 3", "ok 2"},
			{"with three", "1", exact(1), "wrong, at 2", "wrong, at 2"},
			{"with three", "3", exact(3), "wrong, at 2", "wrong, at 2"},
			{"with three", "too high a number", exact(math.MaxInt64 + 1), "InvalidArgument", "InvalidArgument"},
			{"deleted", "any", anyRevision, "ok 3", "ok 2"},
			{"deleted", "no stream", noStream, "ok 3", "ok 2"},
			{"deleted", "exists", streamExists, ended, ended},
			{"deleted", "2", exact(2), "ok 3", "ok 2"},
			{"deleted", "1", exact(1), "wrong, at 2", "wrong, at 2"},
			{"with metadata only", "exists", streamExists, "ok 0", "ok, no stream"},
			{"with metadata only", "no stream", noStream, "ok 0", "ok, no stream"},
			{"with metadata only", "any", anyRevision, "ok 0", "ok, no stream"},
			{"with metadata only", "0", exact(0), "wrong, no stream", "wrong, no stream"},
			{"deleted before it was", "no stream", noStream, "ok 0", "ok, no stream"},
			{"deleted before it was", "exists", streamExists, ended, ended},
			{"ended", "any", anyRevision, ended, ended},
			{"ended", "no stream", noStream, ended, ended},
			{"ended", "exists", streamExists, ended, ended},
			{"ended", "3", exact(3), ended, ended},
		}
		for i, c := range cases {
			t.Run(c.state+", expected "+c.name, func(t *testing.T) {
				stream := fmt.Sprintf("s-%d", i)
				states[c.state](stream)
				resp, _, err := s.appendTo(stream, c.expected)
				if got := outcome(resp, err); got != c.nothing {
					t.Errorf("of nothing: %s, want %s", got, c.nothing)
				}
				resp, trailers, err := s.appendTo(stream, c.expected, event())
				if outcome(resp, err) != c.want {
					t.Errorf("of an event: %s, want %s", outcome(resp, err), c.want)
				}
				if c.want == ended {
					checkRefused(t, err, trailers, refusal{codes.FailedPrecondition, map[string]string{"exception": "stream-deleted", "stream-name": stream}})
				}
				if strings.HasPrefix(c.want, "ok") {
					s.read(atMost(1, backwards(fromEnd(ofStream(stream))))).wants(t, stream+"/"+c.want[3:])
					if commit := resp.GetSuccess().GetPosition().GetCommitPosition(); commit == 0 {
						t.Error("no position")
					}
				}
			})
		}
	})
}

// The answer to a wrong expectation has the fields for old clients and for new ones.
func TestWrongExpectedVersionInBothForms(t *testing.T) {
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{})
	s.write("a", several(3, "t.v1")...)
	type wrong = streams.AppendResp_WrongExpectedVersion
	atTwo := func(w *wrong) *wrong {
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: 2}
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: 2}
		return w
	}
	missing := func(w *wrong) *wrong {
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: empty}
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: empty}
		return w
	}
	cases := map[string]struct {
		stream   string
		expected expectation
		want     *wrong
	}{
		"revision": {"a", exact(7), atTwo(&wrong{
			ExpectedRevisionOption_20_6_0: &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: 7},
			ExpectedRevisionOption:        &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: 7},
		})},
		"no stream": {"a", noStream, atTwo(&wrong{
			ExpectedRevisionOption_20_6_0: &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: math.MaxUint64},
			ExpectedRevisionOption:        &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: empty},
		})},
		"no stream as a number": {"a", exact(math.MaxUint64), atTwo(&wrong{
			ExpectedRevisionOption_20_6_0: &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: math.MaxUint64},
			ExpectedRevisionOption:        &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: math.MaxUint64},
		})},
		"exists": {"b", streamExists, missing(&wrong{
			ExpectedRevisionOption_20_6_0: &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: empty},
			ExpectedRevisionOption:        &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: empty},
		})},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			resp, _, err := s.appendTo(c.stream, c.expected, event())
			if err != nil || !proto.Equal(resp.GetWrongExpectedVersion(), c.want) {
				t.Errorf("got %v, %v, want %v", resp, err, c.want)
			}
		})
	}
}

func TestAnAppendRepeated(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		for name, expected := range map[string]expectation{"no-stream": noStream, "any": anyRevision} {
			events := several(3, "t.v1")
			first, _, err := s.appendTo(name, expected, events...)
			if err != nil {
				t.Fatal(err)
			}
			s.mustAppend(name, exact(2), event())
			again, _, err := s.appendTo(name, expected, events...)
			if err != nil || !proto.Equal(again, first) {
				t.Errorf("%s: got %v, %v, want %v", name, again, err, first)
			}
		}
		// A deleted stream that was begun again recognises the append with which it was begun.
		s.write("again", several(3, "t.v1")...)
		s.mustDelete("again")
		events := several(2, "t.v1")
		for range 2 {
			if revision := s.mustAppend("again", noStream, events...); revision != 4 {
				t.Errorf("revision %d, want 4", revision)
			}
		}
		s.read(ofStream("again")).wants(t, "again/3", "again/4")
		if resp, _, err := s.appendTo("again", noStream, event()); outcome(resp, err) != "wrong, at 4" {
			t.Errorf("another: %s", outcome(resp, err))
		}
	})
}

// An append is refused only after the whole request was received, with status and trailers, however
// large the request is.
func TestAppendsThatCannotBe(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		recorded := logWide()
		s.write("elsewhere", recorded)
		change := func(change func(*streams.AppendReq_ProposedMessage)) *streams.AppendReq_ProposedMessage {
			message := proposal(event())
			change(message)
			return message
		}
		large := change(func(m *streams.AppendReq_ProposedMessage) {
			m.Data = []byte(`{"a":"` + strings.Repeat("x", 1<<19) + `"}`)
		})
		huge := change(func(m *streams.AppendReq_ProposedMessage) { m.Data = bytes.Repeat([]byte("x"), 16<<20) })
		wrong := refusal{code: codes.InvalidArgument}
		tooLarge := refusal{codes.InvalidArgument, map[string]string{"exception": "maximum-append-size-exceeded", "maximum-append-size": "1048576"}}
		missing := refusal{codes.InvalidArgument, map[string]string{
			"exception": "missing-required-metadata-property", "required-metadata-properties": "type,content-type",
		}}
		cases := map[string]struct {
			stream   string
			messages []*streams.AppendReq_ProposedMessage
			want     refusal
		}{
			"no stream name":         {"", []*streams.AppendReq_ProposedMessage{proposal(event())}, wrong},
			"too long a stream name": {strings.Repeat("x", 513), []*streams.AppendReq_ProposedMessage{proposal(event())}, wrong},
			"too large":              {"a", []*streams.AppendReq_ProposedMessage{large, proposal(typed("t")), large, large}, tooLarge},
			"far too large":          {"a", []*streams.AppendReq_ProposedMessage{huge, huge, huge}, tooLarge},
			"too many":               {"a", proposals(10_001), wrong},
			"no type": {"a", []*streams.AppendReq_ProposedMessage{
				change(func(m *streams.AppendReq_ProposedMessage) { delete(m.Metadata, "type") }), large, large, large,
			}, missing},
			"no content type": {"a", []*streams.AppendReq_ProposedMessage{
				change(func(m *streams.AppendReq_ProposedMessage) { delete(m.Metadata, "content-type") }),
			}, missing},
			"empty type": {"a", []*streams.AppendReq_ProposedMessage{
				change(func(m *streams.AppendReq_ProposedMessage) { m.Metadata["type"] = "" }),
			}, wrong},
			"no id": {"a", []*streams.AppendReq_ProposedMessage{
				change(func(m *streams.AppendReq_ProposedMessage) { m.Id = nil }),
			}, wrong},
			"an id that is none": {"a", []*streams.AppendReq_ProposedMessage{
				change(func(m *streams.AppendReq_ProposedMessage) {
					m.Id = &shared.UUID{Value: &shared.UUID_String_{String_: "x"}}
				}),
			}, wrong},
			"one id twice":               {"a", []*streams.AppendReq_ProposedMessage{proposal(recorded), proposal(recorded)}, wrong},
			"a log-wide id of elsewhere": {"a", []*streams.AppendReq_ProposedMessage{proposal(recorded)}, refusal{code: codes.AlreadyExists}},
			"an event after a tombstone": {"a", []*streams.AppendReq_ProposedMessage{proposal(typed("$streamDeleted")), proposal(event())}, wrong},
			"the log itself":             {"$all", []*streams.AppendReq_ProposedMessage{proposal(event())}, refusal{codes.PermissionDenied, map[string]string{"exception": "access-denied"}}},
		}
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				resp, trailers, err := s.propose(c.stream, anyRevision, c.messages...)
				if err == nil {
					t.Fatalf("it was taken: %v", resp)
				}
				checkRefused(t, err, trailers, c.want)
			})
		}
		s.read(ofStream("a")).wants(t, "not found a")
	})
}

func proposals(n int) []*streams.AppendReq_ProposedMessage {
	messages := make([]*streams.AppendReq_ProposedMessage, n)
	for i := range messages {
		messages[i] = proposal(event())
	}
	return messages
}

func TestAppendsOutOfForm(t *testing.T) {
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{})
	options := &streams.AppendReq_Options{StreamIdentifier: named("a")}
	anyRevision.append(options)
	first := &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: options}}
	one := &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: proposal(event())}}
	unexpected := &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{StreamIdentifier: named("a")}}}
	cases := map[string][]*streams.AppendReq{
		"no request":            {},
		"no options":            {one},
		"options twice":         {first, one, first},
		"options in the middle": {one, first},
		"no expected revision":  {unexpected, one},
		"nothing in it":         {first, {}},
	}
	for name, requests := range cases {
		t.Run(name, func(t *testing.T) {
			_, trailers, err := s.sendAppend(requests...)
			checkRefused(t, err, trailers, refusal{code: codes.InvalidArgument})
		})
	}
	s.read(ofStream("a")).wants(t, "not found a")
}

// logWide is an event whose id is unique in the whole log.
func logWide() eventstore.Event {
	e := event()
	e.ID[6] = e.ID[6]&0x0f | eventstore.LogWideVersion<<4
	return e
}

// Clients may use an id in several streams. Ids of other streams mean nothing to a stream, by every
// method.
func TestTheSameIDInTwoStreams(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		e := event()
		s.mustAppend("a", noStream, e)
		s.mustAppend("b", noStream, event(), e)
		b := s.batch(t)
		for range 2 { // the second time, the log knows the ids
			b.send(b.frame("c", noStream, true, e))
			if got := b.next(); got.GetSuccess() == nil || got.GetSuccess().GetCurrentRevision() != 0 {
				t.Errorf("batched: %v", got)
			}
		}
		s.mustDelete("a")
		s.mustAppend("d", anyRevision, e)
		s.mustAppend("d", anyRevision, e) // the log knows this id, too
		for stream, want := range map[string]int64{"a": 0, "b": 1, "c": 0, "d": 0} {
			last := eventstore.Recorded{Revision: -1}
			for found, err := range store.ReadStream(s.ctx, stream, 0, 0) {
				if err != nil {
					t.Fatal(err)
				}
				last = found
			}
			if last.ID != e.ID || last.Revision != want {
				t.Errorf("stream %s ends with %s at %d, want %s at %d", stream, last.ID, last.Revision, e.ID, want)
			}
		}
		s.read(ofStream("b")).wants(t, "b/0", "b/1")
	})
}

// From this reason the KurrentDB engine recognises that an id is used already.
func TestARepeatedIDIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{})
	recorded := logWide()
	s.write("elsewhere", recorded)
	_, _, err := s.appendTo("a", noStream, recorded)
	var info *errdetails.ErrorInfo
	for _, detail := range status.Convert(err).Details() {
		info, _ = detail.(*errdetails.ErrorInfo)
	}
	if info.GetReason() != "duplicate-event-id" || info.GetMetadata()["event-id"] != recorded.ID.String() {
		t.Errorf("detail %v of %v", info, err)
	}
}

// failing is a log whose first few appends succeed and whose later ones fail.
type failing struct {
	eventstore.Store
	err error
}

func (f failing) Append(context.Context, string, eventstore.Expected, []eventstore.Event) (eventstore.Result, error) {
	return eventstore.Result{}, f.err
}

func TestFailuresOfTheLog(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		err  error
		want codes.Code
	}{
		"not there":            {&eventstore.UnavailableError{Cause: errors.New("secret")}, codes.Unavailable},
		"another log":          {&eventstore.DivergedError{Keeper: "secret"}, codes.Unavailable},
		"outcome unknown":      {&eventstore.OutcomeUnknownError{Cause: errors.New("secret")}, codes.Aborted},
		"unknown in good time": {&eventstore.OutcomeUnknownError{Cause: context.DeadlineExceeded}, codes.DeadlineExceeded},
		"too late":             {fmt.Errorf("append: %w", context.DeadlineExceeded), codes.DeadlineExceeded},
		"anything else":        {errors.New("secret"), codes.Internal},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, failing{memory.New(), c.err}, gateway.Options{})
			_, trailers, err := s.appendTo("a", anyRevision, event())
			checkRefused(t, err, trailers, refusal{code: c.want})
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the client is told too much: %v", err)
			}
		})
	}
}

// The official client recognises each error and returns an error of its own for it.
func TestErrorsOfTheOfficialClient(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{Protected: func(stream, _ string) bool { return stream == "ours" }})
		client := s.client()
		s.write("a", several(3, "t.v1")...)
		s.write("gone", event())
		s.mustTombstone("gone")
		proposed := esdb.EventData{ContentType: esdb.ContentTypeJson, EventType: "t.v1", Data: []byte(`{}`)}
		appendTo := func(stream string, expected esdb.ExpectedRevision) error {
			proposed.EventID = uuid.New()
			_, err := client.AppendToStream(s.ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, proposed)
			return err
		}
		read := func(stream string) error {
			call, err := client.ReadStream(s.ctx, stream, esdb.ReadStreamOptions{}, 10)
			if err != nil {
				return err
			}
			defer call.Close()
			_, err = call.Recv()
			return err
		}
		cases := map[string]struct {
			err  error
			want esdb.ErrorCode
		}{
			"wrong revision":  {appendTo("a", esdb.Revision(7)), esdb.ErrorCodeWrongExpectedVersion},
			"append to ended": {appendTo("gone", esdb.Any{}), esdb.ErrorCodeStreamDeleted},
			"append to ours":  {appendTo("ours", esdb.Any{}), esdb.ErrorCodeAccessDenied},
			"read of ended":   {read("gone"), esdb.ErrorCodeStreamDeleted},
			"read of missing": {read("missing"), esdb.ErrorCodeResourceNotFound},
		}
		for name, c := range cases {
			if got, ok := errors.AsType[*esdb.Error](c.err); !ok || got.Code() != c.want {
				t.Errorf("%s: %v, want code %d", name, c.err, c.want)
			}
		}
		result, err := client.DeleteStream(s.ctx, "a", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Revision(2)})
		if err != nil || result.Position.Commit == 0 {
			t.Errorf("delete: %v, %v", result, err)
		}
		if err := read("a"); err == nil {
			t.Error("a deleted stream was read")
		}
		if result, err = client.TombstoneStream(s.ctx, "a", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil || result.Position.Commit == 0 {
			t.Errorf("tombstone: %v, %v", result, err)
		}
	})
}
