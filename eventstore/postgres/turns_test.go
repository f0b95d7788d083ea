package postgres_test

import (
	"context"
	"testing"

	"daybook/eventstore"
	"daybook/eventstore/postgres"
)

// turn is what TakeTurn returned.
type turn struct {
	head     eventstore.Position
	giveBack func()
	err      error
}

// turnLocks selects the locks of this database's turns, because tests share a server.
const turnLocks = `locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

func take(t *testing.T, store *postgres.Store) <-chan turn {
	t.Helper()
	taken := make(chan turn, 1)
	go func() {
		var got turn
		got.head, got.giveBack, got.err = store.TakeTurn(t.Context())
		taken <- got
	}()
	return taken
}

// takeAtLast asks for the turn again after each refusal. A node is refused if it waits longer than
// turnMax, and on a busy machine anything can take that long.
func takeAtLast(t *testing.T, store *postgres.Store) <-chan turn {
	t.Helper()
	taken := make(chan turn, 1)
	go func() {
		for {
			var got turn
			got.head, got.giveBack, got.err = store.TakeTurn(t.Context())
			if got.err == nil || t.Context().Err() != nil {
				taken <- got
				return
			}
		}
	}()
	return taken
}

// A node has its turn only when the other one has given it back, and then sees what that one has
// recorded.
func TestOneNodeAtATimeHasTheTurn(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	here, there := open(t, pool), open(t, anotherPool(t, pool))
	first := <-take(t, here)
	if first.err != nil {
		t.Fatal(first.err)
	}
	next := takeAtLast(t, there)
	waitFor(t, "the other node waits", func() bool {
		var waiting bool
		err := pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND `+turnLocks+`)`).Scan(&waiting)
		return err == nil && waiting
	})
	result, err := here.Append(t.Context(), "a", eventstore.NoStream, newEvents(3))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case early := <-next:
		t.Fatalf("the other node has the turn, too: %+v", early)
	default:
	}
	first.giveBack()
	second := <-next
	if second.err != nil || second.head != result.Position {
		t.Fatalf("the next turn begins at %s (error %v), want %s", second.head, second.err, result.Position)
	}
	second.giveBack()
	if again := <-takeAtLast(t, here); again.err != nil {
		t.Error(again.err)
	} else {
		again.giveBack()
	}
}

// A node that stands still while it has the turn holds up the others only for a moment.
func TestATurnThatIsKeptIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	here, there := open(t, pool), open(t, anotherPool(t, pool))
	kept := <-take(t, here)
	if kept.err != nil {
		t.Fatal(kept.err)
	}
	if refused := <-take(t, there); refused.err == nil {
		t.Fatal("both nodes have the turn")
	}
	kept.giveBack()
	waitFor(t, "the turn is free", func() bool {
		free := <-take(t, there)
		if free.err == nil {
			free.giveBack()
		}
		return free.err == nil
	})
}

// The session of a node that is gone ends, and the turn is free. The node itself, if it was only
// cut off, can take turns again.
func TestATurnEndsWithItsSession(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	here, there := open(t, pool), open(t, anotherPool(t, pool))
	lost := <-take(t, here)
	if lost.err != nil {
		t.Fatal(lost.err)
	}
	if _, err := pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE granted AND `+turnLocks); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the turn is free", func() bool {
		next := <-take(t, there)
		if next.err == nil {
			next.giveBack()
		}
		return next.err == nil
	})
	lost.giveBack()
	waitFor(t, "the node takes turns again", func() bool {
		again := <-take(t, here)
		if again.err == nil {
			again.giveBack()
		}
		return again.err == nil
	})
}

// A store can be closed by one goroutine while another one has the turn.
func TestAClosedStoreTakesNoTurns(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	here, there := open(t, pool), open(t, anotherPool(t, pool))
	taken := <-take(t, here)
	if taken.err != nil {
		t.Fatal(taken.err)
	}
	if err := here.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	taken.giveBack()
	waitFor(t, "the turn is free", func() bool {
		next := <-take(t, there)
		if next.err == nil {
			next.giveBack()
		}
		return next.err == nil
	})
	if late := <-take(t, here); late.err == nil {
		t.Error("a closed store has the turn")
	}
}
