package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/pgpool"
)

// stopTimes are the bounds of a stop.
type stopTimes struct {
	ways time.Duration // for the requests and the calls of the gateway that are under way
	all  time.Duration // for everything, including ways; an embedded database that is frozen takes two seconds more
}

var (
	stopMax = stopTimes{ways: 4 * time.Second, all: 9 * time.Second}
	// silentStopMax is for a stop while the database or the log does not answer. Nothing could be
	// finished then, so the stop does not wait. With the time to find this out, such a stop takes
	// less than 5 s.
	silentStopMax = stopTimes{ways: 500 * time.Millisecond, all: 1500 * time.Millisecond}
)

// answerMax is how long a stop waits for the database to answer one question.
const answerMax = time.Second

// stopTimes tells how long a stop may take.
func (n *node) stopTimes(ctx context.Context) stopTimes {
	if n.silent(ctx) {
		n.log.WarnContext(ctx, "the database or the log does not answer; what is under way is cut off")
		return silentStopMax
	}
	return stopMax
}

// silent tells whether the database does not answer on the node's connections, or the log did not
// answer the last time.
func (n *node) silent(ctx context.Context) bool {
	if n.store != nil && n.store.Pulse().Trouble != nil {
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerMax)
	defer cancel()
	answers := make(chan bool, len(n.pools()))
	for _, pool := range n.pools() {
		go func() {
			err := pool.Ping(ctx)
			_, silent := errors.AsType[*pgpool.SilentError](err)
			stat := pool.Stat()
			// If no connection of a pool is free, nothing is known about the database.
			waited := errors.Is(err, context.DeadlineExceeded) && stat.AcquiredConns() < stat.MaxConns()
			answers <- !silent && !waited
		}()
	}
	for range n.pools() {
		if !<-answers {
			return true
		}
	}
	return false
}

// pools are the pools that are open.
func (n *node) pools() []*pgxpool.Pool {
	var open []*pgxpool.Pool
	for _, pool := range []*pgxpool.Pool{n.readPool, n.viewPool, n.commandPool, n.logPool} {
		if pool != nil {
			open = append(open, pool)
		}
	}
	return open
}

// close closes the parts of the node in reverse order. Everything that was acknowledged is in the
// log. If ctx ends before some work is finished, the next start finishes it. close also works on a
// node that is only partly open.
func (n *node) close(ctx context.Context) error { return n.parts.stop(ctx) }

// closeInTime closes within the time of a stop, even if ctx has ended.
func (n *node) closeInTime(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.stopTimes(ctx).all)
	defer cancel()
	return n.close(ctx)
}

// closePool waits for the pool's connections to be given back, but not longer
// than ctx.
func closePool(ctx context.Context, pool *pgxpool.Pool) error {
	if pool != nil && !inTime(ctx, pool.Close) {
		return fmt.Errorf("%d database connections still in use: %w", pool.Stat().AcquiredConns(), ctx.Err())
	}
	return nil
}

// inTime calls do, and tells whether it returned before ctx ended. If not, do goes on in the
// background.
func inTime(ctx context.Context, do func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}
