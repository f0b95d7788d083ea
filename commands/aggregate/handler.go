package aggregate

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// Options are a handler's dependencies and bounds. A bound that is 0 has its default, which is
// in parentheses.
type Options struct {
	Logger    *slog.Logger
	Snapshots Snapshots // nil: none are kept
	// News has the latest events of other nodes, for all handlers; nil: conflicts tell of them.
	News *News
	// CacheStreams is how many folded streams are kept in memory (20,000).
	CacheStreams int
	// CacheBytes bounds their size (256 MiB). A stream counts with the size of its last
	// snapshot.
	CacheBytes int64
	// Remembered is how many commands of a stream are kept in memory (4,096); below 0: none.
	// If an older command comes again, it is looked up in the stream. For commands whose
	// events the state guards, the limit is Remembered/16.
	Remembered int
	// QueueLimit is how many commands may wait for one stream (10,000).
	QueueLimit int
	// Attempts bounds how often a batch is decided again after a conflict (64).
	Attempts int
	// AppendTimeout bounds one append (20 s), together with its repetitions after an unknown
	// outcome. An append may take up to a twentieth longer.
	AppendTimeout time.Duration
	// SearchTimeout bounds a search in a stream for a forgotten command or name (2 min). If a
	// search takes longer, the next try goes on from there.
	SearchTimeout time.Duration
	// SearchLimit is how many commands may wait for searches (1,000).
	SearchLimit int
	// Observe, if set, is told of each request that was carried out or refused. It must not wait.
	Observe func(Handled)
}

// Handled says what became of a request.
type Handled struct {
	Stream   string
	Command  any // the first command of the request
	Meta     eventstore.Metadata
	Began    time.Time
	Events   int  // how many events were recorded
	Replayed bool // the request was carried out before
	Err      error
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.CacheStreams == 0 {
		o.CacheStreams = 20_000
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 256 << 20
	}
	if o.Remembered == 0 {
		o.Remembered = 4096
	}
	if o.QueueLimit == 0 {
		o.QueueLimit = 10_000
	}
	if o.Attempts == 0 {
		o.Attempts = 64
	}
	if o.AppendTimeout == 0 {
		o.AppendTimeout = 20 * time.Second
	}
	if o.SearchTimeout == 0 {
		o.SearchTimeout = 2 * time.Minute
	}
	if o.SearchLimit == 0 {
		o.SearchLimit = 1000
	}
	return o
}

func (o Options) limits() memoryLimits {
	done := max(o.Remembered, 0)
	return memoryLimits{done: done, guarded: done / 16}
}

// Handler carries out commands on one kind of aggregate.
//
// Commands for one stream are carried out one after the other. While an append is under way,
// further commands wait in a queue. Then each is decided on the state that the one before
// left, and all their events are appended as one batch. So one commit serves many commands of
// a busy stream, and a refusal costs no append. Example: 100 checkouts that want the same SKU
// wait for one commit together. If another node writes to the same stream first, the append
// fails because of its expected revision. Then the stream is read again and the commands are
// decided again.
type Handler[S, C, E any] struct {
	store     eventstore.Store
	aggregate Definition[S, C, E]
	options   Options

	mu     sync.Mutex
	lanes  map[string]*lane[S, C, E]
	recent *list.List // of *lane, the most recently used first; only idle lanes are removed
	bytes  int64      // the sum of the lanes' weights
	work   sync.WaitGroup
	closed bool

	searches  map[searchKey]*sharedSearch[S, C, E]
	searching chan struct{}   // has one entry for each search that is running
	life      context.Context // the context of searches; it ends when the handler closes
	end       context.CancelFunc

	appends sharedDeadline
}

// NewHandler makes a handler for one kind of aggregate over a store.
func NewHandler[S, C, E any](store eventstore.Store, aggregate Definition[S, C, E], options Options) *Handler[S, C, E] {
	life, end := context.WithCancel(context.Background())
	return &Handler[S, C, E]{
		store:     store,
		aggregate: aggregate,
		options:   options.withDefaults(),
		lanes:     make(map[string]*lane[S, C, E]),
		recent:    list.New(),
		searches:  make(map[searchKey]*sharedSearch[S, C, E]),
		searching: make(chan struct{}, searchesAtOnce),
		life:      life,
		end:       end,
		appends:   sharedDeadline{timeout: options.withDefaults().AppendTimeout},
	}
}

