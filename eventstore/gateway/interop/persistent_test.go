package interop_test

import (
	"slices"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// group is the name of the groups on streams; those on $all need different names.
const group = "readers"

func persisting() []scenario {
	return []scenario{
		{"persistent-ack", persistentAck},
		{"persistent-retry-and-skip", persistentRetryAndSkip},
		{"persistent-park-and-replay", persistentParkAndReplay},
		{"persistent-consumers", persistentConsumers},
		{"persistent-links", persistentLinks},
		{"persistent-all", persistentAll},
		{"persistent-manage", persistentManage},
		{"persistent-errors", persistentErrors},
	}
}

func persistentAck(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 2)...)
	s.createGroup(t, esdb.SubscriptionSettingsDefault())
	sub := s.join(t)
	ack(t, sub, wantDelivered(t, sub, 0, 0)...)
	ack(t, sub, wantDelivered(t, sub, 0, 1)...)
	s.append(t, s.name, esdb.Revision(1), events("a", 3)...)
	ack(t, sub, wantDelivered(t, sub, 0, 2, 3, 4)...) // several at once
	s.wantInFlight(t, 0)
	_ = sub.Close()
	s.eventually(t, "the consumer is gone", func() bool { return len(s.info(t).Connections) == 0 })

	s.append(t, s.name, esdb.Revision(4), events("a", 1)...)
	again := s.join(t)
	ack(t, again, wantDelivered(t, again, 0, 5)...)
}

func persistentRetryAndSkip(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 2)...)
	s.createGroup(t, esdb.SubscriptionSettingsDefault())
	sub := s.join(t)
	got := wantDelivered(t, sub, 0, 0, 1)
	nack(t, sub, esdb.NackActionSkip, got[0])
	nack(t, sub, esdb.NackActionRetry, got[1])
	got = wantDelivered(t, sub, 1, 1)
	nack(t, sub, esdb.NackActionRetry, got...)
	ack(t, sub, wantDelivered(t, sub, 2, 1)...)
	s.append(t, s.name, esdb.Revision(1), events("a", 1)...)
	ack(t, sub, wantDelivered(t, sub, 0, 2)...) // revision 0 does not come, because it was skipped
}

func persistentParkAndReplay(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 3)...)
	s.createGroup(t, esdb.SubscriptionSettingsDefault())
	sub := s.join(t)
	got := wantDelivered(t, sub, 0, 0, 1, 2)
	ack(t, sub, got[1])
	nack(t, sub, esdb.NackActionPark, got[0], got[2])
	s.wantParked(t, 2)
	if err := s.ReplayParkedMessages(s.ctx, s.name, group, esdb.ReplayParkedMessagesOptions{}); err != nil {
		t.Fatalf("replay: %v", err)
	}
	ack(t, sub, wantDelivered(t, sub, anyRetry, 0, 2)...)
	s.wantParked(t, 0)
	s.wantInFlight(t, 0)
	s.append(t, s.name, esdb.Revision(2), events("a", 1)...)
	ack(t, sub, wantDelivered(t, sub, 0, 3)...)
}

// persistentConsumers lets two consumers share the events, and then ends one of them.
func persistentConsumers(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 1)...)
	settings := esdb.SubscriptionSettingsDefault()
	settings.ConsumerStrategyName = esdb.ConsumerStrategyRoundRobin
	s.createGroup(t, settings)
	one := s.join(t)
	ack(t, one, wantDelivered(t, one, 0, 0)...)
	other := s.join(t)
	s.append(t, s.name, esdb.Revision(0), events("a", 10)...)
	var revisions []uint64
	for range 5 {
		for _, sub := range []*esdb.PersistentSubscription{one, other} {
			got := delivered(t, sub)
			ack(t, sub, got.Event)
			revisions = append(revisions, got.Event.OriginalEvent().EventNumber)
		}
	}
	slices.Sort(revisions)
	if want := []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}; !slices.Equal(revisions, want) {
		t.Fatalf("two consumers got %d, want %d", revisions, want)
	}
	s.wantInFlight(t, 0)

	s.append(t, s.name, esdb.Revision(10), events("a", 2)...)
	left := delivered(t, one).Event.OriginalEvent().EventNumber
	_ = one.Close()
	first, second := delivered(t, other), delivered(t, other)
	if got := second.Event.OriginalEvent().EventNumber; got != left {
		t.Errorf("after one consumer left with event %d, the other got %d", left, got)
	}
	ack(t, other, first.Event, second.Event)
}

