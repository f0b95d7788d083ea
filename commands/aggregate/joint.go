package aggregate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// ErrStepByStep means that a Joint has not carried out a request. Carry it out step by step, with
// the handlers themselves.
var ErrStepByStep = errors.New("the request must be carried out step by step")

// ErrAgain is an ErrStepByStep of a request that could succeed if it was tried again: another
// writer has changed one of its streams first, or a stream was not in memory. Read the streams into
// memory before that.
var ErrAgain = fmt.Errorf("the request can be tried again: %w", ErrStepByStep)

// ErrLost is an ErrAgain of a request that met a conflict: another writer was first.
var ErrLost = fmt.Errorf("another writer was first: %w", ErrAgain)

// Joint carries out requests that change several streams, and records them in one append for
// all streams. It borrows the lanes of the streams, so nobody else on this node changes them
// meanwhile.
//
// A request is a function that calls handlers which Join returned. It decides on the state that
// the request before it left. Commit appends the events of all requests. Requests that have no
// stream in common are appended apart, so that a fault of one does not affect the other.
//
// Example: orders A and B want the same SKU, order C wants another one. A and B are recorded in
// one append, C in a second one. If another node has sold the SKU of A and B in the meantime,
// their append conflicts, and both get ErrLost.
//
// A Joint is for the good case only. If a request is refused, or if anything needs to be looked
// up in the log, Do returns ErrStepByStep. Only one goroutine may use a Joint. Close ends it.
type Joint struct {
	log     eventstore.MultiAppender
	logger  *slog.Logger
	timeout time.Duration

	loans    []loan // in the order in which they were borrowed
	requests []*jointRequest
	now      *jointRequest // the request that is being decided
	waited   time.Duration // for lanes that were at work
}

// jointRequest is a request of a Joint.
type jointRequest struct {
	ctx        context.Context //nolint:containedctx // a request's own context; a Joint has many requests
	wrote      []loan          // the streams that have events of it
	stepByStep bool            // the request cannot be carried out here
	again      bool            // the request may be possible in the next Joint
	damaged    bool            // some events of the request were decided, and then deciding failed
	err        error           // the result of the append: nil, or why the request is not recorded
}

// loan is a borrowed lane, of any kind of aggregate.
type loan interface {
	write() (w eventstore.Write, changed bool)
	recorded(result eventstore.Result, last eventstore.Position)
	forget()
	giveBack()
	// root returns one loan of the group that this loan is in. The streams of a group are appended
	// together. Each loan is a group at first.
	root() loan
	// groupWith joins the group of this loan and the group of another one. It calls adopt on the
	// root of one group, to make the root of the other group its parent.
	groupWith(other loan)
	adopt(parent loan)
}

// NewJoint returns a Joint that appends to a log. options are those of the handlers.
func NewJoint(log eventstore.MultiAppender, options Options) *Joint {
	options = options.withDefaults()
	return &Joint{log: log, logger: options.Logger, timeout: options.AppendTimeout}
}

// Do decides a request. It returns ErrStepByStep if the request cannot be carried out here. If it
// returns nil, Commit will record the request. do must return the errors of the joined handlers.
func (j *Joint) Do(ctx context.Context, do func(ctx context.Context) error) error {
	j.now = &jointRequest{ctx: ctx}
	j.requests = append(j.requests, j.now)
	if err := Safely(func() error { return do(ctx) }); err != nil {
		j.now.stepByStep = true
	}
	if j.now.stepByStep {
		j.now.damaged = len(j.now.wrote) > 0
		return ErrStepByStep
	}
	return nil
}

// Size is how many streams have events that wait for Commit, and how many bytes these events
// have.
func (j *Joint) Size() (streams, bytes int) {
	for _, l := range j.loans {
		w, changed := l.write()
		if !changed {
			continue
		}
		streams++
		bytes += w.Size()
	}
	return streams, bytes
}

