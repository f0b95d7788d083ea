package kurrentdb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"daybook/eventstore"
	"daybook/eventstore/kurrentdb"
	"daybook/eventstore/memory"
)

// The server's own events are not part of the log, unless a filter asks for them.
func TestSystemEventsAreLeftOut(t *testing.T) {
	t.Parallel()
	log := memory.New()
	store := open(t, address(serve(t, log, "127.0.0.1:0")))
	add := func(stream, eventType string) {
		t.Helper()
		events := []eventstore.Event{{ID: uuid.New(), Type: eventType, Data: []byte(`{}`)}}
		if _, err := log.Append(t.Context(), stream, eventstore.Any, events); err != nil {
			t.Fatal(err)
		}
	}
	add("$settings", "update")
	add("a", "test.v1") // 2
	add("$$a", "$metadata")
	add("a", eventstore.TombstoneType) // 4
	for range 100 {
		add("$stats-0.0.0.0:2113", "$statsCollected")
	}
	ctx := within(t, patience)
	if head, err := store.Head(ctx); err != nil || head != eventstore.At(4) {
		t.Errorf("the head is %s (error %v), want 4", head, err)
	}
	for name, c := range map[string]struct {
		filter eventstore.Filter
		want   int
	}{
		"no filter":        {eventstore.Filter{}, 2},
		"a type":           {eventstore.Filter{TypePrefixes: []string{"test."}}, 1},
		"every type":       {eventstore.Filter{TypePrefixes: []string{""}}, 2},
		"a stream":         {eventstore.Filter{StreamPrefixes: []string{"a"}}, 2},
		"the end":          {eventstore.Filter{TypePrefixes: []string{"$streamDeleted"}}, 1},
		"system types":     {eventstore.Filter{TypePrefixes: []string{"$m", "$streamD"}}, 2},
		"a system stream":  {eventstore.Filter{StreamPrefixes: []string{"$settings"}}, 1},
		"a name not there": {eventstore.Filter{StreamPrefixes: []string{"\xff"}}, 0},
	} {
		read, backwards, subscribed := 0, 0, 0
		for _, err := range store.ReadAll(ctx, eventstore.Start, c.filter, 0) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			read++
		}
		for _, err := range store.ReadAllBackwards(ctx, eventstore.End, c.filter, 0) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			backwards++
		}
		for item, err := range store.Subscribe(ctx, eventstore.Start, c.filter) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if item.CaughtUp {
				break
			}
			if item.Event != nil {
				subscribed++
			}
		}
		if read != c.want || backwards != c.want || subscribed != c.want {
			t.Errorf("%s: %d read, %d backwards, %d subscribed; want %d", name, read, backwards, subscribed, c.want)
		}
	}
}