// Handle carries out a request. If ctx ends before the request has begun, Handle returns the
// error of ctx. If ctx ends later, it returns an OutcomeUnknownError; call Handle again with
// the same command id to get the result.
//
// Errors: *rule.Rejection (nothing was recorded), *StaleError, ErrCommandReused, ErrOverloaded,
// ErrClosed, *UndecodableError, and those of eventstore.Store.Append.
func (h *Handler[S, C, E]) Handle(ctx context.Context, request Request[C]) (Result[E], error) {
	if h.options.Observe == nil || len(request.Commands) == 0 {
		return h.handle(ctx, request)
	}
	began := time.Now()
	result, err := h.handle(ctx, request)
	h.options.Observe(Handled{
		Stream: request.Stream, Command: request.Commands[0], Meta: request.Meta, Began: began,
		Events: len(result.Events), Replayed: result.Replayed, Err: err,
	})
	return result, err
}

func (h *Handler[S, C, E]) handle(ctx context.Context, request Request[C]) (Result[E], error) {
	if request.Meta.CommandID == uuid.Nil {
		return Result[E]{}, fmt.Errorf("command for stream %s has no id", request.Stream)
	}
	job := &job[S, C, E]{request: request, done: make(chan struct{})}
	if request.New {
		if done, err := h.create(ctx, job); done || err != nil {
			return job.result, err
		}
	}
	if err := h.submit(ctx, job); err != nil {
		return Result[E]{}, err
	}
	if len(job.result.Events) > 0 || job.result.Replayed {
		noteRecorded(ctx)
	}
	return job.result, job.err
}

// Repeats tells whether the request with this metadata was carried out before. If so, the caller
// must not refuse the request by a check of its own, but call Handle, which returns the first
// result again. Example: units are taken back under a return id, and later a return with this id is
// requested. If the first request is repeated, it must not be refused because the return exists
// now.
//
// It has the same errors as Handle, such as ErrCommandReused.
func (h *Handler[S, C, E]) Repeats(ctx context.Context, stream string, meta eventstore.Metadata) (bool, error) {
	result, err := h.Handle(ctx, Request[C]{Stream: stream, Meta: meta})
	return result.Replayed, err
}

// View calls read with the stream's present state. An empty stream has the zero state and
// revision -1. The state belongs to the handler: read must not keep it or change it, and must
// not wait for anything.
func (h *Handler[S, C, E]) View(ctx context.Context, stream string, read func(state S, revision int64)) error {
	job := &job[S, C, E]{request: Request[C]{Stream: stream}, read: read, done: make(chan struct{})}
	if err := h.submit(ctx, job); err != nil {
		return err
	}
	return job.err
}

// ViewAged is View with a state that may be as old as maxAge. It may lack events that another
// node has written in that time.
func (h *Handler[S, C, E]) ViewAged(ctx context.Context, stream string, maxAge time.Duration, read func(state S, revision int64)) error {
	if done, err := h.ViewIdle(stream, maxAge, read); done {
		return err
	}
	job := &job[S, C, E]{request: Request[C]{Stream: stream}, read: read, maxAge: maxAge, done: make(chan struct{})}
	if err := h.submit(ctx, job); err != nil {
		return err
	}
	return job.err
}

