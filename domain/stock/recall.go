package stock

import (
	"maps"

	"daybook/domain/rule"
	"daybook/domain/unit"
)

// The names of forgotten reservations and orders begin with these. Movements have their own
// names: see movement.
const (
	reservationName = "reservation/"
	orderName       = "order/"
)

// About tells whether an event says something about a forgotten thing. name comes from a
// rule.ForgottenError of Decide. Events are read newest first, and enough means that reading
// can stop.
func About(name string, e Event) (about, enough bool) {
	if moved, _ := movement(e); moved == name {
		return true, true
	}
	if id, end := endOf(e); end != "" && name == reservationName+string(id) {
		return true, true
	}
	if shipped, ok := e.(Shipped); ok && name == orderName+string(shipped.OrderID) {
		return true, false
	}
	return false, false
}

// Past is what a stream's events say about a forgotten thing, such as a reservation that ended
// long ago.
type Past struct {
	End      End           `json:"end,omitempty"`     // of a reservation
	Quantity unit.Quantity `json:"quantity,omitzero"` // of a movement, or of all that has shipped to an order
	With     string        `json:"with,omitempty"`    // of a movement: see Made
}

// Recall adds to s what events say about a forgotten thing. events must be all events of the
// stream that About selects; the list may be empty. The result is for one Decide only: s
// itself does not change, and Evolve goes on from s.
func Recall(s State, name string, events []Event) State {
	var past Past
	for _, e := range events {
		_, moved := movement(e)
		past.Quantity += moved.Quantity
		past.With = moved.With
		if _, end := endOf(e); end != "" {
			past.End = end
		}
	}
	s.Recalled = maps.Clone(s.Recalled)
	if s.Recalled == nil {
		s.Recalled = map[string]Past{}
	}
	s.Recalled[name] = past
	return s
}

// recall returns what the log holds about a thing that is not in the state. If the log has
// not been read yet, it returns the *rule.ForgottenError that asks for that.
func (d *decision) recall(kind, name string) (Past, error) {
	if !d.Forgotten.Has(kind, name) {
		return Past{}, nil // it never existed
	}
	if past, known := d.Recalled[kind+name]; known {
		return past, nil
	}
	return Past{}, &rule.ForgottenError{Name: kind + name}
}

// ended is how a reservation that is not active has ended. It is empty if there never was such a
// reservation.
func (d *decision) ended(id unit.ReservationID) (End, error) {
	if end, known := d.Ended.Get(string(id)); known {
		return end, nil
	}
	past, err := d.recall(reservationName, string(id))
	return past.End, err
}

// made is the content of a movement that was made. It is the zero Made if there is none.
func (d *decision) made(name string) (Made, error) {
	if made, known := d.Movements.Get(name); known {
		return made, nil
	}
	past, err := d.recall("", name)
	return Made{past.Quantity, past.With}, err
}

// shipped is how many units have shipped to an order from here.
func (d *decision) shipped(id unit.OrderID) (unit.Quantity, error) {
	if p, known := d.Orders[id]; known && !p.Resumed {
		return p.Shipped, nil
	}
	past, err := d.recall(orderName, string(id))
	return past.Quantity, err
}

// endOf is the end that an event gives to a reservation. It is empty if the event ends none.
func endOf(e Event) (unit.ReservationID, End) {
	switch e := e.(type) {
	case ReservationReleased:
		return e.ReservationID, EndReleased
	case ReservationExpired:
		return e.ReservationID, EndExpired
	case ReservationCommitted:
		return e.ReservationID, EndCommitted
	case Allocated:
		if e.ReservationID != "" {
			return e.ReservationID, EndCommitted
		}
	case Received, Adjusted, Counted, Reserved, ReservationExtended, Deallocated, Shipped, Returned, CameBack, Moved,
		TransferredOut, TransferredIn, PolicySet, ReorderPointCrossed:
	}
	return "", ""
}
