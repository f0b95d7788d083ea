package verify

import (
	"cmp"
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/checkout"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// checkOrders checks every order by itself: its lines add up, and its processes
// have ended.
func (b *Book) checkOrders() *Check {
	check := &Check{Name: "orders: lines, holdings and totals add up; nothing is left undone"}
	for _, id := range sorted(b.Orders) {
		state := b.Orders[id]
		check.Examined++
		total := decimal.Zero
		wanted := map[unit.SKU]unit.Quantity{}
		for _, l := range state.Lines {
			total = total.Add(times(l.Price, l.Quantity-l.Canceled))
			if l.Open() < 0 || l.Delivered > l.Shipped {
				check.differ("order %s, line %d: %d of %d canceled, %d shipped, %d delivered", id, l.Number, l.Canceled, l.Quantity, l.Shipped, l.Delivered)
			}
			if l.Kind == unit.Stocked {
				wanted[l.SKU] += l.Open()
			}
		}
		if !total.Equal(state.Total.Amount) {
			check.differ("order %s: total %s, its lines make %s", id, state.Total.Amount, total)
		}
		for _, h := range state.Holdings {
			wanted[h.SKU] -= h.Remaining()
		}
		for _, sku := range sorted(wanted) {
			if wanted[sku] != 0 {
				check.differ("order %s, %s: %d units open beyond what is held", id, sku, wanted[sku])
			}
		}
		if b.underWay(state.end) {
			continue
		}
		for _, step := range state.Unsettled {
			check.differ("order %s: the stock of step %s %s is not settled", id, step.Step, step.Ref)
		}
	}
	return check
}

// times is the exact worth of so many units.
func times(price unit.Money, q unit.Quantity) decimal.Decimal {
	return price.Amount.Mul(decimal.NewFromInt(int64(q)))
}

type promise struct {
	order unit.OrderID
	key   stock.Key
}

// checkHolds compares what orders believe to hold with what stock has promised,
// both ways, so that nothing is held for nobody.
func (b *Book) checkHolds() *Check {
	check := &Check{Name: "stock and orders: each promise has its order, each order its promise"}
	wanted := map[promise]unit.Quantity{}
	for _, id := range sorted(b.Orders) {
		state := b.Orders[id]
		switch {
		case state.Status == order.StatusPending:
			b.checkPending(check, id, state)
		case state.Status != order.StatusConfirmed && state.Status != order.StatusCompleted || len(state.Unsettled) > 0:
		default:
			for _, h := range state.Holdings {
				if h.Backed() > 0 {
					wanted[promise{id, stock.Key{SKU: h.SKU, Location: h.Location}}] = h.Backed()
				}
			}
		}
	}
	for _, key := range b.shelves() {
		shelf := b.Stock[key]
		for _, id := range sorted(shelf.allocated) {
			if o := b.Orders[id]; o != nil && len(o.Unsettled) == 0 { // else by hand, for something outside; or reported there
				p := promise{id, key}
				checkPromise(check, p, shelf, wanted[p])
				delete(wanted, p)
			}
		}
		for _, id := range sorted(shelf.holds) {
			b.checkHold(check, key, id, shelf.holds[id])
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(wanted), func(x, y promise) int {
		return cmp.Or(cmp.Compare(x.order, y.order), byKey(x.key, y.key))
	}) {
		if shelf := b.Stock[p.key]; shelf == nil || shelf.taken[p.order] < wanted[p] {
			check.differ("order %s counts on %d of %s@%s, which is not allocated to it", p.order, wanted[p], p.key.SKU, p.key.Location)
		}
	}
	return check
}

// checkPromise compares what is allocated to an order with what the order counts
// on. Units may have been allocated to it by hand beside, and its own may have been
// taken by force, which the order learns when its allocation is retried.
func checkPromise(check *Check, p promise, shelf *StockLevel, wanted unit.Quantity) {
	allocated := shelf.allocated[p.order]
	check.Examined++
	if least, most := allocated-shelf.byHand[p.order], allocated+shelf.taken[p.order]; wanted < least || wanted > most {
		check.differ("%s@%s allocated to order %s: %d, want %d", p.key.SKU, p.key.Location, p.order, allocated, wanted)
	}
}

// checkPending wants the reservations of a pending order to be there, or to have
// been. One that came to its deadline, or was released by hand, is found missing
// when the order is confirmed.
func (b *Book) checkPending(check *Check, id unit.OrderID, state *Order) {
	for _, h := range state.Holdings {
		check.Examined++
		var held hold
		var ended stock.End
		if shelf := b.Stock[stock.Key{SKU: h.SKU, Location: h.Location}]; shelf != nil {
			held, ended = shelf.holds[h.ReservationID], shelf.ended[h.ReservationID]
		}
		switch {
		case h.Released || ended == stock.EndExpired || ended == stock.EndReleased:
		case held.quantity != h.Quantity || held.order != id:
			check.differ("order %s is pending on %d of %s@%s, reservation %s holds %d (%s)",
				id, h.Quantity, h.SKU, h.Location, h.ReservationID, held.quantity, cmp.Or(string(ended), "no end"))
		}
	}
}

// checkHold wants a live reservation made by a checkout to have a pending order,
// or a checkout under way.
func (b *Book) checkHold(check *Check, key stock.Key, id unit.ReservationID, h hold) {
	check.Examined++
	state := b.Orders[h.order]
	by := b.attemptOf(key, id, h)
	if !h.expiresAt.After(b.Now) || by == nil && id != stock.ReservationIDFor(h.order, key.SKU, key.Location) {
		return // over, or made by hand
	}
	placed := state != nil && (by == nil || state.CartID == by.cart)
	switch {
	case !placed && by != nil && by.refused != nil && !b.underWay(*by.refused): // else it is being released
		check.differ("%s@%s holds %d for order %s, whose checkout was refused", key.SKU, key.Location, h.quantity, h.order)
	case !placed || state.Status == order.StatusPending || len(state.Unsettled) > 0: // the last is reported there
	default:
		check.differ("%s@%s holds %d for order %s, which is %s", key.SKU, key.Location, h.quantity, h.order, state.Status)
	}
}

// attemptOf is the checkout that made a reservation, or nil. Two of older programs
// can have made it under one order id; then it is the one that became the order.
func (b *Book) attemptOf(key stock.Key, id unit.ReservationID, h hold) (by *attempt) {
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

// checkCarts compares checkouts with orders.
func (b *Book) checkCarts() *Check {
	check := &Check{Name: "carts and orders: each checkout that succeeded has its order"}
	for _, id := range sorted(b.Carts) {
		state := b.Carts[id]
		check.Examined++
		o := b.Orders[state.OrderID]
		switch {
		case state.Phase == cart.Completed && o != nil && o.CartID != id:
			check.differ("cart %s is checked out as order %s, which is of cart %s", id, state.OrderID, o.CartID)
		case b.underWay(state.end):
		case state.Phase == cart.Completed && o == nil:
			check.differ("cart %s is checked out, order %s was not placed", id, state.OrderID)
		case state.Phase == cart.Completing:
			check.differ("cart %s: checkout of order %s has not ended", id, state.OrderID)
		}
	}
	for _, id := range sorted(b.Orders) {
		state := b.Orders[id]
		if by, claimed := b.claimed[id]; claimed && by != state.CartID {
			check.differ("order %s is of cart %s, its id was claimed by cart %s", id, state.CartID, by)
		}
		if c := b.Carts[state.CartID]; state.CartID != "" && (c == nil || c.OrderID != id) {
			check.differ("order %s is of cart %s, which was not checked out for it", id, state.CartID)
		}
	}
	return check
}

type returned struct {
	id  unit.ReturnID
	key stock.Key
}

// checkReturns checks every return: what was received was requested, what was
// refunded was received, and what stock took back is what the receipts say.
func (b *Book) checkReturns() *Check {
	check := &Check{Name: "returns: received, refunded and taken back agree"}
	took := map[unit.ReturnID]map[stock.Key]unit.Quantity{}
	for back, quantity := range b.tookBack {
		if took[back.id] == nil {
			took[back.id] = map[stock.Key]unit.Quantity{}
		}
		took[back.id][back.key] = quantity
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
					check.differ("return %s: receipt %d is of line %d, which is not there", id, receipt.Receipt, l.Line)
				}
			}
		}
		if len(state.Unsettled) > 0 {
			if !b.underWay(state.end) {
				for _, open := range state.Unsettled {
					check.differ("return %s: the stock of receipt %d is not settled", id, open.Receipt)
				}
			}
			continue
		}
		checkTakenBack(check, id, restocked(state.State), took[id])
	}
	return check
}

func checkTakenBack(check *Check, id unit.ReturnID, want, got map[stock.Key]unit.Quantity) {
	keys := maps.Clone(want)
	maps.Copy(keys, got)
	for _, key := range slices.SortedFunc(maps.Keys(keys), byKey) {
		if got[key] != want[key] {
			check.differ("return %s: %s@%s took back %d, %d were received", id, key.SKU, key.Location, got[key], want[key])
		}
	}
}

// restocked is what a return's receipts put back on hand, for sale or not.
func restocked(state returns.State) map[stock.Key]unit.Quantity {
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
