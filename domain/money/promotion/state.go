package promotion

import (
	"maps"
	"time"

	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// FoldVersion names the shape of State: a snapshot of another version is not read. Raise it with
// every change of State or Evolve.
const FoldVersion = 1

// State is a promotion, or the uses of one customer. The zero State is a promotion that was never
// made, or a customer without uses. Its size depends on the uses that are held, and not on those
// that have ended.
type State struct {
	ID     string                `json:"id,omitempty"`
	Kind   pricing.PromotionKind `json:"kind,omitempty"`
	Class  pricing.Class         `json:"class,omitempty"`
	Terms  Terms                 `json:"terms,omitzero"`
	Active bool                  `json:"active,omitzero"`
	Ended  bool                  `json:"ended,omitzero"`
	// Version counts the events that define the promotion.
	Version int64 `json:"version,omitzero"`

	Held map[unit.OrderID]Hold `json:"held,omitempty"`
	// Committed is how many uses are final, and CommittedAmounts what they took off, by currency.
	Committed        int                          `json:"committed,omitzero"`
	CommittedAmounts map[unit.Currency]unit.Money `json:"committed_amounts,omitempty"`
}

// Hold is a use that is held.
type Hold struct {
	CartID    unit.CartID `json:"cart_id"`
	Amount    unit.Money  `json:"amount"`
	ExpiresAt time.Time   `json:"expires_at"`
}

// Exists tells whether the promotion was made and has not ended.
func (s State) Exists() bool { return s.ID != "" && !s.Ended }

// Uses is how many uses are held or final.
func (s State) Uses() int { return len(s.Held) + s.Committed }

// Spent is what all held and final uses take off, in a currency.
func (s State) Spent(currency unit.Currency) unit.Money {
	sum := unit.Zero(currency)
	for _, hold := range s.Held {
		if hold.Amount.Currency == currency {
			sum = sum.Plus(hold.Amount)
		}
	}
	if done, any := s.CommittedAmounts[currency]; any {
		sum = sum.Plus(done)
	}
	return sum
}

// Promotion is the promotion as package pricing reads it. codes are those that belong to it, in the
// form of FoldCode.
func (s State) Promotion(codes []string) pricing.Promotion {
	return pricing.Promotion{
		ID: s.ID, Version: s.Version, Title: s.Terms.Title, Kind: s.Kind, Class: s.Class, Action: s.Terms.Action,
		Conditions: s.Terms.Conditions, Priority: s.Terms.Priority, Exclusive: s.Terms.Exclusive, Active: s.Active && !s.Ended,
		Window: s.Terms.Window, Limits: s.Terms.Limits, Codes: codes, KeepUseAfterCancel: s.Terms.KeepUseAfterCancel,
	}
}

// Clone returns a copy that shares with s nothing that Evolve changes.
func (s State) Clone() State {
	s.Held, s.CommittedAmounts = maps.Clone(s.Held), maps.Clone(s.CommittedAmounts)
	return s
}

// Evolve is the state after one more event. It may change the maps of s in place, so the caller
// must not use s again.
func Evolve(s State, e Event) State {
	switch e := e.(type) {
	case Created:
		s.ID, s.Kind, s.Class, s.Terms = e.ID, e.Kind, e.Class, e.Terms
		s.Version++
	case Changed:
		s.Terms = e.Terms
		s.Version++
	case Activated:
		s.Active = true
		s.Version++
	case Deactivated:
		s.Active = false
		s.Version++
	case Ended:
		s.Active, s.Ended = false, true
		s.Version++
	case CodesRequested: // the codes have streams of their own
	case UseHeld:
		if s.Held == nil {
			s.Held = map[unit.OrderID]Hold{}
		}
		s.Held[e.OrderID] = Hold{CartID: e.CartID, Amount: e.Amount, ExpiresAt: e.ExpiresAt}
	case UseCommitted:
		delete(s.Held, e.OrderID)
		s.count(1, e.Amount)
	case UseReleased:
		delete(s.Held, e.OrderID)
		if e.Committed {
			s.count(-1, e.Amount.Negated())
		}
	case UseExpired:
		delete(s.Held, e.OrderID)
	}
	return s
}

// count adds to the final uses. A log that was written by hand could take off more than there is,
// so the number never falls below zero.
func (s *State) count(uses int, amount unit.Money) {
	s.Committed = max(0, s.Committed+uses)
	if amount.Sign() == 0 {
		return
	}
	if s.CommittedAmounts == nil {
		s.CommittedAmounts = map[unit.Currency]unit.Money{}
	}
	sum, any := s.CommittedAmounts[amount.Currency]
	if !any {
		sum = unit.Zero(amount.Currency)
	}
	if sum = sum.Plus(amount); sum.Sign() < 0 {
		sum = unit.Zero(amount.Currency)
	}
	s.CommittedAmounts[amount.Currency] = sum
}