// Content in an envelope is sent to the server without the envelope, and is read back in the same
// envelope.
func TestForeignContentKeepsItsForm(t *testing.T) {
	t.Parallel()
	store := open(t, address(serve(t, memory.New(), "127.0.0.1:0")))
	for name, content := range map[string]eventstore.Content{
		"bytes":                {Type: "application/octet-stream", Data: []byte{0, 1, 255}, Meta: []byte("m")},
		"no bytes":             {Type: "application/octet-stream"},
		"JSON that is a list":  {Type: eventstore.JSONContent, Data: []byte(`[1]`)},
		"JSON that is nothing": {Type: eventstore.JSONContent, Data: []byte(`x`)},
		"an object":            {Type: eventstore.JSONContent, Data: []byte(`{ "a":1}`), Meta: []byte(`{}`)},
		"looks like one":       {Type: eventstore.JSONContent, Data: []byte(`{"$foreign":1}`)},
	} {
		data, meta, err := eventstore.Wrap(content)
		if err != nil {
			t.Fatal(err)
		}
		event := eventstore.Event{ID: uuid.New(), Type: "test.v1", Data: data, Meta: meta}
		first, err := store.Append(t.Context(), name, eventstore.NoStream, []eventstore.Event{event})
		if err != nil || first.Replayed {
			t.Errorf("%s: %+v, error %v; want a new append", name, first, err)
		}
		for e, err := range store.ReadStream(t.Context(), name, 0, 0) {
			if err != nil || !bytes.Equal(e.Data, data) || !bytes.Equal(e.Meta, meta) {
				t.Errorf("%s: %q and %q (error %v), want %q and %q", name, e.Data, e.Meta, err, data, meta)
			}
		}
	}
	data, _, err := eventstore.Wrap(eventstore.Content{Type: "text/plain", Data: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Append(t.Context(), "text", eventstore.NoStream, []eventstore.Event{{ID: uuid.New(), Type: "test.v1", Data: data}})
	if _, invalid := errors.AsType[*eventstore.InvalidError](err); !invalid {
		t.Errorf("a type the client cannot send: error %v, want an InvalidError", err)
	}
}

// A subscriber that is far behind is served from the log again. It misses no event and sees none
// twice, and nobody waits for it.
func TestASubscriberThatFallsOutOfTheRing(t *testing.T) {
	t.Parallel()
	log := memory.New()
	store := open(t, address(serve(t, log, "127.0.0.1:0")))
	const batch, batches = 4000, 5
	blocked, resume := make(chan struct{}), make(chan struct{})
	type outcome struct {
		events int
		err    error
	}
	follow := func(hold bool) outcome {
		n := 0
		for item, err := range store.Subscribe(within(t, patience), eventstore.Start, eventstore.Filter{}) {
			if err != nil {
				return outcome{n, err}
			}
			if item.CaughtUp && n == 0 && hold {
				close(blocked)
				<-resume
			}
			if item.Event == nil {
				continue
			}
			if n++; item.Event.Position != eventstore.At(uint64(n)) {
				return outcome{n, fmt.Errorf("event %d is at %s", n, item.Event.Position)}
			}
			if n == batch*batches {
				return outcome{n, nil}
			}
		}
		return outcome{n, errors.New("the subscription ended")}
	}
	slow, quick := make(chan outcome, 1), make(chan outcome, 1)
	go func() { slow <- follow(true) }()
	<-blocked
	go func() { quick <- follow(false) }()
	for range batches {
		if _, err := log.Append(t.Context(), "a", eventstore.Any, newEvents(batch)); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-quick; got.err != nil {
		t.Errorf("the quick one, after %d events: %v", got.events, got.err)
	}
	close(resume)
	if got := <-slow; got.err != nil {
		t.Errorf("the slow one, after %d events: %v", got.events, got.err)
	}
}

func TestSubscribeBeyondTheHead(t *testing.T) {
	t.Parallel()
	log := memory.New()
	store := open(t, address(serve(t, log, "127.0.0.1:0")))
	if _, err := log.Append(t.Context(), "a", eventstore.NoStream, newEvents(3)); err != nil {
		t.Fatal(err)
	}
	items := 0
	for _, err := range store.Subscribe(within(t, patience), eventstore.At(4), eventstore.Filter{}) {
		if items++; err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want one that names another log", err)
			break
		}
	}
	if items != 1 {
		t.Errorf("%d items, want one error", items)
	}
}

// A server refuses a position between two records only with the text of an exception, as it does
// for many other faults. A reader that begins there gets an error that names the place, in bounded
// time. The connection is kept.
func TestAPlaceBetweenTwoEventsIsNamed(t *testing.T) {
	t.Parallel()
	var connects atomic.Int64
	f := &fake{version: func() string { connects.Add(1); return "24.10.0" }}
	f.read = func(options *streams.ReadReq_Options, call streams.Streams_ReadServer) error {
		at := options.GetAll().GetPosition()
		switch {
		case at != nil && at.GetCommitPosition()%10 != 0:
			return status.Error(codes.Unknown, "Exception was thrown by handler. InvalidReadException: Log record at actual pos has too large length")
		case !isSubscription(options):
			return call.Send(event("test.v1", 40))
		}
		if err := sendAll(call, confirmed(), caughtUp()); err != nil {
			return err
		}
		<-call.Context().Done()
		return nil
	}
	store := open(t, f.url(t))
	place := eventstore.At(17)
	first := func(read iter.Seq2[eventstore.Recorded, error]) error {
		for _, err := range read {
			return err
		}
		return nil
	}
	for name, fails := range map[string]func() error{
		"a subscription": func() error {
			for _, err := range store.Subscribe(within(t, patience), place, eventstore.Filter{}) {
				return err
			}
			return nil
		},
		"a read":            func() error { return first(store.ReadAll(within(t, patience), place, eventstore.Filter{}, 0)) },
		"a read, backwards": func() error { return first(store.ReadAllBackwards(within(t, patience), place, eventstore.Filter{}, 0)) },
	} {
		err := fails()
		if unknown, ok := errors.AsType[*eventstore.UnknownPlaceError](err); !ok || unknown.Position != place || unknown.Head != eventstore.At(40) {
			t.Errorf("%s: error %v, want an UnknownPlaceError with place and head", name, err)
		}
	}
	if n := connects.Load(); n != 1 {
		t.Errorf("%d connections were made, want 1", n)
	}
}

// If a server is replaced between two calls, only the subscription notices it. The events that come
// after that count as events of a new connection, so the guard compares the log before it believes
// them.
func TestASubscriptionThatIsCutOffCountsAsAConnection(t *testing.T) {
	t.Parallel()
	log := memory.New()
	n := serve(t, log, "127.0.0.1:0")
	store := open(t, address(n))
	events := listenIn(t, store)
	for range 5 {
		before := store.Connections()
		n.kill()
		n.start()
		if _, err := log.Append(t.Context(), "a", eventstore.Any, newEvents(1)); err != nil {
			t.Fatal(err)
		}
		select {
		case <-events:
		case <-time.After(patience):
			t.Fatal("no event came")
		}
		if after := store.Connections(); after == before {
			t.Errorf("an event came by a new line, and there are still %d connections", after)
		}
	}
}

// A new leader may for a moment lack events up to the subscriber's checkpoint, although they were
// acknowledged. The subscriber waits for it.
func TestASubscriberWaitsForALeaderThatIsBehind(t *testing.T) {
	t.Parallel()
	log := memory.New()
	ending := context.WithoutCancel(t.Context())
	var catchUp sync.Once
	logger := slog.New(whenWaiting(func() {
		catchUp.Do(func() {
			if _, err := log.Append(ending, "a", eventstore.AtRevision(2), newEvents(2)); err != nil {
				t.Error(err)
			}
		})
	}))
	store, err := kurrentdb.Open(t.Context(), address(serve(t, log, "127.0.0.1:0")), kurrentdb.Options{Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close(ending) })
	if _, err := log.Append(t.Context(), "a", eventstore.NoStream, newEvents(3)); err != nil {
		t.Fatal(err)
	}
	for item, err := range store.Subscribe(within(t, patience), eventstore.At(4), eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if item.Event != nil {
			if item.Event.Revision != 4 {
				t.Errorf("it begins with revision %d, want 4", item.Event.Revision)
			}
			break
		}
	}
}

// whenWaiting is a handler of log messages. It calls a function when the engine logs that a
// subscription waits.
type whenWaiting func()

func (whenWaiting) Enabled(context.Context, slog.Level) bool { return true }

func (f whenWaiting) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "a subscription waits for the event store" {
		f()
	}
	return nil
}

func (f whenWaiting) WithAttrs([]slog.Attr) slog.Handler { return f }
func (f whenWaiting) WithGroup(string) slog.Handler      { return f }

func TestTombstoneMustBeAlone(t *testing.T) {
	store := open(t, address(serve(t, memory.New(), "127.0.0.1:0")))
	events := newEvents(2)
	events[1].Type = eventstore.TombstoneType
	_, err := store.Append(t.Context(), "a", eventstore.NoStream, events)
	if _, invalid := errors.AsType[*eventstore.InvalidError](err); !invalid {
		t.Errorf("error %v, want an InvalidError", err)
	}
	if head, err := store.Head(t.Context()); err != nil || !head.IsStart() {
		t.Errorf("the head is %s (error %v), want nothing appended", head, err)
	}
}

// If an outage comes during a read, the read later goes on from its place.
func TestAReadOutlastsAnOutage(t *testing.T) {
	t.Parallel()
	log := memory.New()
	n := serve(t, log, "127.0.0.1:0")
	store := open(t, address(n))
	const total = 3000
	if _, err := log.Append(t.Context(), "a", eventstore.NoStream, newEvents(total)); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]iter.Seq2[eventstore.Recorded, error]{
		"the log":               store.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0),
		"the log, backwards":    store.ReadAllBackwards(t.Context(), eventstore.End, eventstore.Filter{}, 0),
		"the stream":            store.ReadStream(t.Context(), "a", 0, 0),
		"the stream, backwards": store.ReadStreamBackwards(t.Context(), "a", eventstore.LastRevision, 0),
	} {
		got := make(map[int64]int)
		for e, err := range read {
			if err != nil {
				t.Fatalf("%s, after %d events: %v", name, len(got), err)
			}
			if got[e.Revision]++; len(got) == 10 {
				n.kill()
				n.start()
			}
		}
		if len(got) != total {
			t.Errorf("%s: %d events, want %d", name, len(got), total)
		}
		for revision, times := range got {
			if times != 1 {
				t.Errorf("%s: revision %d came %d times", name, revision, times)
			}
		}
	}
}

// oversized is a log whose events of type "big.v1" are larger than a page. A server has such events
// if its limit is larger than ours.
type oversized struct{ eventstore.Store }

func (o oversized) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for e, err := range o.Store.ReadAll(ctx, after, filter, limit) {
			if e.Type == "big.v1" {
				e.Data = []byte(`{"x":"` + strings.Repeat("x", 5<<20) + `"}`)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// A page begins with the last event of the page before. If that event alone fills a page, the read
// must still go on to the next event.
func TestAnEventLargerThanAPageIsPassed(t *testing.T) {
	t.Parallel()
	log := oversized{memory.New()}
	for _, eventType := range []string{"test.v1", "big.v1", "big.v1", "test.v1"} {
		events := newEvents(1)
		events[0].Type = eventType
		if _, err := log.Append(t.Context(), "a", eventstore.Any, events); err != nil {
			t.Fatal(err)
		}
	}
	store := open(t, address(serve(t, log, "127.0.0.1:0")))
	read := 0
	for _, err := range store.ReadAll(within(t, patience), eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			t.Fatalf("after %d events: %v", read, err)
		}
		read++
	}
	if read != 4 {
		t.Errorf("%d events, want 4", read)
	}
}