// persistentLinks acknowledges the link and not its target, because the link is the event in the
// stream.
func persistentLinks(t *testing.T, s *session) {
	source := s.name + "-source"
	s.append(t, source, esdb.NoStream{}, events("a", 2)...)
	s.append(t, s.name, esdb.NoStream{}, link("1@"+source), link("0@"+source))
	settings := esdb.SubscriptionSettingsDefault()
	settings.ResolveLinkTos = true
	s.createGroup(t, settings)
	sub := s.join(t)
	got := wantDelivered(t, sub, 0, 0, 1)
	wantPlaces(t, got, place{source, 1}, place{source, 0})
	nack(t, sub, esdb.NackActionRetry, got[0])
	ack(t, sub, got[1])
	ack(t, sub, wantDelivered(t, sub, 1, 0)...)
	s.wantInFlight(t, 0)
}

// persistentAll uses a group on $all with a filter. Its events are acknowledged, parked and
// replayed.
func persistentAll(t *testing.T, s *session) {
	wanted := s.name + "-wanted"
	before := s.append(t, s.name, esdb.NoStream{}, events("other", 1)...)
	s.append(t, s.name, esdb.Revision(0), events(wanted, 1)...)
	s.append(t, s.name, esdb.Revision(1), events("other", 50)...)
	s.append(t, s.name, esdb.Revision(51), events(wanted, 1)...)
	options := esdb.PersistentAllSubscriptionOptions{
		StartFrom: position(before),
		Filter:    &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{wanted}},
	}
	if err := s.CreatePersistentSubscriptionToAll(s.ctx, s.name, options); err != nil {
		t.Fatalf("create a group on $all: %v", err)
	}
	sub, err := s.SubscribeToPersistentSubscriptionToAll(s.ctx, s.name, esdb.SubscribeToPersistentSubscriptionOptions{})
	if err != nil {
		t.Fatalf("join the group on $all: %v", err)
	}
	t.Cleanup(func() { _ = sub.Close() })
	got := wantDelivered(t, sub, 0, 1, 52)
	ack(t, sub, got[0])
	nack(t, sub, esdb.NackActionPark, got[1])
	s.append(t, s.name, esdb.Revision(52), events("other", 50)...)
	s.append(t, s.name, esdb.Revision(102), events(wanted, 1)...)
	ack(t, sub, wantDelivered(t, sub, 0, 103)...)

	parked := func() int64 {
		info, err := s.GetPersistentSubscriptionInfoToAll(s.ctx, s.name, esdb.GetPersistentSubscriptionOptions{})
		if err != nil {
			t.Fatalf("info of the group on $all: %v", err)
		}
		return info.Stats.ParkedMessagesCount
	}
	s.eventually(t, "one event is parked", func() bool { return parked() == 1 })
	if err := s.ReplayParkedMessagesToAll(s.ctx, s.name, esdb.ReplayParkedMessagesOptions{}); err != nil {
		t.Fatalf("replay: %v", err)
	}
	ack(t, sub, wantDelivered(t, sub, anyRetry, 52)...)
	s.eventually(t, "no event is parked", func() bool { return parked() == 0 })
	if err := s.DeletePersistentSubscriptionToAll(s.ctx, s.name, esdb.DeletePersistentSubscriptionOptions{}); err != nil {
		t.Fatalf("delete the group on $all: %v", err)
	}
}

