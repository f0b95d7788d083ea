package stock

import (
	"time"

	"daybook/domain/unit"
)

// Command is what can be asked of stock. Every command names the stock that it is for, so
// that a stream's first event is complete. It also has the time of the decision (Now),
// because a reservation counts as expired from its deadline on.
//
//sumtype:decl
type Command interface {
	stockCommand()
	at() At
}

// At is what every command carries.
type At struct {
	Key
	Now time.Time
}

func (a At) at() At { return a }

// A direct command (Origin.Direct) may not change what an order's process owns
// (stock-belongs-to-order), unless Override gives a reason. Commit and Allocate cannot be
// forced in this way, because the order has its own commands for them (confirm,
// retry-allocation).

// Receive adds goods.
type Receive struct {
	At
	Quantity unit.Quantity
	Document string
	Note     string
}

// Adjust changes on hand by a number of units. No condition of goods can go below zero
// (stock-below-zero, stock-condition-short). Promised goods may be reported missing, too.
// Available is then negative until somebody corrects it.
type Adjust struct {
	At
	Change    unit.Quantity
	Reason    Reason
	Condition Condition // of the goods that were found or are gone; empty: available
	Document  string
	Note      string
}

// Count sets on hand to the number that was counted. If on hand was not as expected, the
// count is refused with the actual number (stock-count-stale).
type Count struct {
	At
	Expected unit.Quantity
	Counted  unit.Quantity
	Document string
	Note     string
}

// Reserve reserves goods for an order until a deadline. The same reservation id with the same
// quantity is the same reservation. A reservation that has ended is not revived
// (reservation-ended). If stock cannot reserve the whole quantity, Reserve is refused with
// stock-insufficient and the facts available and requested.
type Reserve struct {
	At
	Origin
	ReservationID unit.ReservationID
	OrderID       unit.OrderID
	Quantity      unit.Quantity
	ExpiresAt     time.Time
	// Fixed says that the caller named the deadline. A repeated Reserve with another deadline
	// is then refused.
	Fixed bool
	// ReserveSeconds is how long the caller asked to reserve the goods from now on, if it named
	// no deadline. A repeated Reserve with another length is refused. The deadline itself
	// moves with now, so it is not compared, and the first deadline stands. A process gives
	// neither Fixed nor ReserveSeconds.
	ReserveSeconds int64
	// Commit makes the reservation an allocation at once, in one event. Only a process may ask for
	// it, and only if the order is confirmed in the same append. A direct command cannot.
	Commit bool
}

// Extend moves an active reservation's deadline.
type Extend struct {
	At
	Origin
	ReservationID unit.ReservationID
	ExpiresAt     time.Time
	// Prolong means that an earlier deadline than the present one changes nothing.
	Prolong bool
}

// Release ends a reservation. If the reservation has ended or never was, nothing happens.
type Release struct {
	At
	Origin
	ReservationID unit.ReservationID
	Reason        string
}

// ExpireDue ends reservations whose deadline is not after Now, the earliest first, and at most a
// thousand of them. The caller sends it again until it changes nothing.
type ExpireDue struct {
	At
}

// Commit turns a reservation into an allocation. A reservation that is already committed
// changes nothing. One that has another end, or is past its deadline, is refused
// (reservation-ended).
type Commit struct {
	At
	Origin
	ReservationID unit.ReservationID
	// OrderID and Quantity are what the caller knows of the reservation. Both may be empty.
	// With them, an old commitment is recognised from the order's promise, and the log need
	// not be read.
	OrderID  unit.OrderID
	Quantity unit.Quantity
}

// Allocate promises goods to an order without a reservation. Quantity is the order's whole
// allocation here, including what has shipped, so the same total again changes nothing.
// Allocate never takes anything back, so a smaller total changes nothing either. If stock has
// too little, it is refused (stock-insufficient).
type Allocate struct {
	At
	Origin
	OrderID  unit.OrderID
	Quantity unit.Quantity
}

// Deallocate takes back up to Quantity of an order's allocation. If it has a Ref, which names the
// step that asks for it, it happens once for each Ref. Without a Ref it happens each time.
type Deallocate struct {
	At
	Origin
	OrderID  unit.OrderID
	Ref      string
	Quantity unit.Quantity
	Reason   string
}

// Ship takes an order's allocated goods out, once for each shipment. It is refused for more
// than what is allocated (stock-not-allocated) and for more than what is on hand
// (stock-not-on-hand), unless Force records it. A direct command cannot force units that are
// not allocated.
type Ship struct {
	At
	Origin
	OrderID    unit.OrderID
	ShipmentID unit.ShipmentID
	Quantity   unit.Quantity
	Force      bool
}

// TakeBack adds returned goods, once per return, receipt and condition.
type TakeBack struct {
	At
	Origin
	ReturnID  unit.ReturnID
	Receipt   int // the number of the return's arrival; 0 if there is only one
	OrderID   unit.OrderID
	Quantity  unit.Quantity
	Condition Condition
}

// TakeParcelBack adds goods of an order's parcel that came back, once per parcel and condition.
// Only the order's process sends it.
type TakeParcelBack struct {
	At
	OrderID    unit.OrderID
	ShipmentID unit.ShipmentID
	Quantity   unit.Quantity
	Condition  Condition
	// Keep is how many of the units are allocated to the order in the same append, before anybody
	// else can have them. ReservationID tells this allocation from others. If stock has promised
	// more than it has, older promises go first: nothing is allocated, and a retry of the order's
	// allocation finds that the units are missing.
	Keep          unit.Quantity
	ReservationID unit.ReservationID
}

// Move changes the condition of goods. From available, only units that are promised to nobody
// can be moved.
type Move struct {
	At
	From, To Condition
	Quantity unit.Quantity
	Note     string
}

// TransferOut sends available goods to another location, once per transfer.
type TransferOut struct {
	At
	TransferID unit.TransferID
	To         unit.LocationID
	Quantity   unit.Quantity
}

// TransferIn takes goods in from another location, once per transfer.
type TransferIn struct {
	At
	TransferID unit.TransferID
	From       unit.LocationID
	Quantity   unit.Quantity
}

// SetPolicy replaces the policy. The policy applies only to later promises, so the present
// promises may exceed it.
type SetPolicy struct {
	At
	Policy Policy
}

func (Receive) stockCommand()        {}
func (Adjust) stockCommand()         {}
func (Count) stockCommand()          {}
func (Reserve) stockCommand()        {}
func (Extend) stockCommand()         {}
func (Release) stockCommand()        {}
func (ExpireDue) stockCommand()      {}
func (Commit) stockCommand()         {}
func (Allocate) stockCommand()       {}
func (Deallocate) stockCommand()     {}
func (Ship) stockCommand()           {}
func (TakeBack) stockCommand()       {}
func (TakeParcelBack) stockCommand() {}
func (Move) stockCommand()           {}
func (TransferOut) stockCommand()    {}
func (TransferIn) stockCommand()     {}
func (SetPolicy) stockCommand()      {}
