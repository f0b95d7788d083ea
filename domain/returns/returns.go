package returns

import (
	"slices"

	"daybook/domain/rule"
	"daybook/domain/unit"
)

// Category begins the name of every return's stream.
const Category = "return"

// Stream is the name of a return's stream.
func Stream(id string) string { return Category + "-" + id }

// FoldVersion names the shape of State: a snapshot of another version is not
// read. Raise it with every change of State or Evolve.
const FoldVersion = 3

// Status is where a return stands. The empty status is one never requested.
type Status string

const (
	StatusRequested Status = "requested"
	StatusOpen      Status = "open" // approved; nothing has come yet
	StatusReceived  Status = "received"
	StatusClosed    Status = "closed"
	StatusDeclined  Status = "declined"
	StatusCanceled  Status = "canceled"
	StatusNoted     Status = "noted" // a credit note: it moves no goods and has no further life
)

// State is what the rules of a return need. Its zero value is the empty stream;
// it survives JSON, for snapshots.
type State struct {
	Status    Status        `json:"status,omitempty"`
	Requested Requested     `json:"requested,omitzero"` // as it was asked for
	Noted     CreditNoted   `json:"noted,omitzero"`
	Lines     []LineState   `json:"lines,omitempty"` // in the order of their numbers, 1 first
	Receipts  []Received    `json:"receipts,omitempty"`
	Refunds   []Refunded    `json:"refunds,omitempty"`
	Unsettled []OpenReceipt `json:"unsettled,omitempty"` // oldest first
	// Withdrawn are the refunds, or parts of them, that were taken back, oldest first.
	Withdrawn []Withdrawal `json:"withdrawn,omitempty"`

	// Admission is what the orders that Requested.Admit names have said; empty
	// where none was asked.
	Admission Admission        `json:"admission,omitempty"`
	Refusal   AdmissionRefused `json:"refusal,omitzero"`
	// OrdersUnsettled is what orders are not known to have recorded, oldest
	// first: with an admission that is asked, the process's list of work there.
	OrdersUnsettled []OpenOrders `json:"orders_unsettled,omitempty"`
}

// Clone shares nothing with s that Evolve changes.
func (s State) Clone() State {
	s.Lines = slices.Clone(s.Lines)
	s.Receipts = slices.Clone(s.Receipts)
	s.Refunds = slices.Clone(s.Refunds)
	s.Unsettled = slices.Clone(s.Unsettled)
	s.Withdrawn = slices.Clone(s.Withdrawn)
	s.OrdersUnsettled = slices.Clone(s.OrdersUnsettled)
	return s
}

// LineState is how a returned line stands. Units whose end is told are received
// in the sense of the rules, also those that were lost.
type LineState struct {
	SKU      unit.SKU      `json:"sku"`
	Kind     unit.Kind     `json:"kind"`
	Quantity unit.Quantity `json:"quantity"`
	Price    unit.Money    `json:"price"`
	Ended    unit.Quantity `json:"ended,omitzero"`
}

// Awaited is how many units have no end yet. A service never comes back as
// goods, so nothing is awaited of it.
func (l LineState) Awaited() unit.Quantity {
	if l.Kind == unit.Service {
		return 0
	}
	return l.Quantity - l.Ended
}

// OpenReceipt is an arrival whose stock movements are not known to be all
// recorded: the fulfilment process's list of work.
type OpenReceipt struct {
	Receipt int    `json:"receipt"`
	Moves   []Move `json:"moves"`
}

// Move puts returned units of a SKU back into stock at a location. No two moves
// of a receipt are of the same SKU, location and disposition.
type Move struct {
	SKU         unit.SKU        `json:"sku"`
	Location    unit.LocationID `json:"location"`
	Disposition Disposition     `json:"disposition"` // restocked or damaged
	Quantity    unit.Quantity   `json:"quantity"`
}

