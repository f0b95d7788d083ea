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
	// Attempts bounds how often a batch is decided again after a conflict (16).
	Attempts int
	// AppendTimeout bounds one append (20 s), together with its repetitions after an unknown
	// outcome.
	AppendTimeout time.Duration
	// SearchTimeout bounds a search in a stream for a forgotten command or name (2 min). If a
	// search takes longer, the next try goes on from there.
	SearchTimeout time.Duration
	// SearchLimit is how many commands may wait for searches (1,000).
	SearchLimit int
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
		o.Attempts = 16
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
	}
}

// Handle carries out a request. If ctx ends before the request has begun, Handle returns the
// error of ctx. If ctx ends later, it returns an OutcomeUnknownError; call Handle again with
// the same command id to get the result.
//
// Errors: *rule.Rejection (nothing was recorded), *StaleError, ErrCommandReused, ErrOverloaded,
// ErrClosed, *UndecodableError, and those of eventstore.Store.Append.
func (h *Handler[S, C, E]) Handle(ctx context.Context, request Request[C]) (Result[E], error) {
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

// Repeats tells whether the request with this metadata was carried out before. If so, Handle
// returns its first result again, and the caller must ignore a refusal that it found before it
// calls Handle.
//
// It has the same errors as Handle, such as ErrCommandReused.
func (h *Handler[S, C, E]) Repeats(ctx context.Context, stream string, meta eventstore.Metadata) (bool, error) {
	result, err := h.Handle(ctx, Request[C]{Stream: stream, Meta: meta})
	return result.Replayed, err
}

// View calls look with the stream's present state. An empty stream has the zero state and
// revision -1. The state belongs to the handler: look must not keep it or change it, and must
// not wait for anything.
func (h *Handler[S, C, E]) View(ctx context.Context, stream string, look func(state S, revision int64)) error {
	job := &job[S, C, E]{request: Request[C]{Stream: stream}, look: look, done: make(chan struct{})}
	if err := h.submit(ctx, job); err != nil {
		return err
	}
	return job.err
}

// ViewAged is View with a state that may be as old as maxAge. It may lack events that another
// node has written in that time.
func (h *Handler[S, C, E]) ViewAged(ctx context.Context, stream string, maxAge time.Duration, look func(state S, revision int64)) error {
	job := &job[S, C, E]{request: Request[C]{Stream: stream}, look: look, maxAge: maxAge, done: make(chan struct{})}
	if err := h.submit(ctx, job); err != nil {
		return err
	}
	return job.err
}

// ViewCached is ViewAged for a stream that this node has in memory. The state may be an hour old.
// For any other stream it does nothing. It rarely reads the log. Use it to refuse early and
// cheaply, and only if a later step refuses what ViewCached overlooks.
func (h *Handler[S, C, E]) ViewCached(ctx context.Context, stream string, look func(state S, revision int64)) error {
	h.mu.Lock()
	_, found := h.lanes[stream]
	h.mu.Unlock()
	if !found {
		return nil
	}
	return h.ViewAged(ctx, stream, time.Hour, look)
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
	if job.look != nil {
		<-job.done // look may be running, and it may use the caller's variables
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

// weigh notes how many bytes an idle lane has in memory.
func (h *Handler[S, C, E]) weigh(l *lane[S, C, E], size int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lanes[l.stream] != l {
		return // the lane was removed in the meantime
	}
	h.bytes += size - l.weight
	l.weight = size
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
			h.recent.Remove(at)
			delete(h.lanes, l.stream)
			h.bytes -= l.weight
		}
		at = before
	}
}
