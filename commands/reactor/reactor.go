// Package reactor finishes the work that is open in the log: processes that were begun and not
// ended, and deadlines that are due. Work that cannot be finished is parked and tried again.
//
// It has no rules and sends no commands itself. It calls a Finisher, which is
// commands.Service. Package commands/postgres stores its checkpoint, its timers and its parked
// work.
package reactor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"daybook/commands/aggregate"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/pause"
)

// Journal stores the reactor's checkpoint, and what is written together with it.
type Journal interface {
	// Lead waits until this node leads. The context that it returns ends when the node no
	// longer leads.
	Lead(ctx context.Context) (leading context.Context, resign func(), err error)
	// Checkpoint is the position from which a new leader reads.
	Checkpoint(ctx context.Context) (eventstore.Position, error)
	// Advance moves the checkpoint and writes the notes, all or none. If the checkpoint is not
	// at from, another node leads, and Advance returns ErrNotLeading.
	Advance(ctx context.Context, from, to eventstore.Position, notes Notes) error
	// CartExpiry is the rule by which the timers of open carts were last set: how long after
	// its last change a cart expires. known is false if they were never set.
	CartExpiry(ctx context.Context) (after time.Duration, known bool, err error)
	// KeepCartExpiry sets the timers of open carts and then stores the rule. If it fails, some
	// timers may be set. Then call it again.
	KeepCartExpiry(ctx context.Context, after time.Duration, set []Timer) error
}

// Notes are written together with the reactor's checkpoint.
type Notes struct {
	Set   []Timer
	Clear []Deadline
	// Park is work to park. If the work is parked already, its tries are added to the old
	// ones.
	Park []UnfinishedWork
	// Seen is the latest event that the reactor knows. The notes depend only on events up to
	// it. It is zero if the reactor has seen none yet.
	Seen eventstore.Anchor
}

func (n Notes) empty() bool { return len(n.Set)+len(n.Clear)+len(n.Park) == 0 }

// ErrNotLeading means that another node has moved the reactor's checkpoint.
var ErrNotLeading = errors.New("another node leads the reactor")

// Finisher carries out the open steps of a process, or ends a thing whose deadline has passed.
// Each method may be called again for work that is done, and then changes nothing. meta is the
// metadata of the event that began the work, or of the timer.
type Finisher interface {
	FinishCheckout(ctx context.Context, id unit.CartID, orderID unit.OrderID) error
	FinishOrder(ctx context.Context, meta eventstore.Metadata, id unit.OrderID) error
	FinishReturn(ctx context.Context, meta eventstore.Metadata, id unit.ReturnID) error
	// FinishMerge ends the merge of a cart into another.
	FinishMerge(ctx context.Context, meta eventstore.Metadata, id unit.CartID) error
	// FinishCustomerMerge ends the merge of an account into another.
	FinishCustomerMerge(ctx context.Context, meta eventstore.Metadata, id unit.CustomerID) error

	// FinishRefund gives the money of a part of an order's refund back, through the provider of its
	// payment. It may wait for the provider for some seconds.
	FinishRefund(ctx context.Context, meta eventstore.Metadata, id unit.OrderID, part unit.TransactionID) error

	// ExpireOrder ends an order that was not confirmed in time.
	ExpireOrder(ctx context.Context, meta eventstore.Metadata, id unit.OrderID, now time.Time) error
	// ExpireReservations ends reservations that are due. some is true if it ended any; then
	// there may be more.
	ExpireReservations(ctx context.Context, meta eventstore.Metadata, key stock.Key, now time.Time) (some bool, err error)
	// ExpireCart ends a cart that was not changed for long enough. If the last change is too
	// recent, postponed is the cart's new deadline. Otherwise it is zero.
	ExpireCart(ctx context.Context, meta eventstore.Metadata, id unit.CartID, now time.Time) (postponed time.Time, err error)
	// FollowHold looks at what a stream holds for an order, and ends it if the order or its
	// checkout has ended. Otherwise postponed is when to look again.
	FollowHold(ctx context.Context, meta eventstore.Metadata, stream string, id unit.OrderID, now time.Time) (postponed time.Time, err error)
	// ExpireGiftCard ends the gift card of a stream, if its time is over.
	ExpireGiftCard(ctx context.Context, meta eventstore.Metadata, stream string, now time.Time) error

	// CheckRefund asks for the end of a part of a refund that was sent to its provider long ago. It
	// returns an error if the end is still not known.
	CheckRefund(ctx context.Context, meta eventstore.Metadata, id unit.OrderID, part unit.TransactionID) error

	// Driving tells whether this node is carrying out a process of a cart's, an order's or
	// a return's stream right now.
	Driving(stream string) bool
}

