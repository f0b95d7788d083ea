package order

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"daybook/domain/cart"
	"daybook/domain/contact"
	"daybook/domain/money/pricing"
	"daybook/domain/money/shares"
	"daybook/domain/unit"
)

// FoldVersion names the shape of State: a snapshot of another version is not
// read. Raise it with every change of State or Evolve.
const FoldVersion = 11

// Status is where an order is in its life. Hold and archive are separate flags. The empty
// status is an order that was never placed.
type Status string

const (
	StatusPending   Status = "pending"
	StatusConfirmed Status = "confirmed"
	StatusCompleted Status = "completed"
	StatusCanceled  Status = "canceled"
	StatusExpired   Status = "expired"
)

// State is what the rules of an order need. Its zero value is the state of an empty stream. It can
// be written as JSON and read back without loss, because snapshots are JSON.
//
// Two sums hold at every revision and are tested. A line's quantity is the sum of its
// canceled, shipped and open units. For each SKU, the open units of its lines are the
// remaining units of its holdings.
type State struct {
	OrderID    unit.OrderID    `json:"order_id,omitempty"`
	CartID     unit.CartID     `json:"cart_id,omitempty"`
	CustomerID unit.CustomerID `json:"customer_id,omitempty"`
	// TakenOver means that the order was placed without a customer. CustomerID has taken it over.
	TakenOver bool             `json:"taken_over,omitzero"`
	Reference string           `json:"reference,omitempty"`
	Country   string           `json:"country,omitempty"`
	Details   *contact.Details `json:"details,omitempty"`

	Status     Status    `json:"status,omitempty"`
	OnHold     bool      `json:"on_hold,omitzero"`
	HoldReason string    `json:"hold_reason,omitempty"`
	Archived   bool      `json:"archived,omitzero"`
	ConfirmBy  time.Time `json:"confirm_by,omitzero"`
	// PlacedUntil is the deadline that the order was placed with, if it was moved since.
	PlacedUntil time.Time `json:"placed_until,omitzero"`

	// Total is the exact amount of everything not taken off.
	Total unit.Money `json:"total"`
	Lines []Line     `json:"lines,omitempty"` // by ascending number
	// Accounts means that each line and charge has an account; see amounts.go.
	Accounts bool     `json:"accounts,omitzero"`
	Charges  []Charge `json:"charges,omitempty"` // by number
	// Quote is that of Placed.
	Quote *pricing.Quote `json:"quote,omitempty"`
	// Holdings are ordered by SKU. Those of one SKU are in the order in which they were
	// placed.
	Holdings  []Holding  `json:"holdings,omitempty"`
	Shipments []Shipment `json:"shipments,omitempty"`
	// Holds are what the order holds, or has held, besides stock.
	Holds        []cart.Hold   `json:"holds,omitempty"`
	Transactions []Transaction `json:"transactions,omitempty"`
	// Credits lower what the order owes. Credited is the sum of their amounts, and CreditedWorth of
	// their exact worth.
	Credits       []CreditState `json:"credits,omitempty"`
	Credited      unit.Money    `json:"credited"`
	CreditedWorth unit.Money    `json:"credited_worth"`
	// WrittenOff is money that the shop does not ask for any more, and KeptAsGain money that it
	// does not give back. Lost is money that was written off although the order never owed it: more
	// went out than came in.
	WrittenOff unit.Money   `json:"written_off"`
	Lost       unit.Money   `json:"lost"`
	KeptAsGain unit.Money   `json:"kept_as_gain"`
	Refunds    []RefundPlan `json:"refunds,omitempty"`
	// RefusedRefunds are refunds of returns that the order has refused.
	RefusedRefunds []ReturnRefundRefused `json:"refused_refunds,omitempty"`
	// Unreadable are reports of providers whose amounts cannot be recorded.
	Unreadable []TransactionUnreadable `json:"unreadable,omitempty"`
	// Returns are the returns that bring units of the order back, and those that were
	// released.
	Returns []Return `json:"returns,omitempty"`

	// AllocationFailed and Remedy are set from the event AllocationFailed until
	// AllocationRecovered.
	AllocationFailed bool     `json:"allocation_failed,omitzero"`
	Remedy           Remedy   `json:"remedy,omitempty"`
	Orphans          []Orphan `json:"orphans,omitempty"`

	// Unsettled is the fulfilment process's list of work: the steps whose stock
	// movements are not yet all recorded, oldest first.
	Unsettled []OpenStep `json:"unsettled,omitempty"`
	Cancels   int        `json:"cancels,omitzero"` // cancel steps opened so far
	Retries   int        `json:"retries,omitzero"` // allocation retries so far
}

