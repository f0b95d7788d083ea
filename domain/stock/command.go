package stock

import (
	"time"

	"daybook/domain/unit"
)

// Command is what can be asked of stock. Every command names the stock it is
// for, so that a stream's first event is complete, and the time of the decision
// (Now), for a reservation counts as expired from its deadline on.
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

// A command with Origin.Direct may not change what an order's process owns
// (stock-belongs-to-order), unless Override gives a reason. Commit and Allocate
// cannot be forced, because the order has its own commands for them (confirm,
// retry-allocation).

// Receive adds goods.
type Receive struct {
	At
	Quantity unit.Quantity
	Document string
	Note     string
}

// Adjust corrects on hand by a change; no condition of goods can go below zero
// (stock-below-zero, stock-condition-short). Goods may be missing that are
// promised: available is then negative until someone settles it.
type Adjust struct {
	At
	Change    unit.Quantity
	Reason    Reason
	Condition Condition // of the goods found or gone; empty: available
	Document  string
	Note      string
}

// Count sets on hand to what was counted, if it was as expected when the count
// began (stock-count-stale otherwise, with the actual number).
type Count struct {
	At
	Expected unit.Quantity
	Counted  unit.Quantity
	Document string
	Note     string
}

// Reserve holds goods for an order until a deadline. The same reservation id
// and quantity again is the same reservation; one that has ended is not revived
// (reservation-ended). Refused with stock-insufficient, facts available and
// requested, when not all of it can be held.
type Reserve struct {
	At
	Origin
	ReservationID unit.ReservationID
	OrderID       unit.OrderID
	Quantity      unit.Quantity
	ExpiresAt     time.Time
	// Fixed says that the caller named the deadline, so that another one under the
	// same id is another reservation.
	Fixed bool
	// HoldSeconds is how long the caller asked to hold it from now on, where no deadline
	// was named: another length is another reservation. The deadline itself moves with now,
	// so it is not compared; the first one stands. A process gives neither.
	HoldSeconds int64
}

// Extend moves an active reservation's deadline.
type Extend struct {
	At
	Origin
	ReservationID unit.ReservationID
	ExpiresAt     time.Time
}

// Release ends a reservation; of one that has ended or never was, nothing
// happens.
type Release struct {
	At
	Origin
	ReservationID unit.ReservationID
	Reason        string
}

// ExpireDue ends every reservation whose deadline is not after Now.
type ExpireDue struct {
	At
}

// Commit turns a reservation into an allocation. Already committed: nothing.
// Ended otherwise, or past its deadline: reservation-ended.
type Commit struct {
	At
	Origin
	ReservationID unit.ReservationID
	// OrderID and Quantity are what the caller knows of the reservation; both may be
	// empty. With them, an old commitment is recognised from the order's promise, so
	// the log is not read.
	OrderID  unit.OrderID
	Quantity unit.Quantity
}

// Allocate promises goods to an order without a reservation; the same total
// for the order again changes nothing: Quantity is the order's whole allocation
// here, what has shipped of it included. It never takes anything back, so a
// smaller total changes nothing either. Refused with stock-insufficient.
type Allocate struct {
	At
	Origin
	OrderID  unit.OrderID
	Quantity unit.Quantity
}

// Deallocate takes back up to Quantity of an order's allocation: once per Ref
// (the step that asks for it), where one is given; without, each time.
type Deallocate struct {
	At
	Origin
	OrderID  unit.OrderID
	Ref      string
	Quantity unit.Quantity
	Reason   string
}

// Ship takes an order's allocated goods out, once per shipment. More than is
// allocated is refused (stock-not-allocated), and so is more than is on hand
// (stock-not-on-hand), unless Force records it. A direct command cannot force
// what is not allocated.
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
	Receipt   int // tells the arrivals of one return apart; 0 if there is but one
	OrderID   unit.OrderID
	Quantity  unit.Quantity
	Condition Condition
}

// Move changes the condition of goods; from available, only what is not
// promised can be moved.
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

// SetPolicy replaces the policy. A policy that the present promises already
// break is allowed: it binds what comes.
type SetPolicy struct {
	At
	Policy Policy
}

func (Receive) stockCommand()     {}
func (Adjust) stockCommand()      {}
func (Count) stockCommand()       {}
func (Reserve) stockCommand()     {}
func (Extend) stockCommand()      {}
func (Release) stockCommand()     {}
func (ExpireDue) stockCommand()   {}
func (Commit) stockCommand()      {}
func (Allocate) stockCommand()    {}
func (Deallocate) stockCommand()  {}
func (Ship) stockCommand()        {}
func (TakeBack) stockCommand()    {}
func (Move) stockCommand()        {}
func (TransferOut) stockCommand() {}
func (TransferIn) stockCommand()  {}
func (SetPolicy) stockCommand()   {}
