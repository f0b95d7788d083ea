package fulfilment

import (
	"time"

	"daybook/domain/order"
	"daybook/domain/rule"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// retryReserveFor is how long the reservations of a retry last. They are committed as soon as all
// of them are made. If the driver is cut off before that, they expire.
const retryReserveFor = 15 * time.Minute

// Move is one movement to ask of stock.
type Move struct {
	// ID is the same for every driver, also if it asks again. The command's id derives from it.
	ID unit.Derived
	stock.Key
	command func(now time.Time) stock.Command
}

// Command is the command to stock, at a time.
func (m Move) Command(now time.Time) stock.Command { return m.command(now) }

// StockReply is what stock replied to a move. Refusal is nil if the move was made. A failure
// to reach stock is no reply.
type StockReply struct {
	Move    Move
	Refusal *rule.Rejection
}

// toStock makes the Move for a movement that a step of an order asks for. Each is made once,
// even if it is asked often or late: a reservation has one life and one end, a shipment has
// its id, and a deallocation has its ref. Only what is allocated is deallocated. again marks
// a commit that was refused before.
func (p Process) toStock(step order.OpenStep, m order.Move, again bool) Move {
	ref := string(step.Step)
	if step.Ref != "" {
		ref += "/" + step.Ref
	}
	move := Move{
		Key: stock.Key{SKU: m.SKU, Location: m.Location},
	}
	parts := []string{string(p.id), ref, string(m.SKU), string(m.Location)}
	if m.Action == order.ActTakeBack { // a step takes goods back in several conditions
		parts = append(parts, string(m.Disposition))
	}
	move.ID = derivationOf(m.Action, step.Forced, again).Of(parts...)
	move.command = func(now time.Time) stock.Command {
		at := stock.At{Key: move.Key, Now: now}
		switch m.Action {
		case order.ActReserve:
			return stock.Reserve{At: at, ReservationID: m.ReservationID, OrderID: p.id, Quantity: m.Quantity, ExpiresAt: now.Add(retryReserveFor)}
		case order.ActCommit:
			return stock.Commit{At: at, ReservationID: m.ReservationID, OrderID: p.id, Quantity: m.Quantity}
		case order.ActRelease:
			return stock.Release{At: at, ReservationID: m.ReservationID, Reason: ref}
		case order.ActDeallocate:
			return stock.Deallocate{At: at, OrderID: p.id, Ref: ref, Quantity: m.Quantity, Reason: ref}
		case order.ActExtend:
			return stock.Extend{At: at, ReservationID: m.ReservationID, ExpiresAt: m.Until, Prolong: true}
		case order.ActShip:
			return stock.Ship{At: at, OrderID: p.id, ShipmentID: unit.ShipmentID(step.Ref), Quantity: m.Quantity, Force: step.Forced}
		case order.ActTakeBack:
			return stock.TakeParcelBack{
				At: at, OrderID: p.id, ShipmentID: unit.ShipmentID(step.Ref), Quantity: m.Quantity, Condition: conditionOf(m.Disposition),
				Keep: m.Keep, ReservationID: m.ReservationID,
			}
		}
		panic("fulfilment: no such action")
	}
	return move
}

// derivationOf is the kind of the command id of a movement.
func derivationOf(action order.Action, forced, again bool) *unit.Derivation {
	switch action {
	case order.ActReserve:
		return unit.MoveReserve
	case order.ActCommit:
		if again {
			return unit.MoveCommitOver
		}
		return unit.MoveCommit
	case order.ActRelease:
		return unit.MoveRelease
	case order.ActDeallocate:
		return unit.MoveDeallocate
	case order.ActExtend:
		return unit.MoveExtend
	case order.ActShip:
		if forced {
			return unit.MoveShipForced
		}
		return unit.MoveShip
	case order.ActTakeBack:
		return unit.MoveParcelBack
	}
	panic("fulfilment: no such action")
}

// conditionOf is the condition in which stock takes goods of a parcel back.
func conditionOf(d order.Disposition) stock.Condition {
	switch d {
	case order.Damaged:
		return stock.Damaged
	case order.Quarantined:
		return stock.QualityControl
	case order.Restocked, order.Missing: // what is missing asks nothing of stock
	}
	return stock.Available
}
