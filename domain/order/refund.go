package order

import (
	"slices"
	"strconv"

	"daybook/domain/unit"
)

// RefundPlan is a refund as it stands.
type RefundPlan struct {
	ID       unit.RefundID `json:"id"`
	Purpose  RefundPurpose `json:"purpose"`
	Cause    RefundCause   `json:"cause"`
	Amount   unit.Money    `json:"amount"`
	Parts    []Part        `json:"parts"`
	Unplaced unit.Money    `json:"unplaced"`
	Reason   string        `json:"reason,omitempty"`
}

// Part is the part of a refund that goes back to one payment.
type Part struct {
	ID unit.TransactionID `json:"id"`
	// Transaction is the refund transaction of the part: the part's id, or the id under which
	// somebody has reported it.
	Transaction unit.TransactionID `json:"transaction"`
	Payment     unit.TransactionID `json:"payment"` // the capture
	Amount      unit.Money         `json:"amount"`
	State       RefundState        `json:"state"`
	Attempt     int                `json:"attempt"` // 0: never submitted
	Code        string             `json:"code,omitempty"`
}

// RefundKey is the idempotency key under which a provider gets an attempt of a part.
func RefundKey(part unit.TransactionID, attempt int) string {
	return string(part) + "-" + strconv.Itoa(attempt)
}

// Open tells whether the part still has to be sent to its provider, or has no known outcome.
func (p Part) Open() bool {
	return p.State == RefundIsRequested || p.State == RefundIsSubmitted || p.State == RefundIsUnknown
}

// Refund finds a refund by its id.
func (s State) Refund(id unit.RefundID) (RefundPlan, bool) {
	if i := slices.IndexFunc(s.Refunds, func(r RefundPlan) bool { return r.ID == id }); i >= 0 {
		return s.Refunds[i], true
	}
	return RefundPlan{}, false
}

// part finds a part in a state that may be changed; nil if there is none.
func (s *State) part(pass func(RefundPlan, Part) bool) *Part {
	for i, r := range s.Refunds {
		for k, p := range r.Parts {
			if pass(r, p) {
				return &s.Refunds[i].Parts[k]
			}
		}
	}
	return nil
}

func ofPart(refund unit.RefundID, part unit.TransactionID) func(RefundPlan, Part) bool {
	return func(r RefundPlan, p Part) bool { return r.ID == refund && p.ID == part }
}

// Refundable is how much of a payment can still be given back: what was captured, less refunds
// (also those in flight), chargebacks and open disputes, plus reversals. Without a payment it is
// the same for the whole order.
func (s State) Refundable(payment unit.TransactionID) unit.Money {
	of := func(types []TransactionType, states ...TransactionState) unit.Money {
		return s.sum(func(t Transaction) bool {
			return slices.Contains(types, t.Type) && slices.Contains(states, t.State) && (payment == "" || s.paymentOf(t) == payment)
		})
	}
	left := of([]TransactionType{Capture, Reversal}, Succeeded).
		Minus(of([]TransactionType{Refund}, Pending, Succeeded)).
		Minus(of([]TransactionType{Chargeback}, Succeeded))
	return floor(left.Minus(s.heldByDisputes(payment)))
}

// paymentOf is the capture that a transaction is about; empty if it names none.
func (s State) paymentOf(t Transaction) unit.TransactionID {
	switch t.Type {
	case Capture:
		return t.ID
	case Refund, Chargeback, Dispute:
		return t.Parent
	case Reversal:
		chargeback, _ := s.Transaction(t.Parent)
		return chargeback.Parent
	case Authorize, Void:
	}
	return ""
}

