package giftcard

import (
	"maps"
	"time"

	"daybook/domain/unit"
)

// FoldVersion names the shape of State: a snapshot of another version is not read. Raise it with
// every change of State or Evolve.
const FoldVersion = 1

// State is a gift card or a credit account. The zero State is one that was never issued.
type State struct {
	ID         ID              `json:"id,omitempty"`
	Kind       Kind            `json:"kind,omitempty"`
	CustomerID unit.CustomerID `json:"customer_id,omitempty"`
	ExpiresAt  time.Time       `json:"expires_at,omitzero"`
	Sold       *Sold           `json:"sold,omitempty"`
	Shown      bool            `json:"shown,omitzero"`
	Expired    bool            `json:"expired,omitzero"`
	Disabled   bool            `json:"disabled,omitzero"`

	// Balance is what the shop owes: all money that came in and was neither redeemed nor taken
	// away. A part of it may be held.
	Balance unit.Money `json:"balance,omitzero"`
	// Held is what is set aside, by order.
	Held map[unit.OrderID]HeldFor `json:"held,omitempty"`
	// Issued, Redeemed and Back are sums over all events: what came in, what orders have paid, and
	// what of that was given back.
	Issued   unit.Money `json:"issued,omitzero"`
	Redeemed unit.Money `json:"redeemed,omitzero"`
	Back     unit.Money `json:"back,omitzero"`
}

// HeldFor is what is set aside for an order.
type HeldFor struct {
	CartID    unit.CartID `json:"cart_id"`
	Amount    unit.Money  `json:"amount"`
	ExpiresAt time.Time   `json:"expires_at"`
}

// Exists tells whether the card was issued.
func (s State) Exists() bool { return s.ID != "" }

// Currency is the currency of the card.
func (s State) Currency() unit.Currency { return s.Balance.Currency }

// HeldInAll is the sum of what is set aside.
func (s State) HeldInAll() unit.Money {
	sum := unit.Zero(s.Currency())
	for _, held := range s.Held {
		sum.Amount = sum.Amount.Add(held.Amount.Amount)
	}
	return sum
}

// Available is what another order can still hold at a time. It is zero if the card has ended.
func (s State) Available(now time.Time) unit.Money {
	if s.Disabled || s.due(now) {
		return unit.Zero(s.Currency())
	}
	return s.free()
}

// Unspent is what was issued and neither paid for an order nor is set aside for one. The end of a
// card does not change it. It is zero for a card that was never issued.
func (s State) Unspent() unit.Money {
	left := s.Issued
	left.Amount = left.Amount.Sub(s.Redeemed.Amount).Add(s.Back.Amount).Sub(s.HeldInAll().Amount)
	return left
}

// free is the part of the balance that is not held.
func (s State) free() unit.Money {
	free := s.Balance
	free.Amount = free.Amount.Sub(s.HeldInAll().Amount)
	return free
}

// due tells whether the card's time is over.
func (s State) due(now time.Time) bool {
	return s.Expired || !s.ExpiresAt.IsZero() && !now.Before(s.ExpiresAt)
}

// Clone returns a copy that shares with s nothing that Evolve changes.
func (s State) Clone() State {
	s.Held = maps.Clone(s.Held)
	return s
}

// OwnedBy tells whether a credit account belongs to an owner. A gift card belongs to whoever has
// its code.
func (s State) OwnedBy(owner unit.Owner) bool {
	return owner != "" && s.CustomerID.Owner() == owner
}

// Evolve is the state after one more event. It may change the map of s in place, so the caller must
// not use s again. Amounts are added and not Money, because Money.Plus panics if currencies differ,
// and a fold takes whatever the log holds.
func Evolve(s State, e Event) State {
	switch e := e.(type) {
	case Issued:
		if s.ID == "" {
			none := unit.Zero(e.Amount.Currency)
			s.ID, s.Kind, s.CustomerID, s.Sold = e.ID, e.Kind, e.CustomerID, e.Sold
			s.Balance, s.Issued, s.Redeemed, s.Back = none, none, none, none
		}
		s.ExpiresAt, s.Expired = e.ExpiresAt, false
		s.Balance.Amount, s.Issued.Amount = s.Balance.Amount.Add(e.Amount.Amount), s.Issued.Amount.Add(e.Amount.Amount)
	case CodeShown:
		s.Shown = true
	case Held:
		if s.Held == nil {
			s.Held = map[unit.OrderID]HeldFor{}
		}
		s.Held[e.OrderID] = HeldFor{CartID: e.CartID, Amount: e.Amount, ExpiresAt: e.ExpiresAt}
	case Redeemed:
		delete(s.Held, e.OrderID)
		s.Balance.Amount, s.Redeemed.Amount = s.Balance.Amount.Sub(e.Amount.Amount), s.Redeemed.Amount.Add(e.Amount.Amount)
	case Released:
		delete(s.Held, e.OrderID)
	case CreditedBack:
		s.Balance.Amount, s.Back.Amount = s.Balance.Amount.Add(e.Amount.Amount), s.Back.Amount.Add(e.Amount.Amount)
	case Expired:
		s.Expired = true
		s.Balance.Amount = s.Balance.Amount.Sub(e.Amount.Amount)
	case Disabled:
		s.Disabled = true
		s.Balance.Amount = s.Balance.Amount.Sub(e.Amount.Amount)
	}
	return s
}
