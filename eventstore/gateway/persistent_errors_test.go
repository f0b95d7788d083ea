package gateway_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/gateway/groups"
	"daybook/internal/racetest"
)

// Each error has its status and its trailers, and no trailer comes twice.
func TestErrorsOfGroups(t *testing.T) {
	t.Parallel()
	g := serveGroups(t)
	g.write("s", event())
	g.create(t, "s", fromStart(func(s *esdb.PersistentSubscriptionSettings) { s.MaxSubscriberCount = 1 }))
	sub := g.join(t, "s", 1)
	takes(t, sub, "0/0")

	create := func(change func(*persistent.CreateReq_Options)) func(...grpc.CallOption) error {
		return func(options ...grpc.CallOption) error {
			req := &persistent.CreateReq_Options{
				GroupName: "x",
				StreamOption: &persistent.CreateReq_Options_Stream{Stream: &persistent.CreateReq_StreamOptions{
					StreamIdentifier: named("s"), RevisionOption: &persistent.CreateReq_StreamOptions_Start{Start: empty},
				}},
				Settings: &persistent.CreateReq_Settings{ReadBatchSize: 1, HistoryBufferSize: 10, LiveBufferSize: 10, ConsumerStrategy: "RoundRobin"},
			}
			change(req)
			_, err := g.stubs.Create(g.ctx, &persistent.CreateReq{Options: req}, options...)
			return err
		}
	}
	onAll := func(all *persistent.CreateReq_AllOptions) func(*persistent.CreateReq_Options) {
		return func(o *persistent.CreateReq_Options) { o.StreamOption = &persistent.CreateReq_Options_All{All: all} }
	}
	updateAll := func(all *persistent.UpdateReq_AllOptions) func(...grpc.CallOption) error {
		return func(options ...grpc.CallOption) error {
			_, err := g.stubs.Update(g.ctx, &persistent.UpdateReq{Options: &persistent.UpdateReq_Options{
				GroupName: "x", StreamOption: &persistent.UpdateReq_Options_All{All: all}, Settings: &persistent.UpdateReq_Settings{},
			}}, options...)
			return err
		}
	}
	read := func(stream, name string, slots int32) func(...grpc.CallOption) error {
		return func(options ...grpc.CallOption) error {
			return g.readOnce(stream, name, slots, options...)
		}
	}
	none := func() []string { return nil }
	about := func(exception, name string) func() []string {
		return func() []string { return []string{"exception", exception, "stream-name", "s", "group-name", name} }
	}
	tests := map[string]struct {
		call     func(...grpc.CallOption) error
		code     codes.Code
		trailers func() []string
	}{
		"join a group that is missing": {read("s", "x", 1), codes.NotFound, about("persistent-subscription-does-not-exist", "x")},
		"join a group that is full":    {read("s", group, 1), codes.FailedPrecondition, about("maximum-subscribers-reached", group)},
		"join without slots":           {read("s", group, 0), codes.InvalidArgument, none},
		"create it twice":              {create(func(o *persistent.CreateReq_Options) { o.GroupName = group }), codes.AlreadyExists, about("persistent-subscription-exists", group)},
		"an unknown strategy": {create(func(o *persistent.CreateReq_Options) { o.Settings.ConsumerStrategy = "Best" }), codes.Internal, func() []string {
			return append(about("persistent-subscription-failed", "x")(), "reason", "Consumer strategy Best does not exist.")
		}},
		"a group name with a zero": {create(func(o *persistent.CreateReq_Options) { o.GroupName = "x\x00" }), codes.InvalidArgument, none},
		"a group name too long":    {create(func(o *persistent.CreateReq_Options) { o.GroupName = strings.Repeat("x", 1025) }), codes.InvalidArgument, none},
		"a stream name not UTF-8":  {create(func(o *persistent.CreateReq_Options) { o.GetStream().StreamIdentifier = named("\xff") }), codes.InvalidArgument, none},
		"a stream name with a zero": {create(func(o *persistent.CreateReq_Options) {
			o.StreamOption, o.StreamIdentifier = nil, named("a\x00") //nolint:staticcheck // as older clients send it
		}), codes.InvalidArgument, none},
		"a time before the earliest": {create(func(o *persistent.CreateReq_Options) {
			o.Settings.CheckpointAfter = &persistent.CreateReq_Settings_CheckpointAfterTicks{CheckpointAfterTicks: math.MinInt64}
		}), codes.InvalidArgument, none},
		"no history buffer":               {create(func(o *persistent.CreateReq_Options) { o.Settings.HistoryBufferSize = 0 }), codes.InvalidArgument, none},
		"a read batch like the buffer":    {create(func(o *persistent.CreateReq_Options) { o.Settings.ReadBatchSize = 10 }), codes.InvalidArgument, none},
		"$all without a place":            {create(onAll(&persistent.CreateReq_AllOptions{})), codes.InvalidArgument, none},
		"$all, the prepare above":         {create(onAll(&persistent.CreateReq_AllOptions{AllOption: allFrom(1, 2)})), codes.InvalidArgument, none},
		"$all, an update without a place": {updateAll(&persistent.UpdateReq_AllOptions{}), codes.InvalidArgument, none},
		"$all beyond the last event": {create(onAll(&persistent.CreateReq_AllOptions{AllOption: allFrom(1<<40, 1<<40)})), codes.Internal, func() []string {
			return []string{
				"exception", "persistent-subscription-failed", "stream-name", "$all", "group-name", "x",
				"reason", "Invalid Start From position: commit position must be less than or equal to the last commit position in the transaction file.",
			}
		}},
		"no settings":  {create(func(o *persistent.CreateReq_Options) { o.Settings = nil }), codes.InvalidArgument, none},
		"no stream":    {create(func(o *persistent.CreateReq_Options) { o.StreamOption = nil }), codes.InvalidArgument, none},
		"$all by name": {create(func(o *persistent.CreateReq_Options) { o.GetStream().StreamIdentifier = named("$all") }), codes.InvalidArgument, none},
		"a regular expression that is none": {create(func(o *persistent.CreateReq_Options) {
			o.StreamOption = &persistent.CreateReq_Options_All{All: &persistent.CreateReq_AllOptions{FilterOption: &persistent.CreateReq_AllOptions_Filter{
				Filter: &persistent.CreateReq_AllOptions_FilterOptions{Filter: &persistent.CreateReq_AllOptions_FilterOptions_EventType{
					EventType: &persistent.CreateReq_AllOptions_FilterOptions_Expression{Regex: "("},
				}},
			}}}
		}), codes.InvalidArgument, none},
		"a negative stop": {func(options ...grpc.CallOption) error {
			_, err := g.stubs.ReplayParked(g.ctx, &persistent.ReplayParkedReq{Options: &persistent.ReplayParkedReq_Options{
				GroupName: group, StreamOption: &persistent.ReplayParkedReq_Options_StreamIdentifier{StreamIdentifier: named("s")},
				StopAtOption: &persistent.ReplayParkedReq_Options_StopAt{StopAt: -2},
			}}, options...)
			return err
		}, codes.Internal, func() []string {
			return append(about("persistent-subscription-failed", group)(), "reason", "Cannot stop replaying parked message at a negative version.")
		}},
		"list of a stream without groups": {func(options ...grpc.CallOption) error {
			_, err := g.stubs.List(g.ctx, &persistent.ListReq{Options: &persistent.ListReq_Options{ListOption: &persistent.ListReq_Options_ListForStream{
				ListForStream: &persistent.ListReq_StreamOption{StreamOption: &persistent.ListReq_StreamOption_Stream{Stream: named("nothing")}},
			}}}, options...)
			return err
		}, codes.NotFound, func() []string {
			return []string{"exception", "persistent-subscription-does-not-exist", "stream-name", "nothing"}
		}},
	}
	for what, test := range tests {
		var trailers metadata.MD
		err := test.call(grpc.Trailer(&trailers))
		if got := status.Code(err); got != test.code {
			t.Errorf("%s: %v, want %s", what, err, test.code)
		}
		delete(trailers, "content-type") // every response that has only trailers has this one
		if got, want := fmt.Sprint(trailers), fmt.Sprint(metadata.Pairs(test.trailers()...)); got != want {
			t.Errorf("%s: trailers %s, want %s", what, got, want)
		}
	}
}

