package order

import (
	"slices"
	"strconv"
	"time"

	"daybook/domain/cart"
	"daybook/domain/unit"
)

// Action is what one move asks of stock.
type Action string

const (
	ActReserve    Action = "reserve"
	ActCommit     Action = "commit"
	ActRelease    Action = "release"
	ActDeallocate Action = "deallocate"
	ActShip       Action = "ship"
	ActExtend     Action = "extend"    // the reservation's deadline
	ActTakeBack   Action = "take_back" // goods of a parcel
)

// Move is one movement that a step asks of the stock of a SKU at a location.
type Move struct {
	Action        Action             `json:"action"`
	SKU           unit.SKU           `json:"sku"`
	Location      unit.LocationID    `json:"location"`
	ReservationID unit.ReservationID `json:"reservation_id,omitempty"` // empty for a deallocation or a shipment
	Quantity      unit.Quantity      `json:"quantity"`
	Until         time.Time          `json:"until,omitzero"` // the new deadline of an extension
	// Disposition is that of goods that are taken back. Keep is how many of them are allocated to
	// the order in the same append, under ReservationID.
	Disposition Disposition   `json:"disposition,omitempty"`
	Keep        unit.Quantity `json:"keep,omitzero"`
}

// StepRef names a step by its kind, and by a Ref that tells steps of one kind apart. See
// StockSettled.Ref.
type StepRef struct {
	Step Step   `json:"step"`
	Ref  string `json:"ref,omitempty"`
}

// OpenStep is a step whose moves may not all be recorded in stock yet. The moves are fixed
// when the step opens, so every driver asks for the same moves. Steps are listed oldest first,
// because a cancel gives back what the confirm before it has allocated.
type OpenStep struct {
	StepRef
	// Moves of one SKU and location are made in this order, and the others in any order. No
	// two moves have the same action, SKU, location and disposition.
	Moves []Move `json:"moves"`
	// Holds is what StepHolds asks of promotions and gift cards, in any order.
	Holds  []HoldMove `json:"holds,omitempty"`
	Forced bool       `json:"forced,omitzero"` // of a shipment
}

// Step finds an open step.
func (s State) Step(ref StepRef) (OpenStep, bool) {
	for _, step := range s.Unsettled {
		if step.StepRef == ref {
			return step, true
		}
	}
	return OpenStep{}, false
}

// openStep puts a step on the list, unless it asks nothing of stock.
func (s *State) openStep(ref StepRef, moves []Move) {
	if len(moves) > 0 {
		s.Unsettled = append(s.Unsettled, OpenStep{StepRef: ref, Moves: merged(moves)})
	}
}

func (s *State) closeStep(ref StepRef) {
	s.Unsettled = slices.DeleteFunc(s.Unsettled, func(step OpenStep) bool { return step.StepRef == ref })
}

// merged adds up moves of the same action, SKU and location, because two lines may have the
// same SKU.
func merged(moves []Move) []Move {
	type same struct {
		action      Action
		sku         unit.SKU
		location    unit.LocationID
		disposition Disposition
	}
	at := make(map[same]int, len(moves))
	sum := moves[:0]
	for _, m := range moves {
		key := same{m.Action, m.SKU, m.Location, m.Disposition}
		if i, seen := at[key]; seen {
			sum[i].Quantity += m.Quantity
			continue
		}
		at[key] = len(sum)
		sum = append(sum, m)
	}
	return sum
}

// allocating finds the open step on which the order's allocations depend, if there is one. It
// is the confirmation, the reservations of a retry, or the commit of those. There is never
// more than one.
func (s State) allocating() (OpenStep, bool) {
	for _, step := range s.Unsettled {
		if step.Step == StepConfirm {
			return step, true
		}
	}
	return OpenStep{}, false
}

// reserving tells whether the step asks for reservations of a retry. Otherwise the step turns
// reservations into allocations.
func (o OpenStep) reserving() bool { return len(o.Moves) > 0 && o.Moves[0].Action == ActReserve }

