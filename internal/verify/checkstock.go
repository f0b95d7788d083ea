package verify

import (
	"cmp"
	"maps"
	"slices"

	"daybook/domain/stock"
)

// stockKeys returns the keys of all stock levels in order.
func (b *Book) stockKeys() []stock.Key { return slices.SortedFunc(maps.Keys(b.Stock), compareKeys) }

func compareKeys(x, y stock.Key) int {
	return cmp.Or(cmp.Compare(x.SKU, y.SKU), cmp.Compare(x.Location, y.Location))
}

// checkStock compares the quantities of the domain's folds with the sums that verify makes. The
// domain decides commands on these folds, so a wrong quantity would lead to wrong decisions.
func (b *Book) checkStock() *Check {
	check := &Check{Name: "stock: every quantity is the sum of its events"}
	for _, key := range b.stockKeys() {
		level := b.Stock[key]
		name := string(key.SKU) + "@" + string(key.Location)
		expect(check, level.State.OnHand(), level.onHand, "%s on hand", name)
		expect(check, level.State.Reserved(b.Now), level.reservedAt(b.Now), "%s reserved", name)
		expect(check, level.State.Allocated(), level.allocatedTotal, "%s allocated", name)
		expect(check, level.State.UnavailableTotal(), level.unavailableTotal(), "%s unavailable", name)
		expect(check, level.State.Sellable(b.Now), level.sellable(b.Now), "%s sellable", name)
	}
	return check
}