// allFrom is a position in $all at which a group starts.
func allFrom(commit, prepare uint64) *persistent.CreateReq_AllOptions_Position {
	return &persistent.CreateReq_AllOptions_Position{Position: &persistent.CreateReq_Position{CommitPosition: commit, PreparePosition: prepare}}
}

// A request to change a group may name the strategy in the field of the newest schema. Then this
// strategy is used, and not that of the older field. If the name is no strategy, the request
// changes nothing.
func TestAnUpdateNamesTheStrategyAsNewerClientsDo(t *testing.T) {
	t.Parallel()
	g := serveGroups(t)
	g.create(t, "s", fromStart(nil))
	update := func(strategy string) error {
		settings := &persistent.UpdateReq_Settings{ReadBatchSize: 20, HistoryBufferSize: 500, LiveBufferSize: 500}
		settings.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 16, protowire.BytesType), strategy))
		_, err := g.stubs.Update(g.ctx, &persistent.UpdateReq{Options: &persistent.UpdateReq_Options{
			GroupName: group, Settings: settings,
			StreamOption: &persistent.UpdateReq_Options_Stream{Stream: &persistent.UpdateReq_StreamOptions{StreamIdentifier: named("s")}},
		}})
		return err
	}
	mustDo(t, "update", update("Pinned"))
	if err := update("pinned"); status.Code(err) != codes.Internal {
		t.Errorf("a strategy that is none: %v", err)
	}
	if i := g.info(t, "s"); i.NamedConsumerStrategy != "Pinned" || i.CheckPointAfterMilliseconds != math.MaxInt32 {
		t.Errorf("info %v, want the strategy asked for, and never a checkpoint for the time", i)
	}
}