// Backordered tells whether stock has not promised all units that are still wanted.
func (s State) Backordered() bool {
	return slices.ContainsFunc(s.Holdings, func(h Holding) bool { return h.Missing > 0 })
}

// settleStock closes a step. A step that is not open was closed before, so nothing happens. If the
// step was to reserve for a retry, the event is AllocationRecovered and not StockSettled.
func settleStock(cmd SettleStock, s State) ([]Event, error) {
	step, open := s.Step(StepRef{Step: cmd.Step, Ref: cmd.Ref})
	switch {
	case !open:
		return nil, nil
	case step.reserving():
		return []Event{AllocationRecovered{}}, nil
	}
	return []Event{StockSettled{Step: cmd.Step, Ref: cmd.Ref}}, nil
}

// failAllocation ends the open confirm step, or a retry, without its stock. It does not check
// the order's status: an order that was canceled in the meantime still has its confirm step
// open, and that step must end, too. If the step is not open, another driver has ended it
// before.
func failAllocation(cmd FailAllocation, s State) ([]Event, error) {
	if s.Status == StatusPending {
		return nil, ErrNotConfirmed
	}
	if _, open := s.Step(StepRef{Step: StepConfirm, Ref: cmd.Ref}); !open {
		return nil, nil
	}
	return []Event{AllocationFailed{Shortages: cmd.Shortages, Remedy: cmd.Remedy}}, nil
}

// applyAllocationFailed marks what is short. If the step was to reserve for a retry, all its
// reservations are released, because a retry gets all or nothing. If the step was a commit, the
// units in Shortages become Missing, and all other units are allocated.
func (s *State) applyAllocationFailed(e AllocationFailed) {
	s.AllocationFailed, s.Remedy = true, e.Remedy
	step, open := s.allocating()
	if !open {
		return
	}
	s.closeStep(step.StepRef)
	if step.reserving() {
		s.openCancelStep(released(step.Moves))
		return
	}
	for _, m := range step.Moves {
		i := s.holdingIndex(m.SKU, m.Location)
		if i < 0 || m.Action != ActCommit {
			continue
		}
		h := &s.Holdings[i]
		h.Missing = 0
		if !slices.ContainsFunc(e.Shortages, func(short cart.Shortage) bool {
			return short.SKU == m.SKU && (short.Location == "" || short.Location == m.Location)
		}) {
			continue
		}
		h.Missing = min(h.Remaining(), m.Quantity)
		if h.Remaining()+s.givingBack(m.SKU, m.Location) <= m.Quantity {
			s.forgetGivingBack(m.SKU, m.Location) // no other units of the order are allocated here
		}
	}
}

// givingBack is how many units of a SKU the open steps give back at a location.
func (s State) givingBack(sku unit.SKU, location unit.LocationID) (sum unit.Quantity) {
	for _, step := range s.Unsettled {
		for _, m := range step.Moves {
			if m.Action == ActDeallocate && m.SKU == sku && m.Location == location {
				sum += m.Quantity
			}
		}
	}
	return sum
}

func released(reserved []Move) []Move {
	moves := slices.Clone(reserved)
	for i := range moves {
		moves[i].Action = ActRelease
	}
	return moves
}

// forgetGivingBack removes deallocations of missing units from the open steps. These units
// are not allocated now, and units that are allocated later must not be taken back for them.
func (s *State) forgetGivingBack(sku unit.SKU, location unit.LocationID) {
	for i := range s.Unsettled {
		s.Unsettled[i].Moves = slices.DeleteFunc(slices.Clone(s.Unsettled[i].Moves), func(m Move) bool {
			return m.Action == ActDeallocate && m.SKU == sku && m.Location == location
		})
	}
	s.Unsettled = slices.DeleteFunc(s.Unsettled, func(step OpenStep) bool { return len(step.Moves)+len(step.Holds) == 0 })
}

