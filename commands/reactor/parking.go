package reactor

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/eventstore"
	"daybook/internal/pause"
)

// How often work is tried before it is parked. A refusal may be that another
// driver has gone on meanwhile, so one is not enough.
const (
	triesRefused = 3
	triesFailed  = 8
)

// excused tells whether a try failed for a reason that is not the work's: the log
// cannot be reached, or this node has no room or is about to stop. Such a try does
// not count.
func excused(err error) bool {
	_, away := errors.AsType[*eventstore.UnavailableError](err)
	_, denied := errors.AsType[*eventstore.DeniedError](err)
	_, diverged := errors.AsType[*eventstore.DivergedError](err)
	return (away && !timedOut(err)) || denied || diverged || errors.Is(err, aggregate.ErrOverloaded) || errors.Is(err, aggregate.ErrClosed) || errors.Is(err, context.Canceled)
}

// timedOut tells whether no answer came in time. Either the log is away, or what
// the work asks of it always takes too long, such as the search of a long stream.
func timedOut(err error) bool {
	_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
	return unknown || errors.Is(err, context.DeadlineExceeded)
}

// hopeless tells whether work is to be parked, after so many tries that count.
// While the log cannot be reached nothing is.
func (r *Reactor) hopeless(ctx context.Context, err error, tries int) bool {
	switch {
	case r.Parking == nil:
		return false
	case unreadable(err):
		return true
	case excused(err):
		return false
	case timedOut(err):
		return tries >= triesFailed && r.logAnswers(ctx)
	case aggregate.IsRejection(err):
		return tries >= triesRefused
	}
	return tries >= triesFailed
}

// unreadable tells whether the log holds something that cannot be read, or no longer
// holds what is needed. Trying again does not help.
func unreadable(err error) bool {
	_, undecodable := errors.AsType[*aggregate.UndecodableError](err)
	_, deleted := errors.AsType[*eventstore.DeletedError](err)
	return undecodable || deleted
}

// logAnswers asks the log for something that costs it nothing.
func (r *Reactor) logAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := r.Store.Head(ctx)
	return err == nil
}

// parkWork keeps work that could not be finished, and lets the checkpoint go on.
func (r *Reactor) parkWork(ctx context.Context, work Work, failed failure, cause error) error {
	process := work.process()
	process.Tries, process.FirstTried, process.LastTried, process.Reason = int64(failed.tries), failed.first, time.Now(), cause.Error()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.tracker.giveUp(work, process) {
		return nil
	}
	r.Logger.ErrorContext(ctx, "process could not be finished, it is parked",
		"process", process.ID, "work", work.key.String(), "tries", failed.tries, "error", cause)
	return r.keep(ctx)
}

// Open is the work that is not finished and not parked, in no order, as far as this
// node knows; leading is false where another node keeps the list.
func (r *Reactor) Open() (open []Process, leading bool) {
	works, leading := r.openWork()
	for _, work := range works { // without the lock, because each id is hashed
		open = append(open, work.process())
	}
	return open, leading
}

func (r *Reactor) openWork() (open []Work, leading bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tracker == nil {
		return nil, false
	}
	open = make([]Work, 0, len(r.tracker.open))
	for _, work := range r.tracker.open {
		open = append(open, *work)
	}
	return open, true
}