// heldByDisputes is the money of open disputes that the bank has not taken yet.
func (s State) heldByDisputes(payment unit.TransactionID) unit.Money {
	held := unit.Zero(s.Currency())
	if !s.Disputed() {
		return held
	}
	var payments []unit.TransactionID
	for _, t := range s.Transactions {
		of := s.paymentOf(t)
		if t.Type != Dispute || t.State != Pending || payment != "" && of != payment || slices.Contains(payments, of) {
			continue
		}
		payments = append(payments, of)
		sum := func(typ TransactionType, state TransactionState) unit.Money {
			return s.sum(func(other Transaction) bool {
				return other.Type == typ && other.State == state && s.paymentOf(other) == of
			})
		}
		taken := floor(sum(Chargeback, Succeeded).Minus(sum(Reversal, Succeeded)))
		held = held.Plus(floor(sum(Dispute, Pending).Minus(taken)))
	}
	return held
}

// Plan divides a refund among the payments: external ones before gift cards and store credit, the
// newest capture first, each up to what is left of it. A payment whose refund has failed for good
// is left out. What fits nowhere is unplaced.
func (s State) Plan(amount unit.Money) (shares []RefundShare, unplaced unit.Money) {
	left := lesser(amount, s.Refundable(""))
	unplaced = amount.Minus(left)
	for _, stored := range []bool{false, true} {
		for _, t := range slices.Backward(s.Transactions) {
			if t.Type != Capture || t.State != Succeeded || t.NoRefunds || t.Amount.Currency != s.Currency() || (t.Tender != "") != stored {
				continue
			}
			if part := lesser(left, s.Refundable(t.ID)); part.Sign() > 0 {
				shares = append(shares, RefundShare{Payment: t.ID, Amount: part})
				left = left.Minus(part)
			}
		}
	}
	return shares, unplaced.Plus(left)
}

func lesser(a, b unit.Money) unit.Money {
	if a.Compare(b) < 0 {
		return a
	}
	return b
}

// payable refuses an amount that nobody can pay in the order's currency.
func (s State) payable(amount unit.Money) error {
	switch {
	case amount.Currency != s.Currency():
		return ErrCurrencyDiffers
	case amount.Sign() <= 0:
		return ErrAmountInvalid
	case amount.TooFine():
		return ErrAmountTooFine
	}
	return nil
}

func requestRefund(cmd RequestRefund, s State) ([]Event, error) {
	if have, found := s.Refund(cmd.RefundID); found {
		if have.sameAs(cmd) {
			return nil, nil
		}
		return nil, ErrRefundDiffers
	}
	if cmd.Purpose != Settlement && cmd.Purpose != Compensation {
		return nil, ErrTransactionInvalid
	}
	if err := s.payable(cmd.Amount); err != nil {
		return nil, err
	}
	limit := s.Refundable("")
	if cmd.Purpose == Settlement {
		limit = s.ToReturn()
	}
	if cmd.Amount.Compare(limit) > 0 {
		return nil, exceeded(limit, cmd.Amount)
	}
	shares, unplaced := cmd.Parts, unit.Zero(s.Currency())
	if len(shares) == 0 {
		shares, unplaced = s.Plan(cmd.Amount)
	} else if err := s.sharesFit(cmd); err != nil {
		return nil, err
	}
	if len(shares) == 0 || cmd.Purpose == Compensation && unplaced.Sign() > 0 {
		return nil, ErrRefundUnplaced
	}
	if err := withinRefundLimit(s.GivenBack(), cmd.Amount, cmd.Limit); err != nil {
		return nil, err
	}
	return []Event{s.refundRequested(cmd.RefundID, cmd.Purpose, RefundAsked, shares, unplaced, cmd.Reason)}, nil
}

// sameAs compares a repeated request with the refund. A request without parts matches any plan. The
// reason is not compared, because it may be erased.
func (r RefundPlan) sameAs(cmd RequestRefund) bool {
	if r.Cause != RefundAsked || r.Purpose != cmd.Purpose || !r.Amount.Equal(cmd.Amount) {
		return false
	}
	return len(cmd.Parts) == 0 || slices.EqualFunc(r.Parts, cmd.Parts, func(p Part, share RefundShare) bool {
		return p.Payment == share.Payment && p.Amount.Equal(share.Amount)
	})
}