// retryAllocation records the attempt before stock is asked, like every other step. So all
// drivers ask for the same, and the attempt has one outcome.
func retryAllocation(cmd RetryAllocation, s State) ([]Event, error) {
	if s.Status == StatusPending {
		return nil, ErrNotConfirmed
	}
	if no := s.ended(); no != nil {
		return nil, no
	}
	if _, open := s.allocating(); open {
		return nil, nil
	}
	lost := s.lost(cmd.Lost)
	if !s.Backordered() && len(lost) == 0 {
		return nil, nil
	}
	return []Event{AllocationRetried{Attempt: s.Retries + 1, Lost: lost}}, nil
}

// lost reduces each loss to the units that the order still counts on. While a step is open it
// returns no losses, because stock may not have been asked for that step yet.
func (s State) lost(found []Lost) []Lost {
	if len(s.Unsettled) > 0 {
		return nil
	}
	var lost []Lost
	for _, l := range found {
		i := s.holdingIndex(l.SKU, l.Location)
		if i < 0 {
			continue
		}
		if l.Quantity = min(l.Quantity, s.Holdings[i].Backed()); l.Quantity > 0 {
			lost = append(lost, l)
		}
	}
	return lost
}

func (s *State) applyAllocationRetried(lost []Lost) {
	for _, l := range lost {
		if i := s.holdingIndex(l.SKU, l.Location); i >= 0 {
			s.Holdings[i].Missing = min(s.Holdings[i].Remaining(), s.Holdings[i].Missing+l.Quantity)
		}
	}
	s.Retries++
	attempt := strconv.Itoa(s.Retries)
	var moves []Move
	for _, h := range s.Holdings {
		if h.Missing > 0 {
			id := unit.RetryReservation.Of(string(s.OrderID), string(h.SKU), string(h.Location), "retry", attempt).ID()
			moves = append(moves, Move{
				Action: ActReserve, SKU: h.SKU, Location: h.Location, ReservationID: unit.ReservationID(id), Quantity: h.Missing,
			})
		}
	}
	s.openStep(RetryStep(s.Retries), moves)
}

// recoverAllocation is refused unless a retry is under way, because only a retry has asked
// stock.
func recoverAllocation(s State) ([]Event, error) {
	step, open := s.allocating()
	switch {
	case open && step.reserving():
		return []Event{AllocationRecovered{}}, nil
	case s.Backordered():
		return nil, ErrAllocationFailed
	}
	return nil, nil
}

// applyAllocationRecovered turns the retry's reservations into allocations, as far as the
// units are still wanted. Some may have been canceled in the meantime.
func (s *State) applyAllocationRecovered() {
	s.AllocationFailed, s.Remedy = false, ""
	step, open := s.allocating()
	if !open {
		return
	}
	s.closeStep(step.StepRef)
	var moves []Move
	for _, m := range step.Moves {
		i := s.holdingIndex(m.SKU, m.Location)
		if i < 0 {
			continue
		}
		h := &s.Holdings[i]
		wanted := h.Missing
		h.Missing, h.ReservationID = 0, m.ReservationID
		if wanted == 0 {
			m.Action = ActRelease
			moves = append(moves, m)
			continue
		}
		moves = append(moves, commits(m, m.Quantity-wanted)...)
	}
	s.openStep(StepRef{Step: StepConfirm, Ref: "commit-" + strconv.Itoa(s.Retries)}, moves)
}

// commits turns a reservation into an allocation. It then gives back the units that were
// canceled before, because a reservation cannot be made smaller.
func commits(reserved Move, excess unit.Quantity) []Move {
	reserved.Action = ActCommit
	moves := []Move{reserved}
	if excess > 0 {
		moves = append(moves, Move{Action: ActDeallocate, SKU: reserved.SKU, Location: reserved.Location, Quantity: excess})
	}
	return moves
}
