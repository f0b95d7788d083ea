package reactor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// Process is work that spans aggregates: a checkout, what follows from an order's
// or a return's events, an unreadable event (its consequences are unknown), or an event
// that another program wrote into a stream of the shop's.
type Process struct {
	ID      uuid.UUID
	Kind    string // checkout, order, return, event or timer
	Subject string // the cart, the order, the return, the event's stream, or what a timer is fired at
	Step    string // of a checkout: the order; of a return: what is open; of an event: its type; of a timer: what is due
	// The event that it was begun by.
	Stream   string
	Revision int64
	Position eventstore.Position
	Since    time.Time // when that was recorded
	Meta     []byte
	// Of parked work: how often it was tried, when, and why the last try failed. An
	// open process has no tries.
	Tries                 int64
	FirstTried, LastTried time.Time
	Reason                string
	cause                 error // of Reason, where it is known
	// Of dismissed work: when, by whom and why it was.
	Dismissed                    time.Time
	DismissedBy, DismissedReason string
}

// workEvent is the kind of an event that cannot be read. It begins no work of the
// tracker's.
const workEvent workKind = "event"

// workTimer is the kind of a deadline that could not be kept.
const workTimer workKind = "timer"

// ParkingLot keeps parked work: what could not be finished, is tried again now and
// then, and holds up nothing meanwhile.
type ParkingLot interface {
	// Parked lists parked work by ascending id, after an id.
	Parked(ctx context.Context, after uuid.UUID, limit int) ([]Process, error)
	// FindParked is nil where there is no such parked work.
	FindParked(ctx context.Context, id uuid.UUID) (*Process, error)
	// Dismiss notes that parked work is to be left as it is; found is false where there
	// is no such parked work. What was dismissed before stays as it was.
	Dismiss(ctx context.Context, id uuid.UUID, at time.Time, by, reason string) (found bool, err error)
	// CountParked is how much there is that is not dismissed.
	CountParked(ctx context.Context) (int64, error)
	// TryFailed notes another try of parked work.
	TryFailed(ctx context.Context, id uuid.UUID, at time.Time, reason string) error
	// Unpark takes it out, and sets and clears timers with that, all or none.
	Unpark(ctx context.Context, id uuid.UUID, set []Timer, clear []Deadline) error
}

// process is how work is shown and parked.
func (w Work) process() Process {
	return Process{
		ID: processID(w.key.kind, w.key.id, w.key.step), Kind: string(w.key.kind), Subject: w.key.id, Step: w.key.step,
		Stream: w.Stream, Revision: w.revision, Position: w.position, Since: w.Since, Meta: w.Meta,
	}
}

func processID(kind workKind, subject, step string) uuid.UUID {
	return uuid.UUID(unit.ProcessID.Of(string(kind), subject, step).UUID())
}

// undecodable is the process of an event that cannot be read.
func undecodable(e eventstore.Recorded, cause error, now time.Time) Process {
	step := fmt.Sprintf("%s at revision %d", e.Type, e.Revision)
	return Process{
		ID: processID(workEvent, e.Stream, step), Kind: string(workEvent), Subject: e.Stream, Step: step,
		Stream: e.Stream, Revision: e.Revision, Position: e.Position, Since: e.RecordedAt, Meta: e.Meta,
		Tries: 1, FirstTried: now, LastTried: now, Reason: cause.Error(), cause: cause,
	}
}

// streams are those whose events may let parked work end.
func (p Process) streams() []string {
	if p.Kind == string(workCheckout) {
		return []string{p.Stream, order.Stream(unit.OrderID(p.Step))}
	}
	return []string{p.Stream}
}

const parkedPage = 500

