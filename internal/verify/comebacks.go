package verify

import (
	"slices"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
)

// orderLine is a line of an order.
type orderLine struct {
	order unit.OrderID
	line  int
}

// stands tells a return of which something came or may come.
func (r *Return) stands() bool {
	return r.Status != returns.StatusDeclined && r.Status != returns.StatusCanceled
}

// checkComebacks compares orders and returns: no more comes back of a line than
// has shipped, what an order has admitted is of a return that stands, and each
// refund is recorded on both. Returns that were requested before orders admitted
// them name nothing to admit, and are not counted.
func (b *Book) checkComebacks() *Check {
	check := &Check{Name: "orders and returns: no unit comes back twice, refunds are on both"}
	back := map[orderLine]unit.Quantity{}
	for _, id := range sorted(b.Returns) {
		r := b.Returns[id]
		if r.Status == returns.StatusNoted {
			continue
		}
		check.Examined++
		if r.stands() && r.admitted {
			for _, l := range r.Requested.Lines {
				for _, link := range l.Links {
					back[orderLine{link.OrderID, link.Line}] += link.Quantity
				}
			}
		}
		if b.underWay(r.end) {
			continue
		}
		b.checkAdmission(check, id, r)
		b.checkRefunds(check, id, r)
	}
	for _, id := range sorted(b.Orders) {
		o := b.Orders[id]
		for _, l := range o.Lines {
			check.Examined++
			if units := back[orderLine{id, l.Number}]; units > o.left(l.Number) {
				check.differ("order %s, line %d: %d come back, %d have shipped", id, l.Number, units, o.left(l.Number))
			}
		}
		b.checkReturnsOf(check, id, o)
	}
	return check
}

// checkReturnsOf wants what an order knows of its returns to be known to them.
func (b *Book) checkReturnsOf(check *Check, id unit.OrderID, o *Order) {
	for _, admitted := range o.Returns {
		r := b.Returns[admitted.ID]
		switch {
		case r == nil || !admitted.Released && !r.stands() && !b.underWay(r.end):
			check.differ("order %s has admitted return %s, which does not stand", id, admitted.ID)
		case !admitted.Released && !slices.ContainsFunc(r.Requested.Admit, func(of returns.OrderUnits) bool { return of.OrderID == id }):
			check.differ("order %s has admitted return %s, which did not ask it to", id, admitted.ID)
		}
	}
	for _, t := range o.Transactions {
		if t.ReturnID == "" {
			continue
		}
		check.Examined++
		r := b.Returns[t.ReturnID]
		known := r != nil && slices.ContainsFunc(r.Refunds, func(refund returns.Refunded) bool {
			return refund.TransactionID == t.ID &&
				slices.ContainsFunc(refund.Shares, func(share returns.Share) bool { return share.OrderID == id })
		})
		if !known {
			check.differ("order %s: %s %s is of return %s, which does not know of it", id, t.Type, t.ID, t.ReturnID)
		}
	}
}

// left is what of a line is in parcels.
func (o *Order) left(line int) (units unit.Quantity) {
	for _, parcel := range o.Shipments {
		for _, l := range parcel.Lines {
			if l.Line == line {
				units += l.Quantity
			}
		}
	}
	return units
}

// checkAdmission wants each order that a return asked to have its units, and the
// same ones.
func (b *Book) checkAdmission(check *Check, id unit.ReturnID, r *Return) {
	if r.stands() && len(r.Requested.Admit) > 0 && !r.admitted {
		check.differ("return %s: its orders have not said whether they admit it", id)
		return
	}
	for _, open := range r.OrdersUnsettled {
		check.differ("return %s: its orders are not settled for %s %s", id, open.Step, open.Ref)
	}
	if !r.stands() || !r.admitted {
		return
	}
	for _, of := range r.Requested.Admit {
		want := map[int]unit.Quantity{}
		for _, l := range r.Requested.Lines {
			for _, link := range l.Links {
				if link.OrderID == of.OrderID {
					want[link.Line] += link.Quantity
				}
			}
		}
		var have []order.LineQuantity
		if o := b.Orders[of.OrderID]; o != nil {
			if i := slices.IndexFunc(o.Returns, func(back order.Return) bool { return back.ID == id && !back.Released }); i >= 0 {
				have = o.Returns[i].Lines
			}
		}
		for _, l := range have {
			want[l.Line] -= l.Quantity
		}
		for _, line := range sorted(want) {
			if want[line] != 0 {
				check.differ("return %s: %d more units of line %d of order %s than it has admitted", id, want[line], line, of.OrderID)
			}
		}
	}
}

// checkRefunds wants each share of a refund to be a transaction of its order. An
// order that is not there, or counts in other money, takes none. A return that
// has refunds stands: the units of one that does not may come back again.
func (b *Book) checkRefunds(check *Check, id unit.ReturnID, r *Return) {
	if !r.stands() && len(r.Requested.Admit) > 0 && len(r.Refunds) > 0 {
		check.differ("return %s: %d refunds, and it is %s", id, len(r.Refunds), r.Status)
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
