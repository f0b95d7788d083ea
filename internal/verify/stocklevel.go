package verify

import (
	"cmp"
	"time"

	"daybook/domain/stock"
	"daybook/domain/unit"
)

// StockLevel is the stock of a SKU at a location: the domain's fold, and the same quantities
// added up by verify.
type StockLevel struct {
	State stock.State

	onHand             unit.Quantity
	imported           unit.Quantity // the part of onHand that invoices of an import changed
	unavailable        map[stock.Condition]unit.Quantity
	reservations       map[unit.ReservationID]reservation
	reservedTotal      unit.Quantity // sum of reservations
	earliestDeadline   time.Time     // no reservation has an earlier deadline
	allocated          map[unit.OrderID]unit.Quantity
	allocatedTotal     unit.Quantity // sum of allocated
	policy             stock.Policy
	shippedByForce     bool // units shipped that were not on hand by the books
	endedReservations  map[unit.ReservationID]stock.End
	directReservations map[unit.ReservationID]bool    // open reservations that a direct command made
	allocatedDirectly  map[unit.OrderID]unit.Quantity // the part of allocated that direct commands made
	takenByForce       map[unit.OrderID]unit.Quantity // what direct commands took of the allocations of processes
	crossedAt          *time.Time                     // effective time when onHand last fell to the reorder point
	last               lastEvent
}

type reservation struct {
	order      unit.OrderID
	quantity   unit.Quantity
	expiresAt  time.Time
	reservedAt time.Time // effective
}

func newStockLevel() *StockLevel {
	return &StockLevel{
		unavailable: make(map[stock.Condition]unit.Quantity), reservations: make(map[unit.ReservationID]reservation),
		allocated: make(map[unit.OrderID]unit.Quantity), endedReservations: make(map[unit.ReservationID]stock.End),
		directReservations: make(map[unit.ReservationID]bool), allocatedDirectly: make(map[unit.OrderID]unit.Quantity), takenByForce: make(map[unit.OrderID]unit.Quantity),
	}
}

// add adds up an event. It tells whether the event made a promise of units, so that the caller
// checks that so many can be sold.
func (s *StockLevel) add(recorded *event, value stock.Event, once, promises *Check) (promise bool) {
	stream := recorded.Stream
	switch e := value.(type) {
	case stock.Received:
		s.onHand += e.Quantity
	case stock.Adjusted:
		s.onHand += e.Change
		s.changeUnavailable(e.Condition, e.Change)
	case stock.Counted:
		if s.onHand != e.Expected {
			promises.differ("%s: a count expected %d on hand, but there were %d", stream, e.Expected, s.onHand)
		}
		s.onHand = e.Counted
	case stock.Reserved:
		s.beginReservation(recorded, e, once)
		return true
	case stock.ReservationExtended:
		s.extendReservation(e, once, stream)
	case stock.ReservationReleased:
		s.endReservation(e.ReservationID, e.Quantity, stock.EndReleased, once, stream)
	case stock.ReservationExpired:
		s.endReservation(e.ReservationID, e.Quantity, stock.EndExpired, once, stream)
	case stock.ReservationCommitted:
		late := !s.reservations[e.ReservationID].expiresAt.After(recorded.RecordedAt)
		if s.directReservations[e.ReservationID] {
			s.allocatedDirectly[e.OrderID] += e.Quantity
		}
		s.endReservation(e.ReservationID, e.Quantity, stock.EndCommitted, once, stream)
		s.allocate(e.OrderID, e.Quantity, promises, stream)
		return late // the reservation was over, so its units could be sold to others
	case stock.Allocated:
		if e.ReservationID == "" {
			s.allocatedDirectly[e.OrderID] += e.Quantity
		} else {
			s.noteCommitted(e.ReservationID, once, stream)
		}
		s.allocate(e.OrderID, e.Quantity, promises, stream)
		return true
	case stock.Deallocated:
		s.useAllocation(e.OrderID, e.Quantity, e.Direct)
		s.allocate(e.OrderID, -e.Quantity, promises, stream)
	case stock.Shipped:
		s.onHand -= e.Quantity
		s.shippedByForce = s.shippedByForce || e.Forced
		s.useAllocation(e.OrderID, e.Promised(), e.Direct)
		s.allocate(e.OrderID, -e.Promised(), promises, stream)
	case stock.Returned:
		s.onHand += e.Quantity
		s.changeUnavailable(e.Condition, e.Quantity)
	case stock.CameBack:
		s.onHand += e.Quantity
		s.changeUnavailable(e.Condition, e.Quantity)
	case stock.Moved:
		s.changeUnavailable(e.From, -e.Quantity)
		s.changeUnavailable(e.To, e.Quantity)
	case stock.TransferredOut:
		s.onHand -= e.Quantity
	case stock.TransferredIn:
		s.onHand += e.Quantity
	case stock.PolicySet:
		s.policy = e.Policy
	case stock.ReorderPointCrossed:
		when := recorded.at
		s.crossedAt = &when
	}
	return false
}