// The refusals of a return.
var (
	ErrNotFound         = &rule.Rejection{Code: "return-not-found", Detail: "There is no such return."}
	ErrExists           = &rule.Rejection{Code: "return-exists", Detail: "Another return or credit note has this id."}
	ErrEmpty            = &rule.Rejection{Code: "return-empty", Detail: "At least one line is needed."}
	ErrCurrencyMixed    = &rule.Rejection{Code: "return-currency-mixed", Detail: "Every line must be priced in the currency of the return."}
	ErrLinkExceeded     = &rule.Rejection{Code: "return-link-exceeded", Detail: "A line is linked to more units than come back."}
	ErrNotRequested     = &rule.Rejection{Code: "return-not-requested", Detail: "The return has been approved already."}
	ErrNotAdmitted      = &rule.Rejection{Code: "return-not-admitted", Detail: "The order has not yet said whether it sold what comes back; try again."}
	ErrNotApproved      = &rule.Rejection{Code: "return-not-approved", Detail: "The return is not approved yet."}
	ErrDeclined         = &rule.Rejection{Code: "return-declined", Detail: "The return was declined."}
	ErrCanceled         = &rule.Rejection{Code: "return-canceled", Detail: "The return was canceled."}
	ErrReceived         = &rule.Rejection{Code: "return-received", Detail: "Goods of the return have been received."}
	ErrRefunded         = &rule.Rejection{Code: "return-refunded", Detail: "Money of the return has been given back."}
	ErrClosed           = &rule.Rejection{Code: "return-closed", Detail: "The return is closed."}
	ErrCreditNote       = &rule.Rejection{Code: "return-is-credit-note", Detail: "A credit note stands alone."}
	ErrNotFinished      = &rule.Rejection{Code: "return-not-finished", Detail: "Goods of the return are still awaited."}
	ErrLineUnknown      = &rule.Rejection{Code: "return-line-unknown", Detail: "The return has no such line."}
	ErrServiceLine      = &rule.Rejection{Code: "return-line-service", Detail: "A service cannot be received."}
	ErrQuantityInvalid  = &rule.Rejection{Code: "return-quantity-invalid", Detail: "A quantity must be 1 or more."}
	ErrUnitLimit        = &rule.Rejection{Code: "return-unit-limit", Detail: "A return or credit note holds at most 1,000,000,000 units in all."}
	ErrAmountLimit      = &rule.Rejection{Code: "return-amount-limit", Detail: "The absolute line totals of a return or credit note must add up to less than 1,000,000,000,000,000,000."}
	ErrQuantityExceeded = &rule.Rejection{Code: "return-quantity-exceeded", Detail: "Fewer units of the line are awaited."}
	ErrDispositionWrong = &rule.Rejection{Code: "return-disposition-invalid", Detail: "There is no such disposition."}
	ErrReceiptDiffers   = &rule.Rejection{Code: "receipt-differs", Detail: "That receipt was recorded with other lines."}
	ErrReceiptOrder     = &rule.Rejection{Code: "receipt-out-of-order", Detail: "Receipts are numbered one after the other."}
	ErrRefundDiffers    = &rule.Rejection{Code: "refund-differs", Detail: "Another refund of the return has this id."}
	ErrAmountInvalid    = &rule.Rejection{Code: "refund-amount-invalid", Detail: "An amount must be more than zero."}
	ErrAmountExceeded   = &rule.Rejection{Code: "refund-amount-exceeded", Detail: "What was received is worth less than that."}
	ErrCurrencyDiffers  = &rule.Rejection{Code: "refund-currency-differs", Detail: "The amount is not in the currency of the return."}
)

