package orderview

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/projections/query"
)

// Summary is an order's row. Amounts are of Currency.
type Summary struct {
	OrderID, Reference, CustomerID, CartID string
	Currency, Country, Channel             string
	Status, PaymentState, FulfillmentState string
	OnHold, Archived                       bool
	NeedsAttention                         bool // stock lost, or money to give back
	PlacedTotal                            decimal.Decimal
	Total                                  decimal.Decimal // exact, of what is not taken off
	Owed                                   decimal.Decimal // total rounded to be charged
	Captured, Refunded                     decimal.Decimal
	LineCount                              int
	Units                                  int64     // as placed
	PlacedAt                               time.Time // effective time
	ChangedAt                              time.Time // recorded time of the last event
	Revision                               int64
}

// summaryColumns are those of a Summary.
var summaryColumns = orderTable.List("skus", "lines", "state")

// Order is an order's row, with all that belongs to it.
type Order struct {
	Summary
	Fold     order.State // of the aggregate
	Lines    []cart.Line // as placed; Fold has what became of them
	Times    Times
	Returns  []ReturnSummary
	Timeline []Entry
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
	o := Order{Summary: row.Summary, Fold: state.Fold, Lines: lines, Times: state.Times}
	if o.Returns, err = ofOrder(ctx, db, orderID); err != nil {
		return Order{}, fmt.Errorf("returns of order %s: %w", orderID, err)
	}
	o.Timeline, err = query.All[Entry](ctx, db, `SELECT `+orderTimeline.List("order_id")+` FROM read.order_timeline WHERE order_id = $1 ORDER BY revision`, orderID)
	if err != nil {
		return Order{}, fmt.Errorf("timeline of order %s: %w", orderID, err)
	}
	return o, nil
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
