package kurrentdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/internal/pause"
)

// Append implements eventstore.Store. A tombstone must be its append's only event. The server
// writes the tombstone itself, so its id and its bytes are not kept, and its revision is the
// highest possible one.
//
// Replayed is false if the log holds at this place exactly the bytes that were given, and did
// not hold them when this store last knew the head. The store knows the head from its shared
// subscription. While that is not there, it reads the head before each append. Replayed is
// true if the log held the events before that, or holds other bytes under the same ids. So
// two callers can both get Replayed false only if two programs append the same bytes under
// the same ids at the same moment.
func (s *Store) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if err := eventstore.CheckAppend(stream, expected, events); err != nil {
		return eventstore.Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return eventstore.Result{}, fmt.Errorf("append to %s: %w", stream, err)
	}
	op, err := newAppending(stream, expected, events)
	if err != nil {
		return eventstore.Result{}, err
	}
	done, err := s.idLocks.lock(ctx, events[0].ID)
	if err != nil {
		return eventstore.Result{}, fmt.Errorf("append to %s: %w", stream, err)
	}
	defer done()
	w := s.live.watch(stream, events)
	defer w.end()
	if err := s.refreshHead(ctx); err != nil {
		return eventstore.Result{}, appendError(ctx, stream, expected, events, &unsent{err})
	}
	head := s.head.get()
	result, err := s.send(ctx, op)
	switch {
	case err == nil && ends(events):
		s.awaitEnd(ctx, result.Position, w)
	case err == nil:
		result, err = s.confirm(ctx, stream, events, result, w)
	}
	if err != nil {
		if judge(err) == conflict {
			s.awaitMove(ctx, stream, expected, w, err)
		}
		err = appendError(ctx, stream, expected, events, err)
		if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err); unknown {
			s.head.mayHaveMoved()
		}
		return eventstore.Result{}, err
	}
	if !head.Before(result.Position) { // the events were in the log before they were sent
		result.Replayed = true
	}
	s.appended(stream, events, result)
	return result, nil
}

func ends(events []eventstore.Event) bool {
	return events[len(events)-1].Type == eventstore.TombstoneType
}

// refreshHead reads the head if it may have moved without the store's knowledge: by an append
// with an unknown outcome, or by any append while there is no subscription.
func (s *Store) refreshHead(ctx context.Context) error {
	moves, must := s.head.mustRead()
	if !must && s.live.flows() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.supervisor.wait)
	defer cancel()
	if _, err := s.readHead(ctx); err != nil {
		return err
	}
	s.head.wasRead(moves)
	return nil
}

// appended tells the subscriptions how long the log is.
func (s *Store) appended(stream string, events []eventstore.Event, result eventstore.Result) {
	s.head.advance(result.Position)
	if !isSystem(events[len(events)-1].Type, stream) {
		s.live.prove(result.Position)
	}
}

// send repeats an append while there is time: an append that was certainly not done, and also one
// whose outcome is unknown, because the server recognises its ids. It does not repeat a tombstone.
// The server would refuse a second tombstone, even from the writer of the first.
func (s *Store) send(ctx context.Context, op appending) (eventstore.Result, error) {
	until := time.Now().Add(s.supervisor.wait)
	// doubt is the error of an attempt that may have been done. The error of a later attempt must
	// not hide it, because that one may not even have been sent.
	var doubt error
	for backoff := minBackoff; ; backoff *= 2 {
		result, err := s.sendOnce(ctx, op)
		if err == nil {
			return result, nil
		}
		again := false
		switch judge(err) {
		case notSent, elsewhere, moved:
			_, tried := errors.AsType[*unsent](err) // this attempt has waited already
			again = !tried || errors.Is(err, errNewConnection)
		case unknown, lost:
			doubt, again = err, op.repeatable
		case conflict, duplicate, deleted: // these are certain, whatever earlier attempts have done
			return eventstore.Result{}, err
		default:
		}
		switch {
		case again && !time.Now().Add(backoff).After(until) && ctx.Err() == nil:
			pause.For(ctx, backoff)
		case doubt != nil:
			return eventstore.Result{}, &noAnswer{doubt}
		default:
			return eventstore.Result{}, err
		}
	}
}

// errNewConnection is the error of an append that was not sent, because its connection is newer
// than the last comparison of the log.
var errNewConnection = errors.New("the connection is a new one")

// sendOnce sends an append over a connection whose log was found to be the right one. Without this
// check, an append that waits for a server would be taken by that server even after a restart with
// another log.
func (s *Store) sendOnce(ctx context.Context, op appending) (eventstore.Result, error) {
	if s.admit == nil {
		return call(ctx, s.supervisor, op.operation)
	}
	upTo, err := s.admit(ctx)
	if err != nil {
		return eventstore.Result{}, &unsent{err}
	}
	return callOn(ctx, s.supervisor, func(ctx context.Context, c *connection) (eventstore.Result, error) {
		if c.number.Load() > upTo {
			return eventstore.Result{}, &unsent{errNewConnection}
		}
		return op.operation(ctx, c.client)
	})
}

