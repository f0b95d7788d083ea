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

// TimerKind says what kind of thing has the deadline.
type TimerKind string

const (
	// OrderDeadline: the order that is the target expires, if it is not confirmed.
	OrderDeadline TimerKind = "order"
	// ReservationDeadline: the reservation that is the item expires. The target is its stock
	// stream.
	ReservationDeadline TimerKind = "reservation"
	// CartDeadline: the open cart that is the target expires, if it was not changed since.
	CartDeadline TimerKind = "cart"
	// RefundDeadline: the provider of a payment must have said what became of the part of a refund
	// that is the item. The target is the order.
	RefundDeadline TimerKind = "refund"
	// HoldDeadline: what the target stream holds for the order that is the item may have to end.
	HoldDeadline TimerKind = "hold"
	// GiftCardDeadline: the gift card whose stream is the target expires.
	GiftCardDeadline TimerKind = "gift_card"
)

// refundAnswerMax is how long a provider may take to say how a refund ended. After that somebody
// must look at it.
const refundAnswerMax = 24 * time.Hour

// Deadline identifies a timer: two deadlines that differ in any member have two timers.
// Deadlines can be compared with ==. The database's primary key has the same members.
type Deadline struct {
	Kind TimerKind
	// Target is what the timer is fired at: an order's id, or the name of a
	// stream.
	Target string
	// Item is a reservation's id, because a stock stream can have several deadlines. For a hold it
	// is the order's id, and for a refund the id of its part. It is empty if the target itself has
	// the deadline.
	Item string
}

func (d Deadline) String() string {
	if d.Item == "" {
		return string(d.Kind) + " " + d.Target
	}
	return string(d.Kind) + " " + d.Target + " " + d.Item
}

// orderDeadline is the deadline for the confirmation of an order.
func orderDeadline(id unit.OrderID) Deadline {
	return Deadline{Kind: OrderDeadline, Target: string(id)}
}

// refundDeadline is the deadline for the end of a part of a refund.
func refundDeadline(id unit.OrderID, part unit.TransactionID) Deadline {
	return Deadline{Kind: RefundDeadline, Target: string(id), Item: string(part)}
}

// cartDeadline is the deadline of an open cart.
func cartDeadline(id unit.CartID) Deadline {
	return Deadline{Kind: CartDeadline, Target: string(id)}
}

// holdDeadline is the deadline of what a stream holds for an order.
func holdDeadline(stream string, id unit.OrderID) Deadline {
	return Deadline{Kind: HoldDeadline, Target: stream, Item: string(id)}
}

// giftCardDeadline is the end of the time of a gift card.
func giftCardDeadline(stream string) Deadline {
	return Deadline{Kind: GiftCardDeadline, Target: stream}
}

// reservationDeadline is the deadline of a reservation in a stock stream. The same reservation
// id in another stream is another reservation.
func reservationDeadline(stream string, id unit.ReservationID) Deadline {
	return Deadline{Kind: ReservationDeadline, Target: stream, Item: string(id)}
}

// Timer is a deadline with its time. If it is set again, its time moves.
type Timer struct {
	Deadline
	DueAt time.Time
	// Failures is how often the timer was fired without success, as the queue has counted.
	Failures int
}

// stream is the stream that changes when the timer is fired.
func (t Timer) stream() string {
	switch t.Kind {
	case OrderDeadline, RefundDeadline:
		return order.Stream(unit.OrderID(t.Target))
	case CartDeadline:
		return cart.Stream(unit.CartID(t.Target))
	case ReservationDeadline, HoldDeadline, GiftCardDeadline:
	}
	return t.Target
}

// unfinished is the timer in the form in which it is parked. Its step has the kind and the item,
// so that UnfinishedWork.timer can make the timer again.
func (t Timer) unfinished(cause error, now time.Time) UnfinishedWork {
	step := string(t.Kind)
	if t.Item != "" { // an item of a foreign event may be a blank
		step += " " + t.Item
	}
	p := UnfinishedWork{
		ID: workID(workTimer, t.Target, step), Kind: string(workTimer), Subject: t.Target, Step: step,
		Stream: t.stream(), Since: t.DueAt, Tries: int64(t.Failures) + 1, FirstTried: now, LastTried: now, Reason: cause.Error(),
	}
	if odd, is := errors.AsType[*aggregate.UndecodableError](cause); is && odd.Stream == p.Stream {
		p.Revision = odd.Revision
	}
	return p
}

// timer is the timer that was parked as this work.
func (p UnfinishedWork) timer() Timer {
	kind, item, _ := strings.Cut(p.Step, " ")
	return Timer{Deadline: Deadline{Kind: TimerKind(kind), Target: p.Subject, Item: item}, DueAt: p.Since}
}

// GiveUpError is returned when a timer is fired and must be parked. The queue removes the
// timer and parks Work.
type GiveUpError struct {
	Work  UnfinishedWork
	Cause error
}

