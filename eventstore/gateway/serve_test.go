package gateway_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
	"daybook/eventstore/postgres"
	"daybook/internal/pgtest"
)

// patience is how long a test waits for something that may hang. It is long, because the machine
// may be busy or stand still for some seconds.
const patience = 2 * time.Minute

// engines runs a test over each engine.
func engines(t *testing.T, test func(t *testing.T, store eventstore.Store)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { t.Parallel(); test(t, memory.New()) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(t, onPostgres(t)) })
}

func onPostgres(tb testing.TB) eventstore.Store {
	tb.Helper()
	pool := pgtest.New(tb)
	if err := postgres.Migrate(tb.Context(), pool); err != nil {
		tb.Fatal(err)
	}
	store, err := postgres.Open(tb.Context(), pool, postgres.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := store.Close(ctx); err != nil {
			tb.Error(err)
		}
	})
	return store
}

// served is a gateway, and a connection to it with generated stubs. The stubs can send requests
// that the official clients do not send.
type served struct {
	tb      testing.TB
	ctx     context.Context
	store   eventstore.Store
	server  *gateway.Server
	address string
	conn    *grpc.ClientConn
	raw     streams.StreamsClient
}

// serve opens a gateway until the test ends.
func serve(tb testing.TB, store eventstore.Store, options gateway.Options) *served {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	s := &served{tb: tb, ctx: ctx, store: store}
	s.server, s.address = start(tb, store, options)
	s.conn = s.dial(grpc.WithTransportCredentials(insecure.NewCredentials()))
	s.raw = streams.NewStreamsClient(s.conn)
	return s
}

func start(tb testing.TB, store eventstore.Store, options gateway.Options) (*gateway.Server, string) {
	tb.Helper()
	server, err := gateway.New(store, options)
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(server.Close(ctx), <-ended); err != nil {
			tb.Errorf("close the gateway: %v", err)
		}
	})
	return server, listener.Addr().String()
}

func (s *served) dial(options ...grpc.DialOption) *grpc.ClientConn {
	s.tb.Helper()
	options = append(options, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(17<<20)))
	conn, err := grpc.NewClient(s.address, options...)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { conn.Close() })
	return conn
}

// client is the official client.
func (s *served) client(options ...string) *esdb.Client {
	s.tb.Helper()
	url := "esdb://" + s.address + "?tls=false"
	for _, option := range options {
		url += "&" + option
	}
	config, err := esdb.ParseConnectionString(url)
	if err != nil {
		s.tb.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { client.Close() })
	return client
}

// event is a small event, of type t.v1.
func event() eventstore.Event { return typed("t.v1") }

func typed(eventType string) eventstore.Event {
	return eventstore.Event{ID: uuid.New(), Type: eventType, Data: []byte(`{"n":1}`), Meta: []byte(`{"m":2}`)}
}

func several(n int, eventType string) []eventstore.Event {
	events := make([]eventstore.Event, n)
	for i := range events {
		events[i] = typed(eventType)
	}
	return events
}

// write appends events directly to the log, without the gateway.
func (s *served) write(stream string, events ...eventstore.Event) eventstore.Result {
	s.tb.Helper()
	result, err := s.store.Append(s.ctx, stream, eventstore.Any, events)
	if err != nil {
		s.tb.Fatal(err)
	}
	return result
}

// pulled counts the events that subscriptions pull.
type pulled struct {
	eventstore.Store
	count atomic.Int64
}

func (p *pulled) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) {
		for item, err := range p.Store.Subscribe(ctx, after, filter) {
			if item.Event != nil {
				p.count.Add(1)
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// settled returns a condition that is true when a count has not changed between a hundred calls.
func settled(count *atomic.Int64) func() bool {
	last, same := int64(-1), 0
	return func() bool {
		if now := count.Load(); now != last {
			last, same = now, 0
		}
		same++
		return same > 100
	}
}