// Line is one line of the order, by units.
type Line struct {
	Number    int           `json:"line"`
	SKU       unit.SKU      `json:"sku"`
	Kind      unit.Kind     `json:"kind"`
	Quantity  unit.Quantity `json:"quantity"` // as placed
	Price     unit.Money    `json:"price"`
	Canceled  unit.Quantity `json:"canceled,omitzero"`
	Shipped   unit.Quantity `json:"shipped,omitzero"`
	Delivered unit.Quantity `json:"delivered,omitzero"` // of those shipped
	// Undelivered is how many of those shipped never reached the buyer and were credited.
	Undelivered unit.Quantity `json:"undelivered,omitzero"`
	Returning   unit.Quantity `json:"returning,omitzero"` // of those shipped: they came back, or a return is bringing them back
	// Account is the line's money, if the order has accounts.
	Account shares.Account `json:"account,omitzero"`
}

// Open is what can still be shipped or canceled.
func (l Line) Open() unit.Quantity { return l.Quantity - l.Canceled - l.Shipped }

// Returnable is how many units can still be returned.
func (l Line) Returnable() unit.Quantity { return l.Shipped - l.Returning - l.Undelivered }

// Holding is the stock of one SKU promised to the order at one location.
type Holding struct {
	ReservationID unit.ReservationID `json:"reservation_id"`
	SKU           unit.SKU           `json:"sku"`
	Location      unit.LocationID    `json:"location"`
	Quantity      unit.Quantity      `json:"quantity"` // as reserved
	Canceled      unit.Quantity      `json:"canceled,omitzero"`
	Shipped       unit.Quantity      `json:"shipped,omitzero"`
	// Released means that the whole reservation was given up before it became an allocation.
	Released bool `json:"released,omitzero"`
	// Missing is how many of the remaining units stock does not promise here at present:
	// their allocation failed or was taken back.
	Missing unit.Quantity `json:"missing_units,omitzero"`
}

// Remaining is how many units of the holding are neither shipped nor canceled.
func (h Holding) Remaining() unit.Quantity { return h.Quantity - h.Canceled - h.Shipped }

// Backed is how many of the remaining units stock has promised.
func (h Holding) Backed() unit.Quantity { return h.Remaining() - h.Missing }

// MayBelongTo tells whether the order id may belong to a cart: no cart has the id yet, or this cart
// has it.
func (s State) MayBelongTo(id unit.CartID) bool {
	return s.CartID == id || s.CartID == "" && !s.Exists()
}

// Exists reports whether the order was ever placed.
func (s State) Exists() bool { return s.Status != "" }

// Currency is the currency of the order.
func (s State) Currency() unit.Currency { return s.Total.Currency }

// Clone returns a copy that shares with s nothing that Evolve changes.
func (s State) Clone() State {
	s.Lines = slices.Clone(s.Lines) // nobody changes the lists of an account in place
	s.Charges = slices.Clone(s.Charges)
	s.Holdings = slices.Clone(s.Holdings)
	s.Shipments = slices.Clone(s.Shipments)
	s.Transactions = slices.Clone(s.Transactions)
	s.Returns = slices.Clone(s.Returns)
	s.Orphans = slices.Clone(s.Orphans)
	s.Credits = slices.Clone(s.Credits)
	s.Unreadable = slices.Clone(s.Unreadable)
	s.RefusedRefunds = slices.Clone(s.RefusedRefunds)
	s.Refunds = slices.Clone(s.Refunds)
	for i := range s.Refunds {
		s.Refunds[i].Parts = slices.Clone(s.Refunds[i].Parts)
	}
	s.Unsettled = slices.Clone(s.Unsettled)
	return s
}

// lineIndex finds a line's index by its number.
func (s State) lineIndex(number int) (int, bool) {
	return slices.BinarySearchFunc(s.Lines, number, func(l Line, n int) int { return l.Number - n })
}

