package order

import (
	"slices"

	"daybook/domain/refunds"
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

// Owed is what the customer has to pay for everything that was not taken off: the exact
// total, rounded to be charged. It is never below zero.
func (s State) Owed() unit.Money { return floor(s.Total.Charge()) }

// Captured is the money that came in.
func (s State) Captured() unit.Money { return s.succeeded(Capture) }

// Returned is the money that went out again, by refund or chargeback.
func (s State) Returned() unit.Money { return s.succeeded(Refund, Chargeback) }

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

// ReturnedForGoods is the part of Returned that was given back for units that came back. Owed still
// includes the price of these units. So this part must not be subtracted when an overpayment is
// computed. Example: 100 are owed, 120 were captured, and 30 went back for returned units. The
// order is still overcharged by 20.
func (s State) ReturnedForGoods() unit.Money {
	return s.sum(func(t Transaction) bool { return t.Type == Refund && t.State == Succeeded && t.ReturnID != "" })
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

// PaymentState compares an order's money with what is owed. It is computed, and never set.
type PaymentState string

const (
	Unpaid              PaymentState = "unpaid"
	PaymentAuthorized   PaymentState = "authorized"
	PartiallyAuthorized PaymentState = "partially_authorized"
	PartiallyPaid       PaymentState = "partially_paid"
	Paid                PaymentState = "paid"
	PartiallyRefunded   PaymentState = "partially_refunded"
	Refunded            PaymentState = "refunded"
	Overcharged         PaymentState = "overcharged" // money is owed back
	Voided              PaymentState = "voided"
)

// PaymentState compares what was paid with what is owed. An order that owes nothing is paid
// without a transaction (a free order). If such an order was canceled or has expired, it is
// unpaid, because nothing was paid. Goods that come back change what was refunded and not
// what is owed.
func (s State) PaymentState() PaymentState {
	owed, captured, returned, authorized := s.Owed(), s.Captured(), s.Returned(), s.Authorized()
	kept := captured.Minus(returned)
	if captured.Sign() == 0 {
		switch {
		case authorized.Sign() > 0 && authorized.Compare(owed) >= 0:
			return PaymentAuthorized
		case authorized.Sign() > 0:
			return PartiallyAuthorized
		case s.succeeded(Void).Sign() > 0:
			return Voided
		case owed.Sign() == 0 && !s.expiredOrCanceled():
			return Paid
		}
		return Unpaid
	}
	switch {
	case kept.Sign() <= 0:
		return Refunded
	case kept.Plus(s.ReturnedForGoods()).Compare(owed) > 0:
		return Overcharged
	case captured.Compare(owed) < 0:
		return PartiallyPaid
	case returned.Sign() > 0:
		return PartiallyRefunded
	}
	return Paid
}

// paidUp tells whether everything that is owed was paid, and nothing has to be given back.
func (s State) paidUp() bool {
	return s.Captured().Compare(s.Owed()) >= 0 && s.PaymentState() != Overcharged
}

func recordTransaction(cmd RecordTransaction, s State) ([]Event, error) {
	if have, found := s.Transaction(cmd.TransactionID); found {
		if have.sameAs(cmd) {
			return nil, nil
		}
		return nil, ErrTransactionDiffers
	}
	if !cmd.valid() {
		return nil, ErrTransactionInvalid
	}
	if cmd.Amount.Currency != s.Currency() {
		return nil, ErrCurrencyDiffers
	}
	if cmd.Amount.Sign() <= 0 {
		return nil, ErrAmountInvalid
	}
	// Earlier versions have recorded such amounts, and what they left must be given back.
	if cmd.Amount.TooFine() && !slices.ContainsFunc(s.Transactions, func(t Transaction) bool { return t.Amount.TooFine() }) {
		return nil, ErrAmountTooFine
	}
	t := Transaction{ID: cmd.TransactionID, Type: cmd.Type, State: cmd.State, Amount: cmd.Amount, Parent: cmd.Parent}
	if err := s.possible(t); err != nil {
		return nil, err
	}
	if (t.Type == Refund || t.Type == Chargeback) && t.State != Failed {
		if err := withinRefundLimit(s.GivenBack(), t.Amount, cmd.Limit); err != nil {
			return nil, err
		}
	}
	events := []Event{TransactionRecorded{
		TransactionID: cmd.TransactionID, Type: cmd.Type, State: cmd.State, Amount: cmd.Amount,
		Parent: cmd.Parent, Provider: cmd.Provider, Reference: cmd.Reference,
	}}
	return append(events, s.orphaned(t)...), nil
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
		t.Parent == cmd.Parent && t.Provider == cmd.Provider && t.Reference == cmd.Reference
}

func (cmd RecordTransaction) valid() bool {
	types := []TransactionType{Authorize, Capture, Void, Refund, Chargeback}
	states := []TransactionState{Pending, Succeeded, Failed}
	return slices.Contains(types, cmd.Type) && slices.Contains(states, cmd.State)
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
	if err := s.possible(t); err != nil {
		return nil, err
	}
	if t.Type == Refund && t.State == Succeeded && t.ID == RemedyTransactionID(s.OrderID, t.Parent) {
		if err := withinRefundLimit(s.GivenBack().Minus(t.Amount), t.Amount, cmd.Limit); err != nil {
			return nil, err
		}
	}
	events := []Event{TransactionSettled{TransactionID: cmd.TransactionID, State: cmd.State, Reference: cmd.Reference}}
	return append(events, s.orphaned(t)...), nil
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
	if t.Type == Capture || t.Type == Void {
		want = Authorize
	}
	if t.Type == Authorize || parent.Type != want || parent.State == Failed {
		return ErrParentMismatch
	}
	return nil
}

// limit is the largest amount that t may have. It counts the money of one parent, or of the whole
// order if parent is empty. Earlier refunds do not reduce the limit of a chargeback, because the
// bank decides on it. Example: 100 were captured and 30 refunded. Another refund may be 70, and a
// chargeback 100. A return's refund does not reduce the limit of a transaction that is recorded
// already, so that a pending one can still succeed.
func (s State) limit(t Transaction, parent unit.TransactionID) unit.Money {
	_, underWay := s.Transaction(t.ID)
	of := func(state func(TransactionState) bool, types ...TransactionType) unit.Money {
		return s.sum(func(other Transaction) bool {
			return other.ID != t.ID && state(other.State) && slices.Contains(types, other.Type) &&
				(!underWay || other.ReturnID == "") &&
				(parent == "" || other.Parent == parent || other.ID == parent)
		})
	}
	done := func(state TransactionState) bool { return state == Succeeded }
	live := func(state TransactionState) bool { return state != Failed }
	switch t.Type {
	case Void:
		return of(done, Authorize).Minus(of(done, Capture)).Minus(of(live, Void))
	case Refund:
		return of(done, Capture).Minus(of(live, Refund)).Minus(of(done, Chargeback))
	case Chargeback:
		return of(done, Capture).Minus(of(live, Chargeback))
	case Authorize, Capture:
	}
	panic("order: authorizations and captures have no limit")
}

// orphaned notes money that comes for an order that can no longer be confirmed, in the same
// decision. It notes only what is more than the order owes for goods that shipped before a cancel.
// Example: the order owes 20 for a parcel that had left, and a capture of 50 comes. Then 30 are
// orphaned.
func (s State) orphaned(t Transaction) []Event {
	if !s.expiredOrCanceled() || t.State != Succeeded || t.Type != Authorize && t.Type != Capture {
		return nil
	}
	excess := t.Amount
	if t.Type == Authorize || t.Parent == "" {
		excess = excess.Plus(s.Authorized())
	}
	excess = excess.Plus(s.Captured()).Minus(s.Returned()).Plus(s.ReturnedForGoods()).Minus(s.Owed())
	if excess.Compare(t.Amount) > 0 {
		excess = t.Amount
	}
	if excess.Sign() <= 0 {
		return nil
	}
	return []Event{PaymentOrphaned{TransactionID: t.ID, Amount: excess, Remedy: RemedyVoidOrRefund}}
}

// cover says what covers the money that the order owes. It is empty if nothing does, and for an
// order that owes nothing: that one waits for somebody who confirms it.
func (s State) cover() Cover {
	// What is on its way back does not cover anything.
	underWay := func(types ...TransactionType) unit.Money {
		return s.sum(func(t Transaction) bool { return t.State == Pending && slices.Contains(types, t.Type) })
	}
	owed := s.Owed()
	kept := s.Captured().Minus(s.Returned()).Minus(underWay(Refund, Chargeback))
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
	captured, authorized := s.Captured().Minus(s.Returned()), s.Authorized()
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

// NeedsAttention tells whether a person has to look at the order: its stock was lost, or the order
// has ended and money was kept that it does not owe.
func (s State) NeedsAttention() bool {
	return s.AllocationFailed || s.expiredOrCanceled() && s.Captured().Minus(s.Returned()).Plus(s.ReturnedForGoods()).Compare(s.Owed()) > 0
}
