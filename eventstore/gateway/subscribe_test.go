package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
)

// subscription collects what a subscriber has received so far.
type subscription struct {
	t      *testing.T
	call   streams.Streams_ReadClient
	cancel context.CancelFunc
}

func (s *served) subscribe(t *testing.T, options *streams.ReadReq_Options) *subscription {
	t.Helper()
	ctx, cancel := context.WithCancel(s.ctx)
	t.Cleanup(cancel)
	call, err := s.raw.Read(ctx, &streams.ReadReq{Options: following(options)})
	if err != nil {
		t.Fatal(err)
	}
	return &subscription{t: t, call: call, cancel: cancel}
}

func (s *subscription) next() *streams.ReadResp {
	s.t.Helper()
	message, err := s.call.Recv()
	if err != nil {
		s.t.Fatal(err)
	}
	return message
}

// wants fails the test unless these messages come next.
func (s *subscription) wants(want ...string) {
	s.t.Helper()
	for i, text := range want {
		if got := short(s.next()); got != text {
			s.t.Fatalf("message %d of %q is %q", i, want, got)
		}
	}
}

func TestSubscriptionsToAStream(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		s.write("a", several(3, "t.v1")...)
		cases := map[string]struct {
			options *streams.ReadReq_Options
			first   []string
		}{
			"from the start":                 {ofStream("a"), []string{"confirmation", "a/0", "a/1", "a/2", "caught up"}},
			"after the first revision":       {fromRevision("a", 0), []string{"confirmation", "a/1", "a/2", "caught up"}},
			"after the last revision":        {fromRevision("a", 2), []string{"confirmation", "caught up"}},
			"from the end":                   {fromEnd(ofStream("a")), []string{"confirmation", "caught up"}},
			"from the number that means end": {fromRevision("a", 1<<64-1), []string{"confirmation", "caught up"}},
		}
		open := map[string]*subscription{}
		for name, c := range cases {
			open[name] = s.subscribe(t, c.options)
			open[name].wants(c.first...)
		}
		late := s.subscribe(t, ofStream("later"))
		late.wants("confirmation", "caught up")
		future := s.subscribe(t, fromRevision("a", 3))
		future.wants("confirmation", "caught up")

		s.write("ab", several(9, "t.v1")...) // another, whose name begins alike
		s.write("a", event())
		s.write("a", event())
		s.write("later", event())
		for name, sub := range open {
			t.Run(name, func(t *testing.T) {
				sub.t = t
				sub.wants("a/3", "a/4")
			})
		}
		late.wants("later/0")
		future.wants("a/4")
		s.write("a", event()) // by now all subscriptions have reached the head once more, and send no message about it
		s.write("later", event())
		for name, sub := range open {
			t.Run(name+", then", func(t *testing.T) {
				sub.t = t
				sub.wants("a/5")
			})
		}
		late.wants("later/1")
		future.wants("a/5")
	})
}

func TestSubscriptionsToAll(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		s.subscribe(t, ofAll()).wants("confirmation", "caught up")
		at := s.write("a", event()).Position
		s.write("b", event())
		s.subscribe(t, ofAll()).wants("confirmation", "a/0", "b/0", "caught up")
		s.subscribe(t, fromPosition(at)).wants("confirmation", "b/0", "caught up")
		s.subscribe(t, fromPosition(eventstore.Start)).wants("confirmation", "a/0", "b/0", "caught up")
		live := s.subscribe(t, fromEnd(ofAll()))
		live.wants("confirmation", "caught up")
		s.write("c", event())
		live.wants("c/0")
		s.write("d", event())
		live.wants("d/0")
		s.write("d", event())
		live.wants("d/1")
	})
}

