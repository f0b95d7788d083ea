package kurrentdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"daybook/eventstore"
	"daybook/internal/pause"
)

const (
	// markEvery bounds the events examined and not selected between two marks.
	markEvery = 1000
	// searchWindow is the number of events after which the server says how far it has
	// searched. One such message is held back until the next one comes. Both together are
	// within markEvery.
	searchWindow = markEvery / 2
)

// errStopped means that the consumer wants no more items.
var errStopped = errors.New("the consumer stopped")

// Subscribe implements eventstore.Store. It runs in the goroutine of its consumer. A
// subscription whose filter asks for the server's own events gets only one caught-up mark.
func (s *Store) Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Item, error] {
	return func(yield func(eventstore.Item, error) bool) {
		sub := &subscription{
			store:     s,
			selection: newSelection(filter),
			after:     after,
			yield:     func(item eventstore.Item) bool { return yield(item, nil) },
		}
		if err := sub.run(ctx); err != nil && !errors.Is(err, errStopped) {
			yield(eventstore.Item{}, err)
		}
	}
}

// subscription is one reader's place in the log. Its only state is the position that it has
// reached. The ring tells whether it has caught up.
type subscription struct {
	store     *Store
	selection selection
	yield     func(eventstore.Item) bool
	after     eventstore.Position
	skipped   int // events not selected since the last item
}

func (s *subscription) run(ctx context.Context) error {
	if err := s.ended(ctx); err != nil {
		return err
	}
	r := s.store.live.join()
	defer s.store.live.leave()
	ctx, stop := s.store.untilClosed(ctx)
	defer stop()
	if err := s.outlast(ctx, s.begin); err != nil {
		return err
	}
	for {
		if err := s.outlast(ctx, func(ctx context.Context) error { return s.catchUp(ctx, r) }); err != nil {
			return err
		}
		if err := s.fromRing(ctx, r); err != nil {
			return err
		}
	}
}

// begin refuses a position that this log does not know.
func (s *subscription) begin(ctx context.Context) error {
	head, err := s.store.readHead(ctx)
	if err != nil || !head.Before(s.after) {
		return err
	}
	// A checkpoint may be the position of one of the server's own events.
	end, err := call(ctx, s.store.supervisor, endOfLog)
	if err == nil && end.Before(s.after) {
		err = &eventstore.UnknownPlaceError{Position: s.after, Head: end}
	}
	return err
}

// settling is how long a node that has just become the leader may need until it has
// everything that was acknowledged. It counts from the moment at which the node is found to
// be behind, because the outage before may have been long.
const settling = 2 * time.Second

// outlast repeats what an outage of the server has cut off.
func (s *subscription) outlast(ctx context.Context, what func(context.Context) error) error {
	var behind time.Time // since when the log has been shorter than what was read before
	for backoff := minBackoff; ; backoff = min(2*backoff, maxBackoff) {
		before, began := s.after, time.Now()
		err := what(ctx)
		if err == nil || errors.Is(err, errStopped) {
			return err
		}
		if err := s.ended(ctx); err != nil {
			return err
		}
		beyond := judge(err) == nowhere
		switch {
		case !beyond:
			behind = time.Time{}
		case behind.IsZero():
			behind = time.Now()
		}
		if beyond && time.Since(behind) > settling || !beyond && !passes(err) {
			return readError(ctx, "subscribe", err)
		}
		if before.Before(s.after) || time.Since(began) > maxBackoff {
			backoff = minBackoff
		}
		s.store.logger.WarnContext(ctx, "a subscription waits for the event store", "after", s.after, "error", err)
		pause.For(ctx, backoff)
	}
}

// ended is the error of a subscription that must end.
func (s *subscription) ended(ctx context.Context) error {
	select {
	case <-s.store.closed:
		return &eventstore.UnavailableError{Cause: errClosed}
	default:
	}
	if ctx.Err() != nil {
		return fmt.Errorf("subscribe: %w", ctx.Err())
	}
	return nil
}

