package pricelist

import (
	"maps"

	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// FoldVersion names the shape of State: a snapshot of another version is not read. Raise it with
// every change of State or Evolve.
const FoldVersion = 1

// State is a price list. The zero State is a list that was never made.
type State struct {
	ID       string           `json:"id,omitempty"`
	Kind     pricing.ListKind `json:"kind,omitempty"`
	Currency unit.Currency    `json:"currency,omitempty"`
	Mode     pricing.Mode     `json:"mode,omitempty"`
	Terms    Terms            `json:"terms,omitzero"`
	Active   bool             `json:"active,omitzero"`
	Ended    bool             `json:"ended,omitzero"`
	// Version is how many events there are.
	Version int64                       `json:"version,omitzero"`
	Prices  map[unit.SKU][]pricing.Tier `json:"prices,omitempty"`
}

// Evolve is the state after one more event. It may change the map of s in place, so the caller must
// not use s again.
func Evolve(s State, e Event) State {
	s.Version++
	switch e := e.(type) {
	case Created:
		s.ID, s.Kind, s.Currency, s.Mode, s.Terms = e.ID, e.Kind, e.Currency, e.Mode, e.Terms
	case Changed:
		s.Terms = e.Terms
	case PricesSet:
		if s.Prices == nil {
			s.Prices = make(map[unit.SKU][]pricing.Tier, len(e.Prices))
		}
		for _, entry := range e.Prices {
			if len(entry.Tiers) == 0 {
				delete(s.Prices, entry.SKU)
			} else {
				s.Prices[entry.SKU] = entry.Tiers
			}
		}
	case Activated:
		s.Active = true
	case Deactivated:
		s.Active = false
	case Ended:
		s.Ended, s.Active, s.Prices = true, false, nil
	}
	return s
}

// Exists tells whether the list was made and has not ended.
func (s State) Exists() bool { return s.ID != "" && !s.Ended }

// Clone is a copy that stays the same when s changes.
func (s State) Clone() State {
	s.Prices = maps.Clone(s.Prices)
	return s
}

// List is the list as package pricing reads it. It shares the prices of the state.
func (s State) List() pricing.PriceList {
	return pricing.PriceList{
		ID: s.ID, Version: s.Version, Title: s.Terms.Title, Kind: s.Kind, Currency: s.Currency, Mode: s.Mode,
		Priority: s.Terms.Priority, Active: s.Active, Window: s.Terms.Window, Channels: s.Terms.Channels, Groups: s.Terms.Groups,
		Customers: s.Terms.Customers, Countries: s.Terms.Countries, Prices: s.Prices,
	}
}
