package orderview

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/projections/query"
)

// Summary is an order as lists show it. Amounts are of Currency.
type Summary struct {
	OrderID          string          `json:"order_id"`
	Reference        string          `json:"reference,omitempty"`
	CustomerID       string          `json:"customer_id,omitempty"`
	CartID           string          `json:"cart_id,omitempty"`
	Currency         string          `json:"currency"`
	Country          string          `json:"country,omitempty"`
	Channel          string          `json:"channel,omitempty"`
	Status           string          `json:"status"`
	PaymentState     string          `json:"payment_state"`
	FulfillmentState string          `json:"fulfillment_state"`
	OnHold           bool            `json:"on_hold"`
	Archived         bool            `json:"archived"`
	NeedsAttention   bool            `json:"needs_attention"` // stock lost, or money to give back
	PlacedTotal      decimal.Decimal `json:"placed_total"`
	Total            decimal.Decimal `json:"total"` // exact, of what is not taken off
	Owed             decimal.Decimal `json:"owed"`  // total rounded to be charged
	Captured         decimal.Decimal `json:"captured"`
	Refunded         decimal.Decimal `json:"refunded"`
	LineCount        int             `json:"line_count"`
	Units            int64           `json:"units"`      // as placed
	PlacedAt         time.Time       `json:"placed_at"`  // effective time
	ChangedAt        time.Time       `json:"changed_at"` // recorded time of the last event
	Revision         int64           `json:"revision"`
}

const summaryColumns = `order_id, reference, customer_id, cart_id, currency, country, channel, status, payment_state, fulfillment_state,
	on_hold, archived, needs_attention, placed_total, total, owed, captured, refunded, line_count, units, placed_at, changed_at, revision`

// Order is an order with all that belongs to it.
type Order struct {
	Summary
	HoldReason       string          `json:"hold_reason,omitempty"`
	ConfirmBy        time.Time       `json:"confirm_by"`
	ConfirmedAt      time.Time       `json:"confirmed_at,omitzero"`
	EndedAt          time.Time       `json:"ended_at,omitzero"` // completed, canceled or expired
	AllocationFailed bool            `json:"allocation_failed"`
	Remedy           string          `json:"remedy,omitempty"`
	Lines            []Line          `json:"lines"`
	Reservations     []Reservation   `json:"reservations"`
	Payments         []Payment       `json:"payments"`
	Orphans          []order.Orphan  `json:"orphaned_payments,omitempty"`
	Shipments        []Shipment      `json:"shipments"`
	Returns          []ReturnSummary `json:"returns"`
	Timeline         []Entry         `json:"timeline"`
}

// Line is a line as placed, and what became of it.
type Line struct {
	cart.Line
	Amount    decimal.Decimal `json:"amount"` // exact, as placed
	Canceled  unit.Quantity   `json:"canceled"`
	Shipped   unit.Quantity   `json:"shipped"`
	Delivered unit.Quantity   `json:"delivered"`
	Open      unit.Quantity   `json:"open"`
	// Returning units came back or are to, Returnable ones have shipped and may
	// still be asked for.
	Returning  unit.Quantity `json:"returning"`
	Returnable unit.Quantity `json:"returnable"`
}

// Reservation is what stock promised the order.
type Reservation struct {
	ReservationID string        `json:"reservation_id"`
	SKU           unit.SKU      `json:"sku"`
	Location      string        `json:"location"`
	Quantity      unit.Quantity `json:"quantity"` // as reserved
	Remaining     unit.Quantity `json:"remaining"`
}

// Payment is a payment transaction.
type Payment struct {
	TransactionID string          `json:"transaction_id"`
	Type          string          `json:"type"`
	State         string          `json:"state"`
	Amount        decimal.Decimal `json:"amount"`
	Parent        string          `json:"parent,omitempty"`
	Provider      string          `json:"provider,omitempty"`
	Reference     string          `json:"reference,omitempty"`
	ReturnID      string          `json:"return_id,omitempty"` // of a refund recorded on a return
	RecordedAt    time.Time       `json:"at"`                  // effective time
	SettledAt     time.Time       `json:"settled_at,omitzero"`
}

// Shipment is a parcel.
type Shipment struct {
	order.Shipment
	ShippedAt   time.Time `json:"shipped_at"`
	DeliveredAt time.Time `json:"delivered_at,omitzero"`
}

type orderRow struct {
	Summary
	Lines, State []byte
}

// Get reads one order, or query.ErrNotFound.
func Get(ctx context.Context, db query.DB, orderID string) (Order, error) {
	row, err := query.One[orderRow](ctx, db, `SELECT `+summaryColumns+`, lines, state FROM read.orders WHERE order_id = $1`, orderID)
	if err != nil {
		return Order{}, fmt.Errorf("order %s: %w", orderID, err)
	}
	var state stored
	var lines []cart.Line
	if err := json.Unmarshal(row.State, &state); err != nil {
		return Order{}, fmt.Errorf("order %s: %w", orderID, err)
	}
	if err := json.Unmarshal(row.Lines, &lines); err != nil {
		return Order{}, fmt.Errorf("order %s: %w", orderID, err)
	}
	o := Order{Summary: row.Summary}
	o.fill(lines, state)
	if o.Returns, err = ofOrder(ctx, db, orderID); err != nil {
		return Order{}, fmt.Errorf("returns of order %s: %w", orderID, err)
	}
	o.Timeline, err = query.All[Entry](ctx, db, `SELECT revision, entry, type, actor, channel, effective_at, recorded_at, position
		FROM read.order_timeline WHERE order_id = $1 ORDER BY revision`, orderID)
	if err != nil {
		return Order{}, fmt.Errorf("timeline of order %s: %w", orderID, err)
	}
	return o, nil
}

