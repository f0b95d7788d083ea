package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// parcelAtStock names a parcel and a stock that took back units of it, in one condition.
type parcelAtStock struct {
	order     unit.OrderID
	parcel    unit.ShipmentID
	key       stock.Key
	condition stock.Condition
}

// parcel is what the events of an order say of one parcel.
type parcel struct {
	units   map[int]unit.Quantity // by line
	goods   map[int]unit.Quantity // of these, without services
	resent  map[int]unit.Quantity
	credits map[int]unit.Quantity
	where   order.ParcelState
	counted map[int]unit.Quantity // delivered, of the order
}

// parcels are the parcels of one order, folded by code that shares nothing with the domain.
type parcels struct {
	byID   map[unit.ShipmentID]*parcel
	back   map[parcelAtStock]unit.Quantity
	faults []string
}

func (p *parcels) fold(id unit.OrderID, value order.Event) {
	switch e := value.(type) { //nolint:gochecksumtype // only these are about parcels
	case order.Shipped:
		units, goods := map[int]unit.Quantity{}, map[int]unit.Quantity{}
		for _, l := range e.Lines {
			units[l.Line] += l.Quantity
			if l.Kind == unit.Stocked {
				goods[l.Line] += l.Quantity
			}
		}
		if p.byID == nil {
			p.byID, p.back = map[unit.ShipmentID]*parcel{}, map[parcelAtStock]unit.Quantity{}
		}
		p.byID[e.ShipmentID] = &parcel{
			units: units, goods: goods, resent: map[int]unit.Quantity{}, credits: map[int]unit.Quantity{}, counted: map[int]unit.Quantity{}, where: order.ParcelShipped,
		}
	case order.Delivered:
		if of := p.reported(e.ShipmentID, order.ParcelDelivered); of != nil {
			for line, units := range of.units {
				of.counted[line] = units - of.resent[line] - of.credits[line]
			}
		}
	case order.ParcelReported:
		p.reported(e.ShipmentID, e.State)
	case order.ParcelBack:
		p.cameBack(id, e)
	case order.ParcelResent:
		for _, l := range e.Lines {
			p.settle(e.ShipmentID, l.Line, l.Quantity, func(of *parcel) map[int]unit.Quantity { return of.resent })
		}
	case order.Credited:
		if e.Cause != order.CreditForParcel {
			return
		}
		for _, l := range e.Lines {
			p.settle(e.ShipmentID, l.Line, l.Quantity, func(of *parcel) map[int]unit.Quantity { return of.credits })
		}
	}
}

func (p *parcels) fault(format string, args ...any) {
	p.faults = append(p.faults, fmt.Sprintf(format, args...))
}

// reported notes where a parcel is. A parcel that arrived or came back stays there.
func (p *parcels) reported(id unit.ShipmentID, where order.ParcelState) *parcel {
	of := p.byID[id]
	switch {
	case of == nil:
		p.fault("parcel %s is %s, but it never left", id, where)
		return nil
	case of.where == order.ParcelDelivered || of.where == order.ParcelCameBack:
		p.fault("parcel %s is %s after it was %s", id, where, of.where)
	}
	of.where = where
	return of
}

func (p *parcels) cameBack(id unit.OrderID, e order.ParcelBack) {
	of := p.reported(e.ShipmentID, order.ParcelCameBack)
	if of == nil {
		return
	}
	left := maps.Clone(of.goods)
	for _, l := range e.Lines {
		left[l.Line] -= l.Quantity
		condition := stock.Available
		switch l.Disposition {
		case order.Missing:
			continue
		case order.Damaged:
			condition = stock.Damaged
		case order.Quarantined:
			condition = stock.QualityControl
		case order.Restocked:
		}
		p.back[parcelAtStock{id, e.ShipmentID, stock.Key{SKU: l.SKU, Location: e.Location}, condition}] += l.Quantity
	}
	for line, units := range left {
		if units != 0 {
			p.fault("parcel %s, line %d: %d units of it neither came back nor were lost", e.ShipmentID, line, units)
		}
	}
}

// settle notes what follows for units of a parcel: they are sent again, or credited.
func (p *parcels) settle(id unit.ShipmentID, line int, units unit.Quantity, kind func(*parcel) map[int]unit.Quantity) {
	of := p.byID[id]
	if of == nil {
		p.fault("parcel %s never left, and %d units of it are sent again or credited", id, units)
		return
	}
	kind(of)[line] += units
	if of.where != order.ParcelLost && of.where != order.ParcelCameBack {
		p.fault("parcel %s, line %d: units are sent again or credited while it is %s", id, line, of.where)
	}
	if of.resent[line]+of.credits[line] > of.units[line] {
		p.fault("parcel %s, line %d: %d sent again and %d credited of %d", id, line, of.resent[line], of.credits[line], of.units[line])
	}
}

// settled is how many units of a line are sent again, or credited.
func (p *parcels) settled(line int) (units unit.Quantity) {
	for _, of := range p.byID {
		units += of.resent[line] + of.credits[line]
	}
	return units
}

// checkParcels checks parcels that did not arrive: each is in one place, each of its units is sent
// again or credited once, and stock took back what came back. The order's own fold must say the
// same.
func (b *Book) checkParcels() *Check {
	check := &Check{Name: "parcels: each unit arrived, came back, is sent again or was credited once"}
	takenBack := maps.Clone(b.cameBack)
	for _, id := range sorted(b.Orders) {
		o := b.Orders[id]
		check.Examined++
		for _, fault := range o.parcels.faults {
			check.differ("order %s: %s", id, fault)
		}
		for _, l := range o.Lines {
			b.checkParcelsOfLine(check, id, o, l)
		}
		unsettled := slices.ContainsFunc(o.Unsettled, func(step order.OpenStep) bool { return step.Step == order.StepCameBack })
		for at, units := range o.parcels.back {
			if got := takenBack[at]; got != units && !unsettled {
				check.differ("order %s: %s@%s took back %d of parcel %s as %s, %d came back", id, at.key.SKU, at.key.Location, got, at.parcel, at.condition, units)
			}
			delete(takenBack, at)
		}
	}
	for _, at := range slices.SortedFunc(maps.Keys(takenBack), func(a, b parcelAtStock) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.parcel, b.parcel), compareKeys(a.key, b.key), cmp.Compare(a.condition, b.condition))
	}) {
		check.differ("order %s: %s@%s took back %d of parcel %s as %s, 0 came back", at.order, at.key.SKU, at.key.Location, takenBack[at], at.parcel, at.condition)
	}
	return check
}

// checkParcelsOfLine compares what the parcels say of a line with the order's fold.
func (b *Book) checkParcelsOfLine(check *Check, id unit.OrderID, o *Order, l order.Line) {
	var left, credited, arrived unit.Quantity
	for _, of := range o.parcels.byID {
		left += of.units[l.Number] - of.resent[l.Number]
		credited += of.credits[l.Number]
		arrived += of.counted[l.Number]
	}
	if l.Shipped != left || l.Undelivered != credited || l.Delivered != arrived {
		check.differ("order %s, line %d: %d shipped, %d undelivered, %d delivered; its parcels make %d, %d and %d",
			id, l.Number, l.Shipped, l.Undelivered, l.Delivered, left, credited, arrived)
	}
}