func (e *GiveUpError) Error() string { return "given up: " + e.Cause.Error() }
func (e *GiveUpError) Unwrap() error { return e.Cause }

// PostponedError is returned when a timer is fired and its deadline has moved. The timer stays
// and is due at Until. This does not count as a failure.
type PostponedError struct{ Until time.Time }

func (e *PostponedError) Error() string {
	return "postponed until " + e.Until.UTC().Format(time.RFC3339Nano)
}

// FireTimer ends the thing whose deadline has passed. now is the present time.
func FireTimer(ctx context.Context, finisher Finisher, timer Timer, now time.Time) error {
	switch timer.Kind {
	case OrderDeadline:
		return finisher.ExpireOrder(ctx, timer.meta(0), unit.OrderID(timer.Target), now)
	case ReservationDeadline:
		return expireReservations(ctx, finisher, timer, now)
	case RefundDeadline:
		return finisher.CheckRefund(ctx, timer.meta(0), unit.OrderID(timer.Target), unit.TransactionID(timer.Item))
	case CartDeadline:
		postponed, err := finisher.ExpireCart(ctx, timer.meta(0), unit.CartID(timer.Target), now)
		if err == nil && !postponed.IsZero() {
			err = &PostponedError{Until: postponed}
		}
		return err
	case HoldDeadline:
		postponed, err := finisher.FollowHold(ctx, timer.meta(0), timer.Target, unit.OrderID(timer.Item), now)
		if err == nil && !postponed.IsZero() {
			err = &PostponedError{Until: postponed}
		}
		return err
	case GiftCardDeadline:
		return finisher.ExpireGiftCard(ctx, timer.meta(0), timer.Target, now)
	}
	return fmt.Errorf("timer %s: unknown kind %q", timer.Deadline, timer.Kind)
}

// expireReservations ends all reservations of a stream that are due. It may need several
// commands, because one decision ends only a limited number.
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

// meta is the metadata of the command that firing the timer sends. Each deadline and round has
// its own command id.
func (t Timer) meta(round int) eventstore.Metadata {
	command := unit.TimerCommand.Of(string(t.Kind), t.Target, t.Item, t.DueAt.UTC().Format(time.RFC3339Nano), strconv.Itoa(round))
	return eventstore.Metadata{CommandID: uuid.UUID(command.UUID()), CorrelationID: t.Target, Actor: "system:timer"}
}

// TimerQueue holds the timers of all nodes. Times are by the database's clock.
type TimerQueue interface {
	// FireDue calls fire for timers that are due, each with the database's time. If fire
	// succeeds, the timer is removed. After a *PostponedError it is fired again at the given
	// time, after a *GiveUpError it is parked, and after any other error it is fired again
	// after a pause. A timer that another node is firing is skipped. FireDue returns how many
	// timers were due, and how long it is until the next one (0 if no timer is set).
	FireDue(ctx context.Context, fire func(ctx context.Context, timer Timer, now time.Time) error) (due int, next time.Duration, err error)
}

// Clockwork fires timers when they are due.
type Clockwork struct {
	Queue    TimerQueue
	Finisher Finisher
	Logger   *slog.Logger

	again chan struct{}
}

// NewClockwork makes a clockwork. Call AskAgain when a timer was set.
func NewClockwork(queue TimerQueue, finisher Finisher, logger *slog.Logger) *Clockwork {
	return &Clockwork{Queue: queue, Finisher: finisher, Logger: logger, again: make(chan struct{}, 1)}
}

// AskAgain makes the clockwork ask the queue again for the next timer.
func (c *Clockwork) AskAgain() {
	select {
	case c.again <- struct{}{}:
	default:
	}
}

// fire fires a timer. It gives the timer up if its stream cannot be read, or if firing has
// failed often although the log could be reached.
func (c *Clockwork) fire(ctx context.Context, timer Timer, now time.Time) error {
	err := aggregate.Safely(func() error { return FireTimer(ctx, c.Finisher, timer, now) })
	if _, postponed := errors.AsType[*PostponedError](err); err == nil || postponed || ctx.Err() != nil && !unreadable(err) {
		return err
	}
	if unreadable(err) || !failedOutside(err) && !timedOut(err) && timer.Failures+1 >= triesFailed {
		c.Logger.ErrorContext(ctx, "a timer cannot be fired, it is parked", "timer", timer.String(), "tries", timer.Failures+1, "error", err)
		return &GiveUpError{Work: timer.unfinished(err, now), Cause: err}
	}
	c.Logger.WarnContext(ctx, "timer not fired, trying again", "timer", timer.String(), "tries", timer.Failures+1, "error", err)
	return err
}

// maxTimerWait bounds how long the clockwork waits. Another node may set a timer and not call
// AskAgain here. The timer is noticed after this time.
const maxTimerWait = 10 * time.Second

// Run fires timers until ctx ends.
func (c *Clockwork) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		due, next, err := c.Queue.FireDue(ctx, c.fire)
		nap := maxTimerWait
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
		case <-c.again:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}
