package verify

import (
	"cmp"
	"maps"
	"slices"

	"daybook/domain/cart"
	"daybook/domain/checkout"
	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// orderAtStock names an order and a stock that has units allocated to it.
type orderAtStock struct {
	order unit.OrderID
	key   stock.Key
}

// checkStockOfOrders compares what orders have reserved or allocated with what stock says, in
// both directions. So it also finds units that stock keeps for an order that does not need them.
func (b *Book) checkStockOfOrders() *Check {
	check := &Check{Name: "stock and orders: each promise has its order, each order its promise"}
	wanted := map[orderAtStock]unit.Quantity{}
	for _, id := range sorted(b.Orders) {
		state := b.Orders[id]
		switch {
		case state.Status == order.StatusPending:
			b.checkPendingOrder(check, id, state)
		case state.Status != order.StatusConfirmed && state.Status != order.StatusCompleted || len(state.Unsettled) > 0:
		default:
			for _, h := range state.Holdings {
				if h.Backed() > 0 {
					wanted[orderAtStock{id, stock.Key{SKU: h.SKU, Location: h.Location}}] = h.Backed()
				}
			}
		}
	}
	for _, key := range b.stockKeys() {
		level := b.Stock[key]
		for _, id := range sorted(level.allocated) {
			// Only an order without unsettled steps is compared, because checkOrders reports the
			// others. Units without an order were allocated by hand to an owner outside.
			if o := b.Orders[id]; o != nil && len(o.Unsettled) == 0 {
				p := orderAtStock{id, key}
				checkAllocation(check, p, level, wanted[p])
				delete(wanted, p)
			}
		}
		for _, id := range sorted(level.reservations) {
			b.checkReservation(check, key, id, level.reservations[id])
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(wanted), func(x, y orderAtStock) int {
		return cmp.Or(cmp.Compare(x.order, y.order), compareKeys(x.key, y.key))
	}) {
		if level := b.Stock[p.key]; level == nil || level.takenByForce[p.order] < wanted[p] {
			check.differ("order %s counts on %d of %s@%s, which is not allocated to it", p.order, wanted[p], p.key.SKU, p.key.Location)
		}
	}
	return check
}

// checkAllocation compares what stock has allocated to an order with what the order expects. Two
// deviations are no fault. More may be allocated, by hand. And less may be allocated, because
// units were taken by force; the order learns of it when its allocation is retried.
func checkAllocation(check *Check, p orderAtStock, level *StockLevel, wanted unit.Quantity) {
	allocated := level.allocated[p.order]
	check.Examined++
	if least, most := allocated-level.allocatedDirectly[p.order], allocated+level.takenByForce[p.order]; wanted < least || wanted > most {
		check.differ("%s@%s allocated to order %s: %d, want %d", p.key.SKU, p.key.Location, p.order, allocated, wanted)
	}
}

// checkPendingOrder checks that the reservations of a pending order exist or existed. One that
// expired or was released by hand is no fault. The order finds it missing when it is confirmed.
func (b *Book) checkPendingOrder(check *Check, id unit.OrderID, state *Order) {
	for _, h := range state.Holdings {
		check.Examined++
		var reserved reservation
		var ended stock.End
		if level := b.Stock[stock.Key{SKU: h.SKU, Location: h.Location}]; level != nil {
			reserved, ended = level.reservations[h.ReservationID], level.endedReservations[h.ReservationID]
		}
		switch {
		case h.Released || ended == stock.EndExpired || ended == stock.EndReleased:
		case reserved.quantity != h.Quantity || reserved.order != id:
			check.differ("order %s is pending with %d of %s@%s reserved, but reservation %s has %d (%s)",
				id, h.Quantity, h.SKU, h.Location, h.ReservationID, reserved.quantity, cmp.Or(string(ended), "no end"))
		}
	}
}

// checkReservation checks that an open reservation of a checkout belongs to a pending order, or
// to a checkout in progress.
func (b *Book) checkReservation(check *Check, key stock.Key, id unit.ReservationID, h reservation) {
	check.Examined++
	state := b.Orders[h.order]
	by := b.checkoutOf(key, id, h)
	if !h.expiresAt.After(b.Now) || by == nil && id != stock.ReservationIDFor(h.order, key.SKU, key.Location) {
		return // it is over, or it was made by hand
	}
	placed := state != nil && (by == nil || state.CartID == by.cart)
	switch {
	case !placed && by != nil && by.refused != nil && !b.underWay(*by.refused): // else its release may still be in progress
		check.differ("%s@%s has %d reserved for order %s, whose checkout was refused", key.SKU, key.Location, h.quantity, h.order)
	case !placed || state.Status == order.StatusPending || len(state.Unsettled) > 0: // checkOrders reports an order with unsettled steps
	default:
		check.differ("%s@%s has %d reserved for order %s, which is %s", key.SKU, key.Location, h.quantity, h.order, state.Status)
	}
}

// checkoutOf is the checkout that made a reservation, or nil. In the log of an older version, two
// checkouts may have used one order id. Then it is the one that placed the order.
func (b *Book) checkoutOf(key stock.Key, id unit.ReservationID, h reservation) (by *checkoutAttempt) {
	for _, a := range b.checkouts[h.order] {
		started := cart.CheckoutStarted{OrderID: h.order, CartID: a.cart, OrderIDFrom: a.from}
		if id != checkout.ReservationID(started, key.SKU, key.Location) {
			continue
		}
		if o := b.Orders[h.order]; by == nil || o != nil && o.CartID == a.cart {
			by = a
		}
	}
	return by
}
