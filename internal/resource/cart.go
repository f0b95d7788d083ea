package resource

import (
	"time"

	"daybook/domain/cart"
	"daybook/domain/unit"
)

// CartFacts are the members of a cart that both lists and single responses have.
type CartFacts struct {
	CartID     string `json:"cart_id"`
	Status     string `json:"status" enum:"open,completing,completed,expired,abandoned,merged"`
	CustomerID string `json:"customer_id,omitempty" class:"customer"`
	Currency   string `json:"currency"`
	Country    string `json:"country,omitempty"`
	OrderID    string `json:"order_id,omitempty" doc:"The order that the present checkout will place, or that the cart became."`
	MergedInto string `json:"merged_into,omitempty" doc:"The cart that its lines went into. The other cart may still refuse them. If it does, this cart is open again."`
	LineCount  int    `json:"line_count"`
	Units      int64  `json:"units"`
	Total      Money  `json:"total"`
	Revision   int64  `json:"revision"`
}

// CartSummary is a cart as lists show it.
type CartSummary struct {
	CartFacts
	Channel    string    `json:"channel,omitempty"`
	Short      bool      `json:"short"`
	OpenedAt   time.Time `json:"opened_at"`
	ChangedAt  time.Time `json:"changed_at"`
	RecordedAt time.Time `json:"recorded_at"`
}

// Cart is a cart with its lines. A cart that became an order has no lines any more, because the
// order has them.
type Cart struct {
	CartFacts
	Lines   []CartLine `json:"lines" doc:"The lines. A cart that became an order has none, because the order has them."`
	Coupons []string   `json:"coupons,omitempty" doc:"The codes that were put on the cart."`
	// ShippingMethod is what the customer has chosen.
	ShippingMethod string         `json:"shipping_method_id,omitempty" doc:"The shipping method that was chosen."`
	Discounts      []CartDiscount `json:"discounts,omitempty" doc:"What persons take off."`
	TaxStatus      *TaxStatus     `json:"tax_status,omitempty" doc:"What the law of taxes says of the buyer of this cart. Left out: what the account of the customer says counts."`
	Details        *Details       `json:"details,omitempty" doc:"Where it goes and how to reach its buyer. Left out if nothing is given."`

	Channel      string     `json:"channel,omitempty" reads:"only"`
	Short        *bool      `json:"short,omitempty" reads:"only"`
	Shortages    []Shortage `json:"shortages,omitempty" reads:"only" doc:"What the last checkout could not get."`
	DroppedLines []int      `json:"dropped_lines,omitempty" reads:"only"`
	Reason       string     `json:"reason,omitempty" class:"personal" reads:"only" doc:"Why it was abandoned."`
	OpenedAt     time.Time  `json:"opened_at,omitzero" reads:"only"`
	ChangedAt    time.Time  `json:"changed_at,omitzero" reads:"only"`
	RecordedAt   time.Time  `json:"recorded_at,omitzero" reads:"only"`
}

// CartLine is a line of a cart.
type CartLine struct {
	Line       int    `json:"line"`
	SKU        string `json:"sku"`
	SKUText    string `json:"sku_text,omitempty"`
	Title      string `json:"title,omitempty"`
	Kind       string `json:"kind" enum:"stocked,service"`
	Quantity   int64  `json:"quantity"`
	Price      Money  `json:"price" doc:"The price of one unit, from the catalogue, as it was when the line was added."`
	Overridden bool   `json:"overridden,omitzero"`
	Total      Money  `json:"total" doc:"Quantity times price; it is not rounded."`
}

// CartOf makes a Cart from a cart's state.
func CartOf(s cart.State, revision int64) Cart {
	total, units := unit.Zero(s.Currency), unit.Quantity(0)
	for _, l := range s.Lines {
		// Only the amounts are added, because an old log may have a line in another currency.
		total.Amount, units = total.Amount.Add(l.Total().Amount), units+l.Quantity
	}
	return Cart{
		CartFacts: CartFacts{
			CartID: string(s.CartID), Status: string(s.Phase), CustomerID: string(s.CustomerID), Currency: string(s.Currency), Country: s.Country,
			OrderID: string(s.OrderID), MergedInto: string(s.MergeTarget()), LineCount: len(s.Lines), Units: int64(units), Total: MoneyOf(total), Revision: revision,
		},
		Lines: listed(s.Lines, cartLine), Details: detailsOf(s.Details), Coupons: s.Coupons, ShippingMethod: s.Shipping,
		Discounts: each(s.Discounts, cartDiscountOf), TaxStatus: taxStatusOf(s.TaxStatus),
	}
}

func cartLine(l cart.Line) CartLine {
	return CartLine{
		Line: l.Number, SKU: string(l.SKU), SKUText: l.SKUText, Title: l.Title, Kind: string(l.Kind), Quantity: int64(l.Quantity),
		Price: MoneyOf(l.Price), Overridden: l.Overridden, Total: MoneyOf(l.Total()),
	}
}
