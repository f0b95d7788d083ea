package reactor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
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
	// Failures is how often firing it has failed, as far as the queue knows.
	Failures int
}

// stream is the one that firing the timer changes.
func (t Timer) stream() string {
	switch t.Kind {
	case OrderDeadline:
		return order.Stream(unit.OrderID(t.Target))
	case CartDeadline:
		return cart.Stream(unit.CartID(t.Target))
	case ReservationDeadline:
	}
	return t.Target
}

// process is how a timer is parked. The step is its kind and item, from which
// Process.timer makes it again.
func (t Timer) process(cause error, now time.Time) Process {
	step := strings.TrimSpace(string(t.Kind) + " " + t.Item)
	p := Process{
		ID: processID(workTimer, t.Target, step), Kind: string(workTimer), Subject: t.Target, Step: step,
		Stream: t.stream(), Since: t.DueAt, Tries: int64(t.Failures) + 1, FirstTried: now, LastTried: now, Reason: cause.Error(),
	}
	if odd, is := errors.AsType[*aggregate.UndecodableError](cause); is && odd.Stream == p.Stream {
		p.Revision = odd.Revision
	}
	return p
}

// timer is what was parked.
func (p Process) timer() Timer {
	kind, item, _ := strings.Cut(p.Step, " ")
	return Timer{Deadline: Deadline{Kind: TimerKind(kind), Target: p.Subject, Item: item}, DueAt: p.Since}
}

// GiveUpError is what firing a timer returns when it is to be parked: the queue
// removes the timer and keeps the process instead.
type GiveUpError struct {
	Process Process
	Cause   error
}

func (e *GiveUpError) Error() string { return "given up: " + e.Cause.Error() }
func (e *GiveUpError) Unwrap() error { return e.Cause }

// PostponedError is what firing a timer returns when its deadline has moved
// since the timer was set. The timer stays, due at Until, and that is no failure.
type PostponedError struct{ Until time.Time }

func (e *PostponedError) Error() string {
	return "postponed until " + e.Until.UTC().Format(time.RFC3339Nano)
}

// FireTimer does what a deadline asks for, at a time.
func FireTimer(ctx context.Context, finisher Finisher, timer Timer, now time.Time) error {
	switch timer.Kind {
	case OrderDeadline:
		return finisher.ExpireOrder(ctx, timer.meta(0), unit.OrderID(timer.Target), now)
	case ReservationDeadline:
		return expireReservations(ctx, finisher, timer, now)
	case CartDeadline:
		postponed, err := finisher.ExpireCart(ctx, timer.meta(0), unit.CartID(timer.Target), now)
		if err == nil && !postponed.IsZero() {
			err = &PostponedError{Until: postponed}
		}
		return err
	}
	return fmt.Errorf("timer %s: unknown kind %q", timer.Deadline, timer.Kind)
}

// expireReservations ends all that are due in a stream; one decision ends only so
// many of them.
func expireReservations(ctx context.Context, finisher Finisher, timer Timer, now time.Time) error {
	key, err := stock.ParseStream(timer.Target)
	if err != nil {
		return err
	}
	for round := 0; ; round++ {
		some, err := finisher.ExpireReservations(ctx, timer.meta(round), key, now)
		if err != nil || !some {
			return err
		}
	}
}

// meta is that of what the timer's firing does. Its command id is one for each deadline,
// and round.
func (t Timer) meta(round int) eventstore.Metadata {
	command := unit.TimerCommand.Of(string(t.Kind), t.Target, t.Item, t.DueAt.UTC().Format(time.RFC3339Nano), strconv.Itoa(round))
	return eventstore.Metadata{CommandID: uuid.UUID(command.UUID()), CorrelationID: t.Target, Actor: "system:timer"}
}

// TimerQueue holds timers by the database's clock, shared by all nodes.
type TimerQueue interface {
	// FireDue calls fire for timers that are due, each with the database's time,
	// and removes those for which it succeeded. Those for which it returned a
	// *PostponedError come back when that says, those for which it was a *GiveUpError
	// are parked, and the others come back after a pause. A timer
	// another node is firing is skipped. It returns how many were due and
	// how long it is until the next one, 0 if none is set.
	FireDue(ctx context.Context, fire func(ctx context.Context, timer Timer, now time.Time) error) (due int, next time.Duration, err error)
}

// Clockwork fires timers.
type Clockwork struct {
	Queue    TimerQueue
	Finisher Finisher
	Logger   *slog.Logger

	nudged chan struct{}
}

// NewClockwork makes a clockwork; Nudge it when a timer was set.
func NewClockwork(queue TimerQueue, finisher Finisher, logger *slog.Logger) *Clockwork {
	return &Clockwork{Queue: queue, Finisher: finisher, Logger: logger, nudged: make(chan struct{}, 1)}
}

// Nudge makes the clockwork look again at what is due when.
func (c *Clockwork) Nudge() {
	select {
	case c.nudged <- struct{}{}:
	default:
	}
}

// fire fires a timer. It gives up a timer that can do nothing, because its stream
// cannot be read, or because firing has failed often while the log could be reached.
func (c *Clockwork) fire(ctx context.Context, timer Timer, now time.Time) error {
	err := aggregate.Safely(func() error { return FireTimer(ctx, c.Finisher, timer, now) })
	if _, postponed := errors.AsType[*PostponedError](err); err == nil || postponed || ctx.Err() != nil && !unreadable(err) {
		return err
	}
	if unreadable(err) || !excused(err) && !timedOut(err) && timer.Failures+1 >= triesFailed {
		c.Logger.ErrorContext(ctx, "a timer can do nothing, it is parked", "timer", timer.String(), "tries", timer.Failures+1, "error", err)
		return &GiveUpError{Process: timer.process(err, now), Cause: err}
	}
	c.Logger.WarnContext(ctx, "timer not fired, trying again", "timer", timer.String(), "tries", timer.Failures+1, "error", err)
	return err
}

// longestNap bounds how long a timer that another node set can go unseen.
const longestNap = 10 * time.Second

// Run fires timers until ctx ends.
func (c *Clockwork) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		due, next, err := c.Queue.FireDue(ctx, c.fire)
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