// Checkpoints come after a number of examined events, selected or not, and when the head is reached
// for the first time. They are never beyond the examined events. A subscriber at the head does not
// get one with each event.
func TestCheckpoints(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		for i := range 25 {
			stream := "other"
			if i%10 == 4 {
				stream = "chosen"
			}
			s.write(stream, typed(stream+".v1"))
		}
		want := []string{
			"confirmation", "chosen/0", "checkpoint 10", "chosen/1", "checkpoint 20", "chosen/2",
			"checkpoint 25", "caught up",
		}
		filters := map[string]*streams.ReadReq_Options_FilterOptions{
			"stream by prefix":     onStream(10, prefixes("chosen")),
			"stream by expression": onStream(10, regex("^cho")),
			"type by prefix":       onType(10, prefixes("chosen")),
			"type by expression":   onType(10, regex("sen[.]v1$")),
			"window by multiplier": func() *streams.ReadReq_Options_FilterOptions {
				f := onStream(5, prefixes("chosen"))
				f.CheckpointIntervalMultiplier = 2
				return f
			}(),
		}
		var open []*subscription
		for name, f := range filters {
			t.Run(name, func(t *testing.T) {
				sub := s.subscribe(t, filtered(ofAll(), f))
				sub.wants(want...)
			})
			open = append(open, s.subscribe(t, filtered(fromPosition(eventstore.At(25)), f)))
		}
		for _, sub := range open {
			sub.wants("confirmation", "caught up")
		}
		s.write("other", event()) // the filter does not select it, so nothing is sent
		s.write("chosen", typed("chosen.v1"))
		for _, sub := range open {
			sub.wants("chosen/3")
		}
		for range 12 {
			s.write("other", event())
		}
		s.write("chosen", typed("chosen.v1"))
		for _, sub := range open {
			sub.wants("checkpoint 35", "chosen/4")
		}
		s.write("other", several(5, "t.v1")...)
		s.write("chosen", typed("chosen.v1"))
		for _, sub := range open {
			sub.wants("checkpoint 45", "chosen/5")
		}
	})
}

func TestCheckpointsByDefaultAndOverManyEvents(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		const events = 5000
		for range events / 1000 {
			s.write("other", several(1000, "t.v1")...)
		}
		intervals := map[string]struct {
			filter  *streams.ReadReq_Options_FilterOptions
			largest uint64
		}{
			"none said": {&streams.ReadReq_Options_FilterOptions{
				Filter: onStream(0, prefixes("chosen")).Filter,
				Window: &streams.ReadReq_Options_FilterOptions_Count{Count: empty},
			}, 32},
			"selected by the store": {onStream(2000, prefixes("chosen")), 2999},
		}
		for name, c := range intervals {
			t.Run(name, func(t *testing.T) {
				sub := s.subscribe(t, filtered(ofAll(), c.filter))
				sub.wants("confirmation")
				for last := uint64(0); last < events; {
					at := sub.next().GetCheckpoint().GetCommitPosition()
					if at <= last || at-last > c.largest {
						t.Fatalf("a checkpoint at %d after one at %d", at, last)
					}
					last = at
				}
				sub.wants("caught up")
			})
		}
	})
}

// Newer clients are told when and where the head was reached.
func TestCaughtUpTellsWhere(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		check := func(options *streams.ReadReq_Options, revision, position bool) {
			t.Helper()
			sub := s.subscribe(t, options)
			message := sub.next()
			for short(message) != "caught up" {
				message = sub.next()
			}
			seen := make(map[protowire.Number][]byte)
			for rest := message.GetCaughtUp().ProtoReflect().GetUnknown(); len(rest) > 0; {
				number, kind, n := protowire.ConsumeTag(rest)
				size := protowire.ConsumeFieldValue(number, kind, rest[n:])
				if n < 0 || size < 0 {
					t.Fatalf("malformed: %q", rest)
				}
				seen[number], rest = rest[n:n+size], rest[n+size:]
			}
			if len(seen[1]) < 3 {
				t.Errorf("no time: %v", seen)
			}
			if _, got := seen[2]; got != revision {
				t.Errorf("revision: %t, want %t", got, revision)
			}
			if _, got := seen[3]; got != position {
				t.Errorf("position: %t, want %t", got, position)
			}
			if revision && !slices.Equal(seen[2], []byte{1}) {
				t.Errorf("revision %v, want 1", seen[2])
			}
			if position && !slices.Equal(seen[3], []byte{4, 1 << 3, 2, 2 << 3, 2}) {
				t.Errorf("position %v, want 2 twice", seen[3])
			}
		}
		check(ofAll(), false, false)
		check(ofStream("a"), false, false)
		s.write("a", several(2, "t.v1")...)
		check(ofAll(), false, true)
		check(fromEnd(ofAll()), false, true)
		check(ofStream("a"), true, false)
		check(fromEnd(ofStream("a")), true, false)
		check(fromRevision("a", 1), true, false)
	})
}

