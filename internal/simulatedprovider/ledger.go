package simulatedprovider

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of one payment and one request.
const (
	maxTransactions = 100
	maxAmount       = 1_000_000_000_000 // in the smallest unit
	maxName         = 200               // bytes, of an order's id or a reason
)

// Kinds of transactions.
const (
	kindAuthorize  = "authorize"
	kindCapture    = "capture"
	kindVoid       = "void"
	kindRefund     = "refund"
	kindDispute    = "dispute"
	kindChargeback = "chargeback"
	kindReversal   = "reversal"
)

// Statuses of transactions.
const (
	statusPending   = "pending"
	statusSucceeded = "succeeded"
	statusFailed    = "failed"
)

// Payment is a payment intent.
type Payment struct {
	ID      string `json:"id"`
	Object  string `json:"object"` // payment_intent
	Amount  int64  `json:"amount"` // in the smallest unit of the currency
	Capture string `json:"capture_method"`
	// Currency is in small letters, as Stripe writes it.
	Currency     string            `json:"currency"`
	Status       string            `json:"status"`
	Metadata     map[string]string `json:"metadata,omitempty"`
	Created      int64             `json:"created"`
	Transactions []Transaction     `json:"transactions"`

	keys []string // the idempotency keys of its requests
}

// Transaction is a movement of money, or a part of a dispute.
type Transaction struct {
	ID     string `json:"id"`
	Kind   string `json:"type"`
	Status string `json:"status"`
	Amount int64  `json:"amount"`
	// Parent is the transaction that this one is about.
	Parent string `json:"parent,omitempty"`
	// Key is the idempotency key of the request that began it. Empty: the provider itself or the
	// customer's bank did.
	Key       string `json:"idempotency_key,omitempty"`
	Reason    string `json:"reason,omitempty"`
	RespondBy int64  `json:"respond_by,omitzero"`
	Created   int64  `json:"created"`
}

// Order is the order that the payment is for, as the shop has said.
func (p *Payment) Order() string { return p.Metadata["order_id"] }

func (p *Payment) clone() Payment {
	other := *p
	other.Transactions = slices.Clone(p.Transactions)
	return other
}

// sum adds up the transactions of a kind that have not failed, or only those about parent.
func (p *Payment) sum(kind, parent string) (total int64) {
	for _, t := range p.Transactions {
		if t.Kind == kind && t.Status != statusFailed && (parent == "" || t.Parent == parent) {
			total += t.Amount
		}
	}
	return total
}

// capturable is what is authorized and neither captured nor voided.
func (p *Payment) capturable() int64 {
	return p.sum(kindAuthorize, "") - p.sum(kindCapture, "") - p.sum(kindVoid, "")
}

// left is what of a capture was not given back.
func (p *Payment) left(capture Transaction) int64 {
	left := capture.Amount - p.sum(kindRefund, capture.ID)
	for _, t := range p.Transactions {
		if t.Kind == kindChargeback && t.Parent == capture.ID {
			left -= t.Amount - p.sum(kindReversal, t.ID)
		}
	}
	return left
}

// find finds a transaction of the payment by its name.
func (p *Payment) find(id string) (Transaction, bool) {
	i := slices.IndexFunc(p.Transactions, func(t Transaction) bool { return t.ID == id })
	if i < 0 {
		return Transaction{}, false
	}
	return p.Transactions[i], true
}

// settle computes the status.
func (p *Payment) settle() {
	switch captured := p.sum(kindCapture, ""); {
	case p.capturable() > 0:
		p.Status = "requires_capture"
	case captured > 0:
		p.Status = "succeeded"
	case p.sum(kindVoid, "") > 0:
		p.Status = "canceled"
	case len(p.Transactions) > 0:
		p.Status = "requires_payment_method" // the card was declined
	default:
		p.Status = "requires_confirmation"
	}
}

// refusedError is a request that cannot be carried out, and will not be.
type refusedError struct {
	status  int
	code    string
	message string
}

