package kurrentdb_test

import (
	"context"
	"errors"
	"iter"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"daybook/eventstore"
	"daybook/eventstore/kurrentdb"
	"daybook/eventstore/memory"
	"daybook/internal/racetest"
)

func newEvents(n int) []eventstore.Event {
	events := make([]eventstore.Event, n)
	for i := range events {
		events[i] = eventstore.Event{ID: uuid.New(), Type: "test.v1", Data: []byte(`{"n":1}`)}
	}
	return events
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestAppendFollowsTheLeader(t *testing.T) {
	t.Parallel()
	log := memory.New()
	leader := serve(t, log, "127.0.0.1:0")
	host, port := hostPort(t, leader.at)
	store := open(t, (&fake{append: notLeader(host, port)}).url(t))
	events := newEvents(2)
	result, err := store.Append(within(t, patience), "a", eventstore.NoStream, events)
	if err != nil || result.Revision != 1 {
		t.Fatalf("%+v, error %v; want revision 1 at the leader", result, err)
	}
	holds(t, log, "a", events)
}

// A server names a leader that does not answer. The store must still be able to use the server that
// named it, and no goroutine may be left.
func TestALeaderThatDoesNotAnswerIsForgotten(t *testing.T) {
	// If calls still block in the client when it is closed, they send on a closed channel, and the
	// panic is caught. The race detector reports this as a race.
	racetest.Skip(t, "the client has a race that is known and harmless")
	before := goleak.IgnoreCurrent()
	t.Run("named", func(t *testing.T) {
		log := memory.New()
		leader := &node{t: t, log: log, at: freePort(t)}
		t.Cleanup(leader.kill)
		host, port := hostPort(t, leader.at)
		store := open(t, (&fake{append: notLeader(host, port)}).url(t))
		_, err := store.Append(within(t, time.Second), "a", eventstore.NoStream, newEvents(1))
		if err == nil {
			t.Fatal("an append without a leader succeeds")
		}
		leader.start()
		events := newEvents(1)
		settle(t, store, "a", eventstore.NoStream, events)
		holds(t, log, "a", events)
	})
	nothingIsLeft(t, before)
}

// If a server ends an append before it has read all of it, the client loses the reason. The append
// may be repeated, and no other call waits.
func TestAppendEndedEarlyIsNotTheEnd(t *testing.T) {
	t.Parallel()
	var appends atomic.Int64
	f := &fake{append: func(call streams.Streams_AppendServer) error {
		if appends.Add(1) <= 3 {
			return status.Error(codes.PermissionDenied, "before it was read")
		}
		return errors.Join(drain(call), call.SendAndClose(wrongVersion()))
	}}
	store := open(t, f.url(t))
	for range 3 {
		_, err := store.Append(within(t, patience), "a", eventstore.Any, newEvents(200))
		_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
		_, conflict := errors.AsType[*eventstore.ConflictError](err)
		if !unknown && !conflict && status.Code(err) != codes.PermissionDenied {
			t.Errorf("error %v, want an OutcomeUnknownError or one of the server's", err)
		}
	}
	if _, err := store.Head(within(t, patience)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// An append may have been done, and its answer is lost. The context ends before it is sent again.
// So its outcome stays unknown, though the last attempt was certainly not done.
func TestAnAppendThatIsNotSentAgainMayHaveBeenDone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var appended atomic.Bool
	f := &fake{append: func(call streams.Streams_AppendServer) error {
		appended.Store(true)
		return errors.Join(drain(call), status.Error(codes.Unavailable, "the answer is lost"))
	}, version: func() string {
		if appended.Load() { // the connection that the second attempt waits for
			cancel()
			<-t.Context().Done()
		}
		return "24.10.0"
	}}
	_, err := open(t, f.url(t)).Append(ctx, "a", eventstore.NoStream, newEvents(1))
	if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err); !unknown {
		t.Errorf("error %v, want an OutcomeUnknownError", err)
	}
}

// The client panics at a message that it does not know. The caller must get an error instead.
func TestUnknownMessageIsAnError(t *testing.T) {
	t.Parallel()
	f := &fake{read: func(options *streams.ReadReq_Options, call streams.Streams_ReadServer) error {
		if options.GetStream() == nil {
			return nil
		}
		return call.Send(&streams.ReadResp{Content: &streams.ReadResp_FirstStreamPosition{FirstStreamPosition: 1}})
	}}
	store := open(t, f.url(t))
	yielded := 0
	for _, err := range store.ReadStream(within(t, patience), "a", 0, 0) {
		if yielded++; err == nil {
			t.Error("no error")
		}
	}
	if yielded != 1 {
		t.Errorf("%d items, want one error", yielded)
	}
	if _, err := store.Head(within(t, patience)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A server accepts calls and never answers. Each call returns when its context ends, and its
// goroutine ends when the server is gone.
func TestAServerThatHangsHoldsUpNobody(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("hangs", func(t *testing.T) {
		const callers = 64
		entered := make(chan struct{}, callers)
		f := &fake{append: func(call streams.Streams_AppendServer) error {
			entered <- struct{}{}
			<-call.Context().Done()
			return call.Context().Err()
		}}
		store := open(t, f.url(t)+unhurried)
		ctx, end := context.WithCancelCause(t.Context())
		defer end(nil)
		var group sync.WaitGroup
		for range callers {
			group.Go(func() {
				_, err := store.Append(ctx, "a", eventstore.Any, newEvents(1))
				if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err); !unknown || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v, want an OutcomeUnknownError of the deadline", err)
				}
			})
		}
		for range callers {
			<-entered
		}
		end(context.DeadlineExceeded) // as a deadline would, but not before all calls are under way
		inTime(t, &group)
	})
	nothingIsLeft(t, before)
}

// A connection falls silent without being closed. The calls that get no answer show this, and the
// connection is given up long before its keepalive ends it.
func TestASilentConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	silent := make(map[string]bool) // connections, by the client's address
	hush := false
	listen := func(ctx context.Context) error {
		from, _ := peer.FromContext(ctx)
		mu.Lock()
		if hush {
			silent[from.Addr.String()], hush = true, false
		}
		quiet := silent[from.Addr.String()]
		mu.Unlock()
		if quiet {
			<-ctx.Done()
		}
		return ctx.Err()
	}
	f := &fake{
		append: func(call streams.Streams_AppendServer) error {
			if err := listen(call.Context()); err != nil {
				return err
			}
			return errors.Join(drain(call), call.SendAndClose(wrongVersion()))
		},
		read: func(_ *streams.ReadReq_Options, call streams.Streams_ReadServer) error { return listen(call.Context()) },
	}
	store := open(t, f.url(t))
	mu.Lock()
	hush = true
	mu.Unlock()
	for limit := within(t, patience); ; {
		_, err := store.Append(within(t, time.Second), "a", eventstore.NoStream, newEvents(1))
		if _, conflict := errors.AsType[*eventstore.ConflictError](err); conflict {
			return // an answer
		}
		if limit.Err() != nil {
			t.Fatalf("still no answer: %v", err)
		}
	}
}

