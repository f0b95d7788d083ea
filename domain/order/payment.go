package order

import (
	"slices"
	"time"

	"daybook/domain/refunds"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// Transaction is a payment transaction as it stands.
type Transaction struct {
	ID    unit.TransactionID `json:"id"`
	Type  TransactionType    `json:"type"`
	State TransactionState   `json:"state"`
	// RecordedState is the state in which the transaction was first recorded. If the provider
	// repeats that report, it has this state again.
	RecordedState TransactionState   `json:"recorded_state"`
	Amount        unit.Money         `json:"amount"`
	Parent        unit.TransactionID `json:"parent,omitempty"`
	Provider      string             `json:"provider,omitempty"`
	Reference     string             `json:"reference,omitempty"`
	ReturnID      unit.ReturnID      `json:"return_id,omitempty"`
	Payment       string             `json:"payment,omitempty"`
	Tender        Tender             `json:"tender,omitempty"`
	// Purpose is set for a refund that was asked for as compensation, or was explained.
	Purpose RefundPurpose `json:"purpose,omitempty"`
	// RefundID is the refund that the transaction is a part of.
	RefundID unit.RefundID `json:"refund_id,omitempty"`
	// Unexplained is that of TransactionRecorded, until somebody explains it.
	Unexplained *unit.Money `json:"unexplained,omitempty"`
	Reason      string      `json:"reason,omitempty"`
	RespondBy   time.Time   `json:"respond_by,omitzero"`
	// NoRefunds means that a refund of this payment has failed for good.
	NoRefunds bool `json:"no_refunds,omitzero"`
}

// Orphan is money that came too late; see PaymentOrphaned.
type Orphan struct {
	TransactionID unit.TransactionID `json:"transaction_id"`
	Amount        unit.Money         `json:"amount"`
}

func (s State) transactionIndex(id unit.TransactionID) int {
	return slices.IndexFunc(s.Transactions, func(t Transaction) bool { return t.ID == id })
}

// Transaction finds a transaction by its id.
func (s State) Transaction(id unit.TransactionID) (Transaction, bool) {
	if i := s.transactionIndex(id); i >= 0 {
		return s.Transactions[i], true
	}
	return Transaction{}, false
}

// sum adds up the transactions for which pass is true. Commands record transactions in the
// order's currency only. One of another currency, from an old log, counts as nothing.
func (s State) sum(pass func(Transaction) bool) unit.Money {
	total := unit.Zero(s.Currency())
	for _, t := range s.Transactions {
		if pass(t) && t.Amount.Currency == total.Currency {
			total = total.Plus(t.Amount)
		}
	}
	return total
}

func (s State) succeeded(types ...TransactionType) unit.Money {
	return s.sum(func(t Transaction) bool { return t.State == Succeeded && slices.Contains(types, t.Type) })
}

// GivenBack is the money of all refunds and chargebacks, also of those that are pending. A sender
// with a limit cannot pass it with several small refunds, because all of them count. Chargebacks
// count, too, because otherwise such a sender could record a refund as a chargeback.
func (s State) GivenBack() unit.Money {
	return s.sum(func(t Transaction) bool { return t.State != Failed && (t.Type == Refund || t.Type == Chargeback) })
}

// withinRefundLimit refuses an amount with which more than limit would be given back in all. nil
// means no limit. The amounts have the order's currency.
func withinRefundLimit(before, amount unit.Money, limit *unit.Money) error {
	return refunds.WithinLimit(limit, before, amount, ErrRefundLimit, "on one order")
}

// Authorized is the authorized amount that is not captured or voided yet.
func (s State) Authorized() unit.Money {
	return floor(s.succeeded(Authorize).Minus(s.succeeded(Capture, Void)))
}

func floor(m unit.Money) unit.Money {
	if m.Sign() < 0 {
		return unit.Zero(m.Currency)
	}
	return m
}

func (s State) expiredOrCanceled() bool {
	return s.Status == StatusExpired || s.Status == StatusCanceled
}

// recordTransaction records a fact. What the provider itself reports is never refused because of
// its amount. Somebody else cannot record more as given back than came in.
func recordTransaction(cmd RecordTransaction, s State) ([]Event, error) {
	if have, found := s.recorded(cmd); found {
		if have.sameAs(cmd) {
			return nil, nil
		}
		return nil, ErrTransactionDiffers
	}
	if !cmd.valid() {
		return nil, ErrTransactionInvalid
	}
	if fault := s.unreadable(cmd); fault != nil {
		if !cmd.ByProvider || cmd.Amount.Sign() <= 0 {
			return nil, fault
		}
		return s.keepUnreadable(cmd, fault)
	}
	t := Transaction{ID: cmd.TransactionID, Type: cmd.Type, State: cmd.State, Amount: cmd.Amount, Parent: cmd.Parent}
	part, adopted := s.adoptedBy(cmd)
	if err := s.mayRecord(t, cmd, adopted); err != nil {
		return nil, err
	}
	e := TransactionRecorded{
		TransactionID: cmd.TransactionID, Type: cmd.Type, State: cmd.State, Amount: cmd.Amount,
		Parent: cmd.Parent, Provider: cmd.Provider, Reference: cmd.Reference, Payment: cmd.Payment, Tender: cmd.Tender,
		Reason: cmd.Reason, RespondBy: cmd.RespondBy, Purpose: cmd.Purpose,
	}
	if adopted {
		e.Part, e.Parent = part.ID, part.Payment
		return []Event{e}, nil
	}
	if t.Type == Refund && t.State != Failed && cmd.Purpose != Compensation {
		if excess := floor(t.Amount.Minus(s.ToReturn())); excess.Sign() > 0 {
			e.Unexplained = &excess
		}
	}
	return s.orphaned(t, e), nil
}

// recorded finds a transaction that has the id of a report, or the provider's number of it.
func (s State) recorded(cmd RecordTransaction) (Transaction, bool) {
	if have, found := s.Transaction(cmd.TransactionID); found || cmd.Provider == "" || cmd.Reference == "" || !cmd.ByProvider {
		return have, found
	}
	i := slices.IndexFunc(s.Transactions, func(t Transaction) bool {
		return t.Type == cmd.Type && t.Provider == cmd.Provider && t.Reference == cmd.Reference
	})
	if i < 0 {
		return Transaction{}, false
	}
	return s.Transactions[i], true
}

// unreadable is the refusal of an amount that cannot be recorded. nil: it can be.
func (s State) unreadable(cmd RecordTransaction) *rule.Rejection {
	switch {
	case cmd.Amount.Currency != s.Currency():
		return ErrCurrencyDiffers
	case cmd.Amount.Sign() <= 0:
		return ErrAmountInvalid
	// Earlier versions have recorded such amounts, and what they left must be given back.
	case cmd.Amount.TooFine() && !slices.ContainsFunc(s.Transactions, func(t Transaction) bool { return t.Amount.TooFine() }):
		return ErrAmountTooFine
	}
	return nil
}

func (s State) keepUnreadable(cmd RecordTransaction, fault *rule.Rejection) ([]Event, error) {
	if slices.ContainsFunc(s.Unreadable, func(u TransactionUnreadable) bool {
		return u.TransactionID == cmd.TransactionID && u.State == cmd.State
	}) {
		return nil, nil
	}
	return []Event{TransactionUnreadable{
		TransactionID: cmd.TransactionID, Type: cmd.Type, State: cmd.State, Amount: cmd.Amount,
		Provider: cmd.Provider, Reference: cmd.Reference, Code: fault.Code,
	}}, nil
}

// mayRecord refuses what somebody records that cannot be true, or that is above their limit. What
// is a part of a requested refund was allowed when it was requested.
func (s State) mayRecord(t Transaction, cmd RecordTransaction, adopted bool) error {
	if !adopted && (!cmd.ByProvider || t.Type == Authorize || t.Type == Capture || t.Type == Void) {
		if err := s.possible(t); err != nil {
			return err
		}
	}
	if t.Type != Refund && t.Type != Chargeback || t.State == Failed {
		return nil
	}
	before := s.GivenBack()
	if adopted {
		before = before.Minus(t.Amount)
	}
	return withinRefundLimit(before, t.Amount, cmd.Limit)
}

// sameAs tells whether a request repeats this transaction. It accepts the state in which the
// transaction was recorded, and its present state, because a provider may report the end of a
// pending transaction with the same request. For a return's refund it does not compare the
// provider's details: the return did not know them, and the report may come later.
func (t Transaction) sameAs(cmd RecordTransaction) bool {
	if t.ReturnID != "" {
		return t.Type == cmd.Type && t.Amount.Equal(cmd.Amount) && (cmd.State == Pending || cmd.State == Succeeded)
	}
	return t.Type == cmd.Type && (cmd.State == t.State || cmd.State == t.RecordedState) && t.Amount.Equal(cmd.Amount) &&
		(t.Parent == cmd.Parent || t.RefundID != "" && cmd.Parent == "") && t.Provider == cmd.Provider && t.Reference == cmd.Reference
}

func (cmd RecordTransaction) valid() bool {
	types := []TransactionType{Authorize, Capture, Void, Refund, Chargeback, Dispute, Reversal}
	states := []TransactionState{Pending, Succeeded, Failed}
	purposes := []RefundPurpose{"", Settlement, Compensation}
	tenders := []Tender{"", GiftCard, StoreCredit}
	return slices.Contains(types, cmd.Type) && slices.Contains(states, cmd.State) && slices.Contains(tenders, cmd.Tender) &&
		slices.Contains(purposes, cmd.Purpose) && (cmd.Purpose == "" || cmd.Type == Refund)
}

// RemedyTransactionID is the id of the void or refund that gives a transaction's money back as a
// remedy. There is at most one for each transaction. If it fails, the process does not try again:
// people decide what to do.
func RemedyTransactionID(id unit.OrderID, of unit.TransactionID) unit.TransactionID {
	return unit.TransactionID(unit.RemedyTransaction.Of(string(id), string(of)).ID())
}

// settleTransaction compares a refund that the program itself has begun with the settler's limit.
// Otherwise somebody with a limit could record a capture that never was, on a canceled order, and
// have the program give it back.
func settleTransaction(cmd SettleTransaction, s State) ([]Event, error) {
	t, found := s.Transaction(cmd.TransactionID)
	switch {
	case !found:
		return nil, ErrTransactionUnknown
	case cmd.State != Succeeded && cmd.State != Failed:
		return nil, ErrTransactionInvalid
	case t.State == cmd.State:
		return nil, nil
	case t.State != Pending:
		return nil, ErrTransactionSettled
	}
	t.State = cmd.State
	if t.Type != Refund && t.Type != Chargeback && t.Type != Reversal { // the money of those has moved, whatever we think
		if err := s.possible(t); err != nil {
			return nil, err
		}
	}
	if t.Type == Refund && t.State == Succeeded && s.nobodyAskedFor(t) {
		if err := withinRefundLimit(s.GivenBack().Minus(t.Amount), t.Amount, cmd.Limit); err != nil {
			return nil, err
		}
	}
	return s.orphaned(t, TransactionSettled{TransactionID: cmd.TransactionID, State: cmd.State, Reference: cmd.Reference}), nil
}

// nobodyAskedFor tells whether the program itself has begun a refund, because the order ended. An
// older program has recorded such a refund without a request.
func (s State) nobodyAskedFor(t Transaction) bool {
	refund, requested := s.Refund(t.RefundID)
	return requested && refund.Cause != RefundAsked || t.ID == RemedyTransactionID(s.OrderID, t.Parent)
}

func (s *State) applyTransactionRecorded(e TransactionRecorded) {
	t := Transaction{
		ID: e.TransactionID, Type: e.Type, State: e.State, RecordedState: e.State,
		Amount: e.Amount, Parent: e.Parent, Provider: e.Provider, Reference: e.Reference, ReturnID: e.ReturnID,
		Payment: e.Payment, Tender: e.Tender, Purpose: e.Purpose, Unexplained: e.Unexplained, Reason: e.Reason, RespondBy: e.RespondBy,
	}
	s.Unreadable = slices.DeleteFunc(s.Unreadable, func(u TransactionUnreadable) bool { return u.TransactionID == e.TransactionID })
	s.implyCredit(t)
	part := s.part(func(_ RefundPlan, p Part) bool { return e.Part != "" && p.ID == e.Part })
	if part == nil {
		s.Transactions = append(s.Transactions, t)
		return
	}
	i := s.transactionIndex(part.Transaction)
	part.Transaction = t.ID
	if i < 0 {
		s.Transactions = append(s.Transactions, t)
	} else {
		t.Purpose, t.RefundID, t.Tender = s.Transactions[i].Purpose, s.Transactions[i].RefundID, s.Transactions[i].Tender
		s.Transactions[i] = t
	}
	part.follows(t.State)
}

func (s *State) applyTransactionSettled(e TransactionSettled) {
	i := s.transactionIndex(e.TransactionID)
	if i < 0 {
		return
	}
	t := &s.Transactions[i]
	t.State = e.State
	if t.RefundID == "" {
		s.implyCredit(*t)
		return
	}
	if part := s.part(func(_ RefundPlan, p Part) bool { return p.Transaction == t.ID }); part != nil {
		part.follows(e.State)
	}
}

// follows gives a part the state of its transaction.
func (p *Part) follows(state TransactionState) {
	switch state {
	case Pending:
		p.State = RefundIsSubmitted
	case Succeeded:
		p.State = RefundSucceeded
	case Failed:
		p.State = RefundHasFailed
	}
}

func (s *State) applyRefundClaimed(e RefundClaimed) {
	if i := s.transactionIndex(e.TransactionID); i >= 0 {
		s.Transactions[i].ReturnID, s.Transactions[i].Unexplained = e.ReturnID, nil
		s.implyCredit(s.Transactions[i])
	}
}

// possible refuses what cannot be true of a transaction: a parent of the wrong type, a void
// of captured money, or more given back than came in. Pending transactions count as if they
// had succeeded, so that two pending refunds cannot give the same money back twice. A failed
// transaction is never refused.
func (s State) possible(t Transaction) error {
	if t.Parent != "" {
		if err := s.parentFits(t); err != nil {
			return err
		}
	}
	if t.State == Failed {
		return nil
	}
	if t.Type == Authorize || t.Type == Capture {
		return s.withinLimit(t)
	}
	limit := s.limit(t, "")
	if t.Type == Dispute {
		return nil // a bank may ask about any payment
	}
	if t.Type == Refund && t.Parent == "" { // also a payout of what fits no payment
		if owed := s.ToReturn(); limit.Compare(owed) < 0 {
			limit = owed
		}
	}
	if t.Parent != "" {
		if own := s.limit(t, t.Parent); own.Compare(limit) < 0 {
			limit = own
		}
	}
	if t.Amount.Compare(limit) > 0 {
		return ErrAmountExceeded.With("The amount is more than what is left to void or to give back.",
			map[string]any{"limit": floor(limit), "requested": t.Amount})
	}
	return nil
}

// withinLimit bounds the sum of all authorizations, and that of all captures, so that each
// sum can be voided or refunded as one amount. Refunds from returns are not checked here,
// because each return has its own limit.
func (s State) withinLimit(t Transaction) error {
	before := s.sum(func(other Transaction) bool { return other.ID != t.ID && other.Type == t.Type && other.State != Failed })
	if before.Plus(t.Amount).WithinLimit() {
		return nil
	}
	return ErrAmountLimit.With(ErrAmountLimit.Detail, map[string]any{"transaction_type": t.Type, "before": before, "amount": t.Amount})
}

// parentFits checks a parent. The parent of a capture or void is an authorization, and the
// parent of a refund or chargeback is a capture. A failed transaction cannot be a parent.
func (s State) parentFits(t Transaction) error {
	parent, found := s.Transaction(t.Parent)
	if !found {
		return ErrTransactionUnknown
	}
	want := Capture
	switch t.Type {
	case Capture, Void:
		want = Authorize
	case Reversal:
		want = Chargeback
	case Authorize, Refund, Chargeback, Dispute:
	}
	if t.Type == Authorize || parent.Type != want || parent.State == Failed {
		return ErrParentMismatch
	}
	return nil
}

// limit is the largest amount that t may have. It counts the money of one parent, or of the whole
// order if parent is empty. Earlier refunds do not reduce the limit of a chargeback, because the
// bank decides on it. Example: 100 were captured and 30 refunded. Another refund may be 70, and a
// chargeback 100.
func (s State) limit(t Transaction, parent unit.TransactionID) unit.Money {
	of := func(state func(TransactionState) bool, types ...TransactionType) unit.Money {
		return s.sum(func(other Transaction) bool {
			return other.ID != t.ID && state(other.State) && slices.Contains(types, other.Type) &&
				(parent == "" || other.Parent == parent || other.ID == parent)
		})
	}
	done := func(state TransactionState) bool { return state == Succeeded }
	live := func(state TransactionState) bool { return state != Failed }
	switch t.Type {
	case Void:
		return of(done, Authorize).Minus(of(done, Capture)).Minus(of(live, Void))
	case Refund:
		return s.Refundable(parent)
	case Chargeback:
		reversed := s.sum(func(other Transaction) bool {
			return other.Type == Reversal && other.State == Succeeded && (parent == "" || s.paymentOf(other) == parent)
		})
		return of(done, Capture).Minus(of(live, Chargeback)).Plus(reversed)
	case Reversal:
		return of(done, Chargeback).Minus(of(live, Reversal))
	case Dispute:
		return t.Amount
	case Authorize, Capture:
	}
	panic("order: authorizations and captures have no limit")
}

// orphaned adds to an event that money came for an order that can no longer be confirmed, and that
// it is to go back, in the same decision. It is only what is more than the order owes for goods
// that shipped before a cancel. Example: the order owes 20 for a parcel that had left, and a
// capture of 50 comes. Then 30 are orphaned.
func (s State) orphaned(t Transaction, e Event) []Event {
	if !s.expiredOrCanceled() || t.State != Succeeded || t.Type != Authorize && t.Type != Capture {
		return []Event{e}
	}
	excess := t.Amount
	if t.Type == Authorize || t.Parent == "" {
		excess = excess.Plus(s.Authorized())
	}
	excess = lesser(excess.Plus(s.Balance()), t.Amount)
	if excess.Sign() <= 0 {
		return []Event{e}
	}
	events := []Event{e, PaymentOrphaned{TransactionID: t.ID, Amount: excess, Remedy: RemedyVoidOrRefund}}
	if t.Type == Authorize {
		return events
	}
	return s.refundOfEnd(RefundOfLateMoney, t.ID, events...)
}

// cover says what covers the money that the order owes. It is empty if nothing does, and for an
// order that owes nothing: that one waits for somebody who confirms it.
func (s State) cover() Cover {
	// What is on its way back does not cover anything.
	underWay := func(types ...TransactionType) unit.Money {
		return s.sum(func(t Transaction) bool { return t.State == Pending && slices.Contains(types, t.Type) })
	}
	owed := s.Owed()
	kept := s.Kept().Minus(underWay(Refund, Chargeback))
	authorized := s.Authorized().Minus(underWay(Void))
	switch {
	case owed.Sign() <= 0:
		return ""
	case kept.Compare(owed) >= 0:
		return CoveredByCapture
	case kept.Plus(authorized).Plus(s.onGiftCards()).Compare(owed) >= 0:
		return CoveredByAuthorization
	}
	return ""
}

// orphansOfAll has one PaymentOrphaned for each authorization and capture whose money is still
// there: captured and not given back, or authorized and neither captured nor voided. A refund or a
// void that names no parent counts against the latest transactions.
func (s State) orphansOfAll() (notes []Event) {
	if len(s.Transactions) == 0 {
		return nil
	}
	captured, authorized := s.Kept(), s.Authorized()
	for _, t := range s.Transactions {
		rest := &captured
		ends := []TransactionType{Refund, Chargeback}
		if t.Type == Authorize {
			rest, ends = &authorized, []TransactionType{Capture, Void}
		}
		if t.State != Succeeded || t.Type != Authorize && t.Type != Capture || t.Amount.Currency != s.Currency() {
			continue
		}
		left := t.Amount.Minus(s.sum(func(other Transaction) bool {
			return other.Parent == t.ID && other.State == Succeeded && slices.Contains(ends, other.Type)
		}))
		if left.Compare(*rest) > 0 {
			left = *rest
		}
		if left.Sign() <= 0 {
			continue
		}
		*rest = rest.Minus(left)
		notes = append(notes, PaymentOrphaned{TransactionID: t.ID, Amount: left, Remedy: RemedyVoidOrRefund})
	}
	return notes
}
