package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
)

func TestMetadataHidesEvents(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		cases := map[string]struct {
			document string
			want     []string
		}{
			"says-nothing":      {`{}`, []string{"0", "1", "2", "3", "4"}},
			"max-count":         {`{"$maxCount":2}`, []string{"3", "4"}},
			"max-count-many":    {`{"$maxCount":9}`, []string{"0", "1", "2", "3", "4"}},
			"truncated":         {`{"$tb":3}`, []string{"3", "4"}},
			"both":              {`{"$tb":1,"$maxCount":3}`, []string{"2", "3", "4"}},
			"truncated-all":     {`{"$tb":7}`, nil},
			"old-enough":        {`{"$maxAge":3600}`, []string{"0", "1", "2", "3", "4"}},
			"very-old":          {`{"$maxAge":9223372036854775807}`, []string{"0", "1", "2", "3", "4"}},
			"of-another-kind":   {`{"$maxCount":"2","$tb":[],"$maxAge":true}`, []string{"0", "1", "2", "3", "4"}},
			"negative":          {`{"$maxCount":-2,"$tb":-1,"$maxAge":-3}`, []string{"0", "1", "2", "3", "4"}},
			"deleted-by-member": {`{"$tb":9223372036854775807}`, []string{"not found"}},
		}
		for stream, c := range cases {
			t.Run(stream, func(t *testing.T) {
				s.write(stream, several(5, "t.v1")...)
				// It is written directly into the log, because the gateway accepts only what it can
				// read.
				s.write("$$"+stream, document(c.document))
				var forwards, back []string
				for i, text := range c.want {
					if text == "not found" {
						forwards, back = []string{"not found " + stream}, []string{"not found " + stream}
						break
					}
					forwards = append(forwards, stream+"/"+text)
					back = append(back, stream+"/"+c.want[len(c.want)-1-i])
				}
				s.read(ofStream(stream)).wants(t, forwards...)
				s.read(backwards(fromEnd(ofStream(stream)))).wants(t, back...)
				if len(c.want) > 1 {
					s.read(atMost(1, ofStream(stream))).wants(t, forwards[0])
					all := s.read(filtered(ofAll(), onStream(32, regex("^"+stream+"$"))))
					if len(all.messages) != 5 {
						t.Errorf("$all shows %d events, want all 5", len(all.messages))
					}
					sub := s.subscribe(t, ofStream(stream))
					sub.wants(append([]string{"confirmation"}, forwards...)...)
					sub.wants("caught up")
				}
			})
		}
	})
}

func TestMaxAgeHidesWhatIsOld(t *testing.T) {
	t.Parallel()
	at := time.Now().Add(-10 * time.Hour)
	s := serve(t, memory.New(memory.WithClock(func() time.Time { return at })), gateway.Options{})
	for range 9 {
		s.write("a", event())
		at = at.Add(time.Hour)
	}
	s.write("old", event())                 // an hour ago
	s.setMetadata("a", `{"$maxAge":12600}`) // three hours and a half
	s.setMetadata("old", `{"$maxAge":60}`)
	s.read(ofStream("a")).wants(t, "a/7", "a/8")
	s.read(atMost(1, ofStream("a"))).wants(t, "a/7")
	s.read(backwards(fromEnd(ofStream("a")))).wants(t, "a/8", "a/7")
	s.read(ofStream("old")).wants(t) // all its events are hidden, but the stream is found
}

// A stream of metadata is a stream, and shows its newest event.
func TestMetastreamsShowTheirNewestEvent(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		client := s.client()
		s.write("a", several(5, "t.v1")...)
		var metadata esdb.StreamMetadata
		for n := range uint64(3) {
			metadata.SetMaxCount(n + 1)
			if _, err := client.SetStreamMetadata(s.ctx, "a", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, metadata); err != nil {
				t.Fatal(err)
			}
		}
		s.read(ofStream("$$a")).wants(t, "$$a/2")
		s.read(backwards(fromEnd(ofStream("$$a")))).wants(t, "$$a/2")
		got, err := client.GetStreamMetadata(s.ctx, "a", esdb.ReadStreamOptions{})
		if err != nil || got.MaxCount() == nil || *got.MaxCount() != 3 {
			t.Errorf("metadata %v, %v", got, err)
		}
		s.read(ofStream("a")).wants(t, "a/2", "a/3", "a/4")
		sub := s.subscribe(t, ofStream("$$a"))
		sub.wants("confirmation", "$$a/2", "caught up")
		s.setMetadata("a", `{}`)
		sub.wants("$$a/3")
	})
}

// counting counts reads of metadata, and can break subscriptions.
type counting struct {
	eventstore.Store
	reads    atomic.Int64
	watching atomic.Int64
	broken   chan struct{} // while this channel is open, subscriptions fail
}

func (c *counting) ReadStreamBackwards(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	if stream == "$$a" {
		c.reads.Add(1)
	}
	return c.Store.ReadStreamBackwards(ctx, stream, from, limit)
}

