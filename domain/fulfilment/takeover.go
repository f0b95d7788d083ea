package fulfilment

import (
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
)

// Follower is the cart or a return of an order that a customer has taken over. It becomes the
// customer's, too. Exactly one of the two commands is set. A second one changes nothing.
type Follower struct {
	// ID is the same for every driver, also if it asks again. The command's id derives from it.
	ID       unit.Derived
	CartID   unit.CartID
	Cart     cart.Command
	ReturnID unit.ReturnID
	Return   returns.Command
}

// Followers are what follows an order to the customer who has taken it over. There are none for
// other orders.
//
// The order's stream says which returns these are. A return that the order has admitted or released
// before is in the order's state. If the order replies to a return later, the return's own driver
// sees the customer (ReturnProcess.Commands). So a return follows in each case, and any driver may
// stop anywhere.
func Followers(s order.State) []Follower {
	if !s.TakenOver {
		return nil
	}
	var all []Follower
	for _, back := range s.Returns {
		all = append(all, Follower{
			ID:       unit.FollowReturn.Of(string(s.OrderID), string(back.ID)),
			ReturnID: back.ID, Return: returns.TakeOver{OrderID: s.OrderID, CustomerID: s.CustomerID},
		})
	}
	if s.CartID != "" {
		all = append(all, Follower{
			ID:     unit.FollowCart.Of(string(s.OrderID), string(s.CartID)),
			CartID: s.CartID, Cart: cart.FollowOrder{OrderID: s.OrderID, CustomerID: s.CustomerID},
		})
	}
	return all
}
