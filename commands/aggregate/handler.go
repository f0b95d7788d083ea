package aggregate

import (
	"container/list"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
)

// Options are a handler's dependencies and bounds; the zero value of each bound
// takes its default.
type Options struct {
	Logger    *slog.Logger
	Snapshots Snapshots // nil: none are kept
	// CacheStreams is how many folded streams are kept in memory (20,000).
	CacheStreams int
	// CacheBytes bounds their size (256 MiB), by the bytes of each one's last snapshot.
	CacheBytes int64
	// Remembered is how many commands of a stream are kept in memory (4,096); below 0:
	// none. Older ones are looked up in the stream when they are asked for again. For
	// commands whose events the state guards, the limit is Remembered/16.
	Remembered int
	// QueueLimit is how many commands may wait for one stream (10,000).
	QueueLimit int
	// Attempts bounds how often a batch is decided again after a conflict (16).
	Attempts int
	// AppendTimeout bounds one append, its repetitions on an unknown outcome
	// included (20 s).
	AppendTimeout time.Duration
	// SearchTimeout bounds a search of a stream's events for what was forgotten
	// (2 min). One that takes longer goes on where it was when it is asked for again.
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
// Commands for one stream are serialised: while an append is in flight the next
// ones queue, then all of them are decided one after the other on the evolving
// state and appended as one batch. That makes a busy stream's rate the batch
// size times the commit rate, and refusals cost no append. Other writers of the
// same stream (another node) are met by the expected revision: a lost race
// folds the stream anew and decides again.
type Handler[S, C, E any] struct {
	store     eventstore.Store
	aggregate Definition[S, C, E]
	options   Options

	mu     sync.Mutex
	lanes  map[string]*lane[S, C, E]
	recent *list.List // of *lane, the most recently used in front; only idle lanes leave
	bytes  int64      // sum over the lanes' weights
	work   sync.WaitGroup
	closed bool

	searches  map[searchKey]*sharedSearch[S, C, E]
	searching chan struct{}   // holds as many as search the log
	life      context.Context // of searches: ends when the handler closes
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

// Handle carries out a request. When ctx ends first, it returns an
// OutcomeUnknownError if the request had begun, and ctx's error if not; asking
// again with the same command id settles it.
//
// Errors: *rule.Rejection (nothing was recorded), *StaleError, ErrCommandReused, ErrOverloaded,
// ErrClosed, and those of eventstore.Store.Append.
func (h *Handler[S, C, E]) Handle(ctx context.Context, request Request[C]) (Result[E], error) {
	if request.Meta.CommandID == uuid.Nil {
		return Result[E]{}, fmt.Errorf("command for stream %s has no id", request.Stream)
	}
	job := &job[S, C, E]{request: request, done: make(chan struct{})}
	if err := h.submit(ctx, job); err != nil {
		return Result[E]{}, err
	}
	if len(job.answer.Events) > 0 || job.answer.Replayed {
		noteRecorded(ctx)
	}
	return job.answer, job.err
}

// Repeats tells whether the request with this metadata was carried out before. In that
// case Handle gives its answer again, and a refusal found before Handle must be ignored.
//
// Errors: those of Handle, ErrCommandReused among them.
func (h *Handler[S, C, E]) Repeats(ctx context.Context, stream string, meta eventstore.Metadata) (bool, error) {
	answer, err := h.Handle(ctx, Request[C]{Stream: stream, Meta: meta})
	return answer.Replayed, err
}

// View calls look with the stream's state as of now; an empty stream has the
// zero state and revision -1. The state is the handler's own: look must not
// keep or change it, nor wait for anything.
func (h *Handler[S, C, E]) View(ctx context.Context, stream string, look func(state S, revision int64)) error {
	job := &job[S, C, E]{request: Request[C]{Stream: stream}, look: look, done: make(chan struct{})}
	if err := h.submit(ctx, job); err != nil {
		return err
	}
	return job.err
}

// ViewAged is View for a state that may be as old as maxAge: what another node has
// written since is not looked for.
func (h *Handler[S, C, E]) ViewAged(ctx context.Context, stream string, maxAge time.Duration, look func(state S, revision int64)) error {
	job := &job[S, C, E]{request: Request[C]{Stream: stream}, look: look, maxAge: maxAge, done: make(chan struct{})}
	if err := h.submit(ctx, job); err != nil {
		return err
	}
	return job.err
}

// Recall is ViewAged for a stream that this node has in memory, with a state that may be
// an hour old. For any other stream it does nothing. It hardly ever reads the log, so
// it suits a refusal that only comes early: what it misses must be refused later.
func (h *Handler[S, C, E]) Recall(ctx context.Context, stream string, look func(state S, revision int64)) error {
	h.mu.Lock()
	_, found := h.lanes[stream]
	h.mu.Unlock()
	if !found {
		return nil
	}
	return h.ViewAged(ctx, stream, time.Hour, look)
}

// Close refuses new commands and waits for those in flight, or for ctx. Commands that
// wait for a search of the log are not in flight: they end with ErrClosed.
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
		return fmt.Errorf("commands still in flight: %w", ctx.Err())
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
		return fmt.Errorf("command for stream %s not begun: %w", job.request.Stream, ctx.Err())
	}
	if job.look != nil {
		<-job.done // look may be running, and it uses what the caller owns
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

// resume puts a job in front of its stream's queue, because the log was searched for it.
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

// lane is a stream's lane, which is now the most recently used; the lock is held.
func (h *Handler[S, C, E]) lane(stream string) *lane[S, C, E] {
	l, found := h.lanes[stream]
	if found {
		h.recent.MoveToFront(l.place)
		return l
	}
	l = &lane[S, C, E]{handler: h, stream: stream}
	h.lanes[stream] = l
	l.place = h.recent.PushFront(l)
	h.evict()
	return l
}

// start sets an idle lane to work; the lock is held.
func (h *Handler[S, C, E]) start(l *lane[S, C, E]) {
	h.work.Add(1)
	go func() {
		defer h.work.Done()
		h.weigh(l, l.work())
	}()
}

// weigh counts how many bytes a lane that rests keeps in memory.
func (h *Handler[S, C, E]) weigh(l *lane[S, C, E], size int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lanes[l.stream] != l {
		return // forgotten a moment ago
	}
	h.bytes += size - l.weight
	l.weight = size
	h.evict()
}

// evict forgets the streams that were not used for longest. A lane at work
// stays: its queue is the only one its stream may have. The one used last stays, too,
// however large it is.
func (h *Handler[S, C, E]) evict() {
	for at := h.recent.Back(); at != nil && (len(h.lanes) > h.options.CacheStreams || h.bytes > h.options.CacheBytes); {
		l := at.Value.(*lane[S, C, E]) // the list holds nothing else
		before := at.Prev()
		if !l.queue.isWorking() && before != nil {
			h.recent.Remove(at)
			delete(h.lanes, l.stream)
			h.bytes -= l.weight
		}
		at = before
	}
}
