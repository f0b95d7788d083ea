package commands

import (
	"context"
	"log/slog"
	"time"

	"daybook/domain/unit"
)

// TimerKind says what a timer's deadline is of.
type TimerKind string

const (
	// OrderDeadline: an order, its target, expires unless it was confirmed.
	OrderDeadline TimerKind = "order"
	// ReservationDeadline: a reservation, its item, in the stock stream that is
	// its target expires.
	ReservationDeadline TimerKind = "reservation"
	// CartDeadline: an open cart, its target, expires unless it was changed since.
	CartDeadline TimerKind = "cart"
)

// Deadline is the whole identity of a timer: two deadlines that differ in any
// member are two timers. It is comparable, and the database's primary key is
// made of the same members.
type Deadline struct {
	Kind TimerKind
	// Target is what the timer is fired at: an order's id, or the name of a
	// stream.
	Target string
	// Item is what has the deadline, where the target can have several: a
	// reservation's id. It is empty where the target itself has the deadline.
	Item string
}

func (d Deadline) String() string {
	if d.Item == "" {
		return string(d.Kind) + " " + d.Target
	}
	return string(d.Kind) + " " + d.Target + " " + d.Item
}

// orderDeadline is when an order expires that was not confirmed.
func orderDeadline(id unit.OrderID) Deadline {
	return Deadline{Kind: OrderDeadline, Target: string(id)}
}

// cartDeadline is when an open cart expires that nobody changed meanwhile.
func cartDeadline(id unit.CartID) Deadline {
	return Deadline{Kind: CartDeadline, Target: string(id)}
}

// reservationDeadline is when a reservation in a stream of stock expires. The
// same reservation id in another stream is another reservation.
func reservationDeadline(stream string, id unit.ReservationID) Deadline {
	return Deadline{Kind: ReservationDeadline, Target: stream, Item: string(id)}
}

// Timer is when a deadline is due. Setting it again moves it.
type Timer struct {
	Deadline
	DueAt time.Time
}

// PostponedError is what firing a timer returns when its deadline has moved
// since the timer was set. The timer stays, due at Until, and that is no failure.
type PostponedError struct{ Until time.Time }

func (e *PostponedError) Error() string {
	return "postponed until " + e.Until.UTC().Format(time.RFC3339Nano)
}

// TimerQueue holds timers by the database's clock, shared by all nodes.
type TimerQueue interface {
	// FireDue calls fire for timers that are due, each with the database's time,
	// and removes those for which it succeeded. Those for which it returned a
	// *PostponedError come back when that says, the others after a pause. A timer
	// another node is firing is skipped. It returns how many were due and
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