func persistentManage(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 3)...)
	settings := esdb.SubscriptionSettingsDefault()
	settings.MaxRetryCount, settings.MessageTimeout, settings.ReadBatchSize = 3, 7_000, 11
	settings.ConsumerStrategyName = esdb.ConsumerStrategyDispatchToSingle
	s.createGroup(t, settings)
	sub := s.join(t)
	wantDelivered(t, sub, 0, 0, 1, 2)
	info := s.info(t)
	if info.EventSource != s.name || info.GroupName != group || len(info.Connections) != 1 || info.Stats.TotalInFlightMessages != 3 {
		t.Errorf("info %+v, stats %+v", info, info.Stats)
	}
	wantSettings(t, info.Settings, settings)

	settings.MaxRetryCount, settings.ConsumerStrategyName = 5, esdb.ConsumerStrategyRoundRobin
	options := esdb.PersistentStreamSubscriptionOptions{Settings: &settings, StartFrom: esdb.Start{}}
	if err := s.UpdatePersistentSubscription(s.ctx, s.name, group, options); err != nil {
		t.Fatalf("update: %v", err)
	}
	wantSettings(t, s.info(t).Settings, settings)
	wantDropped(t, sub)

	for what, list := range map[string]func() ([]esdb.PersistentSubscriptionInfo, error){
		"of the stream": func() ([]esdb.PersistentSubscriptionInfo, error) {
			return s.ListPersistentSubscriptionsForStream(s.ctx, s.name, esdb.ListPersistentSubscriptionsOptions{})
		},
		"of all streams": func() ([]esdb.PersistentSubscriptionInfo, error) {
			return s.ListAllPersistentSubscriptions(s.ctx, esdb.ListPersistentSubscriptionsOptions{})
		},
	} {
		groups, err := list()
		if err != nil {
			t.Fatalf("list the groups %s: %v", what, err)
		}
		if !slices.ContainsFunc(groups, func(g esdb.PersistentSubscriptionInfo) bool { return g.EventSource == s.name && g.GroupName == group }) {
			t.Errorf("the group is not among those %s", what)
		}
	}

	again := s.join(t)
	if err := s.DeletePersistentSubscription(s.ctx, s.name, group, esdb.DeletePersistentSubscriptionOptions{}); err != nil {
		t.Fatalf("delete: %v", err)
	}
	wantDropped(t, again)
}

func persistentErrors(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 1)...)
	_, err := s.SubscribeToPersistentSubscription(s.ctx, s.name, group, esdb.SubscribeToPersistentSubscriptionOptions{})
	wantCode(t, "join no group", err, esdb.ErrorCodeResourceNotFound)
	_, err = s.GetPersistentSubscriptionInfo(s.ctx, s.name, group, esdb.GetPersistentSubscriptionOptions{})
	wantCode(t, "info of no group", err, esdb.ErrorCodeResourceNotFound)
	_, err = s.ListPersistentSubscriptionsForStream(s.ctx, s.name, esdb.ListPersistentSubscriptionsOptions{})
	wantCode(t, "list without groups", err, esdb.ErrorCodeResourceNotFound)
	err = s.UpdatePersistentSubscription(s.ctx, s.name, group, esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.Start{}})
	wantCode(t, "update no group", err, esdb.ErrorCodeResourceNotFound)
	err = s.DeletePersistentSubscription(s.ctx, s.name, group, esdb.DeletePersistentSubscriptionOptions{})
	wantCode(t, "delete no group", err, esdb.ErrorCodeResourceNotFound)
	err = s.ReplayParkedMessages(s.ctx, s.name, group, esdb.ReplayParkedMessagesOptions{})
	wantCode(t, "replay no group", err, esdb.ErrorCodeResourceNotFound)

	settings := esdb.SubscriptionSettingsDefault()
	settings.MaxSubscriberCount = 1
	s.createGroup(t, settings)
	err = s.CreatePersistentSubscription(s.ctx, s.name, group, esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.Start{}})
	wantCode(t, "create it twice", err, esdb.ErrorCodeResourceAlreadyExists)
	s.join(t)
	_, err = s.SubscribeToPersistentSubscription(s.ctx, s.name, group, esdb.SubscribeToPersistentSubscriptionOptions{})
	wantStatus(t, "join a full group", err, codes.FailedPrecondition)
}

