package importer

import (
	"testing"

	"daybook/domain/stock"
	"daybook/domain/unit"
)

func TestAnOpeningStockOfAnySizeIsTakenInByReceiptsThatCanHoldIt(t *testing.T) {
	for _, want := range []unit.Quantity{1, unit.MaxQuantity, unit.MaxQuantity + 1, 3*unit.MaxQuantity + 7, unit.MaxOnHand} {
		var state stock.State
		for _, command := range openingReceipts(stock.At{}, want) {
			events, err := stock.Decide(command, state)
			if err != nil {
				t.Fatalf("%d units: %v", want, err)
			}
			for _, event := range events {
				state = stock.Evolve(state, event)
			}
		}
		if got := state.OnHand(); got != want {
			t.Errorf("%d units are on hand, want %d", got, want)
		}
	}
}
