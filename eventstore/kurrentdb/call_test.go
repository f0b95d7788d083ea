package kurrentdb

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// alone is a supervisor with one connection that has one slot.
func alone() (*supervisor, *connection) {
	c := &connection{logger: slog.New(slog.DiscardHandler), slots: make(chan struct{}, 1), doubt: make(chan struct{}, 1)}
	c.ctx, c.drop = context.WithCancelCause(context.Background())
	c.uncut, c.cut = context.WithCancel(context.Background())
	s := &supervisor{current: c, timeout: time.Minute, wait: time.Minute, changed: make(chan struct{}), ctx: context.Background()}
	return s, c
}

// A client that blocks for ever, as it does when its own goroutine has ended,
// holds a slot and nobody else.
func TestACallThatBlocksForEverIsLeft(t *testing.T) {
	s, c := alone()
	release := make(chan struct{})
	defer close(release)
	ctx, end := context.WithCancelCause(t.Context())
	blocks := func(context.Context, *esdb.Client) (int, error) {
		end(context.DeadlineExceeded)
		<-release
		return 1, nil
	}
	if _, err := call(ctx, s, blocks); !errors.Is(err, context.DeadlineExceeded) || judge(err) != unknown {
		t.Errorf("error %v, want no answer and the deadline", err)
	}
	if len(c.slots) != 1 || len(c.doubt) != 1 {
		t.Errorf("%d slots taken, %d doubts; want 1 each", len(c.slots), len(c.doubt))
	}
	if _, err := call(ctx, s, blocks); judge(err) != notSent {
		t.Errorf("error %v, want that nothing was sent", err)
	}
}

// A connection may end under a call whose own context goes on.
func TestACallEndsWithItsConnection(t *testing.T) {
	s, c := alone()
	release := make(chan struct{})
	defer close(release)
	_, err := call(t.Context(), s, func(context.Context, *esdb.Client) (int, error) {
		c.drop(errReplaced)
		<-release
		return 1, nil
	})
	if !errors.Is(err, errReplaced) || judge(err) != unknown {
		t.Errorf("error %v, want no answer, for the connection was replaced", err)
	}
}

// Neither the end of a caller's patience nor that of a connection is told to the
// client while it may be sending; what it does then, it does for nobody.
func TestACallThatIsLeftGoesOnUntilItIsCutOff(t *testing.T) {
	s, c := alone()
	began, cut := make(chan context.Context, 1), make(chan struct{})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		inside := <-began
		leave()
		c.drop(errReplaced)
		<-inside.Done()
		close(cut)
	}()
	_, err := call(ctx, s, func(ctx context.Context, _ *esdb.Client) (int, error) {
		began <- ctx
		<-cut
		return 0, ctx.Err()
	})
	if judge(err) != unknown {
		t.Errorf("error %v, want that there was no answer", err)
	}
	if c.inside.shutWithin(time.Millisecond) == nil {
		t.Error("the call has ended with its caller or with the connection")
	}
	c.cut()
	if err := c.inside.shutWithin(time.Minute); err != nil {
		t.Errorf("the call was cut off and goes on: %v", err)
	}
	if len(c.slots) != 0 {
		t.Error("the call has ended and keeps its slot")
	}
}

func TestAPanicOfTheClientIsAnError(t *testing.T) {
	_, err := recovered(func() (int, error) { panic("unreachable code") })
	if _, ok := errors.AsType[*clientPanic](err); !ok {
		t.Errorf("error %v, want a clientPanic", err)
	}
}
