package verify

import (
	"fmt"

	"github.com/shopspring/decimal"

	"daybook/domain/order"
	"daybook/domain/unit"
)

// pot is the money of one order, added up from its events by code that shares nothing with the
// domain: what was charged, what is owed, and what moved.
type pot struct {
	currency     unit.Currency
	goods        *orderAmounts // what is owed
	transactions map[unit.TransactionID]*potTransaction
	// now tells under which id the transaction of a refund's part is recorded.
	now map[unit.TransactionID]unit.TransactionID
}

type potTransaction struct {
	of           order.TransactionType
	state        order.TransactionState
	amount       unit.Money
	parent       unit.TransactionID
	compensation bool
	returnID     unit.ReturnID
	credited     bool // the refund of a return for which no credit was recorded stands for the credit
}

func newPot(placed order.Placed) *pot {
	p := &pot{
		currency: placed.Total.Currency, goods: newAmounts(placed),
		transactions: map[unit.TransactionID]*potTransaction{}, now: map[unit.TransactionID]unit.TransactionID{},
	}
	return p
}

// book adds an event of the order. The result names the first term of the event that differs;
// empty: none does.
func (p *pot) book(value order.Event) (fault string) {
	switch e := value.(type) {
	case order.LinesCanceled, order.Canceled, order.Expired, order.Shipped, order.Credited, order.ReturnReleased, order.DifferenceWrittenOff, order.ChargeAdded, order.ParcelResent:
		return p.goods.fold(value)
	case order.TransactionRecorded:
		p.bookTransaction(e)
	case order.TransactionSettled:
		if t := p.transactions[e.TransactionID]; t != nil {
			t.state = e.State
			p.implyCredit(t)
		}
	case order.RefundClaimed:
		if t := p.transactions[e.TransactionID]; t != nil {
			t.returnID = e.ReturnID
			p.implyCredit(t)
		}
	case order.RefundRequested, order.RefundSubmitted, order.RefundSettled:
		return p.bookRefund(value)
	case order.RefundExplained:
		if t := p.transactions[e.TransactionID]; t != nil {
			t.compensation = e.Purpose == order.Compensation
		}
	case order.Claimed, order.Placed, order.Confirmed, order.PutOnHold, order.HoldReleased, order.Delivered, order.ParcelReported, order.ParcelBack, order.Completed,
		order.StockSettled, order.AllocationFailed, order.AllocationRetried, order.AllocationRecovered, order.PaymentOrphaned,
		order.ReturnAdmitted, order.ReturnRefundRefused, order.TransactionUnreadable, order.DeadlineExtended, order.TakenOver,
		order.Archived, order.Unarchived:
	}
	return ""
}

func (p *pot) bookTransaction(e order.TransactionRecorded) {
	t := &potTransaction{
		of: e.Type, state: e.State, amount: e.Amount, parent: e.Parent, returnID: e.ReturnID, compensation: e.Purpose == order.Compensation,
	}
	if e.Part != "" {
		old := p.nowOf(e.Part)
		if part := p.transactions[old]; part != nil {
			t.compensation = part.compensation
		}
		delete(p.transactions, old)
		p.now[e.Part] = e.TransactionID
	}
	p.transactions[e.TransactionID] = t
	p.implyCredit(t)
}

func (p *pot) nowOf(part unit.TransactionID) unit.TransactionID {
	if now, other := p.now[part]; other {
		return now
	}
	return part
}