// sharesFit checks parts that the sender has chosen.
func (s State) sharesFit(cmd RequestRefund) error {
	sum := unit.Zero(s.Currency())
	for i, share := range cmd.Parts {
		t, found := s.Transaction(share.Payment)
		switch {
		case !found:
			return ErrTransactionUnknown
		case t.Type != Capture || t.State != Succeeded:
			return ErrParentMismatch
		case s.payable(share.Amount) != nil:
			return s.payable(share.Amount)
		case slices.ContainsFunc(cmd.Parts[:i], func(other RefundShare) bool { return other.Payment == share.Payment }):
			return ErrRefundParts
		}
		if left := s.Refundable(share.Payment); share.Amount.Compare(left) > 0 {
			return exceeded(left, share.Amount)
		}
		sum = sum.Plus(share.Amount)
	}
	if !sum.Equal(cmd.Amount) {
		return ErrRefundParts
	}
	if left := s.Refundable(""); sum.Compare(left) > 0 { // refunds that name no payment count here only
		return exceeded(left, sum)
	}
	return nil
}

func exceeded(limit, requested unit.Money) error {
	return ErrAmountExceeded.With("The amount is more than what is left to void or to give back.",
		map[string]any{"limit": floor(limit), "requested": requested})
}

func (s State) refundRequested(id unit.RefundID, purpose RefundPurpose, cause RefundCause, shares []RefundShare, unplaced unit.Money, reason string) RefundRequested {
	e := RefundRequested{RefundID: id, Purpose: purpose, Cause: cause, Amount: unplaced, Reason: reason}
	for _, share := range shares {
		part := unit.TransactionID(unit.RefundPart.Of(string(s.OrderID), string(id), string(share.Payment)).ID())
		if cause != RefundAsked && cause != RefundOfParcel {
			// Older programs gave this id to the refund that follows an order's end.
			if old := RemedyTransactionID(s.OrderID, share.Payment); s.transactionIndex(old) < 0 {
				part = old
			}
		}
		e.Parts = append(e.Parts, RefundPart{PartID: part, Payment: share.Payment, Amount: share.Amount})
		e.Amount = e.Amount.Plus(share.Amount)
	}
	if unplaced.Sign() > 0 {
		e.Unplaced = &unplaced
	}
	return e
}

// refundOfEnd gives back what an order does not owe after it has ended. events are the ones that
// end it, or money that came later. of is the payment that came; empty: all of the order.
func (s State) refundOfEnd(cause RefundCause, of unit.TransactionID, events ...Event) []Event {
	if len(s.Transactions) == 0 && of == "" {
		return events
	}
	after := s.Clone()
	for _, e := range events {
		after = Evolve(after, e)
	}
	amount := after.ToReturn()
	if of != "" {
		amount = lesser(amount, lesser(after.Refundable(of), after.Refundable("")))
	}
	if amount.Sign() <= 0 {
		return events
	}
	shares, unplaced := after.Plan(amount)
	if of != "" {
		shares, unplaced = []RefundShare{{Payment: of, Amount: amount}}, unit.Zero(amount.Currency)
	}
	if len(shares) == 0 {
		return events
	}
	id := unit.RefundID(unit.EndRefund.Of(string(s.OrderID), string(cause), string(of)).ID())
	return append(events, after.refundRequested(id, Settlement, cause, shares, unplaced, ""))
}

func (s *State) applyRefundRequested(e RefundRequested) {
	r := RefundPlan{ID: e.RefundID, Purpose: e.Purpose, Cause: e.Cause, Amount: e.Amount, Unplaced: unit.Zero(e.Amount.Currency), Reason: e.Reason}
	if e.Unplaced != nil {
		r.Unplaced = *e.Unplaced
	}
	for _, p := range e.Parts {
		payment, _ := s.Transaction(p.Payment)
		r.Parts = append(r.Parts, Part{ID: p.PartID, Transaction: p.PartID, Payment: p.Payment, Amount: p.Amount, State: RefundIsRequested})
		s.Transactions = append(s.Transactions, Transaction{
			ID: p.PartID, Type: Refund, State: Pending, RecordedState: Pending, Amount: p.Amount, Parent: p.Payment,
			Provider: payment.Provider, Tender: payment.Tender, Purpose: e.Purpose, RefundID: e.RefundID,
		})
	}
	s.Refunds = append(s.Refunds, r)
}