// readOnce joins a group and returns how the call ends, if it ends at once.
func (g *grouped) readOnce(stream, name string, slots int32, options ...grpc.CallOption) error {
	call, err := g.stubs.Read(g.ctx, options...)
	if err != nil {
		return err
	}
	err = call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: &persistent.ReadReq_Options{
		StreamOption: &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: named(stream)}, GroupName: name, BufferSize: slots,
	}}})
	if err == nil {
		_, err = call.Recv()
	}
	return err
}

// A timeout in ticks can be longer than a time.Duration can be. It then becomes the longest
// possible time.
func TestATimeoutInTicksIsAsLongAsCanBe(t *testing.T) {
	t.Parallel()
	g := serveGroups(t)
	_, err := g.stubs.Create(g.ctx, &persistent.CreateReq{Options: &persistent.CreateReq_Options{
		GroupName:    group,
		StreamOption: &persistent.CreateReq_Options_Stream{Stream: &persistent.CreateReq_StreamOptions{StreamIdentifier: named("s")}},
		Settings: &persistent.CreateReq_Settings{
			ReadBatchSize: 1, HistoryBufferSize: 10, LiveBufferSize: 10, ConsumerStrategy: "RoundRobin",
			MessageTimeout: &persistent.CreateReq_Settings_MessageTimeoutTicks{MessageTimeoutTicks: math.MaxInt64},
		},
	}})
	mustDo(t, "create", err)
	if i := g.info(t, "s"); i.MessageTimeoutMilliseconds != math.MaxInt32 {
		t.Errorf("a timeout of %d ms, want the longest that an answer can have", i.MessageTimeoutMilliseconds)
	}
}