// appending is how an append is done.
type appending struct {
	operation  operation[eventstore.Result]
	repeatable bool // the server answers a repetition like the first request
}

func newAppending(stream string, expected eventstore.Expected, events []eventstore.Event) (appending, error) {
	if ends(events) {
		if len(events) > 1 {
			return appending{}, &eventstore.InvalidError{Reason: "KurrentDB ends a stream by an append of its own: the tombstone must be the only event"}
		}
		return appending{operation: ending(stream, expected)}, nil
	}
	sent := make([]esdb.EventData, len(events))
	for i := range events {
		var err error
		if sent[i], err = outgoing(i, &events[i]); err != nil {
			return appending{}, err
		}
	}
	return appending{operation: adding(stream, expected, sent), repeatable: true}, nil
}

func ending(stream string, expected eventstore.Expected) operation[eventstore.Result] {
	return func(ctx context.Context, client *esdb.Client) (eventstore.Result, error) {
		ended, err := client.TombstoneStream(ctx, stream, esdb.TombstoneStreamOptions{ExpectedRevision: revision(expected)})
		if err != nil {
			return eventstore.Result{}, err
		}
		return eventstore.Result{
			Revision: math.MaxInt64,
			Position: eventstore.AtPair(ended.Position.Commit, ended.Position.Prepare),
		}, nil
	}
}

// adding appends. If the server recognises the ids of an append, it answers as if the append
// were new, even if it holds other bytes under these ids. So the result may be that of
// another writer. Its position may be that of the first event.
func adding(stream string, expected eventstore.Expected, sent []esdb.EventData) operation[eventstore.Result] {
	return func(ctx context.Context, client *esdb.Client) (eventstore.Result, error) {
		ctx, end := lingering(ctx)
		defer end()
		written, err := client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: revision(expected)}, sent...)
		if err != nil {
			return eventstore.Result{}, err
		}
		return eventstore.Result{
			Revision: int64(written.NextExpectedVersion), //nolint:gosec // the server's revisions are below int64's end
			Position: eventstore.AtPair(written.CommitPosition, written.PreparePosition),
		}, nil
	}
}

// linger is how much longer than its caller an append goes on in the client.
// The reason is a data race in the client. If the gRPC stream of an append fails while the append
// is being sent, the client reads the trailers. If the context ends at the same moment, gRPC writes
// them. The context could end at any moment: at the caller's deadline, or when another call notices
// that the server is dead and gives up the connection for all calls. An append is sent at once
// while its caller is waiting. So after this short time it has been sent or has failed.
const linger = 250 * time.Millisecond

// lingering is a context that ends linger after ctx, or when it is canceled.
func lingering(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, _ := ctx.Deadline() // every call has one, and the server needs it
	kept, end := context.WithDeadline(context.WithoutCancel(ctx), deadline.Add(linger))
	stop := context.AfterFunc(ctx, func() {
		pause.For(kept, linger)
		end()
	})
	return kept, func() {
		stop()
		end()
	}
}

// behind is the error of a node that lacks events which the leader has. Such a node was the leader
// before. It forwards appends to the leader, but answers reads from its own state.
type behind struct{ cause error }

func (e *behind) Error() string { return fmt.Sprintf("the node is behind its leader: %v", e.cause) }
func (e *behind) Unwrap() error { return e.cause }

// Pauses between reads of a stream that is about to change.
const (
	minPollGap = 5 * time.Millisecond
	maxPollGap = 100 * time.Millisecond
)

// awaitMove is called when an append was refused. It waits until readers can see the reason,
// because the server's writer knows of an append some milliseconds before readers see it. If the
// stream does not change for long, the node is behind its leader, and its connection is replaced.
// The caller gets the same error in both cases.
func (s *Store) awaitMove(ctx context.Context, stream string, expected eventstore.Expected, w *watch, refusal error) {
	if expected < eventstore.NoStream {
		return
	}
	began := time.Now()
	for gap := minPollGap; !w.beyond(int64(expected)); gap = min(2*gap, maxPollGap) {
		over := time.Since(began) > settling
		still, err := call(ctx, s.supervisor, func(ctx context.Context, client *esdb.Client) (bool, error) {
			still, err := isAt(ctx, client, stream, expected)
			if still && over {
				err = &behind{refusal}
			}
			return still, err
		})
		if over || err == nil && !still || err != nil && !passes(err) || !w.wait(ctx, gap) {
			return
		}
	}
}

// awaitEnd waits until readers can see that a stream has ended. Other appends to the stream need
// this when they compare what was recorded.
func (s *Store) awaitEnd(ctx context.Context, position eventstore.Position, w *watch) {
	began := time.Now()
	for gap := minPollGap; time.Since(began) < settling && !w.beyond(eventstore.LastRevision-1); gap = min(2*gap, maxPollGap) {
		if head, err := s.readHead(ctx); err != nil || !head.Before(position) || !w.wait(ctx, gap) {
			return
		}
	}
}

