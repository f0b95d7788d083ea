package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
)

// grouped is a gateway with the official client and generated stubs.
type grouped struct {
	*served
	*esdb.Client
	stubs persistent.PersistentSubscriptionsClient
}

func serveGroups(t *testing.T) *grouped {
	t.Helper()
	return serveGroupsOf(t, memory.New())
}

func serveGroupsOf(t *testing.T, store eventstore.Store) *grouped {
	t.Helper()
	s := serve(t, store, gateway.Options{})
	return &grouped{served: s, Client: s.client(), stubs: persistent.NewPersistentSubscriptionsClient(s.conn)}
}

const group = "readers"

func fromStart(change func(*esdb.PersistentSubscriptionSettings)) esdb.PersistentStreamSubscriptionOptions {
	settings := esdb.SubscriptionSettingsDefault()
	if change != nil {
		change(&settings)
	}
	return esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.Start{}, Settings: &settings}
}

func mustDo(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func (g *grouped) create(t *testing.T, stream string, options esdb.PersistentStreamSubscriptionOptions) {
	t.Helper()
	mustDo(t, "create the group", g.CreatePersistentSubscription(g.ctx, stream, group, options))
}

func (g *grouped) join(t *testing.T, stream string, slots uint32) *esdb.PersistentSubscription {
	t.Helper()
	return joinBy(g.ctx, t, g.Client, stream, slots)
}

func joinBy(ctx context.Context, t *testing.T, client *esdb.Client, stream string, slots uint32) *esdb.PersistentSubscription {
	t.Helper()
	sub, err := client.SubscribeToPersistentSubscription(ctx, stream, group, esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: slots})
	mustDo(t, "join the group", err)
	t.Cleanup(func() { sub.Close() })
	return sub
}

// takes receives events and fails unless they are the wanted ones, each written as
// revision/retries. It returns the events.
func takes(t *testing.T, sub *esdb.PersistentSubscription, want ...string) []*esdb.ResolvedEvent {
	t.Helper()
	var got []string
	var events []*esdb.ResolvedEvent
	for range want {
		item := sub.Recv()
		if item.SubscriptionDropped != nil {
			t.Fatalf("after %q the consumer was dropped: %v; want %q", got, item.SubscriptionDropped.Error, want)
		}
		got = append(got, fmt.Sprintf("%d/%d", item.EventAppeared.Event.OriginalEvent().EventNumber, item.EventAppeared.RetryCount))
		events = append(events, item.EventAppeared.Event)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("the consumer got %q, want %q", got, want)
	}
	return events
}

func ack(t *testing.T, sub *esdb.PersistentSubscription, events ...*esdb.ResolvedEvent) {
	t.Helper()
	mustDo(t, "acknowledge", sub.Ack(events...))
}

func nack(t *testing.T, sub *esdb.PersistentSubscription, action esdb.NackAction, events ...*esdb.ResolvedEvent) {
	t.Helper()
	mustDo(t, "refuse", sub.Nack("no", action, events...))
}

// wantDropped waits for the end of a consumer and checks its error.
func wantDropped(t *testing.T, sub *esdb.PersistentSubscription, code codes.Code) {
	t.Helper()
	for {
		item := sub.Recv()
		if item.EventAppeared != nil {
			continue
		}
		if got := status.Code(item.SubscriptionDropped.Error); got != code {
			t.Fatalf("the consumer ends with %v, want %s", item.SubscriptionDropped.Error, code)
		}
		return
	}
}

func (g *grouped) info(t *testing.T, stream string) *persistent.SubscriptionInfo {
	t.Helper()
	req := &persistent.GetInfoReq{Options: &persistent.GetInfoReq_Options{
		GroupName: group, StreamOption: &persistent.GetInfoReq_Options_StreamIdentifier{StreamIdentifier: named(stream)},
	}}
	if stream == "$all" {
		req.Options.StreamOption = &persistent.GetInfoReq_Options_All{All: empty}
	}
	resp, err := g.stubs.GetInfo(g.ctx, req)
	mustDo(t, "info", err)
	return resp.SubscriptionInfo
}

