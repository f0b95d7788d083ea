package returns

import "daybook/domain/unit"

func takeOver(cmd TakeOver, s State) ([]Event, error) {
	if cmd.CustomerID == "" || s.Customer() != "" || !s.onlyOf(cmd.OrderID) {
		return nil, nil
	}
	return []Event{TakenOver{CustomerID: cmd.CustomerID}}, nil
}

// onlyOf tells whether everything that comes back is of one order.
func (s State) onlyOf(id unit.OrderID) bool {
	if s.Requested.OrderID != "" {
		return s.Requested.OrderID == id
	}
	linked := false
	for _, l := range s.Requested.Lines {
		if len(l.Links) == 0 {
			return false
		}
		for _, link := range l.Links {
			if link.OrderID != id {
				return false
			}
			linked = true
		}
	}
	return linked
}
