// Package reactor finishes what the log shows to be open: processes that were begun and not
// ended, and deadlines that are due. What cannot be finished is parked and tried again.
//
// It has no rules and sends no commands of its own: a Finisher does, which is
// commands.Service. What is durable here is kept by package postgres beside it.
package reactor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
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

// Journal is the reactor's durable memory.
type Journal interface {
	// Lead waits until this node is the one that reacts, and returns a context
	// that ends when it no longer is.
	Lead(ctx context.Context) (leading context.Context, resign func(), err error)
	// Checkpoint is where a reader that takes over begins.
	Checkpoint(ctx context.Context) (eventstore.Position, error)
	// Advance moves the checkpoint, and carries out notes with it, all or none. If
	// the checkpoint is not at from, another node leads: ErrNotLeading.
	Advance(ctx context.Context, from, to eventstore.Position, notes Notes) error
	// CartExpiry is the rule by which the timers of open carts were last set: how
	// long after a cart's last change. known is false where they never were.
	CartExpiry(ctx context.Context) (after time.Duration, known bool, err error)
	// KeepCartExpiry sets timers by a rule, and notes the rule after all of them. Where
	// it fails some may be set: then the same is asked again.
	KeepCartExpiry(ctx context.Context, after time.Duration, set []Timer) error
}

// Notes are what the reactor keeps beside its checkpoint.
type Notes struct {
	Set   []Timer
	Clear []Deadline
	// Park is work that could not be finished; work that is parked already has its
	// tries added.
	Park []Process
	// Seen is the latest event that the reactor knows of: what is noted follows from
	// events up to it. Zero where it has seen none yet.
	Seen eventstore.Anchor
}

func (n Notes) empty() bool { return len(n.Set)+len(n.Clear)+len(n.Park) == 0 }

// ErrNotLeading means another node moved the reactor's checkpoint.
var ErrNotLeading = errors.New("another node leads the reactor")

// Finisher carries out what a process still has to do, and what a deadline asks for. Every
// method is idempotent and may meet work that is done already. meta is that of the event
// that began the work, or the timer's.
type Finisher interface {
	FinishCheckout(ctx context.Context, id unit.CartID, orderID unit.OrderID) error
	FinishOrder(ctx context.Context, meta eventstore.Metadata, id unit.OrderID) error
	FinishReturn(ctx context.Context, meta eventstore.Metadata, id unit.ReturnID) error

	// ExpireOrder ends an order that was not confirmed in time.
	ExpireOrder(ctx context.Context, meta eventstore.Metadata, id unit.OrderID, now time.Time) error
	// ExpireReservations ends reservations that are due, and tells whether there were
	// any; then there may be more.
	ExpireReservations(ctx context.Context, meta eventstore.Metadata, key stock.Key, now time.Time) (some bool, err error)
	// ExpireCart ends a cart that was not changed for long. A time that is not zero is
	// the new deadline of a cart that was changed meanwhile.
	ExpireCart(ctx context.Context, meta eventstore.Metadata, id unit.CartID, now time.Time) (postponed time.Time, err error)

	// Driving tells whether this node is carrying out a process of a cart's, an order's or
	// a return's stream right now.
	Driving(stream string) bool
}

// Reactor reads the log for processes that were begun and not ended, and ends
// them: the second pair of eyes behind the inline drive, which does the same
// things at once and may die at any point. It also keeps the timers.
//
// One node reacts at a time. It runs on a Watermill router; a message is one
// page of the log.
type Reactor struct {
	Store    eventstore.Store
	Journal  Journal
	Finisher Finisher
	Logger   *slog.Logger
	// Grace is how old unfinished work must be before it is taken over from an
	// inline drive, perhaps another node's, that may still be at it.
	Grace time.Duration
	// CartsExpireAfter is the shop's, see commands.Policy.
	CartsExpireAfter time.Duration
	// Parking keeps what cannot be finished; without it, such work is tried for ever.
	// RetryEvery is the pause between tries when no event arrives (1 h).
	Parking    ParkingLot
	RetryEvery time.Duration
	// Nudge, where set, is called when timers were set.
	Nudge func()

	mu      sync.Mutex
	tracker *tracker
	// checkpoint is the journal's. The tracker's own may be ahead of it: work
	// that leaves no event at its end is taken off the list between pages.
	checkpoint eventstore.Position
	begun      chan struct{} // a sign that there is work to watch
	young      chan struct{} // a sign that there are young timers
}

