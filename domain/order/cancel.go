package order

import (
	"cmp"
	"slices"
	"strconv"

	"daybook/domain/unit"
)

// addUp adds up the quantities that are asked for each line, and sorts them by line. It
// refuses a line that has fewer open units.
func (s State) addUp(asked []LineQuantity) ([]LineQuantity, error) {
	sum := make([]LineQuantity, 0, len(asked))
	for _, a := range slices.SortedStableFunc(slices.Values(asked), func(a, b LineQuantity) int { return cmp.Compare(a.Line, b.Line) }) {
		if a.Quantity <= 0 || a.Quantity > unit.MaxQuantity {
			return nil, ErrLineQuantityInvalid.With("A quantity must be 1 to 1,000,000,000.", map[string]any{"line": a.Line})
		}
		if last := len(sum) - 1; last >= 0 && sum[last].Line == a.Line {
			sum[last].Quantity += a.Quantity
		} else {
			sum = append(sum, a)
		}
	}
	for _, a := range sum {
		i, found := s.lineIndex(a.Line)
		if !found {
			return nil, ErrLineUnknown.With("The order has no line "+strconv.Itoa(a.Line)+".", map[string]any{"line": a.Line})
		}
		if open := s.Lines[i].Open(); a.Quantity > open {
			return nil, ErrLineQuantityExceeded.With(ErrLineQuantityExceeded.Detail,
				map[string]any{"line": a.Line, "open": open, "requested": a.Quantity})
		}
	}
	return sum, nil
}

// units counts the shipped and the open units of all lines, including services.
func (s State) units() (shipped, open unit.Quantity) {
	for _, l := range s.Lines {
		shipped += l.Shipped
		open += l.Open()
	}
	return shipped, open
}

// openGoods counts the open units of goods.
func (s State) openGoods() (open unit.Quantity) {
	for _, l := range s.Lines {
		if l.Kind == unit.Stocked {
			open += l.Open()
		}
	}
	return open
}

func cancelLines(cmd CancelLines, s State) ([]Event, error) {
	if no := s.ended(); no != nil {
		return nil, no
	}
	lines, err := s.addUp(cmd.Lines)
	if err != nil {
		return nil, err
	}
	if len(lines) == 0 {
		return nil, nil
	}
	var asked unit.Quantity
	for _, l := range lines {
		asked += l.Quantity
	}
	if shipped, open := s.units(); shipped == 0 && asked == open {
		return s.refundOfEnd(RefundOfCanceled, "", append([]Event{Canceled{Reason: cmd.Reason}}, s.cardsOff(lines)...)...), nil
	}
	return append([]Event{LinesCanceled{Lines: lines, Reason: cmd.Reason}}, s.cardsOff(lines)...), nil
}

func cancel(cmd Cancel, s State) ([]Event, error) {
	if s.Status == StatusCanceled {
		return nil, nil
	}
	if no := s.ended(); no != nil {
		return nil, no
	}
	if shipped, open := s.units(); open == 0 || shipped > 0 && s.openGoods() == 0 {
		return nil, ErrShipped // services that are still open went with the first parcel
	}
	return s.refundOfEnd(RefundOfCanceled, "", append([]Event{Canceled{Reason: cmd.Reason}}, s.cardsOff(s.openLines())...)...), nil
}

func (s *State) applyLinesCanceled(lines []LineQuantity) {
	var moves []Move
	for _, l := range lines {
		if i, found := s.lineIndex(l.Line); found {
			moves = append(moves, s.takeOff(i, l.Quantity)...)
		}
	}
	s.openCancelStep(moves)
}

func (s *State) applyCanceled() {
	moves := s.takeEverythingOff()
	s.endHolds(StatusCanceled)
	s.Status = StatusCanceled
	s.openCancelStep(moves)
}

func (s *State) takeEverythingOff() []Move {
	var moves []Move
	for i := range s.Lines {
		if open := s.Lines[i].Open(); open > 0 {
			moves = append(moves, s.takeOff(i, open)...)
		}
	}
	s.takeChargesOff()
	return moves
}

// takeOff takes units off a line and off its holdings, and returns what stock has to do. It first
// takes units whose allocation failed. Then it takes units from the last holding, because that is
// at the least preferred location.
func (s *State) takeOff(line int, quantity unit.Quantity) []Move {
	l := &s.Lines[line]
	l.Canceled += quantity
	// Amounts are subtracted and not Money, because Money.Minus panics if currencies differ,
	// and a fold takes whatever the log holds. Commands place lines in the order's currency
	// only.
	s.Total.Amount = s.Total.Amount.Sub(s.takeOpen(line, quantity).Amount)
	if l.Kind != unit.Stocked {
		return nil
	}
	var moves []Move
	from, to := s.holdings(l.SKU)
	for _, missing := range []bool{true, false} {
		for i := to - 1; i >= from && quantity > 0; i-- {
			h := &s.Holdings[i]
			part := min(quantity, h.Backed())
			if missing {
				part = min(quantity, h.Missing)
			}
			if part <= 0 {
				continue
			}
			quantity -= part
			h.Canceled += part
			if missing {
				h.Missing -= part // see applyAllocationRecovered for the reservations of a retry
			} else {
				moves = append(moves, s.giveBack(h, part)...)
			}
		}
	}
	return moves
}

// giveBack is what stock has to do for canceled units of a holding. A reservation cannot be
// made smaller. So a pending order releases the reservation if nothing remains of it, and
// otherwise keeps it whole until Confirmed.
func (s *State) giveBack(h *Holding, quantity unit.Quantity) []Move {
	switch {
	case s.Status == StatusPending && h.Remaining() > 0:
		return nil
	case s.Status == StatusPending:
		h.Released = true
		return []Move{{Action: ActRelease, SKU: h.SKU, Location: h.Location, ReservationID: h.ReservationID, Quantity: h.Quantity}}
	}
	return []Move{{Action: ActDeallocate, SKU: h.SKU, Location: h.Location, Quantity: quantity}}
}

func (s *State) openCancelStep(moves []Move) {
	s.Cancels++
	s.openStep(StepRef{Step: StepCancel, Ref: strconv.Itoa(s.Cancels)}, moves)
}
