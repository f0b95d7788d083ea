package verify

import (
	"github.com/shopspring/decimal"

	"daybook/domain/unit"
)

// checkOrders checks every order by itself. The open units are
// reserved or allocated, and no process has stopped before its end.
func (b *Book) checkOrders() *Check {
	check := &Check{Name: "orders: lines, holdings and totals add up; nothing is left undone"}
	b.checkHolds(check)
	for _, id := range sorted(b.Orders) {
		state := b.Orders[id]
		check.Examined++
		wanted := map[unit.SKU]unit.Quantity{}
		for _, l := range state.Lines {
			if l.Open() < 0 || l.Delivered > l.Shipped {
				check.differ("order %s, line %d: %d of %d canceled, %d shipped, %d delivered", id, l.Number, l.Canceled, l.Quantity, l.Shipped, l.Delivered)
			}
			if l.Kind == unit.Stocked {
				wanted[l.SKU] += l.Open()
			}
		}
		for _, h := range state.Holdings {
			wanted[h.SKU] -= h.Remaining()
		}
		for _, sku := range sorted(wanted) {
			if wanted[sku] != 0 {
				check.differ("order %s, %s: %d more units are open than are reserved or allocated", id, sku, wanted[sku])
			}
		}
		if b.underWay(state.last) {
			continue
		}
		for _, step := range state.Unsettled {
			check.differ("order %s: the stock of step %s %s is not settled", id, step.Step, step.Ref)
		}
	}
	return check
}

// times is the exact worth of q units.
func times(price unit.Money, q unit.Quantity) decimal.Decimal {
	return price.Amount.Mul(decimal.NewFromInt(int64(q)))
}