// fill takes an order's parts out of its documents.
func (o *Order) fill(lines []cart.Line, state stored) {
	f, times := state.Fold, state.Times
	o.HoldReason, o.ConfirmBy, o.Orphans = f.HoldReason, f.ConfirmBy, f.Orphans
	o.AllocationFailed, o.Remedy = f.AllocationFailed, string(f.Remedy)
	o.ConfirmedAt = times["confirmed"]
	for _, end := range []string{"completed", "canceled", "expired"} {
		if at, ended := times[end]; ended {
			o.EndedAt = at
		}
	}
	for i, l := range lines {
		line := Line{Line: l, Amount: l.Total().Amount}
		if i < len(f.Lines) {
			s := f.Lines[i]
			line.Canceled, line.Shipped, line.Delivered, line.Open = s.Canceled, s.Shipped, s.Delivered, s.Open()
			line.Returning, line.Returnable = s.Returning, s.Returnable()
		}
		o.Lines = append(o.Lines, line)
	}
	o.Reservations = make([]Reservation, 0, len(f.Holdings))
	for _, h := range f.Holdings {
		o.Reservations = append(o.Reservations, Reservation{
			ReservationID: string(h.ReservationID), SKU: h.SKU, Location: string(h.Location), Quantity: h.Quantity, Remaining: h.Remaining(),
		})
	}
	o.Payments = make([]Payment, 0, len(f.Transactions))
	for _, t := range f.Transactions {
		o.Payments = append(o.Payments, Payment{
			TransactionID: string(t.ID), Type: string(t.Type), State: string(t.State), Amount: t.Amount.Amount, Parent: string(t.Parent),
			Provider: t.Provider, Reference: t.Reference, ReturnID: string(t.ReturnID), RecordedAt: times[recordedKey(t.ID)], SettledAt: times[settledKey(t.ID)],
		})
	}
	o.Shipments = make([]Shipment, 0, len(f.Shipments))
	for _, s := range f.Shipments {
		o.Shipments = append(o.Shipments, Shipment{Shipment: s, ShippedAt: times[shippedKey(s.ID)], DeliveredAt: times[deliveredKey(s.ID)]})
	}
}

// Filter chooses orders; its zero value chooses all. Times are effective times
// of placing, From included and To not.
type Filter struct {
	Status, PaymentState, FulfillmentState string
	CustomerID, Reference, CartID, SKU     string
	Country, Channel                       string
	From, To                               time.Time
	OnHold, Archived, NeedsAttention       *bool
	OldestFirst                            bool
}

// List gives a page of orders, the newest first unless asked otherwise.
func List(ctx context.Context, db query.DB, f Filter, p query.Page) (query.List[Summary], error) {
	var w query.Where
	w.Text("status = ?", f.Status)
	w.Text("payment_state = ?", f.PaymentState)
	w.Text("fulfillment_state = ?", f.FulfillmentState)
	w.Text("customer_id = ?", f.CustomerID)
	w.Text("reference = ?", f.Reference)
	w.Text("cart_id = ?", f.CartID)
	w.Text("country = ?", f.Country)
	w.Text("channel = ?", f.Channel)
	w.Text("skus @> ARRAY[?::text]", f.SKU)
	if !f.From.IsZero() {
		w.Add("placed_at >= ?", f.From)
	}
	if !f.To.IsZero() {
		w.Add("placed_at < ?", f.To)
	}
	flag(&w, "on_hold", f.OnHold)
	flag(&w, "archived", f.Archived)
	flag(&w, "needs_attention", f.NeedsAttention)
	sort, err := sorted(&w, p, "placed_at", "order_id", f.OldestFirst)
	if err != nil {
		return query.List[Summary]{}, err
	}
	rows, err := query.All[Summary](ctx, db, `SELECT `+summaryColumns+` FROM read.orders`+w.SQL()+sort, w.Args...)
	if err != nil {
		return query.List[Summary]{}, fmt.Errorf("list orders: %w", err)
	}
	return query.Cut(rows, p, func(s Summary) string { return query.Cursor(query.TimeKey(s.PlacedAt), s.OrderID) }), nil
}

func flag(w *query.Where, column string, want *bool) {
	switch {
	case want == nil:
	case *want:
		w.Add(column)
	default:
		w.Add("NOT " + column)
	}
}

// sorted adds the cursor's condition and gives the order and limit.
func sorted(w *query.Where, p query.Page, timeColumn, idColumn string, oldestFirst bool) (string, error) {
	than, direction := " < ", " DESC"
	if oldestFirst {
		than, direction = " > ", " ASC"
	}
	if p.After != "" {
		key, err := query.Uncursor(p.After, 2)
		if err != nil {
			return "", err
		}
		at, err := time.Parse(time.RFC3339Nano, key[0])
		if err != nil {
			return "", &query.CursorError{Cursor: p.After}
		}
		w.Add("("+timeColumn+", "+idColumn+")"+than+"(?, ?)", at, key[1])
	}
	return " ORDER BY " + timeColumn + direction + ", " + idColumn + direction + " LIMIT " + w.Arg(p.Size()+1), nil
}
