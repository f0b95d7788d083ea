package verify

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"daybook/domain/stock"
	"daybook/domain/unit"
)

// StockLevel is the stock of a SKU at a location: the fold that decides, and the same
// quantities added up here.
type StockLevel struct {
	State stock.State

	onHand      unit.Quantity
	imported    unit.Quantity // of onHand, what invoices of an import changed
	unavailable map[stock.Condition]unit.Quantity
	holds       map[unit.ReservationID]hold
	held        unit.Quantity // sum over holds
	earliest    time.Time     // no hold's deadline is before it
	allocated   map[unit.OrderID]unit.Quantity
	promised    unit.Quantity // sum over allocated
	policy      stock.Policy
	forced      bool // goods left that the books did not have
	ended       map[unit.ReservationID]stock.End
	direct      map[unit.ReservationID]bool    // open ones that no process holds
	byHand      map[unit.OrderID]unit.Quantity // of allocated, what no process committed
	taken       map[unit.OrderID]unit.Quantity // from processes, by force
	crossedAt   *time.Time                     // effective time of the last fall to the reorder point
	end         end
}

type hold struct {
	order      unit.OrderID
	quantity   unit.Quantity
	expiresAt  time.Time
	reservedAt time.Time // effective
}

func newStockLevel() *StockLevel {
	return &StockLevel{
		unavailable: make(map[stock.Condition]unit.Quantity), holds: make(map[unit.ReservationID]hold),
		allocated: make(map[unit.OrderID]unit.Quantity), ended: make(map[unit.ReservationID]stock.End),
		direct: make(map[unit.ReservationID]bool), byHand: make(map[unit.OrderID]unit.Quantity), taken: make(map[unit.OrderID]unit.Quantity),
	}
}

// add books an event, and tells whether it promised something.
func (s *StockLevel) add(recorded *event, value stock.Event, once, promises *Check) (promise bool) {
	stream := recorded.Stream
	switch e := value.(type) {
	case stock.Received:
		s.onHand += e.Quantity
	case stock.Adjusted:
		s.onHand += e.Change
		s.setApart(e.Condition, e.Change)
	case stock.Counted:
		if s.onHand != e.Expected {
			promises.differ("%s: a count expected %d on hand, there were %d", stream, e.Expected, s.onHand)
		}
		s.onHand = e.Counted
	case stock.Reserved:
		once.Examined++
		_, open := s.holds[e.ReservationID]
		if end := s.ended[e.ReservationID]; open || end != "" {
			once.differ("%s: reservation %s begins again (%s)", stream, e.ReservationID, cmp.Or(string(end), "open"))
		}
		if e.Direct {
			s.direct[e.ReservationID] = true
		}
		s.hold(e.ReservationID, hold{order: e.OrderID, quantity: e.Quantity, expiresAt: e.ExpiresAt, reservedAt: recorded.at})
		return true
	case stock.ReservationExtended:
		held, open := s.holds[e.ReservationID]
		if !open {
			once.differ("%s: reservation %s is extended and not open", stream, e.ReservationID)
			return false
		}
		held.expiresAt = e.ExpiresAt
		s.hold(e.ReservationID, held)
	case stock.ReservationReleased:
		s.ends(e.ReservationID, e.Quantity, stock.EndReleased, once, stream)
	case stock.ReservationExpired:
		s.ends(e.ReservationID, e.Quantity, stock.EndExpired, once, stream)
	case stock.ReservationCommitted:
		late := !s.holds[e.ReservationID].expiresAt.After(recorded.RecordedAt)
		if s.direct[e.ReservationID] {
			s.byHand[e.OrderID] += e.Quantity
		}
		s.ends(e.ReservationID, e.Quantity, stock.EndCommitted, once, stream)
		s.promise(e.OrderID, e.Quantity, promises, stream)
		return late // what was held counted no more
	case stock.Allocated:
		s.byHand[e.OrderID] += e.Quantity
		s.promise(e.OrderID, e.Quantity, promises, stream)
		return true
	case stock.Deallocated:
		s.useUp(e.OrderID, e.Quantity, e.Direct)
		s.promise(e.OrderID, -e.Quantity, promises, stream)
	case stock.Shipped:
		s.onHand -= e.Quantity
		s.forced = s.forced || e.Forced
		s.useUp(e.OrderID, e.Promised(), e.Direct)
		s.promise(e.OrderID, -e.Promised(), promises, stream)
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
		when := recorded.at
		s.crossedAt = &when
	}
	return false
}

