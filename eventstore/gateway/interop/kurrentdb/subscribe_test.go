// Code generated from ../subscribe_test.go by go test -update. DO NOT EDIT.

package kurrentdb_test

import (
	"math"
	"testing"

	"github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb"
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
	s.append(t, s.name, kurrentdb.NoStream{}, events("a", 2)...)
	sub := s.subscribe(t, kurrentdb.SubscribeToStreamOptions{From: kurrentdb.Start{}})
	wantNext(t, sub, place{s.name, 0}, place{s.name, 1})
	wantCaughtUp(t, sub)
	s.append(t, s.name, kurrentdb.Revision(1), events("a", 3)...)
	wantNext(t, sub, place{s.name, 2}, place{s.name, 3}, place{s.name, 4})
}

// subscribeFromRevision begins after the revision it is given.
func subscribeFromRevision(t *testing.T, s *session) {
	s.append(t, s.name, kurrentdb.NoStream{}, events("a", 3)...)
	sub := s.subscribe(t, kurrentdb.SubscribeToStreamOptions{From: kurrentdb.Revision(1)})
	wantNext(t, sub, place{s.name, 2})
	wantCaughtUp(t, sub)
}

func subscribeFromEnd(t *testing.T, s *session) {
	s.append(t, s.name, kurrentdb.NoStream{}, events("a", 2)...)
	sub := s.subscribe(t, kurrentdb.SubscribeToStreamOptions{From: kurrentdb.End{}})
	wantCaughtUp(t, sub)
	s.append(t, s.name, kurrentdb.Revision(1), events("a", 1)...)
	wantNext(t, sub, place{s.name, 2})
}

func subscribeMissing(t *testing.T, s *session) {
	sub := s.subscribe(t, kurrentdb.SubscribeToStreamOptions{From: kurrentdb.Start{}})
	wantCaughtUp(t, sub)
	s.append(t, s.name, kurrentdb.NoStream{}, events("a", 1)...)
	wantNext(t, sub, place{s.name, 0})
}

func subscribeLinks(t *testing.T, s *session) {
	source := s.name + "-source"
	s.append(t, source, kurrentdb.NoStream{}, events("a", 2)...)
	s.append(t, s.name, kurrentdb.NoStream{}, link("1@"+source))
	sub := s.subscribe(t, kurrentdb.SubscribeToStreamOptions{From: kurrentdb.Start{}, ResolveLinkTos: true})
	wantNext(t, sub, place{source, 1})
	wantCaughtUp(t, sub)
	s.append(t, s.name, kurrentdb.Revision(0), link("0@"+source))
	wantNext(t, sub, place{source, 0})
}

