package stock

import (
	"strconv"
	"strings"
	"time"

	"daybook/domain/unit"
)

// Evolve is the state after an event. It takes s over: its maps and lists are
// changed in place, so the caller must not use s again, and who has to go back
// to an earlier state folds it anew.
func Evolve(s State, e Event) State {
	switch e := e.(type) {
	case Received:
		s.Goods += e.Quantity
	case Adjusted:
		s.Goods += e.Change
		s.SetApart.add(e.Condition, e.Change)
	case Counted:
		s.Goods = e.Counted
	case Reserved:
		s.hold(e.ReservationID, Hold{OrderID: e.OrderID, Quantity: e.Quantity, ExpiresAt: e.ExpiresAt, Direct: e.Direct, HoldSeconds: e.HoldSeconds})
	case ReservationExtended:
		if h, held := s.Holds[e.ReservationID]; held {
			h.First = h.firstDeadline()
			h.ExpiresAt = e.ExpiresAt
			s.Holds[e.ReservationID] = h
			s.watch(e.ReservationID, e.ExpiresAt)
		}
	case ReservationReleased:
		s.end(e.ReservationID, EndReleased)
	case ReservationExpired:
		s.end(e.ReservationID, EndExpired)
	case ReservationCommitted:
		owned := e.Quantity
		if s.Holds[e.ReservationID].Direct {
			owned = 0
		}
		s.end(e.ReservationID, EndCommitted)
		s.promise(e.OrderID, e.Quantity, owned)
	case Allocated:
		s.promise(e.OrderID, e.Quantity, 0)
	case Deallocated:
		s.take(e.OrderID, e.Quantity, 0, e.Direct)
	case Shipped:
		s.Goods -= e.Quantity
		s.take(e.OrderID, e.Promised(), e.Quantity, e.Direct)
	case Returned:
		s.Goods += e.Quantity
		s.SetApart.add(e.Condition, e.Quantity)
	case Moved:
		s.SetApart.add(e.From, -e.Quantity)
		s.SetApart.add(e.To, e.Quantity)
	case TransferredOut:
		s.Goods -= e.Quantity
	case TransferredIn:
		s.Goods += e.Quantity
	case PolicySet:
		s.Policy = e.Policy
	case ReorderPointCrossed: // tells; changes no quantity
	}
	if name, made := movement(e); name != "" {
		s.moved(name, made)
	}
	return s
}

func (a *SetApart) add(c Condition, change unit.Quantity) {
	switch c {
	case Damaged:
		a.Damaged += change
	case QualityControl:
		a.QualityControl += change
	case OtherCondition:
		a.Other += change
	case Available:
	}
}

func (s *State) hold(id unit.ReservationID, h Hold) {
	if s.Holds == nil {
		s.Holds = map[unit.ReservationID]Hold{}
	}
	s.Holds[id] = h
	s.Held += h.Quantity
	s.watch(id, h.ExpiresAt)
}

// end gives a reservation its end; of one that has no hold, nothing is left to
// do.
func (s *State) end(id unit.ReservationID, end End) {
	h, held := s.Holds[id]
	if !held {
		return
	}
	delete(s.Holds, id)
	s.Held -= h.Quantity
	s.Deadlines = s.Deadlines.settled(s.Holds)
	if oldest, full := s.Ended.Put(string(id), end, rememberedEnds); full {
		s.Forgotten.Add(reservationName, oldest)
	}
}

// moved notes a movement that is made once.
func (s *State) moved(name string, made Made) {
	if oldest, full := s.Movements.Put(name, made, rememberedMovements); full {
		s.Forgotten.Add(oldest)
	}
}

func (s *State) watch(id unit.ReservationID, at time.Time) {
	s.Deadlines = s.Deadlines.with(Deadline{At: at, ID: id}).settled(s.Holds)
}

func (s *State) promise(id unit.OrderID, more, owned unit.Quantity) {
	if s.Orders == nil {
		s.Orders = map[unit.OrderID]Promise{}
	}
	p, known := s.Orders[id]
	if !known {
		p.Resumed = s.Forgotten.Has(orderName, string(id))
	}
	p.Open += more
	p.Owned += owned
	s.Orders[id] = p
	s.Promised += more
}

// take reduces an order's open promise, by what shipped or was taken back. A
// process takes its own units first, a direct command the others.
func (s *State) take(id unit.OrderID, quantity, shipped unit.Quantity, direct bool) {
	if s.Orders == nil { // no decision of ours, but a fact all the same
		s.Orders = map[unit.OrderID]Promise{}
	}
	p := s.Orders[id]
	owned := min(quantity, p.Owned)
	if direct {
		owned = min(p.Owned, max(0, quantity-p.free()))
	}
	p.Owned -= owned
	p.Open -= quantity
	p.Shipped += shipped
	s.Promised -= quantity
	if p.Open != 0 {
		s.Orders[id] = p
		return
	}
	delete(s.Orders, id)
	if p.Shipped > 0 {
		s.Forgotten.Add(orderName, string(id))
	}
}

// free is what is promised to the order and does not belong to its process.
func (p Promise) free() unit.Quantity { return p.Open - p.Owned }

// movement is the name of a movement that is made once, and its content. Of other
// events the name is empty.
func movement(e Event) (name string, made Made) {
	switch e := e.(type) {
	case Deallocated:
		if e.Ref != "" {
			return deallocation(e.OrderID, e.Ref), Made{Quantity: e.Quantity}
		}
	case Shipped:
		return shipment(e.Origin, e.OrderID, e.ShipmentID), Made{Quantity: e.Quantity}
	case Returned:
		return arrival(e.Origin, e.ReturnID, e.Receipt, e.Condition), Made{e.Quantity, string(e.OrderID)}
	case TransferredOut:
		return transfer("out", e.TransferID), Made{e.Quantity, string(e.To)}
	case TransferredIn:
		return transfer("in", e.TransferID), Made{e.Quantity, string(e.From)}
	case Received, Adjusted, Counted, Reserved, ReservationExtended, ReservationReleased, ReservationExpired, ReservationCommitted,
		Allocated, Moved, PolicySet, ReorderPointCrossed:
	}
	return "", Made{}
}

// The names of movements that are made once. Ids hold no '/'; a step's ref may,
// and stands last. Direct movements have other names, so a process's movement is
// never taken for done because of them.
func shipment(from Origin, order unit.OrderID, id unit.ShipmentID) string {
	return from.prefix() + "ship/" + string(order) + "/" + string(id)
}

func arrival(from Origin, id unit.ReturnID, receipt int, c Condition) string {
	return from.prefix() + strings.Join([]string{"return", string(id), strconv.Itoa(receipt), string(c)}, "/")
}

func (o Origin) prefix() string {
	if o.Direct {
		return "direct "
	}
	return ""
}

func transfer(direction string, id unit.TransferID) string {
	return "transfer/" + direction + "/" + string(id)
}

func deallocation(order unit.OrderID, ref string) string {
	return "deallocate/" + string(order) + "/" + ref
}
