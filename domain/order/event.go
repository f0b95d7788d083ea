// Package order is a sale whose stock was reserved: it is placed, confirmed, paid, shipped
// and delivered. Payment and fulfilment states are computed from what was recorded, and never
// set. Package stock moves the stock, and the process in package fulfilment drives that.
package order

import (
	"strconv"
	"time"

	"daybook/domain/cart"
	"daybook/domain/contact"
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Category begins the name of every order's stream.
const Category = "order"

// Stream is the name of an order's stream.
func Stream(id unit.OrderID) string { return Category + "-" + string(id) }

// Event is what can have happened to an order. The wire names in codec.go are
// storage format: they are versioned, never renamed.
//
//sumtype:decl
type Event interface{ orderEvent() }

// Claimed says that the order id belongs to a cart, although no order was placed. The cart's caller
// chose the id, and the checkout was refused. From now on no other cart can place an order under
// the id. Claimed is a stream's first event, and usually its only one.
type Claimed struct {
	CartID unit.CartID `json:"cart_id"`
}

// Placed starts the order. Only Claimed may come before it. Everything that the order needs
// is reserved in stock.
type Placed struct {
	OrderID    unit.OrderID    `json:"order_id"`
	CartID     unit.CartID     `json:"cart_id,omitempty"`
	CustomerID unit.CustomerID `json:"customer_id,omitempty"`
	Reference  string          `json:"reference,omitempty" class:"personal,compared"` // the caller's own number
	Currency   unit.Currency   `json:"currency"`
	Country    string          `json:"country,omitempty" class:"open"`
	// Details say where the order goes and how to reach its buyer, as they were at the checkout.
	// nil: there are none.
	Details      *contact.Details   `json:"details,omitempty"`
	Lines        []cart.Line        `json:"lines"`
	Reservations []cart.Reservation `json:"held,omitempty"`
	// Quote is how the amounts of the lines and charges came about. It is absent if each line costs
	// its price times its units.
	Quote *pricing.Quote `json:"quote,omitempty"`
	// RoundedLines means that there is no quote and that each line is rounded by itself. Orders of
	// older programs and of imports have neither: only their sum is rounded.
	RoundedLines bool `json:"rounded_lines,omitzero"`
	// Total is the sum of the lines and charges. Charge is Total rounded to the currency's digits,
	// which is what the customer owes.
	Total  unit.Money `json:"total"`
	Charge unit.Money `json:"charge"`
	// Holds are what the order holds besides stock: uses of promotions, and money of gift cards.
	Holds []cart.Hold `json:"holds,omitempty"`
	// ConfirmBy is the deadline. If the order is still pending then, Expire decides about it.
	ConfirmBy time.Time `json:"confirm_by"`
}

// Confirmed makes the order binding. Its reservations become allocations, if they are not yet.
type Confirmed struct {
	// Allocated means that stock has allocated the whole order in the same append, so no step is
	// left.
	Allocated bool `json:"stock_allocated,omitzero"`
	// Because says why the order was confirmed at its deadline, although nobody asked for it. It is
	// empty if somebody did.
	Because Cover `json:"because,omitempty" class:"open"`
}

// Cover says what covers the money that an order owes.
type Cover string

// What can cover it.
const (
	CoveredByCapture       Cover = "paid"
	CoveredByAuthorization Cover = "authorized"
)

// PutOnHold stops fulfilment until HoldReleased.
type PutOnHold struct {
	Reason string `json:"reason" class:"personal,compared"`
}

// HoldReleased lets fulfilment go on.
type HoldReleased struct{}

// LineQuantity is some units of one line.
type LineQuantity struct {
	Line     int           `json:"line"`
	Quantity unit.Quantity `json:"quantity"` // > 0
}

// LinesCanceled takes units off the order; the rest goes on.
type LinesCanceled struct {
	Lines  []LineQuantity `json:"lines"`
	Reason string         `json:"reason" class:"personal"`
}

// Canceled ends the order: everything not shipped is taken off.
type Canceled struct {
	Reason string `json:"reason" class:"personal"`
}

// Expired ends an order that was not confirmed in time.
type Expired struct{}

// TransactionType is what a payment transaction does.
type TransactionType string

const (
	Authorize  TransactionType = "authorize"
	Capture    TransactionType = "capture"
	Void       TransactionType = "void"
	Refund     TransactionType = "refund"
	Chargeback TransactionType = "chargeback"
	// Dispute says that a bank asks about a capture. It moves no money. While it is pending, the
	// money of the capture is held. It succeeds if the shop has lost it, and fails if the shop has
	// won it or the bank has withdrawn it.
	Dispute TransactionType = "dispute"
	// Reversal moves the money of a chargeback back to the shop.
	Reversal TransactionType = "reversal"
)

// Tender is what pays. It is empty for cards, transfers, cash and the like.
type Tender string

// The tenders whose balance this shop keeps. What they paid is given back last.
const (
	GiftCard    Tender = "gift_card"
	StoreCredit Tender = "store_credit"
)

// TransactionState is how a transaction stands. A pending transaction gets exactly one end:
// succeeded or failed.
type TransactionState string

const (
	Pending   TransactionState = "pending"
	Succeeded TransactionState = "succeeded"
	Failed    TransactionState = "failed"
)

// TransactionRecorded notes a payment transaction as the provider reported it.
type TransactionRecorded struct {
	TransactionID unit.TransactionID `json:"transaction_id"`
	Type          TransactionType    `json:"type"`
	State         TransactionState   `json:"state"`
	Amount        unit.Money         `json:"amount"` // > 0
	// Parent is set if it is known. For a capture or void it is the authorization. For a refund, a
	// chargeback or a dispute it is the capture. For a reversal it is the chargeback.
	Parent    unit.TransactionID `json:"parent,omitempty"`
	Provider  string             `json:"provider,omitempty" class:"chosen,compared"`
	Reference string             `json:"reference,omitempty" class:"personal,compared"` // the provider's own number
	// ReturnID is the return that recorded a refund.
	ReturnID unit.ReturnID `json:"return_id,omitempty"`
	// Part is the part of a refund that this transaction is. It takes the place of the part's own
	// pending transaction.
	Part unit.TransactionID `json:"part,omitempty"`
	// Payment is the provider's number for the whole payment, if it differs from Reference.
	Payment string `json:"payment,omitempty" class:"personal,compared"`
	Tender  Tender `json:"tender,omitempty"`
	// Purpose is set for a refund that was no settlement.
	Purpose RefundPurpose `json:"purpose,omitempty"`
	// Unexplained is the part of a refund that was more than what was to be given back. Somebody
	// has to say what it was (RefundExplained), unless a later credit accounts for it.
	Unexplained *unit.Money `json:"unexplained,omitempty"`
	// Reason and RespondBy are of a dispute.
	Reason    string    `json:"reason,omitempty" class:"personal"`
	RespondBy time.Time `json:"respond_by,omitzero"`
}

// TransactionUnreadable keeps what a provider reported if its amount cannot be recorded: it is
// finer than the currency, or of another one. It moves no money. Somebody has to look at it.
type TransactionUnreadable struct {
	TransactionID unit.TransactionID `json:"transaction_id"`
	Type          TransactionType    `json:"type"`
	State         TransactionState   `json:"state"`
	Amount        unit.Money         `json:"amount"` // as it was reported
	Provider      string             `json:"provider,omitempty" class:"chosen"`
	Reference     string             `json:"reference,omitempty" class:"personal"`
	// Code is that of the rule which the amount breaks.
	Code string `json:"code" class:"open"`
}

// CreditCause says why an order owes less.
type CreditCause string

// The causes of a credit. A cancel is a fact of its own: LinesCanceled, Canceled, Expired.
const (
	CreditForReturn    CreditCause = "return"
	CreditForReduction CreditCause = "reduction"
	CreditForCharge    CreditCause = "charge" // a charge, such as shipping, or a part of it
	// CreditForParcel is for units of a parcel that did not reach the buyer.
	CreditForParcel CreditCause = "parcel"
)

// Credited lowers what the order owes. It moves no money.
type Credited struct {
	// CreditID is unique in the order.
	CreditID unit.CreditID `json:"credit_id"`
	Cause    CreditCause   `json:"cause"`
	ReturnID unit.ReturnID `json:"return_id,omitempty"`
	// ShipmentID is the parcel whose units did not reach the buyer.
	ShipmentID unit.ShipmentID `json:"shipment_id,omitempty"`
	// Lines are what came back. They are empty if the return does not say of which lines it is.
	Lines []CreditedLine `json:"lines,omitempty"`
	// Worth is the exact worth of Lines. Amount is by how much the order owes less. It is less than
	// Worth if the order owed less than that, or because of rounding.
	Worth  unit.Money `json:"worth"`
	Amount unit.Money `json:"amount"` // >= 0
	// Parts are what each line and charge gave, if the order has accounts for them.
	Parts  []CreditPart `json:"parts,omitempty"`
	Reason string       `json:"reason,omitempty" class:"personal"`
}

// CreditedLine is some units of a line, and what they are worth.
type CreditedLine struct {
	Line     int           `json:"line"`
	Quantity unit.Quantity `json:"quantity"` // > 0
	Worth    unit.Money    `json:"worth"`    // of all these units, exact
}

// RefundPurpose says what a refund is for.
type RefundPurpose string

const (
	// Settlement gives back what the order was paid more than it owes.
	Settlement RefundPurpose = "settlement"
	// Compensation gives money on top. It changes neither what is owed nor the worth of a unit.
	Compensation RefundPurpose = "compensation"
)

// RefundCause says what has led to a refund.
type RefundCause string

const (
	RefundAsked       RefundCause = "asked"        // somebody asked for it
	RefundOfCanceled  RefundCause = "canceled"     // the order was canceled
	RefundOfExpired   RefundCause = "expired"      // the order expired
	RefundOfParcel    RefundCause = "parcel"       // units of a parcel were credited
	RefundOfLateMoney RefundCause = "late_payment" // money came for an order that had ended
)

// RefundRequested says that money is to go back. Each part is a pending refund transaction of the
// order from now on (its id is PartID), so that nobody gives back the same money again.
type RefundRequested struct {
	RefundID unit.RefundID `json:"refund_id"`
	Purpose  RefundPurpose `json:"purpose"`
	Cause    RefundCause   `json:"cause"`
	Amount   unit.Money    `json:"amount"` // > 0; of all parts, and what is unplaced
	Parts    []RefundPart  `json:"parts"`
	// Unplaced is what fits no payment. It has to be paid out in another way.
	Unplaced *unit.Money `json:"unplaced,omitempty"`
	Reason   string      `json:"reason,omitempty" class:"personal"`
}

// RefundPart is the part of a refund that goes back to one payment.
type RefundPart struct {
	PartID  unit.TransactionID `json:"part_id"`
	Payment unit.TransactionID `json:"payment"` // the capture
	Amount  unit.Money         `json:"amount"`  // > 0
}

// RefundSubmitted says that a part is about to be sent to its provider. It is recorded before it is
// sent. A part is sent again under the same key until its outcome is known.
type RefundSubmitted struct {
	RefundID unit.RefundID      `json:"refund_id"`
	PartID   unit.TransactionID `json:"part_id"`
	Attempt  int                `json:"attempt"` // 1, 2, ...
	// Key is the idempotency key for the provider: RefundKey of the part and the attempt.
	Key string `json:"idempotency_key" class:"open"`
}

// RefundState is how a part of a refund stands.
type RefundState string

const (
	RefundIsRequested RefundState = "requested"
	RefundIsSubmitted RefundState = "submitted"
	RefundIsUnknown   RefundState = "unknown" // the provider has not said how it ended
	RefundHasFailed   RefundState = "failed"
	RefundSucceeded   RefundState = "succeeded"
)

// RefundSettled says how an attempt ended: succeeded, failed or unknown. After unknown, another
// RefundSettled of the same attempt can follow.
type RefundSettled struct {
	RefundID unit.RefundID      `json:"refund_id"`
	PartID   unit.TransactionID `json:"part_id"`
	Attempt  int                `json:"attempt"` // 0: the part was paid without being submitted
	State    RefundState        `json:"state"`
	// Reference is the provider's number for the refund.
	Reference string `json:"reference,omitempty" class:"personal"`
	// Code says why it failed, in the provider's words.
	Code string `json:"code,omitempty" class:"chosen"`
	// Final means that this payment takes no refunds any more.
	Final bool `json:"final,omitzero"`
	// SameAs is a refund transaction that was recorded before as a fact, and is this part. It takes
	// the place of the part.
	SameAs unit.TransactionID `json:"same_as,omitempty"`
}

// ReturnRefundRefused says that the order does not take a return's refund, because less was left to
// give back. It is recorded so that each driver of the return gets the same reply.
type ReturnRefundRefused struct {
	ReturnID      unit.ReturnID      `json:"return_id"`
	TransactionID unit.TransactionID `json:"transaction_id"`
	Amount        unit.Money         `json:"amount"`
	Limit         unit.Money         `json:"limit"` // what was left
}

// RefundExplained says what an unexplained refund was.
type RefundExplained struct {
	TransactionID unit.TransactionID `json:"transaction_id"`
	// Purpose is compensation, or settlement: then the customer owes what was given back too much.
	Purpose RefundPurpose `json:"purpose"`
	Reason  string        `json:"reason" class:"personal"`
}

// DifferenceWrittenOff ends a small difference between what was paid and what is owed.
type DifferenceWrittenOff struct {
	// Amount is the balance that is written off: below zero if the shop gives up money that is owed
	// to it, above zero if it keeps money that it owes.
	Amount unit.Money `json:"amount"`
	// Tolerance is the most that the sender could write off. nil: any amount.
	Tolerance *unit.Money `json:"tolerance,omitempty"`
	Reason    string      `json:"reason" class:"personal"`
}

// DeadlineExtended gives the customer more time to pay.
type DeadlineExtended struct {
	ConfirmBy time.Time `json:"confirm_by"`
	Reason    string    `json:"reason" class:"personal"`
}

// TransactionSettled records how a pending transaction ended.
type TransactionSettled struct {
	TransactionID unit.TransactionID `json:"transaction_id"`
	State         TransactionState   `json:"state"` // succeeded or failed
	Reference     string             `json:"reference,omitempty" class:"personal"`
}

// ShippedLine is some units of a line, as they left.
type ShippedLine struct {
	Line     int           `json:"line"`
	SKU      unit.SKU      `json:"sku"`
	Kind     unit.Kind     `json:"kind"`
	Quantity unit.Quantity `json:"quantity"`
}

// Shipped records one parcel that left one location.
type Shipped struct {
	ShipmentID unit.ShipmentID `json:"shipment_id"`
	Location   unit.LocationID `json:"location"`
	Lines      []ShippedLine   `json:"lines"`
	Carrier    string          `json:"carrier,omitempty" class:"chosen,compared"`
	Tracking   string          `json:"tracking,omitempty" class:"personal,compared"`
	Forced     bool            `json:"forced,omitzero"` // see stock.Shipped
}

// Delivered says that a parcel arrived.
type Delivered struct {
	ShipmentID unit.ShipmentID `json:"shipment_id"`
}

// ParcelState is where a parcel is.
type ParcelState string

// The states. A parcel begins as shipped, and a parcel that came back stays so.
const (
	ParcelShipped       ParcelState = "shipped"
	ParcelDelivered     ParcelState = "delivered"
	ParcelUndeliverable ParcelState = "undeliverable" // the carrier has given up
	ParcelReturning     ParcelState = "returning"     // it is on its way back
	ParcelCameBack      ParcelState = "came_back"
	ParcelLost          ParcelState = "lost"
)

// ParcelReported says where a parcel is that did not arrive. State is undeliverable, returning or
// lost. It is shipped if a lost parcel was found.
type ParcelReported struct {
	ShipmentID unit.ShipmentID `json:"shipment_id"`
	State      ParcelState     `json:"state"`
	Reason     string          `json:"reason,omitempty" class:"personal"`
	// Claim notes what was claimed from the carrier.
	Claim string `json:"claim,omitempty" class:"personal"`
}

// Disposition is what became of units that came back in a parcel. The words are those of returns.
type Disposition string

// The dispositions. Goods that came back are for sale again, unless they are damaged or
// quarantined.
const (
	Restocked   Disposition = "restocked"
	Damaged     Disposition = "damaged"
	Quarantined Disposition = "quarantined" // somebody has to look at them first
	Missing     Disposition = "lost"        // they were not in the parcel any more
)

// BackLine is some units of a line, as they came back.
type BackLine struct {
	Line        int           `json:"line"`
	SKU         unit.SKU      `json:"sku"`
	Quantity    unit.Quantity `json:"quantity"` // > 0
	Disposition Disposition   `json:"disposition"`
}

// ParcelBack says that a parcel came back to a location. It has all goods of the parcel. It is no
// return: its buyer has never had the goods.
type ParcelBack struct {
	ShipmentID unit.ShipmentID `json:"shipment_id"`
	Location   unit.LocationID `json:"location"`
	Lines      []BackLine      `json:"lines"` // by line; one for each disposition
	Reason     string          `json:"reason,omitempty" class:"personal"`
}

// ParcelResent says that units of a parcel are to be sent again. They are open from now on, as
// before they shipped. Kept are those that stock allocates while it takes them back. All others are
// missing until stock has allocated other goods (AllocationRetried).
type ParcelResent struct {
	ShipmentID unit.ShipmentID `json:"shipment_id"`
	Location   unit.LocationID `json:"location"` // from which the parcel left
	Lines      []ResentLine    `json:"lines"`
	Reason     string          `json:"reason,omitempty" class:"personal"`
}

// ResentLine is some units of a line that are sent again.
type ResentLine struct {
	Line     int           `json:"line"`
	SKU      unit.SKU      `json:"sku"`
	Quantity unit.Quantity `json:"quantity"` // > 0
	Kept     unit.Quantity `json:"kept,omitzero"`
}

// Completed ends a confirmed order with nothing left to pay, ship or deliver.
type Completed struct{}

// Step is the kind of a step: a step is what one event of the order asks of stock.
type Step string

const (
	StepConfirm  Step = "confirm"
	StepCancel   Step = "cancel"
	StepExpire   Step = "expire"
	StepShipment Step = "shipment"
	// StepCameBack takes the goods of a parcel back.
	StepCameBack Step = "came_back"
	// StepExtend moves the deadlines of the reservations with the order's deadline.
	StepExtend Step = "extend"
	// StepHolds asks nothing of stock: it is about the holds of the order. See HoldMove.
	StepHolds Step = "holds"
)

// StockSettled says that every stock movement of a step is recorded. Until then, the
// fulfilment process still has work to do.
type StockSettled struct {
	Step Step `json:"step"`
	// Ref tells steps of one kind apart. For a shipment, and for one that
	// came back, it is the shipment's id, and for a cancel
	// its number ("1", "2", ...). For StepConfirm it is empty (the confirmation), "retry-1", ...
	// (the reservations of a retry) or "commit-1", ... (the commit after that retry). For
	// StepExpire it is empty. For StepExtend it is the deadline. For StepHolds it is "commit",
	// "release" or "return".
	Ref string `json:"ref,omitempty" class:"open"`
}

// Remedy is what happens to a confirmed order whose stock was lost, and to money that came too
// late.
type Remedy string

const (
	// RemedyVoidOrRefund gives the money back and cancels the order.
	RemedyVoidOrRefund Remedy = "void_or_refund"
	// RemedyBackorder keeps the order and waits for stock.
	RemedyBackorder Remedy = "backorder"
)

// AllocationFailed says that the stock of a confirmed order was lost: a reservation ended
// before it was committed, and no other units were available. The order may be paid already.
// The merchant's policy sets the remedy.
type AllocationFailed struct {
	Shortages []cart.Shortage `json:"shortages"`
	Remedy    Remedy          `json:"remedy"`
}

// AllocationRetried asks stock once more for the missing units. It reserves under new ids, because
// the old reservations have ended. It ends in AllocationRecovered, or in AllocationFailed again.
type AllocationRetried struct {
	Attempt int `json:"attempt"` // 1, 2, ...
	// Lost are promises that stock does not have any more although no allocation failed:
	// somebody has taken them back by force.
	Lost []Lost `json:"lost,omitempty"`
}

// Lost is some units of a SKU that are not allocated any more at a location.
type Lost struct {
	SKU      unit.SKU        `json:"sku"`
	Location unit.LocationID `json:"location"`
	Quantity unit.Quantity   `json:"quantity"` // > 0
}

// RetryStep is the step that an AllocationRetried opens.
func RetryStep(attempt int) StepRef {
	return StepRef{Step: StepConfirm, Ref: "retry-" + strconv.Itoa(attempt)}
}

// AllocationRecovered ends AllocationFailed: the stock was found after all and is reserved.
// These reservations are then committed, as after Confirmed.
type AllocationRecovered struct{}

// PaymentOrphaned says that money is there for an order that can no longer be confirmed, because
// it was canceled or has expired. The money is owed back to the customer.
type PaymentOrphaned struct {
	TransactionID unit.TransactionID `json:"transaction_id"`
	Amount        unit.Money         `json:"amount"`
	Remedy        Remedy             `json:"remedy"`
}

// ReturnAdmitted says that a return brings units of the order back. They count as returning
// from now on, and no other return can bring them back.
type ReturnAdmitted struct {
	ReturnID unit.ReturnID  `json:"return_id"`
	Lines    []LineQuantity `json:"lines"` // by ascending line, each once
}

// ReturnReleased says that the return brings nothing back. It is final: the order does not
// admit this return any more.
type ReturnReleased struct {
	ReturnID unit.ReturnID `json:"return_id"`
}

// RefundClaimed gives a refund to a return. The provider had reported the refund before the
// return did. The refund belongs to that return only.
type RefundClaimed struct {
	TransactionID unit.TransactionID `json:"transaction_id"`
	ReturnID      unit.ReturnID      `json:"return_id"`
}

// TakenOver gives an order that has no customer to one: to the buyer, who has signed in since. It
// is final. The returns of the order and the cart that it was made of become the customer's, too.
type TakenOver struct {
	CustomerID unit.CustomerID `json:"customer_id"`
}

// Archived hides a finished order from the lists of daily work.
type Archived struct{}

// Unarchived shows it again.
type Unarchived struct{}

func (Claimed) orderEvent()               {}
func (Placed) orderEvent()                {}
func (Confirmed) orderEvent()             {}
func (PutOnHold) orderEvent()             {}
func (HoldReleased) orderEvent()          {}
func (LinesCanceled) orderEvent()         {}
func (Canceled) orderEvent()              {}
func (Expired) orderEvent()               {}
func (TransactionRecorded) orderEvent()   {}
func (TransactionSettled) orderEvent()    {}
func (Shipped) orderEvent()               {}
func (Delivered) orderEvent()             {}
func (ParcelReported) orderEvent()        {}
func (ParcelBack) orderEvent()            {}
func (ParcelResent) orderEvent()          {}
func (Completed) orderEvent()             {}
func (StockSettled) orderEvent()          {}
func (AllocationFailed) orderEvent()      {}
func (AllocationRetried) orderEvent()     {}
func (AllocationRecovered) orderEvent()   {}
func (PaymentOrphaned) orderEvent()       {}
func (ReturnAdmitted) orderEvent()        {}
func (ReturnReleased) orderEvent()        {}
func (RefundClaimed) orderEvent()         {}
func (TakenOver) orderEvent()             {}
func (TransactionUnreadable) orderEvent() {}
func (Credited) orderEvent()              {}
func (RefundRequested) orderEvent()       {}
func (RefundSubmitted) orderEvent()       {}
func (RefundSettled) orderEvent()         {}
func (ReturnRefundRefused) orderEvent()   {}
func (RefundExplained) orderEvent()       {}
func (DifferenceWrittenOff) orderEvent()  {}
func (DeadlineExtended) orderEvent()      {}
func (ChargeAdded) orderEvent()           {}
func (Archived) orderEvent()              {}
func (Unarchived) orderEvent()            {}
