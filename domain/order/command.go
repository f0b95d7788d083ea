package order

import (
	"time"

	"daybook/domain/cart"
	"daybook/domain/contact"
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Command is what can be asked of an order.
//
//sumtype:decl
type Command interface{ orderCommand() }

// Claim keeps an order id for the cart that chose it, after a refused checkout. No order is
// placed.
type Claim struct {
	OrderID unit.OrderID
	CartID  unit.CartID
}

// Place creates the order of a checkout whose stock is reserved. Placing it again with the
// same content changes nothing.
type Place struct {
	OrderID      unit.OrderID
	CartID       unit.CartID
	CustomerID   unit.CustomerID
	Reference    string
	Currency     unit.Currency
	Country      string
	Details      *contact.Details
	Lines        []cart.Line
	Reservations []cart.Reservation
	Holds        []cart.Hold
	ConfirmBy    time.Time
	Quote        *pricing.Quote // as in Placed
	RoundedLines bool           // as in Placed
	// QuoteWithOrder means that the order was placed before, with a quote that only it has. So the
	// command can only repeat that.
	QuoteWithOrder bool
}

// Confirm makes a pending order binding. It is refused while the order is on hold (order-on-hold).
// After the deadline it is refused (order-expired), unless the money of the order is there.
type Confirm struct {
	Now time.Time
	// Allocated says that stock allocates the whole order in the same append, so no step is left.
	// Only a caller that makes this append may set it. It is ignored if something was canceled
	// before.
	Allocated bool
}

// Hold stops fulfilment.
type Hold struct {
	Reason string
}

// ReleaseHold lets fulfilment go on. If the deadline of a pending order is not after Now, it
// decides what Expire would have decided then.
type ReleaseHold struct {
	Now time.Time
}

// CancelLines takes units that have not shipped off the order. If nothing has shipped and no
// unit would remain, it has the effect of Cancel.
type CancelLines struct {
	Lines  []LineQuantity
	Reason string
}

// Cancel ends the order. It is refused once all goods have shipped (order-shipped).
type Cancel struct {
	Reason string
}

// Expire decides about a pending order whose deadline is not after Now. An order whose money is
// there is confirmed, and any other one ends. Before the deadline it changes nothing.
type Expire struct {
	Now time.Time
}

// RecordTransaction records what the payment provider reported. The same transaction id with
// the same content changes nothing. With other content it is refused (transaction-differs).
// For a refund that a return has recorded, only the amount must be the same.
type RecordTransaction struct {
	TransactionID unit.TransactionID
	Type          TransactionType
	State         TransactionState
	Amount        unit.Money
	Parent        unit.TransactionID
	Provider      string
	Reference     string
	// Payment is the provider's number for the whole payment, if it differs from Reference.
	Payment string
	Tender  Tender
	// Reason and RespondBy are of a dispute.
	Reason    string
	RespondBy time.Time
	// ByProvider means that the provider itself sends the report. An amount that cannot be recorded
	// is then kept as TransactionUnreadable, and not refused.
	ByProvider bool
	// Part is the part of a refund that the report is about, if the provider repeats its id.
	Part unit.TransactionID
	// Purpose of a refund; empty is a settlement.
	Purpose RefundPurpose
	// Limit is the most that may be given back on the order in all, in the currency of Amount. nil:
	// the sender has no limit.
	Limit *unit.Money
}

// RequestRefund asks for money to go back. A settlement is at most what is to be returned
// (State.ToReturn); a compensation is at most what the payments have left. The same refund id with
// the same content changes nothing.
type RequestRefund struct {
	RefundID unit.RefundID
	Purpose  RefundPurpose
	Amount   unit.Money
	// Parts say to which payments it goes. If there are none, the order plans them (State.Plan).
	Parts  []RefundShare
	Reason string
	// Limit is that of RecordTransaction.
	Limit *unit.Money
}

// RefundShare is the part of a refund that the sender wants to go back to a payment.
type RefundShare struct {
	Payment unit.TransactionID // the capture
	Amount  unit.Money
}

// SubmitRefund records that a part is about to be sent to its provider. Attempt is 1 for a part
// that was never sent, and one more than the last one after a known failure. The attempt that is
// under way changes nothing: it is sent again under the same key.
type SubmitRefund struct {
	RefundID unit.RefundID
	PartID   unit.TransactionID
	// Attempt 0 is the next one, or the one that is under way.
	Attempt int
	// Limit is that of RecordTransaction. The part counts once.
	Limit *unit.Money
}

// SettleRefund records how an attempt ended: succeeded, failed or unknown.
type SettleRefund struct {
	RefundID unit.RefundID
	PartID   unit.TransactionID
	Attempt  int
	// Latest means the latest attempt, instead of Attempt.
	Latest    bool
	State     RefundState
	Reference string
	Code      string
	Final     bool
	// Limit is that of SettleTransaction.
	Limit *unit.Money
}

// ExplainRefund says what a refund was that somebody has made without this program.
type ExplainRefund struct {
	TransactionID unit.TransactionID
	Purpose       RefundPurpose
	Reason        string
	// Limit is that of RecordTransaction. It holds for a compensation.
	Limit *unit.Money
}

// Credit lowers what the order owes, because units came back, as a price reduction, or for one of
// its charges. The same credit id changes nothing.
type Credit struct {
	CreditID unit.CreditID
	Cause    CreditCause
	ReturnID unit.ReturnID
	Currency unit.Currency
	// Lines are what came back. Worth is what units are worth that belong to no line, or the amount
	// of the price reduction, or of the charge. A charge without an amount is credited as a whole:
	// all that is left of it.
	Lines  []CreditedLine
	Worth  unit.Money
	Charge int // the number of a charge, if the cause is one
	Reason string
}

// WriteOff ends the whole difference between what was paid and what is owed.
type WriteOff struct {
	Reason string
	// Tolerance is the largest difference that the sender may write off. nil: any.
	Tolerance *unit.Money
}

// Extend moves the deadline of a pending order. It is refused after the deadline, unless the order
// is on hold.
type Extend struct {
	Until  time.Time
	Reason string
	Now    time.Time
	// Latest is the latest deadline that the shop allows.
	Latest time.Time
}

// SettleTransaction records how a pending transaction ended: succeeded or failed.
type SettleTransaction struct {
	TransactionID unit.TransactionID
	State         TransactionState
	Reference     string
	// Limit is that of RecordTransaction. It holds for refunds that the program itself has begun
	// (RemedyTransactionID). Other refunds were compared with a limit when they were recorded.
	Limit *unit.Money
}

// Ship records a parcel with the given units, from one location.
type Ship struct {
	ShipmentID unit.ShipmentID
	Location   unit.LocationID
	Lines      []LineQuantity // empty: everything that is still to ship from the location, and services
	Carrier    string
	Tracking   string
	Force      bool
}

// Deliver records a parcel's arrival.
type Deliver struct {
	ShipmentID unit.ShipmentID
}

// ReportParcel records where a parcel is that did not arrive: undeliverable, returning or lost. The
// state shipped means that a lost parcel was found. A parcel that is there already changes nothing.
type ReportParcel struct {
	ShipmentID unit.ShipmentID
	State      ParcelState
	Reason     string
	Claim      string
}

// TakeParcelBack records that a parcel came back, with all of its goods.
type TakeParcelBack struct {
	ShipmentID unit.ShipmentID
	Location   unit.LocationID
	Lines      []BackUnits
	Reason     string
	// Resend sends all of it again (ResendParcel). Goods that are for sale and came back to where
	// they left are allocated to the order before anybody else can have them.
	Resend bool
}

// BackUnits is some units of a line, as they came back.
type BackUnits struct {
	Line        int
	Quantity    unit.Quantity
	Disposition Disposition
}

// ResendParcel sends units of a parcel again that is lost or came back. Stock is asked for other
// goods, at the location from which the parcel left.
type ResendParcel struct {
	ShipmentID unit.ShipmentID
	Lines      []LineQuantity // empty: all that is left
	Reason     string
}

// CreditParcel lowers what the order owes by units of a parcel that is lost or came back. What was
// paid for them is given back.
type CreditParcel struct {
	ShipmentID unit.ShipmentID
	Lines      []LineQuantity // empty: all that is left
	Reason     string
}

// Complete ends the order. It is refused while something is open (order-not-finished).
type Complete struct{}

// SettleStock records that a step's stock movements are all done.
type SettleStock struct {
	Step Step
	Ref  string
}

// FailAllocation records that a confirmed order's stock is lost. It ends the confirm step with
// the given ref, if that step is open. The empty ref means the confirmation itself, and any
// other ref means a retry.
type FailAllocation struct {
	Ref       string
	Shortages []cart.Shortage
	Remedy    Remedy
}

// RetryAllocation asks stock again for the units that a failed allocation is missing, and for
// the units that stock was found to have lost. If there are no such units, or a retry is
// under way, it changes nothing.
type RetryAllocation struct {
	// Lost lists promises that the caller did not find in stock. The caller must look while
	// the order has no open step; otherwise Lost is ignored.
	Lost []Lost
}

// RecoverAllocation ends a failed allocation while a retry is under way. The process does not
// send it. It sends SettleStock with the ref of its retry, which cannot end a later retry by
// mistake.
type RecoverAllocation struct{}

// AdmitReturn allows a return to bring units back: at most those that have shipped and that
// no other return brings back (return-exceeds-shipped). The same return is admitted once.
type AdmitReturn struct {
	ReturnID unit.ReturnID
	Currency unit.Currency  // of the return
	Lines    []LineQuantity // by ascending line, each once
}

// ReleaseReturn gives up what was admitted for a return. After it, the return cannot be
// admitted any more.
type ReleaseReturn struct {
	ReturnID unit.ReturnID
}

// RecordReturnRefund records what a return has given back for the order. It is a fact, so it is not
// refused because it exceeds what was captured. It is refused above its Limit. If the provider has
// reported the same refund before, as a transaction of the order, one return claims that
// transaction.
type RecordReturnRefund struct {
	ReturnID      unit.ReturnID
	TransactionID unit.TransactionID
	Amount        unit.Money
	Provider      string
	Reference     string
	// Limit is that of RecordTransaction. A refund that the order has already does not count again.
	// A refund of the order that was pending and has failed counts, so that a refusal is final.
	Limit *unit.Money
}

// RefuseReturnRefund records that the order has refused a return's refund. It changes nothing if
// the refund was recorded meanwhile.
type RefuseReturnRefund struct {
	ReturnID      unit.ReturnID
	TransactionID unit.TransactionID
	Amount        unit.Money
}

// TakeOver gives an order that has no customer to one. For the customer who has the order it
// changes nothing. An order of somebody else is refused (order-has-customer).
type TakeOver struct {
	CustomerID unit.CustomerID
}

// Archive hides a finished order from the lists of daily work.
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
func (ReportParcel) orderCommand()       {}
func (TakeParcelBack) orderCommand()     {}
func (ResendParcel) orderCommand()       {}
func (CreditParcel) orderCommand()       {}
func (Complete) orderCommand()           {}
func (SettleStock) orderCommand()        {}
func (FailAllocation) orderCommand()     {}
func (RetryAllocation) orderCommand()    {}
func (RecoverAllocation) orderCommand()  {}
func (AdmitReturn) orderCommand()        {}
func (ReleaseReturn) orderCommand()      {}
func (RecordReturnRefund) orderCommand() {}
func (RequestRefund) orderCommand()      {}
func (SubmitRefund) orderCommand()       {}
func (SettleRefund) orderCommand()       {}
func (ExplainRefund) orderCommand()      {}
func (RefuseReturnRefund) orderCommand() {}
func (Credit) orderCommand()             {}
func (WriteOff) orderCommand()           {}
func (Extend) orderCommand()             {}
func (AddCharge) orderCommand()          {}
func (SettleGiftCard) orderCommand()     {}
func (TakeOver) orderCommand()           {}
func (Archive) orderCommand()            {}
func (Unarchive) orderCommand()          {}