// Commit appends the events of the requests. It returns one error for each call of Do, in the
// same order. nil means that the request is recorded. ErrStepByStep means that nothing of it is
// recorded, or that all of it was recorded before; in the second case the request gets its earlier
// result when it is carried out step by step. ErrAgain, which is an ErrStepByStep, means that
// nothing of it is recorded, and that the request can be tried in another Joint. Any other error is
// that of the append, as Handler.Handle returns it.
func (j *Joint) Commit(ctx context.Context) []error {
	ctx, cancel := context.WithTimeout(ctx, j.timeout)
	defer cancel()
	for _, r := range j.requests {
		for _, l := range r.wrote[min(1, len(r.wrote)):] {
			l.groupWith(r.wrote[0])
		}
	}
	var wait sync.WaitGroup
	for _, g := range j.groups() {
		wait.Go(func() { g.commit(ctx, j) })
	}
	wait.Wait()
	errs := make([]error, len(j.requests))
	for i, r := range j.requests {
		switch {
		case r.again:
			errs[i] = ErrAgain
		case r.stepByStep:
			errs[i] = ErrStepByStep
		default:
			errs[i] = r.err
		}
	}
	return errs
}

// Close gives the lanes back. Events that were not recorded are forgotten.
func (j *Joint) Close() {
	for _, l := range j.loans {
		if _, changed := l.write(); changed { // Commit was not called
			l.forget()
		}
		l.giveBack()
	}
}

// jointGroup is what one append records.
type jointGroup struct {
	loans    []loan
	requests []*jointRequest
}

// groups are the requests that have streams in common, with these streams.
func (j *Joint) groups() []*jointGroup {
	var groups []*jointGroup
	of := map[loan]*jointGroup{}
	for _, l := range j.loans {
		if _, changed := l.write(); !changed {
			continue
		}
		g := of[l.root()]
		if g == nil {
			g = &jointGroup{}
			of[l.root()] = g
			groups = append(groups, g)
		}
		g.loans = append(g.loans, l)
	}
	for _, r := range j.requests {
		if len(r.wrote) > 0 {
			g := of[r.wrote[0].root()]
			g.requests = append(g.requests, r)
		}
	}
	return groups
}

func (g *jointGroup) commit(ctx context.Context, j *Joint) {
	results, err := g.append(ctx, j)
	if err == nil && !results[0].Replayed {
		last := results[len(results)-1].Position // the results are in the order of the log
		for i, l := range g.loans {
			l.recorded(results[i], last)
		}
		for _, r := range g.requests {
			noteRecorded(r.ctx)
		}
		return
	}
	for _, l := range g.loans {
		l.forget()
	}
	if err == nil { // all of it was recorded before
		for _, r := range g.requests {
			noteRecorded(r.ctx)
		}
		err = ErrStepByStep
	}
	for _, r := range g.requests {
		r.err = err
	}
}

// append appends the events of a group. It returns ErrStepByStep or ErrAgain if that cannot be done
// and nothing is recorded.
func (g *jointGroup) append(ctx context.Context, j *Joint) ([]eventstore.Result, error) {
	for _, r := range g.requests {
		if r.damaged { // the other requests may depend on events of this one that are never recorded
			return nil, ErrStepByStep
		}
	}
	writes := make([]eventstore.Write, len(g.loans))
	for i, l := range g.loans {
		writes[i], _ = l.write()
	}
	var results []eventstore.Result
	doubt := false
	err := untilKnown(ctx, &doubt, func() (replayed bool, err error) {
		results, err = j.log.AppendAll(ctx, writes)
		return err == nil && results[0].Replayed, err
	}, func(err error) {
		j.logger.Warn("append outcome unknown, repeating", "streams", len(writes), "first", writes[0].Stream, "error", err)
	})
	if err == nil {
		return results, nil
	}
	if !doubt && !isAboutLog(err) { // the error is about one stream or request of the group; step by step, the others can succeed
		j.logger.Debug("requests are not recorded together", "requests", len(g.requests), "error", err)
		if _, lost := errors.AsType[*eventstore.ConflictError](err); lost {
			return nil, ErrLost
		}
		return nil, ErrStepByStep
	}
	if doubt && saysNothingDone(err) {
		err = &eventstore.OutcomeUnknownError{Cause: err}
	}
	return nil, err
}

