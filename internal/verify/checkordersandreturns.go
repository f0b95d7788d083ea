package verify

import (
	"slices"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
)

// orderLine names a line of an order.
type orderLine struct {
	order unit.OrderID
	line  int
}

// isActive tells whether units of a return came back or may come back.
func (r *Return) isActive() bool {
	return r.Status != returns.StatusDeclined && r.Status != returns.StatusCanceled
}

// checkOrdersAndReturns compares orders and returns. No more units of a line may come back than
// have shipped. A return that an order has admitted must be active. Each refund must be recorded on
// the return and on its orders. A return of an earlier version, in which orders did not admit
// returns, names no units to admit and is not counted.
func (b *Book) checkOrdersAndReturns() *Check {
	check := &Check{Name: "orders and returns: no unit comes back twice, refunds are on both"}
	back := map[orderLine]unit.Quantity{}
	for _, id := range sorted(b.Returns) {
		r := b.Returns[id]
		if r.Status == returns.StatusNoted {
			continue
		}
		check.Examined++
		if cart := r.Requested.CartID; cart != "" {
			if of := b.Orders[r.Requested.OrderID]; of == nil || of.CartID != cart {
				check.differ("return %s names cart %s, which is not the cart of its order", id, cart)
			}
		}
		if r.isActive() && r.admitted {
			for _, l := range r.Requested.Lines {
				for _, link := range l.Links {
					back[orderLine{link.OrderID, link.Line}] += link.Quantity
				}
			}
		}
		if b.underWay(r.last) {
			continue
		}
		b.checkAdmission(check, id, r)
		b.checkRefunds(check, id, r)
	}
	for _, id := range sorted(b.Orders) {
		o := b.Orders[id]
		for _, l := range o.Lines {
			check.Examined++
			if units := back[orderLine{id, l.Number}]; units > o.shipped(l.Number) {
				check.differ("order %s, line %d: %d come back, %d have shipped", id, l.Number, units, o.shipped(l.Number))
			}
		}
		b.checkReturnsOfOrder(check, id, o)
	}
	return check
}

// checkReturnsOfOrder checks that the returns and refunds that an order has recorded are recorded
// on the returns too.
func (b *Book) checkReturnsOfOrder(check *Check, id unit.OrderID, o *Order) {
	for _, admitted := range o.Returns {
		r := b.Returns[admitted.ID]
		switch {
		case r == nil || !admitted.Released && !r.isActive() && !b.underWay(r.last):
			check.differ("order %s has admitted return %s, which is not active", id, admitted.ID)
		case o.TakenOver && r.Requested.OrderID == id && r.Customer() == "" && !b.underWay(o.last) && !b.underWay(r.last):
			check.differ("order %s was taken over, but its return %s has no customer", id, admitted.ID)
		case r.TakenOverBy != "" && r.Requested.OrderID == id && r.TakenOverBy != o.CustomerID:
			check.differ("return %s was taken over by another customer than its order %s", admitted.ID, id)
		case !admitted.Released && !slices.ContainsFunc(r.Requested.Admit, func(of returns.OrderUnits) bool { return of.OrderID == id }):
			check.differ("order %s has admitted return %s, which did not ask it", id, admitted.ID)
		}
	}
	for _, t := range o.Transactions {
		if t.ReturnID == "" {
			continue
		}
		check.Examined++
		r := b.Returns[t.ReturnID]
		found := r != nil && slices.ContainsFunc(r.Refunds, func(refund returns.Refunded) bool {
			return refund.TransactionID == t.ID &&
				slices.ContainsFunc(refund.Shares, func(share returns.Share) bool { return share.OrderID == id })
		})
		if !found {
			check.differ("order %s: %s %s belongs to return %s, which has not recorded it", id, t.Type, t.ID, t.ReturnID)
		}
	}
}

// shipped is how many units of a line are in shipments, without those that never arrived and are
// sent again or credited.
func (o *Order) shipped(line int) (units unit.Quantity) {
	for _, parcel := range o.Shipments {
		for _, l := range parcel.Lines {
			if l.Line == line {
				units += l.Quantity
			}
		}
	}
	return units - o.parcels.settled(line)
}

// checkAdmission checks the orders that a return asked. Each must have admitted the units that the
// return names.
func (b *Book) checkAdmission(check *Check, id unit.ReturnID, r *Return) {
	if r.isActive() && len(r.Requested.Admit) > 0 && !r.admitted {
		check.differ("return %s: its orders have not said whether they admit it", id)
		return
	}
	for _, open := range r.OrdersUnsettled {
		check.differ("return %s: its orders are not settled for %s %s", id, open.Step, open.Ref)
	}
	if !r.isActive() || !r.admitted {
		return
	}
	for _, of := range r.Requested.Admit {
		missing := map[int]unit.Quantity{}
		for _, l := range r.Requested.Lines {
			for _, link := range l.Links {
				if link.OrderID == of.OrderID {
					missing[link.Line] += link.Quantity
				}
			}
		}
		var admitted []order.LineQuantity
		if o := b.Orders[of.OrderID]; o != nil {
			if i := slices.IndexFunc(o.Returns, func(back order.Return) bool { return back.ID == id && !back.Released }); i >= 0 {
				admitted = o.Returns[i].Lines
			}
		}
		for _, l := range admitted {
			missing[l.Line] -= l.Quantity
		}
		for _, line := range sorted(missing) {
			if missing[line] != 0 {
				check.differ("return %s: it has %d more units of line %d of order %s than the order has admitted", id, missing[line], line, of.OrderID)
			}
		}
	}
}

// checkRefunds checks that each share of a refund is a transaction of its order. An order that
// does not exist or has another currency refuses its share, so such a share is not checked. A
// return with refunds must be active, because the units of one that is not may be returned again.
func (b *Book) checkRefunds(check *Check, id unit.ReturnID, r *Return) {
	if !r.isActive() && len(r.Requested.Admit) > 0 && len(r.Refunds) > 0 {
		check.differ("return %s: it has %d refunds, but it is %s", id, len(r.Refunds), r.Status)
	}
	for _, refund := range r.Refunds {
		for _, share := range refund.Shares {
			o := b.Orders[share.OrderID]
			if o == nil || o.Currency() != share.Amount.Currency {
				continue
			}
			check.Examined++
			t, found := o.Transaction(refund.TransactionID)
			switch {
			case !found:
				check.differ("return %s: refund %s of %s is not on order %s", id, refund.TransactionID, share.Amount, share.OrderID)
			case t.Type != order.Refund || t.State != order.Succeeded || !t.Amount.Equal(share.Amount) || t.ReturnID != id:
				check.differ("return %s: refund %s of %s is a %s of %s on order %s, %s, of return %q",
					id, refund.TransactionID, share.Amount, t.Type, t.Amount, share.OrderID, t.State, t.ReturnID)
			}
		}
	}
}
