package order

import (
	"cmp"
	"slices"
	"strconv"

	"daybook/domain/unit"
)

// This file has the parcels that never arrive. A carrier gives up, sends a parcel back or loses it.
// What the buyer is owed follows only when somebody says so: units are sent again, or credited.

// Parcel is where the parcel is.
func (p Shipment) Parcel() ParcelState {
	if p.Delivered {
		return ParcelDelivered
	}
	return cmp.Or(p.State, ParcelShipped)
}

// settled is how many units of a line are sent again, or credited.
func (p Shipment) settled(line int) (units unit.Quantity) {
	for _, l := range slices.Concat(p.Resent, p.Credited) {
		if l.Line == line {
			units += l.Quantity
		}
	}
	return units
}

func parcelState(p Shipment) error {
	return ErrParcelState.With(ErrParcelState.Detail, map[string]any{"shipment_id": p.ID, "state": p.Parcel()})
}

// unsettled are the goods of a parcel for which nobody has said what follows. Units that a return
// brings back are left to the return.
func (s State) unsettled(p Shipment) (lines []LineQuantity) {
	for _, l := range p.Lines {
		i, found := s.lineIndex(l.Line)
		if !found || s.Lines[i].Kind != unit.Stocked {
			continue
		}
		if left := min(l.Quantity-p.settled(l.Line), s.Lines[i].Returnable()); left > 0 {
			lines = append(lines, LineQuantity{Line: l.Line, Quantity: left})
		}
	}
	return lines
}

// parcelAstray tells whether a person has to say what follows for a parcel that did not arrive.
func (s State) parcelAstray() bool {
	return slices.ContainsFunc(s.Shipments, func(p Shipment) bool {
		switch p.Parcel() {
		case ParcelUndeliverable, ParcelLost, ParcelCameBack:
			return len(s.unsettled(p)) > 0
		case ParcelShipped, ParcelDelivered, ParcelReturning:
		}
		return false
	})
}

func decideParcel(cmd Command, s State) ([]Event, error) {
	switch cmd := any(cmd).(type) {
	case ReportParcel:
		return reportParcel(cmd, s)
	case TakeParcelBack:
		return takeParcelBack(cmd, s)
	case ResendParcel:
		return resendParcel(cmd, s)
	case CreditParcel:
		return creditParcel(cmd, s)
	}
	panic("order: unknown command") // a programmer's error, never input
}

// mayBecome says from which states a parcel can be reported in another one. A parcel that was
// delivered or came back stays where it is.
var mayBecome = map[ParcelState][]ParcelState{
	ParcelUndeliverable: {ParcelShipped},
	ParcelReturning:     {ParcelShipped, ParcelUndeliverable},
	ParcelLost:          {ParcelShipped, ParcelUndeliverable, ParcelReturning},
	ParcelShipped:       {ParcelLost},
	ParcelDelivered:     nil, // says Deliver
	ParcelCameBack:      nil, // says TakeParcelBack
}

// reportParcel records a fact, so it does not check the order's status.
func reportParcel(cmd ReportParcel, s State) ([]Event, error) {
	i := s.shipmentIndex(cmd.ShipmentID)
	if i < 0 {
		return nil, ErrShipmentUnknown
	}
	is := s.Shipments[i].Parcel()
	switch {
	case is == cmd.State:
		return nil, nil
	case !slices.Contains(mayBecome[cmd.State], is):
		return nil, parcelState(s.Shipments[i])
	}
	return []Event{ParcelReported(cmd)}, nil
}

func (s *State) applyParcelReported(e ParcelReported) {
	if i := s.shipmentIndex(e.ShipmentID); i >= 0 {
		s.Shipments[i].State = e.State
	}
}

// takeParcelBack records a fact, so it does not check the order's status.
func takeParcelBack(cmd TakeParcelBack, s State) ([]Event, error) {
	at := s.shipmentIndex(cmd.ShipmentID)
	if at < 0 {
		return nil, ErrShipmentUnknown
	}
	parcel := s.Shipments[at]
	lines, err := s.backLines(parcel, cmd.Lines)
	if err != nil {
		return nil, err
	}
	switch parcel.Parcel() {
	case ParcelDelivered:
		return nil, parcelState(parcel)
	case ParcelCameBack:
		if parcel.BackTo != cmd.Location || !slices.Equal(parcel.Back, lines) {
			return nil, ErrParcelDiffers
		}
		return nil, nil
	case ParcelShipped, ParcelUndeliverable, ParcelReturning, ParcelLost:
	}
	events := []Event{ParcelBack{ShipmentID: cmd.ShipmentID, Location: cmd.Location, Lines: lines, Reason: cmd.Reason}}
	if !cmd.Resend {
		return events, nil
	}
	after := Evolve(s.Clone(), events[0])
	more, err := after.resend(at, after.unsettled(after.Shipments[at]), cmd.Reason)
	if err != nil {
		return nil, err
	}
	return append(events, more...), nil
}

