package payment

import "daybook/domain/unit"

// FoldVersion names the shape of State: a snapshot of another version is not read. Raise it with
// every change of State or Evolve.
const FoldVersion = 1

// State is whose payment it is. OrderID is empty if no order has it.
type State struct {
	OrderID unit.OrderID `json:"order_id,omitempty"`
}

// Evolve is the state after one more event.
func Evolve(_ State, e Event) State {
	switch e := e.(type) {
	case Claimed:
		return State(e)
	}
	panic("payment: unknown event") // a programmer's error, never input
}
