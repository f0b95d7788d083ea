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
	ID []string
	stock.Key
	command stock.Command // without its time
}

// Command is the command to stock, at a time.
func (m Move) Command(now time.Time) stock.Command {
	switch c := m.command.(type) {
	case stock.Commit:
		c.Now = now
		return c
	case stock.Release:
		c.Now = now
		return c
	case stock.Reserve:
		c.Now, c.ExpiresAt = now, now.Add(retryHold)
		return c
	case stock.Deallocate:
		c.Now = now
		return c
	case stock.Ship:
		c.Now = now
		return c
	case stock.TakeBack:
		c.Now = now
		return c
	}
	panic("fulfilment: no such movement")
}

// Answer is what stock said: done (Refusal is nil), or why not. A failure to
// reach stock is no answer.
type Answer struct {
	Move    Move
	Refusal *rule.Rejection
}

// toStock makes the movement that a step of an order asks for. Each is made
// once, however often and late it is asked: a reservation has one life and one
// end, a shipment its id, and a deallocation, which is only asked for what is
// allocated, its ref.
func (p Process) toStock(step order.OpenStep, m order.Move) Move {
	at := stock.At{Key: stock.Key{SKU: m.SKU, Location: m.Location}}
	ref := string(step.Step)
	if step.Ref != "" {
		ref += "/" + step.Ref
	}
	move := Move{
		Key: at.Key,
		ID:  []string{string(m.Action), string(p.id), ref, string(m.SKU), string(m.Location)},
	}
	if m.Action == order.ActShip && step.Forced {
		move.ID[0] = "ship by force"
	}
	switch m.Action {
	case order.ActCommit:
		move.command = stock.Commit{At: at, ReservationID: m.ReservationID}
	case order.ActRelease:
		move.command = stock.Release{At: at, ReservationID: m.ReservationID, Reason: ref}
	case order.ActReserve:
		move.command = stock.Reserve{At: at, ReservationID: m.ReservationID, OrderID: p.id, Quantity: m.Quantity}
	case order.ActDeallocate:
		move.command = stock.Deallocate{At: at, OrderID: p.id, Ref: ref, Quantity: m.Quantity, Reason: ref}
	case order.ActShip:
		move.command = stock.Ship{At: at, OrderID: p.id, ShipmentID: unit.ShipmentID(step.Ref), Quantity: m.Quantity, Force: step.Forced}
	}
	return move
}