// If more calls come than may be in flight, the others wait for a slot, and are refused after a
// while.
func TestCallsInFlightAreBounded(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{}, 100)
	f := &fake{append: func(call streams.Streams_AppendServer) error {
		entered <- struct{}{}
		<-call.Context().Done()
		return call.Context().Err()
	}}
	url, options := f.url(t)+unhurried, kurrentdb.Options{InFlight: 2, Wait: 300 * time.Millisecond}
	store, err := kurrentdb.Open(t.Context(), url, options)
	for limit := within(t, patience); err != nil; { // a busy machine takes longer than that
		if store, err = kurrentdb.Open(limit, url, options); limit.Err() != nil {
			t.Fatal(err)
		}
	}
	defer closeIn(t, store.Close)
	ctx, cancel := context.WithCancel(within(t, patience))
	defer cancel()
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			// On a busy machine, a call may also need longer until it reaches the server.
			for ctx.Err() == nil {
				if _, err := store.Append(ctx, "a", eventstore.Any, newEvents(1)); err == nil {
					t.Error("a hanging append succeeds")
				}
			}
		})
	}
	<-entered
	<-entered
	_, err = store.Append(ctx, "a", eventstore.Any, newEvents(1))
	if _, unavailable := errors.AsType[*eventstore.UnavailableError](err); !unavailable {
		t.Errorf("error %v, want an UnavailableError", err)
	}
	select {
	case <-entered:
		t.Error("a third append reached the server")
	default:
	}
	cancel()
	inTime(t, &group)
}

