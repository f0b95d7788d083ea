package order

import (
	"slices"
	"strconv"
	"time"

	"daybook/domain/unit"
)

// CreditState is a credit as it stands.
type CreditState struct {
	ID       unit.CreditID `json:"id,omitempty"`
	Cause    CreditCause   `json:"cause"`
	ReturnID unit.ReturnID `json:"return_id,omitempty"`
	// ShipmentID is that of Credited.
	ShipmentID unit.ShipmentID `json:"shipment_id,omitempty"`
	Lines      []CreditedLine  `json:"lines,omitempty"`
	Worth      unit.Money      `json:"worth"`
	Amount     unit.Money      `json:"amount"`
	Parts      []CreditPart    `json:"parts,omitempty"`
	// Implied means that an older program recorded a return's refund without a credit. The refund
	// stands for it.
	Implied bool `json:"implied,omitzero"`
}

// credit lowers what is owed by the worth of what came back, at the price of the order. A return
// that names a lower price gives that. The amount is the difference between what is owed before and
// after, so any sequence of credits ends at zero, to the cent.
func credit(cmd Credit, s State) ([]Event, error) {
	if i := slices.IndexFunc(s.Credits, func(c CreditState) bool { return c.ID == cmd.CreditID && !c.Implied }); i >= 0 {
		if s.Credits[i].differs(cmd) {
			return nil, ErrCreditDiffers
		}
		return nil, nil
	}
	if cmd.Cause == CreditForCharge {
		return creditCharge(cmd, s)
	}
	if cmd.Currency != s.Currency() {
		return nil, ErrCurrencyDiffers
	}
	if i := s.returnIndex(cmd.ReturnID); cmd.Cause == CreditForReturn && i >= 0 && s.Returns[i].Released {
		return nil, ErrReturnReleased
	}
	e := Credited{CreditID: cmd.CreditID, Cause: cmd.Cause, ReturnID: cmd.ReturnID, Worth: unit.Zero(s.Currency()), Reason: cmd.Reason}
	if cmd.Worth.Currency == s.Currency() {
		e.Worth = cmd.Worth
	}
	for _, l := range cmd.Lines {
		i, found := s.lineIndex(l.Line)
		if !found {
			return nil, ErrLineUnknown.With("The order has no line "+strconv.Itoa(l.Line)+".", map[string]any{"line": l.Line})
		}
		l.Worth = s.worthOf(i, l)
		e.Lines = append(e.Lines, l)
		e.Worth = e.Worth.Plus(l.Worth)
	}
	if cmd.Cause == CreditForReduction {
		switch {
		case e.Worth.Sign() <= 0:
			return nil, ErrAmountInvalid
		case e.Worth.TooFine():
			return nil, ErrAmountTooFine
		case e.Worth.Compare(s.Owed()) > 0:
			return nil, exceeded(s.Owed(), e.Worth)
		}
	}
	if s.Accounts {
		e.Parts = s.partsOf(cmd)
		if e.Worth = s.sumOf(e.Parts); len(cmd.Lines) == 0 && cmd.Cause == CreditForReturn && cmd.Worth.Currency == s.Currency() {
			e.Worth = cmd.Worth
		}
		// What was written off is not owed any more, so it cannot be credited.
		e.Amount = lesser(s.sumOf(e.Parts), s.Owed())
		if cmd.Cause == CreditForReturn {
			return append([]Event{e}, s.cardsBack(e)...), nil
		}
		return []Event{e}, nil
	}
	e.Amount = s.creditFor(e.Worth)
	return []Event{e}, nil
}

// differs tells whether a command that has the credit's id asks for another credit.
func (c CreditState) differs(cmd Credit) bool {
	switch {
	case c.Cause != cmd.Cause || c.ReturnID != cmd.ReturnID:
		return true
	case cmd.Cause == CreditForReduction:
		return !c.Worth.Equal(cmd.Worth)
	case cmd.Cause == CreditForCharge: // without an amount, it asked for all that was left then
		return len(c.Parts) == 0 || c.Parts[0].Charge != cmd.Charge || cmd.Worth.Currency != "" && !c.Worth.Equal(cmd.Worth)
	}
	return false
}

// worthOf is what units of a line are worth that come back: at most their price on the order.
func (s State) worthOf(line int, back CreditedLine) unit.Money {
	l := s.Lines[line]
	most := l.Price.Times(back.Quantity)
	most.Currency = s.Currency()
	if most.Sign() < 0 || back.Worth.Currency != most.Currency {
		return most
	}
	return lesser(floor(back.Worth), most)
}

// creditFor is by how much the order owes less if goods of a worth come back.
func (s State) creditFor(worth unit.Money) unit.Money {
	left := s.Total
	left.Amount = left.Amount.Sub(s.CreditedWorth.Amount).Sub(worth.Amount)
	return lesser(floor(s.Owed().Minus(s.owedWith(left, unit.Zero(s.Currency())))), s.Owed())
}

func (s *State) applyCredited(e Credited) {
	s.creditUnits(e)
	s.addCredit(CreditState{ID: e.CreditID, Cause: e.Cause, ReturnID: e.ReturnID, ShipmentID: e.ShipmentID, Lines: e.Lines, Worth: e.Worth, Amount: e.Amount, Parts: e.Parts})
}

