package fulfilment

import (
	"slices"

	"daybook/domain/order"
	"daybook/domain/unit"
)

// RemedyTransactionID is the id of the void or refund that gives a transaction's money back
// as a remedy. There is at most one for each transaction. If it fails, the process does not
// try again: people decide what to do.
func RemedyTransactionID(id unit.OrderID, of unit.TransactionID) unit.TransactionID {
	return unit.TransactionID(unit.RemedyTransaction.Of(string(id), string(of)).ID())
}

// remedies are the commands that an order's state needs without asking stock: the cancel of
// an order whose allocation failed, and transactions that give money back.
func remedies(s order.State) []keyedCommand {
	failed := s.AllocationFailed && s.Remedy == order.RemedyVoidOrRefund
	switch {
	case failed && s.Status == order.StatusConfirmed && s.Backordered() && !allocating(s):
		return []keyedCommand{cancelLost}
	case failed && s.Status == order.StatusCanceled:
		return newGivenBackLimit(s).excess()
	}
	if len(s.Orphans) == 0 { // nearly always, and the sums below cost time
		return nil
	}
	return newGivenBackLimit(s).orphans()
}

func allocating(s order.State) bool {
	return slices.ContainsFunc(s.Unsettled, func(step order.OpenStep) bool { return step.Step == order.StepConfirm })
}

// givenBackLimit counts how much can still be voided or refunded, for each transaction and for
// the whole order. It goes down with each command that is made. Pending transactions count as
// if they had succeeded.
type givenBackLimit struct {
	s          order.State
	voidable   unit.Money
	refundable unit.Money
	commands   []keyedCommand
}

func newGivenBackLimit(s order.State) *givenBackLimit {
	p := &givenBackLimit{s: s}
	p.voidable = p.sum("", order.Authorize).Minus(p.sum("", order.Capture)).Minus(p.live("", order.Void))
	p.refundable = p.sum("", order.Capture).Minus(p.live("", order.Refund)).Minus(p.sum("", order.Chargeback))
	return p
}

// sum adds up succeeded transactions of a type: those of one parent, or all if parent is
// empty.
func (p *givenBackLimit) sum(parent unit.TransactionID, typ order.TransactionType) unit.Money {
	return p.add(parent, typ, func(state order.TransactionState) bool { return state == order.Succeeded })
}

// live is sum with the pending transactions added.
func (p *givenBackLimit) live(parent unit.TransactionID, typ order.TransactionType) unit.Money {
	return p.add(parent, typ, func(state order.TransactionState) bool { return state != order.Failed })
}

func (p *givenBackLimit) add(parent unit.TransactionID, typ order.TransactionType, counts func(order.TransactionState) bool) unit.Money {
	total := unit.Zero(p.s.Currency())
	for _, t := range p.s.Transactions {
		if t.Type == typ && counts(t.State) && (parent == "" || t.Parent == parent) {
			total = total.Plus(t.Amount)
		}
	}
	return total
}

// excess gives back what was captured beyond what is owed for shipped goods. Money that was
// given back for returned goods is not given back twice.
func (p *givenBackLimit) excess() []keyedCommand {
	keep := p.s.Owed().Minus(p.s.ReturnedForGoods())
	if p.refundable.Compare(keep) >= 0 {
		for _, t := range p.s.Transactions {
			if t.Type == order.Authorize && t.State == order.Succeeded {
				p.giveBack(t, t.Amount)
			}
		}
	}
	for _, t := range slices.Backward(p.s.Transactions) {
		if t.Type == order.Capture && t.State == order.Succeeded {
			p.giveBack(t, p.refundable.Minus(keep))
		}
	}
	return p.commands
}

// orphans gives back the money that came too late.
func (p *givenBackLimit) orphans() []keyedCommand {
	for _, orphan := range p.s.Orphans {
		if t, found := p.s.Transaction(orphan.TransactionID); found {
			p.giveBack(t, orphan.Amount)
		}
	}
	return p.commands
}

// giveBack voids or refunds a transaction once, up to an amount.
func (p *givenBackLimit) giveBack(t order.Transaction, amount unit.Money) {
	id := RemedyTransactionID(p.s.OrderID, t.ID)
	if _, done := p.s.Transaction(id); done {
		return
	}
	cmd := order.RecordTransaction{
		TransactionID: id, Type: order.Refund, State: order.Pending, Parent: t.ID, Provider: t.Provider,
	}
	all := &p.refundable
	left := t.Amount.Minus(p.live(t.ID, order.Refund)).Minus(p.sum(t.ID, order.Chargeback))
	if t.Type == order.Authorize {
		cmd.Type, all = order.Void, &p.voidable
		left = t.Amount.Minus(p.sum(t.ID, order.Capture)).Minus(p.live(t.ID, order.Void))
	}
	for _, limit := range []unit.Money{left, *all} {
		if limit.Compare(amount) < 0 {
			amount = limit
		}
	}
	if amount.Sign() <= 0 {
		return
	}
	*all = all.Minus(amount)
	cmd.Amount = amount
	p.commands = append(p.commands, keyedCommand{"record " + string(id), cmd})
}
