package stock

import (
	"time"

	"daybook/domain/unit"
)

// How many due reservations one decision records as expired, in addition to the command's own
// events. Every decision with events records up to maxExpiredAlong. A decision that needs their
// units goes on, up to maxExpiredForUnits, until it has enough. Example: 150 reservations of one
// unit each are due. A receipt records 100 of their ends, and so does a reservation of 80 units. A
// reservation of 120 units records 120, if nothing else is free.
//
// Units of a due reservation may be promised to another order only if the reservation's end is
// recorded in the same append. Otherwise another node, whose clock is a moment behind, could still
// commit the reservation.
const (
	maxExpiredAlong    = 100
	maxExpiredForUnits = 1000
)

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection. It never changes s. A *rule.ForgottenError is no decision: the caller must look
// up the thing that it names, and decide again (About, Recall).
//
// If Decide returns events, they also record the ends of reservations that are due: at most a
// thousand, the earliest first. If the reorder point was crossed, the last event says so.
func Decide(cmd Command, s State) ([]Event, error) {
	d := decision{State: s, At: cmd.at()}
	d.due = s.due(d.Now)
	d.expireUpTo(maxExpiredAlong)
	events, err := d.ownEvents(cmd)
	if err != nil || len(events) == 0 {
		return nil, err
	}
	all := events
	if d.expired > 0 {
		all = append(d.expirations(events), events...)
	}
	return d.withReorderPoint(all), nil
}

// decision is one command together with the state that it is decided on.
type decision struct {
	State
	At
	due     []Deadline
	expired int           // how many of due are recorded together with the command's own events
	freed   unit.Quantity // how many units those have
}

func (d *decision) ownEvents(cmd Command) ([]Event, error) {
	switch cmd := cmd.(type) {
	case Receive:
		return d.receive(cmd)
	case Adjust:
		return d.adjust(cmd)
	case Count:
		return d.count(cmd)
	case Reserve:
		return d.reserve(cmd)
	case Extend:
		return d.extend(cmd)
	case Release:
		return d.release(cmd)
	case ExpireDue:
		return d.expireDue()
	case Commit:
		return d.commit(cmd)
	case Allocate:
		return d.allocate(cmd)
	case Deallocate:
		return d.deallocate(cmd)
	case Ship:
		return d.ship(cmd)
	case TakeBack:
		return d.takeBack(cmd)
	case TakeParcelBack:
		return d.takeParcelBack(cmd)
	case Move:
		return d.move(cmd)
	case TransferOut:
		return d.transferOut(cmd)
	case TransferIn:
		return d.transferIn(cmd)
	case SetPolicy:
		return d.setPolicy(cmd)
	}
	panic("stock: unknown command")
}

func (d *decision) expireUpTo(limit int) {
	for d.expired < min(len(d.due), limit) {
		d.freed += d.Reservations[d.due[d.expired].ID].Quantity
		d.expired++
	}
}

// makeAvailable tries to free the wanted number of units, by recording due reservations as expired.
// It returns how many units are free, which may be fewer. allowance is what the policy adds to the
// units on hand that are for sale and not promised. Example: a promise may use the backorder limit
// and not the safety stock (see forSale). So with a backorder limit of 5 and a safety stock of 8
// the allowance is -3.
func (d *decision) makeAvailable(wanted, allowance unit.Quantity) unit.Quantity {
	free := d.Goods - d.UnavailableTotal() + allowance - d.Promised - d.ReservedTotal
	for free+d.freed < wanted && d.expired < min(len(d.due), maxExpiredForUnits) {
		d.expireUpTo(d.expired + 1)
	}
	return free + d.freed
}

// forSale is the allowance for a promise: a promise may use the backorder limit, and may not
// use the safety stock.
func (p Policy) forSale() unit.Quantity { return p.BackorderLimit - p.SafetyStock }

// expirations are the ends of due reservations, except of one that the command itself ends.
func (d *decision) expirations(own []Event) []Event {
	events := make([]Event, 0, d.expired+len(own)+1)
	for _, due := range d.due[:d.expired] {
		if expired, ok := own[0].(ReservationExpired); ok && expired.ReservationID == due.ID {
			continue
		}
		events = append(events, d.expiration(due.ID))
	}
	return events
}

func (d *decision) expiration(id unit.ReservationID) Event {
	h := d.Reservations[id]
	return ReservationExpired{Key: d.Key, ReservationID: id, OrderID: h.OrderID, Quantity: h.Quantity}
}

// withReorderPoint adds ReorderPointCrossed if these events let available fall to the reorder
// point or below it.
func (d *decision) withReorderPoint(events []Event) []Event {
	policy := d.Policy
	before := d.Goods - d.UnavailableTotal() - policy.SafetyStock - d.Promised - d.ReservedTotal
	for _, due := range d.due {
		before += d.Reservations[due.ID].Quantity
	}
	after := before
	for _, e := range events {
		if set, ok := e.(PolicySet); ok {
			policy = set.Policy
		}
		after += d.change(e)
	}
	wasBelow := d.Policy.ReorderPoint > 0 && before <= d.Policy.ReorderPoint
	if wasBelow || policy.ReorderPoint == 0 || after > policy.ReorderPoint {
		return events
	}
	return append(events, ReorderPointCrossed{Key: d.Key, Available: after, ReorderPoint: policy.ReorderPoint})
}

// change is how much an event changes available. Due reservations count as available already.
func (d *decision) change(e Event) unit.Quantity {
	switch e := e.(type) {
	case Received:
		return e.Quantity
	case Adjusted:
		if e.Condition != "" && e.Condition != Available {
			return 0
		}
		return e.Change
	case Counted:
		return e.Counted - d.Goods
	case Reserved:
		return -e.Quantity
	case ReservationReleased:
		return e.Quantity
	case Allocated:
		return -e.Quantity
	case Deallocated:
		return e.Quantity
	case Returned:
		return units(e.Condition == Available, e.Quantity)
	case CameBack:
		return units(e.Condition == Available, e.Quantity)
	case Moved:
		return units(e.To == Available, e.Quantity) - units(e.From == Available, e.Quantity)
	case TransferredOut:
		return -e.Quantity
	case TransferredIn:
		return e.Quantity
	case Shipped:
		return -e.Unpromised // the promised part takes the same number off on hand and off allocated
	case PolicySet:
		return d.Policy.SafetyStock - e.SafetyStock
	case ReservationExtended, ReservationExpired, ReservationCommitted, ReorderPointCrossed:
		// Only a reservation that is not due can be extended. A commitment turns reserved units
		// into allocated ones.
	}
	return 0
}

func units(counted bool, quantity unit.Quantity) unit.Quantity {
	if counted {
		return quantity
	}
	return 0
}

// isExpired tells whether a reservation without a recorded end has reached its
// deadline.
func (h Reservation) isExpired(now time.Time) bool { return !h.ExpiresAt.After(now) }