func (e *refusedError) Error() string { return e.code + ": " + e.message }

func invalid(code, format string, args ...any) error {
	return &refusedError{400, code, fmt.Sprintf(format, args...)}
}

func missing(what, id string) error {
	return &refusedError{404, "resource_missing", fmt.Sprintf("There is no %s %.60q.", what, id)}
}

// ledger are all payments.
type ledger struct {
	run      string // a part of all names
	made     int    // how many names were made
	max      int
	payments []*Payment // oldest first
	byID     map[string]*Payment
	forget   func(*Payment)
}

func (l *ledger) name(prefix string) string {
	l.made++
	return fmt.Sprintf("%s_%s%06d", prefix, l.run, l.made)
}

func (l *ledger) payment(id string) (*Payment, error) {
	if found := l.byID[id]; found != nil {
		return found, nil
	}
	return nil, missing("payment_intent", id)
}

// add adds a transaction.
func (l *ledger) add(p *Payment, prefix string, t Transaction, now time.Time) (Transaction, error) {
	if len(p.Transactions) >= maxTransactions {
		return t, invalid("too_many_transactions", "A payment has at most %d transactions.", maxTransactions)
	}
	t.ID, t.Created = l.name(prefix), now.Unix()
	p.Transactions = append(p.Transactions, t)
	p.settle()
	return t, nil
}

func checkAmount(amount, most int64) error {
	if amount < 1 || amount > most {
		return invalid("amount_invalid", "The amount must be 1 to %d, not %d.", most, amount)
	}
	return nil
}

type createBody struct {
	Amount   int64             `json:"amount"`
	Currency string            `json:"currency"`
	Capture  string            `json:"capture_method"` // automatic or manual; empty: automatic
	Confirm  bool              `json:"confirm"`
	Metadata map[string]string `json:"metadata"`
}

func (l *ledger) create(b createBody, key string, now time.Time) (*Payment, error) {
	if err := checkAmount(b.Amount, maxAmount); err != nil {
		return nil, err
	}
	if b.Capture == "" {
		b.Capture = "automatic"
	}
	currency := strings.ToLower(b.Currency)
	switch {
	case b.Capture != "automatic" && b.Capture != "manual":
		return nil, invalid("capture_method_invalid", "capture_method is automatic or manual.")
	case len(currency) != 3 || strings.Trim(currency, "abcdefghijklmnopqrstuvwxyz") != "":
		return nil, invalid("currency_invalid", "currency is three letters, such as eur.")
	case len(b.Metadata) > 1 || len(b.Metadata) == 1 && b.Metadata["order_id"] == "" || len(b.Metadata["order_id"]) > maxName:
		return nil, invalid("metadata_invalid", "metadata may have order_id, of at most %d bytes, and nothing else.", maxName)
	}
	p := &Payment{ID: l.name("pi"), Object: "payment_intent", Amount: b.Amount, Currency: currency, Capture: b.Capture, Metadata: b.Metadata, Created: now.Unix()}
	p.settle()
	if len(l.payments) >= l.max {
		oldest := l.payments[0]
		l.payments = slices.Delete(l.payments, 0, 1)
		delete(l.byID, oldest.ID)
		l.forget(oldest)
	}
	l.payments = append(l.payments, p)
	l.byID[p.ID] = p
	if b.Confirm {
		return p, l.confirm(p, key, "", now)
	}
	return p, nil
}

// confirm authorizes the payment, and captures it if it is to be captured automatically.
func (l *ledger) confirm(p *Payment, key, declined string, now time.Time) error {
	if p.sum(kindAuthorize, "") > 0 {
		return invalid("payment_intent_unexpected_state", "The payment is authorized already.")
	}
	status := statusSucceeded
	if declined != "" {
		status = statusFailed
	}
	authorized, err := l.add(p, "au", Transaction{Kind: kindAuthorize, Status: status, Amount: p.Amount, Key: key, Reason: declined}, now)
	if err != nil || declined != "" || p.Capture == "manual" {
		return err
	}
	_, err = l.add(p, "ca", Transaction{Kind: kindCapture, Status: statusSucceeded, Amount: p.Amount, Parent: authorized.ID, Key: key}, now)
	return err
}

