package fulfilment

import (
	"slices"

	"daybook/domain/order"
	"daybook/domain/unit"
)

// remedies are the commands that an order's state needs without asking stock: the cancel of
// an order whose allocation failed, and transactions that give money back.
func remedies(s order.State) []keyedCommand {
	failed := s.AllocationFailed && s.Remedy == order.RemedyVoidOrRefund
	switch {
	case failed && s.Status == order.StatusConfirmed && s.Backordered() && !allocating(s):
		return []keyedCommand{cancelLost}
	case failed && s.Status == order.StatusCanceled:
		return newMoneyLeft(s).excess()
	}
	if len(s.Orphans) == 0 { // nearly all orders have none, and the sums below take time
		return nil
	}
	return newMoneyLeft(s).orphans()
}

func allocating(s order.State) bool {
	return slices.ContainsFunc(s.Unsettled, func(step order.OpenStep) bool { return step.Step == order.StepConfirm })
}

// moneyLeft counts how much money can still be voided or refunded, for each transaction and for the
// whole order. It goes down with each command that is made. Pending transactions count as if they
// had succeeded.
type moneyLeft struct {
	s          order.State
	voidable   unit.Money
	refundable unit.Money
	commands   []keyedCommand
}

func newMoneyLeft(s order.State) *moneyLeft {
	m := &moneyLeft{s: s}
	m.voidable = m.sum("", order.Authorize).Minus(m.sum("", order.Capture)).Minus(m.live("", order.Void))
	m.refundable = m.sum("", order.Capture).Minus(m.live("", order.Refund)).Minus(m.sum("", order.Chargeback))
	return m
}

// sum adds up succeeded transactions of a type: those of one parent, or all if parent is
// empty.
func (m *moneyLeft) sum(parent unit.TransactionID, typ order.TransactionType) unit.Money {
	return m.add(parent, typ, func(state order.TransactionState) bool { return state == order.Succeeded })
}

// live is sum with the pending transactions added.
func (m *moneyLeft) live(parent unit.TransactionID, typ order.TransactionType) unit.Money {
	return m.add(parent, typ, func(state order.TransactionState) bool { return state != order.Failed })
}

func (m *moneyLeft) add(parent unit.TransactionID, typ order.TransactionType, counts func(order.TransactionState) bool) unit.Money {
	total := unit.Zero(m.s.Currency())
	for _, t := range m.s.Transactions {
		if t.Type == typ && counts(t.State) && (parent == "" || t.Parent == parent) {
			total = total.Plus(t.Amount)
		}
	}
	return total
}

// excess gives back what was captured beyond what is owed for shipped goods. Money that was
// given back for returned goods is not given back twice.
func (m *moneyLeft) excess() []keyedCommand {
	keep := m.s.Owed().Minus(m.s.Compensated())
	if m.refundable.Compare(keep) >= 0 {
		for _, t := range m.s.Transactions {
			if t.Type == order.Authorize && t.State == order.Succeeded {
				m.giveBack(t, t.Amount)
			}
		}
	}
	for _, t := range slices.Backward(m.s.Transactions) {
		if t.Type == order.Capture && t.State == order.Succeeded {
			m.giveBack(t, m.refundable.Minus(keep))
		}
	}
	return m.commands
}

// orphans gives back the money that came too late.
func (m *moneyLeft) orphans() []keyedCommand {
	for _, orphan := range m.s.Orphans {
		if t, found := m.s.Transaction(orphan.TransactionID); found {
			m.giveBack(t, orphan.Amount)
		}
	}
	return m.commands
}

// giveBack voids or refunds a transaction once, up to an amount.
func (m *moneyLeft) giveBack(t order.Transaction, amount unit.Money) {
	id := order.RemedyTransactionID(m.s.OrderID, t.ID)
	if _, done := m.s.Transaction(id); done {
		return
	}
	cmd := order.RecordTransaction{
		TransactionID: id, Type: order.Refund, State: order.Pending, Parent: t.ID, Provider: t.Provider,
	}
	all := &m.refundable
	left := t.Amount.Minus(m.live(t.ID, order.Refund)).Minus(m.sum(t.ID, order.Chargeback))
	if t.Type == order.Authorize {
		cmd.Type, all = order.Void, &m.voidable
		left = t.Amount.Minus(m.sum(t.ID, order.Capture)).Minus(m.live(t.ID, order.Void))
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
	m.commands = append(m.commands, keyedCommand{"record " + string(id), cmd})
}
