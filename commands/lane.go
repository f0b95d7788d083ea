package commands

import (
	"container/list"
	"context"
	"encoding/binary"
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
)

const (
	maxBatchCommands = 512
	// A batch stays well under the log's limits, so that one more command can
	// never push it over.
	maxBatchEvents = eventstore.MaxAppendEvents / 2
	maxBatchBytes  = eventstore.MaxAppendBytes / 2
)

// job is one request on its way through a lane.
type job[S, C, E any] struct {
	request Request[C]
	look    func(S, int64) // set: this is a View
	maxAge  time.Duration  // of a View: how old the state may be
	stage   atomic.Int32   // waiting, begun or withdrawn

	// Written by the lane before done is closed.
	answer Answer[E]
	err    error
	done   chan struct{}

	// Scratch of the batch being decided.
	encoded []eventstore.Event
	events  []E
	settled bool // the answer does not depend on the batch's append
}

const (
	waiting int32 = iota
	begun
	withdrawn
)

func (j *job[S, C, E]) begin() bool    { return j.stage.CompareAndSwap(waiting, begun) }
func (j *job[S, C, E]) withdraw() bool { return j.stage.CompareAndSwap(waiting, withdrawn) }

// replay answers with what the log holds of the command.
func (j *job[S, C, E]) replay(known receipt) {
	j.answer = Answer[E]{Revision: known.Revision, Position: known.Position, Replayed: true}
	j.settled = true
}

// lane is one stream's queue, folded state and memory. Queue and running belong
// to the handler's lock; the rest to the lane's own goroutine, of which there
// is at most one.
type lane[S, C, E any] struct {
	handler *Handler[S, C, E]
	stream  string
	place   *list.Element
	queue   []*job[S, C, E]
	running bool

	loaded    bool
	state     S
	revision  int64
	position  eventstore.Position
	memory    commandMemory
	saved     int64     // revision of the newest snapshot
	savedSize int64     // bytes of it
	checked   time.Time // when the state was last known to be the log's
}

func (l *lane[S, C, E]) run() {
	for {
		batch := l.handler.take(l)
		if batch == nil {
			return
		}
		live := batch[:0]
		for _, j := range batch {
			if j.begin() {
				live = append(live, j)
			}
		}
		if len(live) > 0 {
			l.process(live)
		}
	}
}

// process answers every job of a batch, or puts it back.
func (l *lane[S, C, E]) process(batch []*job[S, C, E]) {
	ctx, cancel := context.WithTimeout(context.Background(), l.handler.options.AppendTimeout)
	defer cancel()
	open := batch
	for attempt := 1; len(open) > 0; attempt++ {
		var err error
		open, err = l.attempt(ctx, open, attempt == 1)
		if err == nil {
			continue // some were put aside with their answer; the rest is decided again
		}
		l.forget()
		conflict, lost := errors.AsType[*eventstore.ConflictError](err)
		if !lost || attempt >= l.handler.options.Attempts {
			finish(open, err)
			return
		}
		l.handler.options.Logger.Debug("lost a race, deciding again",
			"stream", l.stream, "attempt", attempt, "actual", conflict.Actual)
		if wait := time.Duration(attempt-1) * time.Millisecond; wait > 0 {
			pause(ctx, rand.N(wait))
		}
	}
}

// attempt decides the jobs and appends the result. It returns the jobs still
// without an answer: none, or, when one of them turned out to be special, the
// others.
func (l *lane[S, C, E]) attempt(ctx context.Context, jobs []*job[S, C, E], mayGuess bool) ([]*job[S, C, E], error) {
	fresh, err := l.load(ctx, mayGuess && jobs[0].request.New)
	if err != nil {
		return jobs, err
	}
	base := l.revision
	rest, spoiled := l.decide(jobs)
	if spoiled != nil {
		return l.setAside(jobs, spoiled, fresh), nil
	}
	l.handler.putBack(l, rest)
	jobs = jobs[:len(jobs)-len(rest)]
	var events []eventstore.Event
	for _, j := range jobs {
		events = append(events, j.encoded...)
	}
	if len(events) == 0 {
		return l.answerWithoutAppend(ctx, jobs, fresh)
	}
	result, err := l.append(ctx, base, events)
	if duplicate, ok := errors.AsType[*eventstore.DuplicateEventError](err); ok {
		return l.answerDuplicate(ctx, jobs, duplicate)
	}
	if err != nil {
		return jobs, err
	}
	if result.Replayed {
		// The log holds these ids already: from a run before this one, or from
		// another driver of the same process. What it holds under them may be
		// another decision than this one (the outcome of a checkout has one id,
		// and two forms), and may not be the stream's end. So look, and decide again.
		l.forget()
		return jobs, nil
	}
	l.recorded(jobs, base, result)
	return nil, nil
}

