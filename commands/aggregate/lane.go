package aggregate

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"daybook/domain/rule"
	"daybook/eventstore"
	"daybook/internal/pause"
)

const (
	maxBatchCommands = 512
	// These bounds are far below the log's limits, so one more command cannot exceed them.
	maxBatchEvents = 2048
	maxBatchBytes  = eventstore.MaxAppendBytes / 2
)

// job is one request on its way through a lane.
type job[S, C, E any] struct {
	request Request[C]
	read    func(S, int64) // set if this is a View
	maxAge  time.Duration  // for a View: how old the state may be
	stage   atomic.Int32   // waiting, begun or withdrawn
	doubt   bool           // create has sent its events, and they may be recorded
	began   time.Time      // when a Joint began to decide it; set only for Options.Observe
	lend    bool           // a Joint wants the lane, and has it when done is closed

	// Written by the lane before done is closed.
	result Result[E]
	err    error
	done   chan struct{}

	// Used while the batch is decided.
	encoded   []eventstore.Event
	events    []E
	hasResult bool // the result is known and needs no append

	// The searches of the log for this job, by name; see search.
	searches map[string]*search[E]
	wanted   *search[E] // the search that must end before the job can be decided
	// duplicate is set if the log already has events with its ids, in this stream or in another
	// one.
	duplicate *eventstore.DuplicateEventError
}

const (
	waiting int32 = iota
	begun
	withdrawn
)

func (j *job[S, C, E]) begin() bool    { return j.stage.CompareAndSwap(waiting, begun) }
func (j *job[S, C, E]) withdraw() bool { return j.stage.CompareAndSwap(waiting, withdrawn) }

// replay sets the result to that of the first time the command was carried out.
func (j *job[S, C, E]) replay(past pastCommand) {
	j.result = Result[E]{Revision: past.Revision, Position: past.Position, Replayed: true}
	j.hasResult = true
}

// lane is one stream's queue, folded state and memory of commands. The handler's lock protects
// place and weight, and the queue has its own lock. Only the lane's goroutine uses the rest,
// and there is at most one such goroutine.
type lane[S, C, E any] struct {
	handler *Handler[S, C, E]
	stream  string
	place   *list.Element
	weight  int64 // bytes that the cache counts for it
	// outdated means that the state is dropped when the queue is empty; the handler's lock protects
	// it, too.
	outdated bool
	queue    queue[S, C, E]

	loaded    bool
	state     S
	revision  int64 // of the stream's last event
	own       int64 // of the shop's last event; callers see this one
	position  eventstore.Position
	memory    commandMemory
	saved     int64     // revision of the newest snapshot
	savedSize int64     // its size in bytes
	checked   time.Time // when the state was last known to have all events of the log

	// While a batch is decided: the revision before the batch, and the revision before the job that
	// is decided now.
	recordedRevision, begunRevision int64
	batched                         map[uuid.UUID]bool // the ids of the batch's commands that have events
	// doubt is true while an append of the batch is recorded, or may be recorded, and the batch's
	// jobs have no result yet.
	doubt bool
}

// work processes the queue until it is empty, and returns how many bytes the lane has in
// memory. When work has returned, another goroutine may work on the lane.
func (l *lane[S, C, E]) work() (size int64) {
	for {
		size = l.savedSize
		batch := l.queue.take()
		if batch == nil {
			return size
		}
		live := batch[:0]
		for _, j := range batch {
			if j.begin() {
				live = append(live, j)
			}
		}
		if len(live) > 0 && live[0].lend {
			close(live[0].done) // from now on, the Joint works on the lane
			return size
		}
		if len(live) > 0 {
			l.process(live)
		}
	}
}

// process ends every job of a batch with a result, or puts it back into the queue.
func (l *lane[S, C, E]) process(batch []*job[S, C, E]) {
	ctx := l.handler.appends.next()
	open := batch
	l.doubt = slices.ContainsFunc(batch, func(j *job[S, C, E]) bool { return j.doubt })
	for attempt := 1; len(open) > 0; attempt++ {
		var err error
		open, err = l.attempt(ctx, open, attempt == 1)
		if err == nil {
			continue // some jobs have ended or were put back; the others are decided again
		}
		l.forget()
		conflict, lost := errors.AsType[*eventstore.ConflictError](err)
		if !lost || attempt >= l.handler.options.Attempts {
			l.failJobs(open, err)
			return
		}
		l.handler.options.Logger.Debug("lost a race, deciding again",
			"stream", l.stream, "attempt", attempt, "actual", conflict.Actual)
		if wait := time.Duration(attempt-1) * time.Millisecond; wait > 0 {
			pause.For(ctx, rand.N(wait))
		}
	}
}

