package stock_test

import (
	"testing"

	"daybook/domain/stock"
)

func TestAFactThatNoDecisionLeadsToIsStillFolded(t *testing.T) {
	t.Parallel()
	key := stock.Key{SKU: "A", Location: "main"}
	for name, event := range map[string]stock.Event{
		"shipped":     stock.Shipped{Key: key, OrderID: "o", ShipmentID: "s", Quantity: 2},
		"deallocated": stock.Deallocated{Key: key, OrderID: "o", Quantity: 2},
		"released":    stock.ReservationReleased{Key: key, ReservationID: "r", OrderID: "o", Quantity: 2},
		"committed":   stock.ReservationCommitted{Key: key, ReservationID: "r", OrderID: "o", Quantity: 2},
	} {
		state := stock.Evolve(stock.State{}, event)
		if want := name == "shipped"; (state.OnHand() == -2) != want {
			t.Errorf("%s: %d on hand", name, state.OnHand())
		}
	}
}
