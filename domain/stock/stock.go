package stock

import (
	"fmt"
	"strings"
	"time"

	"daybook/domain/bloom"
	"daybook/domain/unit"
)

// Category starts the names of stock streams.
const Category = "stock"

// Stream names the stream of an item at a place: "stock-85123A@main". A SKU
// holds no '@'.
func Stream(sku unit.SKU, location unit.LocationID) string {
	return Category + "-" + string(sku) + "@" + string(location)
}

// ParseStream reads the name of a stock stream.
func ParseStream(stream string) (Key, error) {
	name, ours := strings.CutPrefix(stream, Category+"-")
	at := strings.LastIndexByte(name, '@')
	if !ours || at < 1 || at == len(name)-1 {
		return Key{}, fmt.Errorf("%q does not name a stream of stock", stream)
	}
	return Key{SKU: unit.SKU(name[:at]), Location: unit.LocationID(name[at+1:])}, nil
}

// ReservationIDFor names what the checkouts of older programs reserve for an order
// of an item at a place. Those of today have other ids, see checkout.ReservationID.
func ReservationIDFor(order unit.OrderID, sku unit.SKU, location unit.LocationID) unit.ReservationID {
	return unit.ReservationID(unit.OrderReservation.Of(string(order), string(sku), string(location)).ID())
}

// DirectReservationIDFor names what is reserved for an order by itself, apart from
// its checkout, so that asking twice is the same reservation.
func DirectReservationIDFor(order unit.OrderID, sku unit.SKU, location unit.LocationID) unit.ReservationID {
	return unit.ReservationID(unit.DirectReservation.Of(string(order), string(sku), string(location)).ID())
}

// FoldVersion is that of State's shape, of Evolve and of Guarded; a snapshot of
// another version is not used.
const FoldVersion = 7

// How much of the past a stock remembers in detail, so that a repeated step is
// answered at once. For older things State.Forgotten holds only the name; the details
// are read from the stream: see Recall. (Variables, so that a test can make a stock
// forget soon.)
var (
	rememberedEnds      = 4096
	rememberedMovements = 1024
)

// Guarded tells the events that State keeps from being recorded twice, at any age:
// it knows a reservation while it holds and then by its end, and a shipment by its id,
// or knows that it has forgotten them. A deadline that is moved again harms
// nobody. They are nearly all that happens to a stock that sells.
func Guarded(e Event) bool {
	switch e.(type) {
	case Reserved, ReservationExtended, ReservationReleased, ReservationExpired, ReservationCommitted, Shipped, ReorderPointCrossed:
		return true
	case Received, Adjusted, Counted, Allocated, Deallocated, Returned, Moved, TransferredOut, TransferredIn, PolicySet:
		// Some have ids in State; others have an id only sometimes (a deallocation's ref).
		// An allocation that was taken back would be made again.
	}
	return false
}

// State is what the rules need to know of a stock. The zero State has nothing
// and promised nothing. Its quantities are read by the methods, which know the
// time; each is a sum over the stream's events.
type State struct {
	Goods    unit.Quantity `json:"on_hand"` // < 0 only after a forced dispatch
	SetApart SetApart      `json:"unavailable,omitzero"`
	Policy   Policy        `json:"policy,omitzero"`

	// Holds are the reservations that have no recorded end, due ones included.
	Holds     map[unit.ReservationID]Hold `json:"holds,omitempty"`
	Held      unit.Quantity               `json:"held,omitzero"` // sum over Holds
	Deadlines Deadlines                   `json:"deadlines,omitempty"`

	// Orders are the hard promises that are not all shipped.
	Orders   map[unit.OrderID]Promise `json:"orders,omitempty"`
	Promised unit.Quantity            `json:"promised,omitzero"` // sum of Open over Orders

	Ended     Recent[End]  `json:"ended,omitzero"`     // by reservation id
	Movements Recent[Made] `json:"movements,omitzero"` // by name: see movement

	// Forgotten has the names of what was known once: reservations that have left
	// Ended, movements that have left Movements, and orders whose promise was all shipped. It
	// is all of State that grows with the stream: by 5 to 10 bytes for each of these
	// names, of which a sale (reserved, committed, shipped) has three. For a stock that
	// sold a million times it holds 15 to 30 MB. About one new name in 400,000 is
	// wrongly taken for forgotten; this costs one search of the log.
	Forgotten bloom.Filter `json:"forgotten,omitzero"`

	// Recalled is what the log said of forgotten things, by name, for one Decide: see
	// Recall. It is empty in a state that was folded.
	Recalled map[string]Past `json:"recalled,omitempty"`
}