// submitRefund allows a new attempt only after a known failure: otherwise the money could go back
// twice.
func submitRefund(cmd SubmitRefund, s State) ([]Event, error) {
	refund, _ := s.Refund(cmd.RefundID)
	part := s.part(ofPart(cmd.RefundID, cmd.PartID))
	if part != nil && cmd.Attempt == 0 {
		cmd.Attempt = part.nextAttempt()
	}
	switch {
	case part == nil:
		return nil, ErrRefundUnknown
	case cmd.Attempt >= 1 && cmd.Attempt <= part.Attempt:
		return nil, nil
	case part.State == RefundSucceeded:
		return nil, ErrTransactionSettled
	case cmd.Attempt != part.Attempt+1 || part.State != RefundIsRequested && part.State != RefundHasFailed:
		return nil, ErrRefundUnderWay.With(ErrRefundUnderWay.Detail, map[string]any{"attempt": part.Attempt, "state": part.State})
	}
	if limit := s.leftFor(refund, *part); part.Amount.Compare(limit) > 0 {
		return nil, exceeded(limit, part.Amount)
	}
	before := s.GivenBack()
	if t, _ := s.Transaction(part.Transaction); t.State != Failed {
		before = before.Minus(t.Amount)
	}
	if err := withinRefundLimit(before, part.Amount, cmd.Limit); err != nil {
		return nil, err
	}
	return []Event{RefundSubmitted{RefundID: cmd.RefundID, PartID: cmd.PartID, Attempt: cmd.Attempt, Key: RefundKey(cmd.PartID, cmd.Attempt)}}, nil
}

// leftFor is how much a part that is about to be sent may give back. Since it was requested, a bank
// may have taken the money, or may ask about it. A part that has failed is requested anew, because
// its failure has freed its money.
func (s State) leftFor(refund RefundPlan, part Part) unit.Money {
	limit := part.Amount
	if part.State == RefundHasFailed && refund.Purpose == Settlement {
		limit = s.ToReturn()
	}
	s.Transactions = slices.DeleteFunc(slices.Clone(s.Transactions), func(t Transaction) bool { return t.ID == part.Transaction })
	return lesser(limit, lesser(s.Refundable(part.Payment), s.Refundable("")))
}

// nextAttempt is the attempt that is under way, or the one after it.
func (p Part) nextAttempt() int {
	if p.State == RefundIsSubmitted || p.State == RefundIsUnknown {
		return max(p.Attempt, 1)
	}
	return p.Attempt + 1
}

func (s *State) applyRefundSubmitted(e RefundSubmitted) {
	part := s.part(ofPart(e.RefundID, e.PartID))
	if part == nil {
		return
	}
	part.State, part.Attempt, part.Code = RefundIsSubmitted, e.Attempt, ""
	if i := s.transactionIndex(part.Transaction); i >= 0 {
		s.Transactions[i].State = Pending
	}
}

// settleRefund records a fact, so it is not refused because of its amount.
func settleRefund(cmd SettleRefund, s State) ([]Event, error) {
	part := s.part(ofPart(cmd.RefundID, cmd.PartID))
	if part != nil && cmd.Latest {
		cmd.Attempt = part.Attempt
	}
	switch {
	case part == nil:
		return nil, ErrRefundUnknown
	case cmd.State != RefundSucceeded && cmd.State != RefundHasFailed && cmd.State != RefundIsUnknown:
		return nil, ErrTransactionInvalid
	case cmd.Attempt == part.Attempt && cmd.State == part.State:
		return nil, nil
	case cmd.Attempt != part.Attempt:
		return nil, ErrRefundUnderWay.With(ErrRefundUnderWay.Detail, map[string]any{"attempt": part.Attempt, "state": part.State})
	case !part.Open():
		return nil, ErrTransactionSettled
	}
	t, _ := s.Transaction(part.Transaction)
	if cmd.State == RefundSucceeded {
		if err := withinRefundLimit(s.GivenBack().Minus(t.Amount), t.Amount, cmd.Limit); err != nil {
			return nil, err
		}
	}
	return []Event{RefundSettled{
		RefundID: cmd.RefundID, PartID: cmd.PartID, Attempt: cmd.Attempt, State: cmd.State, Reference: cmd.Reference,
		Code: cmd.Code, Final: cmd.Final && cmd.State == RefundHasFailed,
		SameAs: s.reportedBefore(t, cmd),
	}}, nil
}