// retryParked tries parked work again: when an event comes to its stream, and now
// and then without.
func (r *Reactor) retryParked(ctx context.Context) error {
	if r.Parking == nil {
		return nil
	}
	every := r.RetryEvery
	if every == 0 {
		every = time.Hour
	}
	processes := &Processes{Lot: r.Parking, Finisher: r.Finisher, Store: r.Store, Now: time.Now, CartsExpireAfter: r.CartsExpireAfter}
	nextLook := time.Now()
	for {
		pause.For(ctx, max(r.Grace, 10*time.Millisecond))
		stirred := r.stirred()
		if ctx.Err() != nil {
			return nil
		}
		for id := range stirred {
			parked, err := r.Parking.FindParked(ctx, id)
			switch {
			case err != nil:
				r.Logger.WarnContext(ctx, "parked work not looked at", "process", id, "error", err)
			case parked == nil: // somebody else has finished it
				r.unwatch(ctx, id)
			default:
				r.tryParked(ctx, processes, *parked)
			}
		}
		if time.Now().Before(nextLook) {
			continue
		}
		nextLook = time.Now().Add(min(every/4, time.Minute))
		for parked, err := range allParked(ctx, r.Parking) {
			if err != nil {
				r.Logger.WarnContext(ctx, "parked work not looked at", "error", err)
				break
			}
			if parked.Dismissed.IsZero() && time.Since(parked.LastTried) >= every {
				r.tryParked(ctx, processes, parked)
			}
		}
	}
}

func (r *Reactor) tryParked(ctx context.Context, processes *Processes, parked Process) {
	tried, finished, err := processes.try(ctx, parked)
	switch {
	case err != nil && ctx.Err() == nil:
		r.Logger.WarnContext(ctx, "parked work not tried", "process", parked.ID, "error", err)
	case err == nil && eventstore.IsForeign(tried.cause): // its stream's events will not change who wrote it
		r.mu.Lock()
		defer r.mu.Unlock()
		r.tracker.unwatch(parked.ID)
	case err == nil && finished:
		r.Logger.InfoContext(ctx, "parked work is finished", "process", parked.ID, "stream", parked.Stream)
		r.unwatch(ctx, parked.ID)
	}
}

// unwatch ends the watch for events of work that is not parked any more.
func (r *Reactor) unwatch(ctx context.Context, id uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// It is parked only under the lock, and may just have been parked again.
	if parked, err := r.Parking.FindParked(ctx, id); err == nil && parked == nil {
		r.tracker.unwatch(id)
	}
}

// stirred takes the parked work for whose streams there was an event.
func (r *Reactor) stirred() map[uuid.UUID]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.tracker.caughtUp || len(r.tracker.stirred) == 0 {
		return nil
	}
	taken := r.tracker.stirred
	r.tracker.stirred = map[uuid.UUID]bool{}
	return taken
}

// resigned forgets the list of open work: another node keeps it.
func (r *Reactor) resigned() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tracker = nil
}

// watchParked looks for events in the streams of what is parked already.
func (r *Reactor) watchParked(ctx context.Context) error {
	if r.Parking == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for parked, err := range allParked(ctx, r.Parking) {
		if err != nil {
			return err
		}
		r.tracker.watch(parked)
	}
	return nil
}

// parks notes work that is to be parked.
func (t *tracker) parks(process Process) {
	t.park = append(t.park, process)
	if !eventstore.IsForeign(process.cause) {
		t.watch(process)
	}
}

// parksEvent notes an event that cannot be read as the shop's. Of other programs' events
// too many are left to verify, which names all of them.
func (t *tracker) parksEvent(process Process) {
	if eventstore.IsForeign(process.cause) {
		if t.foreign++; t.foreign > maxForeign {
			return
		}
	}
	t.parks(process)
}

// watch looks for events that may let parked work end.
func (t *tracker) watch(process Process) {
	for _, stream := range process.streams() {
		if !slices.Contains(t.parked[stream], process.ID) {
			t.parked[stream] = append(t.parked[stream], process.ID)
		}
	}
}

// unwatch ends the watch for the events of work.
func (t *tracker) unwatch(id uuid.UUID) {
	delete(t.stirred, id)
	for stream, ids := range t.parked {
		ids = slices.DeleteFunc(ids, func(other uuid.UUID) bool { return other == id })
		if t.parked[stream] = ids; len(ids) == 0 {
			delete(t.parked, stream)
		}
	}
}

// giveUp parks work. It returns false if new steps arrived meanwhile; these are tried
// first.
func (t *tracker) giveUp(work Work, process Process) bool {
	t.handled(work)
	if t.open[work.key] != nil {
		return false
	}
	t.parks(process)
	return true
}