// createGroup makes the group on the scenario's stream, from its start.
func (s *session) createGroup(t *testing.T, settings esdb.PersistentSubscriptionSettings) {
	t.Helper()
	options := esdb.PersistentStreamSubscriptionOptions{Settings: &settings, StartFrom: esdb.Start{}}
	if err := s.CreatePersistentSubscription(s.ctx, s.name, group, options); err != nil {
		t.Fatalf("create the group: %v", err)
	}
}

func (s *session) join(t *testing.T) *esdb.PersistentSubscription {
	t.Helper()
	sub, err := s.SubscribeToPersistentSubscription(s.ctx, s.name, group, esdb.SubscribeToPersistentSubscriptionOptions{})
	if err != nil {
		t.Fatalf("join the group: %v", err)
	}
	t.Cleanup(func() { _ = sub.Close() })
	return sub
}

func (s *session) info(t *testing.T) *esdb.PersistentSubscriptionInfo {
	t.Helper()
	info, err := s.GetPersistentSubscriptionInfo(s.ctx, s.name, group, esdb.GetPersistentSubscriptionOptions{})
	if err != nil {
		t.Fatalf("info: %v", err)
	}
	return info
}

func (s *session) wantParked(t *testing.T, want int64) {
	t.Helper()
	s.eventually(t, "so many events are parked", func() bool { return s.info(t).Stats.ParkedMessagesCount == want })
}

// wantInFlight waits until the server has received the acknowledgements.
func (s *session) wantInFlight(t *testing.T, want int64) {
	t.Helper()
	s.eventually(t, "so many events are in flight", func() bool { return s.info(t).Stats.TotalInFlightMessages == want })
}

// anyRetry is for deliveries whose number of retries does not matter.
const anyRetry = -1

func delivered(t *testing.T, sub *esdb.PersistentSubscription) *esdb.EventAppeared {
	t.Helper()
	got := sub.Recv()
	if got.EventAppeared == nil {
		t.Fatalf("subscription dropped: %v", got.SubscriptionDropped.Error)
	}
	return got.EventAppeared
}

// wantDelivered fails unless these revisions come next, in this order.
func wantDelivered(t *testing.T, sub *esdb.PersistentSubscription, retries int, want ...uint64) []*esdb.ResolvedEvent {
	t.Helper()
	got := make([]*esdb.ResolvedEvent, len(want))
	for i := range want {
		next := delivered(t, sub)
		if got[i] = next.Event; next.RetryCount != retries && retries != anyRetry {
			t.Fatalf("event %d comes with %d retries, want %d", next.Event.OriginalEvent().EventNumber, next.RetryCount, retries)
		}
	}
	wantRevisions(t, got, want...)
	return got
}

func wantDropped(t *testing.T, sub *esdb.PersistentSubscription) {
	t.Helper()
	for {
		got := sub.Recv()
		if got.SubscriptionDropped == nil {
			continue // this event was already on its way
		}
		if code := status.Code(got.SubscriptionDropped.Error); code != codes.Canceled {
			t.Fatalf("subscription dropped by %v, want status %v", got.SubscriptionDropped.Error, codes.Canceled)
		}
		return
	}
}

func wantSettings(t *testing.T, got *esdb.PersistentSubscriptionSettings, want esdb.PersistentSubscriptionSettings) {
	t.Helper()
	compared := *got
	compared.StartFrom, want.StartFrom = nil, nil // not compared, because it has several forms
	if compared != want {
		t.Errorf("settings %+v, want %+v", compared, want)
	}
}

func ack(t *testing.T, sub *esdb.PersistentSubscription, handled ...*esdb.ResolvedEvent) {
	t.Helper()
	if err := sub.Ack(handled...); err != nil {
		t.Fatalf("ack: %v", err)
	}
}

func nack(t *testing.T, sub *esdb.PersistentSubscription, action esdb.NackAction, refused ...*esdb.ResolvedEvent) {
	t.Helper()
	if err := sub.Nack("by the interop test", action, refused...); err != nil {
		t.Fatalf("nack: %v", err)
	}
}