// reportedBefore is the refund that the provider has reported under the reference before it settled
// the part. Empty: there is none.
func (s State) reportedBefore(t Transaction, cmd SettleRefund) unit.TransactionID {
	if cmd.State != RefundSucceeded || cmd.Reference == "" {
		return ""
	}
	for _, other := range s.Transactions {
		if other.ID != t.ID && other.Type == Refund && other.State == Succeeded && other.RefundID == "" && other.ReturnID == "" &&
			other.Provider == t.Provider && other.Reference == cmd.Reference && other.Amount.Equal(t.Amount) {
			return other.ID
		}
	}
	return ""
}

func (s *State) applyRefundSettled(e RefundSettled) {
	part := s.part(ofPart(e.RefundID, e.PartID))
	if part == nil {
		return
	}
	part.State, part.Code = e.State, e.Code
	i := s.transactionIndex(part.Transaction)
	if i < 0 {
		return
	}
	own := s.Transactions[i]
	switch e.State {
	case RefundSucceeded:
		s.Transactions[i].State = Succeeded
		if e.Reference != "" {
			s.Transactions[i].Reference = e.Reference
		}
	case RefundHasFailed:
		s.Transactions[i].State = Failed
		if at := s.transactionIndex(part.Payment); at >= 0 && e.Final {
			s.Transactions[at].NoRefunds = true
		}
	case RefundIsUnknown, RefundIsRequested, RefundIsSubmitted:
	}
	if e.SameAs == "" {
		return
	}
	s.Transactions = slices.Delete(s.Transactions, i, i+1)
	part.Transaction = e.SameAs
	if at := s.transactionIndex(e.SameAs); at >= 0 {
		same := &s.Transactions[at]
		same.RefundID, same.Purpose, same.Unexplained = own.RefundID, own.Purpose, nil
	}
}

// adoptedBy finds the open part that a reported refund is: the one that the report names, or one of
// the same amount and payment.
func (s State) adoptedBy(cmd RecordTransaction) (Part, bool) {
	if cmd.Type != Refund || cmd.State == Failed && cmd.Part == "" {
		return Part{}, false
	}
	part := s.part(func(_ RefundPlan, p Part) bool {
		if !p.Open() || p.Transaction != p.ID || !p.Amount.Equal(cmd.Amount) {
			return false
		}
		if cmd.Part != "" {
			return p.ID == cmd.Part
		}
		return cmd.Parent == "" || cmd.Parent == p.Payment
	})
	if part == nil {
		return Part{}, false
	}
	return *part, true
}

func explainRefund(cmd ExplainRefund, s State) ([]Event, error) {
	t, found := s.Transaction(cmd.TransactionID)
	switch {
	case !found:
		return nil, ErrTransactionUnknown
	case cmd.Purpose != Settlement && cmd.Purpose != Compensation:
		return nil, ErrTransactionInvalid
	case t.Type != Refund || t.State != Succeeded:
		return nil, ErrNothingToExplain
	case t.Unexplained == nil && t.Purpose == cmd.Purpose:
		return nil, nil
	case t.Unexplained == nil:
		return nil, ErrNothingToExplain
	}
	if cmd.Purpose == Compensation { // the customer keeps the money
		if err := withinRefundLimit(s.GivenBack().Minus(t.Amount), t.Amount, cmd.Limit); err != nil {
			return nil, err
		}
	}
	return []Event{RefundExplained{TransactionID: cmd.TransactionID, Purpose: cmd.Purpose, Reason: cmd.Reason}}, nil
}