func (s *State) addCredit(c CreditState) {
	s.Credits = append(s.Credits, c)
	s.takeCredit(c)
	s.Credited.Amount = s.Credited.Amount.Add(c.Amount.Amount)
	s.CreditedWorth.Amount = s.CreditedWorth.Amount.Add(c.Worth.Amount)
}

// takeBackCredits removes the credits of a return that brings nothing back after all.
func (s *State) takeBackCredits(id unit.ReturnID) {
	var left []CreditState
	for _, c := range s.Credits {
		if c.ReturnID != id || c.Implied {
			left = append(left, c)
			continue
		}
		s.takeBackClawbacks(c.ID)
		s.giveCreditBack(c)
		s.Credited.Amount = s.Credited.Amount.Sub(c.Amount.Amount)
		s.CreditedWorth.Amount = s.CreditedWorth.Amount.Sub(c.Worth.Amount)
	}
	s.Credits = left
}

// credits tells whether the order has recorded a credit of a return.
func (s State) credits(id unit.ReturnID) bool {
	return slices.ContainsFunc(s.Credits, func(c CreditState) bool { return c.ReturnID == id && !c.Implied })
}

// implyCredit lowers what is owed by a return's refund for which no credit was recorded.
func (s *State) implyCredit(t Transaction) {
	if t.ReturnID == "" || t.Type != Refund || t.State != Succeeded || t.Amount.Currency != s.Currency() || s.credits(t.ReturnID) {
		return
	}
	amount := lesser(t.Amount, s.Owed())
	s.addCredit(CreditState{Cause: CreditForReturn, ReturnID: t.ReturnID, Worth: amount, Amount: amount, Implied: true})
}

// writeOff ends the whole balance. Money that is in flight has to arrive first.
func writeOff(cmd WriteOff, s State) ([]Event, error) {
	balance := s.Balance()
	switch {
	case balance.Sign() == 0:
		return nil, nil
	case s.Captured().Sign() == 0:
		return nil, ErrNothingPaid
	case s.InFlight().Sign() > 0:
		return nil, ErrRefundUnderWay
	}
	if size := balance.Abs(); cmd.Tolerance != nil && size.Compare(*cmd.Tolerance) > 0 {
		return nil, ErrWriteOffLimit.With(ErrWriteOffLimit.Detail, map[string]any{"limit": *cmd.Tolerance, "requested": size})
	}
	return []Event{DifferenceWrittenOff{Amount: balance, Tolerance: cmd.Tolerance, Reason: cmd.Reason}}, nil
}

// applyWrittenOff changes nothing if the amount is of another currency: commands record none.
func (s *State) applyWrittenOff(e DifferenceWrittenOff) {
	if e.Amount.Currency != s.Currency() {
		return
	}
	if e.Amount.Sign() < 0 {
		given := e.Amount.Negated()
		owed := s.Owed()
		owed.Amount = owed.Amount.Sub(s.KeptAsGain.Amount)
		owed = lesser(given, owed)
		s.WrittenOff.Amount = s.WrittenOff.Amount.Add(owed.Amount)
		s.Lost.Amount = s.Lost.Amount.Add(given.Minus(owed).Amount)
		return
	}
	s.KeptAsGain.Amount = s.KeptAsGain.Amount.Add(e.Amount.Amount)
}

// extend gives more time only before the deadline, because afterwards the stock may be gone. While
// the order is on hold, its clock stands still.
func extend(cmd Extend, s State) ([]Event, error) {
	if s.Status != StatusPending {
		if no := s.ended(); no != nil {
			return nil, no
		}
		return nil, ErrConfirmed
	}
	until := cmd.Until.UTC().Truncate(time.Microsecond)
	switch {
	case until.Equal(s.ConfirmBy):
		return nil, nil
	case !s.OnHold && !cmd.Now.Before(s.ConfirmBy):
		return nil, ErrExpired
	case !until.After(s.ConfirmBy) || !until.After(cmd.Now):
		return nil, ErrDeadlineEarlier.With(ErrDeadlineEarlier.Detail, map[string]any{"confirm_by": s.ConfirmBy})
	case until.After(cmd.Latest):
		return nil, ErrDeadlineTooLate.With(ErrDeadlineTooLate.Detail, map[string]any{"latest": cmd.Latest})
	}
	return []Event{DeadlineExtended{ConfirmBy: until, Reason: cmd.Reason}}, nil
}

// applyDeadlineExtended moves the deadline of the order and of its reservations. What the order
// holds besides stock has no deadline of its own: see HoldMove.
func (s *State) applyDeadlineExtended(e DeadlineExtended) {
	if s.PlacedUntil.IsZero() {
		s.PlacedUntil = s.ConfirmBy
	}
	s.ConfirmBy = e.ConfirmBy
	s.Unsettled = slices.DeleteFunc(s.Unsettled, func(step OpenStep) bool { return step.Step == StepExtend })
	if s.Status != StatusPending {
		return
	}
	var moves []Move
	for _, h := range s.Holdings {
		if !h.Released {
			moves = append(moves, Move{Action: ActExtend, SKU: h.SKU, Location: h.Location, ReservationID: h.ReservationID, Quantity: h.Quantity, Until: e.ConfirmBy})
		}
	}
	s.openStep(StepRef{Step: StepExtend, Ref: e.ConfirmBy.UTC().Format(time.RFC3339Nano)}, moves)
}

// placedUntil is the deadline that the order was placed with.
func (s State) placedUntil() time.Time {
	if s.PlacedUntil.IsZero() {
		return s.ConfirmBy
	}
	return s.PlacedUntil
}
