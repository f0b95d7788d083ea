package returns

import "daybook/domain/unit"

// Command is what can be asked of a return.
//
//sumtype:decl
type Command interface{ returnCommand() }

// Request starts a return. Each linked order is asked to admit the units that come back: they must
// have shipped, and no other return may bring them back. Until all orders have replied (Admit,
// RefuseAdmission), the return cannot be approved.
type Request struct {
	ReturnID   unit.ReturnID
	OrderID    unit.OrderID
	CustomerID unit.CustomerID
	// CartID is the cart of the order, if the order is a guest's. Whoever has the cart may see the
	// return and call it off.
	CartID    unit.CartID
	Reference string
	Currency  unit.Currency
	Country   string
	Lines     []Line // numbered 1, 2, ... by Decide
	Reason    string
}

// Admit records that every linked order has admitted its units. The first outcome stands:
// after a refusal, a decline or a cancel, Admit changes nothing.
type Admit struct{}

// RefuseAdmission records that an order has not admitted its units. The first outcome stands
// here, too.
type RefuseAdmission struct {
	OrderID    unit.OrderID
	Code       string
	Reason     string
	Line       int
	Returnable unit.Quantity
	Requested  unit.Quantity
}

// Approve lets the goods be sent.
type Approve struct{}

// Decline refuses the return.
type Decline struct {
	Reason string
}

// Cancel ends the return before anything was received or given back.
type Cancel struct {
	Reason string
}

// Receive records an arrival. Receipt is the number that the caller expects it to have: the
// last number plus one. A number that was already used with the same lines changes nothing.
// With 0 it is a new arrival, and Decide gives it the next number.
type Receive struct {
	Receipt int
	Lines   []ReceivedLine
}

// RecordRefund records money that was given back. All refunds together are at most what the
// received units are worth, rounded to be charged.
type RecordRefund struct {
	TransactionID unit.TransactionID
	Amount        unit.Money
	Provider      string
	Reference     string
	// Limit is the most that may be given back for the return in all, in the currency of Amount.
	// nil: the sender has no limit.
	Limit *unit.Money
	// Of says which part belongs to which order; the rest belongs to none. nil: the orders get it
	// one after the other (State.shares). The importer uses it for refunds of the past that were
	// more than the order was paid.
	Of []Share
}

// Close ends a return after all its units were received.
type Close struct{}

// TakeOver gives the return to the customer who has taken over the order of this id. It changes
// nothing if the return has a customer, or is not of this order alone. A return of several orders
// belongs to the buyer of none of them.
type TakeOver struct {
	OrderID    unit.OrderID
	CustomerID unit.CustomerID
}

// SettleStock records that a receipt's stock movements are all done.
type SettleStock struct {
	Receipt int
}

// SettleOrders records that the orders have done what a step asks of them.
type SettleOrders struct {
	Step OrderStep
	Ref  unit.TransactionID
}

// WithdrawRefund records that orders have refused their shares of a refund. It changes
// nothing if the refund's step has ended.
type WithdrawRefund struct {
	TransactionID unit.TransactionID
	// Before is how often a refund with this id was taken back before. A refund that was recorded
	// after another withdrawal is not the one that the orders have refused, so it stays.
	Before  int
	Refused []unit.OrderID
	// Whole takes all of the refund back, because no order has recorded a share.
	Whole bool
	// Code and Reason are those of the refusal by the first order of Refused.
	Code   string
	Reason string
}

// NoteCredit creates a credit note.
type NoteCredit struct {
	ReturnID   unit.ReturnID
	CustomerID unit.CustomerID
	Reference  string
	Currency   unit.Currency
	Country    string
	Reason     string
	Lines      []CreditLine
}

func (Request) returnCommand()         {}
func (Admit) returnCommand()           {}
func (RefuseAdmission) returnCommand() {}
func (Approve) returnCommand()         {}
func (Decline) returnCommand()         {}
func (Cancel) returnCommand()          {}
func (Receive) returnCommand()         {}
func (RecordRefund) returnCommand()    {}
func (Close) returnCommand()           {}
func (TakeOver) returnCommand()        {}
func (SettleStock) returnCommand()     {}
func (SettleOrders) returnCommand()    {}
func (WithdrawRefund) returnCommand()  {}
func (NoteCredit) returnCommand()      {}
