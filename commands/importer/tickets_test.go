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

func TestTicketsGiveTurnsInOrder(t *testing.T) {
	all := newTickets()
	first := all.take([]unit.SKU{"A", "B"}, false)
	second := all.take([]unit.SKU{"B", "C"}, false)
	third := all.take([]unit.SKU{"D"}, false)
	fourth := all.take([]unit.SKU{"A", "C"}, false)
	none := all.take(nil, false)

	want := func(step string, turns ...*ticket) {
		t.Helper()
		for i, ticket := range []*ticket{first, second, third, fourth, none} {
			should := false
			for _, turn := range turns {
				should = should || turn == ticket
			}
			if hasTurn(ticket) != should {
				t.Errorf("%s: ticket %d has its turn: %v", step, i+1, !should)
			}
		}
	}
	want("at first", first, third, none)
	first.release()
	first.release() // twice is once
	want("the first released", first, second, third, none)
	second.finish()
	second.finish()
	want("the second finished", first, second, third, fourth, none)
	for _, ticket := range []*ticket{first, third, fourth, none} {
		ticket.finish()
	}
	if len(all.queues) != 0 {
		t.Errorf("%d queues are left", len(all.queues))
	}
}

func TestATicketAloneWaitsForThoseBeforeToFinish(t *testing.T) {
	all := newTickets()
	first := all.take([]unit.SKU{"A"}, false)
	second := all.take([]unit.SKU{"A"}, false)
	alone := all.take([]unit.SKU{"A", "B"}, true)
	last := all.take([]unit.SKU{"A"}, false)
	first.release()
	second.release()
	second.finish()
	if hasTurn(alone) {
		t.Error("it has its turn while the first is at work")
	}
	first.finish()
	if !hasTurn(alone) || hasTurn(last) {
		t.Error("its turn has come, and only its")
	}
	late := all.take([]unit.SKU{"B"}, true)
	alone.release()
	if !hasTurn(last) || hasTurn(late) {
		t.Error("the last has its turn; the late one waits for the end")
	}
	alone.finish()
	if !hasTurn(late) {
		t.Error("the late one has its turn")
	}
}

func TestWaitingForATurnEndsWithTheContext(t *testing.T) {
	all := newTickets()
	all.take([]unit.SKU{"A"}, false)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errHalted)
	if err := all.take([]unit.SKU{"A"}, false).wait(ctx); !errors.Is(err, errHalted) {
		t.Errorf("got %v", err)
	}
}