// attempt decides the jobs and appends their events. It returns the jobs that must be decided
// again. Usually there are none. If one job had to be handled alone, these are the others.
func (l *lane[S, C, E]) attempt(ctx context.Context, jobs []*job[S, C, E], mayGuess bool) ([]*job[S, C, E], error) {
	guess := mayGuess && jobs[0].request.New &&
		!slices.ContainsFunc(jobs, func(j *job[S, C, E]) bool { return j.duplicate != nil }) // its events must be found in the stream, so read the stream
	fresh, err := l.load(ctx, guess)
	if err != nil {
		return jobs, err
	}
	base, own := l.revision, l.own
	decision := l.decide(ctx, jobs)
	if decision.halfDecided != nil {
		return l.handleHalfDecided(append(decision.decided, decision.rest...), decision.halfDecided, fresh), nil
	}
	l.queue.putBack(decision.rest)
	if jobs = decision.decided; len(jobs) == 0 {
		return nil, nil
	}
	var events []eventstore.Event
	for _, j := range jobs {
		events = append(events, j.encoded...)
	}
	if len(events) == 0 {
		return l.settleWithoutAppend(ctx, jobs, fresh)
	}
	result, err := l.append(ctx, base, events)
	if duplicate, ok := errors.AsType[*eventstore.DuplicateEventError](err); ok {
		return l.decideAgainAfterDuplicate(jobs, duplicate)
	}
	if err != nil {
		return jobs, err
	}
	if result.Replayed {
		// The log has events with these ids already, from an earlier run or from another
		// driver of the same process. They may differ from the events that were decided now.
		// For example, both outcomes of a checkout have the same id. They may also not be the
		// stream's last events. So read the stream, and decide again.
		l.forget()
		return jobs, nil
	}
	l.recorded(jobs, base, own, result)
	return nil, nil
}

// handleHalfDecided handles a job that could not be decided to its end after some of its commands
// had changed the state. The state must be folded again. If the job waits for a search of the log,
// it comes back after the search. If it was refused, the refusal counts only if the job was the
// first of its batch and was decided on a state that was just read from the log. Otherwise the job
// is decided again, after the other jobs were recorded.
//
// Example: the jobs A, B and C wait for one cart. B changes the quantity of line 1, and then of
// line 9. The cart has no line 9, so B is refused. The state now has the change of line 1, which is
// never recorded. So nothing is appended, and B goes back into the queue. The state is folded
// again, and A and C are decided on it and appended. B is the first of the next batch. It is
// decided once more on a state that was just read, and only then is B refused.
func (l *lane[S, C, E]) handleHalfDecided(jobs []*job[S, C, E], halfDecided *job[S, C, E], fresh bool) []*job[S, C, E] {
	first := halfDecided == jobs[0]
	switch {
	case errors.Is(halfDecided.err, errSearch):
		l.searchBeside(halfDecided)
	case first && fresh:
		close(halfDecided.done)
	case first:
		l.forget()
		return jobs
	default:
		l.queue.putBack([]*job[S, C, E]{halfDecided})
	}
	l.forget()
	return without(jobs, halfDecided)
}

// decision is the result of deciding some jobs.
type decision[S, C, E any] struct {
	decided []*job[S, C, E] // can be appended together
	rest    []*job[S, C, E] // must wait for the next batch
	// halfDecided, if not nil, could not be decided to its end after it had changed the state: it
	// was refused, or it waits for a search. Nothing may be appended. It is the first of rest.
	halfDecided *job[S, C, E]
}