// Reactor finds processes in the log that were begun and not ended, and finishes them. Usually
// the request itself carries its process out at once. The reactor is needed if the request was
// cut off, for example because its node died. It also sets and clears the timers.
//
// Only one node reacts at a time. It uses a Watermill router, and each message is one page of
// the log.
type Reactor struct {
	Store    eventstore.Store
	Journal  Journal
	Finisher Finisher
	Logger   *slog.Logger
	// Grace is how old unfinished work must be before the reactor takes it over. Younger work
	// may still be under way in its request, on this node or another one.
	Grace time.Duration
	// CartsExpireAfter is the shop's, see commands.Policy.
	CartsExpireAfter time.Duration
	// Parking stores work that cannot be finished. Without it, such work is tried for ever.
	// RetryEvery is the pause between two tries of parked work if its stream gets no new event
	// (1 h).
	Parking    ParkingLot
	RetryEvery time.Duration
	// TimersSet, if set, is called after timers were set.
	TimersSet func()

	mu      sync.Mutex
	tracker *tracker
	// checkpoint is the checkpoint in the journal. The tracker's own may be ahead of it,
	// because some work ends without an event and is removed from the list between two pages.
	checkpoint eventstore.Position
	begun      map[queue]chan struct{} // signals that there is open work
	young      chan struct{}           // signals that there are young timers
}

const (
	pageSize  = 500
	pageBytes = 4 << 20 // a page with so many bytes is full, because one event may have a megabyte
	// pageGap is the pause between two pages. It is much shorter than any grace, so it delays
	// nothing.
	pageGap = 50 * time.Millisecond
)

// Run reacts until ctx ends, and then returns nil. If the node loses the lead or the database,
// Run waits and begins again at the checkpoint.
func (r *Reactor) Run(ctx context.Context) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		started := time.Now()
		err := r.lead(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // a stop is not a failure
		}
		r.Logger.Warn("reactor starts over", "error", err)
		if time.Since(started) > time.Minute {
			wait = 100 * time.Millisecond
		}
		pause.For(ctx, wait)
	}
}

func (r *Reactor) lead(ctx context.Context) error {
	leading, resign, err := r.Journal.Lead(ctx)
	if err != nil {
		return err
	}
	defer resign()
	checkpoint, err := r.Journal.Checkpoint(leading)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.tracker, r.checkpoint = newTracker(checkpoint, r.CartsExpireAfter), checkpoint
	r.begun = newSigns()
	r.young = make(chan struct{}, 1)
	r.mu.Unlock()
	defer r.resigned()
	if err := r.watchParked(leading); err != nil {
		return err
	}
	return r.process(leading, checkpoint)
}

// process reads the log from the checkpoint on and does the work that follows from it, until ctx
// ends or something fails. When it returns, everything that it started has ended.
func (r *Reactor) process(ctx context.Context, checkpoint eventstore.Position) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	fail := func(err error) {
		select {
		case failed <- err:
		default:
		}
		stop()
	}
	router, err := r.router(ctx, checkpoint, fail)
	if err != nil {
		return err
	}
	var work sync.WaitGroup
	for _, do := range []func(context.Context) error{
		func(ctx context.Context) error { return r.finishOld(ctx, processes) },
		func(ctx context.Context) error { return r.finishOld(ctx, refunds) },
		r.storeTimers, r.retryParked,
	} {
		work.Go(func() {
			if err := do(ctx); err != nil && ctx.Err() == nil {
				fail(err)
			}
		})
	}
	work.Go(func() {
		if err := r.adoptCarts(ctx, checkpoint); err != nil {
			fail(err)
		}
	})
	err = router.Run(ctx)
	stop()
	work.Wait()
	select {
	case cause := <-failed:
		return cause
	default:
		return err
	}
}

