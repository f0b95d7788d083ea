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
		ID:  derivationOf(m.Action, step.Forced, again).Of(string(p.id), ref, string(m.SKU), string(m.Location)),
	}
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
	}
	panic("fulfilment: no such action")
}
