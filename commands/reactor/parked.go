package reactor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// UnfinishedWork is a checkout, a merge of two carts or of two accounts, an order or a return with
// open steps, a timer, an event that cannot be read (so nobody knows what follows from it), or an
// event that another program wrote into a stream of the shop.
type UnfinishedWork struct {
	ID      uuid.UUID
	Kind    string // checkout, order, return, refund, merge, customer_merge, event or timer
	Subject string // the id of the cart, order, return or customer; of an event: its stream; of a timer: its target
	// Step is the order of a checkout, the open part of a return, the part of a refund, the other
	// cart or account of a merge, the type of an event, or, of a timer, its kind and the id of the
	// reservation, such as "reservation r1".
	Step string
	// The event that began it.
	Stream   string
	Revision int64
	Position eventstore.Position
	Since    time.Time // when that event was recorded
	Meta     []byte
	// Set for parked work: how often it was tried, when, and why the last try failed. An open
	// process has no tries.
	Tries                 int64
	FirstTried, LastTried time.Time
	Reason                string
	cause                 error // the error that Reason comes from, if it is known
	// Set for dismissed work: when it was dismissed, by whom and why.
	Dismissed                    time.Time
	DismissedBy, DismissedReason string
}

// workEvent is the kind of an event that cannot be read. The tracker never has open work of
// this kind.
const workEvent workKind = "event"

// workTimer is the kind of a timer that could not be fired.
const workTimer workKind = "timer"

// ParkingLot stores parked work: work that could not be finished. It is tried again now and
// then, and no other work waits for it.
type ParkingLot interface {
	// Parked lists parked work by ascending id. It begins after the given id.
	Parked(ctx context.Context, after uuid.UUID, limit int) ([]UnfinishedWork, error)
	// FindParked returns nil if no work with this id is parked.
	FindParked(ctx context.Context, id uuid.UUID) (*UnfinishedWork, error)
	// Dismiss notes that an operator leaves parked work as it is. found is false if no work
	// with this id is parked. If the work was dismissed before, nothing changes.
	Dismiss(ctx context.Context, id uuid.UUID, at time.Time, by, reason string) (found bool, err error)
	// CountParked counts the parked work that is not dismissed.
	CountParked(ctx context.Context) (int64, error)
	// TryFailed notes another try of parked work.
	TryFailed(ctx context.Context, id uuid.UUID, at time.Time, reason string) error
	// Unpark removes parked work, and sets and clears timers. It does all of this or nothing.
	Unpark(ctx context.Context, id uuid.UUID, set []Timer, clear []Deadline) error
}

// unfinished is the work in the form in which it is listed and parked.
func (w Work) unfinished() UnfinishedWork {
	return UnfinishedWork{
		ID: workID(w.key.kind, w.key.id, w.key.step), Kind: string(w.key.kind), Subject: w.key.id, Step: w.key.step,
		Stream: w.Stream, Revision: w.revision, Position: w.position, Since: w.Since, Meta: w.Meta,
	}
}

func workID(kind workKind, subject, step string) uuid.UUID {
	return uuid.UUID(unit.ProcessID.Of(string(kind), subject, step).UUID())
}

// undecodable is the unfinished work of an event that cannot be read.
func undecodable(e eventstore.Recorded, cause error, now time.Time) UnfinishedWork {
	step := fmt.Sprintf("%s at revision %d", e.Type, e.Revision)
	return UnfinishedWork{
		ID: workID(workEvent, e.Stream, step), Kind: string(workEvent), Subject: e.Stream, Step: step,
		Stream: e.Stream, Revision: e.Revision, Position: e.Position, Since: e.RecordedAt, Meta: e.Meta,
		Tries: 1, FirstTried: now, LastTried: now, Reason: cause.Error(), cause: cause,
	}
}

// streams returns the streams to watch: after a new event there, a try may succeed.
func (p UnfinishedWork) streams() []string {
	switch workKind(p.Kind) {
	case workCheckout:
		return []string{p.Stream, order.Stream(unit.OrderID(p.Step))}
	case workMerge:
		return []string{p.Stream, cart.Stream(unit.CartID(p.Step))}
	case workAccounts:
		return []string{p.Stream, customer.Stream(unit.CustomerID(p.Step))}
	case workOrder, workReturn, workRefund, workEvent, workTimer:
	}
	return []string{p.Stream}
}

const parkedPage = 500

// allParked yields all parked work.
func allParked(ctx context.Context, lot ParkingLot) iter.Seq2[UnfinishedWork, error] {
	return func(yield func(UnfinishedWork, error) bool) {
		for after := uuid.Nil; ; {
			page, err := lot.Parked(ctx, after, parkedPage)
			if err != nil {
				yield(UnfinishedWork{}, err)
				return
			}
			for _, parked := range page {
				if !yield(parked, nil) {
					return
				}
				after = parked.ID
			}
			if len(page) < parkedPage {
				return
			}
		}
	}
}

// ParkedWork retries and dismisses parked work. Any node may do this, and several nodes at
// once.
type ParkedWork struct {
	Lot      ParkingLot
	Finisher Finisher
	Store    eventstore.Store
	Now      func() time.Time
	// CartsExpireAfter is commands.Policy.CartsExpireAfter.
	CartsExpireAfter time.Duration
}

// ErrNotParked means that no work with this id is parked: it was finished, or never existed.
var ErrNotParked = errors.New("no process of that id is parked")