// setAside deals with a job that was refused after some of its commands had
// already changed the state, which must be folded anew. Its refusal counts only
// if it was decided on nothing but the log's present; until then it waits for
// the others to be recorded.
func (l *lane[S, C, E]) setAside(jobs []*job[S, C, E], spoiled *job[S, C, E], fresh bool) []*job[S, C, E] {
	l.forget()
	first := spoiled == jobs[0]
	switch {
	case first && fresh:
		close(spoiled.done)
	case first:
		return jobs
	default:
		l.handler.putBack(l, []*job[S, C, E]{spoiled})
	}
	return without(jobs, spoiled)
}

// decide runs every job against the evolving state. It returns the jobs that no
// longer fit the batch, or the one whose refusal spoiled the state.
func (l *lane[S, C, E]) decide(jobs []*job[S, C, E]) (rest []*job[S, C, E], spoiled *job[S, C, E]) {
	events, size := 0, 0
	for i, j := range jobs {
		if events > maxBatchEvents || size > maxBatchBytes {
			return jobs[i:], nil
		}
		before := l.revision
		if err := l.decideOne(j); err != nil {
			j.err = err
			if l.revision != before {
				return nil, j
			}
		}
		events += len(j.encoded)
		for _, e := range j.encoded {
			size += e.Size()
		}
	}
	return nil, nil
}

// decideOne leaves the job with its encoded events, or with an answer that needs
// none. The state has evolved by the job's events, even when it returns an error.
func (l *lane[S, C, E]) decideOne(j *job[S, C, E]) (err error) {
	j.answer, j.err, j.encoded, j.events, j.settled = Answer[E]{}, nil, nil, nil, false
	if j.look != nil {
		return nil // looks at the state once the batch is recorded
	}
	known, repeated := l.memory.find(j.request.Meta.CommandID)
	if repeated && !j.request.Redecide {
		j.replay(known)
		return nil
	}
	if want := j.request.IfRevision; want != nil && *want != l.revision {
		return &StaleError{Stream: l.stream, Expected: *want, Actual: l.revision}
	}
	defer func() {
		if p := recover(); p != nil {
			l.handler.options.Logger.Error("aggregate panicked", "stream", l.stream, "panic", p, "stack", string(debug.Stack()))
			l.revision++ // whatever the state is now, it must not be used
			err = fmt.Errorf("stream %s: deciding failed: %v", l.stream, p)
		}
	}()
	meta, err := j.request.Meta.Encode()
	if err != nil {
		return err
	}
	for _, command := range j.request.Commands {
		decided, err := l.handler.aggregate.Decide(command, l.state)
		if err != nil {
			return err
		}
		if repeated && len(decided) > 0 { // its events' ids are taken: by what was recorded then
			j.replay(known)
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
			l.revision++
		}
	}
	return nil
}

// EventID is the id of a command's nth event. It is the same each time the
// command is decided, so the log records it once. It can be foretold from public
// names, so it is of a kind of its own, which others may not use: see OwnsID.
func EventID(command uuid.UUID, n int) uuid.UUID {
	var index [4]byte
	binary.BigEndian.PutUint32(index[:], uint32(n)) //nolint:gosec // bounded by MaxAppendEvents
	id := uuid.NewSHA1(command, index[:])
	id[6] = id[6]&0x0f | ownVersion<<4
	return id
}

// answerWithoutAppend settles a batch that records nothing. What it was refused
// on must be the present, so a state that was not just read is compared with
// the log first: one short read for the whole batch.
func (l *lane[S, C, E]) answerWithoutAppend(ctx context.Context, jobs []*job[S, C, E], fresh bool) ([]*job[S, C, E], error) {
	if !fresh && !l.freshEnough(jobs) {
		moved, err := l.catchUp(ctx)
		if err != nil {
			return jobs, err
		}
		if moved {
			return jobs, nil // decide again on what others have written
		}
	}
	for _, j := range jobs {
		l.answer(j, l.revision, l.position)
	}
	return nil, nil
}