// ViewIdle is ViewAged for a stream that is in memory and whose lane is idle. It reads the state in
// the caller's own goroutine, which takes at most a tenth of the time, and never waits. done is
// false if the stream is not in memory, if its lane is at work, or if its state is too old.
func (h *Handler[S, C, E]) ViewIdle(stream string, maxAge time.Duration, read func(state S, revision int64)) (done bool, err error) {
	h.mu.Lock()
	l, found := h.lanes[stream]
	if !found || h.closed || !l.queue.lend() {
		h.mu.Unlock()
		return false, nil
	}
	h.recent.MoveToFront(l.place)
	h.work.Add(1)
	h.mu.Unlock()
	defer h.takeBack(l)
	if l.loaded {
		l.hear()
	}
	if !l.loaded || time.Since(l.checked) > maxAge {
		return false, nil
	}
	return true, Safely(func() error { read(l.state, l.own); return nil })
}

// ViewCached is ViewAged for a stream that this node has in memory. The state may be an hour old.
// For any other stream it does nothing. It rarely reads the log. Use it to refuse early and
// cheaply, and only if a later step refuses what ViewCached overlooks.
func (h *Handler[S, C, E]) ViewCached(ctx context.Context, stream string, read func(state S, revision int64)) error {
	if !h.has(stream) {
		return nil
	}
	return h.ViewAged(ctx, stream, time.Hour, read)
}

// has tells whether the handler has a stream in memory.
func (h *Handler[S, C, E]) has(stream string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, found := h.lanes[stream]
	return found
}

// Close refuses new commands, and waits until those that are under way have ended or ctx ends.
// Commands that wait for a search of the log end with ErrClosed.
func (h *Handler[S, C, E]) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.end()
	idle := make(chan struct{})
	go func() { h.work.Wait(); close(idle) }()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("commands are still under way: %w", ctx.Err())
	}
}

func (h *Handler[S, C, E]) submit(ctx context.Context, job *job[S, C, E]) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("command for stream %s not begun: %w", job.request.Stream, err)
	}
	if err := h.enqueue(job); err != nil {
		return err
	}
	select {
	case <-job.done:
		return nil
	case <-ctx.Done():
	}
	if job.withdraw() {
		if job.doubt {
			return &eventstore.OutcomeUnknownError{Cause: ctx.Err()}
		}
		return fmt.Errorf("command for stream %s not begun: %w", job.request.Stream, ctx.Err())
	}
	if job.read != nil {
		<-job.done // read may be running, and it may use the caller's variables
		return nil
	}
	return &eventstore.OutcomeUnknownError{Cause: ctx.Err()}
}

func (h *Handler[S, C, E]) enqueue(job *job[S, C, E]) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	l := h.lane(job.request.Stream)
	idle, err := l.queue.add(job, h.options.QueueLimit)
	if idle {
		h.start(l)
	}
	return err
}

// create carries out a request on a stream that is probably not there yet, in the caller's own
// goroutine: there is no queue to wait in, and nothing to read. done is false if the request
// must go to the stream's lane, because the stream is there or the request is refused. If the
// outcome of the append is unknown, the lane finds out what was recorded. An error is that of the
// append, as the lane would return it.
func (h *Handler[S, C, E]) create(ctx context.Context, j *job[S, C, E]) (done bool, err error) {
	h.mu.Lock()
	_, found := h.lanes[j.request.Stream]
	if found || h.closed {
		h.mu.Unlock()
		return false, nil
	}
	h.work.Add(1)
	h.mu.Unlock()
	defer h.work.Done()
	l := &lane[S, C, E]{handler: h, stream: j.request.Stream}
	l.forget()
	l.loaded = true
	if err := l.decideOne(ctx, j); err != nil || len(j.encoded) == 0 {
		return false, nil
	}
	result, err := h.store.Append(ctx, l.stream, eventstore.NoStream, j.encoded)
	_, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err)
	_, diverged := errors.AsType[*eventstore.DivergedError](err)
	_, conflict := errors.AsType[*eventstore.ConflictError](err)
	_, duplicate := errors.AsType[*eventstore.DuplicateEventError](err)
	switch {
	case unknown && !diverged && ctx.Err() == nil, result.Replayed:
		j.doubt = true
		return false, nil
	case conflict || duplicate:
		return false, nil
	case err != nil:
		return false, err
	}
	l.recorded([]*job[S, C, E]{j}, -1, -1, result)
	h.keep(l)
	noteRecorded(ctx)
	return true, nil
}