// Made is the content of a movement that is made once.
type Made struct {
	Quantity unit.Quantity `json:"quantity"`
	With     string        `json:"with,omitempty"` // the other location of a transfer, the order of a return
}

// SetApart counts goods on hand that are not for sale.
type SetApart struct {
	Damaged        unit.Quantity `json:"damaged,omitzero"`
	QualityControl unit.Quantity `json:"quality_control,omitzero"`
	Other          unit.Quantity `json:"other,omitzero"`
}

// Hold is a reservation without a recorded end.
type Hold struct {
	OrderID   unit.OrderID  `json:"order_id"`
	Quantity  unit.Quantity `json:"quantity"`
	ExpiresAt time.Time     `json:"expires_at"`
	Direct    bool          `json:"direct,omitzero"` // no order's process holds it
	// What it was asked with: the length, and the first deadline if that has moved since.
	HoldSeconds int64     `json:"hold_seconds,omitzero"`
	First       time.Time `json:"first,omitzero"`
}

// Promise is what an order was promised: Open is allocated, Shipped has left.
type Promise struct {
	Open unit.Quantity `json:"open"`
	// Owned is how much of Open belongs to the process of the order: it committed
	// a reservation for it.
	Owned   unit.Quantity `json:"owned,omitzero"`
	Shipped unit.Quantity `json:"shipped,omitzero"`
	// Resumed means that the order was promised something before, all of which has
	// shipped. That is not in Shipped.
	Resumed bool `json:"resumed,omitzero"`
}

// End is how a reservation ended.
type End string

const (
	EndCommitted End = "committed"
	EndReleased  End = "released"
	EndExpired   End = "expired"
)

// OnHand is what is physically there.
func (s State) OnHand() unit.Quantity { return s.Goods }

// Reserved is what is softly held at a time: a reservation counts up to its
// deadline, whether or not its end is recorded.
func (s State) Reserved(now time.Time) unit.Quantity {
	return s.Held - s.dueQuantity(now)
}

// Allocated is what is promised to orders and has not shipped.
func (s State) Allocated() unit.Quantity { return s.Promised }

// Unavailable is what is on hand in a condition that is not for sale. Of
// Available it is zero.
func (s State) Unavailable(c Condition) unit.Quantity {
	switch c {
	case Damaged:
		return s.SetApart.Damaged
	case QualityControl:
		return s.SetApart.QualityControl
	case OtherCondition:
		return s.SetApart.Other
	case Available:
	}
	return 0
}

// UnavailableTotal is what is on hand and not for sale.
func (s State) UnavailableTotal() unit.Quantity {
	return s.SetApart.Damaged + s.SetApart.QualityControl + s.SetApart.Other
}

// SafetyStock is what is kept back from sale.
func (s State) SafetyStock() unit.Quantity { return s.Policy.SafetyStock }

// Available is what is there and promised to nobody. It is below zero where
// more is promised than is there: backorders, or goods found missing.
func (s State) Available(now time.Time) unit.Quantity {
	return s.Goods - s.UnavailableTotal() - s.Policy.SafetyStock - s.Promised - s.Reserved(now)
}

// Sellable is what can still be promised: available, and what the backorder
// limit leaves. It is below zero where even that is overdrawn.
func (s State) Sellable(now time.Time) unit.Quantity {
	return s.Available(now) + s.Policy.BackorderLimit
}

// Backordered is what is promised to orders with no goods behind it.
func (s State) Backordered() unit.Quantity {
	return max(0, s.Promised-max(0, s.Goods-s.UnavailableTotal()))
}