// isAt tells whether readers still see a stream in the state that a refused append expected.
func isAt(ctx context.Context, client *esdb.Client, stream string, expected eventstore.Expected) (bool, error) {
	last, err := readPage(streamFrom(stream, esdb.Backwards, esdb.End{}), 1)(ctx, client)
	switch {
	case err == nil:
		return len(last.events) == 1 && last.events[0].Revision == int64(expected), nil
	case judge(err) == missing:
		return expected == eventstore.NoStream, nil
	default:
		return false, err
	}
}

// notRead means that an append was recorded, now or before, but could not be read back. If the
// append is repeated, it is read back again. The cause is why the read failed. It does not mean
// that the append failed.
type notRead struct{ cause error }

func (e *notRead) Error() string { return fmt.Sprintf("read back what was appended: %v", e.cause) }

var errNotThere = errors.New("the events cannot be read yet")

// bringMax bounds the wait until the subscription yields what was appended.
const bringMax = 250 * time.Millisecond

// confirm compares what was sent with what the log holds at the place of the answer, because
// the server answers a repeated append like a new one. Normally the shared subscription
// yields the events. If it does not, they are read.
func (s *Store) confirm(ctx context.Context, stream string, events []eventstore.Event, answer eventstore.Result, w *watch) (eventstore.Result, error) {
	if result, brought := w.brought(ctx, answer); brought {
		return result, nil
	}
	began := time.Now()
	for gap := minPollGap; ; gap = min(2*gap, maxPollGap) {
		result, err := call(ctx, s.supervisor, func(ctx context.Context, client *esdb.Client) (eventstore.Result, error) {
			result, err := readBack(ctx, client, stream, answer.Revision, events)
			if (judge(err) == missing || errors.Is(err, errNotThere)) && time.Since(began) > settling {
				err = &behind{&notRead{err}}
			}
			return result, err
		})
		_, left := errors.AsType[*behind](err)
		switch fate := judge(err); {
		case err == nil:
			return result, nil
		case fate == deleted: // the stream has ended meanwhile, so no later append depends on this result
			return answer, nil
		case left:
			return eventstore.Result{}, err
		case fate == missing || errors.Is(err, errNotThere): // not yet
		case !passes(err) || time.Since(began) > s.supervisor.wait || errors.Is(err, errClosed):
			return eventstore.Result{}, &notRead{err}
		}
		if ctx.Err() != nil {
			return eventstore.Result{}, &notRead{err}
		}
		pause.For(ctx, gap)
	}
}

// readBack compares the events up to a revision with those that were sent. The stream's
// limits may already hide the first of them.
func readBack(ctx context.Context, client *esdb.Client, stream string, last int64, sent []eventstore.Event) (eventstore.Result, error) {
	first := last + 1 - int64(len(sent))
	events, err := client.ReadStream(ctx, stream, esdb.ReadStreamOptions{Direction: esdb.Forwards, From: esdb.Revision(uint64(max(first, 0)))}, uint64(len(sent)))
	if err != nil {
		return eventstore.Result{}, err
	}
	defer events.Close()
	// If first is negative, the server recognised the ids at other places, because nothing can be
	// added before the stream's first event.
	result := eventstore.Result{Revision: -1, Replayed: first < 0}
	for {
		event, err := events.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return eventstore.Result{}, err
		}
		e, err := incoming(event.OriginalEvent())
		switch {
		case err != nil:
			return eventstore.Result{}, err
		case e.Revision < first || e.Revision > last: // the stream's limits hide it by now
			continue
		case !same(&sent[e.Revision-first], &e.Event):
			result.Replayed = true
		}
		result.Revision, result.Position = e.Revision, e.Position
	}
	if result.Revision != last {
		return eventstore.Result{}, errNotThere
	}
	return result, nil
}

func revision(expected eventstore.Expected) esdb.ExpectedRevision {
	switch expected {
	case eventstore.Any:
		return esdb.Any{}
	case eventstore.NoStream:
		return esdb.NoStream{}
	case eventstore.StreamExists:
		return esdb.StreamExists{}
	default:
		return esdb.Revision(uint64(expected)) //nolint:gosec // CheckAppend lets no other negative through
	}
}

// idLocks makes appends wait for each other if they begin with the same event id. So a later append
// sees what the first one has done.
type idLocks struct {
	mu   sync.Mutex
	held map[uuid.UUID]chan struct{} // closed when the lock is released
}

// lock waits for the lock of an id, and returns the function that releases it.
func (t *idLocks) lock(ctx context.Context, id uuid.UUID) (done func(), err error) {
	for {
		t.mu.Lock()
		before, taken := t.held[id]
		if !taken {
			mine := make(chan struct{})
			t.held[id] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.held, id)
				t.mu.Unlock()
				close(mine)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
