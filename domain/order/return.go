package order

import (
	"slices"
	"strconv"

	"daybook/domain/unit"
)

// Return is the part of a return that brings back units of this order.
type Return struct {
	ID       unit.ReturnID  `json:"id"`
	Lines    []LineQuantity `json:"lines,omitempty"`
	Released bool           `json:"released,omitzero"` // the return brings nothing back
}

func (s State) returnIndex(id unit.ReturnID) int {
	return slices.IndexFunc(s.Returns, func(r Return) bool { return r.ID == id })
}

// admitReturn does not check the order's status, because shipped units may come back in any
// status.
func admitReturn(cmd AdmitReturn, s State) ([]Event, error) {
	if i := s.returnIndex(cmd.ReturnID); i >= 0 {
		switch have := s.Returns[i]; {
		case have.Released:
			return nil, ErrReturnReleased
		case !slices.Equal(have.Lines, cmd.Lines):
			return nil, ErrReturnDiffers
		}
		return nil, nil
	}
	if cmd.Currency != s.Currency() {
		return nil, ErrCurrencyDiffers
	}
	for n, asked := range cmd.Lines {
		i, found := s.lineIndex(asked.Line)
		switch {
		case n > 0 && asked.Line <= cmd.Lines[n-1].Line:
			return nil, ErrLinesDisordered
		case asked.Quantity <= 0:
			return nil, ErrLineQuantityInvalid
		case !found:
			return nil, ErrLineUnknown.With("The order has no line "+strconv.Itoa(asked.Line)+".", map[string]any{"line": asked.Line})
		case asked.Quantity > s.Lines[i].Returnable():
			return nil, ErrReturnExceeded.With(ErrReturnExceeded.Detail,
				map[string]any{"line": asked.Line, "returnable": s.Lines[i].Returnable(), "requested": asked.Quantity})
		}
	}
	return []Event{ReturnAdmitted{ReturnID: cmd.ReturnID, Lines: cmd.Lines}}, nil
}

func (s *State) applyReturnAdmitted(e ReturnAdmitted) {
	s.Returns = append(s.Returns, Return{ID: e.ReturnID, Lines: e.Lines})
	for _, l := range e.Lines {
		if i, found := s.lineIndex(l.Line); found {
			s.Lines[i].Returning += l.Quantity
		}
	}
}

// releaseReturn is also recorded for a return that was never admitted. A late driver that
// asks to admit it is then refused, and no units are kept for a return that brings nothing.
func releaseReturn(cmd ReleaseReturn, s State) ([]Event, error) {
	if i := s.returnIndex(cmd.ReturnID); i >= 0 && s.Returns[i].Released {
		return nil, nil
	}
	return []Event{ReturnReleased{ReturnID: cmd.ReturnID}}, nil
}

func (s *State) applyReturnReleased(id unit.ReturnID) {
	at := s.returnIndex(id)
	if at < 0 {
		s.Returns = append(s.Returns, Return{ID: id, Released: true})
		return
	}
	if s.Returns[at].Released {
		return
	}
	s.Returns[at].Released = true
	s.takeBackCredits(id)
	for _, l := range s.Returns[at].Lines {
		if i, found := s.lineIndex(l.Line); found {
			s.Lines[i].Returning -= l.Quantity
		}
	}
}

// shareWithinLimit refuses a share above the limit of the one who recorded the refund. Several
// drivers may ask, at different times, and must get the same reply. So a refusal is final: the sum
// of the others never goes down, because a refund that was pending and has failed stays in it; and
// a report of the refund by the provider, after the refusal, changes nothing.
func (s State) shareWithinLimit(cmd RecordReturnRefund) error {
	others := s.sum(func(t Transaction) bool {
		return t.ID != cmd.TransactionID && t.RecordedState != Failed && (t.Type == Refund || t.Type == Chargeback)
	})
	return withinRefundLimit(others, cmd.Amount, cmd.Limit)
}

// recordReturnRefund looks for a transaction that the provider has reported before under the
// refund's id. If there is one, it belongs to this return and to no other, and a pending one
// has now succeeded.
func recordReturnRefund(cmd RecordReturnRefund, s State) ([]Event, error) {
	if cmd.Amount.Currency != s.Currency() {
		return nil, ErrCurrencyDiffers
	}
	have, found := s.Transaction(cmd.TransactionID)
	claim := RefundClaimed{TransactionID: cmd.TransactionID, ReturnID: cmd.ReturnID}
	switch {
	case have.ReturnID == cmd.ReturnID && have.ReturnID != "" && have.Amount.Equal(cmd.Amount):
		return nil, nil
	case found && (have.ReturnID != "" || have.Type != Refund || have.State == Failed || !have.Amount.Equal(cmd.Amount)):
		return nil, ErrTransactionDiffers
	}
	if slices.ContainsFunc(s.RefusedRefunds, cmd.refusedBy) {
		return nil, exceeded(s.leftForReturn(cmd), cmd.Amount)
	}
	if err := s.shareWithinLimit(cmd); err != nil {
		return nil, err
	}
	switch {
	case !found:
		if left := s.leftForReturn(cmd); cmd.Amount.Compare(left) > 0 {
			return nil, exceeded(left, cmd.Amount)
		}
		return []Event{TransactionRecorded{
			TransactionID: cmd.TransactionID, Type: Refund, State: Succeeded, Amount: cmd.Amount,
			Provider: cmd.Provider, Reference: cmd.Reference, ReturnID: cmd.ReturnID,
		}}, nil
	case have.State == Pending:
		return []Event{TransactionSettled{TransactionID: cmd.TransactionID, State: Succeeded, Reference: cmd.Reference}, claim}, nil
	}
	return []Event{claim}, nil
}

// leftForReturn is the most that a return can give back: what the order has to return. If the order
// has no credit of the return, because an older program received the goods, the refund stands for
// the credit.
func (s State) leftForReturn(cmd RecordReturnRefund) unit.Money {
	left := s.Refundable("")
	if s.credits(cmd.ReturnID) {
		return s.ToReturn()
	}
	return lesser(left, s.Kept())
}

func (cmd RecordReturnRefund) refusedBy(no ReturnRefundRefused) bool {
	return no.ReturnID == cmd.ReturnID && no.TransactionID == cmd.TransactionID && no.Amount.Equal(cmd.Amount)
}

// refuseReturnRefund makes a refusal final: several drivers may ask, at different times, and must
// get the same reply.
func refuseReturnRefund(cmd RefuseReturnRefund, s State) ([]Event, error) {
	ask := RecordReturnRefund{ReturnID: cmd.ReturnID, TransactionID: cmd.TransactionID, Amount: cmd.Amount}
	if have, found := s.Transaction(cmd.TransactionID); found && have.ReturnID == cmd.ReturnID || slices.ContainsFunc(s.RefusedRefunds, ask.refusedBy) {
		return nil, nil
	}
	return []Event{ReturnRefundRefused{ReturnID: cmd.ReturnID, TransactionID: cmd.TransactionID, Amount: cmd.Amount, Limit: floor(s.leftForReturn(ask))}}, nil
}
