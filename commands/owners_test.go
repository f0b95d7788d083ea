package commands_test

import (
	"testing"

	"daybook/commands"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
)

// The handlers check the owner when they decide. Before that, the service checks it too, so a walk
// over the API does not notice if one of the two checks is missing.
func TestHandlersKnowTheOwner(t *testing.T) {
	t.Parallel()
	carts, orders, sent := commands.CartRules(), commands.OrderRules(), commands.ReturnRules()
	ofCart := cart.Evolve(cart.State{}, cart.Opened{CartID: "c", CustomerID: "alice", Currency: "GBP"})
	ofOrder := order.State{CustomerID: "alice"}
	ofReturn := returns.State{Requested: returns.Requested{CustomerID: "alice"}}
	alice, bob := unit.CustomerID("alice").Owner(), unit.CustomerID("bob").Owner()
	for owner, want := range map[unit.Owner]bool{alice: true, bob: false, "": false} {
		for what, got := range map[string]bool{
			"a cart": carts.Owned(ofCart, string(owner)), "an order": orders.Owned(ofOrder, string(owner)), "a return": sent.Owned(ofReturn, string(owner)),
		} {
			if got != want {
				t.Errorf("%s of alice belongs to %q: %t", what, owner, got)
			}
		}
	}
	for what, refusal := range map[string]error{"a cart": carts.NotOwned, "an order": orders.NotOwned, "a return": sent.NotOwned} {
		if refusal == nil {
			t.Errorf("%s of somebody else is not refused", what)
		}
	}
}
