package readapi

import (
	"daybook/internal/resource"
	"daybook/projections/cartview"
	"daybook/projections/orderview"
	"daybook/projections/query"
)

// The functions below make answers of rows. What the aggregate's state tells, they leave to
// package resource, so that it is what a command answers with; they add what only the view
// knows.

func orderOf(o orderview.Order) resource.Order {
	out := resource.OrderOf(o.Fold, o.Revision)
	out.Channel, out.PlacedAt, out.ChangedAt = o.Channel, o.PlacedAt, o.ChangedAt
	out.ConfirmedAt, out.EndedAt = o.Times.Confirmed(), o.Times.Ended()
	for i := range min(len(out.Lines), len(o.Lines)) {
		line, placed := &out.Lines[i], o.Lines[i]
		line.SKUText, line.Title, line.Overridden = placed.SKUText, placed.Title, placed.Overridden
	}
	for i := range out.Payments {
		p := &out.Payments[i]
		p.RecordedAt, p.SettledAt = o.Times.Recorded(p.TransactionID), o.Times.Settled(p.TransactionID)
	}
	for i := range out.Shipments {
		s := &out.Shipments[i]
		s.ShippedAt, s.DeliveredAt = o.Times.Shipped(s.ShipmentID), o.Times.Delivered(s.ShipmentID)
	}
	out.Returns, out.Timeline = each(o.Returns, returnSummary), each(o.Timeline, timelineEntry)
	return out
}

func orderSummary(s orderview.Summary) resource.OrderSummary {
	return resource.OrderSummary{
		OrderFacts: resource.OrderFacts{
			OrderID: s.OrderID, Reference: s.Reference, CustomerID: s.CustomerID, CartID: s.CartID, Currency: s.Currency, Country: s.Country,
			Status: s.Status, PaymentState: s.PaymentState, FulfillmentState: s.FulfillmentState,
			OnHold: s.OnHold, Archived: s.Archived, NeedsAttention: s.NeedsAttention,
			PlacedTotal: resource.MoneyIn(s.Currency, s.PlacedTotal), Total: resource.MoneyIn(s.Currency, s.Total), Owed: resource.MoneyIn(s.Currency, s.Owed),
			Captured: resource.MoneyIn(s.Currency, s.Captured), Refunded: resource.MoneyIn(s.Currency, s.Refunded),
			LineCount: s.LineCount, Units: s.Units, Revision: s.Revision,
		},
		Channel: s.Channel, PlacedAt: s.PlacedAt, ChangedAt: s.ChangedAt,
	}
}

func returnOf(r orderview.Return) resource.Return {
	out := resource.ReturnOf(r.Fold, r.Revision)
	out.Channel, out.CreatedAt, out.ChangedAt = r.Channel, r.CreatedAt, r.ChangedAt
	out.ApprovedAt, out.ClosedAt = r.ApprovedAt, r.ClosedAt
	out.Timeline = each(r.Timeline, timelineEntry)
	return out
}

func returnSummary(s orderview.ReturnSummary) resource.ReturnSummary {
	return resource.ReturnSummary{
		ReturnFacts: resource.ReturnFacts{
			ReturnID: s.ReturnID, Reference: s.Reference, OrderID: s.OrderID, CustomerID: s.CustomerID, Currency: s.Currency, Country: s.Country,
			Status: s.Status, Reason: s.Reason, Value: resource.MoneyIn(s.Currency, s.Value), Refunded: resource.MoneyIn(s.Currency, s.Refunded),
			Units: s.Units, Revision: s.Revision,
		},
		Channel: s.Channel, CreatedAt: s.CreatedAt, ChangedAt: s.ChangedAt,
	}
}

func timelineEntry(e orderview.Entry) resource.TimelineEntry { return resource.TimelineEntry(e) }

func cartOf(c cartview.Cart) resource.Cart {
	out := resource.CartOf(c.Fold, c.Revision)
	out.Channel, out.Short = c.Channel, &c.Short
	out.Shortages, out.DroppedLines, out.Reason = resource.ShortagesOf(c.Shortages), c.Dropped, c.Reason
	out.OpenedAt, out.ChangedAt, out.RecordedAt = c.OpenedAt, c.ChangedAt, c.RecordedAt
	return out
}

func cartSummary(s cartview.Summary) resource.CartSummary {
	return resource.CartSummary{
		CartFacts: resource.CartFacts{
			CartID: s.CartID, Status: s.Phase, CustomerID: s.CustomerID, Currency: s.Currency, Country: s.Country, OrderID: s.OrderID,
			LineCount: s.LineCount, Units: s.Units, Total: resource.MoneyIn(s.Currency, s.Total), Revision: s.Revision,
		},
		Channel: s.Channel, Short: s.Short, OpenedAt: s.OpenedAt, ChangedAt: s.ChangedAt, RecordedAt: s.RecordedAt,
	}
}

// each maps rows to what is shown; none are an empty list.
func each[A, B any](rows []A, to func(A) B) []B {
	out := make([]B, len(rows))
	for i := range rows {
		out[i] = to(rows[i])
	}
	return out
}

// page maps the rows of a page.
func page[A, B any](rows query.List[A], err error, to func(A) B) (query.List[B], error) {
	return query.List[B]{Items: each(rows.Items, to), Next: rows.Next}, err
}

// one maps a row that was found.
func one[A, B any](row A, err error, to func(A) B) (B, error) {
	if err != nil {
		var none B
		return none, err
	}
	return to(row), nil
}
