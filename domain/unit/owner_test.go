package unit_test

import (
	"testing"

	"daybook/domain/unit"
)

// An owner tells of which kind it is, and gives back the id it was made of.
func TestAnOwnerIsACustomerOrTheHolderOfACart(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		owner    unit.Owner
		customer unit.CustomerID
		cart     unit.CartID
	}{
		{unit.CustomerID("17850").Owner(), "17850", ""},
		{unit.CartID("c-1").Owner(), "", "c-1"},
		{unit.CustomerID("shop:7:a").Owner(), "shop:7:a", ""},
		{unit.CartID("cart:c").Owner(), "", "cart:c"},
		{unit.CustomerID("").Owner(), "", ""},
		{unit.CartID("").Owner(), "", ""},
		{"customer:", "", ""},
		{"cart", "", ""},
		{"carton:c-1", "", ""},
	} {
		customer, isCustomer := test.owner.Customer()
		cart, isCart := test.owner.Cart()
		if customer != test.customer || isCustomer != (test.customer != "") || cart != test.cart || isCart != (test.cart != "") {
			t.Errorf("%q is the customer %q (%t), the holder of %q (%t)", test.owner, customer, isCustomer, cart, isCart)
		}
	}
}
