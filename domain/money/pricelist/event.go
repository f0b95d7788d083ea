// Package pricelist is a price list: prices for some customers, channels or countries, or for some
// time. It decides which lists may exist. Package pricing decides which list counts for a cart.
package pricelist

import (
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

// Category starts the names of the streams of price lists.
const Category = "pricelist"

// Stream names the stream of a price list: "pricelist-trade".
func Stream(id string) string { return Category + "-" + id }

// Event is what can have happened to a price list. The wire names in codec.go are storage format:
// they are versioned, never renamed.
//
//sumtype:decl
type Event interface{ priceListEvent() }

// Created begins a list. It has no prices and is not active yet. Its kind, currency and price mode
// stay as they are.
type Created struct {
	ID       string           `json:"price_list_id" class:"open"`
	Kind     pricing.ListKind `json:"kind"`
	Currency unit.Currency    `json:"currency"`
	Mode     pricing.Mode     `json:"price_mode"`
	Terms
}

// Terms say which carts a list is for. Empty filters match every cart.
type Terms struct {
	Title     string            `json:"title,omitempty" class:"open"`
	Priority  int               `json:"priority,omitzero"` // the highest wins
	Window    pricing.Window    `json:"window,omitzero"`
	Channels  []string          `json:"channels,omitempty" class:"open"`
	Groups    []string          `json:"groups,omitempty" class:"open"` // groups of customers
	Customers []unit.CustomerID `json:"customers,omitempty"`
	Countries []string          `json:"countries,omitempty" class:"open"`
}

// Changed gives a list other terms.
type Changed struct {
	Terms
}

// PricesSet sets or removes prices of some SKUs, sorted by SKU. The prices of other SKUs stay.
type PricesSet struct {
	Prices []Entry `json:"prices"` // at most MaxEntries
}

// Entry has all prices of one SKU in a list.
type Entry struct {
	SKU   unit.SKU       `json:"sku"`
	Tiers []pricing.Tier `json:"tiers,omitempty"` // by ascending quantity; none: the SKU is removed
}

// Activated lets the list count for carts.
type Activated struct{}

// Deactivated stops that.
type Deactivated struct{}

// Ended ends the list for good.
type Ended struct {
	Reason string `json:"reason,omitempty" class:"personal"`
}

func (Created) priceListEvent()     {}
func (Changed) priceListEvent()     {}
func (PricesSet) priceListEvent()   {}
func (Activated) priceListEvent()   {}
func (Deactivated) priceListEvent() {}
func (Ended) priceListEvent()       {}
