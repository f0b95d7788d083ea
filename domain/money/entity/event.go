// Package entity is a legal entity that sells: where it is registered for taxes, which taxes it
// collects, and how its prices are treated. It decides which taxes may exist. Package pricing says
// which of them a cart has.
package entity

import "daybook/domain/money/pricing"

// Category starts the names of the streams of legal entities.
const Category = "legalentity"

// Stream names the stream of a legal entity: "legalentity-nl".
func Stream(id string) string { return Category + "-" + id }

// Event is what can have happened to a legal entity. The wire names in codec.go are storage format:
// they are versioned, never renamed.
//
//sumtype:decl
type Event interface{ entityEvent() }

// Created begins an entity. It has no taxes yet.
type Created struct {
	ID string `json:"entity_id" class:"open"`
	Terms
}

// Terms are who the entity is, and its policies.
type Terms struct {
	Title         string                 `json:"title" class:"open"`
	Home          pricing.Zone           `json:"home"` // where it sends from
	Mode          pricing.Mode           `json:"price_mode"`
	Channels      []string               `json:"channels,omitempty" class:"open"` // none: all that no other entity names
	Registrations []pricing.Registration `json:"registrations,omitempty"`
	Rounding      pricing.RoundTax       `json:"rounding,omitempty"`                   // empty: order
	Untaxed       pricing.UntaxedBuyer   `json:"untaxed_buyer,omitempty"`              // empty: net
	DefaultClass  string                 `json:"default_class,omitempty" class:"open"` // of products without a tax class
	// HonorQuotes is of older programs. It has no effect, and no command sets it.
	HonorQuotes int `json:"honor_quotes_seconds,omitzero"`
	// Clawback lets a discount be taken back whose condition a return has broken.
	Clawback bool `json:"clawback,omitzero"`
}

// Changed gives an entity other terms.
type Changed struct {
	Terms
}

// TaxesSet gives an entity another table of taxes.
type TaxesSet struct {
	Rows []pricing.TaxRow `json:"rows"`
}

// Ended ends the entity for good.
type Ended struct {
	Reason string `json:"reason,omitempty" class:"personal"`
}

func (Created) entityEvent()  {}
func (Changed) entityEvent()  {}
func (TaxesSet) entityEvent() {}
func (Ended) entityEvent()    {}