const (
	pageSize  = 500
	pageBytes = 4 << 20 // after which a page is full: an event may have a megabyte
	// pageGap is far below any grace, so that nothing waits for it.
	pageGap = 50 * time.Millisecond
)

// Run reacts until ctx ends. It returns nil at ctx's end; losing the lead or
// the database is met by waiting and starting over from the checkpoint.
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
	r.begun, r.young = make(chan struct{}, 1), make(chan struct{}, 1)
	r.mu.Unlock()
	defer r.resigned()
	if err := r.watchParked(leading); err != nil {
		return err
	}

	ctx, stop := context.WithCancel(leading)
	defer stop()
	// What the router has to tell is of no use to an operator unless it fails.
	logger := watermill.NewSlogLoggerWithLevelMapping(r.Logger, map[slog.Level]slog.Level{
		slog.LevelDebug: slog.LevelDebug, slog.LevelInfo: slog.LevelDebug, slog.LevelWarn: slog.LevelWarn, slog.LevelError: slog.LevelError,
	})
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 5 * time.Second}, logger)
	if err != nil {
		return fmt.Errorf("reactor: %w", err)
	}
	router.AddMiddleware(middleware.Recoverer)
	pages := &pageSubscriber{store: r.Store, after: checkpoint, filter: reactorReads}
	failed := make(chan error, 1)
	fail := func(err error) {
		select {
		case failed <- err:
		default:
		}
		stop()
	}
	router.AddConsumerHandler("processes", "log", pages, func(msg *message.Message) error {
		if err := r.react(ctx, pageOf(msg)); err != nil {
			fail(err)
		}
		return nil // what failed is read again from the checkpoint
	})
	pages.failed = fail

	var work sync.WaitGroup
	work.Go(func() {
		if err := r.finishOld(ctx); err != nil && ctx.Err() == nil {
			fail(err)
		}
	})
	work.Go(func() {
		if err := r.storeTimers(ctx); err != nil && ctx.Err() == nil {
			fail(err)
		}
	})
	work.Go(func() {
		if err := r.retryParked(ctx); err != nil && ctx.Err() == nil {
			fail(err)
		}
	})
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

// react takes note of a page and makes the note durable.
func (r *Reactor) react(ctx context.Context, page page) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tracker == nil {
		return nil // a page that comes after the end
	}
	r.tracker.timers.now = time.Now()
	foreign := r.tracker.foreign
	for _, item := range page.items {
		r.tracker.observe(item)
	}
	r.tellParked(ctx, r.tracker.park)
	if foreign <= maxForeign && r.tracker.foreign > maxForeign {
		r.Logger.ErrorContext(ctx, "other programs write many events into the shop's streams: no more of them are parked", "parked", maxForeign)
	}
	r.tracker.caughtUp = page.caughtUp
	r.tracker.timers.settled = r.tracker.timers.settled || page.caughtUp
	if err := r.keep(ctx); err != nil {
		return err
	}
	if len(r.tracker.open) > 0 {
		signal(r.begun)
	}
	if len(r.tracker.timers.young) > 0 {
		signal(r.young)
	}
	return nil
}

// parkedTold bounds how many events of a page are named in the log when they are parked.
const parkedTold = 5

func (r *Reactor) tellParked(ctx context.Context, parked []Process) {
	for _, process := range parked[:min(len(parked), parkedTold)] {
		r.Logger.ErrorContext(ctx, "an event cannot be read as the shop's, it is parked", "process", process.ID,
			"stream", eventstore.Visible(process.Stream), "revision", process.Revision, "error", eventstore.Visible(process.Reason))
	}
	if more := len(parked) - parkedTold; more > 0 {
		r.Logger.ErrorContext(ctx, "more events are parked", "count", more)
	}
}

// Idle tells whether this node is the one that reacts, has read the log to its end,
// and has finished or parked all that it found there; and all timers are stored.
func (r *Reactor) Idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tracker != nil && r.tracker.caughtUp && len(r.tracker.open) == 0 && len(r.tracker.timers.young) == 0
}

