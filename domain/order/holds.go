package order

import (
	"slices"

	"daybook/domain/cart"
	"daybook/domain/unit"
)

// What an order does with its holds; see cart.Hold. Each hold ends with the order, and never by
// itself: so an order that is confirmed late still has what it was promised.
//
// The moves of a step are fixed when the step opens, as those for stock are.

// HoldAction is what a step asks of whoever keeps a hold.
type HoldAction string

const (
	HoldCommit  HoldAction = "commit"  // make it final; a gift card pays Amount
	HoldRelease HoldAction = "release" // the order was canceled before it was confirmed
	HoldExpire  HoldAction = "expire"  // the order was not confirmed in time
	HoldReturn  HoldAction = "return"  // the order was confirmed, and canceled before anything has shipped
)

// HoldMove is one thing that a step asks for.
type HoldMove struct {
	Action HoldAction    `json:"action"`
	Kind   cart.HoldKind `json:"kind"`
	ID     cart.HoldID   `json:"id"`
	Amount unit.Money    `json:"amount"`
}

// The refs of StepHolds.
const (
	refCommit  = "commit"
	refRelease = "release"
	refReturn  = "return"
)

// GiftCardProvider is the provider of the payments that come from gift cards and credit accounts.
// The reference of such a payment is the id of the card.
const GiftCardProvider = "gift_card"

// GiftCardPayment is the id of the payment of a gift card. A gift card pays an order once.
func GiftCardPayment(id unit.OrderID, card cart.HoldID) unit.TransactionID {
	return unit.TransactionID(unit.HoldPayment.Of(string(id), string(card)).ID())
}

// commitHolds makes all holds final. Gift cards pay what is still due, one after the other, and
// never more.
func (s *State) commitHolds() {
	due := floor(s.Owed().Minus(s.Captured()))
	moves := make([]HoldMove, 0, len(s.Holds))
	for _, h := range s.Holds {
		m := HoldMove{Action: HoldCommit, Kind: h.Kind, ID: h.ID, Amount: h.Amount}
		if h.Kind == cart.HoldGiftCard && h.Amount.Currency == due.Currency {
			if m.Amount.Compare(due) > 0 {
				m.Amount = due
			}
			due = due.Minus(m.Amount)
		}
		moves = append(moves, m)
	}
	s.openHolds(refCommit, moves)
}

// endHolds gives the holds of an order back that ends as canceled or expired. The status is still
// the one before. What a gift card has paid is not given back here: it is a payment, which is
// refunded like others.
func (s *State) endHolds(as Status) {
	ref, action := refRelease, HoldRelease
	switch {
	case as == StatusExpired:
		action = HoldExpire
	case s.Status != StatusPending:
		ref, action = refReturn, HoldReturn
	}
	shipped, _ := s.units()
	var moves []HoldMove
	for _, h := range s.Holds {
		if action == HoldReturn && (h.Kind == cart.HoldGiftCard || h.Keep || shipped > 0) {
			continue
		}
		moves = append(moves, HoldMove{Action: action, Kind: h.Kind, ID: h.ID, Amount: h.Amount})
	}
	s.openHolds(ref, moves)
}

func (s *State) openHolds(ref string, moves []HoldMove) {
	if len(moves) > 0 {
		s.Unsettled = append(s.Unsettled, OpenStep{StepRef: StepRef{Step: StepHolds, Ref: ref}, Holds: moves})
	}
}

// LeftToPay is what is still to be paid, besides what the gift cards of a pending order will pay.
func (s State) LeftToPay() unit.Money {
	return floor(s.Owed().Minus(s.Kept()).Minus(s.onGiftCards()))
}

// onGiftCards is what gift cards will pay when the pending order is confirmed.
func (s State) onGiftCards() unit.Money {
	sum := unit.Zero(s.Currency())
	if s.Status != StatusPending {
		return sum
	}
	for _, h := range s.Holds {
		if h.Kind == cart.HoldGiftCard && h.Amount.Currency == sum.Currency {
			sum = sum.Plus(h.Amount)
		}
	}
	return sum
}

func sameHolds(a, b []cart.Hold) bool {
	return slices.EqualFunc(a, b, func(a, b cart.Hold) bool {
		return a.Kind == b.Kind && a.ID == b.ID && a.Amount.Equal(b.Amount) && a.Limit == b.Limit && a.Keep == b.Keep
	})
}
