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

// How often work is tried before it is parked. One try is not enough after a refusal, because
// another driver may have gone on in the meantime.
const (
	triesRefused = 3
	triesFailed  = 8
)

// failedOutside tells whether a try failed for a reason outside the work: the log cannot be
// reached, or this node is overloaded or about to stop. Such a try does not count.
func failedOutside(err error) bool {
	_, away := errors.AsType[*eventstore.UnavailableError](err)
	_, denied := errors.AsType[*eventstore.DeniedError](err)
	_, diverged := errors.AsType[*eventstore.DivergedError](err)
	return (away && !timedOut(err)) || denied || diverged || errors.Is(err, aggregate.ErrOverloaded) || errors.Is(err, aggregate.ErrClosed) || errors.Is(err, context.Canceled)
}

// timedOut tells whether no answer came in time. Either the log cannot be reached, or a step
// of the work always takes too long, such as the search of a long stream.
func timedOut(err error) bool {
	_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
	return unknown || errors.Is(err, context.DeadlineExceeded)
}

// mustPark tells whether work is to be parked. tries is how many tries counted. While the log
// cannot be reached, no work is parked.
func (r *Reactor) mustPark(ctx context.Context, err error, tries int) bool {
	switch {
	case r.Parking == nil:
		return false
	case unreadable(err):
		return true
	case failedOutside(err):
		return false
	case timedOut(err):
		return tries >= triesFailed && r.logAnswers(ctx)
	case aggregate.IsRejection(err):
		return tries >= triesRefused
	}
	return tries >= triesFailed
}

// unreadable tells whether the log has an event that cannot be read, or no longer has what is
// needed. Trying again does not help.
func unreadable(err error) bool {
	_, undecodable := errors.AsType[*aggregate.UndecodableError](err)
	_, deleted := errors.AsType[*eventstore.DeletedError](err)
	return undecodable || deleted
}

// logAnswers tells whether the log can be reached. It asks for the head, which costs little.
func (r *Reactor) logAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := r.Store.Head(ctx)
	return err == nil
}

// parkWork parks work that could not be finished, so that the checkpoint can move past it.
func (r *Reactor) parkWork(ctx context.Context, work Work, failed failure, cause error) error {
	unfinished := work.unfinished()
	unfinished.Tries, unfinished.FirstTried, unfinished.LastTried, unfinished.Reason = int64(failed.tries), failed.first, time.Now(), cause.Error()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.tracker.giveUp(work, unfinished) {
		return nil
	}
	r.Logger.ErrorContext(ctx, "process could not be finished, it is parked",
		"process", unfinished.ID, "work", work.key.String(), "tries", failed.tries, "error", cause)
	return r.keep(ctx)
}