// backLines adds up the units that came back. They must be all goods of the parcel. Services do not
// come back.
func (s State) backLines(parcel Shipment, given []BackUnits) ([]BackLine, error) {
	var lines []BackLine
	for _, b := range given {
		i, found := s.lineIndex(b.Line)
		switch {
		case !found:
			return nil, lineUnknown(b.Line)
		case !b.Quantity.Valid():
			return nil, ErrLineQuantityInvalid
		}
		same := func(l BackLine) bool { return l.Line == b.Line && l.Disposition == b.Disposition }
		if at := slices.IndexFunc(lines, same); at >= 0 {
			lines[at].Quantity += b.Quantity
			continue
		}
		lines = append(lines, BackLine{Line: b.Line, SKU: s.Lines[i].SKU, Quantity: b.Quantity, Disposition: b.Disposition})
	}
	slices.SortFunc(lines, func(a, b BackLine) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Disposition, b.Disposition))
	})
	left := map[int]unit.Quantity{}
	for _, l := range parcel.Lines {
		if i, found := s.lineIndex(l.Line); found && s.Lines[i].Kind == unit.Stocked {
			left[l.Line] = l.Quantity
		}
	}
	for _, l := range lines {
		left[l.Line] -= l.Quantity
	}
	for line, units := range left {
		if units != 0 {
			return nil, ErrParcelUnits.With("All goods of the parcel must be named: what came back, and what was lost.", map[string]any{"line": line})
		}
	}
	return lines, nil
}

func lineUnknown(line int) error {
	return ErrLineUnknown.With("The order has no line "+strconv.Itoa(line)+".", map[string]any{"line": line})
}

func (s *State) applyParcelBack(e ParcelBack) {
	var moves []Move
	for _, l := range e.Lines {
		if l.Disposition != Missing {
			moves = append(moves, Move{Action: ActTakeBack, SKU: l.SKU, Location: e.Location, Quantity: l.Quantity, Disposition: l.Disposition})
		}
	}
	if i := s.shipmentIndex(e.ShipmentID); i >= 0 {
		s.Shipments[i].State, s.Shipments[i].Back, s.Shipments[i].BackTo = ParcelCameBack, e.Lines, e.Location
	}
	s.openStep(cameBack(e.ShipmentID), moves)
}

func cameBack(id unit.ShipmentID) StepRef { return StepRef{Step: StepCameBack, Ref: string(id)} }

// toSettle finds the units of a parcel about which a command says what follows: its lines, or all
// that is left. Without anything left, it finds no lines.
func (s State) toSettle(id unit.ShipmentID, asked []LineQuantity) (at int, lines []LineQuantity, err error) {
	if at = s.shipmentIndex(id); at < 0 {
		return at, nil, ErrShipmentUnknown
	}
	parcel := s.Shipments[at]
	if is := parcel.Parcel(); is != ParcelLost && is != ParcelCameBack {
		return at, nil, parcelState(parcel)
	}
	if !s.Accounts {
		return at, nil, ErrParcelOld
	}
	left := s.unsettled(parcel)
	if len(asked) == 0 {
		return at, left, nil
	}
	for _, l := range asked {
		if l.Quantity <= 0 {
			return at, nil, ErrLineQuantityInvalid
		}
		if i := slices.IndexFunc(lines, func(have LineQuantity) bool { return have.Line == l.Line }); i >= 0 {
			lines[i].Quantity += l.Quantity
			continue
		}
		lines = append(lines, l)
	}
	slices.SortFunc(lines, func(a, b LineQuantity) int { return cmp.Compare(a.Line, b.Line) })
	for _, l := range lines {
		i := slices.IndexFunc(left, func(have LineQuantity) bool { return have.Line == l.Line })
		var units unit.Quantity
		if i >= 0 {
			units = left[i].Quantity
		}
		if l.Quantity > units {
			return at, nil, ErrParcelUnits.With("Fewer units of the parcel are left to send again or to credit.",
				map[string]any{"line": l.Line, "left": units, "requested": l.Quantity})
		}
	}
	return at, lines, nil
}

func resendParcel(cmd ResendParcel, s State) ([]Event, error) {
	at, lines, err := s.toSettle(cmd.ShipmentID, cmd.Lines)
	if err != nil {
		return nil, err
	}
	if len(lines) == 0 {
		if s.Shipments[at].Credited != nil {
			return nil, ErrParcelUnits
		}
		return nil, nil
	}
	return s.resend(at, lines, cmd.Reason)
}