// catchUp reads with a subscription of its own until the ring covers its position. Only the events
// of its own stream prove how far it has come. A head that is read separately is no proof, because
// another node may have answered that read. The node that serves the stream may report "caught up"
// before the stream has reached that head. So if the server says so while the last selected event
// is still before the ring, everything in between is read without a filter.
func (s *subscription) catchUp(ctx context.Context, r *ring) error {
	if err := s.awaitRing(ctx, r); err != nil || s.live(r) {
		return err
	}
	stream, err := s.store.stream(ctx, s.after, s.selection)
	if err != nil {
		return err
	}
	defer stream.close()
	// said is how far the server says that it has searched. It is used only when something has come
	// after it. Before that, it may be the place of an event that the log does not have yet.
	var said eventstore.Position
	for !s.live(r) {
		m, err := stream.next()
		if err != nil {
			return err
		}
		switch {
		case m.event != nil:
			said = eventstore.Start
			err = s.examine(m.event)
		case m.caughtUp && s.selection.system:
			err = s.mark(true)
		case m.caughtUp:
			return s.bridge(ctx, r)
		default:
			if s.after.Before(said) && said.Before(m.checkpoint) {
				s.pass(said)
				err = s.mark(false)
			}
			said = m.checkpoint
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// errBehind is the error of a node that has fewer events than another node had.
var errBehind = errors.New("the node is not as far as the log was")

// bridge reads everything from the subscription's position on until the ring covers it. This is
// only a short part of the log, because the filtering server has said now and then how far it has
// searched.
func (s *subscription) bridge(ctx context.Context, r *ring) error {
	for count := firstPage; !s.live(r); count = min(count*pageGrowth, pageEvents) {
		var from esdb.AllPosition = esdb.Start{}
		if !s.after.IsStart() {
			from = place(s.after)
		}
		p, err := s.store.read(ctx, s.after, forwardsFrom(from), count)
		if err != nil {
			return err
		}
		for i := range p.events {
			if e := &p.events[i]; s.after.Before(e.Position) {
				if err := s.examine(e); err != nil {
					return err
				}
			}
		}
		if p.ended && !s.live(r) {
			return errBehind
		}
	}
	return nil
}

// live tells whether this subscription can be served from the ring. A subscription to the
// server's own events cannot, because the ring does not have them.
func (s *subscription) live(r *ring) bool { return !s.selection.system && r.covers(s.after) }

// awaitRing waits until the ring has begun. Otherwise the ring could begin after a position
// that the subscription has reached, and events between would be missed.
func (s *subscription) awaitRing(ctx context.Context, r *ring) error {
	for {
		v := r.read(s.after)
		if v.known || v.err != nil {
			return v.err
		}
		select {
		case <-v.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *subscription) pass(position eventstore.Position) {
	if s.after.Before(position) {
		s.after = position
	}
}

// fromRing reads from the ring and waits for more, until the ring no longer covers this
// position.
func (s *subscription) fromRing(ctx context.Context, r *ring) error {
	for told := false; ; {
		if err := s.ended(ctx); err != nil {
			return err
		}
		v := r.read(s.after)
		switch {
		case v.err != nil:
			return v.err
		case !v.covered || s.selection.system:
			return nil
		case len(v.events) > 0:
			told = false
			for i := range v.events {
				if err := s.examine(&v.events[i]); err != nil {
					return err
				}
			}
			continue
		case v.head && !told:
			told = true
			if err := s.mark(true); err != nil {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-v.changed:
		}
	}
}

// examine yields an event if it is selected.
func (s *subscription) examine(e *eventstore.Recorded) error {
	s.pass(e.Position)
	if !s.selection.selects(e) {
		if s.skipped++; s.skipped >= markEvery {
			return s.mark(false)
		}
		return nil
	}
	s.skipped = 0
	if !s.yield(eventstore.Item{Event: e, Checkpoint: e.Position}) {
		return errStopped
	}
	return nil
}

func (s *subscription) mark(caughtUp bool) error {
	s.skipped = 0
	if !s.yield(eventstore.Item{Checkpoint: s.after, CaughtUp: caughtUp}) {
		return errStopped
	}
	return nil
}

// untilClosed is a context that ends with ctx or when the store is closed.
func (s *Store) untilClosed(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-s.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// stream is a subscription of the client.
type stream struct {
	inner  *esdb.Subscription
	on     *connection
	living context.Context // ends with the stream
	stop   func()
	refuse func(error) error // turns the error of a subscription that did not begin into the contract's error
	begun  bool
}

// message is what a stream yields: an event, a position that the server has reached, or the
// news that the head is reached.
type message struct {
	event      *eventstore.Recorded
	checkpoint eventstore.Position
	caughtUp   bool
}

// stream opens a subscription after a position. It ends with ctx, or with the connection on
// which it is opened.
func (s *Store) stream(ctx context.Context, after eventstore.Position, selected selection) (*stream, error) {
	options := esdb.SubscribeToAllOptions{
		From:               esdb.Start{}, // if it is not set, the subscription begins at the end
		MaxSearchWindow:    searchWindow,
		CheckpointInterval: 1,
		Filter:             selected.serverFilter(),
	}
	if !after.IsStart() {
		options.From = place(after)
	}
	living, stop := context.WithCancel(ctx)
	opened, err := callOn(ctx, s.supervisor, func(_ context.Context, c *connection) (*stream, error) {
		inner, err := c.client.SubscribeToAll(living, options)
		return &stream{inner: inner, on: c, living: living}, err
	})
	if err != nil {
		stop()
		return nil, s.placeless(ctx, after, err)
	}
	opened.stop, opened.refuse = stop, func(err error) error { return s.placeless(ctx, after, err) }
	return opened, nil
}

func (s *stream) close() {
	_ = s.inner.Close() // never fails
	s.stop()
}

// next waits for a message.
func (s *stream) next() (message, error) {
	m, err := s.receive()
	if err != nil {
		// The client would go on over a new TCP connection without an error, and that connection
		// may lead to another log.
		if s.living.Err() == nil { // otherwise it was ended here
			s.on.learn(err)
		}
		if !s.begun {
			err = s.refuse(err)
		}
		return m, err
	}
	s.begun = true
	return m, nil
}

func (s *stream) receive() (message, error) {
	return recovered(func() (message, error) {
		for {
			switch e := s.inner.Recv(); {
			case e.SubscriptionDropped != nil:
				return message{}, dropped(e.SubscriptionDropped.Error)
			case e.EventAppeared != nil:
				event, err := incoming(e.EventAppeared.OriginalEvent())
				return message{event: &event}, err
			case e.CheckPointReached != nil:
				return message{checkpoint: eventstore.AtPair(e.CheckPointReached.Commit, e.CheckPointReached.Prepare)}, nil
			case e.CaughtUp != nil:
				return message{caughtUp: true}, nil
			}
		}
	})
}

// errDropped is the error for a server that ends a subscription without a reason.
var errDropped = errors.New("the server ended the subscription")

func dropped(err error) error {
	if errors.Is(err, io.EOF) {
		return errDropped
	}
	return err
}
