package fulfilment

import (
	"time"

	"daybook/domain/order"
	"daybook/domain/rule"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// retryHold is how long a retry's reservations last. They are committed as soon
// as all are had; one whose driver died in between frees itself.
const retryHold = 15 * time.Minute

// Move is one movement to ask of stock.
type Move struct {
	// ID is the same whoever asks and however often: the command's id derives
	// from it.
	ID unit.Derived
	stock.Key
	command func(now time.Time) stock.Command
}

// Command is the command to stock, at a time.
func (m Move) Command(now time.Time) stock.Command { return m.command(now) }

// StockReply is what stock said: done (Refusal is nil), or why not. A failure to
// reach stock is no answer.
type StockReply struct {
	Move    Move
	Refusal *rule.Rejection
}

// toStock makes the movement that a step of an order asks for. Each is made
// once, however often and late it is asked: a reservation has one life and one
// end, a shipment its id, and a deallocation, which is only asked for what is
// allocated, its ref. again marks a commit that was refused before.
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
			return stock.Reserve{At: at, ReservationID: m.ReservationID, OrderID: p.id, Quantity: m.Quantity, ExpiresAt: now.Add(retryHold)}
		case order.ActCommit:
			return stock.Commit{At: at, ReservationID: m.ReservationID, OrderID: p.id, Quantity: m.Quantity}
		case order.ActRelease:
			return stock.Release{At: at, ReservationID: m.ReservationID, Reason: ref}
		case order.ActDeallocate:
			return stock.Deallocate{At: at, OrderID: p.id, Ref: ref, Quantity: m.Quantity, Reason: ref}
		case order.ActShip:
			return stock.Ship{At: at, OrderID: p.id, ShipmentID: unit.ShipmentID(step.Ref), Quantity: m.Quantity, Force: step.Forced}
		}
		panic("fulfilment: no such action")
	}
	return move
}

// derivationOf is the kind of command id that a movement has.
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
	case order.ActShip:
		if forced {
			return unit.MoveShipForced
		}
		return unit.MoveShip
	}
	panic("fulfilment: no such action")
}
