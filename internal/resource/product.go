package resource

import (
	"maps"
	"slices"
	"strings"
	"time"

	"daybook/domain/product"
	"daybook/domain/unit"
)

// Product is an entry of the catalogue.
type Product struct {
	SKU    string  `json:"sku"`
	Title  string  `json:"title"`
	Kind   string  `json:"kind" enum:"stocked,service"`
	Status string  `json:"status" enum:"on_sale,retired" doc:"retired: it is no longer sold."`
	Prices []Money `json:"prices"`

	TaxClass    string   `json:"tax_class,omitempty" doc:"How the product is taxed. Left out: by the default class of the legal entity."`
	Categories  []string `json:"categories,omitempty" doc:"Promotions may be for categories."`
	WeightGrams int64    `json:"weight_grams,omitzero" doc:"The weight of one unit in grams, for shipping."`
	GiftCard    bool     `json:"gift_card,omitzero" doc:"It is a gift card: without tax and discounts."`

	Revision int64 `json:"revision"`

	Stock     []Stock   `json:"stock,omitzero" reads:"only" doc:"By location, with include=stock."`
	ListedAt  time.Time `json:"listed_at,omitzero" reads:"only"`
	ChangedAt time.Time `json:"changed_at,omitzero" reads:"only"`
}

// ProductOf makes a Product from a product's state. Its prices are sorted by currency.
func ProductOf(sku unit.SKU, s product.State, revision int64) Product {
	prices := slices.SortedFunc(maps.Values(s.Prices), func(a, b unit.Money) int {
		return strings.Compare(string(a.Currency), string(b.Currency))
	})
	return Product{
		SKU: string(sku), Title: s.Title, Kind: string(s.Kind), Status: string(s.Phase), Prices: listed(prices, MoneyOf), Revision: revision,
		TaxClass: s.Description.TaxClass, Categories: s.Description.Categories, WeightGrams: s.Description.Grams, GiftCard: s.Description.GiftCard,
	}
}

// ProductStatus is the status of a listed product.
func ProductStatus(retired bool) string {
	if retired {
		return string(product.OffSale)
	}
	return string(product.OnSale)
}
