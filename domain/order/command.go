package order

import (
	"time"

	"daybook/domain/cart"
	"daybook/domain/unit"
)

// Command is what can be asked of an order.
//
//sumtype:decl
type Command interface{ orderCommand() }

// Claim keeps an order id for the cart that chose it, though there is no order.
type Claim struct {
	OrderID unit.OrderID
	CartID  unit.CartID
}

// Place creates the order from a checkout whose stock is held. Placing it again
// as it is changes nothing.
type Place struct {
	OrderID    unit.OrderID
	CartID     unit.CartID
	CustomerID unit.CustomerID
	Reference  string
	Currency   unit.Currency
	Country    string
	Lines      []cart.Line
	Held       []cart.Reservation
	ConfirmBy  time.Time
}

// Confirm makes a pending order binding. After its deadline it is refused
// (order-expired); on hold, refused (order-on-hold).
type Confirm struct {
	Now time.Time
}

// Hold stops fulfilment.
type Hold struct {
	Reason string
}

// ReleaseHold lets it go on.
type ReleaseHold struct{}

// CancelLines takes units that have not shipped off the order. When nothing
// unshipped would remain on an order of which nothing shipped, it is Cancel.
type CancelLines struct {
	Lines  []LineQuantity
	Reason string
}

// Cancel ends the order; refused once everything has shipped (order-shipped).
type Cancel struct {
	Reason string
}

// Expire ends a pending order whose deadline is not after Now; too early, it
// changes nothing.
type Expire struct {
	Now time.Time
}

// RecordTransaction notes what the payment provider reported. The same
// transaction id with the same content changes nothing; with other content it
// is refused (transaction-differs). Of a refund that a return has recorded, its
// amount is all that must be the same.
type RecordTransaction struct {
	TransactionID unit.TransactionID
	Type          TransactionType
	State         TransactionState
	Amount        unit.Money
	Parent        unit.TransactionID
	Provider      string
	Reference     string
}

// SettleTransaction gives a pending transaction its end.
type SettleTransaction struct {
	TransactionID unit.TransactionID
	State         TransactionState
	Reference     string
}

// Ship records a parcel with the given units, from one location.
type Ship struct {
	ShipmentID unit.ShipmentID
	Location   unit.LocationID
	Lines      []LineQuantity // empty: everything still to ship from the location, and services
	Carrier    string
	Tracking   string
	Force      bool
}

// Deliver records a parcel's arrival.
type Deliver struct {
	ShipmentID unit.ShipmentID
}

// Complete ends the order; refused while something is open (order-not-finished).
type Complete struct{}

// SettleStock records that a step's stock movements are all done.
type SettleStock struct {
	Step Step
	Ref  string
}

// FailAllocation records that a confirmed order's stock is lost: it ends the
// confirm step of the given ref ("" the first, or a retry) when that is open.
type FailAllocation struct {
	Ref       string
	Shortages []cart.Shortage
	Remedy    Remedy
}

// RetryAllocation asks stock again for what a failed allocation is missing, and
// for what stock is found to have lost; when that is nothing, or a retry is under
// way, nothing happens.
type RetryAllocation struct {
	// Lost lists promises that the caller did not find in stock. The caller must look
	// while no step of the order is open; with an open step, Lost is ignored.
	Lost []Lost
}

// RecoverAllocation ends a failed allocation while a retry is under way. The process
// that drove the retry sends SettleStock with its ref instead, which cannot end
// a later one by mistake.
type RecoverAllocation struct{}

// AdmitReturn lets units come back by a return: at most what has shipped and
// does not come back by another (return-exceeds-shipped). The same return is
// admitted once.
type AdmitReturn struct {
	ReturnID unit.ReturnID
	Currency unit.Currency  // of the return
	Lines    []LineQuantity // by ascending line, each once
}

// ReleaseReturn gives up what was admitted for a return, and what might be yet.
type ReleaseReturn struct {
	ReturnID unit.ReturnID
}

// RecordReturnRefund notes what a return has recorded as given back for the
// order. That is a fact: it is not held against what was captured. The same
// refund may have been reported as a transaction of the order before; then it is
// claimed, by one return.
type RecordReturnRefund struct {
	ReturnID      unit.ReturnID
	TransactionID unit.TransactionID
	Amount        unit.Money
	Provider      string
	Reference     string
}

// Archive and Unarchive hide and show a finished order.
type Archive struct{}

// Unarchive shows the order again.
type Unarchive struct{}

func (Claim) orderCommand()              {}
func (Place) orderCommand()              {}
func (Confirm) orderCommand()            {}
func (Hold) orderCommand()               {}
func (ReleaseHold) orderCommand()        {}
func (CancelLines) orderCommand()        {}
func (Cancel) orderCommand()             {}
func (Expire) orderCommand()             {}
func (RecordTransaction) orderCommand()  {}
func (SettleTransaction) orderCommand()  {}
func (Ship) orderCommand()               {}
func (Deliver) orderCommand()            {}
func (Complete) orderCommand()           {}
func (SettleStock) orderCommand()        {}
func (FailAllocation) orderCommand()     {}
func (RetryAllocation) orderCommand()    {}
func (RecoverAllocation) orderCommand()  {}
func (AdmitReturn) orderCommand()        {}
func (ReleaseReturn) orderCommand()      {}
func (RecordReturnRefund) orderCommand() {}
func (Archive) orderCommand()            {}
func (Unarchive) orderCommand()          {}