// Servers before 24.10.5 may send a checkpoint that is beyond events which they have not sent yet.
// A reader must not skip these events.
func TestCheckpointAheadOfItsEventsIsNotBelieved(t *testing.T) {
	t.Parallel()
	var subscriptions atomic.Int64
	f := &fake{read: func(options *streams.ReadReq_Options, call streams.Streams_ReadServer) error {
		switch {
		case !isSubscription(options): // the log's end
			return call.Send(event("wanted.v1", 100))
		case len(options.GetFilter().GetEventType().GetPrefix()) == 0: // the subscription of the ring
			if err := call.Send(confirmed()); err != nil {
				return err
			}
			<-call.Context().Done()
			return nil
		}
		if subscriptions.Add(1) == 1 {
			if err := sendAll(call, confirmed(), checkpoint(90)); err != nil {
				return err
			}
			return status.Error(codes.Internal, "cut off before event 50 was sent")
		}
		if at := options.GetAll().GetPosition().GetCommitPosition(); at != 10 {
			t.Errorf("subscribed again after %d, want 10", at)
		}
		if err := sendAll(call, confirmed(), event("wanted.v1", 50), checkpoint(60), checkpoint(70), event("wanted.v1", 100), caughtUp()); err != nil {
			return err
		}
		<-call.Context().Done()
		return nil
	}}
	store := open(t, f.url(t))
	var got []uint64
	for item, err := range store.Subscribe(within(t, patience), eventstore.At(10), eventstore.Filter{TypePrefixes: []string{"wanted."}}) {
		if err != nil {
			t.Fatal(err)
		}
		at, _ := item.Checkpoint.Pair()
		if got = append(got, at); item.CaughtUp {
			break
		}
	}
	// The checkpoint 70 is held back. Then 100 comes and replaces it.
	if want := []uint64{50, 60, 100, 100}; !equal(got, want) {
		t.Errorf("checkpoints %v, want %v", got, want)
	}
}

// A server refuses the shared subscription once. This ends the subscribers that use it at that
// moment, and no later subscriber, however long one of the first ones takes to notice.
func TestARefusalEndsOnlyWhoWasThere(t *testing.T) {
	t.Parallel()
	var subscriptions atomic.Int64
	refuse := make(chan struct{})
	f := &fake{read: func(options *streams.ReadReq_Options, call streams.Streams_ReadServer) error {
		if !isSubscription(options) {
			return call.Send(event("test.v1", 1))
		}
		first := subscriptions.Add(1) == 1
		if err := sendAll(call, confirmed(), caughtUp()); err != nil {
			return err
		}
		select {
		case <-refuse:
			if first {
				return status.Error(codes.PermissionDenied, "not any more")
			}
			<-call.Context().Done()
		case <-call.Context().Done():
		}
		return nil
	}}
	store := open(t, f.url(t))
	subscribe := func() iter.Seq2[eventstore.Item, error] {
		return store.Subscribe(within(t, patience), eventstore.At(1), eventstore.Filter{}) // at the ring's beginning
	}
	slow, stop := iter.Pull2(subscribe())
	defer stop()
	if item, err, _ := slow(); err != nil || !item.CaughtUp {
		t.Fatalf("%+v, error %v; want a caught-up mark", item, err)
	}
	close(refuse)
	eventually(t, "subscription that begins afresh", func() bool {
		for _, err := range subscribe() {
			return err == nil && subscriptions.Load() == 2
		}
		return false
	})
	if _, err, _ := slow(); status.Code(err) != codes.PermissionDenied {
		t.Errorf("error %v, want the server's refusal", err)
	}
}

