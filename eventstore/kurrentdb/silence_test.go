package kurrentdb_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"daybook/eventstore"
	"daybook/eventstore/kurrentdb"
	"daybook/eventstore/memory"
	"daybook/internal/proxytest"
)

// The bounds for a node whose connection falls silent, with some more time for a busy machine.
const (
	noticeMax = 15 * time.Second
	slack     = 10 * time.Second
)

// logText is what a store has logged so far.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// listenIn subscribes, waits until the subscription has caught up, and returns a channel with its
// events.
func listenIn(t *testing.T, store eventstore.Store) <-chan eventstore.Recorded {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	got, live := make(chan eventstore.Recorded, 1000), make(chan struct{})
	var ended sync.WaitGroup
	told := sync.OnceFunc(func() { close(live) })
	ended.Go(func() {
		for item, err := range store.Subscribe(ctx, eventstore.Start, eventstore.Filter{}) {
			_, closed := errors.AsType[*eventstore.UnavailableError](err)
			switch {
			case err != nil && ctx.Err() == nil && !closed:
				t.Errorf("the subscription ended: %v", err)
			case err != nil:
			case item.Event != nil:
				got <- *item.Event
			case item.CaughtUp:
				told()
			}
		}
	})
	t.Cleanup(func() { stop(); ended.Wait() })
	select {
	case <-live:
	case <-time.After(patience):
		t.Fatal("the subscription did not catch up")
	}
	return got
}

// The connection to the server falls silent: existing ones hang, new ones work. No call is made, so
// only the store itself can notice it. Within 15 s a subscriber has every event, once and in order.
func TestASilentLineIsNoticedAndLeft(t *testing.T) {
	t.Parallel()
	log := memory.New()
	proxy := proxytest.New(t, "tcp", serve(t, log, "127.0.0.1:0").at)
	said := &logText{}
	store, err := kurrentdb.Open(t.Context(), "esdb://"+proxy.Address()+"?tls=false", kurrentdb.Options{Logger: slog.New(slog.NewTextHandler(said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeIn(t, store.Close) })
	events := listenIn(t, store)
	next := uint64(0)
	for range 2 {
		eventually(t, "pulse", func() bool { p := store.Pulse(); return p.Trouble == nil && !p.Deaf(time.Now()) })
		proxy.Silence()
		silent := time.Now()
		if _, err := log.Append(t.Context(), "there", eventstore.Any, newEvents(3)); err != nil {
			t.Fatal(err)
		}
		timeout := time.After(noticeMax + slack)
		for range 3 {
			select {
			case e := <-events:
				if next++; e.Position != eventstore.At(next) {
					t.Fatalf("event at %s where %d should come", e.Position, next)
				}
			case <-timeout:
				t.Fatalf("no event %d; the store has logged:\n%s", next+1, said)
			}
		}
		t.Logf("served again after %s", time.Since(silent))
		if text := said.String(); !strings.Contains(text, "does not hear the log") || !strings.Contains(text, "since=") {
			t.Errorf("the store did not say that it hears nothing:\n%s", text)
		}
		eventually(t, "pulse after the silence", func() bool { return store.Pulse().Proven.After(silent) })
	}
}

func TestALogThatIsSilentForLongIsDeaf(t *testing.T) {
	t.Parallel()
	log := memory.New()
	proxy := proxytest.New(t, "tcp", serve(t, log, "127.0.0.1:0").at)
	store, err := kurrentdb.Open(t.Context(), "esdb://"+proxy.Address()+"?tls=false", kurrentdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	events := listenIn(t, store)
	proxy.SilenceAll()
	eventually(t, "deafness", func() bool { p := store.Pulse(); return p.Deaf(time.Now()) && p.Trouble != nil })
	if _, err := log.Append(t.Context(), "there", eventstore.Any, newEvents(1)); err != nil {
		t.Fatal(err)
	}
	proxy.Restore()
	select {
	case <-events:
	case <-time.After(noticeMax + slack):
		t.Fatal("no event after the line was restored")
	}
	eventually(t, "hearing", func() bool { return !store.Pulse().Deaf(time.Now()) })

	proxy.SilenceAll()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := store.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second+slack {
		t.Errorf("closing took %s", took)
	}
}

// A server answers calls, but its subscription brings nothing although the log has grown. The store
// opens another subscription.
func TestASubscriptionThatIsStuckIsOpenedAgain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	opened := 0
	server := &fake{read: func(options *streams.ReadReq_Options, call streams.Streams_ReadServer) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case isSubscription(options):
			opened++
			messages := []*streams.ReadResp{confirmed(), caughtUp()}
			if opened > 1 {
				messages = []*streams.ReadResp{confirmed(), event("a.v1", 1), caughtUp()}
			}
			if err := sendAll(call, messages...); err != nil {
				return err
			}
			mu.Unlock()
			<-call.Context().Done()
			mu.Lock()
			return nil
		case opened > 0: // the head has gone on since
			return sendAll(call, event("a.v1", 1))
		default:
			return nil
		}
	}}
	store := open(t, server.url(t))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	got := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		for item, err := range store.Subscribe(ctx, eventstore.Start, eventstore.Filter{}) {
			if err == nil && item.Event != nil {
				close(got)
				return
			}
		}
	})
	select {
	case <-got:
	case <-time.After(patience):
		t.Error("the subscription is stuck")
	}
	stop()
	ended.Wait()
}