// A consumer can answer an event in four ways: retry it, park it, skip it, or stop the consumer
// itself.
func TestEachAnswerOfAConsumer(t *testing.T) {
	t.Parallel()
	g := serveGroups(t)
	g.write("s", several(5, "t")...)
	g.create(t, "s", fromStart(nil))
	sub := g.join(t, "s", 5)
	e := takes(t, sub, "0/0", "1/0", "2/0", "3/0", "4/0")
	ack(t, sub, e[0])
	nack(t, sub, esdb.NackActionSkip, e[1])
	nack(t, sub, esdb.NackActionPark, e[2])
	nack(t, sub, esdb.NackActionRetry, e[3])
	nack(t, sub, esdb.NackActionUnknown, e[4])
	e = takes(t, sub, "3/1", "4/1")
	ack(t, sub, e[0])
	until(t, func() bool { i := g.info(t, "s"); return i.ParkedMessageCount == 1 && i.TotalInFlightMessages == 1 })
	other := g.join(t, "s", 5)
	nack(t, sub, esdb.NackActionStop, e[1])
	wantDropped(t, sub, codes.Canceled)
	ack(t, other, takes(t, other, "4/2")...)
	until(t, func() bool { i := g.info(t, "s"); return i.OutstandingMessagesCount == 0 && len(i.Connections) == 1 })
}

func TestReplayIsBoundedByItsStop(t *testing.T) {
	t.Parallel()
	g := serveGroups(t)
	g.write("s", several(4, "t")...)
	g.create(t, "s", fromStart(nil))
	sub := g.join(t, "s", 10)
	for _, e := range takes(t, sub, "0/0", "1/0", "2/0", "3/0") {
		nack(t, sub, esdb.NackActionPark, e)
	}
	until(t, func() bool { return g.info(t, "s").ParkedMessageCount == 4 })
	replay := func(stopAt int) error {
		return g.ReplayParkedMessages(g.ctx, "s", group, esdb.ReplayParkedMessagesOptions{StopAt: stopAt})
	}
	mustDo(t, "replay the first three", replay(3))
	e := takes(t, sub, "0/0", "1/0", "2/0")
	ack(t, sub, e[0], e[2])
	nack(t, sub, esdb.NackActionPark, e[1]) // among the parked events it is after 3 now
	until(t, func() bool { return g.info(t, "s").ParkedMessageCount == 2 })
	mustDo(t, "replay all", replay(0)) // for the client, 0 means all
	ack(t, sub, takes(t, sub, "3/0", "1/0")...)
	until(t, func() bool { i := g.info(t, "s"); return i.ParkedMessageCount == 0 && i.OutstandingMessagesCount == 0 })
}

func TestAnEventThatTimesOutComesAgainAndIsParkedInTheEnd(t *testing.T) {
	t.Parallel()
	g := serveGroups(t)
	g.write("s", event())
	g.create(t, "s", fromStart(func(s *esdb.PersistentSubscriptionSettings) { s.MessageTimeout, s.MaxRetryCount = 50, 2 }))
	sub := g.join(t, "s", 10)
	takes(t, sub, "0/0", "0/1", "0/2")
	until(t, func() bool { return g.info(t, "s").ParkedMessageCount == 1 })
}

func TestWhereAGroupStarts(t *testing.T) {
	t.Parallel()
	g := serveGroups(t)
	g.write("other", several(3, "t")...)
	g.write("s", several(5, "t")...)
	tests := map[string]struct {
		from esdb.StreamPosition
		text string
		want []string
	}{
		"start":       {esdb.Start{}, "0", []string{"0/0", "1/0"}},
		"revision":    {esdb.Revision(3), "3", []string{"3/0", "4/0", "5/0"}},
		"end":         {esdb.End{}, "-1", []string{"5/0"}},
		"not yet had": {esdb.Revision(6), "6", []string{"6/0"}},
	}
	for name, test := range tests {
		mustDo(t, name, g.CreatePersistentSubscription(g.ctx, "s", name, esdb.PersistentStreamSubscriptionOptions{StartFrom: test.from}))
	}
	g.write("s", several(2, "t")...)
	for name, test := range tests {
		sub, err := g.SubscribeToPersistentSubscription(g.ctx, "s", name, esdb.SubscribeToPersistentSubscriptionOptions{})
		mustDo(t, name, err)
		takes(t, sub, test.want...)
		sub.Close()
	}
	list, err := g.stubs.List(g.ctx, &persistent.ListReq{Options: &persistent.ListReq_Options{ListOption: &persistent.ListReq_Options_ListAllSubscriptions{ListAllSubscriptions: empty}}})
	mustDo(t, "list", err)
	if len(list.Subscriptions) != len(tests) {
		t.Errorf("%d groups are listed, want %d", len(list.Subscriptions), len(tests))
	}
	for _, i := range list.Subscriptions {
		if want := tests[i.GroupName].text; i.StartFrom != want || i.LastKnownEventPosition != "6" {
			t.Errorf("group %s starts from %q, want %q; last known %q", i.GroupName, i.StartFrom, want, i.LastKnownEventPosition)
		}
	}
}

