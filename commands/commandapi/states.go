package commandapi

import (
	"maps"
	"slices"
	"strings"
	"time"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/returns"
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

// CartState is a cart.
type CartState struct {
	CartID     unit.CartID     `json:"cart_id"`
	Status     string          `json:"status" enum:"open,completing,completed,expired,abandoned"`
	CustomerID unit.CustomerID `json:"customer_id,omitempty"`
	Currency   unit.Currency   `json:"currency"`
	Country    string          `json:"country,omitempty"`
	Lines      []CartLine      `json:"lines" doc:"Empty once the cart has ended: the order has them."`
	Total      unit.Money      `json:"total" doc:"Exact; what is charged is rounded to the currency's digits."`
	OrderID    unit.OrderID    `json:"order_id,omitempty" doc:"Of the checkout under way, or of the order the cart became."`
	Revision   int64           `json:"revision"`
}

// CartLine is a line of a cart.
type CartLine struct {
	Line     int           `json:"line"`
	SKU      unit.SKU      `json:"sku"`
	SKUText  string        `json:"sku_text,omitempty" doc:"The SKU as it was given, where that differs."`
	Title    string        `json:"title,omitempty"`
	Kind     unit.Kind     `json:"kind" enum:"stocked,service"`
	Quantity unit.Quantity `json:"quantity"`
	Price    unit.Money    `json:"price" doc:"Of one unit, from the catalogue, as it was when the line was added."`
	Total    unit.Money    `json:"total"`
}

func cartState(s cart.State, revision int64) CartState {
	lines := make([]CartLine, 0, len(s.Lines))
	for _, l := range s.Lines {
		lines = append(lines, CartLine{
			Line: l.Number, SKU: l.SKU, SKUText: l.SKUText, Title: l.Title, Kind: l.Kind,
			Quantity: l.Quantity, Price: l.Price, Total: l.Total(),
		})
	}
	return CartState{
		CartID: s.CartID, Status: string(s.Phase), CustomerID: s.CustomerID, Currency: s.Currency, Country: s.Country,
		Lines: lines, Total: s.Total(), OrderID: s.OrderID, Revision: revision,
	}
}

// OrderState is an order.
type OrderState struct {
	OrderID          unit.OrderID     `json:"order_id"`
	CartID           unit.CartID      `json:"cart_id,omitempty"`
	CustomerID       unit.CustomerID  `json:"customer_id,omitempty"`
	Reference        string           `json:"reference,omitempty"`
	Status           string           `json:"status" enum:"pending,confirmed,completed,canceled,expired"`
	PaymentState     string           `json:"payment_state" enum:"unpaid,authorized,partially_authorized,partially_paid,paid,partially_refunded,refunded,overcharged,voided"`
	FulfillmentState string           `json:"fulfillment_state" enum:"unfulfilled,partially_fulfilled,fulfilled,partially_delivered,delivered,backordered,not_required"`
	OnHold           bool             `json:"on_hold,omitzero"`
	HoldReason       string           `json:"hold_reason,omitempty"`
	Archived         bool             `json:"archived,omitzero"`
	AllocationFailed bool             `json:"allocation_failed,omitzero" doc:"Its stock was lost after it was confirmed."`
	ConfirmBy        time.Time        `json:"confirm_by,omitzero" doc:"When it expires if it is still pending."`
	Total            unit.Money       `json:"total" doc:"Exact sum of what was not taken off."`
	Charge           unit.Money       `json:"charge" doc:"What the customer owes for it: the total, rounded."`
	Lines            []OrderLineState `json:"lines"`
	Revision         int64            `json:"revision"`
}

// OrderLineState is a line of an order, by units.
type OrderLineState struct {
	Line      int           `json:"line"`
	SKU       unit.SKU      `json:"sku"`
	Kind      unit.Kind     `json:"kind" enum:"stocked,service"`
	Quantity  unit.Quantity `json:"quantity" doc:"As ordered."`
	Price     unit.Money    `json:"price"`
	Canceled  unit.Quantity `json:"canceled"`
	Shipped   unit.Quantity `json:"shipped"`
	Delivered unit.Quantity `json:"delivered"`
	Returning unit.Quantity `json:"returning" doc:"Of those shipped, come back or to come back."`
}

func orderState(s order.State, revision int64) OrderState {
	lines := make([]OrderLineState, 0, len(s.Lines))
	for _, l := range s.Lines {
		lines = append(lines, OrderLineState{
			Line: l.Number, SKU: l.SKU, Kind: l.Kind, Quantity: l.Quantity, Price: l.Price,
			Canceled: l.Canceled, Shipped: l.Shipped, Delivered: l.Delivered, Returning: l.Returning,
		})
	}
	return OrderState{
		OrderID: s.OrderID, CartID: s.CartID, CustomerID: s.CustomerID, Reference: s.Reference,
		Status: string(s.Status), PaymentState: string(s.PaymentState()), FulfillmentState: string(s.FulfillmentState()),
		OnHold: s.OnHold, HoldReason: s.HoldReason, Archived: s.Archived, AllocationFailed: s.AllocationFailed,
		ConfirmBy: s.ConfirmBy, Total: s.Total, Charge: s.Owed(), Lines: lines, Revision: revision,
	}
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

// ReturnState is a return or a credit note.
type ReturnState struct {
	ReturnID   unit.ReturnID     `json:"return_id"`
	OrderID    unit.OrderID      `json:"order_id,omitempty"`
	CustomerID unit.CustomerID   `json:"customer_id,omitempty"`
	Reference  string            `json:"reference,omitempty"`
	Status     string            `json:"status" enum:"requested,open,received,closed,declined,canceled,noted" doc:"noted is a credit note."`
	Lines      []ReturnLineState `json:"lines"`
	Receipts   int               `json:"receipts" doc:"How many arrivals there were."`
	Refunded   unit.Money        `json:"refunded" doc:"Given back so far."`
	Revision   int64             `json:"revision"`
}

// ReturnLineState is a line of a return.
type ReturnLineState struct {
	Line     int           `json:"line"`
	SKU      unit.SKU      `json:"sku"`
	Quantity unit.Quantity `json:"quantity"`
	Price    unit.Money    `json:"price" doc:"Credited for one unit."`
	Awaited  unit.Quantity `json:"awaited" doc:"Units that have not come yet."`
}

func returnState(s returns.State, revision int64) ReturnState {
	out := ReturnState{Status: string(s.Status), Receipts: len(s.Receipts), Revision: revision}
	if s.Status == returns.StatusNoted {
		note := s.Noted
		out.ReturnID, out.CustomerID, out.Reference, out.Refunded = note.ReturnID, note.CustomerID, note.Reference, note.Amount.Negated()
		out.Lines = make([]ReturnLineState, 0, len(note.Lines))
		for _, l := range note.Lines {
			out.Lines = append(out.Lines, ReturnLineState{Line: l.Number, SKU: l.SKU, Quantity: l.Quantity, Price: l.Price})
		}
		return out
	}
	asked := s.Requested
	out.ReturnID, out.OrderID, out.CustomerID, out.Reference, out.Refunded = asked.ReturnID, asked.OrderID, asked.CustomerID, asked.Reference, s.Refunded()
	out.Lines = make([]ReturnLineState, 0, len(s.Lines))
	for i, l := range s.Lines {
		out.Lines = append(out.Lines, ReturnLineState{Line: i + 1, SKU: l.SKU, Quantity: l.Quantity, Price: l.Price, Awaited: l.Awaited()})
	}
	return out
}
