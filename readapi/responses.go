package readapi

import (
	"time"

	"daybook/internal/resource"
	"daybook/projections/cartview"
	"daybook/projections/orderview"
	"daybook/projections/productview"
	"daybook/projections/query"
	"daybook/projections/salesview"
	"daybook/projections/stockview"
)

// The functions below make response bodies from rows. Package resource turns the aggregate's
// state into the body, as it does for commands, so both have the same form. The functions here
// add what only the view knows.

func orderOf(o orderview.Order, timeline []orderview.Entry) resource.Order {
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
		s.ReportedAt = o.Times.Parcel(s.ShipmentID)
	}
	out.Returns, out.Timeline = each(o.Returns, returnSummary), each(timeline, timelineEntry)
	return out
}

func orderSummary(s orderview.Summary) resource.OrderSummary {
	return resource.OrderSummary{
		OrderCommon: resource.OrderCommon{
			OrderID: s.OrderID, Reference: s.Reference, CustomerID: s.CustomerID, CartID: s.CartID, Currency: s.Currency, Country: s.Country,
			Status: s.Status, PaymentState: s.PaymentState, FulfillmentState: s.FulfillmentState,
			OnHold: s.OnHold, Archived: s.Archived, NeedsAttention: s.NeedsAttention, Attention: s.Attention,
			ToReturn: resource.MoneyIn(s.Currency, s.ToReturn), ToCollect: resource.MoneyIn(s.Currency, s.ToCollect),
			PlacedTotal: resource.MoneyIn(s.Currency, s.PlacedTotal), Total: resource.MoneyIn(s.Currency, s.Total), Owed: resource.MoneyIn(s.Currency, s.Owed),
			Captured: resource.MoneyIn(s.Currency, s.Captured), Refunded: resource.MoneyIn(s.Currency, s.Refunded),
			LineCount: s.LineCount, Units: s.Units, Revision: s.Revision,
		},
		Channel: s.Channel, PlacedAt: s.PlacedAt, ChangedAt: s.ChangedAt,
	}
}

func giftCardSummary(c orderview.Card, now time.Time) resource.GiftCardSummary {
	out := resource.GiftCardSummary{
		GiftCardID: c.GiftCardID, Kind: c.Kind, Status: c.StatusAt(now), CustomerID: c.CustomerID, OrderID: c.OrderID, Currency: c.Currency,
		Issued: resource.MoneyIn(c.Currency, c.Issued), Balance: resource.MoneyIn(c.Currency, c.Balance), Held: resource.MoneyIn(c.Currency, c.Held),
		IssuedAt: c.IssuedAt, ChangedAt: c.ChangedAt, Revision: c.Revision,
	}
	if c.ExpiresAt != nil {
		out.ExpiresAt = *c.ExpiresAt
	}
	return out
}

func returnOf(r orderview.Return, timeline []orderview.Entry) resource.Return {
	out := resource.ReturnOf(r.Fold, r.Revision)
	out.Channel, out.CreatedAt, out.ChangedAt = r.Channel, r.CreatedAt, r.ChangedAt
	out.ApprovedAt, out.ClosedAt = r.ApprovedAt, r.ClosedAt
	out.Timeline = each(timeline, timelineEntry)
	return out
}

func returnSummary(s orderview.ReturnSummary) resource.ReturnSummary {
	return resource.ReturnSummary{
		ReturnCommon: resource.ReturnCommon{
			ReturnID: s.ReturnID, Reference: s.Reference, OrderID: s.OrderID, CustomerID: s.CustomerID, Currency: s.Currency, Country: s.Country,
			Status: s.Status, Reason: s.Reason, Value: resource.MoneyIn(s.Currency, s.Value), Refunded: resource.MoneyIn(s.Currency, s.Refunded),
			Units: s.Units, Revision: s.Revision,
		},
		Channel: s.Channel, CreatedAt: s.CreatedAt, ChangedAt: s.ChangedAt,
	}
}

func timelineEntry(e orderview.Entry) resource.TimelineEntry {
	f := e.Facts
	out := resource.TimelineEntry{
		Revision: e.Revision, Entry: e.Entry, Type: e.Type, Actor: e.Actor, Channel: e.Channel,
		EffectiveAt: resource.Moment(e.EffectiveAt), RecordedAt: resource.Moment(e.RecordedAt), Position: e.Position,
		TimelineFacts: resource.TimelineFacts{
			Quantity: int64(f.Quantity), TransactionType: f.TransactionType, State: f.State, TransactionID: string(f.TransactionID),
			ShipmentID: string(f.ShipmentID), Location: string(f.Location), Forced: f.Forced, ReturnID: string(f.ReturnID),
			OrderID: string(f.OrderID), CartID: string(f.CartID), Receipt: f.Receipt, Attempt: f.Attempt, Step: f.Step, Remedy: f.Remedy,
			Shortages: resource.ShortagesOf(f.Shortages), Reason: f.Reason,
		},
	}
	if f.Amount != nil {
		out.Amount = new(resource.MoneyOf(*f.Amount))
	}
	for _, l := range f.Lines {
		out.Lines = append(out.Lines, resource.TimelineLine{Line: l.Line, Quantity: int64(l.Quantity)})
	}
	return out
}

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
			CartID: s.CartID, Status: s.Phase, CustomerID: s.CustomerID, Currency: s.Currency, Country: s.Country, OrderID: s.OrderID, MergedInto: s.MergedInto,
			LineCount: s.LineCount, Units: s.Units, Total: resource.MoneyIn(s.Currency, s.Total), Revision: s.Revision,
		},
		Channel: s.Channel, Short: s.Short, OpenedAt: s.OpenedAt, ChangedAt: s.ChangedAt, RecordedAt: s.RecordedAt,
	}
}

