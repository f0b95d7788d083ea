package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
)

// A name with characters that control a terminal or another program is refused by every method. The
// error says which character is wrong and where, and nothing is written into the log.
func TestNamesWithControlCharactersAreRefused(t *testing.T) {
	t.Parallel()
	log := memory.New()
	s := serve(t, log, gateway.Options{})
	groups := persistent.NewPersistentSubscriptionsClient(s.conn)
	group := func(stream, name string) error {
		_, err := groups.Create(s.ctx, &persistent.CreateReq{Options: &persistent.CreateReq_Options{
			GroupName: name,
			StreamOption: &persistent.CreateReq_Options_Stream{Stream: &persistent.CreateReq_StreamOptions{
				StreamIdentifier: named(stream), RevisionOption: &persistent.CreateReq_StreamOptions_Start{Start: empty},
			}},
			Settings: &persistent.CreateReq_Settings{ReadBatchSize: 1, HistoryBufferSize: 10, LiveBufferSize: 10, ConsumerStrategy: "RoundRobin"},
		}})
		return err
	}
	batched := func(stream, eventType string) error {
		b := s.batch(t)
		b.send(b.frame(stream, anyRevision, true, typed(eventType)))
		failed := b.next().GetError()
		detail := &shared.BadRequest{}
		if len(failed.GetDetails()) != 1 || anypb.UnmarshalTo(failed.GetDetails()[0], detail, proto.UnmarshalOptions{}) != nil || detail.GetMessage() != failed.GetMessage() {
			t.Errorf("batched, the details are %v", failed.GetDetails())
		}
		return status.Error(codes.Code(failed.GetCode()), failed.GetMessage()) //nolint:gosec // a small number
	}
	for _, control := range []rune{'\n', '\r', '\t', 0x1b, 0x7f, 0x85, 0x2028, 0x202e, 0} {
		odd := "a" + string(control) + "data: x"
		ways := map[string]func() error{
			"append to a stream":  func() error { _, _, err := s.appendTo(odd, anyRevision, event()); return err },
			"append nothing":      func() error { _, _, err := s.appendTo(odd, anyRevision); return err },
			"append of a type":    func() error { _, _, err := s.appendTo("a", anyRevision, typed(odd)); return err },
			"metadata":            func() error { _, _, err := s.appendTo("$$"+odd, anyRevision, typed("$metadata")); return err },
			"batched to a stream": func() error { return batched(odd, "t.v1") },
			"batched of a type":   func() error { return batched("a", odd) },
			"delete":              func() error { _, _, err := s.delete(odd, anyRevision); return err },
			"tombstone":           func() error { _, _, err := s.tombstone(odd, anyRevision); return err },
			"a group's name":      func() error { return group("a", odd) },
			"a group's stream":    func() error { return group(odd, "a") },
		}
		for way, call := range ways {
			err := call()
			text := status.Convert(err).Message()
			says := strings.Contains(text, fmt.Sprintf("control character U+%04X at byte ", control)) || control == 0 && strings.Contains(text, "not UTF-8 text")
			if appends := strings.Contains(text, "append"); strings.HasPrefix(way, "a group") && appends {
				says = false // nothing is appended
			}
			if status.Code(err) != codes.InvalidArgument || !says {
				t.Errorf("%s with %U: %v", way, control, err)
			}
		}
	}
	// No stream has a name that is not text, so a read of such a name is a mistake, too. The answer
	// repeats the name as text.
	for _, odd := range []string{"a\xff\xfe", "a\x00b"} {
		for way, req := range map[string]*streams.ReadReq_Options{"read": ofStream(odd), "follow": following(ofStream(odd))} {
			if err := s.read(req).err; status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "not UTF-8 text") {
				t.Errorf("%s %q: %v", way, odd, err)
			}
		}
		b := s.batch(t)
		b.send(b.frame(odd, anyRevision, true, event()))
		if got, want := string(b.next().GetStreamIdentifier().GetStreamName()), strings.NewReplacer("\xff", "\ufffd", "\xfe", "\ufffd").Replace(odd); got != want {
			t.Errorf("an answer names %q, want %q", got, want)
		}
	}
	if head, err := log.Head(t.Context()); err != nil || !head.IsStart() {
		t.Errorf("the log is at %s, %v", head, err)
	}
}
