// Package stock is one SKU at one location: how many units are there, how many of them are
// promised, and to which orders. Its Decide is the place where overselling is refused.
// Package checkout decides which location serves an order.
package stock

import (
	"fmt"
	"strings"
	"time"

	"daybook/domain/unit"
)

// Category starts the names of stock streams.
const Category = "stock"

// Stream names the stream of a SKU at a location: "stock-85123A@main". A SKU contains no '@'.
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

// Event is what can have happened to stock. The wire names in codec.go are storage format:
// they are versioned, never renamed. Every quantity of State is a sum over these events.
//
//sumtype:decl
type Event interface{ stockEvent() }

// Key says which stock an event belongs to. It is also in the stream's name. It is repeated
// here so that a reader of the event needs nothing else.
type Key struct {
	SKU      unit.SKU        `json:"sku"`
	Location unit.LocationID `json:"location"`
}

// Received adds goods that came in.
type Received struct {
	Key
	Quantity unit.Quantity `json:"quantity"` // > 0
	Document string        `json:"document,omitempty" class:"open"`
	Note     string        `json:"note,omitempty" class:"personal"`
}

// Reason is the kind of an adjustment, in the words that operators use.
type Reason string

const (
	Correction     Reason = "correction"
	CycleCount     Reason = "cycle_count"
	ReasonReceived Reason = "received"
	Restock        Reason = "restock"
	DamagedGoods   Reason = "damaged"
	Shrinkage      Reason = "shrinkage"
	Promotion      Reason = "promotion"
	OtherReason    Reason = "other"
)

// Adjusted corrects on hand.
type Adjusted struct {
	Key
	Change unit.Quantity `json:"change"` // != 0, on hand after minus before
	Reason Reason        `json:"reason"`
	// Condition is that of the goods which were found or are gone. Empty means available. For
	// another condition, unavailable changes as much as on hand.
	Condition Condition `json:"condition,omitempty"`
	Document  string    `json:"document,omitempty" class:"open"`
	Note      string    `json:"note,omitempty" class:"personal"`
}

// Counted records a count and the number that was expected. On hand becomes Counted.
type Counted struct {
	Key
	Expected unit.Quantity `json:"expected"`
	Counted  unit.Quantity `json:"counted"`
	Document string        `json:"document,omitempty" class:"open"`
	Note     string        `json:"note,omitempty" class:"personal"`
}

// Origin says who sent the command: a user directly, or an order's process. Events without an
// Origin count as the process's events.
type Origin struct {
	// Direct means that no process asked for it.
	Direct bool `json:"direct,omitzero"`
	// Override is the reason that allowed a direct command to change what belongs to an
	// order's process.
	Override string `json:"override,omitempty" class:"personal"`
}

// Reserved is a reservation with an owner and a deadline.
type Reserved struct {
	Key
	Origin
	ReservationID unit.ReservationID `json:"reservation_id"`
	OrderID       unit.OrderID       `json:"order_id"` // the owner
	Quantity      unit.Quantity      `json:"quantity"`
	ExpiresAt     time.Time          `json:"expires_at"`
	// ReserveSeconds is the length that the caller asked for. It is 0 if a deadline was named,
	// if a process made the reservation, and in events of older programs.
	ReserveSeconds int64 `json:"hold_seconds,omitzero"`
}

// ReservationExtended moves the deadline.
type ReservationExtended struct {
	Key
	Origin
	ReservationID unit.ReservationID `json:"reservation_id"`
	ExpiresAt     time.Time          `json:"expires_at"`
}

// ReservationReleased ends a reservation that is not wanted any more. A reservation has
// exactly one of three ends: ReservationReleased, ReservationExpired or ReservationCommitted.
type ReservationReleased struct {
	Key
	Origin
	ReservationID unit.ReservationID `json:"reservation_id"`
	OrderID       unit.OrderID       `json:"order_id"`
	Quantity      unit.Quantity      `json:"quantity"`
	Reason        string             `json:"reason,omitempty" class:"personal"`
}

// ReservationExpired ends a reservation whose deadline has passed.
type ReservationExpired struct {
	Key
	ReservationID unit.ReservationID `json:"reservation_id"`
	OrderID       unit.OrderID       `json:"order_id"`
	Quantity      unit.Quantity      `json:"quantity"`
}

// ReservationCommitted turns a reservation into an allocation of its order.
type ReservationCommitted struct {
	Key
	ReservationID unit.ReservationID `json:"reservation_id"`
	OrderID       unit.OrderID       `json:"order_id"`
	Quantity      unit.Quantity      `json:"quantity"`
}

// Allocated is an allocation of units that no earlier event has reserved.
type Allocated struct {
	Key
	OrderID  unit.OrderID  `json:"order_id"`
	Quantity unit.Quantity `json:"quantity"`
	// ReservationID is set if an order's process made the allocation. Because the order was
	// confirmed at once, the reservation with this id was made and committed by this one event. It
	// is empty if the allocation was made directly.
	ReservationID unit.ReservationID `json:"reservation_id,omitempty"`
}

