package kurrentdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"daybook/internal/pause"
)

const (
	minBackoff   = 50 * time.Millisecond
	maxBackoff   = time.Second
	probeTimeout = 2 * time.Second
	closeGrace   = 10 * time.Second
	connectMax   = 5 * time.Second
	tellEvery    = time.Minute
)

var (
	errClosed   = errors.New("the store is closed")
	errReplaced = errors.New("the connection was replaced")
	errBusy     = errors.New("too many calls in flight")
	errLooking  = errors.New("no connection yet")
)

// supervisor keeps one connection in use, and replaces it when it is given up.
type supervisor struct {
	config   esdb.Configuration
	logger   *slog.Logger
	inFlight int
	wait     time.Duration // for a connection and a slot
	timeout  time.Duration // of a call

	ctx   context.Context // ends when the store is closed
	stop  context.CancelFunc
	ended chan struct{}  // closed when run has returned
	old   sync.WaitGroup // connections that are being closed
	calls gate           // open until the store is closed
	made  atomic.Uint64  // calls begun

	connections atomic.Uint64 // made so far, counted before the first call on it

	loggedReason string    // the last logged reason why there was no connection; used by run only
	loggedAt     time.Time // when it was logged

	mu      sync.Mutex
	current *connection   // nil while there is none
	lack    error         // why there is no connection
	changed chan struct{} // closed when current or lack changes
}

func newSupervisor(config esdb.Configuration, options Options) *supervisor {
	s := &supervisor{
		config:   config,
		logger:   options.Logger,
		inFlight: options.InFlight,
		wait:     options.Wait,
		timeout:  defaultTimeout,
		ended:    make(chan struct{}),
		lack:     errLooking,
		changed:  make(chan struct{}),
	}
	if config.DefaultDeadline != nil {
		s.timeout = *config.DefaultDeadline
	}
	// The supervisor tries again and again, with its own pauses.
	s.config.MaxDiscoverAttempts, s.config.DiscoveryInterval = 1, 0
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// run is the only goroutine that connects, so there is never more than one attempt at a time.
func (s *supervisor) run() {
	defer close(s.ended)
	defer s.old.Wait()
	config := s.config
	for backoff := minBackoff; ; backoff = min(2*backoff, maxBackoff) {
		began := time.Now()
		dialing, cancel := context.WithTimeoutCause(s.ctx, s.dialMax(), errTimeout)
		c, err := dial(dialing, config, s.inFlight, s.logger)
		cancel()
		if err == nil {
			s.publish(c, nil)
			s.loggedReason = ""
			err = s.watch(c)
			s.old.Go(func() {
				if c.ctx.Err() == nil && s.ctx.Err() == nil {
					c.drain(s.ctx, closeGrace)
				}
				c.close(closeGrace)
			})
		}
		if s.ctx.Err() != nil {
			s.publish(nil, errClosed)
			return
		}
		s.publish(nil, err)
		config = s.config
		if named, ok := errors.AsType[*ledBy](err); ok {
			config.Address, config.GossipSeeds, config.DnsDiscover = named.address, nil, false
			s.logger.Info("another node of the event store leads", "address", named.address)
			continue
		}
		if time.Since(began) > maxBackoff {
			backoff = minBackoff
		}
		s.logLack(err)
		pause.For(s.ctx, backoff/2+rand.N(backoff))
	}
}

// logLack logs why there is no connection: each reason once, and again each minute. It does
// not log that there is none at the start, because Open reports that.
func (s *supervisor) logLack(err error) {
	reason, _ := diagnosis(err)
	if s.connections.Load() == 0 || reason == s.loggedReason && time.Since(s.loggedAt) < tellEvery {
		s.logger.Debug("no connection to the event store", "error", err)
		return
	}
	s.loggedReason, s.loggedAt = reason, time.Now()
	s.logger.Warn("no connection to the event store", "error", err)
}

// dialMax bounds one attempt to connect, because a server may accept a connection and then
// not answer.
func (s *supervisor) dialMax() time.Duration {
	return max(connectMax, 2*gossipTimeout(&s.config))
}

func (s *supervisor) publish(c *connection, lack error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c != nil {
		c.number.Store(s.connections.Add(1))
	}
	s.current, s.lack = c, lack
	close(s.changed)
	s.changed = make(chan struct{})
}

// watch returns why a connection is given up. If calls on it got no answer, it makes a small
// call. So a connection that was cut silently is noticed long before its keepalive notices
// it.
func (s *supervisor) watch(c *connection) error {
	for {
		select {
		case <-c.use.Done():
			return context.Cause(c.use)
		case <-s.ctx.Done():
			return errClosed
		case <-c.doubt:
			ctx, cancel := context.WithTimeout(c.ctx, probeTimeout)
			_, err := guard(ctx, c, endOfLog)
			cancel()
			if err != nil && !answers(judge(err)) {
				c.drop(fmt.Errorf("the server does not answer: %w", err))
			}
		}
	}
}

// take returns a connection and takes a slot of it, or returns the reason why there is none
// in time.
func (s *supervisor) take(ctx context.Context) (*connection, error) {
	timer := time.NewTimer(s.wait)
	defer timer.Stop()
	for {
		s.mu.Lock()
		c, lack, changed := s.current, s.lack, s.changed
		s.mu.Unlock()
		if c == nil {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-s.ctx.Done():
				return nil, errClosed
			case <-timer.C:
				return nil, lack
			}
		}
		select {
		case c.slots <- struct{}{}:
			if c.ctx.Err() == nil && c.inside.enter() {
				return c, nil
			}
			<-c.slots
		case <-c.ctx.Done():
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
			return nil, errBusy
		}
		select { // given up, so wait for the next one
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
			return nil, errLooking
		}
	}
}

// first waits for the first connection, or for the reason why there will be none.
func (s *supervisor) first(ctx context.Context) error {
	for {
		s.mu.Lock()
		c, lack, changed := s.current, s.lack, s.changed
		s.mu.Unlock()
		if c != nil {
			return nil
		}
		if _, hopeless := diagnosis(lack); hopeless {
			return lack
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return lack
		}
	}
}

// close lets calls finish until ctx ends, and then cuts off the rest.
func (s *supervisor) close(ctx context.Context) error {
	if err := s.calls.shut(ctx); err != nil {
		s.stop()
		return err
	}
	s.stop()
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