// router makes the router that reads the log from the checkpoint on, and gives its pages to react.
// It calls fail if a page cannot be read or handled.
func (r *Reactor) router(ctx context.Context, checkpoint eventstore.Position, fail func(error)) (*message.Router, error) {
	// Of the router's messages, operators need only the errors.
	logger := watermill.NewSlogLoggerWithLevelMapping(r.Logger, map[slog.Level]slog.Level{
		slog.LevelDebug: slog.LevelDebug, slog.LevelInfo: slog.LevelDebug, slog.LevelWarn: slog.LevelWarn, slog.LevelError: slog.LevelError,
	})
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 5 * time.Second}, logger)
	if err != nil {
		return nil, fmt.Errorf("reactor: %w", err)
	}
	router.AddMiddleware(middleware.Recoverer)
	pages := &pageSubscriber{store: r.Store, after: checkpoint, filter: reactorReads, failed: fail}
	router.AddConsumerHandler("processes", "log", pages, func(msg *message.Message) error {
		if err := r.react(ctx, pageOf(msg)); err != nil {
			fail(err)
		}
		return nil // the next lead reads the failed page again, because it begins at the checkpoint
	})
	return router, nil
}

// react handles a page of events, and stores what follows from it.
func (r *Reactor) react(ctx context.Context, page page) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tracker == nil {
		return nil // the node no longer leads, and this page came too late
	}
	r.tracker.timers.now = time.Now()
	foreign := r.tracker.foreign
	for _, item := range page.items {
		r.tracker.observe(item)
	}
	r.logParked(ctx, r.tracker.park)
	if foreign <= maxForeign && r.tracker.foreign > maxForeign {
		r.Logger.ErrorContext(ctx, "other programs write many events into the shop's streams: no more of them are parked", "parked", maxForeign)
	}
	r.tracker.caughtUp = page.caughtUp
	r.tracker.timers.readsFurthest = r.tracker.timers.readsFurthest || page.caughtUp
	if err := r.keep(ctx); err != nil {
		return err
	}
	if len(r.tracker.open) > 0 {
		for _, begun := range r.begun {
			signal(begun)
		}
	}
	if len(r.tracker.timers.young) > 0 {
		signal(r.young)
	}
	return nil
}

// parkedTold bounds how many parked events of a page the node's log names.
const parkedTold = 5

func (r *Reactor) logParked(ctx context.Context, parked []UnfinishedWork) {
	for _, work := range parked[:min(len(parked), parkedTold)] {
		r.Logger.ErrorContext(ctx, "an event cannot be read, or another program wrote it into a stream of the shop; it is parked", "process", work.ID,
			"stream", eventstore.Visible(work.Stream), "revision", work.Revision, "error", eventstore.Visible(work.Reason))
	}
	if more := len(parked) - parkedTold; more > 0 {
		r.Logger.ErrorContext(ctx, "more events are parked", "count", more)
	}
}

// Idle tells whether there is nothing left to do: this node leads, has read the log to its
// end, has finished or parked all work, and has stored all timers.
func (r *Reactor) Idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tracker != nil && r.tracker.caughtUp && len(r.tracker.open) == 0 && len(r.tracker.timers.young) == 0
}

// Position is the position up to which this node has read the log. leading is false if another node
// leads.
func (r *Reactor) Position() (at eventstore.Position, leading bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tracker == nil {
		return eventstore.Start, false
	}
	return r.tracker.position, true
}

// signal wakes the goroutine that waits for the channel.
func signal(sign chan<- struct{}) {
	select {
	case sign <- struct{}{}:
	default: // a signal is waiting already
	}
}

// storeTimers stores timers that are no longer young, even if no page comes.
func (r *Reactor) storeTimers(ctx context.Context) error {
	for {
		select {
		case <-r.young:
		case <-ctx.Done():
			return nil
		}
		for left := 1; left > 0; {
			pause.For(ctx, youngFor)
			if ctx.Err() != nil {
				return nil
			}
			var err error
			if left, err = r.keepOld(ctx); err != nil {
				return err
			}
		}
	}
}

// keepOld is keep. It also returns how many timers are still young.
func (r *Reactor) keepOld(ctx context.Context) (young int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err = r.keep(ctx)
	return len(r.tracker.timers.young), err
}

