package kurrentdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// operation is what is done with a client. Its context ends with the caller's,
// with the call's time, and with the connection.
type operation[T any] func(context.Context, *esdb.Client) (T, error)

// unsent means that nothing reached the server.
type unsent struct{ cause error }

func (e *unsent) Error() string { return e.cause.Error() }
func (e *unsent) Unwrap() error { return e.cause }

// noAnswer means that a call was given up without the server's answer.
type noAnswer struct{ cause error }

func (e *noAnswer) Error() string { return fmt.Sprintf("no answer: %v", e.cause) }
func (e *noAnswer) Unwrap() error { return e.cause }

// clockSkew is how much earlier than here a deadline may be over at the server.
const clockSkew = 50 * time.Millisecond

var errTimeout = errors.New("the call's time is over")

// call does something on the connection in use and returns in time, whatever
// the client does.
func call[T any](ctx context.Context, s *supervisor, op operation[T]) (T, error) {
	return callOn(ctx, s, func(ctx context.Context, c *connection) (T, error) { return op(ctx, c.client) })
}

// callOn is call for what must know its connection.
func callOn[T any](ctx context.Context, s *supervisor, op func(context.Context, *connection) (T, error)) (T, error) {
	var none T
	if !s.calls.enter() {
		return none, &unsent{errClosed}
	}
	defer s.calls.leave()
	c, err := s.take(ctx)
	if err != nil {
		return none, &unsent{err}
	}
	s.made.Add(1)
	answer, err := start(ctx, c, s, op)
	if err != nil {
		c.learn(err) // before it is tried again
	}
	return answer, err
}

func start[T any](ctx context.Context, c *connection, s *supervisor, op func(context.Context, *connection) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errTimeout)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	return run(ctx, c, func(err error) {
		<-c.slots
		if err != nil {
			c.learn(err)
		}
	}, op)
}

// guard is call on a given connection, without a slot.
func guard[T any](ctx context.Context, c *connection, op operation[T]) (T, error) {
	if !c.inside.enter() {
		var none T
		return none, &unsent{errReplaced}
	}
	return run(ctx, c, func(error) {}, func(ctx context.Context, c *connection) (T, error) { return op(ctx, c.client) })
}

// run has an operation done in a goroutine of its own, from which the caller
// walks away when ctx ends. The goroutine then keeps its slot, so that there are
// never more of them on a connection than slots; all end with the connection.
// ended hears how it ended, also when the caller has left.
func run[T any](ctx context.Context, c *connection, ended func(error), op func(context.Context, *connection) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		defer c.inside.leave()
		value, err := recovered(func() (T, error) { return op(ctx, c) })
		if err != nil && overdue(ctx) && (judge(err) == unknown || errors.Is(err, io.EOF)) {
			err = &noAnswer{why(ctx, c)} // the client tells it in many ways
		}
		answers <- answer{value, err} // first, for what is learned may end ctx
		ended(err)
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
	}
	select { // it may have come all the same
	case a := <-answers:
		return a.value, a.err
	default:
		var none T
		return none, &noAnswer{why(ctx, c)}
	}
}

// overdue tells whether a context has ended, or does so any moment: the server
// knows its deadline and may be the first to act on it.
func overdue(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && time.Until(deadline) < clockSkew
}

// why tells why a call's context has ended.
func why(ctx context.Context, c *connection) error {
	switch cause := context.Cause(ctx); {
	case cause == nil:
		return context.DeadlineExceeded
	case errors.Is(cause, context.Canceled) && c.ctx.Err() != nil:
		return context.Cause(c.ctx)
	default:
		return cause
	}
}

// recovered makes an error of a panic: of the one that breaks a call off, and of
// the client's own at messages it does not know.
func recovered[T any](f func() (T, error)) (value T, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *brokenOff:
			err = p
		default:
			err = &clientPanic{value: p}
		}
	}()
	return f()
}

// clientPanic is a panic of the client.
type clientPanic struct{ value any }

func (p *clientPanic) Error() string { return fmt.Sprintf("the client panicked: %v", p.value) }

// learn gives the connection up, or has it looked at, if an error says that it
// is no good.
func (c *connection) learn(err error) {
	if _, ok := errors.AsType[*behind](err); ok {
		c.retire(err)
		return
	}
	if errors.Is(err, errNewConnection) { // nothing was asked of it yet
		return
	}
	switch judge(err) {
	case lost, moved, notSent: // notSent: the client has ended itself
		c.drop(err)
	case unknown:
		if !errors.Is(err, context.Canceled) { // by the caller, who just did not wait
			c.suspect()
		}
	default: // the connection is as good as it was
	}
}