// signal leaves a sign for who waits for one.
func signal(sign chan<- struct{}) {
	select {
	case sign <- struct{}{}:
	default: // one is there already
	}
}

// storeTimers writes timers to the database that are young no more, also when no page
// comes.
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

// keepOld is keep, and returns how many timers are still young.
func (r *Reactor) keepOld(ctx context.Context) (young int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err = r.keep(ctx)
	return len(r.tracker.timers.young), err
}

// keep makes durable what the tracker has noted. The caller holds the lock.
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
	if len(notes.Set) > 0 && r.Nudge != nil {
		r.Nudge()
	}
	return nil
}

// strikeOff takes work off the list that was driven to its end, and lets the
// checkpoint go on.
func (r *Reactor) strikeOff(ctx context.Context, work Work) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tracker.handled(work)
	return r.keep(ctx)
}

// finishOld carries out work that stayed open longer than the grace.
func (r *Reactor) finishOld(ctx context.Context) error {
	failures := map[workKey]failure{}
	for {
		due, wait := r.due()
		if len(due) == 0 {
			clear(failures) // others may have finished it
		}
		for _, work := range due {
			failed := failures[work.key]
			if time.Now().Before(failed.again) {
				continue
			}
			err := finishWork(ctx, r.Finisher, work)
			if ctx.Err() != nil {
				return nil //nolint:nilerr // it was cut short
			}
			failed = failed.next(wait, err)
			switch {
			case err == nil:
				delete(failures, work.key)
				err = r.strikeOff(ctx, work)
			case r.hopeless(ctx, err, failed.counted):
				delete(failures, work.key)
				err = r.parkWork(ctx, work, failed, err)
			default:
				failures[work.key] = failed
				r.Logger.WarnContext(ctx, "process not finished, trying again", "work", work.key.String(), "tries", failed.tries, "error", err)
				err = nil
			}
			if err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if wait == 0 { // nothing is open
			select {
			case <-r.begun:
			case <-ctx.Done():
			}
			continue
		}
		pause.For(ctx, wait)
	}
}

// failure is work that could not be finished.
type failure struct {
	tries   int
	counted int       // of them, those whose failure may be the work's fault
	first   time.Time // tried
	again   time.Time // not tried before
}

const finishBackoff = time.Minute // at most, between two tries of the same work

func (f failure) next(wait time.Duration, err error) failure {
	if f.tries == 0 {
		f.first = time.Now()
	}
	if !excused(err) {
		f.counted++
	}
	f.again = time.Now().Add(min(wait<<min(f.tries, 16), finishBackoff))
	f.tries++
	return f
}

// due lists the open work that is old enough, and says when to look again; 0 is
// when there is none.
func (r *Reactor) due() ([]Work, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.tracker.open) == 0 {
		return nil, 0
	}
	var due []Work
	if r.tracker.caughtUp {
		now := time.Now()
		for work := range r.tracker.inOrder() {
			if now.Sub(work.Since) >= r.Grace && !r.Finisher.Driving(work.Stream) {
				due = append(due, work)
			}
		}
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
	case workEvent, workTimer:
	}
	panic("reactor: unknown kind of work")
}

// page is some of the log, in order.
type page struct {
	items    []eventstore.Item
	caughtUp bool // nothing more was known at its end
}

type pageKey struct{}

func pageOf(msg *message.Message) page {
	p, _ := msg.Context().Value(pageKey{}).(page) // only pageSubscriber makes these messages
	return p
}

// pageSubscriber is a Watermill subscriber over the log. Its messages carry
// their page in the context, for encoding it only to decode it again would be
// most of the reactor's work.
type pageSubscriber struct {
	store  eventstore.Store
	after  eventstore.Position
	filter eventstore.Filter
	failed func(error)
}

// Subscribe delivers the log from the start position on, page by page, each
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
				pause.For(ctx, pageGap) // under load the next page is then worth its transaction
			}
		}
	}()
	return messages, nil
}

// Close has nothing to do: the subscription ends with its context.
func (s *pageSubscriber) Close() error { return nil }

// pages gathers items up to a page's size, in items or bytes, or the head,
// whichever comes first.
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