// decide decides each job on the state that the job before left. Jobs that must wait for a
// search of the log leave the batch.
func (l *lane[S, C, E]) decide(ctx context.Context, jobs []*job[S, C, E]) (d decision[S, C, E]) {
	events, size := 0, 0
	l.recordedRevision, l.batched = l.revision, nil
	for i, j := range jobs {
		if events > maxBatchEvents || size > maxBatchBytes {
			d.rest = jobs[i:]
			return d
		}
		l.begunRevision = l.revision
		err := l.decideOne(ctx, j)
		j.err = err
		switch {
		case l.revision != l.begunRevision && err != nil:
			d.rest, d.halfDecided = jobs[i:], j
			return d
		case errors.Is(err, errLater):
			d.rest = jobs[i:]
			return d
		case errors.Is(err, errSearch):
			l.searchBeside(j)
			continue
		}
		d.decided = append(d.decided, j)
		events += len(j.encoded)
		for _, e := range j.encoded {
			size += e.Size()
		}
		if i < len(jobs)-1 {
			l.noteBatched(j)
		}
	}
	return d
}

// noteBatched notes the command id of a job with events, so that a batch never has the same
// command twice.
func (l *lane[S, C, E]) noteBatched(j *job[S, C, E]) {
	if len(j.encoded) == 0 {
		return
	}
	if l.batched == nil {
		l.batched = make(map[uuid.UUID]bool)
	}
	l.batched[j.request.Meta.CommandID] = true
}

// decideOne decides a job. After it, the job has its encoded events, or a result without
// events. The state has changed by the job's events, even if decideOne returns an error.
func (l *lane[S, C, E]) decideOne(ctx context.Context, j *job[S, C, E]) (err error) {
	j.result, j.err, j.encoded, j.events, j.hasResult = Result[E]{}, nil, nil, nil, false
	if j.read != nil {
		return nil // a View gets the state after the batch is recorded
	}
	if l.batched[j.request.Meta.CommandID] {
		return errLater // the batch has this command already; in the next batch, this job is a repetition
	}
	if j.request.Owner != "" && l.own >= 0 && !l.handler.aggregate.owns(l.state, &j.request) {
		return cmp.Or(l.handler.aggregate.NotOwned, errBelongsToNobody)
	}
	if err := l.handler.aggregate.within(j.request, l.state); err != nil {
		return err
	}
	past, repeated, err := l.findCommand(ctx, j)
	if err != nil {
		return err
	}
	if repeated && !j.request.Redecide {
		j.replay(past)
		return nil
	}
	// Events that another program wrote after the shop's last event have changed nothing.
	if want := j.request.If; !want.holds(l.own, l.revision) {
		return &StaleError{Stream: l.stream, If: *want, Actual: l.own}
	}
	defer func() {
		if p := recover(); p != nil {
			l.handler.options.Logger.Error("aggregate panicked", "stream", l.stream, "panic", p, "stack", string(debug.Stack()))
			l.revision++ // the state may be half changed; because of the changed revision, nobody uses it
			err = fmt.Errorf("stream %s: deciding failed: %v", l.stream, p)
		}
	}()
	meta, err := j.request.Meta.Encode()
	if err != nil {
		return err
	}
	for _, command := range j.request.Commands {
		decided, err := l.decideCommand(ctx, j, command)
		if err != nil {
			return err
		}
		// The ids of these events belong to the events that were recorded the first time.
		if repeated && len(decided) > 0 {
			j.replay(past)
			return nil
		}
		for _, event := range decided {
			eventType, data, err := l.handler.aggregate.Encode(event)
			if err != nil {
				return fmt.Errorf("stream %s: encode: %w", l.stream, err)
			}
			j.encoded = append(j.encoded, eventstore.Event{
				ID: EventID(j.request.Meta.CommandID, len(j.encoded)), Type: eventType, Data: data, Meta: meta,
			})
			j.events = append(j.events, event)
			l.state = l.handler.aggregate.Evolve(l.state, event)
			if subject := l.handler.aggregate.Subject; subject != nil {
				j.encoded[len(j.encoded)-1].Subject = subject(l.state)
			}
			l.revision++
			l.own = l.revision
		}
	}
	return nil
}

// EventID is eventstore.EventID: the id of a command's nth event.
func EventID(command uuid.UUID, n int) uuid.UUID { return eventstore.EventID(command, n) }