func TestAStreamDeletedWhileItIsFollowed(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		s.write("a", event())
		sub := s.subscribe(t, ofStream("a"))
		sub.wants("confirmation", "a/0", "caught up")
		s.mustDelete("a") // subscribers get no message about it
		s.mustAppend("a", noStream, event())
		sub.wants("a/1")
		s.mustTombstone("a")
		tombstone(t, sub.next())
		_, err := sub.call.Recv()
		checkRefused(t, err, sub.call.Trailer(), refusal{codes.FailedPrecondition, map[string]string{"exception": "stream-deleted", "stream-name": "a"}})

		all := s.subscribe(t, filtered(ofAll(), onStream(32, regex("^a$"))))
		all.wants("confirmation", "a/0", "a/1")
		tombstone(t, all.next())
	})
}

// tombstone fails the test unless the message is a tombstone.
func tombstone(t *testing.T, message *streams.ReadResp) {
	t.Helper()
	if got := message.GetEvent().GetEvent(); got.GetStreamRevision() != 1<<63-1 || got.GetMetadata()["type"] != "$streamDeleted" ||
		got.GetMetadata()["content-type"] != "application/octet-stream" || len(got.GetData()) != 0 {
		t.Errorf("the tombstone is %v", message)
	}
}

// Every subscriber of a stream is told that the stream has ended, wherever the subscription began
// and on each node: first by the tombstone, then by the error.
func TestTheEndOfAStreamIsHeardByAll(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		nodes := []*served{serve(t, store, gateway.Options{}), serve(t, store, gateway.Options{})}
		var open []*subscription
		nodes[0].write("a", several(2, "t.v1")...)
		for _, s := range nodes {
			for _, options := range []*streams.ReadReq_Options{
				fromRevision("a", 1), fromEnd(ofStream("a")), fromRevision("a", 9), fromRevision("a", 1<<63-1), resolving(fromRevision("a", 1)),
			} {
				sub := s.subscribe(t, options)
				sub.wants("confirmation", "caught up")
				open = append(open, sub)
			}
		}
		nodes[0].mustTombstone("a")
		for _, sub := range open {
			tombstone(t, sub.next())
			_, err := sub.call.Recv()
			checkRefused(t, err, sub.call.Trailer(), refusal{codes.FailedPrecondition, map[string]string{"exception": "stream-deleted", "stream-name": "a"}})
		}
	})
}

// KurrentDB gives the position (commit, 0) for the place before a commit. A read or a subscription
// from there begins with the event at that commit.
func TestAPlaceBeforeACommit(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		s.write("a", event())
		commit, _ := s.write("b", event()).Position.Pair()
		s.write("c", event())
		for _, prepare := range []uint64{0, commit - 1} {
			at := eventstore.AtPair(commit, prepare)
			s.read(fromPosition(at)).wants(t, "b/0", "c/0")
			s.read(atMost(1, fromPosition(at))).wants(t, "b/0")
			s.read(backwards(fromPosition(at))).wants(t, "a/0")
			s.subscribe(t, fromPosition(at)).wants("confirmation", "b/0", "c/0", "caught up")
			s.subscribe(t, filtered(fromPosition(at), onStream(32, prefixes("b", "c")))).wants("confirmation", "b/0", "c/0", "checkpoint 3", "caught up")
			s.subscribe(t, filtered(fromPosition(at), onStream(32, regex("b|c")))).wants("confirmation", "b/0", "c/0", "checkpoint 3", "caught up")
			for e, err := range store.ReadAll(s.ctx, at, eventstore.Filter{}, 1) {
				if err != nil || e.Stream != "b" {
					t.Errorf("after %s the log begins with %s, %v", at, e.Stream, err)
				}
			}
		}
	})
}