// bookRefund also checks that no more is asked to go out than came in, for each payment and in all.
func (p *pot) bookRefund(value order.Event) (fault string) {
	switch e := any(value).(type) {
	case order.RefundRequested:
		if toReturn := p.toReturn(); e.Purpose == order.Settlement && e.Amount.Amount.GreaterThan(toReturn) {
			fault = fmt.Sprintf("refund %s: %s are to go back, and %s are owed to the customer", e.RefundID, e.Amount, p.money(toReturn))
		}
		if e.Cause == order.RefundAsked {
			paid := e.Amount
			if e.Unplaced != nil {
				paid.Amount = paid.Amount.Sub(e.Unplaced.Amount)
			}
			fault = firstOf(fault, p.overdrawnInAll(paid))
		}
		for _, part := range e.Parts {
			fault = firstOf(fault, p.overdrawn(part.Payment, part.Amount))
			p.transactions[part.PartID] = &potTransaction{
				of: order.Refund, state: order.Pending, amount: part.Amount, parent: part.Payment, compensation: e.Purpose == order.Compensation,
			}
		}
	case order.RefundSubmitted:
		if t := p.transactions[p.nowOf(e.PartID)]; t != nil {
			if t.state == order.Failed { // its money was free since then
				fault = firstOf(p.overdrawn(t.parent, t.amount), p.overdrawnInAll(t.amount))
			}
			t.state = order.Pending
		}
	case order.RefundSettled:
		p.settleRefund(e)
	}
	return fault
}

// overdrawn tells whether a payment has less left than is to go back of it.
func (p *pot) overdrawn(payment unit.TransactionID, amount unit.Money) (fault string) {
	if left := p.leftOf(payment); amount.Amount.GreaterThan(left) {
		return fmt.Sprintf("%s are to go back of payment %s, which has %s left", amount, payment, p.money(left))
	}
	return ""
}

// overdrawnInAll tells whether all payments together have less left than somebody wants to give
// back. This does not hold for money that came after the order had ended: it goes back although the
// provider has given too much back before.
func (p *pot) overdrawnInAll(amount unit.Money) (fault string) {
	if left := p.leftOf(""); amount.Amount.GreaterThan(left) {
		return fmt.Sprintf("%s are to go back, and %s are left of all payments", amount, p.money(left))
	}
	return ""
}

// leftOf is what a payment has left: what came in, less what went out or is on its way. Without a
// payment it is that of the order.
func (p *pot) leftOf(payment unit.TransactionID) decimal.Decimal {
	sum := decimal.Zero
	for id, t := range p.transactions {
		of := t.parent
		switch t.of {
		case order.Capture:
			of = id
		case order.Reversal:
			of = ""
			if chargeback := p.transactions[t.parent]; chargeback != nil {
				of = chargeback.parent
			}
		case order.Authorize, order.Void, order.Refund, order.Chargeback, order.Dispute:
		}
		if t.amount.Currency != p.currency || payment != "" && of != payment {
			continue
		}
		switch {
		case (t.of == order.Capture || t.of == order.Reversal) && t.state == order.Succeeded:
			sum = sum.Add(t.amount.Amount)
		case t.of == order.Refund && t.state != order.Failed, t.of == order.Chargeback && t.state == order.Succeeded:
			sum = sum.Sub(t.amount.Amount)
		}
	}
	return sum
}

// toReturn is what is owed to the customer and not on its way.
func (p *pot) toReturn() decimal.Decimal {
	kept := p.sum(order.Capture, order.Succeeded, nil).Sub(p.sum(order.Refund, order.Succeeded, nil)).
		Sub(p.sum(order.Chargeback, order.Succeeded, nil)).Add(p.sum(order.Reversal, order.Succeeded, nil))
	balance := kept.Add(p.sum(order.Refund, order.Succeeded, isCompensation)).Add(p.goods.given).Sub(p.owed())
	return decimal.Max(decimal.Zero, balance.Sub(p.sum(order.Refund, order.Pending, isSettlement)))
}

func (p *pot) money(amount decimal.Decimal) unit.Money {
	return unit.Money{Amount: amount, Currency: p.currency}
}

func (p *pot) settleRefund(e order.RefundSettled) {
	now := p.nowOf(e.PartID)
	t := p.transactions[now]
	if t == nil {
		return
	}
	switch e.State {
	case order.RefundSucceeded:
		t.state = order.Succeeded
	case order.RefundHasFailed:
		t.state = order.Failed
	case order.RefundIsUnknown, order.RefundIsRequested, order.RefundIsSubmitted:
	}
	if same := p.transactions[e.SameAs]; same != nil {
		same.compensation = t.compensation
		delete(p.transactions, now)
		p.now[e.PartID] = e.SameAs
	}
}

