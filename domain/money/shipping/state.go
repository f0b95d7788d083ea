package shipping

import "daybook/domain/money/pricing"

// FoldVersion names the shape of State: a snapshot of another version is not read. Raise it with
// every change of State or Evolve.
const FoldVersion = 1

// State is a shipping method. The zero State is a method that was never made.
type State struct {
	ID      string `json:"id,omitempty"`
	Terms   Terms  `json:"terms,omitzero"`
	Active  bool   `json:"active,omitzero"`
	Ended   bool   `json:"ended,omitzero"`
	Version int64  `json:"version,omitzero"` // how many events there are
}

// Evolve is the state after one more event.
func Evolve(s State, e Event) State {
	s.Version++
	switch e := e.(type) {
	case Created:
		s.ID, s.Terms = e.ID, e.Terms
	case Changed:
		s.Terms = e.Terms
	case Activated:
		s.Active = true
	case Deactivated:
		s.Active = false
	case Ended:
		s.Ended, s.Active = true, false
	}
	return s
}

// Exists tells whether the method was made and has not ended.
func (s State) Exists() bool { return s.ID != "" && !s.Ended }

// Method is the method as package pricing reads it.
func (s State) Method() pricing.ShippingMethod {
	return pricing.ShippingMethod{
		ID: s.ID, Version: s.Version, Title: s.Terms.Title, Carrier: s.Terms.Carrier, Mode: s.Terms.Mode, TaxClass: s.Terms.TaxClass,
		Active: s.Active, Channels: s.Terms.Channels, Measure: s.Terms.Measure, MaxWeight: s.Terms.MaxGrams, Rates: s.Terms.Rates,
	}
}
