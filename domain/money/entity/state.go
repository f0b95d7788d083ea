package entity

import "daybook/domain/money/pricing"

// FoldVersion names the shape of State: a snapshot of another version is not read. Raise it with
// every change of State or Evolve.
const FoldVersion = 1

// State is a legal entity. The zero State is an entity that was never made.
type State struct {
	ID      string           `json:"id,omitempty"`
	Terms   Terms            `json:"terms,omitzero"`
	Rows    []pricing.TaxRow `json:"rows,omitempty"`
	Ended   bool             `json:"ended,omitzero"`
	Version int64            `json:"version,omitzero"` // how many events there are
}

// Evolve is the state after one more event.
func Evolve(s State, e Event) State {
	s.Version++
	switch e := e.(type) {
	case Created:
		s.ID, s.Terms = e.ID, e.Terms
	case Changed:
		s.Terms = e.Terms
	case TaxesSet:
		s.Rows = e.Rows
	case Ended:
		s.Ended = true
	}
	return s
}

// Exists tells whether the entity was made and has not ended.
func (s State) Exists() bool { return s.ID != "" && !s.Ended }

// Entity is the entity as package pricing reads it.
func (s State) Entity() pricing.LegalEntity {
	return pricing.LegalEntity{
		ID: s.ID, Version: s.Version, Title: s.Terms.Title, Home: s.Terms.Home, Mode: s.Terms.Mode, Channels: s.Terms.Channels,
		Registrations: s.Terms.Registrations, Rows: s.Rows, Rounding: s.Terms.Rounding, Untaxed: s.Terms.Untaxed,
		DefaultClass: s.Terms.DefaultClass, Clawback: s.Terms.Clawback,
	}
}
