package subject

import "daybook/domain/unit"

// FoldVersion names the shape of State: a snapshot of another version is not read. Raise it with
// every change of State or Evolve.
const FoldVersion = 3

// State is what the rules need to know of a subject. The zero State is a subject whose texts were
// not erased.
type State struct {
	Erased Erased `json:"erased,omitzero"` // the carts, orders and so on of all events
}

// IsErased tells whether the texts of the subject were erased.
func (s State) IsErased() bool { return s.Erased.Owner() != "" }

// Evolve is the state after one more event. It may change s in place, so the caller must not use s
// again.
func Evolve(s State, e Event) State {
	switch e := e.(type) {
	case Erased:
		s.Erased.CustomerID, s.Erased.CartID, s.Erased.Reason = e.CustomerID, e.CartID, e.Reason
		s.Erased.Customers = union(s.Erased.Customers, e.Customers)
		s.Erased.Carts = union(s.Erased.Carts, e.Carts)
		s.Erased.Orders = union(s.Erased.Orders, e.Orders)
		s.Erased.Kept = append(s.Erased.Kept, withoutKept(e.Kept, s.Erased.Kept)...)
	}
	return s
}

// union adds what a list does not have.
func union[T comparable](list, more []T) []T { return append(list, without(more, list)...) }

// without returns the elements of a list that another one does not have, each once.
func without[T comparable](list, other []T) (rest []T) {
	listed := make(map[T]bool, len(other)+len(list))
	for _, one := range other {
		listed[one] = true
	}
	for _, one := range list {
		if !listed[one] {
			rest = append(rest, one)
		}
		listed[one] = true
	}
	return rest
}

// withoutKept returns the elements of a list whose orders another one does not have, each once.
func withoutKept(list, other []Kept) (rest []Kept) {
	named := make(map[unit.OrderID]bool, len(other)+len(list))
	for _, one := range other {
		named[one.OrderID] = true
	}
	for _, one := range list {
		if !named[one.OrderID] {
			rest = append(rest, one)
		}
		named[one.OrderID] = true
	}
	return rest
}

// Owner is the subject; empty if its texts were not erased.
func (s State) Owner() unit.Owner { return s.Erased.Owner() }