func (l *lane[S, C, E]) freshEnough(jobs []*job[S, C, E]) bool {
	age := time.Since(l.checked)
	return !slices.ContainsFunc(jobs, func(j *job[S, C, E]) bool { return j.look == nil || j.maxAge < age })
}

// recorded gives every job of an appended batch its answer.
func (l *lane[S, C, E]) recorded(jobs []*job[S, C, E], base int64, result eventstore.Result) {
	l.position, l.checked = result.Position, time.Now()
	at := base
	for _, j := range jobs {
		at += int64(len(j.encoded))
		if len(j.encoded) > 0 {
			l.memory.add(receipt{Command: j.request.Meta.CommandID, Revision: at, Position: result.Position}, l.guarded(j.events))
		}
		l.answer(j, at, result.Position)
	}
	l.snapshot()
}

// guarded tells whether the state guards all events of a command.
func (l *lane[S, C, E]) guarded(events []E) bool {
	return !slices.ContainsFunc(events, func(e E) bool { return !l.handler.aggregate.guards(e) })
}

func (l *lane[S, C, E]) answer(j *job[S, C, E], revision int64, position eventstore.Position) {
	switch {
	case j.look != nil:
		j.look(l.state, l.revision)
	case j.err == nil && !j.settled:
		j.answer = Answer[E]{Revision: revision, Position: position, Events: j.events}
	}
	close(j.done)
}

// append repeats an append whose outcome is unknown, with the same ids and the
// same expectation, until it is known or time is up.
func (l *lane[S, C, E]) append(ctx context.Context, base int64, events []eventstore.Event) (eventstore.Result, error) {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		result, err := l.handler.store.Append(ctx, l.stream, eventstore.AtRevision(base), events)
		if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err); !unknown || ctx.Err() != nil {
			return result, err
		}
		l.handler.options.Logger.Warn("append outcome unknown, repeating", "stream", l.stream, "error", err)
		pause(ctx, wait)
	}
}

// answerDuplicate settles the job whose events the log already holds, further
// back than the lane remembers, and returns the others.
func (l *lane[S, C, E]) answerDuplicate(ctx context.Context, jobs []*job[S, C, E], duplicate *eventstore.DuplicateEventError) ([]*job[S, C, E], error) {
	l.forget()
	for _, j := range jobs {
		for _, e := range j.encoded {
			if e.ID != duplicate.ID {
				continue
			}
			found, here, err := l.find(ctx, j.encoded)
			if err != nil {
				return jobs, err
			}
			j.answer = found
			if !here { // the command id was used for another stream
				j.err = duplicate
			}
			close(j.done)
			return without(jobs, j), nil
		}
	}
	return jobs, duplicate
}

// find looks a command's last event up in its stream, and tells whether it is
// there.
func (l *lane[S, C, E]) find(ctx context.Context, events []eventstore.Event) (answer Answer[E], here bool, err error) {
	answer = Answer[E]{Replayed: true, Revision: -1}
	ids := make(map[uuid.UUID]bool, len(events))
	for _, e := range events {
		ids[e.ID] = true
	}
	for recorded, err := range l.handler.store.ReadStream(ctx, l.stream, 0, 0) {
		if _, empty := errors.AsType[*eventstore.NotFoundError](err); empty {
			break
		}
		if err != nil {
			return answer, false, err
		}
		if ids[recorded.ID] {
			answer.Revision, answer.Position, here = recorded.Revision, recorded.Position, true
		}
	}
	return answer, here, nil
}

// without is the jobs but one, in order.
func without[S, C, E any](jobs []*job[S, C, E], one *job[S, C, E]) []*job[S, C, E] {
	return slices.DeleteFunc(slices.Clone(jobs), func(j *job[S, C, E]) bool { return j == one })
}

func finish[S, C, E any](jobs []*job[S, C, E], err error) {
	for _, j := range jobs {
		j.err = err
		close(j.done)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// IsRejection tells a rule's refusal from a fault.
func IsRejection(err error) bool {
	_, refused := errors.AsType[*rule.Rejection](err)
	return refused
}
