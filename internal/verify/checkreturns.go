package verify

import (
	"maps"
	"slices"

	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// returnAtStock names a return and a stock that took back units of it.
type returnAtStock struct {
	id  unit.ReturnID
	key stock.Key
}

// checkReturns checks every return. Only requested units may be received, and no more may be
// refunded than was received. Stock must have taken back exactly the units of the receipts.
func (b *Book) checkReturns() *Check {
	check := &Check{Name: "returns: received, refunded and taken back agree"}
	restocked := map[unit.ReturnID]map[stock.Key]unit.Quantity{}
	for back, quantity := range b.restocked {
		if restocked[back.id] == nil {
			restocked[back.id] = map[stock.Key]unit.Quantity{}
		}
		restocked[back.id][back.key] = quantity
	}
	for _, id := range sorted(b.Returns) {
		state := b.Returns[id]
		check.Examined++
		for i, l := range state.Lines {
			if l.Ended > l.Quantity {
				check.differ("return %s, line %d: %d of %d received", id, i+1, l.Ended, l.Quantity)
			}
		}
		for _, refund := range state.overpaid {
			check.differ("%s", refund)
		}
		for _, receipt := range state.Receipts {
			for _, l := range receipt.Lines {
				if l.Line < 1 || l.Line > len(state.Lines) {
					check.differ("return %s: receipt %d names line %d, which the return does not have", id, receipt.Receipt, l.Line)
				}
			}
		}
		if len(state.Unsettled) > 0 {
			if !b.underWay(state.last) {
				for _, open := range state.Unsettled {
					check.differ("return %s: the stock of receipt %d is not settled", id, open.Receipt)
				}
			}
			continue
		}
		checkRestocked(check, id, restockedByReceipts(state.State), restocked[id])
	}
	return check
}

func checkRestocked(check *Check, id unit.ReturnID, received, takenBack map[stock.Key]unit.Quantity) {
	keys := maps.Clone(received)
	maps.Copy(keys, takenBack)
	for _, key := range slices.SortedFunc(maps.Keys(keys), compareKeys) {
		if takenBack[key] != received[key] {
			check.differ("return %s: %s@%s took back %d, %d were received", id, key.SKU, key.Location, takenBack[key], received[key])
		}
	}
}

// restockedByReceipts is how many units the receipts of a return add to what is on hand, whether
// they can be sold or not.
func restockedByReceipts(state returns.State) map[stock.Key]unit.Quantity {
	sum := map[stock.Key]unit.Quantity{}
	for _, receipt := range state.Receipts {
		for _, l := range receipt.Lines {
			if l.Line < 1 || l.Line > len(state.Lines) {
				continue
			}
			line := state.Lines[l.Line-1]
			if line.Kind == unit.Stocked && (l.Disposition == returns.Restocked || l.Disposition == returns.Damaged) {
				sum[stock.Key{SKU: line.SKU, Location: l.Location}] += l.Quantity
			}
		}
	}
	return sum
}