func productOf(p productview.Product) resource.Product {
	return resource.Product{
		SKU: p.SKU, Title: p.Title, Kind: p.Kind, Status: resource.ProductStatus(p.Retired), Revision: p.Revision,
		Prices:   each(p.Prices, func(price productview.Price) resource.Money { return resource.MoneyIn(price.Currency, price.Amount) }),
		TaxClass: p.TaxClass, Categories: p.Categories, WeightGrams: p.WeightGrams, GiftCard: p.GiftCard,
		ListedAt: p.ListedAt, ChangedAt: p.ChangedAt,
	}
}

func stockOf(l stockview.Level) resource.Stock {
	return resource.Stock{
		SKU: l.SKU, Location: l.Location, OnHand: l.OnHand, Reserved: l.Reserved, Allocated: l.Allocated,
		Damaged: l.Damaged, QualityControl: l.QualityControl, OtherUnavailable: l.OtherUnavail, Unavailable: l.Unavailable,
		SafetyStock: l.SafetyStock, BackorderLimit: l.BackorderLimit, Available: l.Available, Sellable: l.Sellable, Backordered: l.Backordered,
		ReorderPoint: l.ReorderPoint, BelowReorderPoint: l.BelowReorder, Revision: l.Revision, ChangedAt: l.ChangedAt,
	}
}

func movementOf(m stockview.Movement) resource.StockMovement {
	return resource.StockMovement{
		Revision: m.Revision, Kind: m.Kind, Quantity: int64(m.Quantity),
		Change: resource.StockChange{
			OnHand: int64(m.Change.OnHand), Reserved: int64(m.Change.Reserved), Allocated: int64(m.Change.Allocated),
			Damaged: int64(m.Change.Damaged), QualityControl: int64(m.Change.QualityControl), OtherUnavailable: int64(m.Change.Other),
		},
		OrderID: m.OrderID, ReturnID: m.ReturnID, Document: m.Document, Reason: m.Reason, Note: m.Note, Actor: m.Actor, Channel: m.Channel,
		EffectiveAt: m.EffectiveAt, RecordedAt: m.RecordedAt, Position: m.Position,
	}
}

func reservationOf(r stockview.Reservation) resource.Reservation {
	return resource.Reservation{
		ReservationID: r.ReservationID, SKU: r.SKU, Location: r.Location, OrderID: r.OrderID, Quantity: r.Quantity,
		ExpiresAt: r.ExpiresAt.UTC(), Expired: r.Expired, ReservedAt: r.ReservedAt,
	}
}

func allocationOf(a stockview.Allocation) resource.Allocation { return resource.Allocation(a) }
func alertOf(a stockview.Alert) resource.ReorderAlert         { return resource.ReorderAlert(a) }

func totalOf(t salesview.Total) resource.SalesTotal {
	return resource.SalesTotal{
		Day: t.Day, Month: t.Month, SKU: t.SKU, Country: t.Country, Channel: t.Channel, Kind: t.Kind, Currency: t.Currency,
		Documents: t.Documents, Lines: t.Lines, Units: t.Units, Amount: resource.MoneyIn(t.Currency, t.Amount),
	}
}

func documentOf(d salesview.Document) resource.SalesDocument {
	return resource.SalesDocument{
		Document: d.Document, Kind: d.Kind, Reference: d.Reference, CustomerID: d.CustomerID, Country: d.Country, Channel: d.Channel,
		Currency: d.Currency, Day: d.Day, OccurredAt: d.OccurredAt, Lines: d.Lines, Units: d.Units, Amount: resource.MoneyIn(d.Currency, d.Amount),
	}
}

func customerOf(c salesview.Customer) resource.SalesCustomer {
	return resource.SalesCustomer{
		CustomerID: c.CustomerID, Currency: c.Currency, Orders: c.Orders, Returns: c.Returns, Units: c.Units,
		Ordered: resource.MoneyIn(c.Currency, c.Ordered), Amount: resource.MoneyIn(c.Currency, c.Amount),
		FirstOrderAt: c.FirstOrderAt, LastOrderAt: c.LastOrderAt, LastOrderID: c.LastOrderID,
	}
}

// each maps rows to response bodies. Without rows it returns an empty list, and not null.
func each[A, B any](rows []A, to func(A) B) []B {
	out := make([]B, len(rows))
	for i := range rows {
		out[i] = to(rows[i])
	}
	return out
}

// page maps the rows of a page.
func page[A, B any](rows query.List[A], err error, to func(A) B) (query.List[B], error) {
	return query.List[B]{Items: each(rows.Items, to), Next: rows.Next, Count: rows.Count}, err
}

// one maps a row that was found.
func one[A, B any](row A, err error, to func(A) B) (B, error) {
	if err != nil {
		var none B
		return none, err
	}
	return to(row), nil
}
