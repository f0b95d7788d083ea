package unit

// Owner is who owns a cart, an order or a return: a customer, or the holder of a cart that has no
// customer. Examples: "customer:17850", "cart:c-1".
type Owner string

// Owner returns the customer as an owner. For an empty id the owner is empty, too.
func (c CustomerID) Owner() Owner { return owner("customer", string(c)) }

// Owner returns the holder of the cart as an owner, who also owns the order that the cart becomes.
func (c CartID) Owner() Owner { return owner("cart", string(c)) }

func owner(kind, id string) Owner {
	if id == "" {
		return ""
	}
	return Owner(kind + ":" + id)
}