// Open returns the work that is neither finished nor parked, in no order. leading is false if
// another node leads; then this node does not know the open work.
func (r *Reactor) Open() (open []UnfinishedWork, leading bool) {
	works, leading := r.openWork()
	for _, work := range works { // without holding the lock, because computing the ids takes time
		open = append(open, work.unfinished())
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

// retryParked tries parked work again: when its stream has a new event, and after each
// RetryEvery.
func (r *Reactor) retryParked(ctx context.Context) error {
	if r.Parking == nil {
		return nil
	}
	every := r.RetryEvery
	if every == 0 {
		every = time.Hour
	}
	work := &ParkedWork{Lot: r.Parking, Finisher: r.Finisher, Store: r.Store, Now: time.Now, CartsExpireAfter: r.CartsExpireAfter}
	nextTry := time.Now()
	for {
		pause.For(ctx, max(r.Grace, 10*time.Millisecond))
		stirred := r.takeStirred()
		if ctx.Err() != nil {
			return nil
		}
		for id := range stirred {
			parked, err := r.Parking.FindParked(ctx, id)
			switch {
			case err != nil:
				r.Logger.WarnContext(ctx, "parked work not looked at", "process", id, "error", err)
			case parked == nil: // another node has finished it
				r.unwatch(ctx, id)
			default:
				r.tryParked(ctx, work, *parked)
			}
		}
		if time.Now().Before(nextTry) {
			continue
		}
		nextTry = time.Now().Add(min(every/4, time.Minute))
		for parked, err := range allParked(ctx, r.Parking) {
			if err != nil {
				r.Logger.WarnContext(ctx, "parked work not looked at", "error", err)
				break
			}
			if parked.Dismissed.IsZero() && time.Since(parked.LastTried) >= every {
				r.tryParked(ctx, work, parked)
			}
		}
	}
}

func (r *Reactor) tryParked(ctx context.Context, all *ParkedWork, parked UnfinishedWork) {
	tried, finished, err := all.try(ctx, parked)
	switch {
	case err != nil && ctx.Err() == nil:
		r.Logger.WarnContext(ctx, "parked work not tried", "process", parked.ID, "error", err)
	case err == nil && eventstore.IsForeign(tried.cause): // further events of the stream cannot change who wrote this one
		r.mu.Lock()
		defer r.mu.Unlock()
		r.tracker.unwatch(parked.ID)
	case err == nil && finished:
		r.Logger.InfoContext(ctx, "parked work is finished", "process", parked.ID, "stream", parked.Stream)
		r.unwatch(ctx, parked.ID)
	}
}

// unwatch stops watching the streams of work that is no longer parked.
func (r *Reactor) unwatch(ctx context.Context, id uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Work is parked only while the lock is held. So look again here, because this work may
	// just have been parked again.
	if parked, err := r.Parking.FindParked(ctx, id); err == nil && parked == nil {
		r.tracker.unwatch(id)
	}
}

// takeStirred returns the ids of parked work whose streams had new events, and forgets them.
func (r *Reactor) takeStirred() map[uuid.UUID]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.tracker.caughtUp || len(r.tracker.stirred) == 0 {
		return nil
	}
	taken := r.tracker.stirred
	r.tracker.stirred = map[uuid.UUID]bool{}
	return taken
}

// resigned forgets the list of open work, because another node leads now.
func (r *Reactor) resigned() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tracker = nil
}

// watchParked begins to watch the streams of all work that is parked already.
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

// notePark notes that work is to be parked.
func (t *tracker) notePark(work UnfinishedWork) {
	t.park = append(t.park, work)
	if !eventstore.IsForeign(work.cause) {
		t.watch(work)
	}
}

// noteParkEvent notes that an event is to be parked: one that cannot be read, or one of another
// program. At most maxForeign events of other programs are parked. `daybook verify` names all
// of them.
func (t *tracker) noteParkEvent(work UnfinishedWork) {
	if eventstore.IsForeign(work.cause) {
		if t.foreign++; t.foreign > maxForeign {
			return
		}
	}
	t.notePark(work)
}

// watch watches the streams of parked work. After a new event there, the work is tried again.
func (t *tracker) watch(work UnfinishedWork) {
	for _, stream := range work.streams() {
		if !slices.Contains(t.parked[stream], work.ID) {
			t.parked[stream] = append(t.parked[stream], work.ID)
		}
	}
}

// unwatch stops watching the streams of this work.
func (t *tracker) unwatch(id uuid.UUID) {
	delete(t.stirred, id)
	for stream, ids := range t.parked {
		ids = slices.DeleteFunc(ids, func(other uuid.UUID) bool { return other == id })
		if t.parked[stream] = ids; len(ids) == 0 {
			delete(t.parked, stream)
		}
	}
}

// giveUp parks work. It returns false and parks nothing if the work has new steps since the
// try, because these are tried first.
func (t *tracker) giveUp(work Work, unfinished UnfinishedWork) bool {
	t.removeWork(work)
	if t.open[work.key] != nil {
		return false
	}
	t.notePark(unfinished)
	return true
}
