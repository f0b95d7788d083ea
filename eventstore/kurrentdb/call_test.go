package kurrentdb

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// alone makes a supervisor with one connection, which has one slot.
func alone() (*supervisor, *connection) {
	c := newConnection(esdb.Configuration{}, 1, slog.New(slog.DiscardHandler))
	s := &supervisor{current: c, timeout: time.Minute, wait: time.Minute, changed: make(chan struct{}), ctx: context.Background()}
	return s, c
}

// A client blocks for ever when its own goroutine has ended. Such a call keeps its slot, but its
// caller returns and other calls go on.
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
	t.Parallel()
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

// An append goes on for a moment after its caller has left, but not after its own time has ended.
func TestAnAppendLingers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithTimeout(t.Context(), time.Minute)
		kept, end := lingering(ctx)
		defer end()
		leave()
		time.Sleep(linger - time.Nanosecond) //nolint:forbidigo // time is the bubble's
		synctest.Wait()
		if kept.Err() != nil {
			t.Error("it ends with its caller")
		}
		time.Sleep(time.Nanosecond) //nolint:forbidigo // time is the bubble's
		synctest.Wait()
		if kept.Err() == nil {
			t.Error("it goes on when a moment is over")
		}
		if until, ok := kept.Deadline(); !ok || time.Until(until) > time.Minute+linger {
			t.Error("the server is not told how long it may take")
		}
	})
}

// If a call meets an error after its caller has left, the engine still uses the error to judge the
// connection.
func TestALateErrorEndsTheConnection(t *testing.T) {
	s, c := alone()
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	_, err := call(ctx, s, func(context.Context, *esdb.Client) (int, error) {
		leave()
		<-left
		return 0, &brokenOff{status.Error(codes.Unavailable, "")}
	})
	if !errors.Is(err, context.Canceled) || c.ctx.Err() != nil {
		t.Fatalf("error %v, and the connection has ended: %v; want that the caller has left", err, c.ctx.Err())
	}
	close(left)
	<-c.ctx.Done()
}

// An answer of the server can be the reason why the connection is given up. The caller must get
// this answer all the same, however many other calls end at that moment.
func TestAnAnswerThatEndsTheConnectionIsGiven(t *testing.T) {
	t.Parallel()
	const others = 500
	for range 50 {
		s, c := alone()
		c.slots = make(chan struct{}, others+1)
		var group, inside sync.WaitGroup
		inside.Add(others)
		for range others {
			group.Go(func() {
				_, _ = call(t.Context(), s, func(ctx context.Context, _ *esdb.Client) (int, error) {
					inside.Done()
					<-ctx.Done()
					return 0, ctx.Err()
				})
			})
		}
		inside.Wait()
		_, err := call(t.Context(), s, func(context.Context, *esdb.Client) (int, error) {
			return 0, status.Error(codes.NotFound, "another node leads")
		})
		if judge(err) != moved {
			t.Fatalf("error %v, want the server's", err)
		}
		group.Wait()
	}
}

// A call whose connection was given up waits for the next one. If none comes, the call gets an
// error, even if the supervisor does not know a reason yet.
func TestACallWithoutANewConnectionFails(t *testing.T) {
	t.Parallel()
	s, c := alone()
	c.drop(errReplaced)
	s.wait = time.Millisecond
	_, err := call(t.Context(), s, func(context.Context, *esdb.Client) (int, error) { return 0, nil })
	if _, is := errors.AsType[*unsent](err); !is || !errors.Is(err, errLooking) {
		t.Errorf("error %v, want one that says that there is no connection yet", err)
	}
}

func TestAPanicOfTheClientIsAnError(t *testing.T) {
	_, err := recovered(func() (int, error) { panic("unreachable code") })
	if _, ok := errors.AsType[*clientPanic](err); !ok {
		t.Errorf("error %v, want a clientPanic", err)
	}
}
