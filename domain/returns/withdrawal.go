package returns

import (
	"slices"

	"daybook/domain/unit"
)

// Withdrawal is a refund, or a part of it, that was taken back.
type Withdrawal struct {
	Taken RefundWithdrawn `json:"taken"`
	Of    unit.Money      `json:"of"` // the whole refund as it was recorded
}

// withdrawRefund takes back what orders have refused. The first outcome of the refund's step
// stands, so nothing happens if the step has ended.
func withdrawRefund(cmd WithdrawRefund, s State) ([]Event, error) {
	step := slices.IndexFunc(s.OrdersUnsettled, func(open OpenOrderStep) bool {
		return open.Step == StepRefund && open.Ref == cmd.TransactionID
	})
	at := s.refund(cmd.TransactionID)
	if step < 0 || at < 0 || len(cmd.Refused) == 0 || cmd.Before != s.WithdrawnBefore(cmd.TransactionID) {
		return nil, nil
	}
	e := RefundWithdrawn{
		TransactionID: cmd.TransactionID, Amount: unit.Zero(s.Requested.Currency),
		OrderID: cmd.Refused[0], Code: cmd.Code, Reason: cmd.Reason,
	}
	for _, share := range s.OrdersUnsettled[step].Shares {
		if slices.Contains(cmd.Refused, share.OrderID) {
			e.Shares = append(e.Shares, share)
			e.Amount = e.Amount.Plus(share.Amount)
		}
	}
	if len(e.Shares) == 0 {
		return nil, nil
	}
	if cmd.Whole {
		e.Amount = s.Refunds[at].Amount
	}
	return []Event{e}, nil
}

// WithdrawnBefore is how often refunds with an id were taken back, as a whole or in part.
func (s State) WithdrawnBefore(id unit.TransactionID) int {
	times := 0
	for _, before := range s.Withdrawn {
		if before.Taken.TransactionID == id {
			times++
		}
	}
	return times
}

func (s State) refund(id unit.TransactionID) int {
	return slices.IndexFunc(s.Refunds, func(r Refunded) bool { return r.TransactionID == id })
}

func (s *State) applyRefundWithdrawn(e RefundWithdrawn) {
	s.closeStep(StepRefund, e.TransactionID)
	at := s.refund(e.TransactionID)
	if at < 0 || s.Refunds[at].Amount.Currency != e.Amount.Currency {
		return
	}
	refund := s.Refunds[at]
	s.Withdrawn = append(s.Withdrawn, Withdrawal{Taken: e, Of: refund.Amount})
	refund.Amount = refund.Amount.Minus(e.Amount)
	if refund.Amount.Sign() <= 0 {
		s.Refunds = slices.Delete(s.Refunds, at, at+1)
		return
	}
	var left []Share // a new slice, because the event shares the recorded one
	for _, share := range refund.Shares {
		refused := slices.ContainsFunc(e.Shares, func(gone Share) bool { return gone.OrderID == share.OrderID })
		if !refused {
			left = append(left, share)
		}
	}
	refund.Shares = left
	s.Refunds[at] = refund
}

func (s *State) closeStep(step OrderStep, ref unit.TransactionID) {
	s.OrdersUnsettled = slices.DeleteFunc(s.OrdersUnsettled, func(open OpenOrderStep) bool { return open.Step == step && open.Ref == ref })
}