// authorization is the payment's only authorization that has succeeded.
func (p *Payment) authorization() (Transaction, error) {
	for _, t := range p.Transactions {
		if t.Kind == kindAuthorize && t.Status == statusSucceeded {
			return t, nil
		}
	}
	return Transaction{}, invalid("payment_intent_unexpected_state", "The payment is not authorized.")
}

type captureBody struct {
	Amount int64 `json:"amount_to_capture"` // 0: all that is left
	Final  *bool `json:"final_capture"`     // absent: true
}

func (l *ledger) capture(p *Payment, b captureBody, key, declined string, now time.Time) (Transaction, error) {
	authorized, err := p.authorization()
	if err != nil {
		return Transaction{}, err
	}
	if b.Amount == 0 {
		b.Amount = p.capturable()
	}
	if err := checkAmount(b.Amount, p.capturable()); err != nil {
		return Transaction{}, err
	}
	t := Transaction{Kind: kindCapture, Status: statusSucceeded, Amount: b.Amount, Parent: authorized.ID, Key: key}
	if declined != "" {
		t.Status, t.Reason = statusFailed, declined
	}
	if t, err = l.add(p, "ca", t, now); err != nil || declined != "" || b.Final != nil && !*b.Final || p.capturable() == 0 {
		return t, err
	}
	_, err = l.add(p, "vo", Transaction{Kind: kindVoid, Status: statusSucceeded, Amount: p.capturable(), Parent: authorized.ID, Key: key}, now)
	return t, err
}

// cancel voids what is left of the authorization.
func (l *ledger) cancel(p *Payment, key, declined string, now time.Time) (Transaction, error) {
	authorized, err := p.authorization()
	if err != nil {
		return Transaction{}, err
	}
	if p.capturable() == 0 {
		return Transaction{}, invalid("payment_intent_unexpected_state", "Nothing of the authorization is left.")
	}
	t := Transaction{Kind: kindVoid, Status: statusSucceeded, Amount: p.capturable(), Parent: authorized.ID, Key: key}
	if declined != "" {
		t.Status, t.Reason = statusFailed, declined
	}
	return l.add(p, "vo", t, now)
}

type refundBody struct {
	Payment string `json:"payment_intent"`
	Charge  string `json:"charge"` // a capture; empty: the latest one with enough left
	Amount  int64  `json:"amount"`
}

// captureFor finds the capture that a refund or a dispute is about.
func (p *Payment) captureFor(id string, amount int64) (Transaction, error) {
	if id != "" {
		t, found := p.find(id)
		if !found || t.Kind != kindCapture {
			return t, missing("charge", id)
		}
		return t, checkAmount(amount, p.left(t))
	}
	var most int64
	for _, t := range slices.Backward(p.Transactions) {
		if t.Kind != kindCapture || t.Status != statusSucceeded {
			continue
		}
		left := p.left(t)
		if amount >= 1 && amount <= left {
			return t, nil
		}
		most = max(most, left)
	}
	return Transaction{}, checkAmount(amount, most)
}

// disputed is what of a capture is held by open disputes.
func (p *Payment) disputed(capture Transaction) (held int64) {
	for _, t := range p.Transactions {
		if t.Kind == kindDispute && t.Parent == capture.ID && t.Status == statusPending {
			held += t.Amount
		}
	}
	return held
}

