package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/codes"

	"daybook/eventstore"
)

const (
	// Limits of one call: appends whose last frame has not come, and bytes that were given to
	// the log. More such appends end the call. More bytes stop the reading of the call for a
	// while.
	batchUnfinished = 32
	batchInFlight   = 16 << 20
	batchAppendCost = 64 << 10 // bytes that the smallest append counts

	// batchDeadline is how long an append may take if the client gives no deadline.
	batchDeadline = 10 * time.Second
)

// BatchAppend implements Streams: many appends over one call, each answered when it is done.
// Appends to one stream are done and answered in the order in which their last frames came.
// Appends to different streams have no order.
func (s *Server) BatchAppend(stream streams.Streams_BatchAppendServer) error {
	ctx, cancel := s.untilClosing(stream.Context())
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	b := &batch{
		server:     s,
		stream:     stream,
		end:        end,
		unfinished: make(map[uuid.UUID]*batchAppend),
		expired:    make(chan uuid.UUID),
		inFlight:   semaphore.NewWeighted(batchInFlight),
		last:       make(map[string]chan struct{}),
	}
	err := b.run(ctx)
	for id, a := range b.unfinished {
		b.forget(id, a)
	}
	b.appends.Wait()
	if err == nil {
		err = b.unsent
	}
	return err
}

// batch is one call of BatchAppend. One goroutine handles the frames, and only this goroutine
// uses the unfinished appends.
type batch struct {
	server     *Server
	stream     streams.Streams_BatchAppendServer
	unfinished map[uuid.UUID]*batchAppend
	expired    chan uuid.UUID // unfinished appends whose deadline has passed

	inFlight *semaphore.Weighted
	appends  sync.WaitGroup
	sending  sync.Mutex
	unsent   error                   // why an answer could not be sent
	end      context.CancelCauseFunc // of the call

	queueing sync.Mutex
	last     map[string]chan struct{} // by stream: closed when the stream's last append in flight is over
}

// batchAppend is an append whose frames are coming in. If it was answered early, it is kept
// until its last frame, and its frames are dropped.
type batchAppend struct {
	appendRequest
	correlation *shared.UUID
	options     *streams.BatchAppendReq_Options
	deadline    time.Time
	timer       *time.Timer // nil unless it waits for more frames
	answered    bool
}

