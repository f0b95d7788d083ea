// Package gatewaytest gives tests the engine on KurrentDB without a server of KurrentDB: the
// gateway serves a log to the real client, over gRPC on a loopback address.
package gatewaytest

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/kurrentdb"
)

// Serve serves a log until the test ends, and returns its connection string. Clients may write
// everything.
func Serve(tb testing.TB, log eventstore.Store) string {
	tb.Helper()
	server, err := gateway.New(log, gateway.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	tb.Cleanup(func() {
		closed(tb, server.Close)
		if err := <-served; err != nil {
			tb.Errorf("the gateway: %v", err)
		}
	})
	return "esdb://" + listener.Addr().String() + "?tls=false"
}

// Open serves a log as Serve does, and opens it with the engine on KurrentDB. The engine is closed
// when the test ends.
func Open(tb testing.TB, log eventstore.Store) *kurrentdb.Store {
	tb.Helper()
	store, err := kurrentdb.Open(tb.Context(), Serve(tb, log), kurrentdb.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closed(tb, store.Close) })
	return store
}

// closed closes something within a minute. The test's own context has ended by then.
func closed(tb testing.TB, closeIt func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
	defer cancel()
	if err := closeIt(ctx); err != nil {
		tb.Error(err)
	}
}
