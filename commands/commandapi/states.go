package commandapi

import (
	"maps"
	"slices"
	"strings"
	"time"

	"daybook/domain/product"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// The states below are what writes answer with: an aggregate as the command
// side sees it. They are contract; the domain's own State types are not.

// ProductState is a catalogue entry.
type ProductState struct {
	SKU      unit.SKU     `json:"sku"`
	Title    string       `json:"title"`
	Kind     unit.Kind    `json:"kind" enum:"stocked,service"`
	Status   string       `json:"status" enum:"on_sale,retired"`
	Prices   []unit.Money `json:"prices" doc:"Of one unit, one for each currency."`
	Revision int64        `json:"revision"`
}

func productState(sku unit.SKU, s product.State, revision int64) ProductState {
	prices := slices.SortedFunc(maps.Values(s.Prices), func(a, b unit.Money) int {
		return strings.Compare(string(a.Currency), string(b.Currency))
	})
	return ProductState{SKU: sku, Title: s.Title, Kind: s.Kind, Status: string(s.Phase), Prices: prices, Revision: revision}
}

// StockState is one SKU at one location, in the words of inventory.
type StockState struct {
	SKU         unit.SKU         `json:"sku"`
	Location    unit.LocationID  `json:"location"`
	OnHand      unit.Quantity    `json:"on_hand" doc:"Physically there."`
	Reserved    unit.Quantity    `json:"reserved" doc:"Softly held for checkouts, with a deadline."`
	Allocated   unit.Quantity    `json:"allocated" doc:"Promised to orders."`
	Unavailable UnavailableState `json:"unavailable" doc:"On hand and not for sale."`
	SafetyStock unit.Quantity    `json:"safety_stock"`
	Available   unit.Quantity    `json:"available" doc:"on_hand less all of the above. Below zero where more is promised than is there."`
	Sellable    unit.Quantity    `json:"sellable" doc:"What can still be promised: available and what is left of the backorder limit."`
	Backordered unit.Quantity    `json:"backordered" doc:"Promised to orders with no goods behind it."`

	BackorderLimit unit.Quantity `json:"backorder_limit"`
	ReorderPoint   unit.Quantity `json:"reorder_point"`
	Revision       int64         `json:"revision"`
}

// UnavailableState splits what is set apart.
type UnavailableState struct {
	Damaged        unit.Quantity `json:"damaged"`
	QualityControl unit.Quantity `json:"quality_control"`
	Other          unit.Quantity `json:"other"`
}

func stockState(key stock.Key, s stock.State, now time.Time, revision int64) StockState {
	return StockState{
		SKU: key.SKU, Location: key.Location, OnHand: s.OnHand(), Reserved: s.Reserved(now), Allocated: s.Allocated(),
		Unavailable: UnavailableState{
			Damaged: s.Unavailable(stock.Damaged), QualityControl: s.Unavailable(stock.QualityControl), Other: s.Unavailable(stock.OtherCondition),
		},
		SafetyStock: s.SafetyStock(), Available: s.Available(now), Sellable: s.Sellable(now), Backordered: s.Backordered(),
		BackorderLimit: s.Policy.BackorderLimit, ReorderPoint: s.Policy.ReorderPoint, Revision: revision,
	}
}
