package unit

import "strings"

// Owner is who owns a cart, an order or a return: a customer, or the holder of a cart that has no
// customer. Examples: "customer:17850", "cart:c-1".
type Owner string

// Owner returns the customer as an owner. For an empty id the owner is empty, too.
func (c CustomerID) Owner() Owner { return owner(ofCustomer, string(c)) }

// Owner returns the holder of the cart as an owner, who also owns the order that the cart becomes.
func (c CartID) Owner() Owner { return owner(ofCart, string(c)) }

// The kinds of owners.
const (
	ofCustomer = "customer"
	ofCart     = "cart"
)

// Customer returns the id of the customer. ok is false if the owner is not a customer.
func (o Owner) Customer() (id CustomerID, ok bool) {
	text, ok := o.id(ofCustomer)
	return CustomerID(text), ok
}

// Cart returns the id of the cart whose holder the owner is. ok is false if the owner is a
// customer, or nobody.
func (o Owner) Cart() (id CartID, ok bool) {
	text, ok := o.id(ofCart)
	return CartID(text), ok
}

// id returns the id of an owner of a kind. An id may have colons.
func (o Owner) id(kind string) (id string, ok bool) {
	found, id, ok := strings.Cut(string(o), ":")
	if !ok || found != kind || id == "" {
		return "", false
	}
	return id, true
}

func owner(kind, id string) Owner {
	if id == "" {
		return ""
	}
	return Owner(kind + ":" + id)
}
