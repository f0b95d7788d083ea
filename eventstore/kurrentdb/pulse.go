package kurrentdb

import (
	"context"
	"errors"
	"time"

	"daybook/eventstore"
	"daybook/internal/pause"
)

const (
	// pulseEvery is the pause between checks that the subscription still brings events.
	pulseEvery = 2 * time.Second
	// proveMax limits two waits of such a check: for the server's head, and then for the
	// subscription to reach it. So a connection that has fallen silent is noticed after
	// pulseEvery and proveMax, long before its keepalive notices it.
	proveMax = 4 * time.Second
)

// errStuck is the error of a subscription that yields nothing although the log has grown.
var errStuck = errors.New("the log has grown, and the subscription has not brought the new events")

// Pulse implements eventstore.PulseReporter.
func (s *Store) Pulse() eventstore.Pulse { return s.pulse.Pulse() }

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
		s.pulse.Note(ctx, s.logger, began, err)
		pause.For(ctx, pulseEvery)
	}
}

// compare compares the head, as the server reports it, with what the shared subscription has
// yielded. If a call gets no answer, its connection is checked, and is given up with all that
// runs over it.
func (s *Store) compare(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, proveMax)
	head, err := s.readHead(asking)
	cancel()
	if err != nil {
		return err
	}
	r := s.live.inUse()
	if r == nil {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, proveMax)
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
