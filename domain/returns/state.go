package returns

import (
	"cmp"
	"slices"

	"daybook/domain/unit"
)

// FoldVersion names the shape of State: a snapshot of another version is not
// read. Raise it with every change of State or Evolve.
const FoldVersion = 7

// Status is where a return is in its life. The empty status is a return that was never requested.
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

// State is what the rules of a return need. Its zero value is the state of an empty stream. It can
// be written as JSON and read back without loss, because snapshots are JSON.
type State struct {
	Status    Status      `json:"status,omitempty"`
	Requested Requested   `json:"requested,omitzero"` // as it was asked for
	Noted     CreditNoted `json:"noted,omitzero"`
	// TakenOverBy is the customer who has taken over the order of a return that had no customer.
	TakenOverBy unit.CustomerID `json:"taken_over_by,omitempty"`
	Lines       []LineState     `json:"lines,omitempty"` // in the order of their numbers, 1 first
	Receipts    []Received      `json:"receipts,omitempty"`
	Refunds     []Refunded      `json:"refunds,omitempty"`
	Unsettled   []OpenReceipt   `json:"unsettled,omitempty"` // oldest first
	// Withdrawn are the refunds, or parts of them, that were taken back, oldest first.
	Withdrawn []Withdrawal `json:"withdrawn,omitempty"`

	// Admission is what the orders of Requested.Admit have replied. It is empty if no order
	// was asked.
	Admission Admission        `json:"admission,omitempty"`
	Refusal   AdmissionRefused `json:"refusal,omitzero"`
	// OrdersUnsettled are the steps that orders may not have recorded yet, oldest first.
	// Together with an admission that has no outcome yet, they are the process's list of work
	// at the orders.
	OrdersUnsettled []OpenOrderStep `json:"orders_unsettled,omitempty"`
}

// Clone returns a copy that shares with s nothing that Evolve changes.
func (s State) Clone() State {
	s.Lines = slices.Clone(s.Lines)
	s.Receipts = slices.Clone(s.Receipts)
	s.Refunds = slices.Clone(s.Refunds)
	s.Unsettled = slices.Clone(s.Unsettled)
	s.Withdrawn = slices.Clone(s.Withdrawn)
	s.OrdersUnsettled = slices.Clone(s.OrdersUnsettled)
	return s
}

// LineState is a line of the return, with the number of its units that have an end (Ended). The end
// of a unit is its Disposition, such as restocked or lost. In the rules, each unit with an end
// counts as received, even a lost one.
type LineState struct {
	SKU      unit.SKU      `json:"sku"`
	Kind     unit.Kind     `json:"kind"`
	Quantity unit.Quantity `json:"quantity"`
	Price    unit.Money    `json:"price"`
	Ended    unit.Quantity `json:"ended,omitzero"`
}

// Awaited is how many units have no end yet. It is 0 for a service, because a service never
// comes back as goods.
func (l LineState) Awaited() unit.Quantity {
	if l.Kind == unit.Service {
		return 0
	}
	return l.Quantity - l.Ended
}

// OpenReceipt is an arrival whose stock movements may not all be recorded yet. It is the
// fulfilment process's list of work.
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

// Exists tells whether anything is in the stream.
func (s State) Exists() bool { return s.Status != "" }

// Evolve is the state after one more event. It never refuses an event. It may change the
// slices of s in place, so the caller must not use s again.
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
		s.openCredit(0, e.Credits)
	case Declined:
		s.Status = StatusDeclined
		s.openRelease()
	case Canceled:
		s.Status = StatusCanceled
		s.openRelease()
	case Received:
		s.applyReceived(e)
	case Refunded:
		s.applyRefunded(e)
	case RefundWithdrawn:
		s.applyRefundWithdrawn(e)
	case OrdersSettled:
		s.closeStep(e.Step, e.Ref)
	case Closed:
		s.Status = StatusClosed
	case TakenOver:
		if s.Status != StatusNoted && s.Customer() == "" {
			s.TakenOverBy = e.CustomerID
		}
	case StockSettled:
		s.Unsettled = slices.DeleteFunc(s.Unsettled, func(open OpenReceipt) bool { return open.Receipt == e.Receipt })
	case CreditNoted:
		s.Status, s.Noted = StatusNoted, e
	}
	return s
}

// applyReceived gives units their ends. Restocked and damaged goods go back into stock. Lost,
// wrong and written-off goods do not.
func (s *State) applyReceived(e Received) {
	s.Status = StatusReceived
	s.openCredit(e.Receipt, e.Credits)
	s.Receipts = append(s.Receipts, e)
	var moves []Move
	for _, l := range e.Lines {
		if l.Line < 1 || l.Line > len(s.Lines) {
			continue
		}
		line := &s.Lines[l.Line-1]
		line.Ended += l.Quantity
		if l.Disposition != Restocked && l.Disposition != Damaged {
			continue
		}
		move := Move{SKU: line.SKU, Location: l.Location, Disposition: l.Disposition, Quantity: l.Quantity}
		same := slices.IndexFunc(moves, func(m Move) bool {
			return m.SKU == move.SKU && m.Location == move.Location && m.Disposition == move.Disposition
		})
		if same >= 0 {
			moves[same].Quantity += move.Quantity
		} else {
			moves = append(moves, move)
		}
	}
	if len(moves) > 0 {
		s.Unsettled = append(s.Unsettled, OpenReceipt{Receipt: e.Receipt, Moves: moves})
	}
}

// Refundable is the most that may be given back in all, rounded to be charged. It is the
// worth of the received units and of the services. Services are refundable from the approval
// on.
func (s State) Refundable() unit.Money {
	worth := unit.Zero(s.Requested.Currency)
	for _, l := range s.Lines {
		units := l.Ended
		if l.Kind == unit.Service {
			units = l.Quantity
		}
		worth = worth.Plus(l.Price.Times(units))
	}
	return worth.Charge()
}

// Refunded is what has been given back.
func (s State) Refunded() unit.Money {
	total := unit.Zero(s.Requested.Currency)
	for _, r := range s.Refunds {
		total = total.Plus(r.Amount)
	}
	return total
}

// Customer is whose the return or the credit note is now; empty if it is nobody's or a guest's.
func (s State) Customer() unit.CustomerID {
	if s.Status == StatusNoted {
		return s.Noted.CustomerID
	}
	return cmp.Or(s.Requested.CustomerID, s.TakenOverBy)
}

// OwnedBy tells whether the return belongs to an owner: to its customer, or to the guest who has
// the cart of its order.
func (s State) OwnedBy(owner unit.Owner) bool {
	return owner != "" && cmp.Or(s.Customer().Owner(), s.Requested.CartID.Owner()) == owner
}