// Older clients, and both clients for Node.js, name the stream and the start in other fields, and
// write ids as text.
func TestTheOlderFormOfAGroup(t *testing.T) {
	t.Parallel()
	g := serveGroups(t)
	g.write("s", several(3, "t")...)
	settings := &persistent.CreateReq_Settings{
		Revision: 1, ReadBatchSize: 20, HistoryBufferSize: 500, LiveBufferSize: 500, MaxRetryCount: 10, NamedConsumerStrategy: persistent.CreateReq_Pinned, //nolint:staticcheck // as older clients send it
		MessageTimeout: &persistent.CreateReq_Settings_MessageTimeoutTicks{MessageTimeoutTicks: 50_000},
	}
	_, err := g.stubs.Create(g.ctx, &persistent.CreateReq{Options: &persistent.CreateReq_Options{StreamIdentifier: named("s"), GroupName: group, Settings: settings}}) //nolint:staticcheck // as older clients send it
	mustDo(t, "create", err)
	i := g.info(t, "s")
	if i.StartFrom != "1" || i.NamedConsumerStrategy != "Pinned" || i.MessageTimeoutMilliseconds != 5 {
		t.Errorf("info %v", i)
	}
	update := &persistent.UpdateReq_Settings{Revision: 1, ReadBatchSize: 20, HistoryBufferSize: 500, LiveBufferSize: 500, NamedConsumerStrategy: persistent.UpdateReq_RoundRobin} //nolint:staticcheck // as older clients send it
	_, err = g.stubs.Update(g.ctx, &persistent.UpdateReq{Options: &persistent.UpdateReq_Options{StreamIdentifier: named("s"), GroupName: group, Settings: update}})               //nolint:staticcheck // as older clients send it
	mustDo(t, "update", err)
	call, err := g.stubs.Read(g.ctx)
	mustDo(t, "read", err)
	mustDo(t, "options", call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: &persistent.ReadReq_Options{
		StreamOption: &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: named("s")}, GroupName: group, BufferSize: 1,
		UuidOption: &persistent.ReadReq_Options_UUIDOption{Content: &persistent.ReadReq_Options_UUIDOption_String_{String_: empty}},
	}}}))
	confirmed, err := call.Recv()
	mustDo(t, "confirmation", err)
	if id := confirmed.GetSubscriptionConfirmation().GetSubscriptionId(); id != "s::"+group {
		t.Errorf("subscription %q", id)
	}
	for revision := uint64(1); revision <= 2; revision++ {
		resp, err := call.Recv()
		mustDo(t, "event", err)
		e := resp.GetEvent().GetEvent()
		if e.GetStreamRevision() != revision || e.GetId().GetString_() == "" || e.GetMetadata()["created"] == "" {
			t.Fatalf("event %v", resp)
		}
		mustDo(t, "ack", call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Ack_{Ack: &persistent.ReadReq_Ack{Ids: []*shared.UUID{e.Id}}}}))
	}
}

