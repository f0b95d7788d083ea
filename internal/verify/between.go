package verify

import (
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// checkOrders checks every order by itself: its lines add up, and its processes
// have ended.
func (b *Book) checkOrders() *Check {
	check := &Check{Name: "orders: lines, holdings and totals add up; nothing is left undone"}
	for id, state := range b.Orders {
		check.Examined++
		total := unit.Zero(state.Currency())
		wanted := map[unit.SKU]unit.Quantity{}
		for _, l := range state.Lines {
			total = total.Plus(l.Price.Times(l.Quantity - l.Canceled))
			if l.Open() < 0 || l.Delivered > l.Shipped {
				check.differ("order %s, line %d: %d of %d canceled, %d shipped, %d delivered", id, l.Number, l.Canceled, l.Quantity, l.Shipped, l.Delivered)
			}
			if l.Kind == unit.Stocked {
				wanted[l.SKU] += l.Open()
			}
		}
		if !total.Equal(state.Total) {
			check.differ("order %s: total %s, its lines make %s", id, state.Total, total)
		}
		for _, h := range state.Holdings {
			wanted[h.SKU] -= h.Remaining()
		}
		for sku, rest := range wanted {
			if rest != 0 {
				check.differ("order %s, %s: %d units open beyond what is held", id, sku, rest)
			}
		}
		for _, step := range state.Unsettled {
			check.differ("order %s: the stock of step %s %s is not settled", id, step.Step, step.Ref)
		}
	}
	return check
}

// checkHolds compares what orders believe to hold with what stock has promised,
// both ways, so that nothing is held for nobody.
func (b *Book) checkHolds() *Check {
	check := &Check{Name: "stock and orders: each promise has its order, each order its promise"}
	type promise struct {
		order unit.OrderID
		key   stock.Key
	}
	wanted := map[promise]unit.Quantity{}
	for id, state := range b.Orders {
		if state.Status != order.StatusConfirmed && state.Status != order.StatusCompleted || len(state.Unsettled) > 0 {
			continue
		}
		for _, h := range state.Holdings {
			if !h.Missing && h.Remaining() > 0 {
				wanted[promise{id, stock.Key{SKU: h.SKU, Location: h.Location}}] = h.Remaining()
			}
		}
	}
	for key, shelf := range b.Stock {
		for id, quantity := range shelf.allocated {
			if _, known := b.Orders[id]; !known {
				continue // allocated by hand, for something outside
			}
			if len(b.Orders[id].Unsettled) == 0 {
				expect(check, quantity, wanted[promise{id, key}], "%s@%s allocated to order %s", key.SKU, key.Location, id)
				delete(wanted, promise{id, key})
			}
		}
		for id, h := range shelf.holds {
			b.checkHold(check, key, id, h)
		}
	}
	for p, quantity := range wanted {
		check.differ("order %s counts on %d of %s@%s, which is not allocated to it", p.order, quantity, p.key.SKU, p.key.Location)
	}
	return check
}

// checkHold wants a live reservation made by a checkout to have a pending order,
// or a checkout under way.
func (b *Book) checkHold(check *Check, key stock.Key, id unit.ReservationID, h hold) {
	check.Examined++
	if !h.expiresAt.After(b.Now) || id != stock.ReservationIDFor(h.order, key.SKU, key.Location) {
		return // over, or made by hand
	}
	state, placed := b.Orders[h.order]
	switch {
	case placed && state.Status == order.StatusPending:
	case placed && len(state.Unsettled) > 0: // reported there
	case placed:
		check.differ("%s@%s holds %d for order %s, which is %s", key.SKU, key.Location, h.quantity, h.order, state.Status)
	case b.refused[h.order]:
		check.differ("%s@%s holds %d for order %s, whose checkout was refused", key.SKU, key.Location, h.quantity, h.order)
	}
}

// checkCarts compares checkouts with orders.
func (b *Book) checkCarts() *Check {
	check := &Check{Name: "carts and orders: each checkout that succeeded has its order"}
	for id, state := range b.Carts {
		check.Examined++
		switch state.Phase {
		case cart.NotOpened, cart.IsOpen, cart.IsExpired, cart.IsAbandoned:
		case cart.Completed:
			if o, placed := b.Orders[state.OrderID]; !placed {
				check.differ("cart %s is checked out, order %s was not placed", id, state.OrderID)
			} else if o.CartID != id {
				check.differ("cart %s is checked out as order %s, which is of cart %s", id, state.OrderID, o.CartID)
			}
		case cart.Completing:
			check.differ("cart %s: checkout of order %s has not ended", id, state.OrderID)
		}
	}
	for id, state := range b.Orders {
		if c, known := b.Carts[state.CartID]; state.CartID != "" && (!known || c.OrderID != id) {
			check.differ("order %s is of cart %s, which was not checked out for it", id, state.CartID)
		}
	}
	return check
}

// checkReturns checks every return: what was received was requested, what was
// refunded was received, and what stock took back is what the receipts say.
func (b *Book) checkReturns() *Check {
	check := &Check{Name: "returns: received, refunded and taken back agree"}
	for id, state := range b.Returns {
		check.Examined++
		for i, l := range state.Lines {
			if l.Ended > l.Quantity {
				check.differ("return %s, line %d: %d of %d received", id, i+1, l.Ended, l.Quantity)
			}
		}
		for _, open := range state.Unsettled {
			check.differ("return %s: the stock of receipt %d is not settled", id, open.Receipt)
		}
		if len(state.Unsettled) > 0 {
			continue
		}
		for key, want := range restocked(state) {
			if got := b.tookBack[returned{id, key}]; got != want {
				check.differ("return %s: %s@%s took back %d, %d were received", id, key.SKU, key.Location, got, want)
			}
		}
	}
	return check
}

type returned struct {
	id  unit.ReturnID
	key stock.Key
}

// restocked is what a return's receipts put back on hand, for sale or not.
func restocked(state returns.State) map[stock.Key]unit.Quantity {
	sum := map[stock.Key]unit.Quantity{}
	for _, receipt := range state.Receipts {
		for _, l := range receipt.Lines {
			line := state.Lines[l.Line-1]
			if line.Kind == unit.Stocked && (l.Disposition == returns.Restocked || l.Disposition == returns.Damaged) {
				sum[stock.Key{SKU: line.SKU, Location: l.Location}] += l.Quantity
			}
		}
	}
	return sum
}