// allParked lists everything that is parked.
func allParked(ctx context.Context, lot ParkingLot) iter.Seq2[Process, error] {
	return func(yield func(Process, error) bool) {
		for after := uuid.Nil; ; {
			page, err := lot.Parked(ctx, after, parkedPage)
			if err != nil {
				yield(Process{}, err)
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

// Processes retries parked work. Any node may do it, and several at once.
type Processes struct {
	Lot      ParkingLot
	Finisher Finisher
	Store    eventstore.Store
	Now      func() time.Time
	// CartsExpireAfter is the shop's, see commands.Policy.
	CartsExpireAfter time.Duration
}

// ErrNotParked means that there is no parked work of that id: it was finished, or
// never was.
var ErrNotParked = errors.New("no process of that id is parked")

// Retry tries parked work once. It returns the work as it is then, and whether it
// is finished; if it is not, Reason says why. An error means that neither is known.
func (p *Processes) Retry(ctx context.Context, id uuid.UUID) (now Process, finished bool, err error) {
	parked, err := p.Lot.FindParked(ctx, id)
	switch {
	case err != nil:
		return Process{}, false, err
	case parked == nil:
		return Process{}, false, ErrNotParked
	}
	return p.try(ctx, *parked)
}

// Dismiss leaves parked work as it is: it is tried again only when an event comes to
// its stream, or on demand, and counts as a fault no more. It returns the work as it
// is then. Error: ErrNotParked.
func (p *Processes) Dismiss(ctx context.Context, id uuid.UUID, by, reason string) (Process, error) {
	found, err := p.Lot.Dismiss(ctx, id, p.Now(), by, reason)
	if err != nil {
		return Process{}, err
	}
	parked, err := p.Lot.FindParked(ctx, id)
	if err != nil {
		return Process{}, err
	}
	if !found || parked == nil {
		return Process{}, ErrNotParked
	}
	return *parked, nil
}

func (p *Processes) try(ctx context.Context, parked Process) (now Process, finished bool, err error) {
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

func (p *Processes) finish(ctx context.Context, parked Process) (set []Timer, clear []Deadline, err error) {
	work := Work{
		key: workKey{workKind(parked.Kind), parked.Subject, parked.Step}, Stream: parked.Stream, ID: parked.Subject,
		Since: parked.Since, Meta: parked.Meta, revision: parked.Revision,
	}
	switch work.key.kind {
	case workCheckout:
		work.ID = parked.Step
	case workOrder, workReturn:
	case workEvent:
		return p.finishEvent(ctx, work, parked.Revision)
	case workTimer:
		return p.fireTimer(ctx, parked.timer())
	}
	return nil, nil, finishWork(ctx, p.Finisher, work)
}

// fireTimer fires a timer that was given up. One whose deadline has moved is set again.
func (p *Processes) fireTimer(ctx context.Context, timer Timer) (set []Timer, clear []Deadline, err error) {
	err = aggregate.Safely(func() error { return FireTimer(ctx, p.Finisher, timer, p.Now()) })
	if postponed, moved := errors.AsType[*PostponedError](err); moved {
		return []Timer{{Deadline: timer.Deadline, DueAt: postponed.Until}}, nil, nil
	}
	return nil, nil, err
}

// finishEvent reads an event again that could not be read. If it can be by now, it
// finishes what follows from it, and returns the timers that it sets and clears.
func (p *Processes) finishEvent(ctx context.Context, work Work, revision int64) (set []Timer, clear []Deadline, err error) {
	begun := newTracker(eventstore.Start, p.CartsExpireAfter)
	found := false
	for e, err := range p.Store.ReadStream(ctx, work.Stream, revision, 1) {
		if err != nil {
			return nil, nil, err
		}
		if found = e.Revision == revision; !found {
			break // of a truncated stream the first event that is left
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

// bringUp lets the later events of a stream change the timers that an earlier one has
// set or cleared: the reactor has seen them already.
func (p *Processes) bringUp(ctx context.Context, begun *tracker, stream string, from int64) error {
	later := newTracker(eventstore.Start, p.CartsExpireAfter)
	concerned := func(d Deadline) bool { _, set := begun.timers.set[d]; return set || begun.timers.clear[d] }
	for e, err := range p.Store.ReadStream(ctx, stream, from, 0) {
		if err != nil {
			return err
		}
		if err := later.event(e); err != nil {
			continue // parked by itself
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
