package gateway_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/postgres"
	"daybook/internal/pgtest"
	"daybook/internal/racetest"
)

// silence is how long nothing happens in the tests of endurance. If DAYBOOK_SILENCE is not set,
// they are short or are not run. CI sets 5m.
func silence(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("DAYBOOK_SILENCE")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("DAYBOOK_SILENCE: %v", err)
	}
	return d
}

// endure serves a PostgreSQL log and returns it with a client of the gateway.
func endure(t *testing.T) (eventstore.Store, *esdb.Client) {
	t.Helper()
	pool := pgtest.New(t)
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	store, err := postgres.Open(t.Context(), pool, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ending := context.WithoutCancel(t.Context())
	t.Cleanup(func() { store.Close(ending) })
	server, err := gateway.New(store, gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener) //nolint:errcheck // the client tells
	t.Cleanup(func() { server.Close(ending) })
	config, err := esdb.ParseConnectionString("esdb://" + listener.Addr().String() + "?tls=false")
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return store, client
}

// The client pings every ten seconds, even when nothing happens. By default, a gRPC server takes
// that for an attack and ends the connection after half a minute. The gateway must not.
func TestAnIdleSubscriptionLives(t *testing.T) {
	quiet := silence(t)
	if quiet == 0 {
		t.Skip("takes as long as DAYBOOK_SILENCE says, such as 5m")
	}
	t.Parallel()
	store, client := endure(t)
	subscription, err := client.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Close()
	for caughtUp := false; !caughtUp; {
		message := subscription.Recv()
		if message.SubscriptionDropped != nil {
			t.Fatalf("dropped before it had caught up: %v", message.SubscriptionDropped.Error)
		}
		caughtUp = message.CaughtUp != nil
	}
	came := make(chan *esdb.SubscriptionEvent, 1)
	go func() { came <- subscription.Recv() }()
	select {
	case message := <-came:
		t.Fatalf("in the silence came %+v", message)
	case <-time.After(quiet):
	}
	event := eventstore.Event{ID: uuid.New(), Type: "t.v1", Data: []byte(`{}`)}
	if _, err := store.Append(t.Context(), "a", eventstore.NoStream, []eventstore.Event{event}); err != nil {
		t.Fatal(err)
	}
	if message := <-came; message.EventAppeared == nil || message.EventAppeared.OriginalEvent().EventID != event.ID {
		t.Errorf("after %s of silence came %+v, want the event", quiet, message)
	}
}

// If a subscriber does not read, the server must not keep the events for it in memory.
func TestASubscriberThatDoesNotReadCostsBoundedMemory(t *testing.T) {
	racetest.Skip(t, "it is slow because of much data")
	const events, batch, allowed = 100_000, 500, 48 << 20
	store, client := endure(t)
	subscription, err := client.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Close()
	before := heap()
	data := fmt.Appendf(nil, `{"text":"%0500d"}`, 0)
	for n := 0; n < events; n += batch {
		some := make([]eventstore.Event, batch)
		for i := range some {
			some[i] = eventstore.Event{ID: uuid.New(), Type: "t.v1", Data: data}
		}
		if _, err := store.Append(t.Context(), "a", eventstore.AtRevision(int64(n)-1), some); err != nil {
			t.Fatal(err)
		}
	}
	if quiet := min(silence(t), time.Minute); quiet > 0 {
		<-time.After(quiet) // the silence is what is tested
	}
	// The subscriber has read nothing, so if the server kept events for it, they would be in memory
	// now.
	if grown := heap() - before; grown > allowed {
		t.Errorf("the heap grew by %d MiB, for %d MiB of events that the subscriber did not read", grown>>20, events*len(data)>>20)
	}
	for next := uint64(0); next < events; {
		message := subscription.Recv()
		switch {
		case message.SubscriptionDropped != nil:
			t.Fatalf("dropped after %d events: %v", next, message.SubscriptionDropped.Error)
		case message.EventAppeared != nil:
			if got := message.EventAppeared.OriginalEvent(); got.StreamID != "a" || got.EventNumber != next {
				t.Fatalf("event %d of %s came, want %d of a", got.EventNumber, got.StreamID, next)
			}
			next++
		}
	}
}

// heap is how many bytes are in use.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc) //nolint:gosec // far below
}
