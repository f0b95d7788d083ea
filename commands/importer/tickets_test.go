package importer

import (
	"context"
	"errors"
	"testing"

	"daybook/domain/unit"
)

func hasTurn(t *ticket) bool {
	select {
	case <-t.turn:
		return true
	default:
		return false
	}
}

// expectTurns checks which of all tickets have their turn.
func expectTurns(t *testing.T, when string, all []*ticket, turns ...int) {
	t.Helper()
	want := map[int]bool{}
	for _, n := range turns {
		want[n] = true
	}
	for n, ticket := range all {
		if hasTurn(ticket) != want[n] {
			t.Errorf("%s: ticket %d has its turn: %v", when, n, hasTurn(ticket))
		}
	}
}

type changes = map[unit.SKU]unit.Quantity

func TestWithNothingLeftTurnsAreInOrder(t *testing.T) {
	line := newTickets(nil, true)
	all := []*ticket{
		line.take(changes{"A": -1, "B": -1}, false),
		line.take(changes{"B": -1, "C": -1}, false),
		line.take(changes{"D": 5}, false),
		line.take(changes{"A": -1, "C": -1}, false),
		line.take(nil, false),
	}
	expectTurns(t, "at first", all, 0, 2, 4)
	all[0].release(tookNothing)
	all[0].releaseAll() // only the first time counts
	expectTurns(t, "the first was refused", all, 0, 1, 2, 4)
	all[1].finish()
	all[1].finish()
	expectTurns(t, "the second is finished", all, 0, 1, 2, 3, 4)
}

func TestAnInvoiceThatCannotBeShortNeedNotWait(t *testing.T) {
	line := newTickets(changes{"A": 10}, true)
	all := []*ticket{
		line.take(changes{"A": -4}, false),
		line.take(changes{"A": -6}, false),
		line.take(changes{"A": -1}, false), // the first three want 11 units together, and 10 are left
		line.take(changes{"A": 3}, false),  // brings 3 units, which the three before it must not get
	}
	expectTurns(t, "10 left", all, 0, 1)
	all[1].releaseAll()
	expectTurns(t, "4 left, 5 wanted", all, 0, 1)
	all[0].release(tookNothing)
	expectTurns(t, "4 left, 1 wanted", all, 0, 1, 2, 3)
	all[3].releaseAll()
	if got := line.queues["A"].left; got != 7 {
		t.Errorf("%d left, want 7", got)
	}
	all[2].releaseAll()
	last := line.take(changes{"A": -6}, false)
	over := line.take(changes{"A": -1}, false)
	expectTurns(t, "6 left", []*ticket{last, over}, 0)
}

func TestGoodsThatMayHaveComeBackAlreadyDoNotCount(t *testing.T) {
	line := newTickets(changes{"A": 1}, false)
	line.take(changes{"A": 5}, false).releaseAll()
	all := []*ticket{line.take(changes{"A": -1}, false), line.take(changes{"A": -1}, false)}
	expectTurns(t, "1 left for certain", all, 0)
}

func TestATicketAloneWaitsForThoseBeforeToFinish(t *testing.T) {
	line := newTickets(nil, true)
	all := []*ticket{
		line.take(changes{"A": -1}, false),
		line.take(changes{"A": -1}, false),
		line.take(changes{"A": -1, "B": -1}, true),
		line.take(changes{"A": -1}, false),
		line.take(changes{"B": -1}, true),
	}
	all[0].releaseAll()
	all[1].releaseAll()
	all[1].finish()
	expectTurns(t, "the first is at work", all, 0, 1)
	all[0].finish()
	expectTurns(t, "all before are finished", all, 0, 1, 2)
	all[2].releaseAll()
	expectTurns(t, "it is released", all, 0, 1, 2, 3)
	all[2].finish()
	expectTurns(t, "it is finished", all, 0, 1, 2, 3, 4)
	covered := newTickets(changes{"A": 2}, true)
	before := covered.take(changes{"A": -1}, false)
	before.releaseAll()
	if !hasTurn(covered.take(changes{"A": -1}, true)) {
		t.Error("it waits although it cannot be short")
	}
}

func TestWaitingForATurnEndsWithTheContext(t *testing.T) {
	line := newTickets(nil, true)
	line.take(changes{"A": -1}, false)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errHalted)
	if err := line.take(changes{"A": -1}, false).wait(ctx); !errors.Is(err, errHalted) {
		t.Errorf("got %v", err)
	}
}
