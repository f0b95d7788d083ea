package orderview

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/contact"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/projections"
	"daybook/projections/query"
)

// Summary is an order's row. Amounts are of Currency.
type Summary struct {
	OrderID, Reference, CustomerID, CartID string
	Currency, Country, Channel             string
	Status, PaymentState, FulfillmentState string
	OnHold, Archived                       bool
	NeedsAttention                         bool
	Attention                              []string // why; see order.Attention
	PlacedTotal                            decimal.Decimal
	Total                                  decimal.Decimal // not rounded; without the units that were taken off
	Owed                                   decimal.Decimal // Total, rounded to the currency's digits, less credits
	ToReturn, ToCollect                    decimal.Decimal
	Captured, Refunded                     decimal.Decimal
	LineCount                              int
	Units                                  int64     // as placed
	PlacedAt                               time.Time // effective time
	ChangedAt                              time.Time // recorded time of the last event
	Revision                               int64
}

// summaryColumns are those of a Summary.
var summaryColumns = orderTable.AllExcept("guest_email_key", "skus", "lines", "state")

// Order is an order's row, with its returns. History has its timeline.
type Order struct {
	Summary
	Fold    order.State // of the aggregate
	Lines   []cart.Line // as placed; Fold says what became of them
	Times   Times
	Returns []ReturnSummary
}

type orderRow struct {
	Summary
	Lines, State []byte
	Returned     bool // returns bring back some of it
}

// Get reads one order, or query.ErrNotFound.
func Get(ctx context.Context, db query.DB, orderID string) (Order, error) {
	row, err := query.One[orderRow](ctx, db, `SELECT `+summaryColumns+`, lines, state,
		EXISTS (SELECT FROM read.return_orders r WHERE r.order_id = o.order_id) AS returned FROM read.orders o WHERE order_id = $1`, orderID)
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
	if !row.Returned { // as nearly always; so there is nothing to read
		return o, nil
	}
	if o.Returns, err = ofOrder(ctx, db, orderID); err != nil {
		return Order{}, fmt.Errorf("returns of order %s: %w", orderID, err)
	}
	return o, nil
}

// Filter chooses orders; its zero value chooses all. An order matches a list if it has one of
// the list's values. Times are the effective times of the placing. From is included, and To is
// not.
type Filter struct {
	Statuses, PaymentStates, FulfillmentStates []string
	CustomerIDs, References, CartIDs, SKUs     []string
	Countries, Channels, Currencies            []string
	From, To                                   time.Time
	OnHold, Archived, NeedsAttention           *bool
	ToReturn, ToCollect                        *bool // money has to be given back, or is still to be paid
	Attention                                  []string
}

// Listed says how the list of orders is read and sorted.
var Listed = query.Rows[Summary]{
	Select: `SELECT ` + summaryColumns + ` FROM read.orders`,
	Sorts: map[string]query.Sort[Summary]{
		"placed_at": {
			By:  []query.Column{{Name: "placed_at", Kind: query.Time}, {Name: "order_id", Kind: query.Text}},
			Key: func(s Summary) []string { return []string{query.TimeKey(s.PlacedAt), s.OrderID} },
		},
		"changed_at": {
			By:  []query.Column{{Name: "changed_at", Kind: query.Time}, {Name: "order_id", Kind: query.Text}},
			Key: func(s Summary) []string { return []string{query.TimeKey(s.ChangedAt), s.OrderID} },
		},
		"total": {
			By:  []query.Column{{Name: "total", Kind: query.Number}, {Name: "order_id", Kind: query.Text}},
			Key: func(s Summary) []string { return []string{s.Total.String(), s.OrderID} },
		},
	},
	DefaultSort: "-placed_at",
}

// List gives a page of orders. By default the newest comes first.
func List(ctx context.Context, db query.DB, f Filter, p query.Page) (query.List[Summary], error) {
	var w query.Where
	w.In("status", f.Statuses)
	w.In("payment_state", f.PaymentStates)
	w.In("fulfillment_state", f.FulfillmentStates)
	w.In("customer_id", f.CustomerIDs)
	w.In("reference", f.References)
	w.In("cart_id", f.CartIDs)
	w.In("country", f.Countries)
	w.In("channel", f.Channels)
	w.In("currency", f.Currencies)
	w.AnyOf("skus && ?::text[]", f.SKUs)
	w.Period("placed_at", f.From, f.To)
	flag(&w, "on_hold", f.OnHold)
	flag(&w, "archived", f.Archived)
	flag(&w, "needs_attention", f.NeedsAttention)
	flag(&w, "to_return > 0", f.ToReturn)
	flag(&w, "to_collect > 0", f.ToCollect)
	w.AnyOf("attention && ?::text[]", f.Attention)
	list, err := Listed.Read(ctx, db, w, p)
	if err != nil {
		return list, fmt.Errorf("list orders: %w", err)
	}
	return list, nil
}

// maxOfGuest bounds how many orders of a guest are found at once.
const maxOfGuest = 500

// OfGuest returns the ids of the orders that no customer has and whose details have an e-mail
// address, the oldest first, and at most maxOfGuest. Upper and lower case are the same.
func OfGuest(ctx context.Context, db query.DB, email string) ([]unit.OrderID, error) {
	type row struct{ OrderID unit.OrderID }
	rows, err := query.All[row](ctx, db, `SELECT order_id FROM read.orders WHERE guest_email_key <> '' AND guest_email_key = $1 AND (status NOT IN ('pending', 'expired') OR captured > 0) ORDER BY placed_at, order_id LIMIT $2`,
		projections.Key(contact.FoldEmail(email)), maxOfGuest)
	if err != nil {
		return nil, fmt.Errorf("orders of an e-mail address: %w", err)
	}
	ids := make([]unit.OrderID, len(rows))
	for i, r := range rows {
		ids[i] = r.OrderID
	}
	return ids, nil
}

// HasOrdered tells whether a customer, or a guest with an e-mail address, has an order that was
// neither canceled nor expired. An empty customer or address has none.
func HasOrdered(ctx context.Context, db query.DB, customer unit.CustomerID, email string) (bool, error) {
	type row struct{ Found bool }
	key := ""
	if email != "" {
		key = projections.Key(contact.FoldEmail(email))
	}
	found, err := query.All[row](ctx, db, `SELECT EXISTS (SELECT 1 FROM read.orders WHERE status NOT IN ('canceled', 'expired') AND (customer_id <> '' AND customer_id = $1)) OR EXISTS (SELECT 1 FROM read.orders WHERE status NOT IN ('canceled', 'expired') AND (guest_email_key <> '' AND guest_email_key = $2)) AS found`,
		string(customer), key)
	if err != nil {
		return false, fmt.Errorf("earlier orders: %w", err)
	}
	return found[0].Found, nil
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
