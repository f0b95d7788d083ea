package resource

import (
	"daybook/domain/subject"
	"daybook/domain/unit"
)

// Erasure says that the personal texts of a customer or a guest are erased.
type Erasure struct {
	CustomerID unit.CustomerID   `json:"customer_id,omitempty" class:"customer"`
	CartID     unit.CartID       `json:"cart_id,omitempty" doc:"The cart of a guest."`
	Customers  []unit.CustomerID `json:"customers,omitempty" class:"customer" doc:"Other accounts of the customer, which were merged into this one, and whose keys are destroyed, too."`
	Carts      []unit.CartID     `json:"carts" doc:"Carts that the customer had as a guest, and whose keys are destroyed, too."`
	Reason     string            `json:"reason" enum:"requested,retention,other"`
	State      string            `json:"state" enum:"erasing,erased" doc:"erasing: the keys are destroyed, so the log shows no text any more, and copies elsewhere are being removed. It takes about a minute. erased: no copy is left. Send the request again to see the present state."`
}

// ErasureOf is an erasure as the API shows it.
func ErasureOf(s subject.State, done bool) Erasure {
	e := Erasure{CustomerID: s.Erased.CustomerID, CartID: s.Erased.CartID, Customers: s.Erased.Customers, Carts: append([]unit.CartID{}, s.Erased.Carts...), Reason: string(s.Erased.Reason), State: "erasing"}
	if done {
		e.State = "erased"
	}
	return e
}
