package order

import (
	"slices"

	"daybook/domain/cart"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// The refusals about the stock behind an order.
var (
	ErrStockUnsettled   = &rule.Rejection{Code: "order-stock-unsettled", Detail: "Stock movements of the order are still being recorded; try again."}
	ErrAllocationFailed = &rule.Rejection{Code: "order-allocation-failed", Detail: "The order's stock was lost and has not been allocated again."}
)

// Action is what one move asks of stock.
type Action string

const (
	ActCommit     Action = "commit"
	ActRelease    Action = "release"
	ActAllocate   Action = "allocate"
	ActDeallocate Action = "deallocate"
	ActShip       Action = "ship"
)

// Move is one movement that a step asks of the stock of a SKU at a location.
type Move struct {
	Action        Action             `json:"action"`
	SKU           unit.SKU           `json:"sku"`
	Location      unit.LocationID    `json:"location"`
	ReservationID unit.ReservationID `json:"reservation_id,omitempty"` // of a commit or release
	Quantity      unit.Quantity      `json:"quantity"`
}

// StepRef names a step: its kind, and which of that kind; see StockSettled.
type StepRef struct {
	Step Step   `json:"step"`
	Ref  string `json:"ref,omitempty"`
}

// OpenStep is a step whose moves are not known to be all recorded in stock. The
// moves are fixed when the step opens, so that driving it twice asks the same
// twice. Steps are to be driven one after the other, oldest first: a cancel
// gives back what the confirm before it has allocated.
type OpenStep struct {
	StepRef
	// Moves of one SKU and location are to be made in this order, the others
	// in any; no two are of the same action, SKU and location.
	Moves  []Move `json:"moves"`
	Forced bool   `json:"forced,omitzero"` // of a shipment
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

// merged adds up moves of the same action, SKU and location: two lines may be
// of one SKU.
func merged(moves []Move) []Move {
	type same struct {
		action   Action
		sku      unit.SKU
		location unit.LocationID
	}
	at := make(map[same]int, len(moves))
	sum := moves[:0]
	for _, m := range moves {
		key := same{m.Action, m.SKU, m.Location}
		if i, seen := at[key]; seen {
			sum[i].Quantity += m.Quantity
			continue
		}
		at[key] = len(sum)
		sum = append(sum, m)
	}
	return sum
}

// allocating finds the open step, the first or a retry, that turns the order's
// reservations into allocations.
func (s State) allocating() (OpenStep, bool) {
	for _, step := range s.Unsettled {
		if step.Step == StepConfirm {
			return step, true
		}
	}
	return OpenStep{}, false
}

func (s State) retrying() bool {
	step, open := s.allocating()
	return open && step.Ref != ""
}

// Backordered reports whether something still wanted has no stock behind it.
func (s State) Backordered() bool {
	return slices.ContainsFunc(s.Holdings, func(h Holding) bool { return h.Missing && h.Remaining() > 0 })
}

// settleStock closes a step. One that is not open has been closed before. The
// end of a retry is told by AllocationRecovered.
func settleStock(cmd SettleStock, s State) ([]Event, error) {
	if _, open := s.Step(StepRef{Step: cmd.Step, Ref: cmd.Ref}); !open {
		return nil, nil
	}
	if cmd.Step == StepConfirm && cmd.Ref != "" {
		return []Event{AllocationRecovered{}}, nil
	}
	return []Event{StockSettled{Step: cmd.Step, Ref: cmd.Ref}}, nil
}

// failAllocation ends the open confirm step, or a retry, without its stock. It
// does not ask for the order's status: an order canceled meanwhile has its
// confirm step open still, and that too must come to an end. A step that is not
// open has been ended before, by another driver.
func failAllocation(cmd FailAllocation, s State) ([]Event, error) {
	if s.Status == StatusPending {
		return nil, ErrNotConfirmed
	}
	if _, open := s.Step(StepRef{Step: StepConfirm, Ref: cmd.Ref}); !open {
		return nil, nil
	}
	return []Event{AllocationFailed{Shortages: cmd.Shortages, Remedy: cmd.Remedy}}, nil
}

// allocationFailed marks what is short; all else of the step was allocated.
func (s *State) allocationFailed(e AllocationFailed) {
	if step, open := s.allocating(); open {
		for _, m := range step.Moves {
			if i := s.holding(m.SKU, m.Location); i >= 0 {
				s.Holdings[i].Missing = slices.ContainsFunc(e.Shortages, func(short cart.Shortage) bool {
					return short.SKU == m.SKU && (short.Location == "" || short.Location == m.Location)
				})
			}
		}
		s.closeStep(step.StepRef)
	}
	s.AllocationFailed, s.Remedy = true, e.Remedy
}

// retryAllocation records the attempt before stock is asked, like every other
// step, so that a cancel which comes meanwhile waits for its end.
func retryAllocation(s State) ([]Event, error) {
	if s.Status == StatusPending {
		return nil, ErrNotConfirmed
	}
	if no := s.ended(); no != nil {
		return nil, no
	}
	if !s.Backordered() || s.retrying() {
		return nil, nil
	}
	return []Event{AllocationRetried{Attempt: s.Retries + 1}}, nil
}

func (s *State) allocationRetried() {
	s.Retries++
	var moves []Move
	for _, h := range s.Holdings {
		if h.Missing && h.Remaining() > 0 {
			moves = append(moves, Move{Action: ActAllocate, SKU: h.SKU, Location: h.Location, Quantity: h.Remaining()})
		}
	}
	s.openStep(RetryStep(s.Retries), moves)
}

// recoverAllocation wants a retry under way: only that has asked stock.
func recoverAllocation(s State) ([]Event, error) {
	switch {
	case s.retrying():
		return []Event{AllocationRecovered{}}, nil
	case s.Backordered():
		return nil, ErrAllocationFailed
	}
	return nil, nil
}

func (s *State) allocationRecovered() {
	if step, open := s.allocating(); open {
		s.closeStep(step.StepRef)
	}
	for i := range s.Holdings {
		s.Holdings[i].Missing = false
	}
	s.AllocationFailed, s.Remedy = false, ""
}