// settleWithoutAppend ends the jobs of a batch that records nothing. Their results must be
// based on the present state of the log. So if the state was not read just now, it reads the
// log for new events first, once for the whole batch.
func (l *lane[S, C, E]) settleWithoutAppend(ctx context.Context, jobs []*job[S, C, E], fresh bool) ([]*job[S, C, E], error) {
	if !fresh && !l.freshEnough(jobs) {
		moved, err := l.catchUp(ctx)
		if err != nil {
			return jobs, err
		}
		if moved {
			return jobs, nil // other writers have added events, so decide again
		}
	}
	for _, j := range jobs {
		l.deliver(j, l.own, l.position)
	}
	return nil, nil
}

func (l *lane[S, C, E]) freshEnough(jobs []*job[S, C, E]) bool {
	age := time.Since(l.checked)
	return !slices.ContainsFunc(jobs, func(j *job[S, C, E]) bool { return j.read == nil || j.maxAge < age })
}

// recorded gives every job of an appended batch its result. base is the stream's last revision
// before the batch, and own that of the shop's last event.
func (l *lane[S, C, E]) recorded(jobs []*job[S, C, E], base, own int64, result eventstore.Result) {
	l.position, l.checked = result.Position, time.Now()
	at := base
	for _, j := range jobs {
		at += int64(len(j.encoded))
		if len(j.encoded) > 0 {
			own = at
			meta := j.request.Meta
			l.memory.add(pastCommand{Command: meta.CommandID, Revision: at, Position: result.Position, Request: meta.Request}, l.guarded(j.events))
		}
		l.deliver(j, own, result.Position)
	}
	l.snapshot()
}

// guarded tells whether the state guards all events of a command.
func (l *lane[S, C, E]) guarded(events []E) bool {
	return !slices.ContainsFunc(events, func(e E) bool { return !l.handler.aggregate.guards(e) })
}

func (l *lane[S, C, E]) deliver(j *job[S, C, E], revision int64, position eventstore.Position) {
	switch {
	case j.read != nil:
		j.err = Safely(func() error { j.read(l.state, l.own); return nil })
	case j.err == nil && !j.hasResult:
		j.result = Result[E]{Revision: revision, Position: position, Events: j.events}
	}
	close(j.done)
}

// append appends events, and repeats an append whose outcome is unknown; see untilKnown.
func (l *lane[S, C, E]) append(ctx context.Context, base int64, events []eventstore.Event) (eventstore.Result, error) {
	var result eventstore.Result
	err := untilKnown(ctx, &l.doubt, func() (replayed bool, err error) {
		result, err = l.handler.store.Append(ctx, l.stream, eventstore.AtRevision(base), events)
		return result.Replayed, err
	}, func(err error) {
		l.handler.options.Logger.Warn("append outcome unknown, repeating", "stream", l.stream, "error", err)
	})
	return result, err
}

// decideAgainAfterDuplicate handles an append that the log refused because it has the event ids of
// one job already. The events with these ids are so old that the lane has forgotten them, or they
// are in another stream. That job is marked, and then all jobs are decided again.
func (l *lane[S, C, E]) decideAgainAfterDuplicate(jobs []*job[S, C, E], duplicate *eventstore.DuplicateEventError) ([]*job[S, C, E], error) {
	l.forget()
	for _, j := range jobs {
		for _, e := range j.encoded {
			if e.ID == duplicate.ID && j.duplicate == nil {
				j.duplicate = duplicate
				return jobs, nil
			}
		}
	}
	return jobs, duplicate
}

// without returns the jobs except one, in the same order.
func without[S, C, E any](jobs []*job[S, C, E], one *job[S, C, E]) []*job[S, C, E] {
	return slices.DeleteFunc(slices.Clone(jobs), func(j *job[S, C, E]) bool { return j == one })
}

func finish[S, C, E any](jobs []*job[S, C, E], err error) {
	for _, j := range jobs {
		j.err = err
		close(j.done)
	}
}

// failJobs ends jobs with an error, because they cannot be carried out now.
func (l *lane[S, C, E]) failJobs(jobs []*job[S, C, E], err error) {
	for _, j := range jobs {
		told := err
		if l.doubt && j.read == nil && saysNothingDone(err) {
			told = &eventstore.OutcomeUnknownError{Cause: err}
		}
		finish([]*job[S, C, E]{j}, told)
	}
}

// IsRejection tells whether an error is a refusal by a rule. Any other error is a fault.
func IsRejection(err error) bool {
	_, refused := errors.AsType[*rule.Rejection](err)
	return refused
}
