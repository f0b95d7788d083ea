package orderview

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/shopspring/decimal"

	"daybook/domain/returns"
	"daybook/projections/query"
)

// ReturnSummary is the row of a return or a credit note. Amounts are in Currency. Value is
// what the customer gets for all the lines.
type ReturnSummary struct {
	ReturnID, Reference, OrderID, CustomerID string
	Currency, Country, Channel               string
	Status                                   string // "noted" is a credit note
	Reason                                   string
	Value, Refunded                          decimal.Decimal
	Units                                    int64
	CreatedAt                                time.Time // effective time
	ChangedAt                                time.Time // recorded time of the last event
	Revision                                 int64
}

// returnColumns are those of a ReturnSummary.
var returnColumns = returnTable.AllExcept("state")

// Return is the row of a return or a credit note. History has its timeline.
type Return struct {
	ReturnSummary
	Fold                 returns.State // of the aggregate
	ApprovedAt, ClosedAt time.Time
}

type returnRow struct {
	ReturnSummary
	State []byte
}

// GetReturn reads one return or credit note, or query.ErrNotFound.
func GetReturn(ctx context.Context, db query.DB, returnID string) (Return, error) {
	row, err := query.One[returnRow](ctx, db, `SELECT `+returnColumns+`, state FROM read.returns WHERE return_id = $1`, returnID)
	if err != nil {
		return Return{}, fmt.Errorf("return %s: %w", returnID, err)
	}
	var state storedReturn
	if err := json.Unmarshal(row.State, &state); err != nil {
		return Return{}, fmt.Errorf("return %s: %w", returnID, err)
	}
	return Return{
		ReturnSummary: row.ReturnSummary, Fold: state.Fold,
		ApprovedAt: state.Times["approved"], ClosedAt: state.Times["closed"],
	}, nil
}

// ofOrder returns the returns that bring back units of an order.
func ofOrder(ctx context.Context, db query.DB, orderID string) ([]ReturnSummary, error) {
	return query.All[ReturnSummary](ctx, db, `SELECT `+returnColumns+` FROM read.returns
		WHERE return_id IN (SELECT return_id FROM read.return_orders WHERE order_id = $1) ORDER BY created_at, return_id`, orderID)
}

// ReturnFilter chooses returns; its zero value chooses all. A return matches a list if it has
// one of the list's values. Times are the effective times of the request. From is included,
// and To is not.
type ReturnFilter struct {
	Statuses, CustomerIDs, References, OrderIDs []string
	From, To                                    time.Time
	// Of chooses what belongs to a customer: their returns, and those of their orders that have no
	// customer.
	Of string
}

// ListedReturns says how the list of returns is read and sorted.
var ListedReturns = query.Rows[ReturnSummary]{
	Select: `SELECT ` + returnColumns + ` FROM read.returns`,
	Sorts: map[string]query.Sort[ReturnSummary]{
		"created_at": {
			By:  []query.Column{{Name: "created_at", Kind: query.Time}, {Name: "return_id", Kind: query.Text}},
			Key: func(s ReturnSummary) []string { return []string{query.TimeKey(s.CreatedAt), s.ReturnID} },
		},
		"changed_at": {
			By:  []query.Column{{Name: "changed_at", Kind: query.Time}, {Name: "return_id", Kind: query.Text}},
			Key: func(s ReturnSummary) []string { return []string{query.TimeKey(s.ChangedAt), s.ReturnID} },
		},
		"value": {
			By:  []query.Column{{Name: "value", Kind: query.Number}, {Name: "return_id", Kind: query.Text}},
			Key: func(s ReturnSummary) []string { return []string{s.Value.String(), s.ReturnID} },
		},
	},
	DefaultSort: "-created_at",
}

// ListReturns gives a page of returns and credit notes. By default the newest comes first.
func ListReturns(ctx context.Context, db query.DB, f ReturnFilter, p query.Page) (query.List[ReturnSummary], error) {
	var w query.Where
	w.In("status", f.Statuses)
	w.In("customer_id", f.CustomerIDs)
	w.In("reference", f.References)
	w.AnyOf("return_id IN (SELECT return_id FROM read.return_orders WHERE order_id = ANY (?::text[]))", f.OrderIDs)
	w.Period("created_at", f.From, f.To)
	if f.Of != "" {
		w.Add("(customer_id = ? OR customer_id = '' AND return_id IN (SELECT return_id FROM read.return_orders JOIN read.orders own USING (order_id) WHERE own.customer_id = ?))", f.Of, f.Of)
	}
	list, err := ListedReturns.Read(ctx, db, w, p)
	if err != nil {
		return list, fmt.Errorf("list returns: %w", err)
	}
	return list, nil
}
