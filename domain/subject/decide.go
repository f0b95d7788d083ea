package subject

import (
	"fmt"
	"slices"
)

// MaxCarts is how many carts one event names at most. If a subject has more, it is erased again for
// the others.
const MaxCarts = 5000

// MaxKept is how many kept orders one event names at most. Further events name the others.
const MaxKept = 1000

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection. It never changes s.
func Decide(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) {
	case Erase:
		return erase(cmd, s)
	}
	panic("subject: unknown command")
}

func erase(cmd Erase, s State) ([]Event, error) {
	erased := cmd.Erased
	switch {
	case (erased.CustomerID == "") == (erased.CartID == "") || !slices.Contains(Reasons(), erased.Reason):
		return nil, ErrInvalid
	case cmd.HasCustomer && erased.CartID != "" && s.IsErased():
		return nil, nil // the guest is erased, and what came later is the customer's
	case cmd.HasCustomer && erased.CartID != "":
		return nil, ErrHasCustomer
	case len(cmd.Open) > 0:
		return nil, ErrOrderOpen.With(fmt.Sprintf("%d orders are not finished, such as %s: complete or cancel them, and settle their payments.", len(cmd.Open), cmd.Open[0]),
			map[string]any{"order_id": cmd.Open[0]})
	}
	erased.Carts = without(erased.Carts, s.Erased.Carts)
	erased.Carts = erased.Carts[:min(len(erased.Carts), MaxCarts)]
	erased.Orders = without(erased.Orders, s.Erased.Orders)
	erased.Customers = without(erased.Customers, s.Erased.Customers)
	kept := withoutKept(erased.Kept, s.Erased.Kept)
	if s.IsErased() && len(erased.Carts) == 0 && len(erased.Orders) == 0 && len(erased.Customers) == 0 && len(kept) == 0 {
		return nil, nil
	}
	erased.Kept = kept[:min(len(kept), MaxKept)]
	events := []Event{erased}
	for rest := kept[len(erased.Kept):]; len(rest) > 0; {
		n := min(len(rest), MaxKept)
		events = append(events, Erased{CustomerID: erased.CustomerID, CartID: erased.CartID, Reason: erased.Reason, Kept: rest[:n]})
		rest = rest[n:]
	}
	return events, nil
}
