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

// ReturnSummary is the row of a return or a credit note. Amounts are of Currency; Value is
// what the lines are worth to the customer.
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
var returnColumns = returnTable.List("state")

// Return is the row of a return or a credit note, with all that belongs to it.
type Return struct {
	ReturnSummary
	Fold                 returns.State // of the aggregate
	ApprovedAt, ClosedAt time.Time
	Timeline             []Entry
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
	r := Return{
		ReturnSummary: row.ReturnSummary, Fold: state.Fold,
		ApprovedAt: state.Times["approved"], ClosedAt: state.Times["closed"],
	}
	r.Timeline, err = query.All[Entry](ctx, db, `SELECT `+returnTimeline.List("return_id")+` FROM read.return_timeline WHERE return_id = $1 ORDER BY revision`, returnID)
	if err != nil {
		return Return{}, fmt.Errorf("timeline of return %s: %w", returnID, err)
	}
	return r, nil
}

// ofOrder are the returns that have something of an order.
func ofOrder(ctx context.Context, db query.DB, orderID string) ([]ReturnSummary, error) {
	return query.All[ReturnSummary](ctx, db, `SELECT `+returnColumns+` FROM read.returns
		WHERE return_id IN (SELECT return_id FROM read.return_orders WHERE order_id = $1) ORDER BY created_at, return_id`, orderID)
}

// ReturnFilter chooses returns; its zero value chooses all. Times are effective
// times of the request, From included and To not.
type ReturnFilter struct {
	Status, CustomerID, Reference, OrderID string
	From, To                               time.Time
	OldestFirst                            bool
}

// ListReturns gives a page of returns and credit notes, the newest first unless
// asked otherwise.
func ListReturns(ctx context.Context, db query.DB, f ReturnFilter, p query.Page) (query.List[ReturnSummary], error) {
	var w query.Where
	w.Text("status = ?", f.Status)
	w.Text("customer_id = ?", f.CustomerID)
	w.Text("reference = ?", f.Reference)
	w.Text("return_id IN (SELECT return_id FROM read.return_orders WHERE order_id = ?)", f.OrderID)
	if !f.From.IsZero() {
		w.Add("created_at >= ?", f.From)
	}
	if !f.To.IsZero() {
		w.Add("created_at < ?", f.To)
	}
	sort, err := sorted(&w, p, "created_at", "return_id", f.OldestFirst)
	if err != nil {
		return query.List[ReturnSummary]{}, err
	}
	rows, err := query.All[ReturnSummary](ctx, db, `SELECT `+returnColumns+` FROM read.returns`+w.SQL()+sort, w.Args...)
	if err != nil {
		return query.List[ReturnSummary]{}, fmt.Errorf("list returns: %w", err)
	}
	return query.Cut(rows, p, func(s ReturnSummary) string { return query.Cursor(query.TimeKey(s.CreatedAt), s.ReturnID) }), nil
}