// Deallocated takes a hard promise back.
type Deallocated struct {
	Key
	Origin
	OrderID  unit.OrderID  `json:"order_id"`
	Ref      string        `json:"ref,omitempty" class:"open"` // see Deallocate
	Quantity unit.Quantity `json:"quantity"`
	Reason   string        `json:"reason,omitempty" class:"personal"`
}

// Shipped takes allocated goods out of stock.
type Shipped struct {
	Key
	Origin
	OrderID    unit.OrderID    `json:"order_id"`
	ShipmentID unit.ShipmentID `json:"shipment_id"`
	Quantity   unit.Quantity   `json:"quantity"`
	// Forced records the shipment of goods that the books did not have. On hand is then
	// negative until a count or a receipt corrects it.
	Forced bool `json:"forced,omitzero"`
	// Unpromised is how many units of Quantity were no longer allocated to the order. Only a
	// process ships such units, because its order has recorded that the parcel left.
	Unpromised unit.Quantity `json:"unpromised,omitzero"`
}

// Promised is how many units of the parcel were allocated to the order.
func (s Shipped) Promised() unit.Quantity { return s.Quantity - s.Unpromised }

// Condition is the state of goods on hand: for sale, or unavailable for one of several
// reasons.
type Condition string

const (
	Available      Condition = "available"
	Damaged        Condition = "damaged"
	QualityControl Condition = "quality_control"
	OtherCondition Condition = "other"
)

// Returned adds goods that came back, in the condition they were found in.
type Returned struct {
	Key
	Origin
	ReturnID  unit.ReturnID `json:"return_id"`
	Receipt   int           `json:"receipt,omitzero"` // the return's arrival, 1, 2, ...
	OrderID   unit.OrderID  `json:"order_id,omitempty"`
	Quantity  unit.Quantity `json:"quantity"`
	Condition Condition     `json:"condition"`
}

// CameBack adds the goods of a parcel that did not reach its buyer, in the condition in which they
// came back. If they are for the order again, Allocated follows in the same append.
type CameBack struct {
	Key
	OrderID    unit.OrderID    `json:"order_id"`
	ShipmentID unit.ShipmentID `json:"shipment_id"`
	Quantity   unit.Quantity   `json:"quantity"` // > 0
	Condition  Condition       `json:"condition"`
}

// Moved changes the condition of goods on hand.
type Moved struct {
	Key
	From     Condition     `json:"from"`
	To       Condition     `json:"to"`
	Quantity unit.Quantity `json:"quantity"`
	Note     string        `json:"note,omitempty" class:"personal"`
}

// TransferredOut sends available goods to another location.
type TransferredOut struct {
	Key
	TransferID unit.TransferID `json:"transfer_id"`
	To         unit.LocationID `json:"to"`
	Quantity   unit.Quantity   `json:"quantity"`
}

// TransferredIn takes goods in from another location.
type TransferredIn struct {
	Key
	TransferID unit.TransferID `json:"transfer_id"`
	From       unit.LocationID `json:"from"`
	Quantity   unit.Quantity   `json:"quantity"`
}

// PolicySet replaces the item's policy.
type PolicySet struct {
	Key
	Policy
}

// Policy is how far the item may be sold.
type Policy struct {
	SafetyStock    unit.Quantity `json:"safety_stock"`    // >= 0, kept back from sale
	BackorderLimit unit.Quantity `json:"backorder_limit"` // >= 0, promised beyond what is there
	ReorderPoint   unit.Quantity `json:"reorder_point"`   // >= 0; 0 is no alert
}

// ReorderPointCrossed says that available fell to the reorder point or below it. It is in the
// same append as the event that caused this.
type ReorderPointCrossed struct {
	Key
	Available    unit.Quantity `json:"available"` // after the change; may be negative
	ReorderPoint unit.Quantity `json:"reorder_point"`
}

func (Received) stockEvent()             {}
func (Adjusted) stockEvent()             {}
func (Counted) stockEvent()              {}
func (Reserved) stockEvent()             {}
func (ReservationExtended) stockEvent()  {}
func (ReservationReleased) stockEvent()  {}
func (ReservationExpired) stockEvent()   {}
func (ReservationCommitted) stockEvent() {}
func (Allocated) stockEvent()            {}
func (Deallocated) stockEvent()          {}
func (Shipped) stockEvent()              {}
func (Returned) stockEvent()             {}
func (CameBack) stockEvent()             {}
func (Moved) stockEvent()                {}
func (TransferredOut) stockEvent()       {}
func (TransferredIn) stockEvent()        {}
func (PolicySet) stockEvent()            {}
func (ReorderPointCrossed) stockEvent()  {}