// holdings finds the bounds of a SKU's holdings.
func (s State) holdings(sku unit.SKU) (from, to int) {
	from, _ = slices.BinarySearchFunc(s.Holdings, sku, func(h Holding, sku unit.SKU) int {
		return strings.Compare(string(h.SKU), string(sku))
	})
	for to = from; to < len(s.Holdings) && s.Holdings[to].SKU == sku; to++ {
	}
	return from, to
}

// holdingIndex finds the index of a SKU's holding at a location, or -1.
func (s State) holdingIndex(sku unit.SKU, location unit.LocationID) int {
	from, to := s.holdings(sku)
	for i := from; i < to; i++ {
		if s.Holdings[i].Location == location {
			return i
		}
	}
	return -1
}

// Evolve is the state after one more event. It never refuses an event. It may change the
// slices of s in place, so the caller must not use s again (Clone makes a copy).
func Evolve(s State, e Event) State {
	switch e := e.(type) {
	case Claimed:
		s.CartID = e.CartID
	case Placed:
		return newPlaced(e)
	case Confirmed:
		s.applyConfirmed(e)
	case PutOnHold:
		s.OnHold, s.HoldReason = true, e.Reason
	case HoldReleased:
		s.OnHold, s.HoldReason = false, ""
	case LinesCanceled:
		s.applyLinesCanceled(e.Lines)
	case Canceled:
		s.applyCanceled()
	case Expired:
		s.applyExpired()
	case TransactionRecorded:
		s.applyTransactionRecorded(e)
	case TransactionSettled:
		s.applyTransactionSettled(e)
	case TransactionUnreadable, Credited, RefundRequested, RefundSubmitted, RefundSettled, ReturnRefundRefused, RefundExplained,
		DifferenceWrittenOff, DeadlineExtended, ChargeAdded:
		s.evolveMoney(e)
	case Shipped:
		s.applyShipped(e)
	case Delivered:
		s.applyDelivered(e.ShipmentID)
	case ParcelReported:
		s.applyParcelReported(e)
	case ParcelBack:
		s.applyParcelBack(e)
	case ParcelResent:
		s.applyParcelResent(e)
	case Completed:
		s.Status = StatusCompleted
	case StockSettled:
		s.closeStep(StepRef{Step: e.Step, Ref: e.Ref})
	case AllocationFailed:
		s.applyAllocationFailed(e)
	case AllocationRetried:
		s.applyAllocationRetried(e.Lost)
	case AllocationRecovered:
		s.applyAllocationRecovered()
	case PaymentOrphaned:
		s.Orphans = append(s.Orphans, Orphan{TransactionID: e.TransactionID, Amount: e.Amount})
	case ReturnAdmitted:
		s.applyReturnAdmitted(e)
	case ReturnReleased:
		s.applyReturnReleased(e.ReturnID)
	case RefundClaimed:
		s.applyRefundClaimed(e)
	case TakenOver:
		s.applyTakenOver(e)
	case Archived:
		s.Archived = true
	case Unarchived:
		s.Archived = false
	}
	return s
}

// evolveMoney is the part of Evolve about refunds, credits and the like.
func (s *State) evolveMoney(e Event) {
	switch e := any(e).(type) {
	case TransactionUnreadable:
		s.Unreadable = append(s.Unreadable, e)
	case Credited:
		s.applyCredited(e)
	case RefundRequested:
		s.applyRefundRequested(e)
	case RefundSubmitted:
		s.applyRefundSubmitted(e)
	case RefundSettled:
		s.applyRefundSettled(e)
	case ReturnRefundRefused:
		s.RefusedRefunds = append(s.RefusedRefunds, e)
	case RefundExplained:
		if i := s.transactionIndex(e.TransactionID); i >= 0 {
			s.Transactions[i].Purpose, s.Transactions[i].Unexplained = e.Purpose, nil
		}
	case DifferenceWrittenOff:
		s.applyWrittenOff(e)
	case DeadlineExtended:
		s.applyDeadlineExtended(e)
	case ChargeAdded:
		s.applyChargeAdded(e)
	}
}

// OwnedBy tells whether the order belongs to an owner: to its customer, or, if it has none, to the
// holder of the cart that it was made of.
func (s State) OwnedBy(owner unit.Owner) bool {
	return owner != "" && cmp.Or(s.CustomerID.Owner(), s.CartID.Owner()) == owner
}
