// Package salesview is the read model of the sales: totals by day, month, SKU, country,
// channel, kind and customer, and the single documents.
//
// It counts what was sold, and not the money that was received. Package orderview has the
// payments.
package salesview

import (
	"context"
	_ "embed"
	"strconv"
	"strings"
	"time"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/projections"
)

//go:embed schema.sql
var tables string

//go:embed indexes.sql
var indexes string

// The kinds of document.
const (
	Sale      = "sale"       // an order with at least one line that is not free
	FreeOrder = "free_order" // an order whose lines all cost nothing
	// OrderCanceled counts units that were taken off an order before they shipped. The sale
	// itself stays counted on its own day.
	OrderCanceled = "order_canceled"
	// Return counts goods when they come back. Services cannot come back, so it counts them
	// when the return is approved.
	Return    = "return"
	AdjustIn  = "adjust_in"  // stock that was found
	AdjustOut = "adjust_out" // stock that is gone
	BadDebt   = "bad_debt"
	Credit    = "credit" // any other credit note, and price reductions
)

// Options are the settings that depend on the merchant's country.
type Options struct {
	// Location is the time zone of the merchant's days. Default UTC.
	Location *time.Location
	// Country and Currency are used for stock adjustments, because those events have neither.
	Country, Currency string
}

// View returns the view, for the runner.
func View(o Options) projections.View {
	if o.Location == nil {
		o.Location = time.UTC
	}
	return projections.View{
		Name:    "sales",
		Version: 6, // 6 counts goods of parcels that did not arrive
		// The state of an order is stored as the domain folds it.
		Setting: strings.Join([]string{o.Location.String(), o.Country, o.Currency, "folds " + strconv.Itoa(order.FoldVersion)}, "|"),
		Claims: []string{
			"order.placed.", "order.shipped.", "order.lines_canceled.", "order.canceled.", "order.expired.", "order.completed.", "order.taken_over.",
			"order.credited.", "order.charge_added.", "order.parcel_resent.", "order.return_admitted.", "order.return_released.",
			"return.requested.", "return.approved.", "return.declined.", "return.canceled.", "return.received.", "return.closed.",
			"return.taken_over.", "return.credit_noted.", "stock.adjusted.",
		},
		Tables: tables,
		Columns: map[string][]string{
			documents.Name(): documents.Names(), days.Name(): days.Names(), skus.Name(): skus.Names(),
			customers.Name(): customers.Names(), opened.Name(): opened.Names(),
		},
		Indexes:  indexes,
		Belongs:  projections.OfItsKind,
		Decode:   decode,
		Metadata: true,
		Apply: func(ctx context.Context, tx *projections.Tx, batch []projections.Event) error {
			return apply(ctx, tx, o, batch)
		},
	}
}

func decode(eventType string, data []byte) (any, error) {
	category, _, _ := strings.Cut(eventType, ".")
	switch category {
	case order.Category:
		return order.DecodeAmounts(eventType, data)
	case returns.Category:
		return returns.Decode(eventType, data)
	}
	return stock.Decode(eventType, data)
}

func apply(ctx context.Context, tx *projections.Tx, o Options, batch []projections.Event) error {
	l := newLedger(o.Location)
	left := newRemainders()
	for i := range batch {
		left.note(&batch[i])
	}
	if err := left.load(ctx, tx); err != nil {
		return err
	}
	if err := l.loadDocuments(ctx, tx, batch); err != nil {
		return err
	}
	for i := range batch {
		e := &batch[i]
		at := e.EffectiveAt()
		switch value := e.Value.(type) {
		case order.Event:
			l.order(left, e, value, at)
			left.settle(e.Stream)
		case returns.Event:
			l.bookReturn(left, e, value, at)
			left.settle(e.Stream)
		case stock.Adjusted:
			l.adjusted(o, e, value, at)
		}
	}
	if err := left.store(tx); err != nil {
		return err
	}
	return l.store(ctx, tx)
}
