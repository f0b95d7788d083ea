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
)

// Append implements eventstore.Store. A tombstone must be its append's only
// event: the server writes it itself, so its id and its bytes are not kept, and
// its revision is the highest there is.
//
// Replayed false means that the log holds at this place what was given, byte for
// byte, and did not when this store last knew where the head was: while somebody
// subscribes, from what comes by the subscription, else from a look at the head
// before each append. Replayed is true if the log holds other bytes there under
// the same ids, and if it held the events before that. So only where two programs
// give the same bytes under the same ids at the same moment, both may be told
// that they added them.
func (s *Store) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if err := eventstore.CheckAppend(stream, expected, events); err != nil {
		return eventstore.Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return eventstore.Result{}, fmt.Errorf("append to %s: %w", stream, err)
	}
	op, err := s.appending(stream, expected, events)
	if err != nil {
		return eventstore.Result{}, err
	}
	done, err := s.turns.take(ctx, events[0].ID)
	if err != nil {
		return eventstore.Result{}, fmt.Errorf("append to %s: %w", stream, err)
	}
	defer done()
	if err := s.look(ctx); err != nil {
		return eventstore.Result{}, appendError(ctx, stream, expected, events, &unsent{err})
	}
	known := s.known.get()
	result, err := s.send(ctx, op)
	if err != nil {
		err = appendError(ctx, stream, expected, events, err)
		if _, unknown := errors.AsType[*eventstore.OutcomeUnknownError](err); unknown {
			s.known.blur()
		}
		return eventstore.Result{}, err
	}
	if !known.Before(result.Position) { // it was in the log before it was sent
		result.Replayed = true
	}
	s.appended(stream, events, result)
	return result, nil
}

// look reads the head if it may have moved unseen: by an append that left its
// outcome unknown, or by anybody's while no subscription tells.
func (s *Store) look(ctx context.Context) error {
	blurs, blurred := s.known.blurred()
	if !blurred && s.live.flows() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.supervisor.wait)
	defer cancel()
	if _, err := s.readHead(ctx); err != nil {
		return err
	}
	s.known.sharpen(blurs)
	return nil
}

// appended tells the subscriptions how far the log reaches.
func (s *Store) appended(stream string, events []eventstore.Event, result eventstore.Result) {
	s.known.reach(result.Position)
	if !isSystem(events[len(events)-1].Type, stream) {
		s.live.prove(result.Position)
	}
}

// send repeats an append that surely was not done, while there is time to wait.
func (s *Store) send(ctx context.Context, op operation[eventstore.Result]) (eventstore.Result, error) {
	until := time.Now().Add(s.supervisor.wait)
	for backoff := minBackoff; ; backoff *= 2 {
		result, err := call(ctx, s.supervisor, op)
		if err == nil {
			return result, nil
		}
		_, tried := errors.AsType[*unsent](err) // that has waited already
		if fate := judge(err); tried || fate != notSent && fate != elsewhere && fate != moved ||
			time.Now().Add(backoff).After(until) || ctx.Err() != nil {
			return eventstore.Result{}, err
		}
		pause(ctx, backoff)
	}
}

func (s *Store) appending(stream string, expected eventstore.Expected, events []eventstore.Event) (operation[eventstore.Result], error) {
	if events[len(events)-1].Type == eventstore.TombstoneType {
		if len(events) > 1 {
			return nil, &eventstore.InvalidError{Reason: "KurrentDB ends a stream by an append of its own: the tombstone must be the only event"}
		}
		return ending(stream, expected), nil
	}
	sent := make([]esdb.EventData, len(events))
	for i := range events {
		var err error
		if sent[i], err = outgoing(i, &events[i]); err != nil {
			return nil, err
		}
	}
	return adding(stream, expected, sent), nil
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

// adding appends, and reads back what the log then holds there. For the server
// answers an append that it knows by its ids just as a new one, even if the
// bytes it holds under them are others: of another writer who decided otherwise.
func adding(stream string, expected eventstore.Expected, sent []esdb.EventData) operation[eventstore.Result] {
	return func(ctx context.Context, client *esdb.Client) (eventstore.Result, error) {
		written, err := add(ctx, client, stream, expected, sent)
		if judge(err) == conflict && isAt(ctx, client, stream, expected) {
			return eventstore.Result{}, &behind{err}
		}
		if err != nil {
			return eventstore.Result{}, err
		}
		result, err := readBack(ctx, client, stream, written.NextExpectedVersion, sent)
		switch {
		case err == nil:
			return result, nil
		case judge(err) == deleted: // meanwhile; nobody will decide on it any more
			return eventstore.Result{
				Revision: int64(written.NextExpectedVersion), //nolint:gosec // the server's revisions are below int64's end
				Position: eventstore.AtPair(written.CommitPosition, written.PreparePosition),
			}, nil
		case judge(err) == missing || errors.Is(err, errNotThere):
			return eventstore.Result{}, &behind{&notRead{err}}
		default:
			return eventstore.Result{}, &notRead{err}
		}
	}
}

func add(ctx context.Context, client *esdb.Client, stream string, expected eventstore.Expected, sent []esdb.EventData) (*esdb.WriteResult, error) {
	ctx, end := lingering(ctx)
	defer end()
	return client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: revision(expected)}, sent...)
}

