package product

import (
	"daybook/domain/unit"
)

// FoldVersion names the shape of State: a snapshot of another version is not read. Raise it with
// every change of State or Evolve.
const FoldVersion = 2

// State is what the rules need to know of a product. The zero State is a code
// that was never listed.
type State struct {
	Phase  Phase                        `json:"phase,omitempty"`
	Title  string                       `json:"title,omitempty"`
	Kind   unit.Kind                    `json:"kind,omitempty"`
	Prices map[unit.Currency]unit.Money `json:"prices,omitempty"`
	// Description is empty if the product was never described.
	Description Description `json:"description,omitzero"`
}

// Phase is where a product is in its life; empty before it begins.
type Phase string

const (
	OnSale    Phase = "on_sale"
	OffSale   Phase = "retired"
	NotListed Phase = ""
)

// Evolve is the state after one more event. It may change the maps of s in place, so the caller
// must not use s again.
func Evolve(s State, e Event) State {
	switch e := e.(type) {
	case Listed:
		s.Phase, s.Title, s.Kind = OnSale, e.Title, e.Kind
	case Retitled:
		s.Title = e.Title
	case Priced:
		if s.Prices == nil {
			s.Prices = map[unit.Currency]unit.Money{}
		}
		s.Prices[e.Price.Currency] = e.Price
	case Described:
		s.Description = e.Description
	case Retired:
		s.Phase = OffSale
	}
	return s
}

// Price is what one unit costs now. If it cannot be bought, the error is ErrNotFound,
// ErrRetired or ErrNotPriced.
func (s State) Price(currency unit.Currency) (unit.Money, error) {
	switch s.Phase {
	case NotListed:
		return unit.Money{}, ErrNotFound
	case OffSale:
		return unit.Money{}, ErrRetired
	case OnSale:
	}
	price, priced := s.Prices[currency]
	if !priced {
		return unit.Money{}, ErrNotPriced.With(ErrNotPriced.Detail, map[string]any{"currency": currency})
	}
	return price, nil
}