func (l *ledger) refund(p *Payment, b refundBody, key string, fault Fault, now time.Time) (Transaction, error) {
	capture, err := p.captureFor(b.Charge, b.Amount)
	if err != nil {
		return Transaction{}, err
	}
	if b.Amount > p.left(capture)-p.disputed(capture) {
		return Transaction{}, invalid("charge_disputed", "The money is disputed.")
	}
	t := Transaction{Kind: kindRefund, Status: statusSucceeded, Amount: b.Amount, Parent: capture.ID, Key: key}
	switch {
	case fault.Pending > 0:
		t.Status = statusPending
	case fault.Decline != "":
		t.Status, t.Reason = statusFailed, fault.Decline
	}
	return l.add(p, "re", t, now)
}

// settleRefund ends a pending refund. It returns nil if the refund is not pending, or forgotten.
func (l *ledger) settleRefund(payment, id, failed string) *Payment {
	p := l.byID[payment]
	if p == nil {
		return nil
	}
	i := slices.IndexFunc(p.Transactions, func(t Transaction) bool { return t.ID == id && t.Status == statusPending })
	if i < 0 {
		return nil
	}
	p.Transactions[i].Status = statusSucceeded
	if failed != "" {
		p.Transactions[i].Status, p.Transactions[i].Reason = statusFailed, failed
	}
	p.settle()
	return p
}

type disputeBody struct {
	Payment string `json:"payment_intent"`
	Charge  string `json:"charge"`
	Amount  int64  `json:"amount"`
	Reason  string `json:"reason"`
}

// disputeTime is how long a shop has to respond to a dispute.
const disputeTime = 7 * 24 * time.Hour

func (l *ledger) dispute(p *Payment, b disputeBody, now time.Time) (Transaction, error) {
	if len(b.Reason) > maxName {
		return Transaction{}, invalid("reason_invalid", "The reason has at most %d bytes.", maxName)
	}
	capture, err := p.captureFor(b.Charge, b.Amount)
	if err != nil {
		return Transaction{}, err
	}
	return l.add(p, "dp", Transaction{Kind: kindDispute, Status: statusPending, Amount: b.Amount, Parent: capture.ID, Reason: b.Reason, RespondBy: now.Add(disputeTime).Unix()}, now)
}

type closeBody struct {
	Payment string `json:"payment_intent"`
	Outcome string `json:"outcome"` // won or lost, as the shop sees it
}

// closeDispute ends a dispute. A dispute that was won can still be lost, and the other way round.
// Its status is that of its first end: it has succeeded if the shop has lost it, and failed if the
// shop has won it. What happens after that is told by chargebacks and reversals.
func (l *ledger) closeDispute(p *Payment, id string, b closeBody, now time.Time) (Transaction, error) {
	i := slices.IndexFunc(p.Transactions, func(t Transaction) bool { return t.ID == id && t.Kind == kindDispute })
	if i < 0 {
		return Transaction{}, missing("dispute", id)
	}
	dispute, lost := &p.Transactions[i], Transaction{}
	for _, t := range p.Transactions {
		if t.Kind == kindChargeback && t.Reason == dispute.ID && p.sum(kindReversal, t.ID) == 0 {
			lost = t
		}
	}
	open := dispute.Status == statusPending
	switch {
	case b.Outcome != "lost" && b.Outcome != "won":
		return Transaction{}, invalid("outcome_invalid", "outcome is won or lost.")
	case b.Outcome == "lost" && lost.ID != "", b.Outcome == "won" && !open && lost.ID == "":
		return Transaction{}, invalid("dispute_unexpected_state", "The dispute is %s already.", b.Outcome)
	case b.Outcome == "lost":
		if open {
			dispute.Status = statusSucceeded
		}
		return l.add(p, "cb", Transaction{Kind: kindChargeback, Status: statusSucceeded, Amount: dispute.Amount, Parent: dispute.Parent, Reason: dispute.ID}, now)
	case lost.ID != "":
		return l.add(p, "rv", Transaction{Kind: kindReversal, Status: statusSucceeded, Amount: lost.Amount, Parent: lost.ID}, now)
	}
	dispute.Status = statusFailed
	return *dispute, nil
}