// run takes frames until the client has sent its last.
func (b *batch) run(ctx context.Context) error {
	type received struct {
		frame *streams.BatchAppendReq
		held  int64
	}
	frames, ended := make(chan received), make(chan error, 1)
	go func() {
		for {
			frame, err := b.stream.Recv()
			if err != nil {
				ended <- err
				return
			}
			held := kept(b.stream.Context())
			select {
			case frames <- received{frame, held}:
			case <-ctx.Done():
				b.server.received.Release(held)
				return
			}
		}
	}()
	for {
		select {
		case got := <-frames:
			if err := b.take(ctx, got.frame, got.held); err != nil {
				return err
			}
		case id := <-b.expired:
			if a, ok := b.unfinished[id]; ok {
				b.refuse(a, context.DeadlineExceeded)
			}
		case err := <-ended:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take handles a frame. held is what the budget of received bytes counts for it. An error
// ends the call.
func (b *batch) take(ctx context.Context, frame *streams.BatchAppendReq, held int64) error {
	id, err := parseID(frame.GetCorrelationId())
	if err != nil { // the error names the append by its correlation id
		b.refuse(&batchAppend{correlation: frame.GetCorrelationId(), options: frame.GetOptions(), appendRequest: appendRequest{held: held}}, err)
		return nil
	}
	a, known := b.unfinished[id]
	if !known {
		a = b.begin(frame)
	}
	a.held += held
	for _, message := range frame.GetProposedMessages() {
		if a.answered {
			break
		}
		if err := a.add(message); err != nil {
			b.refuse(a, err)
		}
	}
	if a.answered {
		b.release(a)
	}
	if !frame.GetIsFinal() {
		err := b.keep(ctx, id, a)
		if err != nil {
			b.release(a)
		}
		return err
	}
	delete(b.unfinished, id)
	a.stopTimer()
	if a.answered {
		return nil
	}
	return b.start(ctx, a)
}

func (b *batch) begin(frame *streams.BatchAppendReq) *batchAppend {
	options := frame.GetOptions()
	a := &batchAppend{correlation: frame.GetCorrelationId(), options: options, deadline: b.deadline(options)}
	var err error
	if a.stream, err = parseStream(options.GetStreamIdentifier()); err == nil {
		a.expected, err = parseExpected(options.GetExpectedStreamPosition())
	}
	if given := options.GetDeadline(); err == nil && given != nil && given.CheckValid() != nil {
		err = invalid("the deadline is not a duration: %v", given.CheckValid())
	}
	if err != nil {
		b.refuse(a, err)
	}
	return a
}

func (b *batch) deadline(options *streams.BatchAppendReq_Options) time.Time {
	switch deadline := options.GetDeadlineOption().(type) {
	case *streams.BatchAppendReq_Options_Deadline:
		return b.server.now().Add(deadline.Deadline.AsDuration())
	case *streams.BatchAppendReq_Options_Deadline_21_10_0:
		return deadline.Deadline_21_10_0.AsTime()
	default:
		return b.server.now().Add(batchDeadline)
	}
}

// keep waits for more frames of an append, until its deadline.
func (b *batch) keep(ctx context.Context, id uuid.UUID, a *batchAppend) error {
	if _, known := b.unfinished[id]; known {
		return nil
	}
	if len(b.unfinished) == batchUnfinished {
		return fail(codes.ResourceExhausted, "too many appends whose last frame is missing")
	}
	b.unfinished[id] = a
	a.timer = time.AfterFunc(a.deadline.Sub(b.server.now()), func() {
		select {
		case b.expired <- id:
		case <-ctx.Done():
		}
	})
	return nil
}

// forget gives up an append whose last frame has not come.
func (b *batch) forget(id uuid.UUID, a *batchAppend) {
	delete(b.unfinished, id)
	a.stopTimer()
	b.release(a)
}

func (a *batchAppend) stopTimer() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// release gives the bytes of an append back to the budget of received bytes.
func (b *batch) release(a *batchAppend) {
	b.server.received.Release(a.held)
	a.held = 0
}

// refuse answers an append that was not handed to the log.
func (b *batch) refuse(a *batchAppend, err error) {
	if a.answered {
		return
	}
	a.answered, a.events = true, nil
	b.release(a)
	b.answer(a, eventstore.Result{}, err)
}

// start gives an append to the log, as soon as there is space for it and the earlier appends
// to the same stream are done. Space is given in the order of the appends. So an append that
// waits for an earlier one never holds space that the earlier one needs.
func (b *batch) start(ctx context.Context, a *batchAppend) error {
	cost := int64(max(a.size, batchAppendCost))
	if b.inFlight.Acquire(ctx, cost) != nil {
		b.release(a)
		return context.Cause(ctx)
	}
	before, over := b.enqueue(a.stream)
	b.appends.Go(func() {
		defer b.inFlight.Release(cost)
		defer b.release(a)
		defer over()
		// The context that ends at closing is not used, because an append that has begun is
		// finished.
		ctx, cancel := context.WithDeadline(b.stream.Context(), a.deadline)
		defer cancel()
		select {
		case <-before:
		case <-ctx.Done():
		}
		if err := ctx.Err(); err != nil {
			b.answer(a, eventstore.Result{}, err)
			<-before // a later append must wait for these earlier ones, too
			return
		}
		result, err := b.append(ctx, a)
		b.answer(a, result, err)
	})
	return nil
}

// enqueue queues an append behind those to the same stream. before is closed when it may
// start, and over lets the next one start.
func (b *batch) enqueue(stream string) (before <-chan struct{}, over func()) {
	b.queueing.Lock()
	defer b.queueing.Unlock()
	last, done := b.last[stream], make(chan struct{})
	if last == nil {
		last = make(chan struct{})
		close(last)
	}
	b.last[stream] = done
	return last, func() {
		b.queueing.Lock()
		defer b.queueing.Unlock()
		if b.last[stream] == done {
			delete(b.last, stream)
		}
		close(done)
	}
}

func (b *batch) append(ctx context.Context, a *batchAppend) (result eventstore.Result, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = b.server.panicked(ctx, streams.Streams_BatchAppend_FullMethodName, panicked)
		}
	}()
	return b.server.append(ctx, a.appendRequest)
}

func (b *batch) answer(a *batchAppend, result eventstore.Result, err error) {
	resp := &streams.BatchAppendResp{CorrelationId: a.correlation, StreamIdentifier: repeatStream(a.options)}
	if err == nil {
		resp.Result = &streams.BatchAppendResp_Success_{Success: batchSuccess(result)}
	} else {
		resp.Result = &streams.BatchAppendResp_Error{Error: batchError(a.stream, err)}
		b.server.logger.Debug("gateway: an append failed", "stream", a.stream, "error", err)
	}
	b.sending.Lock()
	defer b.sending.Unlock()
	if err := b.stream.Send(resp); err != nil && b.unsent == nil {
		b.unsent = fmt.Errorf("answer an append to %s: %w", a.stream, err)
		b.end(b.unsent)
	}
}