// Administrators manage groups and see their state. Everybody who may read the source may consume.
// The target of a link is shown only to consumers that may read it.
func TestWhoMayDoWhatWithGroups(t *testing.T) {
	t.Parallel()
	c := openWithUsers(t, gateway.Options{})
	c.write("secret", event())
	c.write("$$secret", eventstore.Event{ID: uuid.New(), Type: "$metadata", Data: []byte(`{"$acl":{"$r":["ann"]}}`)})
	data, meta, err := eventstore.Wrap(eventstore.Content{Type: "text/plain", Data: []byte("0@secret")})
	mustDo(t, "wrap", err)
	c.write("s", eventstore.Event{ID: uuid.New(), Type: "$>", Data: data, Meta: meta})
	by := func(name string) *grouped {
		s := c.as(t, as(name))
		return &grouped{served: s, stubs: persistent.NewPersistentSubscriptionsClient(s.conn)}
	}
	root, ann, bob := by("root"), by("ann"), by("bob")
	settings := &persistent.CreateReq_Settings{ResolveLinks: true, ReadBatchSize: 1, HistoryBufferSize: 9, LiveBufferSize: 9}
	create := &persistent.CreateReq{Options: &persistent.CreateReq_Options{GroupName: group, Settings: settings, StreamOption: &persistent.CreateReq_Options_Stream{
		Stream: &persistent.CreateReq_StreamOptions{StreamIdentifier: named("s"), RevisionOption: &persistent.CreateReq_StreamOptions_Start{Start: empty}},
	}}}
	attempts := map[string]func(*grouped) error{
		"create": func(g *grouped) error { _, err := g.stubs.Create(g.ctx, create); return err },
		"update": func(g *grouped) error { _, err := g.stubs.Update(g.ctx, &persistent.UpdateReq{}); return err },
		"delete": func(g *grouped) error { _, err := g.stubs.Delete(g.ctx, &persistent.DeleteReq{}); return err },
		"replay": func(g *grouped) error {
			_, err := g.stubs.ReplayParked(g.ctx, &persistent.ReplayParkedReq{})
			return err
		},
		"info":    func(g *grouped) error { _, err := g.stubs.GetInfo(g.ctx, &persistent.GetInfoReq{}); return err },
		"list":    func(g *grouped) error { _, err := g.stubs.List(g.ctx, &persistent.ListReq{}); return err },
		"restart": func(g *grouped) error { _, err := g.stubs.RestartSubsystem(g.ctx, empty); return err },
		"read":    func(g *grouped) error { return g.readOnce("secret", group, 1) },
	}
	for what, attempt := range attempts {
		if err := attempt(bob); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s by bob: %v, want PERMISSION_DENIED", what, err)
		}
		if err := attempt(root); status.Code(err) == codes.PermissionDenied {
			t.Errorf("%s by root: %v", what, err)
		}
	}
	for member, shown := range map[*grouped]bool{ann: true, bob: false} {
		call, err := member.stubs.Read(member.ctx)
		mustDo(t, "read", err)
		mustDo(t, "options", call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: &persistent.ReadReq_Options{
			StreamOption: &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: named("s")}, GroupName: group, BufferSize: 1,
		}}}))
		_, err = call.Recv()
		mustDo(t, "confirmation", err)
		resp, err := call.Recv()
		mustDo(t, "event", err)
		if e := resp.GetEvent(); e.GetLink() == nil || (e.GetEvent() != nil) != shown {
			t.Errorf("the target is shown: %t, want %t", e.GetEvent() != nil, shown)
		}
		mustDo(t, "stop", call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Nack_{Nack: &persistent.ReadReq_Nack{Action: persistent.ReadReq_Nack_Stop}}}))
		_, err = call.Recv()
		if status.Code(err) != codes.Canceled {
			t.Errorf("after a stop: %v", err)
		}
	}
}

// If an answer of a consumer names more events than the consumer can have, its call is ended.
func TestAnAnswerForTooManyEvents(t *testing.T) {
	racetest.Skip(t, "it is slow because of much data")
	t.Parallel()
	g := serveGroups(t)
	g.create(t, "s", fromStart(nil))
	ids := make([]*shared.UUID, groups.MaxSlots+1)
	for i := range ids {
		ids[i] = &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{LeastSignificantBits: int64(i)}}}
	}
	answers := map[string]*persistent.ReadReq{
		"ack":  {Content: &persistent.ReadReq_Ack_{Ack: &persistent.ReadReq_Ack{Ids: ids}}},
		"nack": {Content: &persistent.ReadReq_Nack_{Nack: &persistent.ReadReq_Nack{Ids: ids}}},
	}
	for what, answer := range answers {
		call, err := g.stubs.Read(g.ctx)
		mustDo(t, "read", err)
		mustDo(t, "options", call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: &persistent.ReadReq_Options{
			StreamOption: &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: named("s")}, GroupName: group, BufferSize: 1,
		}}}))
		_, err = call.Recv()
		mustDo(t, "confirmation", err)
		mustDo(t, what, call.Send(answer))
		if _, err := call.Recv(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v, want INVALID_ARGUMENT", what, err)
		}
	}
}
