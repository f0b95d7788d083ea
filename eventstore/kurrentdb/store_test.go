package kurrentdb_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/kurrentdb"
	"daybook/eventstore/memory"
	"daybook/eventstore/postgres"
	"daybook/eventstore/storetest"
	"daybook/internal/pgtest"
)

// patience is how long a test waits for something that may hang. It is long, because the machine
// may be busy or stand still for some seconds.
const patience = 2 * time.Minute

// slow leaves a test of many seconds to `make prove`, so that `make test` stays short.
func slow(t *testing.T) {
	t.Helper()
	if !proving() {
		t.Skip("it takes many seconds: make prove runs it")
	}
}

func proving() bool { return os.Getenv("DAYBOOK_PROVE") != "" }

// unhurried is a setting with which a call may take as long as a busy machine needs.
const unhurried = "&defaultDeadline=120000"

func TestOverMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) eventstore.Store {
		return open(t, address(serve(t, memory.New(), "127.0.0.1:0"))+unhurried)
	}, storetest.Contiguous(), storetest.LogWideIDs(), storetest.LoneTombstones())
}

// Each rule has a log of its own, because several rules read their whole log. The tests of
// cmd/daybook run the whole program over this combination, with the race detector.
func TestOverPostgres(t *testing.T) {
	slow(t)
	t.Parallel()
	storetest.Run(t, func(t *testing.T) eventstore.Store {
		pool := pgtest.New(t)
		if err := postgres.Migrate(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
		log, err := postgres.Open(t.Context(), pool, postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeIn(t, log.Close) })
		return open(t, address(serve(t, log, "127.0.0.1:0"))+unhurried)
	}, storetest.Contiguous(), storetest.LogWideIDs(), storetest.LoneTombstones())
}

// The suite runs over the server that KURRENTDB_URL names: EventStoreDB or KurrentDB, with TLS and
// users or without. Nobody else may write to it meanwhile.
func TestOverServer(t *testing.T) {
	url := os.Getenv("KURRENTDB_URL")
	if url == "" {
		t.Skip("KURRENTDB_URL names no server, such as esdb://admin:changeit@localhost:2113?tlsVerifyCert=false")
	}
	store := open(t, url)
	storetest.Run(t, func(*testing.T) eventstore.Store { return store }, storetest.LoneTombstones())
}

// serve runs a gateway over a log until the test ends.
func serve(t *testing.T, log eventstore.Store, at string) *node {
	t.Helper()
	n := &node{t: t, log: log, at: at}
	n.start()
	t.Cleanup(n.kill)
	return n
}

// node is a gateway that can be killed and started again at the same place.
type node struct {
	t       *testing.T
	log     eventstore.Store
	at      string
	gateway *gateway.Server
}

func (n *node) start() {
	n.t.Helper()
	server, err := gateway.New(n.log, gateway.Options{})
	if err != nil {
		n.t.Fatal(err)
	}
	listener := listen(n.t, n.at)
	n.gateway, n.at = server, listener.Addr().String()
	go server.Serve(listener) //nolint:errcheck // its clients tell
}

// kill ends the gateway and cuts off all its calls.
func (n *node) kill() {
	if n.gateway == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	n.gateway.Close(ctx) // its error only says that calls were cut off
	n.gateway = nil
}

func address(n *node) string { return "esdb://" + n.at + "?tls=false" }

func open(t *testing.T, url string) *kurrentdb.Store {
	t.Helper()
	store, err := kurrentdb.Open(t.Context(), url, kurrentdb.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Wait: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeIn(t, store.Close) })
	return store
}

// closeIn closes something, in time.
func closeIn(t testing.TB, end func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	if err := end(ctx); err != nil {
		t.Error(err)
	}
}

// nothingIsLeft waits until all goroutines have ended that were started after before was taken.
func nothingIsLeft(t *testing.T, before goleak.Option) {
	t.Helper()
	left := goleak.Find(before)
	for limit := within(t, patience); left != nil && limit.Err() == nil; {
		left = goleak.Find(before)
	}
	if left != nil {
		t.Error(left)
	}
}

func listen(t testing.TB, at string) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(t.Context()), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	return listener
}
