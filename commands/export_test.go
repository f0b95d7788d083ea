package commands

import (
	"context"

	"daybook/domain/cart"
	"daybook/domain/unit"
)

// The tests of this package use these parts of its inside.
const (
	LastEvents     = lastEvents
	MaxComparisons = maxComparisons
)

var RefusedBy = refusedBy

func (s *Service) StockHandler() stockHandler   { return s.stock }
func (s *Service) ReturnHandler() returnHandler { return s.returns }

func (s *Service) LastShortages(ctx context.Context, id unit.OrderID) ([]cart.Shortage, error) {
	return s.lastShortages(ctx, id)
}

// Outcomes returns the outcomes of a cart's checkouts, nil for a checkout without an outcome.
func (s *Service) Outcomes(ctx context.Context, id unit.CartID) (map[unit.OrderID]cart.Event, error) {
	checkouts, err := s.readCheckouts(ctx, id)
	outcomes := map[unit.OrderID]cart.Event{}
	for id, past := range checkouts {
		outcomes[id] = past.outcome
	}
	return outcomes, err
}

// WaitingTogether is how many checkouts wait to be recorded in one append.
func (s *Service) WaitingTogether() int {
	s.together.mu.Lock()
	defer s.together.mu.Unlock()
	return len(s.together.waiting)
}