func (s *StockLevel) beginReservation(recorded *event, e stock.Reserved, once *Check) {
	once.Examined++
	_, open := s.reservations[e.ReservationID]
	if end := s.endedReservations[e.ReservationID]; open || end != "" {
		once.differ("%s: reservation %s begins again (%s)", recorded.Stream, e.ReservationID, cmp.Or(string(end), "open"))
	}
	if e.Direct {
		s.directReservations[e.ReservationID] = true
	}
	s.reserve(e.ReservationID, reservation{order: e.OrderID, quantity: e.Quantity, expiresAt: e.ExpiresAt, reservedAt: recorded.at})
}

func (s *StockLevel) extendReservation(e stock.ReservationExtended, once *Check, stream string) {
	reserved, open := s.reservations[e.ReservationID]
	if !open {
		once.differ("%s: reservation %s is extended, but it is not open", stream, e.ReservationID)
		return
	}
	reserved.expiresAt = e.ExpiresAt
	s.reserve(e.ReservationID, reserved)
}

func (s *StockLevel) changeUnavailable(c stock.Condition, change unit.Quantity) {
	if c != stock.Available && c != "" {
		s.unavailable[c] += change
	}
}

// noteCommitted notes a reservation that was made and committed in one event.
func (s *StockLevel) noteCommitted(id unit.ReservationID, once *Check, stream string) {
	once.Examined++
	_, open := s.reservations[id]
	if end := s.endedReservations[id]; open || end != "" {
		once.differ("%s: reservation %s begins again (%s)", stream, id, cmp.Or(string(end), "open"))
	}
	s.endedReservations[id] = stock.EndCommitted
}

func (s *StockLevel) endReservation(id unit.ReservationID, quantity unit.Quantity, how stock.End, once *Check, stream string) {
	reserved, open := s.reservations[id]
	switch {
	case !open:
		once.differ("%s: reservation %s is %s, and was %q before", stream, id, how, s.endedReservations[id])
	case reserved.quantity != quantity:
		once.differ("%s: reservation %s had %d, but %d were %s", stream, id, reserved.quantity, quantity, how)
	}
	s.reservedTotal -= reserved.quantity
	delete(s.reservations, id)
	delete(s.directReservations, id)
	s.endedReservations[id] = how
}

// reservedAt is how many units are reserved at a time. It goes through the reservations only if
// the earliest deadline has passed, because there may be many.
func (s *StockLevel) reservedAt(now time.Time) unit.Quantity {
	if len(s.reservations) == 0 || now.Before(s.earliestDeadline) {
		return s.reservedTotal
	}
	sum := unit.Quantity(0)
	for _, h := range s.reservations {
		if h.expiresAt.After(now) {
			sum += h.quantity
		}
	}
	return sum
}

func (s *StockLevel) reserve(id unit.ReservationID, h reservation) {
	if len(s.reservations) == 0 || h.expiresAt.Before(s.earliestDeadline) {
		s.earliestDeadline = h.expiresAt
	}
	s.reservedTotal += h.quantity - s.reservations[id].quantity
	s.reservations[id] = h
}

func (s *StockLevel) allocate(id unit.OrderID, q unit.Quantity, promises *Check, stream string) {
	s.allocatedTotal += q
	s.allocated[id] += q
	switch rest := s.allocated[id]; {
	case rest == 0:
		delete(s.allocated, id)
	case rest < 0:
		promises.differ("%s: %d more units went to order %s than were allocated to it", stream, -rest, id)
	}
}

// useAllocation decides which units of an allocation an event uses up. A process uses the units
// that it allocated itself first. A direct command uses those that direct commands allocated
// first, and then it takes units by force. It must be called before allocate.
func (s *StockLevel) useAllocation(id unit.OrderID, q unit.Quantity, direct bool) {
	owned := s.allocated[id] - s.allocatedDirectly[id]
	byHand := max(0, q-owned)
	if direct {
		byHand = min(q, s.allocatedDirectly[id])
		s.takenByForce[id] += q - byHand
	}
	if s.allocatedDirectly[id] -= byHand; s.allocatedDirectly[id] == 0 {
		delete(s.allocatedDirectly, id)
	}
}

func (s *StockLevel) unavailableTotal() (sum unit.Quantity) {
	for _, q := range s.unavailable {
		sum += q
	}
	return sum
}

func (s *StockLevel) sellable(now time.Time) unit.Quantity {
	return s.onHand - s.unavailableTotal() - s.policy.SafetyStock - s.allocatedTotal - s.reservedAt(now) + s.policy.BackorderLimit
}
