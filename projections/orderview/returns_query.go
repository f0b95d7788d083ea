package orderview

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/shopspring/decimal"

	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/projections/query"
)

// ReturnSummary is a return or a credit note as lists show it. Amounts are of
// Currency; Value is what the lines are worth to the customer.
type ReturnSummary struct {
	ReturnID   string          `json:"return_id"`
	Reference  string          `json:"reference,omitempty"`
	OrderID    string          `json:"order_id,omitempty"`
	CustomerID string          `json:"customer_id,omitempty"`
	Currency   string          `json:"currency"`
	Country    string          `json:"country,omitempty"`
	Channel    string          `json:"channel,omitempty"`
	Status     string          `json:"status"` // "noted" is a credit note
	Reason     string          `json:"reason,omitempty"`
	Value      decimal.Decimal `json:"value"`
	Refunded   decimal.Decimal `json:"refunded"`
	Units      int64           `json:"units"`
	CreatedAt  time.Time       `json:"created_at"` // effective time
	ChangedAt  time.Time       `json:"changed_at"` // recorded time of the last event
	Revision   int64           `json:"revision"`
}

const returnColumns = `return_id, reference, order_id, customer_id, currency, country, channel, status, reason, value, refunded, units, created_at, changed_at, revision`

// Return is a return or a credit note with all that belongs to it.
type Return struct {
	ReturnSummary
	ApprovedAt time.Time            `json:"approved_at,omitzero"`
	ClosedAt   time.Time            `json:"closed_at,omitzero"`
	Lines      []ReturnLine         `json:"lines"`
	Receipts   []returns.Received   `json:"receipts"`
	Refunds    []returns.Refunded   `json:"refunds"`
	Credit     []returns.CreditLine `json:"credit_lines,omitempty"` // of a credit note
	Timeline   []Entry              `json:"timeline"`
}

// ReturnLine is a returned line, and how many of its units are still to come.
type ReturnLine struct {
	returns.Line
	Awaited unit.Quantity `json:"awaited"`
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
		ReturnSummary: row.ReturnSummary,
		ApprovedAt:    state.Times["approved"], ClosedAt: state.Times["closed"],
		Lines:    make([]ReturnLine, 0, len(state.Fold.Lines)),
		Receipts: state.Fold.Receipts, Refunds: state.Fold.Refunds, Credit: state.Fold.Noted.Lines,
	}
	for i, l := range state.Fold.Requested.Lines {
		r.Lines = append(r.Lines, ReturnLine{Line: l, Awaited: state.Fold.Lines[i].Awaited()})
	}
	r.Timeline, err = query.All[Entry](ctx, db, `SELECT revision, entry, type, actor, channel, effective_at, recorded_at, position
		FROM read.return_timeline WHERE return_id = $1 ORDER BY revision`, returnID)
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
