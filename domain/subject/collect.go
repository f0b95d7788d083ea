package subject

import (
	"maps"
	"slices"

	"daybook/domain/unit"
)

// Gone is what several erasures name. A reader of the log that has many of them looks for each
// cart and order once, and not once for each erasure.
type Gone struct {
	customers map[unit.CustomerID]bool
	carts     map[unit.CartID]bool
	orders    map[unit.OrderID]bool
}

// Collect returns what the erasures name.
func Collect(erasures []Erased) Gone {
	all := Gone{map[unit.CustomerID]bool{}, map[unit.CartID]bool{}, map[unit.OrderID]bool{}}
	for _, e := range erasures {
		if e.CustomerID != "" {
			all.customers[e.CustomerID] = true
		} else if e.CartID != "" {
			all.carts[e.CartID] = true
		}
		for _, id := range e.Customers {
			all.customers[id] = true
		}
		for _, id := range e.Carts {
			all.carts[id] = true
		}
		for _, id := range e.Orders {
			all.orders[id] = true
		}
	}
	return all
}

// Customers are the erased customers and the accounts that were merged into theirs, sorted.
func (g Gone) Customers() []unit.CustomerID { return slices.Sorted(maps.Keys(g.customers)) }

// Carts are the erased guests, sorted.
func (g Gone) Carts() []unit.CartID { return slices.Sorted(maps.Keys(g.carts)) }

// Orders are the orders of erased guests, sorted.
func (g Gone) Orders() []unit.OrderID { return slices.Sorted(maps.Keys(g.orders)) }

// Names tells whether a customer is one of the erased ones.
func (g Gone) Names(id unit.CustomerID) bool { return g.customers[id] }

// OwnsCart tells whether a cart belongs to an erased subject. customer is the cart's customer.
func (g Gone) OwnsCart(id unit.CartID, customer unit.CustomerID) bool {
	return g.customers[customer] || customer == "" && g.carts[id]
}

// OwnsOrder tells whether an order belongs to an erased subject. customer is the order's customer.
func (g Gone) OwnsOrder(id unit.OrderID, customer unit.CustomerID) bool {
	return g.customers[customer] || g.orders[id]
}
