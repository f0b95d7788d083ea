// Package salesview is the read model of what was sold: by day, month, SKU,
// country, channel, kind and customer, and document by document.
//
// It counts documents, not money received: payments are the business of
// orderview.
package salesview

import (
	"context"
	_ "embed"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

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
	// OrderCanceled is what was taken off an order before it shipped. The sale
	// stays counted on its own day.
	OrderCanceled = "order_canceled"
	// Return counts goods when they come back, and services, which cannot, when
	// the return is approved.
	Return    = "return"
	AdjustIn  = "adjust_in"  // stock that was found
	AdjustOut = "adjust_out" // stock that is gone
	BadDebt   = "bad_debt"
	Credit    = "credit" // any other credit note
)

// Options say where the merchant is.
type Options struct {
	// Location is where days begin and end. Default UTC.
	Location *time.Location
	// Country and Currency are what stock adjustments count to, which name none.
	Country, Currency string
}

// View is the read model, to be given to the runner.
func View(o Options) projections.View {
	if o.Location == nil {
		o.Location = time.UTC
	}
	return projections.View{
		Name:    "sales",
		Version: 3, // what other programs wrote is skipped
		Setting: strings.Join([]string{o.Location.String(), o.Country, o.Currency}, "|"),
		Claims: []string{
			"order.placed.", "order.shipped.", "order.lines_canceled.", "order.canceled.", "order.expired.", "order.completed.",
			"return.requested.", "return.approved.", "return.declined.", "return.canceled.", "return.received.", "return.closed.",
			"return.credit_noted.", "stock.adjusted.",
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
		Apply: func(ctx context.Context, tx pgx.Tx, batch []projections.Event) error {
			return apply(ctx, tx, o, batch)
		},
	}
}

func decode(eventType string, data []byte) (any, error) {
	category, _, _ := strings.Cut(eventType, ".")
	switch category {
	case order.Category:
		return order.Decode(eventType, data)
	case returns.Category:
		return returns.Decode(eventType, data)
	}
	return stock.Decode(eventType, data)
}

func apply(ctx context.Context, tx pgx.Tx, o Options, batch []projections.Event) error {
	l := newLedger(o.Location)
	rest := newOpen()
	for i := range batch {
		rest.note(&batch[i])
	}
	if err := rest.load(ctx, tx); err != nil {
		return err
	}
	for i := range batch {
		e := &batch[i]
		at := e.EffectiveAt()
		switch value := e.Value.(type) {
		case order.Event:
			l.order(rest, e, value, at)
			rest.settle(e.Stream)
		case returns.Event:
			l.bookReturn(rest, e, value, at)
			rest.settle(e.Stream)
		case stock.Adjusted:
			l.adjusted(o, e, value, at)
		}
	}
	if err := rest.store(ctx, tx); err != nil {
		return err
	}
	return l.store(ctx, tx)
}