func subscribeDeleted(t *testing.T, s *session) {
	s.append(t, s.name, kurrentdb.NoStream{}, events("a", 1)...)
	sub := s.subscribe(t, kurrentdb.SubscribeToStreamOptions{From: kurrentdb.End{}})
	wantCaughtUp(t, sub)
	if _, err := s.TombstoneStream(s.ctx, s.name, kurrentdb.TombstoneStreamOptions{}); err != nil {
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
	before := s.append(t, s.name+"-1", kurrentdb.NoStream{}, events("a", 1)...)
	s.append(t, s.name+"-2", kurrentdb.NoStream{}, events("a", 1)...)
	sub := s.subscribeToAll(t, kurrentdb.SubscribeToAllOptions{From: position(before)})
	wantNext(t, sub, place{s.name + "-2", 0})
	wantCaughtUp(t, sub)
	s.append(t, s.name+"-1", kurrentdb.Revision(0), events("a", 2)...)
	wantNext(t, sub, place{s.name + "-1", 1}, place{s.name + "-1", 2})

	fromEnd := s.subscribeToAll(t, kurrentdb.SubscribeToAllOptions{From: kurrentdb.End{}})
	wantCaughtUp(t, fromEnd)
	s.append(t, s.name+"-2", kurrentdb.Revision(0), events("a", 1)...)
	wantNext(t, fromEnd, place{s.name + "-2", 1})
	wantNext(t, sub, place{s.name + "-2", 1})
}

func subscribeAllTypePrefix(t *testing.T, s *session) {
	s.subscribeFiltered(t, kurrentdb.SubscriptionFilter{Type: kurrentdb.EventFilterType, Prefixes: []string{"nothing", s.name + "-wanted"}})
}

func subscribeAllTypeRegex(t *testing.T, s *session) {
	s.subscribeFiltered(t, kurrentdb.SubscriptionFilter{Type: kurrentdb.EventFilterType, Regex: "^" + s.name + "-(wanted|loved)$"})
}

func subscribeAllStreamPrefix(t *testing.T, s *session) {
	s.subscribeFiltered(t, kurrentdb.SubscriptionFilter{Type: kurrentdb.StreamFilterType, Prefixes: []string{s.name + "-wanted"}})
}

func subscribeAllStreamRegex(t *testing.T, s *session) {
	s.subscribeFiltered(t, kurrentdb.SubscriptionFilter{Type: kurrentdb.StreamFilterType, Regex: s.name + "-w.nted$"})
}

// subscribeFiltered has wanted events among many others, before and after the
// subscription has caught up, and begins anew at the last checkpoint.
func (s *session) subscribeFiltered(t *testing.T, filter kurrentdb.SubscriptionFilter) {
	t.Helper()
	wanted, other := s.name+"-wanted", s.name+"-other"
	before := s.append(t, other, kurrentdb.NoStream{}, events(other, 1)...)
	s.append(t, wanted, kurrentdb.NoStream{}, events(wanted, 2)...)
	s.append(t, other, kurrentdb.Revision(0), events(other, 200)...)
	s.append(t, wanted, kurrentdb.Revision(1), events(wanted, 1)...)
	options := kurrentdb.SubscribeToAllOptions{From: position(before), Filter: &filter, MaxSearchWindow: 32, CheckpointInterval: 1}
	sub := s.subscribeToAll(t, options)
	wantNext(t, sub, place{wanted, 0}, place{wanted, 1})
	reached := wantCheckpoint(t, sub)
	wantNext(t, sub, place{wanted, 2})
	wantCaughtUp(t, sub)

	s.append(t, other, kurrentdb.Revision(200), events(other, 100)...)
	live := s.append(t, wanted, kurrentdb.Revision(2), events(wanted, 1)...)
	wantNext(t, sub, place{wanted, 3})
	s.append(t, other, kurrentdb.Revision(300), events(other, 100)...)
	later := wantCheckpoint(t, sub)
	for later.Commit < live.CommitPosition { // those of before the event, sent after it at the latest
		later = wantCheckpoint(t, sub)
	}
	if later.Commit <= reached.Commit {
		t.Errorf("checkpoint %v follows %v", later, reached)
	}

	options.From = later
	resumed := s.subscribeToAll(t, options)
	wantCaughtUp(t, resumed)
	s.append(t, wanted, kurrentdb.Revision(3), events(wanted, 1)...)
	wantNext(t, resumed, place{wanted, 4})
}

func (s *session) subscribe(t *testing.T, options kurrentdb.SubscribeToStreamOptions) *kurrentdb.Subscription {
	t.Helper()
	sub, err := s.SubscribeToStream(s.ctx, s.name, options)
	if err != nil {
		t.Fatalf("subscribe to %s: %v", s.name, err)
	}
	t.Cleanup(func() { _ = sub.Close() })
	return sub
}

func (s *session) subscribeToAll(t *testing.T, options kurrentdb.SubscribeToAllOptions) *kurrentdb.Subscription {
	t.Helper()
	sub, err := s.SubscribeToAll(s.ctx, options)
	if err != nil {
		t.Fatalf("subscribe to $all: %v", err)
	}
	t.Cleanup(func() { _ = sub.Close() })
	return sub
}

// next is the next thing that the subscription yields and that is asked for.
func next(t *testing.T, sub *kurrentdb.Subscription, waitingFor string, is func(*kurrentdb.SubscriptionEvent) bool) *kurrentdb.SubscriptionEvent {
	t.Helper()
	for {
		got := sub.Recv()
		switch {
		case got.SubscriptionDropped != nil:
			t.Fatalf("waiting for %s: subscription dropped: %v", waitingFor, got.SubscriptionDropped.Error)
		case is(got):
			return got
		case got.EventAppeared != nil:
			at := got.EventAppeared.OriginalEvent()
			t.Fatalf("waiting for %s: got event %d of %s", waitingFor, at.EventNumber, at.StreamID)
		}
	}
}

// wantNext wants these events next, with nothing but marks between them.
func wantNext(t *testing.T, sub *kurrentdb.Subscription, want ...place) {
	t.Helper()
	got := make([]*kurrentdb.ResolvedEvent, len(want))
	for i := range want {
		got[i] = next(t, sub, "an event", func(e *kurrentdb.SubscriptionEvent) bool { return e.EventAppeared != nil }).EventAppeared
	}
	wantPlaces(t, got, want...)
}

func wantCaughtUp(t *testing.T, sub *kurrentdb.Subscription) {
	t.Helper()
	next(t, sub, "being caught up", func(e *kurrentdb.SubscriptionEvent) bool { return e.CaughtUp != nil })
}

func wantCheckpoint(t *testing.T, sub *kurrentdb.Subscription) kurrentdb.Position {
	t.Helper()
	return *next(t, sub, "a checkpoint", func(e *kurrentdb.SubscriptionEvent) bool { return e.CheckPointReached != nil }).CheckPointReached
}
