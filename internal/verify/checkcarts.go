package verify

import "daybook/domain/cart"

// checkCarts compares the checkouts of carts with the orders that they placed.
func (b *Book) checkCarts() *Check {
	check := &Check{Name: "carts and orders: each checkout that succeeded has its order"}
	for _, id := range sorted(b.Carts) {
		state := b.Carts[id]
		check.Examined++
		o := b.Orders[state.OrderID]
		switch {
		case state.Phase == cart.Completed && o != nil && o.CartID != id:
			check.differ("cart %s is checked out as order %s, which belongs to cart %s", id, state.OrderID, o.CartID)
		case state.Phase == cart.Completed && o != nil && state.quoteWithOrder && o.Quote == nil:
			check.differ("cart %s: its checkout says that order %s keeps the quote, and the order has none", id, state.OrderID)
		case b.underWay(state.last):
		case state.Phase == cart.Completed && o == nil:
			check.differ("cart %s is checked out, but its order %s was not placed", id, state.OrderID)
		case state.Phase == cart.Completing:
			check.differ("cart %s: checkout of order %s has not ended", id, state.OrderID)
		}
	}
	for _, id := range sorted(b.Orders) {
		state := b.Orders[id]
		if by, claimed := b.claimed[id]; claimed && by != state.CartID {
			check.differ("order %s belongs to cart %s, but cart %s claimed its id", id, state.CartID, by)
		}
		if c := b.Carts[state.CartID]; state.CartID != "" && (c == nil || c.OrderID != id) {
			check.differ("order %s belongs to cart %s, which was not checked out for it", id, state.CartID)
		} else if c != nil && state.TakenOver && c.CustomerID != state.CustomerID && !b.underWay(state.last) {
			check.differ("order %s was taken over, but its cart %s has another customer", id, state.CartID)
		}
	}
	return check
}
