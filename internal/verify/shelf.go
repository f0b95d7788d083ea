package verify

import (
	"time"

	"daybook/domain/stock"
	"daybook/domain/unit"
)

// OpeningDocument is the document under which opening stock is received.
const OpeningDocument = "opening"

// add books an event, and tells whether it promised something.
func (s *Shelf) add(event stock.Event, once *Check, stream string) (promise bool) {
	switch e := event.(type) {
	case stock.Received:
		s.onHand += e.Quantity
		if e.Document == OpeningDocument {
			s.opened += e.Quantity
		}
	case stock.Adjusted:
		s.onHand += e.Change
		s.setApart(e.Condition, e.Change)
	case stock.Counted:
		s.onHand = e.Counted
	case stock.Reserved:
		once.Examined++
		_, open := s.holds[e.ReservationID]
		if end := s.ended[e.ReservationID]; open || end != "" {
			once.differ("%s: reservation %s begins again (%s)", stream, e.ReservationID, end)
		}
		s.hold(e.ReservationID, hold{order: e.OrderID, quantity: e.Quantity, expiresAt: e.ExpiresAt})
		return true
	case stock.ReservationExtended:
		held := s.holds[e.ReservationID]
		held.expiresAt = e.ExpiresAt
		s.hold(e.ReservationID, held)
	case stock.ReservationReleased:
		s.end(e.ReservationID, e.Quantity, "released", once, stream)
	case stock.ReservationExpired:
		s.end(e.ReservationID, e.Quantity, "expired", once, stream)
	case stock.ReservationCommitted:
		s.end(e.ReservationID, e.Quantity, "committed", once, stream)
		s.promise(e.OrderID, e.Quantity)
	case stock.Allocated:
		s.promise(e.OrderID, e.Quantity)
		return true
	case stock.Deallocated:
		s.promise(e.OrderID, -e.Quantity)
	case stock.Shipped:
		s.onHand -= e.Quantity
		s.forced = s.forced || e.Forced
		s.promise(e.OrderID, -e.Quantity)
	case stock.Returned:
		s.onHand += e.Quantity
		s.setApart(e.Condition, e.Quantity)
	case stock.Moved:
		s.setApart(e.From, -e.Quantity)
		s.setApart(e.To, e.Quantity)
	case stock.TransferredOut:
		s.onHand -= e.Quantity
	case stock.TransferredIn:
		s.onHand += e.Quantity
	case stock.PolicySet:
		s.policy = e.Policy
	case stock.ReorderPointCrossed:
	}
	return false
}

func (s *Shelf) setApart(c stock.Condition, change unit.Quantity) {
	if c != stock.Available && c != "" {
		s.unavailable[c] += change
	}
}

func (s *Shelf) end(id unit.ReservationID, quantity unit.Quantity, how string, once *Check, stream string) {
	held, open := s.holds[id]
	switch {
	case !open:
		once.differ("%s: reservation %s is %s, and was %q before", stream, id, how, s.ended[id])
	case held.quantity != quantity:
		once.differ("%s: reservation %s held %d, %d were %s", stream, id, held.quantity, quantity, how)
	}
	s.held -= held.quantity
	delete(s.holds, id)
	s.ended[id] = how
}

// reserved is what is held at a time. Only when a deadline has passed are the
// holds looked at one by one.
func (s *Shelf) reserved(now time.Time) unit.Quantity {
	if len(s.holds) == 0 || now.Before(s.earliest) {
		return s.held
	}
	sum := unit.Quantity(0)
	for _, h := range s.holds {
		if h.expiresAt.After(now) {
			sum += h.quantity
		}
	}
	return sum
}

func (s *Shelf) hold(id unit.ReservationID, h hold) {
	if len(s.holds) == 0 || h.expiresAt.Before(s.earliest) {
		s.earliest = h.expiresAt
	}
	s.held += h.quantity - s.holds[id].quantity
	s.holds[id] = h
}

func (s *Shelf) promise(id unit.OrderID, q unit.Quantity) {
	s.promised += q
	if s.allocated[id] += q; s.allocated[id] == 0 {
		delete(s.allocated, id)
	}
}

func (s *Shelf) notForSale() (sum unit.Quantity) {
	for _, q := range s.unavailable {
		sum += q
	}
	return sum
}

func (s *Shelf) sellable(now time.Time) unit.Quantity {
	return s.onHand - s.notForSale() - s.policy.SafetyStock - s.promised - s.reserved(now) + s.policy.BackorderLimit
}

// checkStock compares the folds that decide with the sums made here.
func (b *Book) checkStock() *Check {
	check := &Check{Name: "stock: every quantity is the sum of its events"}
	for key, shelf := range b.Stock {
		name := string(key.SKU) + "@" + string(key.Location)
		expect(check, shelf.State.OnHand(), shelf.onHand, "%s on hand", name)
		expect(check, shelf.State.Reserved(b.Now), shelf.reserved(b.Now), "%s reserved", name)
		expect(check, shelf.State.Allocated(), shelf.promised, "%s allocated", name)
		expect(check, shelf.State.UnavailableTotal(), shelf.notForSale(), "%s unavailable", name)
		expect(check, shelf.State.Sellable(b.Now), shelf.sellable(b.Now), "%s sellable", name)
	}
	return check
}
