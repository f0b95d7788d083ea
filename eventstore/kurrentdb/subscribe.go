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
	// searchWindow is after how many events the server says how far it is. One
	// such message is held back until the next, and both are within markEvery.
	searchWindow = markEvery / 2
)

// errStopped means the consumer wants no more.
var errStopped = errors.New("the consumer stopped")

// Subscribe implements eventstore.Store. It runs in the goroutine of its
// consumer. One whose filter asks for the server's own events is told only once
// that it has caught up.
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

// subscription is one reader's place in the log. Its only state is the position
// it has come to; whether it is catching up or live is asked of the ring.
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

// begin refuses a position of another log.
func (s *subscription) begin(ctx context.Context) error {
	head, err := s.store.readHead(ctx)
	if err != nil || !head.Before(s.after) {
		return err
	}
	// A checkpoint may be the position of an event of the server's own.
	end, err := call(ctx, s.store.supervisor, endOfLog)
	if err == nil && end.Before(s.after) {
		err = &eventstore.UnknownPlaceError{Position: s.after, Head: end}
	}
	return err
}

// settling is how long a node that has just become the leader may need until it
// has all that was acknowledged, from when it is found to be behind: the outage
// before may have been long.
const settling = 2 * time.Second

// outlast repeats what a server that is away has cut off.
func (s *subscription) outlast(ctx context.Context, what func(context.Context) error) error {
	var behind time.Time // since when the log has been shorter than what was seen of it
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

// catchUp reads by a subscription of its own until it is in the ring's reach.
//
// How far it has come is what its own stream has shown, and nothing else. A head
// read beside it is no proof: it may be another node's, and the one that serves
// the stream may say that it has caught up before it has come as far. So when the
// server has no more, and the last event selected lies before the ring, the way
// from here to there is read whole.
func (s *subscription) catchUp(ctx context.Context, r *ring) error {
	if err := s.awaitRing(ctx, r); err != nil || s.live(r) {
		return err
	}
	stream, err := s.store.stream(ctx, s.after, s.selection)
	if err != nil {
		return err
	}
	defer stream.close()
	// How far the server says it is. It is believed when more has come after it, because
	// it may be the place of an event that is not there yet, and so beyond the log.
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

// errBehind is of a node that has less than another one had.
var errBehind = errors.New("the node is not as far as the log was")

// bridge reads everything from here until the ring is in reach. The server says
// how far it has looked as it filters, so this is not far.
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

// live tells whether this subscription can be served from the ring. One that
// wants the server's own events, which the ring does not have, cannot.
func (s *subscription) live(r *ring) bool { return !s.selection.system && r.covers(s.after) }

// awaitRing waits until the ring has begun, so that it cannot begin unnoticed
// behind a subscription that has caught up.
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

// fromRing reads and waits for more, until the ring no longer reaches back to
// where this subscription is.
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

// untilClosed ends with ctx, or when the store is closed.
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

// stream is a subscription of the client's.
type stream struct {
	inner  *esdb.Subscription
	on     *connection
	living context.Context // ends with the stream
	stop   func()
	refuse func(error) error // makes the error of a subscription that was not begun
	begun  bool
}

// message is what a stream yields: an event, a position the server has come to,
// or the word that the head is reached.
type message struct {
	event      *eventstore.Recorded
	checkpoint eventstore.Position
	caughtUp   bool
}

// stream opens a subscription after a position. It lives as long as ctx and the
// connection it is opened on.
func (s *Store) stream(ctx context.Context, after eventstore.Position, selected selection) (*stream, error) {
	options := esdb.SubscribeToAllOptions{
		From:               esdb.Start{}, // not set, it would be the end
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
		// The client would silently go on over a new line, perhaps to another log.
		if s.living.Err() == nil { // else it was ended here
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

// errDropped is of a server that ends a subscription without a reason.
var errDropped = errors.New("the server ended the subscription")

func dropped(err error) error {
	if errors.Is(err, io.EOF) {
		return errDropped
	}
	return err
}