func TestAGroupOnAllWithAFilter(t *testing.T) {
	t.Parallel()
	filters := map[string]*esdb.SubscriptionFilter{
		"type prefix":   {Type: esdb.EventFilterType, Prefixes: []string{"wanted"}},
		"type regex":    {Type: esdb.EventFilterType, Regex: "^want.d$"},
		"stream prefix": {Type: esdb.StreamFilterType, Prefixes: []string{"of"}},
		"stream regex":  {Type: esdb.StreamFilterType, Regex: "^of-[a-z]+$"},
	}
	for name, filter := range filters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := serveGroups(t)
			g.write("of-one", typed("wanted"))
			from := g.write("not", several(3000, "t")...)
			g.write("of-two", typed("wanted"))
			last := g.write("not", several(5, "t")...)
			commit, prepare := from.Position.Pair()
			settings := esdb.SubscriptionSettingsDefault()
			settings.CheckpointLowerBound, settings.CheckpointUpperBound = 1, 1
			mustDo(t, "create", g.CreatePersistentSubscriptionToAll(g.ctx, group, esdb.PersistentAllSubscriptionOptions{
				StartFrom: esdb.Position{Commit: commit, Prepare: prepare}, Filter: filter, Settings: &settings,
			}))
			sub, err := g.SubscribeToPersistentSubscriptionToAll(g.ctx, group, esdb.SubscribeToPersistentSubscriptionOptions{})
			mustDo(t, "join", err)
			t.Cleanup(func() { sub.Close() })
			e := takes(t, sub, "0/0")
			if e[0].Event.StreamID != "of-two" || e[0].Event.Position.Commit != commit+1 || *e[0].Commit != commit+1 {
				t.Fatalf("the event is %+v", e[0].Event)
			}
			ack(t, sub, e...)
			commit, _ = last.Position.Pair()
			want := fmt.Sprintf("C:%d/P:%d", commit, commit)
			// Skipped events count, too.
			until(t, func() bool { return g.info(t, "$all").LastCheckpointedEventPosition == want })
			i := g.info(t, "$all")
			if i.StartFrom != fmt.Sprintf("C:%d/P:%d", commit-6, commit-6) || i.LastKnownEventPosition != want || i.Status != "Live" {
				t.Errorf("info %v", i)
			}
		})
	}
}

// Consumers acknowledge the link. If its target is gone, the link comes alone.
func TestAGroupResolvesLinks(t *testing.T) {
	t.Parallel()
	g := serveGroups(t)
	g.write("target", event())
	linkTo := func(where string) eventstore.Event {
		data, meta, err := eventstore.Wrap(eventstore.Content{Type: "text/plain", Data: []byte(where)})
		mustDo(t, "wrap", err)
		return eventstore.Event{ID: uuid.New(), Type: "$>", Data: data, Meta: meta}
	}
	g.write("s", linkTo("0@target"), linkTo("9@target"))
	g.create(t, "s", fromStart(func(s *esdb.PersistentSubscriptionSettings) { s.ResolveLinkTos = true }))
	sub := g.join(t, "s", 5)
	e := takes(t, sub, "0/0", "1/0")
	if e[0].Event.StreamID != "target" || e[0].Link.StreamID != "s" || e[1].Event != nil || e[1].Link == nil {
		t.Fatalf("resolved %+v and %+v", e[0], e[1])
	}
	if *e[0].Commit != e[0].Event.Position.Commit || *e[1].Commit != e[1].Link.Position.Commit {
		t.Errorf("at %d and %d, want where the resolved event is, or else the link", *e[0].Commit, *e[1].Commit)
	}
	ack(t, sub, e...)
	until(t, func() bool { return g.info(t, "s").OutstandingMessagesCount == 0 })
}