// Rejections are all the ways a return says no.
var Rejections = []*rule.Rejection{
	ErrNotFound, ErrExists, ErrEmpty, ErrCurrencyMixed, ErrLinkExceeded,
	ErrNotRequested, ErrNotAdmitted, ErrNotApproved, ErrDeclined, ErrCanceled, ErrReceived, ErrRefunded, ErrClosed, ErrCreditNote, ErrNotFinished,
	ErrLineUnknown, ErrServiceLine, ErrQuantityInvalid, ErrUnitLimit, ErrAmountLimit, ErrQuantityExceeded, ErrDispositionWrong,
	ErrReceiptDiffers, ErrReceiptOrder,
	ErrRefundDiffers, ErrAmountInvalid, ErrAmountExceeded, ErrCurrencyDiffers, ErrTextInvalid,
}

// Exists reports whether anything is in the stream.
func (s State) Exists() bool { return s.Status != "" }

// Decide answers a command with events, with nothing (it is already so) or with
// a *rule.Rejection. It never changes s.
//
// Texts are checked last, so that asking again for what an older program has
// recorded still changes nothing.
func Decide(cmd Command, s State) ([]Event, error) {
	events, err := decide(cmd, s)
	if err == nil && len(events) > 0 {
		err = texts(cmd)
	}
	if err != nil {
		return nil, err
	}
	return events, nil
}

func decide(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) {
	case Request:
		return request(cmd, s)
	case NoteCredit:
		return noteCredit(cmd, s)
	case Admit, RefuseAdmission, Approve, Decline, Cancel, Receive, RecordRefund, Close, SettleStock, SettleOrders, WithdrawRefund:
	}
	switch s.Status {
	case "":
		return nil, ErrNotFound
	case StatusNoted:
		return nil, ErrCreditNote
	case StatusRequested, StatusOpen, StatusReceived, StatusClosed, StatusDeclined, StatusCanceled:
	}
	switch cmd := cmd.(type) {
	case Request, NoteCredit: // answered above
	case Admit:
		return admit(s)
	case RefuseAdmission:
		return refuseAdmission(cmd, s)
	case Approve:
		return approve(s)
	case Decline:
		return decline(cmd, s)
	case Cancel:
		return cancel(cmd, s)
	case Receive:
		return receive(cmd, s)
	case RecordRefund:
		return recordRefund(cmd, s)
	case Close:
		return closeReturn(s)
	case SettleStock:
		return settleStock(cmd, s)
	case SettleOrders:
		return settleOrders(cmd, s)
	case WithdrawRefund:
		return withdrawRefund(cmd, s)
	}
	panic("returns: unknown command") // a programmer's error, never input
}

// Evolve is the state after one more fact. It never refuses one. It takes s
// over: its slices may be changed in place, so the caller keeps no copy of s.
func Evolve(s State, e Event) State {
	switch e := e.(type) {
	case Requested:
		s.Status, s.Requested = StatusRequested, e
		s.Lines = make([]LineState, len(e.Lines))
		for i, l := range e.Lines {
			s.Lines[i] = LineState{SKU: l.SKU, Kind: l.Kind, Quantity: l.Quantity, Price: l.Price}
		}
		if len(e.Admit) > 0 {
			s.Admission = AdmissionAsked
		}
	case Admitted:
		s.Admission = AdmissionGiven
	case AdmissionRefused:
		s.Status, s.Admission, s.Refusal = StatusDeclined, AdmissionDenied, e
		s.openRelease()
	case Approved:
		s.Status = StatusOpen
	case Declined:
		s.Status = StatusDeclined
		s.openRelease()
	case Canceled:
		s.Status = StatusCanceled
		s.openRelease()
	case Received:
		s.received(e)
	case Refunded:
		s.refunded(e)
	case RefundWithdrawn:
		s.refundWithdrawn(e)
	case OrdersSettled:
		s.closeStep(e.Step, e.Ref)
	case Closed:
		s.Status = StatusClosed
	case StockSettled:
		s.Unsettled = slices.DeleteFunc(s.Unsettled, func(open OpenReceipt) bool { return open.Receipt == e.Receipt })
	case CreditNoted:
		s.Status, s.Noted = StatusNoted, e
	}
	return s
}