// Retry tries parked work once. It returns the work after the try, and whether it is finished.
// If it is not, Reason says why. After an error, it is not known whether the work is finished.
func (p *ParkedWork) Retry(ctx context.Context, id uuid.UUID) (now UnfinishedWork, finished bool, err error) {
	parked, err := p.Lot.FindParked(ctx, id)
	switch {
	case err != nil:
		return UnfinishedWork{}, false, err
	case parked == nil:
		return UnfinishedWork{}, false, ErrNotParked
	}
	return p.try(ctx, *parked)
}

// Dismiss leaves parked work as it is. Such work no longer counts as a fault, and is tried
// again only when its stream has a new event, or by Retry. Dismiss returns the work as it is
// now. Error: ErrNotParked.
func (p *ParkedWork) Dismiss(ctx context.Context, id uuid.UUID, by, reason string) (UnfinishedWork, error) {
	found, err := p.Lot.Dismiss(ctx, id, p.Now(), by, reason)
	if err != nil {
		return UnfinishedWork{}, err
	}
	parked, err := p.Lot.FindParked(ctx, id)
	if err != nil {
		return UnfinishedWork{}, err
	}
	if !found || parked == nil {
		return UnfinishedWork{}, ErrNotParked
	}
	return *parked, nil
}

func (p *ParkedWork) try(ctx context.Context, parked UnfinishedWork) (now UnfinishedWork, finished bool, err error) {
	set, clear, cause := p.finish(ctx, parked)
	if ctx.Err() != nil {
		return parked, false, context.Cause(ctx)
	}
	if cause == nil {
		return parked, true, p.Lot.Unpark(ctx, parked.ID, set, clear)
	}
	parked.Tries++
	parked.LastTried, parked.Reason, parked.cause = p.Now(), cause.Error(), cause
	return parked, false, p.Lot.TryFailed(ctx, parked.ID, parked.LastTried, parked.Reason)
}

func (p *ParkedWork) finish(ctx context.Context, parked UnfinishedWork) (set []Timer, clear []Deadline, err error) {
	work := Work{
		key: workKey{workKind(parked.Kind), parked.Subject, parked.Step}, Stream: parked.Stream, ID: parked.Subject,
		Since: parked.Since, Meta: parked.Meta, revision: parked.Revision,
	}
	switch work.key.kind {
	case workCheckout:
		work.ID = parked.Step
	case workOrder, workReturn, workRefund, workMerge, workAccounts:
	case workEvent:
		return p.finishEvent(ctx, work, parked.Revision)
	case workTimer:
		return p.fireTimer(ctx, parked.timer())
	}
	return nil, nil, finishWork(ctx, p.Finisher, work)
}

// fireTimer fires a parked timer. If its deadline has moved, the timer is set again.
func (p *ParkedWork) fireTimer(ctx context.Context, timer Timer) (set []Timer, clear []Deadline, err error) {
	err = aggregate.Safely(func() error { return FireTimer(ctx, p.Finisher, timer, p.Now()) })
	if postponed, moved := errors.AsType[*PostponedError](err); moved {
		return []Timer{{Deadline: timer.Deadline, DueAt: postponed.Until}}, nil, nil
	}
	return nil, nil, err
}

// finishEvent tries again to read an event that could not be read. If it succeeds, it finishes
// the work that the event begins, and returns the timers that the event sets and clears.
func (p *ParkedWork) finishEvent(ctx context.Context, work Work, revision int64) (set []Timer, clear []Deadline, err error) {
	begun := newTracker(eventstore.Start, p.CartsExpireAfter)
	found := false
	for e, err := range p.Store.ReadStream(ctx, work.Stream, revision, 1) {
		if err != nil {
			return nil, nil, err
		}
		if found = e.Revision == revision; !found {
			break // the stream was truncated, and this is the first event that is left
		}
		if err := begun.event(e); eventstore.IsForeign(err) {
			return nil, nil, err
		} else if err != nil {
			return nil, nil, &aggregate.UndecodableError{Stream: e.Stream, Revision: e.Revision, Cause: err}
		}
	}
	if !found {
		return nil, nil, fmt.Errorf("stream %s has no event at revision %d any more", work.Stream, revision)
	}
	for open := range begun.inOrder() {
		if err := finishWork(ctx, p.Finisher, open); err != nil {
			return nil, nil, err
		}
	}
	if len(begun.timers.set)+len(begun.timers.clear) > 0 {
		if err := p.bringUp(ctx, begun, work.Stream, revision+1); err != nil {
			return nil, nil, err
		}
	}
	set, clear = begun.timers.due(time.Now())
	return set, clear, nil
}

// bringUp applies the later events of a stream to the timers that an earlier event has set or
// cleared. The reactor read those later events when the earlier one could not be read yet.
func (p *ParkedWork) bringUp(ctx context.Context, begun *tracker, stream string, from int64) error {
	later := newTracker(eventstore.Start, p.CartsExpireAfter)
	concerned := func(d Deadline) bool { _, set := begun.timers.set[d]; return set || begun.timers.clear[d] }
	for e, err := range p.Store.ReadStream(ctx, stream, from, 0) {
		if err != nil {
			return err
		}
		if err := later.event(e); err != nil {
			continue // this event is parked on its own
		}
		set, clear := later.timers.due(time.Now())
		for _, timer := range set {
			if concerned(timer.Deadline) {
				begun.setTimer(timer)
			}
		}
		for _, deadline := range clear {
			if concerned(deadline) {
				begun.timers.remove(deadline)
			}
		}
	}
	return nil
}