// repeating is a log whose subscriptions yield the caught-up mark twice.
type repeating struct{ eventstore.Store }

func (r repeating) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) {
		for item, err := range r.Store.Subscribe(ctx, after, filter) {
			if !yield(item, err) || item.CaughtUp && !yield(item, err) {
				return
			}
		}
	}
}

func TestASubscriptionGetsCaughtUpOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, repeating{memory.New()}, gateway.Options{})
	open := []*subscription{
		s.subscribe(t, ofAll()), s.subscribe(t, ofStream("a")), s.subscribe(t, filtered(ofAll(), onStream(32, regex("^a$")))),
	}
	for _, sub := range open {
		sub.wants("confirmation", "caught up")
	}
	s.write("a", event())
	for n := range 5 {
		for _, sub := range open {
			sub.wants(fmt.Sprintf("a/%d", n))
		}
		s.write("a", event())
	}
}

func TestFollowingResolvesLinks(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		s.write("a", event())
		link := proposal(typed("$>"))
		link.Metadata["content-type"], link.Data = "application/octet-stream", []byte("0@a")
		sub := s.subscribe(t, resolving(ofStream("links")))
		sub.wants("confirmation", "caught up")
		if _, _, err := s.propose("links", anyRevision, link); err != nil {
			t.Fatal(err)
		}
		sub.wants("a/0 by links/0")
	})
}

// While many write, each subscriber sees each event once and in order, from
// wherever it begins.
func TestSubscribersSeeEachEventOnce(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		client := s.client()
		const events = 400
		s.write("s-0", several(100, "t.v1")...)
		written := make(chan error, 1)
		go func() {
			var err error
			for i := range events - 100 {
				_, failed := store.Append(s.ctx, fmt.Sprintf("s-%d", i%3), eventstore.Any, []eventstore.Event{event()})
				err = errors.Join(err, failed)
			}
			written <- err
		}()
		all, err := client.SubscribeToAll(s.ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}})
		if err != nil {
			t.Fatal(err)
		}
		defer all.Close()
		one, err := client.SubscribeToStream(s.ctx, "s-0", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
		if err != nil {
			t.Fatal(err)
		}
		defer one.Close()
		seen := receive(t, all, events)
		ofStream := receive(t, one, 200)
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		var want []string
		for e, err := range store.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprintf("%s/%d", e.Stream, e.Revision))
		}
		if !slices.Equal(seen, want) {
			t.Errorf("$all gave %q, the log holds %q", seen, want)
		}
		want = slices.DeleteFunc(want, func(text string) bool { return !strings.HasPrefix(text, "s-0/") })
		if !slices.Equal(ofStream, want) {
			t.Errorf("the stream gave %q, the log holds %q", ofStream, want)
		}
	})
}

// receive receives n events of a subscription.
func receive(t *testing.T, sub *esdb.Subscription, n int) []string {
	t.Helper()
	var seen []string
	for len(seen) < n {
		got := sub.Recv()
		if got.SubscriptionDropped != nil {
			t.Fatalf("dropped after %d events: %v", len(seen), got.SubscriptionDropped.Error)
		}
		if e := got.EventAppeared; e != nil {
			seen = append(seen, fmt.Sprintf("%s/%d", e.Event.StreamID, e.Event.EventNumber))
		}
	}
	return seen
}
