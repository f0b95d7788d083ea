package commands

import (
	"context"
	"log/slog"
	"time"
)

// TimerKind says what a timer's deadline is of.
type TimerKind string

const (
	// OrderDeadline: an order, its target, expires unless it was confirmed.
	OrderDeadline TimerKind = "order"
	// ReservationDeadline: a reservation in the stock stream that is its target
	// expires.
	ReservationDeadline TimerKind = "reservation"
)

// Timer is a deadline. Its key is its identity: setting it again moves it.
type Timer struct {
	Key    string
	Kind   TimerKind
	Target string
	DueAt  time.Time
}

// TimerQueue holds timers by the database's clock, shared by all nodes.
type TimerQueue interface {
	// FireDue calls fire for timers that are due, each with the database's time,
	// and removes those for which it succeeded; the others come back later. A
	// timer another node is firing is skipped. It returns how many were due and
	// how long it is until the next one, 0 if none is set.
	FireDue(ctx context.Context, fire func(ctx context.Context, timer Timer, now time.Time) error) (due int, next time.Duration, err error)
}

// Clockwork fires timers.
type Clockwork struct {
	Queue  TimerQueue
	Fire   func(ctx context.Context, timer Timer, now time.Time) error
	Logger *slog.Logger

	nudged chan struct{}
}

// NewClockwork makes a clockwork; Nudge it when a timer was set.
func NewClockwork(queue TimerQueue, fire func(ctx context.Context, timer Timer, now time.Time) error, logger *slog.Logger) *Clockwork {
	return &Clockwork{Queue: queue, Fire: fire, Logger: logger, nudged: make(chan struct{}, 1)}
}

// Nudge makes the clockwork look again at what is due when.
func (c *Clockwork) Nudge() {
	select {
	case c.nudged <- struct{}{}:
	default:
	}
}

// longestNap bounds how long a timer that another node set can go unseen.
const longestNap = 10 * time.Second

// Run fires timers until ctx ends.
func (c *Clockwork) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		due, next, err := c.Queue.FireDue(ctx, c.Fire)
		nap := longestNap
		switch {
		case err != nil && ctx.Err() == nil:
			c.Logger.Warn("timers not fired", "error", err)
			nap = time.Second
		case due > 0:
			nap = time.Millisecond
		case next > 0:
			nap = min(nap, next)
		}
		timer := time.NewTimer(nap)
		select {
		case <-timer.C:
		case <-c.nudged:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}
