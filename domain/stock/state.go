package stock

import (
	"strconv"
	"strings"
	"time"

	"daybook/domain/bloom"
	"daybook/domain/unit"
)

// ReservationIDFor is the id of what the checkouts of older programs reserved for an order,
// by SKU and location. Present checkouts use checkout.ReservationID.
func ReservationIDFor(order unit.OrderID, sku unit.SKU, location unit.LocationID) unit.ReservationID {
	return unit.ReservationID(unit.OrderReservation.Of(string(order), string(sku), string(location)).ID())
}

// DirectReservationIDFor is the id of what is reserved for an order directly and not by its
// checkout. So a request that is repeated asks for the same reservation.
func DirectReservationIDFor(order unit.OrderID, sku unit.SKU, location unit.LocationID) unit.ReservationID {
	return unit.ReservationID(unit.DirectReservation.Of(string(order), string(sku), string(location)).ID())
}

// FoldVersion names the shape of State: a snapshot of another version is not read. Raise it with
// every change of State, Evolve or Guarded.
const FoldVersion = 7

// How many ended reservations and movements a stock remembers in detail, so that a repeated
// step is answered at once. For older ones, State.Forgotten has only the name, and the
// details are read from the stream: see Recall. These are variables so that a test can make a
// stock forget soon.
var (
	rememberedEnds      = 4096
	rememberedMovements = 1024
)

// Guarded tells whether State itself prevents that an event is recorded twice, however old it is.
// State knows an active reservation, the end of an ended one, and a shipment by its id. If it has
// forgotten one of these, its name is in Forgotten. A deadline that is moved twice does no harm.
// Nearly all events of a stock that sells are guarded. So package aggregate remembers fewer of
// their commands: see Definition.Guarded there.
func Guarded(e Event) bool {
	switch e := e.(type) {
	case Reserved, ReservationExtended, ReservationReleased, ReservationExpired, ReservationCommitted, Shipped, ReorderPointCrossed:
		return true
	case Allocated:
		return e.ReservationID != ""
	case Received, Adjusted, Counted, Deallocated, Returned, CameBack, Moved, TransferredOut, TransferredIn, PolicySet:
		// If a command for one of these came again, Decide could record it twice. Examples: a
		// deallocation without a ref; an allocation that was taken back in the meantime.
	}
	return false
}

// State is what the rules need to know of a stock. The zero State has no goods and no
// promises. Use the methods to read quantities, because some depend on the time. Each
// quantity is a sum over the stream's events.
type State struct {
	Goods    unit.Quantity `json:"on_hand"` // what is on hand; below 0 only after a forced shipment
	SetApart SetApart      `json:"unavailable,omitzero"`
	Policy   Policy        `json:"policy,omitzero"`

	// Reservations are the reservations without a recorded end, including those that are due.
	Reservations  map[unit.ReservationID]Reservation `json:"holds,omitempty"`
	ReservedTotal unit.Quantity                      `json:"held,omitzero"` // sum over Reservations
	Deadlines     Deadlines                          `json:"deadlines,omitempty"`

	// Orders are the promises to orders, as long as some units have not shipped.
	Orders   map[unit.OrderID]Promise `json:"orders,omitempty"`
	Promised unit.Quantity            `json:"promised,omitzero"` // sum of Open over Orders

	Ended     Recent[End]  `json:"ended,omitzero"`     // by reservation id
	Movements Recent[Made] `json:"movements,omitzero"` // by name: see movement

	// Forgotten has the names of what was known once: reservations that have left Ended,
	// movements that have left Movements, and orders after all their promised units have
	// shipped. It is the only part of State that grows with the stream: by 5 to 10 bytes for
	// each name. A sale (reserved, committed, shipped) has three names, so a stock that sold
	// a million times needs 15 to 30 MB. About one new name in 400,000 wrongly counts as
	// forgotten, which costs one search of the log.
	Forgotten bloom.Filter `json:"forgotten,omitzero"`

	// Recalled is what the log says about forgotten things, by name, for one Decide: see
	// Recall. It is empty in a state that was folded.
	Recalled map[string]Past `json:"recalled,omitempty"`
}

// Made is the content of a movement that happens only once.
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

// Reservation is a reservation without a recorded end.
type Reservation struct {
	OrderID   unit.OrderID  `json:"order_id"`
	Quantity  unit.Quantity `json:"quantity"`
	ExpiresAt time.Time     `json:"expires_at"`
	Direct    bool          `json:"direct,omitzero"` // no order's process holds it
	// What the caller asked for: the length, and the first deadline if the deadline has
	// moved since.
	ReserveSeconds int64     `json:"hold_seconds,omitzero"`
	FirstExpiresAt time.Time `json:"first,omitzero"`
}