func (c *counting) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) {
		if c.broken != nil {
			select {
			case <-c.broken:
			default:
				yield(eventstore.Item{}, errors.New("cannot be watched"))
				return
			}
		}
		for item, err := range c.Store.Subscribe(ctx, after, filter) {
			if !yield(item, err) {
				return
			}
			if item.CaughtUp {
				c.watching.Add(1)
			}
		}
	}
}

// Metadata is read once, and again after a change by this or another node.
func TestMetadataIsCached(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		log := &counting{Store: store}
		s := serve(t, log, gateway.Options{})
		s.write("a", several(5, "t.v1")...)
		until(t, func() bool { return log.watching.Load() > 0 })
		for range 10 {
			s.read(ofStream("a")).wants(t, "a/0", "a/1", "a/2", "a/3", "a/4")
		}
		if n := log.reads.Load(); n > 1 {
			t.Errorf("%d reads of the metadata, want one", n)
		}
		s.setMetadata("a", `{"$maxCount":1}`) // a change by this node is known at once
		s.read(ofStream("a")).wants(t, "a/4")
		// A change by another node is known soon.
		s.write("$$a", eventstore.Event{ID: uuid.New(), Type: "$metadata", Data: []byte(`{"$maxCount":2}`)})
		until(t, func() bool { return len(s.read(ofStream("a")).messages) == 2 })
	})
}

// deaf is a log whose subscriptions yield a caught-up mark and then nothing.
type deaf struct {
	eventstore.Store
	watching atomic.Int64
}

func (d *deaf) Subscribe(ctx context.Context, after eventstore.Position, _ eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) {
		if yield(eventstore.Item{Checkpoint: after, CaughtUp: true}, nil) {
			d.watching.Add(1)
			<-ctx.Done()
			yield(eventstore.Item{}, ctx.Err())
		}
	}
}

// A node knows at once what it writes itself, and does not wait until its subscription yields it.
func TestANodeKnowsWhatItWrote(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		log := &deaf{Store: store}
		s := serve(t, log, gateway.Options{})
		until(t, func() bool { return log.watching.Load() > 0 })
		s.write("a", several(3, "t.v1")...)
		s.read(ofStream("a")).wants(t, "a/0", "a/1", "a/2")
		s.setMetadata("a", `{"$maxCount":1}`)
		s.read(ofStream("a")).wants(t, "a/2")
		s.mustDelete("a")
		s.read(ofStream("a")).wants(t, "not found a")
		s.mustAppend("a", noStream, event())
		s.read(ofStream("a")).wants(t, "a/3")
		b := s.batch(t)
		metadata := typed("$metadata")
		metadata.Data = []byte(`{}`)
		b.send(b.frame("$$a", anyRevision, true, metadata))
		b.next()
		s.read(ofStream("a")).wants(t, "a/0", "a/1", "a/2", "a/3")
		s.mustDelete("a")
		s.read(ofStream("a")).wants(t, "not found a")
	})
}

func TestMetadataThatCannotBeWatchedIsNotCached(t *testing.T) {
	t.Parallel()
	log := &counting{Store: memory.New(), broken: make(chan struct{})}
	s := serve(t, log, gateway.Options{})
	s.write("a", several(5, "t.v1")...)
	for n := range 4 {
		s.write("$$a", eventstore.Event{ID: uuid.New(), Type: "$metadata", Data: fmt.Appendf(nil, `{"$maxCount":%d}`, n+1)})
		if got := len(s.read(ofStream("a")).messages); got != n+1 {
			t.Errorf("%d events, want %d", got, n+1)
		}
	}
	close(log.broken)
	until(t, func() bool { return log.watching.Load() > 0 })
	s.read(ofStream("a"))
	before := log.reads.Load()
	s.read(ofStream("a"))
	if log.reads.Load() != before {
		t.Error("metadata that is watched again is not cached")
	}
}

// until waits for a condition.
func until(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal("it never came to be")
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// A large document has its effect. A malformed document has no effect.
func TestOddMetadata(t *testing.T) {
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{})
	s.write("a", several(3, "t.v1")...)
	s.setMetadata("a", fmt.Sprintf(`{"own":"%01000000d","$maxCount":1}`, 0))
	s.read(ofStream("a")).wants(t, "a/2")
	data, meta, err := eventstore.Wrap(eventstore.Content{Type: "application/json", Data: []byte("not json")})
	if err != nil {
		t.Fatal(err)
	}
	s.write("$$a", eventstore.Event{ID: uuid.New(), Type: "$metadata", Data: data, Meta: meta}) // past the gateway
	until(t, func() bool { return len(s.read(ofStream("a")).messages) == 3 })
	s.mustDelete("a")
	s.read(ofStream("a")).wants(t, "not found a")
	// By writing directly into the log, a stream of metadata can be ended. Then its stream has no
	// metadata any more.
	s.write("$$a", typed(eventstore.TombstoneType))
	until(t, func() bool { return len(s.read(ofStream("a")).messages) == 3 })
	_, trailers, err := s.delete("a", anyRevision)
	checkRefused(t, err, trailers, refusal{codes.FailedPrecondition, map[string]string{"exception": "stream-deleted", "stream-name": "$$a"}})
}
