package stockview_test

import (
	"testing"

	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/projections/query"
	"daybook/projections/stockview"
	"daybook/projections/viewtest"
)

func TestMovementsThatMissAnEventAreAnError(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, stockview.View())
	const units = 5
	for range units {
		viewtest.Fact(b, stock.Stream("MUG", unit.DefaultLocation), eventstore.Metadata{}, stock.Encode, stock.Event(stock.Received{Quantity: 1}))
	}
	b.CaughtUp()
	for revision := range int64(units) {
		for _, oldestFirst := range []bool{false, true} {
			h := stockview.History{Log: viewtest.Losing{Store: b.Log, Revision: revision}}
			list, err := h.Movements(t.Context(), b.Pool, "MUG", unit.DefaultLocation, stockview.MovementFilter{OldestFirst: oldestFirst}, query.Page{})
			if err == nil {
				t.Errorf("the log loses revision %d: %d movements, want an error", revision, len(list.Items))
			}
		}
	}
}
