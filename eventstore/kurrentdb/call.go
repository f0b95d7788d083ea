package kurrentdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// operation is one use of a client. Its context ends with the caller's context, after the
// call's time, and with the connection.
type operation[T any] func(context.Context, *esdb.Client) (T, error)

// unsent means that nothing was sent to the server.
type unsent struct{ cause error }

func (e *unsent) Error() string { return e.cause.Error() }
func (e *unsent) Unwrap() error { return e.cause }

// noAnswer means that a call was given up before the server answered.
type noAnswer struct{ cause error }

func (e *noAnswer) Error() string { return fmt.Sprintf("no answer: %v", e.cause) }
func (e *noAnswer) Unwrap() error { return e.cause }

// clockSkew is how much earlier a deadline may end by the server's clock than by this
// machine's clock.
const clockSkew = 50 * time.Millisecond

var errTimeout = errors.New("the call's time is over")

// call runs an operation on the connection in use. It returns in time even if the client
// blocks.
func call[T any](ctx context.Context, s *supervisor, op operation[T]) (T, error) {
	return callOn(ctx, s, func(ctx context.Context, c *connection) (T, error) { return op(ctx, c.client) })
}

// callOn is call for an operation that needs its connection.
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
		c.learn(err) // before the call is tried again
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

// guard runs an operation as call does, but on a given connection and without taking a slot.
func guard[T any](ctx context.Context, c *connection, op operation[T]) (T, error) {
	if !c.inside.enter() {
		var none T
		return none, &unsent{errReplaced}
	}
	return run(ctx, c, func(error) {}, func(ctx context.Context, c *connection) (T, error) { return op(ctx, c.client) })
}

// run runs an operation in a goroutine of its own. If ctx ends first, the caller leaves, and
// the goroutine keeps its slot. So a connection never has more such goroutines than slots,
// and all of them end with the connection. ended is called with the operation's error, even
// after the caller has left.
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
			err = &noAnswer{why(ctx, c)} // the client reports the end of a context in many ways
		}
		answers <- answer{value, err} // before ended, because ended may end ctx
		ended(err)
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
	}
	select { // the answer may have come at the same moment
	case a := <-answers:
		return a.value, a.err
	default:
		var none T
		return none, &noAnswer{why(ctx, c)}
	}
}

// overdue tells whether a context has ended or is about to end. The server knows the
// deadline, too, and may be the first to act on it.
func overdue(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && time.Until(deadline) < clockSkew
}

// why returns the reason why a call's context has ended.
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

// recovered turns a panic into an error. The panic breaks a call off, or comes from the
// client, which panics at messages that it does not know.
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

// learn gives the connection up, or has it checked, if an error says that the connection may
// not work.
func (c *connection) learn(err error) {
	if _, ok := errors.AsType[*behind](err); ok {
		c.retire(err)
		return
	}
	if errors.Is(err, errNewConnection) { // nothing was sent over it yet
		return
	}
	switch judge(err) {
	case lost, moved, notSent: // notSent: the client has ended itself
		c.drop(err)
	case unknown:
		// If a caller no longer wants to wait, that says nothing about the connection.
		if !errors.Is(err, context.Canceled) {
			c.suspect()
		}
	default: // such an error says nothing about the connection
	}
}
