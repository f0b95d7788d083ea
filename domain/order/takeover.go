package order

import "daybook/domain/unit"

// takeOver does not check the order's status, because a buyer looks for finished orders, too.
func takeOver(cmd TakeOver, s State) ([]Event, error) {
	switch {
	case s.CustomerID == cmd.CustomerID: // also if nobody takes over an order of nobody
		return nil, nil
	case s.CustomerID != "":
		return nil, ErrHasCustomer
	}
	return []Event{TakenOver(cmd)}, nil
}

// applyTakenOver keeps the customer that an order has. So whoever was first has it, whatever
// another program may have written into the stream.
func (s *State) applyTakenOver(e TakenOver) {
	if s.CustomerID == "" && e.CustomerID != "" {
		s.CustomerID, s.TakenOver = e.CustomerID, true
	}
}

// placedFor is the customer for whom the order was placed. A checkout that is finished late places
// the order once more, for the customer that it knows.
func (s State) placedFor() unit.CustomerID {
	if s.TakenOver {
		return ""
	}
	return s.CustomerID
}