// resend opens units of a parcel again. Stock is asked for other goods, except for those that it
// keeps for the order while it takes them back.
func (s State) resend(at int, lines []LineQuantity, reason string) ([]Event, error) {
	if no := s.ended(); no != nil {
		return nil, no
	}
	if !s.Accounts {
		return nil, ErrParcelOld
	}
	if _, open := s.allocating(); open {
		return nil, ErrStockUnsettled
	}
	parcel := s.Shipments[at]
	step, takesBack := s.Step(cameBack(parcel.ID))
	free := map[unit.SKU]unit.Quantity{} // comes back to where it left, and nobody has it yet
	for _, m := range step.Moves {
		if takesBack && m.Disposition == Restocked && m.Location == parcel.Location && len(parcel.Resent) == 0 && len(parcel.Credited) == 0 {
			free[m.SKU] = m.Quantity
		}
	}
	e, missing := ParcelResent{ShipmentID: parcel.ID, Location: parcel.Location, Reason: reason}, false
	for _, l := range lines {
		i, _ := s.lineIndex(l.Line)
		sku := s.Lines[i].SKU
		kept := min(l.Quantity, free[sku])
		free[sku] -= kept
		missing = missing || kept < l.Quantity
		e.Lines = append(e.Lines, ResentLine{Line: l.Line, SKU: sku, Quantity: l.Quantity, Kept: kept})
	}
	if len(e.Lines) == 0 {
		return nil, nil
	}
	if missing {
		return []Event{e, AllocationRetried{Attempt: s.Retries + 1}}, nil
	}
	return []Event{e}, nil
}

func (s *State) applyParcelResent(e ParcelResent) {
	parcel := s.shipmentIndex(e.ShipmentID)
	for _, l := range e.Lines {
		if i, found := s.lineIndex(l.Line); found {
			s.Lines[i].Shipped -= l.Quantity
			if s.Accounts {
				s.Lines[i].Account.TakeBack(int64(l.Quantity))
			}
		}
		if h := s.holdingIndex(l.SKU, e.Location); h >= 0 {
			s.Holdings[h].Shipped -= l.Quantity
			s.Holdings[h].Missing += l.Quantity - l.Kept
		}
		if parcel >= 0 {
			s.Shipments[parcel].Resent = append(slices.Clone(s.Shipments[parcel].Resent), LineQuantity{Line: l.Line, Quantity: l.Quantity})
		}
		s.keep(e.ShipmentID, l)
	}
}

// keep lets the open step of a parcel that came back allocate units to the order.
func (s *State) keep(id unit.ShipmentID, l ResentLine) {
	if l.Kept <= 0 {
		return
	}
	for i, step := range s.Unsettled {
		if step.StepRef != cameBack(id) {
			continue
		}
		moves := slices.Clone(step.Moves)
		for k := range moves {
			if moves[k].SKU == l.SKU && moves[k].Disposition == Restocked {
				moves[k].Keep += l.Kept
				moves[k].ReservationID = unit.ReservationID(unit.ParcelReservation.Of(string(s.OrderID), string(id), string(l.SKU), string(moves[k].Location)).ID())
			}
		}
		s.Unsettled[i].Moves = moves
	}
}

// creditParcel also asks for the refund, so that no money stays for which nobody looks. It does not
// check the order's status: the goods did not arrive, whatever became of the rest.
func creditParcel(cmd CreditParcel, s State) ([]Event, error) {
	at, lines, err := s.toSettle(cmd.ShipmentID, cmd.Lines)
	if err != nil {
		return nil, err
	}
	parcel := s.Shipments[at]
	if len(lines) == 0 {
		if parcel.Resent != nil {
			return nil, ErrParcelUnits
		}
		return nil, nil
	}
	id := unit.CreditID(unit.ParcelCredit.Of(string(s.OrderID), string(parcel.ID), strconv.Itoa(parcel.Credits+1)).ID())
	ask := Credit{CreditID: id, Cause: CreditForParcel, Currency: s.Currency(), Reason: cmd.Reason}
	for _, l := range lines {
		ask.Lines = append(ask.Lines, CreditedLine{Line: l.Line, Quantity: l.Quantity})
	}
	events, err := credit(ask, s)
	if err != nil {
		return nil, err
	}
	credited, _ := events[0].(Credited)
	credited.ShipmentID = parcel.ID
	return s.refundOf(unit.RefundID(unit.ParcelRefund.Of(string(s.OrderID), string(id)).ID()), RefundOfParcel, credited), nil
}

// refundOf gives back what an order does not owe after an event.
func (s State) refundOf(id unit.RefundID, cause RefundCause, e Event) []Event {
	events := []Event{e}
	if len(s.Transactions) == 0 {
		return events
	}
	after := Evolve(s.Clone(), e)
	amount := after.ToReturn()
	if amount.Sign() <= 0 {
		return events
	}
	shares, unplaced := after.Plan(amount)
	if len(shares) == 0 {
		return events
	}
	return append(events, after.refundRequested(id, Settlement, cause, shares, unplaced, ""))
}

// creditUnits notes of which units of a parcel a credit is.
func (s *State) creditUnits(e Credited) {
	if e.Cause != CreditForParcel {
		return
	}
	parcel := s.shipmentIndex(e.ShipmentID)
	if parcel >= 0 {
		s.Shipments[parcel].Credits++
	}
	for _, l := range e.Lines {
		if i, found := s.lineIndex(l.Line); found {
			s.Lines[i].Undelivered += l.Quantity
		}
		if parcel >= 0 {
			s.Shipments[parcel].Credited = append(slices.Clone(s.Shipments[parcel].Credited), LineQuantity{Line: l.Line, Quantity: l.Quantity})
		}
	}
}