// keep stores what the tracker has noted. The caller holds the lock.
func (r *Reactor) keep(ctx context.Context) error {
	var notes Notes
	notes.Set, notes.Clear = r.tracker.timers.due(time.Now())
	notes.Park, r.tracker.park = r.tracker.park, nil
	to := r.tracker.checkpoint()
	notes.Seen = r.tracker.seen
	if to == r.checkpoint && notes.empty() {
		return nil
	}
	if err := r.Journal.Advance(ctx, r.checkpoint, to, notes); err != nil {
		return err
	}
	r.checkpoint = to
	if len(notes.Set) > 0 && r.TimersSet != nil {
		r.TimersSet()
	}
	return nil
}

// removeFinished removes finished work from the list, so that the checkpoint can move past it.
func (r *Reactor) removeFinished(ctx context.Context, work Work) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tracker.removeWork(work)
	return r.keep(ctx)
}

// queue is a part of the open work. No queue waits for another one.
type queue string

const (
	processes queue = "processes"
	// refunds wait for the providers of payments, so several are carried out at once.
	refunds queue = "refunds"
)

// atOnce is how many refunds are carried out at once.
const atOnce = 8

func newSigns() map[queue]chan struct{} {
	return map[queue]chan struct{}{processes: make(chan struct{}, 1), refunds: make(chan struct{}, 1)}
}

// queue is the queue of the work.
func (k workKind) queue() queue {
	if k == workRefund {
		return refunds
	}
	return processes
}

