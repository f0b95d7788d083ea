package kurrentdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// These texts show the client's state: it logs the first two before it tries to recover, and its
// errors have the others when it could not recover. The client's version is the last of its module,
// so the texts do not change; tests fail if they do.
const (
	saysFailed = "unexpected exception: %v"
	saysLeader = "Connecting to leader node %s ..."
	saysNoNode = "maximum discovery attempt count reached"
	// gRPC says this if a server speaks another protocol, or closes the connection.
	saysNoPreface = "error reading server preface"
)

// connection is one client with its one gRPC connection. It is used until the first sign of
// trouble, and is then replaced as a whole.
//
// The reason is that the client does not recover from trouble. If a call fails with Unavailable, it
// tells the client's one goroutine to look for a server again. That goroutine forgets the old gRPC
// connection without closing it. After some attempts it ends, and every later call that needs it
// blocks for ever. So no call may reach that goroutine. The client logs the error before it tells
// the goroutine. At this moment our logger breaks the call off with a panic, and the call's guard
// recovers from the panic.
//
// The one gRPC connection is also one TCP connection (see onceScheme). If another node
// becomes the leader and that node answers, the client goes there by itself. Nothing is
// appended there until the supervisor has made a new connection to it.
type connection struct {
	config esdb.Configuration
	client *esdb.Client
	logger *slog.Logger
	number atomic.Uint64 // connections are numbered from 1; the constant never, once no append may be sent over this one

	ctx  context.Context // ends when the connection is given up; its cause says why
	drop context.CancelCauseFunc

	use    context.Context // ends when the connection must be replaced, or is given up
	retire context.CancelCauseFunc

	slots  chan struct{} // taken by calls in flight
	inside gate          // goroutines that are calling the client
	doubt  chan struct{} // holds one signal: a call got no answer
}

func newConnection(config esdb.Configuration, inFlight int, logger *slog.Logger) *connection {
	c := &connection{
		config: config,
		logger: logger,
		slots:  make(chan struct{}, inFlight),
		doubt:  make(chan struct{}, 1),
	}
	c.ctx, c.drop = context.WithCancelCause(context.Background())
	c.use, c.retire = context.WithCancelCause(c.ctx)
	return c
}

// dial makes a client and waits until it has found a server. The client ignores contexts
// while it searches.
func dial(ctx context.Context, config esdb.Configuration, inFlight int, logger *slog.Logger) (*connection, error) {
	c := newConnection(config, inFlight, logger)
	if err := locate(ctx, &config); err != nil {
		return nil, err
	}
	address := config.Address
	once, withdraw := onceAddress(config.Address)
	config.Address, config.Logger = once, c.logClient
	client, err := esdb.NewClient(&config)
	if err != nil {
		withdraw()
		return nil, err
	}
	c.client = client
	looked := make(chan struct{})
	var failed error
	go func() {
		defer close(looked)
		defer withdraw()
		_, failed = recovered(client.GetServerVersion)
	}()
	select {
	case <-looked:
		if failed != nil {
			return nil, errors.Join(unlessTLS(ctx, &config, address, failed), client.Close())
		}
		return c, nil
	case <-ctx.Done():
		go func() { // bounded by the gossip timeout and the number of seeds
			<-looked
			_ = client.Close() // never fails
		}()
		return nil, context.Cause(ctx)
	}
}

// brokenOff means that a call was broken off when the client logged cause, so that the client does
// not try to recover.
type brokenOff struct{ cause error }

func (b *brokenOff) Error() string { return b.cause.Error() }
func (b *brokenOff) Unwrap() error { return b.cause }

// logClient is the client's logger. It runs in the goroutine of the call or, for errors of the
// node, in the client's own goroutine.
func (c *connection) logClient(level esdb.LogLevel, format string, args ...any) {
	switch format {
	case saysFailed:
		if len(args) == 1 {
			if err, ok := args[0].(error); ok && status.Code(err) == codes.Unavailable {
				panic(&brokenOff{cause: err})
			}
		}
	case saysLeader:
		c.checkLeader(fmt.Sprint(args...))
	}
	switch level {
	case esdb.LogError, esdb.LogWarn:
		c.logger.Debug("client: "+fmt.Sprintf(format, args...), "client_level", level)
	}
}

// ledBy is the error of a connection to a node that is not the leader. The leader is at
// address.
type ledBy struct{ address string }

func (l *ledBy) Error() string { return "the server names another leader: " + l.address }

// never is the number of a connection over which no append may be sent.
const never = math.MaxUint64

// checkLeader is called before the client goes to a leader that the server named. It makes sure
// that this leader answers, because otherwise the client would forget to close its connection to
// it. The client has already closed the old connection, so its goroutine can be ended here. If the
// leader answers, calls in flight may finish there, and the connection is replaced.
func (c *connection) checkLeader(address string) {
	c.number.Store(never)
	config := c.config
	config.Address, config.GossipSeeds, config.DnsDiscover = address, nil, false
	leader, err := dial(c.ctx, config, 0, c.logger)
	if err != nil {
		c.drop(fmt.Errorf("the leader that the server named, %s: %w", address, err))
		runtime.Goexit()
	}
	leader.close(closeGrace)
	c.retire(&ledBy{address})
}

// close ends the client when no goroutine is calling it any more. To end it earlier would be a data
// race, because the client then closes a channel on which calls send. grace is how long close waits
// for calls. Calls that still block end when that channel is closed.
func (c *connection) close(grace time.Duration) {
	c.drop(errReplaced)
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := c.inside.shut(ctx); err != nil {
		c.logger.Warn("calls of a client that is given up did not end", "error", err)
	}
	_ = c.client.Close() // never fails
}

// drain lets the calls on a connection that is being replaced finish, until grace is over or
// ctx ends.
func (c *connection) drain(ctx context.Context, grace time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := c.inside.shut(ctx); err != nil {
		c.logger.Warn("calls on a connection that is replaced are cut off", "error", err)
	}
}

// suspect requests a check whether the server still answers.
func (c *connection) suspect() {
	select {
	case c.doubt <- struct{}{}:
	default:
	}
}

// gate counts the goroutines that are inside, and can be shut.
type gate struct {
	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside.Add(1)
	return true
}

func (g *gate) leave() { g.inside.Done() }

// shut lets no goroutine in any more, and waits until all have left or ctx ends.
func (g *gate) shut(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	empty := make(chan struct{})
	go func() {
		g.inside.Wait()
		close(empty)
	}()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
