// Package shipping is a way to send orders: where to, and at which rates. It decides which methods
// may exist. Package pricing says what a method costs for a cart.
package shipping

import "daybook/domain/money/pricing"

// Category starts the names of the streams of shipping methods.
const Category = "shippingmethod"

// Stream names the stream of a method: "shippingmethod-parcel".
func Stream(id string) string { return Category + "-" + id }

// Event is what can have happened to a shipping method. The wire names in codec.go are storage
// format: they are versioned, never renamed.
//
//sumtype:decl
type Event interface{ shippingEvent() }

// Created begins a method. It is not active yet.
type Created struct {
	ID string `json:"method_id" class:"open"`
	Terms
}

// Terms are all that a method says.
type Terms struct {
	Title    string              `json:"title" class:"open"`
	Carrier  string              `json:"carrier,omitempty" class:"open"`
	Mode     pricing.Mode        `json:"price_mode"`
	TaxClass string              `json:"tax_class,omitempty" class:"open"` // empty: in proportion to the goods
	Channels []string            `json:"channels,omitempty" class:"open"`  // none: all
	Measure  pricing.Measure     `json:"measure,omitempty"`                // list, or empty for the amount after discounts
	MaxGrams int64               `json:"max_weight_grams,omitzero"`        // 0: no bound
	Rates    []pricing.RateTable `json:"rates"`
}

// Changed gives a method other terms.
type Changed struct {
	Terms
}

// Activated lets customers choose the method.
type Activated struct{}

// Deactivated stops that.
type Deactivated struct{}

// Ended ends the method for good.
type Ended struct {
	Reason string `json:"reason,omitempty" class:"personal"`
}

func (Created) shippingEvent()     {}
func (Changed) shippingEvent()     {}
func (Activated) shippingEvent()   {}
func (Deactivated) shippingEvent() {}
func (Ended) shippingEvent()       {}