func equal(a, b []uint64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// Another program was faster and recorded other events under the same ids. The server answers as if
// our events had been added, and the engine must notice the difference.
func TestOtherBytesUnderTheSameIDsAreNotBelieved(t *testing.T) {
	t.Parallel()
	log := memory.New()
	at := address(serve(t, log, "127.0.0.1:0"))
	one, other := open(t, at), open(t, at)
	events := newEvents(2)
	first, err := one.Append(t.Context(), "a", eventstore.NoStream, events)
	if err != nil || first.Replayed {
		t.Fatalf("%+v, error %v; want a new append", first, err)
	}
	different := append(events[:0:0], events...)
	different[0].Data = []byte(`{"n":2}`)
	second, err := other.Append(t.Context(), "a", eventstore.NoStream, different)
	if err != nil || !second.Replayed || second.Position != first.Position || second.Revision != first.Revision {
		t.Errorf("%+v, error %v; want a replay of %+v", second, err, first)
	}
	holds(t, log, "a", events)
}

// If another program has recorded the same events before, the append is a replay, whether this
// store follows the log or not.
func TestWhatAnotherProgramAppendedIsAReplay(t *testing.T) {
	t.Parallel()
	for name, follows := range map[string]bool{"alone": false, "with a subscription": true} {
		t.Run(name, func(t *testing.T) {
			at := address(serve(t, memory.New(), "127.0.0.1:0"))
			one, other := open(t, at), open(t, at)
			next, stop := iter.Pull2(other.Subscribe(within(t, patience), eventstore.Start, eventstore.Filter{}))
			defer stop()
			if follows {
				if item, err, _ := next(); err != nil || !item.CaughtUp {
					t.Fatalf("%+v, error %v; want a caught-up mark", item, err)
				}
			}
			events := newEvents(2)
			first, err := one.Append(t.Context(), "a", eventstore.NoStream, events)
			if err != nil || first.Replayed {
				t.Fatalf("%+v, error %v; want a new append", first, err)
			}
			for item := (eventstore.Item{}); follows && item.Checkpoint != first.Position; {
				if item, err, _ = next(); err != nil {
					t.Fatal(err)
				}
			}
			second, err := other.Append(t.Context(), "a", eventstore.NoStream, events)
			if want := (eventstore.Result{Revision: 1, Position: first.Position, Replayed: true}); err != nil || second != want {
				t.Errorf("%+v, error %v; want %+v", second, err, want)
			}
		})
	}
}

// holds fails unless a stream holds exactly these events.
func holds(t *testing.T, log eventstore.Store, stream string, want []eventstore.Event) {
	t.Helper()
	var got []uuid.UUID
	for e, err := range log.ReadStream(t.Context(), stream, 0, 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.ID)
	}
	if len(got) != len(want) {
		t.Fatalf("stream %s holds %d events, want %d", stream, len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i].ID {
			t.Errorf("stream %s: event %d is %s, want %s", stream, i, got[i], want[i].ID)
		}
	}
}

// settle repeats an append until its outcome is known.
func settle(t *testing.T, store eventstore.Store, stream string, expected eventstore.Expected, events []eventstore.Event) {
	t.Helper()
	ctx := within(t, patience)
	for {
		_, err := store.Append(ctx, stream, expected, events)
		if err == nil {
			return
		}
		_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
		_, unavailable := errors.AsType[*eventstore.UnavailableError](err)
		if !unknown && !unavailable || ctx.Err() != nil {
			t.Errorf("append to %s: %v", stream, err)
			return
		}
	}
}

func inTime(t *testing.T, group *sync.WaitGroup) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("callers have not returned after %s", patience)
	}
}

// freePort is an address at which nothing answers.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func hostPort(t *testing.T, at string) (string, int) {
	t.Helper()
	host, text, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}
