package commands

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// How often work is tried before it is parked. A refusal may be that another
// driver has gone on meanwhile, so one is not enough.
const (
	triesRefused = 3
	triesFailed  = 8
)

// hopeless tells whether work is to be parked, after so many tries. While the log
// cannot be reached nothing is: that is not the work's fault.
func (r *Reactor) hopeless(err error, tries int) bool {
	_, undecodable := errors.AsType[*UndecodableError](err)
	_, deleted := errors.AsType[*eventstore.DeletedError](err)
	_, away := errors.AsType[*eventstore.UnavailableError](err)
	_, denied := errors.AsType[*eventstore.DeniedError](err)
	_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
	switch {
	case r.Parking == nil:
		return false
	case undecodable || deleted:
		return true
	case away || denied || unknown || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		return false
	case IsRejection(err):
		return tries >= triesRefused
	}
	return tries >= triesFailed
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

// Open is the work that is not finished and not parked, as far as this node knows;
// leading is false where another node keeps the list.
func (r *Reactor) Open() (open []Process, leading bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tracker == nil {
		return nil, false
	}
	for work := range r.tracker.inOrder() {
		open = append(open, work.process())
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
	processes := &Processes{Lot: r.Parking, Finisher: r.Finisher, Store: r.Store, Now: time.Now}
	nextLook := time.Now()
	for {
		pause(ctx, max(r.Grace, 10*time.Millisecond))
		stirred := r.stirred()
		if ctx.Err() != nil {
			return nil
		}
		if len(stirred) == 0 && time.Now().Before(nextLook) {
			continue
		}
		nextLook = time.Now().Add(min(every/4, time.Minute))
		for parked, err := range allParked(ctx, r.Parking) {
			if err != nil {
				r.Logger.WarnContext(ctx, "parked work not looked at", "error", err)
				break
			}
			if !stirred[parked.ID] && time.Since(parked.LastTried) < every {
				continue
			}
			if _, finished, err := processes.try(ctx, parked); err != nil && ctx.Err() == nil {
				r.Logger.WarnContext(ctx, "parked work not tried", "process", parked.ID, "error", err)
			} else if finished {
				r.Logger.InfoContext(ctx, "parked work is finished", "process", parked.ID, "stream", parked.Stream)
			}
		}
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
	t.watch(process)
}

// watch looks for events that may let parked work end.
func (t *tracker) watch(process Process) {
	for _, stream := range process.streams() {
		if !slices.Contains(t.parked[stream], process.ID) {
			t.parked[stream] = append(t.parked[stream], process.ID)
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
