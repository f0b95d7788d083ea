package kurrentdb_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"daybook/eventstore"
	"daybook/eventstore/memory"
)

var errAnotherLog = errors.New("it is another log")

// While appends are under way, the server is started again with another log. Appends wait at
// different steps, and none of them is sent before the new connection is admitted.
func TestNothingIsAppendedOverAConnectionThatWasNotAdmitted(t *testing.T) {
	t.Parallel()
	n := serve(t, memory.New(), "127.0.0.1:0")
	store := open(t, address(n))
	var refused atomic.Bool
	store.AskBeforeAppend(func(context.Context) (uint64, error) {
		if made := store.Connections(); made > 1 {
			refused.Store(true)
			return 1, errAnotherLog
		}
		return 1, nil
	})
	ctx := within(t, patience)
	const writers = 16
	var appending sync.WaitGroup
	var begun sync.WaitGroup
	begun.Add(writers)
	for range writers {
		appending.Go(func() {
			if _, err := store.Append(ctx, "a", eventstore.Any, newEvents(1)); err != nil {
				t.Errorf("over the first connection: %v", err)
			}
			begun.Done()
			for {
				if _, err := store.Append(ctx, "a", eventstore.Any, newEvents(1)); err != nil {
					return
				}
			}
		})
	}
	begun.Wait()
	n.kill()
	other := memory.New()
	n.log = other
	n.start()
	appending.Wait()
	if _, err := store.Append(ctx, "a", eventstore.Any, newEvents(1)); !errors.Is(err, errAnotherLog) {
		t.Errorf("an append over a connection that is refused: %v, want %v", err, errAnotherLog)
	}
	head, err := other.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !refused.Load() || !head.IsStart() {
		t.Errorf("refused: %t; the other log ends at %s, want nothing in it", refused.Load(), head)
	}
}

// If an append gets a new connection that is not admitted yet, the append waits. The connection is
// kept, because it works and other calls already use it.
func TestAConnectionThatIsNotAdmittedYetIsKept(t *testing.T) {
	t.Parallel()
	n := serve(t, memory.New(), "127.0.0.1:0")
	store := open(t, address(n))
	const writers = 16
	var early atomic.Int64 // appends that come before the new connection is admitted
	store.AskBeforeAppend(func(context.Context) (uint64, error) {
		if made := store.Connections(); made == 1 || early.Add(1) > writers {
			return made, nil
		}
		return 1, nil
	})
	ctx := within(t, patience)
	if _, err := store.Append(ctx, "a", eventstore.Any, newEvents(1)); err != nil {
		t.Fatal(err)
	}
	n.kill()
	n.start()
	for store.Connections() == 1 {
		if _, err := store.Head(ctx); err != nil && ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	var appending sync.WaitGroup
	for range writers {
		appending.Go(func() {
			if _, err := store.Append(ctx, "a", eventstore.Any, newEvents(1)); err != nil {
				t.Errorf("after the connection was admitted: %v", err)
			}
		})
	}
	appending.Wait()
	if made := store.Connections(); made != 2 || early.Load() < writers {
		t.Errorf("%d connections were made for %d early appends, want 2", made, early.Load())
	}
}

// The server names another leader, and that leader has another log. Nothing is appended there
// before the connection to it is admitted.
func TestNothingIsAppendedAtALeaderThatWasNotAdmitted(t *testing.T) {
	t.Parallel()
	other := memory.New()
	host, port, err := net.SplitHostPort(serve(t, other, "127.0.0.1:0").at)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	store := open(t, (&fake{append: notLeader(host, number)}).url(t))
	var refused atomic.Bool
	store.AskBeforeAppend(func(context.Context) (uint64, error) {
		if store.Connections() > 1 {
			refused.Store(true)
			return 1, errAnotherLog
		}
		return 1, nil
	})
	if _, err := store.Append(within(t, patience), "a", eventstore.Any, newEvents(1)); !errors.Is(err, errAnotherLog) {
		t.Errorf("an append that another leader would take: %v, want %v", err, errAnotherLog)
	}
	head, err := other.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !refused.Load() || !head.IsStart() {
		t.Errorf("refused: %t; the leader's log ends at %s, want nothing in it", refused.Load(), head)
	}
}
