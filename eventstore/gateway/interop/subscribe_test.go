package interop_test

import (
	"math"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

func subscribing() []scenario {
	return []scenario{
		{"subscribe-from-start", subscribeFromStart},
		{"subscribe-from-revision", subscribeFromRevision},
		{"subscribe-from-end", subscribeFromEnd},
		{"subscribe-missing", subscribeMissing},
		{"subscribe-links", subscribeLinks},
		{"subscribe-deleted", subscribeDeleted},
		{"subscribe-all", subscribeAll},
		{"subscribe-all-type-prefix", subscribeAllTypePrefix},
		{"subscribe-all-type-regex", subscribeAllTypeRegex},
		{"subscribe-all-stream-prefix", subscribeAllStreamPrefix},
		{"subscribe-all-stream-regex", subscribeAllStreamRegex},
	}
}

func subscribeFromStart(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 2)...)
	sub := s.subscribe(t, esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	wantNext(t, sub, place{s.name, 0}, place{s.name, 1})
	wantCaughtUp(t, sub)
	s.append(t, s.name, esdb.Revision(1), events("a", 3)...)
	wantNext(t, sub, place{s.name, 2}, place{s.name, 3}, place{s.name, 4})
}

// subscribeFromRevision begins after the revision it is given.
func subscribeFromRevision(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 3)...)
	sub := s.subscribe(t, esdb.SubscribeToStreamOptions{From: esdb.Revision(1)})
	wantNext(t, sub, place{s.name, 2})
	wantCaughtUp(t, sub)
}

func subscribeFromEnd(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 2)...)
	sub := s.subscribe(t, esdb.SubscribeToStreamOptions{From: esdb.End{}})
	wantCaughtUp(t, sub)
	s.append(t, s.name, esdb.Revision(1), events("a", 1)...)
	wantNext(t, sub, place{s.name, 2})
}

func subscribeMissing(t *testing.T, s *session) {
	sub := s.subscribe(t, esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	wantCaughtUp(t, sub)
	s.append(t, s.name, esdb.NoStream{}, events("a", 1)...)
	wantNext(t, sub, place{s.name, 0})
}

func subscribeLinks(t *testing.T, s *session) {
	source := s.name + "-source"
	s.append(t, source, esdb.NoStream{}, events("a", 2)...)
	s.append(t, s.name, esdb.NoStream{}, link("1@"+source))
	sub := s.subscribe(t, esdb.SubscribeToStreamOptions{From: esdb.Start{}, ResolveLinkTos: true})
	wantNext(t, sub, place{source, 1})
	wantCaughtUp(t, sub)
	s.append(t, s.name, esdb.Revision(0), link("0@"+source))
	wantNext(t, sub, place{source, 0})
}

func subscribeDeleted(t *testing.T, s *session) {
	s.append(t, s.name, esdb.NoStream{}, events("a", 1)...)
	sub := s.subscribe(t, esdb.SubscribeToStreamOptions{From: esdb.End{}})
	wantCaughtUp(t, sub)
	if _, err := s.TombstoneStream(s.ctx, s.name, esdb.TombstoneStreamOptions{}); err != nil {
		t.Fatalf("tombstone: %v", err)
	}
	if next := sub.Recv(); next.EventAppeared == nil || next.EventAppeared.OriginalEvent().EventNumber != math.MaxInt64 {
		t.Errorf("at the end: %+v, want the tombstone", next)
	}
	if next := sub.Recv(); next.SubscriptionDropped == nil || s.ctx.Err() != nil {
		t.Errorf("after the tombstone: %+v, want the subscription dropped", next)
	}
}

func subscribeAll(t *testing.T, s *session) {
	before := s.append(t, s.name+"-1", esdb.NoStream{}, events("a", 1)...)
	s.append(t, s.name+"-2", esdb.NoStream{}, events("a", 1)...)
	sub := s.subscribeToAll(t, esdb.SubscribeToAllOptions{From: position(before)})
	wantNext(t, sub, place{s.name + "-2", 0})
	wantCaughtUp(t, sub)
	s.append(t, s.name+"-1", esdb.Revision(0), events("a", 2)...)
	wantNext(t, sub, place{s.name + "-1", 1}, place{s.name + "-1", 2})

	fromEnd := s.subscribeToAll(t, esdb.SubscribeToAllOptions{From: esdb.End{}})
	wantCaughtUp(t, fromEnd)
	s.append(t, s.name+"-2", esdb.Revision(0), events("a", 1)...)
	wantNext(t, fromEnd, place{s.name + "-2", 1})
	wantNext(t, sub, place{s.name + "-2", 1})
}

func subscribeAllTypePrefix(t *testing.T, s *session) {
	s.subscribeFiltered(t, esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"nothing", s.name + "-wanted"}})
}