// keep puts a lane into the cache, unless another one was made for its stream meanwhile.
func (h *Handler[S, C, E]) keep(l *lane[S, C, E]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, found := h.lanes[l.stream]; found {
		return
	}
	h.add(l)
}

// resume puts a job at the front of its stream's queue, after the log was searched for it.
func (h *Handler[S, C, E]) resume(j *job[S, C, E]) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	l := h.lane(j.request.Stream)
	if l.queue.putBack([]*job[S, C, E]{j}) {
		h.start(l)
	}
	return nil
}

// lane returns a stream's lane, and notes that it was used now. The caller holds the lock.
func (h *Handler[S, C, E]) lane(stream string) *lane[S, C, E] {
	l, found := h.lanes[stream]
	if found {
		h.recent.MoveToFront(l.place)
		return l
	}
	l = &lane[S, C, E]{handler: h, stream: stream}
	h.add(l)
	return l
}

// add puts a lane into the cache; the lock is held.
func (h *Handler[S, C, E]) add(l *lane[S, C, E]) {
	h.lanes[l.stream] = l
	l.place = h.recent.PushFront(l)
	h.evict()
}

// start starts the goroutine of an idle lane. The caller holds the lock.
func (h *Handler[S, C, E]) start(l *lane[S, C, E]) {
	h.work.Add(1)
	go func() {
		defer h.work.Done()
		h.weigh(l, l.work())
	}()
}

// lend gives a stream's lane to a Joint. The lane takes no further jobs until takeBack. If the
// lane is at work for longer than wait, lend returns an error.
func (h *Handler[S, C, E]) lend(ctx context.Context, stream string, wait time.Duration) (*lane[S, C, E], error) {
	l, j, err := h.askFor(stream)
	if err != nil || j == nil {
		return l, err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-j.done:
		return l, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	if j.withdraw() {
		h.work.Done()
		return nil, fmt.Errorf("stream %s: its lane is at work", stream)
	}
	<-j.done // the lane has begun the job, so it closes done at once
	return l, nil
}

// askFor borrows a lane. If the lane is idle, no job is returned. If it is at work, askFor puts a
// job into its queue, and the lane is borrowed when the job is done.
func (h *Handler[S, C, E]) askFor(stream string) (*lane[S, C, E], *job[S, C, E], error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, ErrClosed
	}
	l := h.lane(stream)
	if l.queue.lend() {
		h.work.Add(1)
		return l, nil, nil
	}
	j := &job[S, C, E]{request: Request[C]{Stream: stream}, lend: true, done: make(chan struct{})}
	idle, err := l.queue.add(j, h.options.QueueLimit)
	if err != nil {
		return nil, nil, err
	}
	if idle { // it became idle meanwhile
		h.start(l)
	}
	h.work.Add(1)
	return l, j, nil
}

// takeBack ends the loan of a lane, and starts the jobs that wait for it.
func (h *Handler[S, C, E]) takeBack(l *lane[S, C, E]) {
	defer h.work.Done()
	h.weigh(l, l.savedSize)
	if l.queue.takeBack() {
		h.start(l)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropOutdated(l)
}

// weigh notes how many bytes an idle lane has in memory.
func (h *Handler[S, C, E]) weigh(l *lane[S, C, E], size int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lanes[l.stream] != l {
		return // the lane was removed in the meantime
	}
	h.bytes += size - l.weight
	l.weight = size
	h.dropOutdated(l)
	h.evict()
}

// evict removes the lanes that were not used for the longest time, until the bounds are met. A
// working lane stays, because a stream may have only one queue. The lane that was used last
// stays, too, even if it alone exceeds the bounds.
func (h *Handler[S, C, E]) evict() {
	for at := h.recent.Back(); at != nil && (len(h.lanes) > h.options.CacheStreams || h.bytes > h.options.CacheBytes); {
		l := at.Value.(*lane[S, C, E]) // the list has only lanes
		before := at.Prev()
		if !l.queue.isWorking() && before != nil {
			h.remove(l)
		}
		at = before
	}
}