// isAboutLog tells whether an error concerns the log or the call, and not one stream or request of
// the group. Examples: the log cannot be reached, or the time of the call is over.
func isAboutLog(err error) bool {
	_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
	_, away := errors.AsType[*eventstore.UnavailableError](err)
	_, diverged := errors.AsType[*eventstore.DivergedError](err)
	_, denied := errors.AsType[*eventstore.DeniedError](err)
	return unknown || away || diverged || denied || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// Joined carries out the commands of a Joint on one kind of aggregate. It has the methods of
// Handler. A result has no position until Commit.
type Joined[S, C, E any] struct {
	joint   *Joint
	handler *Handler[S, C, E]
	lent    map[string]*laneLoan[S, C, E]
}

// Join lets a Joint change the streams of a handler.
func Join[S, C, E any](j *Joint, h *Handler[S, C, E]) *Joined[S, C, E] {
	return &Joined[S, C, E]{joint: j, handler: h, lent: map[string]*laneLoan[S, C, E]{}}
}

// laneLoan is a borrowed lane.
type laneLoan[S, C, E any] struct {
	lane      *lane[S, C, E]
	jobs      []*job[S, C, E] // the jobs whose events are not recorded yet
	events    []eventstore.Event
	base, own int64 // the lane's revisions before these events
	changed   bool  // the lane's state is no longer that of base
	position  eventstore.Position
	parent    loan
}

// Handle decides a request. Its events are recorded by Commit.
func (d *Joined[S, C, E]) Handle(ctx context.Context, request Request[C]) (Result[E], error) {
	if request.Meta.CommandID == uuid.Nil {
		return Result[E]{}, d.stepByStep() // Handler refuses it
	}
	l, err := d.borrow(ctx, request.Stream, request.New)
	if err != nil {
		return Result[E]{}, err
	}
	lane := l.lane
	j := &job[S, C, E]{request: request, done: make(chan struct{})}
	if d.handler.options.Observe != nil {
		j.began = time.Now()
	}
	lane.begunRevision = lane.revision
	err = lane.decideOne(ctx, j)
	if lane.revision != lane.begunRevision {
		l.changed = true
		d.joint.now.wrote = append(d.joint.now.wrote, l)
	}
	if err != nil || len(j.encoded) == 0 {
		return Result[E]{}, d.stepByStep()
	}
	lane.noteBatched(j)
	l.jobs, l.events = append(l.jobs, j), append(l.events, j.encoded...)
	return Result[E]{Revision: lane.own, Events: j.events}, nil
}

// Repeats returns ErrStepByStep, because a request that was carried out before needs no append.
func (d *Joined[S, C, E]) Repeats(context.Context, string, eventstore.Metadata) (bool, error) {
	return false, d.stepByStep()
}

// View calls read with the state that the requests before this one have left.
func (d *Joined[S, C, E]) View(ctx context.Context, stream string, read func(state S, revision int64)) error {
	l, err := d.borrow(ctx, stream, false)
	if err != nil {
		return err
	}
	return Safely(func() error { read(l.lane.state, l.lane.own); return nil })
}

// ViewAged is View, because the state of a borrowed lane is in memory anyway.
func (d *Joined[S, C, E]) ViewAged(ctx context.Context, stream string, _ time.Duration, read func(state S, revision int64)) error {
	return d.View(ctx, stream, read)
}

// ViewIdle always returns false, because a lane must be borrowed before it is read.
func (d *Joined[S, C, E]) ViewIdle(string, time.Duration, func(state S, revision int64)) (done bool, err error) {
	return false, nil
}

// ViewCached is View for a stream that the handler has in memory. If its state is not there any
// more, the stream counts as new, and the append finds out if it is not.
func (d *Joined[S, C, E]) ViewCached(ctx context.Context, stream string, read func(state S, revision int64)) error {
	if _, lent := d.lent[stream]; !lent && !d.handler.has(stream) {
		return nil
	}
	if _, err := d.borrow(ctx, stream, true); err != nil {
		return err
	}
	return d.View(ctx, stream, read)
}

// Close does nothing; it is the handler that closes.
func (d *Joined[S, C, E]) Close(context.Context) error { return nil }

// Position returns a position of the log. A reader who has read up to it has read all events of the
// requests that changed this stream. Call it after Commit. Example: a request records events on
// cart-a at position 7 and on order-o at position 9. Then the position of both streams is 9.
func (d *Joined[S, C, E]) Position(stream string) eventstore.Position {
	if l := d.lent[stream]; l != nil {
		return l.position
	}
	return eventstore.Start
}

// stepByStep notes that the present request cannot be carried out here.
func (d *Joined[S, C, E]) stepByStep() error {
	d.joint.now.stepByStep = true
	return ErrStepByStep
}

// maxLoanWait is how long a Joint waits for lanes that are at work, in total. A lane usually works
// for a few milliseconds. While a Joint waits, its other requests wait, too.
const maxLoanWait = 50 * time.Millisecond

// borrow returns the loan of a stream, or ErrStepByStep if it cannot have the lane or if the state
// is not in memory. It does not read the stream, because the other requests would wait meanwhile.
// isNew says that the stream probably does not exist yet.
func (d *Joined[S, C, E]) borrow(ctx context.Context, stream string, isNew bool) (*laneLoan[S, C, E], error) {
	if l := d.lent[stream]; l != nil {
		return l, nil
	}
	began := time.Now()
	lane, err := d.handler.lend(ctx, stream, maxLoanWait-d.joint.waited)
	d.joint.waited += time.Since(began)
	if err != nil {
		return nil, d.stepByStep()
	}
	if lane.loaded || isNew {
		_, err = lane.load(ctx, isNew)
	} else {
		err = ErrAgain
		d.joint.now.again = len(d.joint.now.wrote) == 0
	}
	if err != nil {
		d.handler.takeBack(lane)
		return nil, d.stepByStep()
	}
	lane.recordedRevision, lane.batched = lane.revision, nil
	l := &laneLoan[S, C, E]{lane: lane, base: lane.revision, own: lane.own}
	l.parent = l
	d.lent[stream] = l
	d.joint.loans = append(d.joint.loans, l)
	return l, nil
}

func (l *laneLoan[S, C, E]) write() (w eventstore.Write, changed bool) {
	return eventstore.Write{Stream: l.lane.stream, Expected: eventstore.AtRevision(l.base), Events: l.events}, l.changed
}

func (l *laneLoan[S, C, E]) recorded(result eventstore.Result, last eventstore.Position) {
	l.position = last
	l.lane.recorded(l.jobs, l.base, l.own, result)
	l.observe()
	l.jobs, l.events, l.changed = nil, nil, false
}

// observe tells Options.Observe of the jobs that are recorded.
func (l *laneLoan[S, C, E]) observe() {
	observe := l.lane.handler.options.Observe
	if observe == nil {
		return
	}
	for _, j := range l.jobs {
		observe(Handled{
			Stream: l.lane.stream, Command: j.request.Commands[0], Meta: j.request.Meta, Began: j.began, Events: len(j.events),
		})
	}
}

func (l *laneLoan[S, C, E]) forget() {
	l.lane.forget()
	l.jobs, l.events, l.changed = nil, nil, false
}

func (l *laneLoan[S, C, E]) giveBack() { l.lane.handler.takeBack(l.lane) }

func (l *laneLoan[S, C, E]) root() loan {
	if l.parent == l {
		return l
	}
	l.parent = l.parent.root()
	return l.parent
}

func (l *laneLoan[S, C, E]) groupWith(other loan) {
	if mine := l.root(); mine != other.root() {
		mine.adopt(other.root())
	}
}

func (l *laneLoan[S, C, E]) adopt(parent loan) { l.parent = parent }