func subscribeAllTypeRegex(t *testing.T, s *session) {
	s.subscribeFiltered(t, esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: "^" + s.name + "-(wanted|loved)$"})
}

func subscribeAllStreamPrefix(t *testing.T, s *session) {
	s.subscribeFiltered(t, esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{s.name + "-wanted"}})
}

func subscribeAllStreamRegex(t *testing.T, s *session) {
	s.subscribeFiltered(t, esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: s.name + "-w.nted$"})
}

// subscribeFiltered subscribes with a filter. The wanted events are among many others, before and
// after the subscription has caught up. Then it begins again at the last checkpoint.
func (s *session) subscribeFiltered(t *testing.T, filter esdb.SubscriptionFilter) {
	t.Helper()
	wanted, other := s.name+"-wanted", s.name+"-other"
	before := s.append(t, other, esdb.NoStream{}, events(other, 1)...)
	s.append(t, wanted, esdb.NoStream{}, events(wanted, 2)...)
	s.append(t, other, esdb.Revision(0), events(other, 200)...)
	s.append(t, wanted, esdb.Revision(1), events(wanted, 1)...)
	options := esdb.SubscribeToAllOptions{From: position(before), Filter: &filter, MaxSearchWindow: 32, CheckpointInterval: 1}
	sub := s.subscribeToAll(t, options)
	wantNext(t, sub, place{wanted, 0}, place{wanted, 1})
	reached := wantCheckpoint(t, sub)
	wantNext(t, sub, place{wanted, 2})
	wantCaughtUp(t, sub)

	s.append(t, other, esdb.Revision(200), events(other, 100)...)
	live := s.append(t, wanted, esdb.Revision(2), events(wanted, 1)...)
	wantNext(t, sub, place{wanted, 3})
	s.append(t, other, esdb.Revision(300), events(other, 100)...)
	later := wantCheckpoint(t, sub)
	for later.Commit < live.CommitPosition { // skips checkpoints that are before the event
		later = wantCheckpoint(t, sub)
	}
	if later.Commit <= reached.Commit {
		t.Errorf("checkpoint %v follows %v", later, reached)
	}

	options.From = later
	resumed := s.subscribeToAll(t, options)
	wantCaughtUp(t, resumed)
	s.append(t, wanted, esdb.Revision(3), events(wanted, 1)...)
	wantNext(t, resumed, place{wanted, 4})
}

func (s *session) subscribe(t *testing.T, options esdb.SubscribeToStreamOptions) *esdb.Subscription {
	t.Helper()
	sub, err := s.SubscribeToStream(s.ctx, s.name, options)
	if err != nil {
		t.Fatalf("subscribe to %s: %v", s.name, err)
	}
	t.Cleanup(func() { _ = sub.Close() })
	return sub
}

func (s *session) subscribeToAll(t *testing.T, options esdb.SubscribeToAllOptions) *esdb.Subscription {
	t.Helper()
	sub, err := s.SubscribeToAll(s.ctx, options)
	if err != nil {
		t.Fatalf("subscribe to $all: %v", err)
	}
	t.Cleanup(func() { _ = sub.Close() })
	return sub
}

// next returns the next item of the subscription that isWanted accepts. It skips marks, and fails
// at an event that isWanted does not accept.
func next(t *testing.T, sub *esdb.Subscription, waitingFor string, isWanted func(*esdb.SubscriptionEvent) bool) *esdb.SubscriptionEvent {
	t.Helper()
	for {
		got := sub.Recv()
		switch {
		case got.SubscriptionDropped != nil:
			t.Fatalf("waiting for %s: subscription dropped: %v", waitingFor, got.SubscriptionDropped.Error)
		case isWanted(got):
			return got
		case got.EventAppeared != nil:
			at := got.EventAppeared.OriginalEvent()
			t.Fatalf("waiting for %s: got event %d of %s", waitingFor, at.EventNumber, at.StreamID)
		}
	}
}

// wantNext fails unless these events come next. Only marks may come between them.
func wantNext(t *testing.T, sub *esdb.Subscription, want ...place) {
	t.Helper()
	got := make([]*esdb.ResolvedEvent, len(want))
	for i := range want {
		got[i] = next(t, sub, "an event", func(e *esdb.SubscriptionEvent) bool { return e.EventAppeared != nil }).EventAppeared
	}
	wantPlaces(t, got, want...)
}

func wantCaughtUp(t *testing.T, sub *esdb.Subscription) {
	t.Helper()
	next(t, sub, "being caught up", func(e *esdb.SubscriptionEvent) bool { return e.CaughtUp != nil })
}

func wantCheckpoint(t *testing.T, sub *esdb.Subscription) esdb.Position {
	t.Helper()
	return *next(t, sub, "a checkpoint", func(e *esdb.SubscriptionEvent) bool { return e.CheckPointReached != nil }).CheckPointReached
}
