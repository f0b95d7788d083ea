// Package product is the entry of the catalogue from which carts take prices: what a code is,
// what it costs, and whether it is still sold. Package stock knows how many units there are.
package product

import "daybook/domain/unit"

// Category starts the names of product streams.
const Category = "product"

// Stream names a product's stream: "product-85123A".
func Stream(sku unit.SKU) string { return Category + "-" + string(sku) }

// Event is what can have happened to a product. The wire names in codec.go are
// storage format: they are versioned, never renamed.
//
//sumtype:decl
type Event interface{ productEvent() }

// Listed starts the entry; it is always a stream's first event. A retired
// product may be listed again.
type Listed struct {
	SKU   unit.SKU  `json:"sku"`
	Title string    `json:"title" class:"open"`
	Kind  unit.Kind `json:"kind"`
}

// Retitled changes what the product is called.
type Retitled struct {
	Title string `json:"title" class:"open"`
}

// Priced sets the price of one unit in one currency. Lines that are already in carts keep
// their prices.
type Priced struct {
	Price unit.Money `json:"price"`
}

// Retired takes the product off sale: it can no longer be added to a cart. A cart that has it
// already keeps its line and its price.
type Retired struct {
	Reason string `json:"reason,omitempty" class:"personal"`
}

// Described says what prices, taxes and shipping need to know of the product. It replaces what was
// said before.
type Described struct {
	Description
}

// Description is what prices, taxes and shipping need to know of a product.
type Description struct {
	TaxClass   string   `json:"tax_class,omitempty" class:"open"` // empty: the default class of the legal entity
	Categories []string `json:"categories,omitempty" class:"open"`
	Grams      int64    `json:"weight_grams,omitzero"` // of one unit
	// GiftCard: the product is a gift card. It has no tax and no discount, because it pays for
	// other things.
	GiftCard bool `json:"gift_card,omitzero"`
}

func (Listed) productEvent()    {}
func (Retitled) productEvent()  {}
func (Priced) productEvent()    {}
func (Described) productEvent() {}
func (Retired) productEvent()   {}