// finishOld carries out the work of a queue that was open for longer than Grace.
func (r *Reactor) finishOld(ctx context.Context, of queue) error {
	failures := map[workKey]failure{}
	for {
		due, wait := r.due(of)
		if len(due) == 0 {
			clear(failures) // another node may have finished that work
		}
		due = slices.DeleteFunc(due, func(work Work) bool { return time.Now().Before(failures[work.key].again) })
		for _, tried := range r.tryAll(ctx, due) {
			if ctx.Err() != nil {
				return nil
			}
			if err := r.tried(ctx, failures, wait, tried); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if wait == 0 { // no work is open
			select {
			case <-r.begun[of]:
			case <-ctx.Done():
			}
			continue
		}
		pause.For(ctx, wait)
	}
}

// attempt is a try of some work, with its error.
type attempt struct {
	work Work
	err  error
}

// tryAll yields each work after it was tried. Work of the queue of refunds is tried several at
// once.
func (r *Reactor) tryAll(ctx context.Context, due []Work) iter.Seq2[int, attempt] {
	return func(yield func(int, attempt) bool) {
		for at := 0; at < len(due) && ctx.Err() == nil; {
			size := 1
			if due[at].key.kind.queue() == refunds {
				size = min(atOnce, len(due)-at)
			}
			done := make([]attempt, size)
			var tries sync.WaitGroup
			for i, work := range due[at : at+size] {
				tries.Go(func() { done[i] = attempt{work, finishWork(ctx, r.Finisher, work)} })
			}
			tries.Wait()
			for i := range done {
				if !yield(at+i, done[i]) {
					return
				}
			}
			at += size
		}
	}
}

// tried notes how a try of some work has ended.
func (r *Reactor) tried(ctx context.Context, failures map[workKey]failure, wait time.Duration, of attempt) error {
	work := of.work
	failed := failures[work.key].next(wait, of.err)
	switch {
	case of.err == nil:
		delete(failures, work.key)
		return r.removeFinished(ctx, work)
	case r.mustPark(ctx, of.err, failed.counted):
		delete(failures, work.key)
		return r.parkWork(ctx, work, failed, of.err)
	}
	failures[work.key] = failed
	r.Logger.WarnContext(ctx, "process not finished, trying again", "work", work.key.String(), "tries", failed.tries, "error", of.err)
	return nil
}

// failure says how the tries of some work have failed so far.
type failure struct {
	tries   int
	counted int       // how many of them count: see failedOutside
	first   time.Time // the first try
	again   time.Time // the earliest time of the next try
}

const finishBackoff = time.Minute // the longest pause between two tries of the same work

func (f failure) next(wait time.Duration, err error) failure {
	if f.tries == 0 {
		f.first = time.Now()
	}
	if !failedOutside(err) {
		f.counted++
	}
	f.again = time.Now().Add(min(wait<<min(f.tries, 16), finishBackoff))
	f.tries++
	return f
}

// due returns the open work of a queue that is old enough, and how long to wait before the next
// call. It returns 0 if no work of the queue is open.
func (r *Reactor) due(of queue) ([]Work, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var due []Work
	some, now := false, time.Now()
	for work := range r.tracker.inOrder() {
		if work.key.kind.queue() != of {
			continue
		}
		some = true
		// Nobody else sends a refund to its provider, so it need not wait for anybody.
		ours := of == refunds || now.Sub(work.Since) >= r.Grace && !r.Finisher.Driving(work.Stream)
		if r.tracker.caughtUp && ours {
			due = append(due, work)
		}
	}
	if !some {
		return nil, 0
	}
	return due, max(r.Grace/4, 10*time.Millisecond)
}

func finishWork(ctx context.Context, finisher Finisher, work Work) error {
	return aggregate.Safely(func() error { return finishAs(ctx, finisher, work) })
}

func finishAs(ctx context.Context, finisher Finisher, work Work) error {
	switch work.key.kind {
	case workCheckout:
		return finisher.FinishCheckout(ctx, cartOf(work.Stream), unit.OrderID(work.ID))
	case workOrder:
		return finisher.FinishOrder(ctx, eventstore.MetadataOrNone(work.Meta), unit.OrderID(work.ID))
	case workReturn:
		return finisher.FinishReturn(ctx, eventstore.MetadataOrNone(work.Meta), unit.ReturnID(work.ID))
	case workMerge:
		return finisher.FinishMerge(ctx, eventstore.MetadataOrNone(work.Meta), unit.CartID(work.ID))
	case workAccounts:
		return finisher.FinishCustomerMerge(ctx, eventstore.MetadataOrNone(work.Meta), unit.CustomerID(work.ID))
	case workRefund:
		return finisher.FinishRefund(ctx, eventstore.MetadataOrNone(work.Meta), unit.OrderID(work.ID), unit.TransactionID(work.key.step))
	case workEvent, workTimer:
	}
	panic("reactor: unknown kind of work")
}

// page is a part of the log, in order.
type page struct {
	items    []eventstore.Item
	caughtUp bool // the page ends at the head of the log
}

type pageKey struct{}

func pageOf(msg *message.Message) page {
	p, _ := msg.Context().Value(pageKey{}).(page) // only pageSubscriber makes these messages
	return p
}

// pageSubscriber is a Watermill subscriber that reads the log. Each message has its page in
// the context, and not in its payload, because encoding and decoding each page would be most
// of the reactor's work.
type pageSubscriber struct {
	store  eventstore.Store
	after  eventstore.Position
	filter eventstore.Filter
	failed func(error)
}

// Subscribe delivers the log page by page, from the start position on. A page is delivered
// after the one before it was acknowledged.
func (s *pageSubscriber) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	messages := make(chan *message.Message)
	go func() {
		defer close(messages)
		for p, err := range pages(s.store.Subscribe(ctx, s.after, s.filter)) {
			if err != nil {
				if ctx.Err() == nil {
					s.failed(err)
				}
				return
			}
			msg := message.NewMessage(watermill.NewULID(), nil)
			msg.SetContext(context.WithValue(ctx, pageKey{}, p))
			select {
			case messages <- msg:
			case <-ctx.Done():
				return
			}
			select {
			case <-msg.Acked():
			case <-msg.Nacked(): // the handler never does; it reports and stops
			case <-ctx.Done():
				return
			}
			if len(p.items) < pageSize {
				pause.For(ctx, pageGap) // so under load the next page has more events for its transaction
			}
		}
	}()
	return messages, nil
}

// Close does nothing, because the subscription ends with its context.
func (s *pageSubscriber) Close() error { return nil }

// pages groups items into pages. A page ends at its size in items or in bytes, or at the head
// of the log, whichever comes first.
func pages(items iter.Seq2[eventstore.Item, error]) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		var p page
		bytes := 0
		for item, err := range items {
			if err != nil {
				yield(page{}, err)
				return
			}
			p.items = append(p.items, item)
			p.caughtUp = item.CaughtUp
			if item.Event != nil {
				bytes += item.Event.Size()
			}
			if item.CaughtUp || len(p.items) >= pageSize || bytes >= pageBytes {
				if !yield(p, nil) {
					return
				}
				p, bytes = page{}, 0
			}
		}
	}
}