// Promise is what an order was promised: Open is allocated and has not shipped, and Shipped
// has left.
type Promise struct {
	Open unit.Quantity `json:"open"`
	// Owned is how many units of Open belong to the order's process, because it committed a
	// reservation for them.
	Owned   unit.Quantity `json:"owned,omitzero"`
	Shipped unit.Quantity `json:"shipped,omitzero"`
	// Resumed means that all units of an earlier promise to this order have shipped before.
	// Those units are not in Shipped.
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

// Reserved is how many units are reserved at a time. A reservation counts until its deadline,
// even if its end is not recorded yet.
func (s State) Reserved(now time.Time) unit.Quantity {
	return s.ReservedTotal - s.dueQuantity(now)
}

// Allocated is what is promised to orders and has not shipped.
func (s State) Allocated() unit.Quantity { return s.Promised }

// Unavailable is how many units are on hand in a condition that is not for sale. For the
// condition Available it is zero.
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

// Available is how many units are there and promised to nobody. It is below zero if more is
// promised than is there, because of backorders or because goods were found missing.
func (s State) Available(now time.Time) unit.Quantity {
	return s.Goods - s.UnavailableTotal() - s.Policy.SafetyStock - s.Promised - s.Reserved(now)
}

// Sellable is how many units can still be promised: available, and what the backorder limit
// leaves. It is below zero if even the backorder limit is exceeded.
func (s State) Sellable(now time.Time) unit.Quantity {
	return s.Available(now) + s.Policy.BackorderLimit
}

// Backordered is what is promised to orders with no goods behind it.
func (s State) Backordered() unit.Quantity {
	return max(0, s.Promised-max(0, s.Goods-s.UnavailableTotal()))
}

// Evolve is the state after an event. It changes the maps and lists of s in place, so the
// caller must not use s again. A caller that needs an earlier state folds it from the events.
func Evolve(s State, e Event) State {
	switch e := e.(type) {
	case Received:
		s.Goods += e.Quantity
	case Adjusted:
		s.Goods += e.Change
		s.SetApart.add(e.Condition, e.Change)
	case Counted:
		s.Goods = e.Counted
	case Reserved:
		s.addReservation(e.ReservationID, Reservation{OrderID: e.OrderID, Quantity: e.Quantity, ExpiresAt: e.ExpiresAt, Direct: e.Direct, ReserveSeconds: e.ReserveSeconds})
	case ReservationExtended:
		if h, found := s.Reservations[e.ReservationID]; found {
			h.FirstExpiresAt = h.firstDeadline()
			h.ExpiresAt = e.ExpiresAt
			s.Reservations[e.ReservationID] = h
			s.addDeadline(e.ReservationID, e.ExpiresAt)
		}
	case ReservationReleased:
		s.endReservation(e.ReservationID, EndReleased)
	case ReservationExpired:
		s.endReservation(e.ReservationID, EndExpired)
	case ReservationCommitted:
		owned := e.Quantity
		if s.Reservations[e.ReservationID].Direct {
			owned = 0
		}
		s.endReservation(e.ReservationID, EndCommitted)
		s.addPromise(e.OrderID, e.Quantity, owned)
	case Allocated:
		if e.ReservationID == "" {
			s.addPromise(e.OrderID, e.Quantity, 0)
			break
		}
		s.rememberEnd(e.ReservationID, EndCommitted)
		s.addPromise(e.OrderID, e.Quantity, e.Quantity)
	case Deallocated:
		s.takePromised(e.OrderID, e.Quantity, 0, e.Direct)
	case Shipped:
		s.Goods -= e.Quantity
		s.takePromised(e.OrderID, e.Promised(), e.Quantity, e.Direct)
	case Returned:
		s.Goods += e.Quantity
		s.SetApart.add(e.Condition, e.Quantity)
	case CameBack:
		s.Goods += e.Quantity
		s.SetApart.add(e.Condition, e.Quantity)
	case Moved:
		s.SetApart.add(e.From, -e.Quantity)
		s.SetApart.add(e.To, e.Quantity)
	case TransferredOut:
		s.Goods -= e.Quantity
	case TransferredIn:
		s.Goods += e.Quantity
	case PolicySet:
		s.Policy = e.Policy
	case ReorderPointCrossed: // changes no quantity
	}
	if name, made := movement(e); name != "" {
		s.rememberMovement(name, made)
	}
	return s
}

func (a *SetApart) add(c Condition, change unit.Quantity) {
	switch c {
	case Damaged:
		a.Damaged += change
	case QualityControl:
		a.QualityControl += change
	case OtherCondition:
		a.Other += change
	case Available:
	}
}

func (s *State) addReservation(id unit.ReservationID, h Reservation) {
	if s.Reservations == nil {
		s.Reservations = map[unit.ReservationID]Reservation{}
	}
	s.Reservations[id] = h
	s.ReservedTotal += h.Quantity
	s.addDeadline(id, h.ExpiresAt)
}

// endReservation gives a reservation its end. If the reservation is not in Reservations, there is
// nothing more to do.
func (s *State) endReservation(id unit.ReservationID, end End) {
	h, found := s.Reservations[id]
	if !found {
		return
	}
	delete(s.Reservations, id)
	s.ReservedTotal -= h.Quantity
	s.Deadlines = s.Deadlines.pruned(s.Reservations)
	s.rememberEnd(id, end)
}

// rememberEnd notes how a reservation has ended, so that it is not made again.
func (s *State) rememberEnd(id unit.ReservationID, end End) {
	if oldest, full := s.Ended.Put(string(id), end, rememberedEnds); full {
		s.Forgotten.Add(reservationName, oldest)
	}
}

// rememberMovement notes a movement that happens only once.
func (s *State) rememberMovement(name string, made Made) {
	if oldest, full := s.Movements.Put(name, made, rememberedMovements); full {
		s.Forgotten.Add(oldest)
	}
}

func (s *State) addDeadline(id unit.ReservationID, at time.Time) {
	s.Deadlines = s.Deadlines.with(Deadline{At: at, ID: id}).pruned(s.Reservations)
}

func (s *State) addPromise(id unit.OrderID, more, owned unit.Quantity) {
	if s.Orders == nil {
		s.Orders = map[unit.OrderID]Promise{}
	}
	p, known := s.Orders[id]
	if !known {
		p.Resumed = s.Forgotten.Has(orderName, string(id))
	}
	p.Open += more
	p.Owned += owned
	s.Orders[id] = p
	s.Promised += more
}

// takePromised reduces an order's open promise by what shipped or was taken back. A process
// takes its own units first. A direct command takes the other units first.
func (s *State) takePromised(id unit.OrderID, quantity, shipped unit.Quantity, direct bool) {
	if s.Orders == nil { // no decision leads here, but a fold must accept every recorded event
		s.Orders = map[unit.OrderID]Promise{}
	}
	p := s.Orders[id]
	owned := min(quantity, p.Owned)
	if direct {
		owned = min(p.Owned, max(0, quantity-p.free()))
	}
	p.Owned -= owned
	p.Open -= quantity
	p.Shipped += shipped
	s.Promised -= quantity
	if p.Open != 0 {
		s.Orders[id] = p
		return
	}
	delete(s.Orders, id)
	if p.Shipped > 0 {
		s.Forgotten.Add(orderName, string(id))
	}
}

// free is what is promised to the order and does not belong to its process.
func (p Promise) free() unit.Quantity { return p.Open - p.Owned }

// movement is the name and the content of a movement that happens only once. For other events
// the name is empty.
func movement(e Event) (name string, made Made) {
	switch e := e.(type) {
	case Deallocated:
		if e.Ref != "" {
			return deallocation(e.OrderID, e.Ref), Made{Quantity: e.Quantity}
		}
	case Shipped:
		return shipment(e.Origin, e.OrderID, e.ShipmentID), Made{Quantity: e.Quantity}
	case Returned:
		return arrival(e.Origin, e.ReturnID, e.Receipt, e.Condition), Made{e.Quantity, string(e.OrderID)}
	case CameBack:
		return parcelBack(e.OrderID, e.ShipmentID, e.Condition), Made{Quantity: e.Quantity}
	case TransferredOut:
		return transfer("out", e.TransferID), Made{e.Quantity, string(e.To)}
	case TransferredIn:
		return transfer("in", e.TransferID), Made{e.Quantity, string(e.From)}
	case Received, Adjusted, Counted, Reserved, ReservationExtended, ReservationReleased, ReservationExpired, ReservationCommitted,
		Allocated, Moved, PolicySet, ReorderPointCrossed:
	}
	return "", Made{}
}

// These are the names of movements that happen only once. Ids contain no '/'. A step's ref may
// contain one, so it comes last. The name of a direct movement begins with "direct ", so a direct
// movement never makes a process's movement count as done. Example: "ship/o-1/parcel-1" is a parcel
// of the order's process, and "direct ship/o-1/parcel-1" is a direct one.
func shipment(from Origin, order unit.OrderID, id unit.ShipmentID) string {
	return from.prefix() + "ship/" + string(order) + "/" + string(id)
}

func arrival(from Origin, id unit.ReturnID, receipt int, c Condition) string {
	return from.prefix() + strings.Join([]string{"return", string(id), strconv.Itoa(receipt), string(c)}, "/")
}

func parcelBack(order unit.OrderID, id unit.ShipmentID, c Condition) string {
	return strings.Join([]string{"parcel back", string(order), string(id), string(c)}, "/")
}

func (o Origin) prefix() string {
	if o.Direct {
		return "direct "
	}
	return ""
}

func transfer(direction string, id unit.TransferID) string {
	return "transfer/" + direction + "/" + string(id)
}

func deallocation(order unit.OrderID, ref string) string {
	return "deallocate/" + string(order) + "/" + ref
}
