package kurrentdb

import (
	"context"
	"errors"
	"sync"
	"time"

	"daybook/eventstore"
)

const (
	// pulseEvery is the pause between checks that the subscription still brings events.
	pulseEvery = 2 * time.Second
	// lookMax limits two waits of such a check: for the server's head, then for the
	// subscription to reach it. A connection that
	// has fallen silent is noticed after pulseEvery and lookMax, long before its
	// keepalive notices it.
	lookMax = 4 * time.Second
)

// errStuck is of a subscription that brings nothing though the log goes on.
var errStuck = errors.New("the log has gone on, and the subscription has not brought it")

// tellEvery bounds how often a lasting outage is logged.
const tellEvery = time.Minute

// pulse is how fresh the shared subscription is.
type pulse struct {
	mu   sync.Mutex
	at   eventstore.Pulse
	told time.Time // when it was last logged that the log is not heard
}

// Pulse implements eventstore.Proving.
func (s *Store) Pulse() eventstore.Pulse {
	s.pulse.mu.Lock()
	defer s.pulse.mu.Unlock()
	return s.pulse.at
}

// prove checks every pulseEvery, until the store is closed, that events still arrive.
func (s *Store) prove() {
	ctx, stop := s.untilClosed(context.Background())
	defer stop()
	for ctx.Err() == nil {
		began := time.Now()
		err := s.compare(ctx)
		if ctx.Err() != nil {
			return
		}
		s.notePulse(ctx, began, err)
		pause(ctx, pulseEvery)
	}
}

// compare compares the head, as the server tells it, with what the shared
// subscription has brought. A call without an answer has the connection looked at,
// and given up with all that runs over it.
func (s *Store) compare(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, lookMax)
	head, err := s.readHead(asking)
	cancel()
	if err != nil {
		return err
	}
	r := s.live.inUse()
	if r == nil {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, lookMax)
	defer cancel()
	for {
		reached, changed := r.reached(head)
		if reached {
			return nil
		}
		select {
		case <-changed:
		case <-waiting.Done():
			r.open(errStuck)
			return errStuck
		}
	}
}

func (s *Store) notePulse(ctx context.Context, began time.Time, err error) {
	s.pulse.mu.Lock()
	before := s.pulse.at
	if s.pulse.at.Trouble = err; err == nil {
		s.pulse.at.Proven = began
	}
	tells := err != nil && (before.Trouble == nil || began.Sub(s.pulse.told) >= tellEvery)
	if tells {
		s.pulse.told = began
	}
	s.pulse.mu.Unlock()
	switch {
	case tells:
		s.logger.WarnContext(ctx, "event store does not hear the log: subscriptions bring nothing new", "since", before.Proven, "error", err)
	case err == nil && before.Trouble != nil:
		s.logger.InfoContext(ctx, "event store hears the log again", "after", began.Sub(before.Proven))
	}
}
