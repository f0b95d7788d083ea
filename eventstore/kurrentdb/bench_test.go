package kurrentdb_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/kurrentdb"
	"daybook/eventstore/memory"
)

// BenchmarkAppend measures what the engine, the client, the protocol and the gateway cost together.
// The log behind them is in memory.
func BenchmarkAppend(b *testing.B) {
	store := benchStore(b, memory.New())
	var stream atomic.Int64
	b.SetParallelism(32) // times the processors
	b.RunParallel(func(p *testing.PB) {
		name := fmt.Sprint("s-", stream.Add(1))
		for revision := int64(-1); p.Next(); revision++ {
			if _, err := store.Append(b.Context(), name, eventstore.AtRevision(revision), newEvents(1)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkReadAll(b *testing.B) {
	log := memory.New()
	for range 100 {
		if _, err := log.Append(b.Context(), "a", eventstore.Any, newEvents(1000)); err != nil {
			b.Fatal(err)
		}
	}
	store := benchStore(b, log)
	read := 0
	for b.Loop() {
		for _, err := range store.ReadAll(b.Context(), eventstore.Start, eventstore.Filter{}, 0) {
			if err != nil {
				b.Fatal(err)
			}
			read++
		}
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkLive(b *testing.B) {
	store := benchStore(b, memory.New())
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	arrived := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for item, err := range store.Subscribe(ctx, eventstore.Start, eventstore.Filter{}) {
			if err == nil && item.Event != nil {
				arrived <- struct{}{}
			}
		}
	})
	for b.Loop() {
		if _, err := store.Append(b.Context(), "a", eventstore.Any, newEvents(1)); err != nil {
			b.Fatal(err)
		}
		<-arrived
	}
	stop()
	group.Wait()
}

func benchStore(b *testing.B, log eventstore.Store) *kurrentdb.Store {
	b.Helper()
	server, err := gateway.New(log, gateway.Options{})
	if err != nil {
		b.Fatal(err)
	}
	listener := listen(b, "127.0.0.1:0")
	go server.Serve(listener) //nolint:errcheck // its clients tell
	store, err := kurrentdb.Open(b.Context(), "esdb://"+listener.Addr().String()+"?tls=false", kurrentdb.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		closeIn(b, store.Close)
		closeIn(b, server.Close)
	})
	return store
}