func TestAnUpdateDropsConsumersAndKeepsTheCheckpoint(t *testing.T) {
	t.Parallel()
	g := serveGroups(t)
	g.write("s", several(4, "t")...)
	g.create(t, "s", fromStart(nil))
	sub := g.join(t, "s", 10)
	e := takes(t, sub, "0/0", "1/0", "2/0", "3/0")
	ack(t, sub, e[:2]...)
	until(t, func() bool { return g.info(t, "s").OutstandingMessagesCount == 2 })
	options := fromStart(func(s *esdb.PersistentSubscriptionSettings) { s.MaxRetryCount = 77 })
	options.StartFrom = esdb.End{} // this client has a fault: it sends the start
	mustDo(t, "update", g.UpdatePersistentSubscription(g.ctx, "s", group, options))
	wantDropped(t, sub, codes.Canceled)
	if i := g.info(t, "s"); i.MaxRetryCount != 77 || i.LastCheckpointedEventPosition != "1" || len(i.Connections) != 0 {
		t.Errorf("info after an update: %v", i)
	}
	again := g.join(t, "s", 10)
	takes(t, again, "2/0", "3/0")
	mustDo(t, "delete", g.DeletePersistentSubscription(g.ctx, "s", group, esdb.DeletePersistentSubscriptionOptions{}))
	wantDropped(t, again, codes.Canceled)
	g.create(t, "s", fromStart(nil))
	takes(t, g.join(t, "s", 1), "0/0") // nothing of the old group is left
	mustDo(t, "restart", g.RestartPersistentSubscriptionSubsystem(g.ctx, esdb.RestartPersistentSubscriptionSubsystemOptions{}))
	takes(t, g.join(t, "s", 1), "0/0")
}

func TestInfoOfAGroup(t *testing.T) {
	t.Parallel()
	g := serveGroups(t)
	g.write("s", several(30, "t")...)
	options := fromStart(func(s *esdb.PersistentSubscriptionSettings) {
		s.ConsumerStrategyName = esdb.ConsumerStrategyPinned
		s.MaxSubscriberCount, s.ReadBatchSize, s.HistoryBufferSize, s.LiveBufferSize = 3, 5, 11, 12
		s.MessageTimeout, s.CheckpointAfter = 60_000, 70_000
		s.ExtraStatistics = true
	})
	g.create(t, "s", options)
	sub := joinBy(metadata.AppendToOutgoingContext(g.ctx, "connection-name", "tester"), t, g.Client, "s", 4)
	e := takes(t, sub, "0/0", "1/0", "2/0", "3/0")
	ack(t, sub, e[0])
	takes(t, sub, "4/0")
	until(t, func() bool { return g.info(t, "s").ReadBufferCount == 10 })
	i := g.info(t, "s")
	c := i.Connections[0]
	if c.ConnectionName != "tester" || c.From == "" || c.Username != "anonymous" {
		t.Errorf("connection %v", c)
	}
	if c.AvailableSlots != 0 || c.InFlightMessages != 4 || c.TotalItems != 5 || len(c.ObservedMeasurements) == 0 {
		t.Errorf("connection %v", c)
	}
	i.Connections = nil
	i.AveragePerSecond, i.CountSinceLastMeasurement = 0, 0
	want := &persistent.SubscriptionInfo{
		EventSource: "s", GroupName: group, Status: "Behind", TotalItems: 5, LastKnownEventPosition: "29", StartFrom: "0",
		MessageTimeoutMilliseconds: 60_000, ExtraStatistics: true, MaxRetryCount: 10, LiveBufferSize: 12, BufferSize: 11, ReadBatchSize: 5,
		CheckPointAfterMilliseconds: 70_000, MinCheckPointCount: 10, MaxCheckPointCount: 1000, ReadBufferCount: 10,
		TotalInFlightMessages: 4, OutstandingMessagesCount: 4, NamedConsumerStrategy: "Pinned", MaxSubscriberCount: 3,
	}
	if got := i.String(); got != want.String() {
		t.Errorf("info\n%s, want\n%s", got, want)
	}
	info, err := g.GetPersistentSubscriptionInfo(g.ctx, "s", group, esdb.GetPersistentSubscriptionOptions{})
	mustDo(t, "info by the client", err)
	if info.Settings.StartFrom != (esdb.Start{}) || info.Stats.LastCheckpointedEventRevision != nil || *info.Stats.LastKnownEventRevision != 29 {
		t.Errorf("info by the client %+v %+v", info.Settings, info.Stats)
	}
}
