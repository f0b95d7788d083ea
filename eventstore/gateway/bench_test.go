package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
)

// Each benchmark has its baseline in the same run: the same work directly on the log.

const benchEvents = 200_000

func benchEvent() eventstore.Event {
	return eventstore.Event{
		ID:   uuid.New(),
		Type: "stock.reserved.v1",
		Data: []byte(`{"reservation":"0f8fad5b-d9cb-469f-a165-70867728950e","order":"O-1234567","quantity":3,"expires_at":"2026-03-01T12:00:00Z"}`),
		Meta: []byte(`{"command_id":"7c9e6679-7425-40de-944b-e07fc1f90ae7","actor":"customer:42","channel":"web"}`),
	}
}

// filled is a log on PostgreSQL with many events.
func filled(b *testing.B, events int) eventstore.Store {
	b.Helper()
	store := onPostgres(b)
	batch := make([]eventstore.Event, 1000)
	for i := range events / len(batch) {
		for j := range batch {
			batch[j] = benchEvent()
		}
		if _, err := store.Append(b.Context(), fmt.Sprintf("stock-%d", i), eventstore.NoStream, slices.Clone(batch)); err != nil {
			b.Fatal(err)
		}
	}
	return store
}

func BenchmarkReadAll(b *testing.B) {
	store := filled(b, benchEvents)
	client := serveBench(b, store)
	b.Run("gateway", func(b *testing.B) {
		for b.Loop() {
			read, err := client.ReadAll(b.Context(), esdb.ReadAllOptions{From: esdb.Start{}}, benchEvents)
			if err != nil {
				b.Fatal(err)
			}
			n := 0
			for ; ; n++ {
				if _, err := read.Recv(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
			read.Close()
			checkCount(b, n)
		}
		reportEvents(b, benchEvents)
	})
	b.Run("log itself", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for _, err := range store.ReadAll(b.Context(), eventstore.Start, eventstore.Filter{}, 0) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			checkCount(b, n)
		}
		reportEvents(b, benchEvents)
	})
}

func checkCount(b *testing.B, n int) {
	b.Helper()
	if n != benchEvents {
		b.Fatalf("%d events, want %d", n, benchEvents)
	}
}

func reportEvents(b *testing.B, each int) {
	b.ReportMetric(float64(b.N)*float64(each)/b.Elapsed().Seconds(), "events/s")
}

func serveBench(b *testing.B, store eventstore.Store) *esdb.Client {
	b.Helper()
	_, address := start(b, store, gateway.Options{})
	config, err := esdb.ParseConnectionString("esdb://" + address + "?tls=false")
	if err != nil {
		b.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { client.Close() })
	return client
}

func BenchmarkAppend(b *testing.B) {
	store := onPostgres(b)
	through := func(client *esdb.Client) func(context.Context, string) error {
		return func(ctx context.Context, stream string) error {
			e := benchEvent()
			_, err := client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}},
				esdb.EventData{EventID: e.ID, EventType: e.Type, ContentType: esdb.ContentTypeJson, Data: e.Data, Metadata: e.Meta})
			return err
		}
	}
	onDisk, inMemory := serveBench(b, store), serveBench(b, memory.New())
	b.Run("gateway, 64 callers", func(b *testing.B) { callers(b, through(onDisk)) })
	// The log in memory shows what the protocol alone costs, at client and server together.
	b.Run("gateway over memory, 64 callers", func(b *testing.B) { callers(b, through(inMemory)) })
	b.Run("log itself, 64 callers", func(b *testing.B) {
		callers(b, func(ctx context.Context, stream string) error {
			_, err := store.Append(ctx, stream, eventstore.Any, []eventstore.Event{benchEvent()})
			return err
		})
	})
}

// callers appends b.N events by 64 callers, each to a stream of its own.
func callers(b *testing.B, append func(ctx context.Context, stream string) error) {
	b.Helper()
	ctx := b.Context()
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			stream := fmt.Sprintf("bench-%s-%d", uuid.NewString()[:8], i)
			for left.Add(-1) >= 0 {
				if err := append(ctx, stream); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	reportEvents(b, 1)
}

// BenchmarkDelivery measures from before an append to its arrival at a live subscriber.
func BenchmarkDelivery(b *testing.B) {
	store := onPostgres(b)
	client := serveBench(b, store)
	b.Run("gateway", func(b *testing.B) {
		sub, err := client.SubscribeToAll(b.Context(), esdb.SubscribeToAllOptions{From: esdb.End{}})
		if err != nil {
			b.Fatal(err)
		}
		defer sub.Close()
		deliver(b, store, func() (uuid.UUID, error) {
			for {
				switch got := sub.Recv(); {
				case got.SubscriptionDropped != nil:
					return uuid.Nil, got.SubscriptionDropped.Error
				case got.EventAppeared != nil:
					return got.EventAppeared.Event.EventID, nil
				}
			}
		})
	})
	b.Run("log itself", func(b *testing.B) {
		head, err := store.Head(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		events := make(chan uuid.UUID, 1)
		go func() {
			for item, err := range store.Subscribe(ctx, head, eventstore.Filter{}) {
				if err == nil && item.Event != nil {
					events <- item.Event.ID
				}
			}
		}()
		deliver(b, store, func() (uuid.UUID, error) { return <-events, nil })
	})
}

func deliver(b *testing.B, store eventstore.Store, receive func() (uuid.UUID, error)) {
	b.Helper()
	took := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for range b.N {
		e := benchEvent()
		begun := time.Now()
		if _, err := store.Append(b.Context(), "live", eventstore.Any, []eventstore.Event{e}); err != nil {
			b.Fatal(err)
		}
		id, err := receive()
		if err != nil || id != e.ID {
			b.Fatalf("event %s came, %v, want %s", id, err, e.ID)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
}
