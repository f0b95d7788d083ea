package stockview

import (
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// Change is how one event changes an item's quantities.
type Change struct {
	OnHand         unit.Quantity
	Reserved       unit.Quantity
	Allocated      unit.Quantity
	Damaged        unit.Quantity
	QualityControl unit.Quantity
	Other          unit.Quantity
}

func (c Change) plus(o Change) Change {
	return Change{
		OnHand: c.OnHand + o.OnHand, Reserved: c.Reserved + o.Reserved, Allocated: c.Allocated + o.Allocated,
		Damaged: c.Damaged + o.Damaged, QualityControl: c.QualityControl + o.QualityControl, Other: c.Other + o.Other,
	}
}

// in changes the number of goods in a condition. Available goods have no number of their own:
// they are on hand and in no other condition.
func (c *Change) in(condition stock.Condition, change unit.Quantity) {
	switch condition {
	case stock.Damaged:
		c.Damaged += change
	case stock.QualityControl:
		c.QualityControl += change
	case stock.OtherCondition:
		c.Other += change
	case stock.Available:
	}
}

// ChangeOf returns what an event changes. A test compares the sums of these changes with the
// domain's own fold.
func ChangeOf(event stock.Event) Change {
	var c Change
	switch e := event.(type) {
	case stock.Received:
		c.OnHand = e.Quantity
	case stock.Adjusted:
		c.OnHand = e.Change
		c.in(e.Condition, e.Change)
	case stock.Counted:
		c.OnHand = e.Counted - e.Expected
	case stock.Reserved:
		c.Reserved = e.Quantity
	case stock.ReservationReleased:
		c.Reserved = -e.Quantity
	case stock.ReservationExpired:
		c.Reserved = -e.Quantity
	case stock.ReservationCommitted:
		c.Reserved, c.Allocated = -e.Quantity, e.Quantity
	case stock.Allocated:
		c.Allocated = e.Quantity
	case stock.Deallocated:
		c.Allocated = -e.Quantity
	case stock.Shipped:
		c.OnHand, c.Allocated = -e.Quantity, -e.Promised()
	case stock.Returned:
		c.OnHand = e.Quantity
		c.in(e.Condition, e.Quantity)
	case stock.CameBack:
		c.OnHand = e.Quantity
		c.in(e.Condition, e.Quantity)
	case stock.Moved:
		c.in(e.From, -e.Quantity)
		c.in(e.To, e.Quantity)
	case stock.TransferredOut:
		c.OnHand = -e.Quantity
	case stock.TransferredIn:
		c.OnHand = e.Quantity
	case stock.ReservationExtended, stock.PolicySet, stock.ReorderPointCrossed:
	}
	return c
}