// implyCredit lowers what is owed by a refund of a return that an older program received.
func (p *pot) implyCredit(t *potTransaction) {
	if t.returnID == "" || t.of != order.Refund || t.state != order.Succeeded || t.credited || t.amount.Currency != p.currency {
		return
	}
	t.credited = true
	p.goods.imply(t.returnID, t.amount.Amount)
}

func (p *pot) credited() decimal.Decimal { return p.goods.credited }
func (p *pot) owed() decimal.Decimal     { return p.goods.owed() }

func (p *pot) sum(of order.TransactionType, state order.TransactionState, pass func(*potTransaction) bool) (sum decimal.Decimal) {
	for _, t := range p.transactions {
		if t.of == of && t.state == state && t.amount.Currency == p.currency && (pass == nil || pass(t)) {
			sum = sum.Add(t.amount.Amount)
		}
	}
	return sum
}

func isCompensation(t *potTransaction) bool { return t.compensation }
func isSettlement(t *potTransaction) bool   { return !t.compensation }

// term is one term of the equations of an order's money: what the events add up to, and what the
// order's fold says.
type term struct {
	name      string
	want, got decimal.Decimal
}

// terms are in the order in which each follows from those before it.
func (p *pot) terms(s order.State) []term {
	captured := p.sum(order.Capture, order.Succeeded, nil)
	returned := p.sum(order.Refund, order.Succeeded, nil).Add(p.sum(order.Chargeback, order.Succeeded, nil)).Sub(p.sum(order.Reversal, order.Succeeded, nil))
	compensated := p.sum(order.Refund, order.Succeeded, isCompensation)
	inFlight := p.sum(order.Refund, order.Pending, isSettlement)
	kept := captured.Sub(returned)
	balance := kept.Add(compensated).Add(p.goods.given).Sub(p.owed())
	return []term{
		{"credited", p.credited(), s.Credited.Amount},
		{"owed", p.owed(), s.Owed().Amount},
		{"captured", captured, s.Captured().Amount},
		{"returned", returned, s.Returned().Amount},
		{"kept", kept, s.Kept().Amount},
		{"compensated", compensated, s.Compensated().Amount},
		{"balance", balance, s.Balance().Amount},
		{"in flight", inFlight, s.InFlight().Amount},
		{"to return", decimal.Max(decimal.Zero, balance.Sub(inFlight)), s.ToReturn().Amount},
		{"to collect", decimal.Max(decimal.Zero, balance.Neg()), s.ToCollect().Amount},
	}
}

// checkMoney compares the money of each order with what its events add up to, and names the first
// term that differs. It also reports money that nobody owes and nobody looks at.
func (b *Book) checkMoney() *Check {
	check := &Check{Name: "orders: what is owed and the money that moved add up"}
	for _, id := range sorted(b.Orders) {
		o := b.Orders[id]
		check.Examined++
		if o.moneyDiffers {
			continue // the first term that differs is reported
		}
		terms := o.pot.terms(o.State)
		for _, t := range terms {
			if !t.want.Equal(t.got) {
				check.differ("order %s: %s is %s, but the events add up to %s", id, t.name, t.got, t.want)
				break
			}
		}
		if open := terms[8].want; open.IsPositive() && !o.NeedsAttention() {
			check.differ("order %s: %s is to be given back, and nobody is told", id, open)
		}
		if due := terms[9].want; due.IsPositive() && terms[2].want.IsPositive() && terms[2].want.GreaterThanOrEqual(terms[1].want) && !o.NeedsAttention() {
			check.differ("order %s: %s is due although it was paid before, and nobody is told", id, due)
		}
	}
	return check
}