// linger is how much longer than its caller an append goes on in the client.
//
// When an append's stream fails while it is sending, the client reads the
// trailers that gRPC writes if the context ends at the same moment: a data race.
// A caller's deadline may be at any moment, and of a server that dies the first
// who notices gives up the connection of all. An append begins while its caller
// is there and sends at once, so a moment later it has been sent, or has failed.
const linger = 250 * time.Millisecond

// lingering is a context that ends a moment after ctx, or when it is ended.
func lingering(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, _ := ctx.Deadline() // every call has one, and the server is to know it
	kept, end := context.WithDeadline(context.WithoutCancel(ctx), deadline.Add(linger))
	stop := context.AfterFunc(ctx, func() {
		pause(kept, linger)
		end()
	})
	return kept, func() {
		stop()
		end()
	}
}

// behind is of a node that does not have what the leader has: it was the leader
// once, forwards appends, and answers reads from what it knows.
type behind struct{ cause error }

func (e *behind) Error() string { return fmt.Sprintf("the node is behind its leader: %v", e.cause) }
func (e *behind) Unwrap() error { return e.cause }

// isAt tells whether a stream still looks as an append expected it that was
// refused because it does not.
func isAt(ctx context.Context, client *esdb.Client, stream string, expected eventstore.Expected) bool {
	if expected < 0 {
		return false
	}
	last, err := readPage(streamFrom(stream, esdb.Backwards, esdb.End{}), 1)(ctx, client)
	return err == nil && len(last.events) == 1 && last.events[0].Revision == int64(expected)
}

// notRead means that an append was recorded, now or before, but could not be
// looked at; repeating it tells. Its cause says nothing about the append.
type notRead struct{ cause error }

func (e *notRead) Error() string { return fmt.Sprintf("read back what was appended: %v", e.cause) }

var errNotThere = errors.New("it is not there")

// readBack compares the events up to a revision with those that were sent. The
// stream's limits may hide the first ones already.
func readBack(ctx context.Context, client *esdb.Client, stream string, last uint64, sent []esdb.EventData) (eventstore.Result, error) {
	count := uint64(len(sent))
	if last+1 < count {
		return eventstore.Result{}, fmt.Errorf("%d events end at revision %d", count, last)
	}
	first := last + 1 - count
	options := esdb.ReadStreamOptions{Direction: esdb.Forwards, From: esdb.Revision(first)}
	events, err := client.ReadStream(ctx, stream, options, count)
	if err != nil {
		return eventstore.Result{}, err
	}
	defer events.Close()
	result := eventstore.Result{Revision: -1}
	for {
		event, err := events.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return eventstore.Result{}, err
		}
		e := event.OriginalEvent()
		switch {
		case e.EventNumber < first || e.EventNumber > last: // the stream begins later by now
			continue
		case e.Position.Commit == math.MaxUint64:
			return eventstore.Result{}, errNoPosition
		case !same(&sent[e.EventNumber-first], e):
			result.Replayed = true
		}
		result.Revision = int64(e.EventNumber) //nolint:gosec // not above last
		result.Position = eventstore.AtPair(e.Position.Commit, e.Position.Prepare)
	}
	if result.Revision != int64(last) { //nolint:gosec // the server's revisions are below int64's end
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

// turns lets appends that begin with the same event id go one after the other,
// so that the later ones know what the first has done.
type turns struct {
	mu    sync.Mutex
	taken map[uuid.UUID]chan struct{} // closed when the turn is over
}

// take waits for a turn, and returns what ends it.
func (t *turns) take(ctx context.Context, id uuid.UUID) (done func(), err error) {
	for {
		t.mu.Lock()
		before, taken := t.taken[id]
		if !taken {
			mine := make(chan struct{})
			t.taken[id] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.taken, id)
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