func (s *StockLevel) setApart(c stock.Condition, change unit.Quantity) {
	if c != stock.Available && c != "" {
		s.unavailable[c] += change
	}
}

func (s *StockLevel) ends(id unit.ReservationID, quantity unit.Quantity, how stock.End, once *Check, stream string) {
	held, open := s.holds[id]
	switch {
	case !open:
		once.differ("%s: reservation %s is %s, and was %q before", stream, id, how, s.ended[id])
	case held.quantity != quantity:
		once.differ("%s: reservation %s held %d, %d were %s", stream, id, held.quantity, quantity, how)
	}
	s.held -= held.quantity
	delete(s.holds, id)
	delete(s.direct, id)
	s.ended[id] = how
}

// reserved is what is held at a time. Only when a deadline has passed are the
// holds looked at one by one.
func (s *StockLevel) reserved(now time.Time) unit.Quantity {
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

func (s *StockLevel) hold(id unit.ReservationID, h hold) {
	if len(s.holds) == 0 || h.expiresAt.Before(s.earliest) {
		s.earliest = h.expiresAt
	}
	s.held += h.quantity - s.holds[id].quantity
	s.holds[id] = h
}

func (s *StockLevel) promise(id unit.OrderID, q unit.Quantity, promises *Check, stream string) {
	s.promised += q
	s.allocated[id] += q
	switch rest := s.allocated[id]; {
	case rest == 0:
		delete(s.allocated, id)
	case rest < 0:
		promises.differ("%s: %d more went to order %s than was promised to it", stream, -rest, id)
	}
}

// useUp decides which units of a promise are used up: a process takes its own first,
// a direct command the others. Call it before promise.
func (s *StockLevel) useUp(id unit.OrderID, q unit.Quantity, direct bool) {
	owned := s.allocated[id] - s.byHand[id]
	byHand := max(0, q-owned)
	if direct {
		byHand = min(q, s.byHand[id])
		s.taken[id] += q - byHand
	}
	if s.byHand[id] -= byHand; s.byHand[id] == 0 {
		delete(s.byHand, id)
	}
}

func (s *StockLevel) notForSale() (sum unit.Quantity) {
	for _, q := range s.unavailable {
		sum += q
	}
	return sum
}

func (s *StockLevel) sellable(now time.Time) unit.Quantity {
	return s.onHand - s.notForSale() - s.policy.SafetyStock - s.promised - s.reserved(now) + s.policy.BackorderLimit
}

// shelves are the keys of all stock, in their order.
func (b *Book) shelves() []stock.Key { return slices.SortedFunc(maps.Keys(b.Stock), byKey) }

func byKey(x, y stock.Key) int {
	return cmp.Or(cmp.Compare(x.SKU, y.SKU), cmp.Compare(x.Location, y.Location))
}

// checkStock compares the folds that decide with the sums made here.
func (b *Book) checkStock() *Check {
	check := &Check{Name: "stock: every quantity is the sum of its events"}
	for _, key := range b.shelves() {
		shelf := b.Stock[key]
		name := string(key.SKU) + "@" + string(key.Location)
		expect(check, shelf.State.OnHand(), shelf.onHand, "%s on hand", name)
		expect(check, shelf.State.Reserved(b.Now), shelf.reserved(b.Now), "%s reserved", name)
		expect(check, shelf.State.Allocated(), shelf.promised, "%s allocated", name)
		expect(check, shelf.State.UnavailableTotal(), shelf.notForSale(), "%s unavailable", name)
		expect(check, shelf.State.Sellable(b.Now), shelf.sellable(b.Now), "%s sellable", name)
	}
	return check
}
