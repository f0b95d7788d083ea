package verify

import (
	"context"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

func compareSales(ctx context.Context, b *Book, from build) ([]*Check, error) {
	documents, err := compareTable(ctx, from, "sales_documents", b.Sales.documents, &documentRow{})
	if err != nil {
		return nil, err
	}
	days, err := compareTable(ctx, from, "sales_days", b.Sales.days, &dayRow{})
	if err != nil {
		return nil, err
	}
	skus, err := compareTable(ctx, from, "sales_skus", b.Sales.skus, &skuRow{})
	if err != nil {
		return nil, err
	}
	customers, err := compareTable(ctx, from, "customers", b.Sales.customers, &customerRow{})
	if err != nil {
		return nil, err
	}
	return []*Check{documents, days, skus, customers}, nil
}

type documentRow struct {
	name string
	document
}

func (r *documentRow) columns() []column[*document] {
	return append([]column[*document]{
		keyColumn[*document]("document", &r.name),
		equals("kind", &r.kind, func(d *document) string { return d.kind }),
		equals("reference", &r.reference, func(d *document) string { return d.reference }),
		equals("customer_id", &r.customer, func(d *document) string { return d.customer }),
		equals("country", &r.country, func(d *document) string { return d.country }),
		equals("channel", &r.channel, func(d *document) string { return d.channel }),
		equals("currency", &r.currency, func(d *document) string { return d.currency }),
		equals("day", &r.day, func(d *document) string { return d.day }).asText(),
		equals("occurred_at", &r.at, func(d *document) time.Time { return d.at }),
	}, sumColumns(&r.Sum, func(d *document) Sum { return d.Sum })...)
}

func (r *documentRow) key() string { return r.name }

// sumColumns returns the columns of a sum.
func sumColumns[V any](r *Sum, of func(V) Sum) []column[V] {
	return []column[V]{
		equals("lines", &r.Lines, func(v V) int64 { return of(v).Lines }),
		equals("units", &r.Units, func(v V) int64 { return of(v).Units }),
		equals("amount", &r.Amount, func(v V) decimal.Decimal { return of(v).Amount }),
	}
}

func (k dayKey) String() string {
	return strings.Join([]string{k.day, k.kind, k.country, k.channel, k.currency}, "/")
}

type dayRow struct {
	dayKey dayKey
	daySum
}

func (r *dayRow) columns() []column[*daySum] {
	return append([]column[*daySum]{
		keyColumn[*daySum]("day", &r.dayKey.day).asText(), keyColumn[*daySum]("kind", &r.dayKey.kind), keyColumn[*daySum]("country", &r.dayKey.country),
		keyColumn[*daySum]("channel", &r.dayKey.channel), keyColumn[*daySum]("currency", &r.dayKey.currency),
		equals("documents", &r.documents, func(s *daySum) int64 { return s.documents }),
	}, sumColumns(&r.Sum, func(s *daySum) Sum { return s.Sum })...)
}

func (r *dayRow) key() dayKey { return r.dayKey }

func (k skuKey) String() string {
	return strings.Join([]string{k.day, k.sku, k.kind, k.country, k.channel, k.currency}, "/")
}

type skuRow struct {
	skuKey skuKey
	Sum
}

func (r *skuRow) columns() []column[*Sum] {
	return append([]column[*Sum]{
		keyColumn[*Sum]("day", &r.skuKey.day).asText(), keyColumn[*Sum]("sku", &r.skuKey.sku), keyColumn[*Sum]("kind", &r.skuKey.kind),
		keyColumn[*Sum]("country", &r.skuKey.country), keyColumn[*Sum]("channel", &r.skuKey.channel), keyColumn[*Sum]("currency", &r.skuKey.currency),
	}, sumColumns(&r.Sum, func(s *Sum) Sum { return *s })...)
}

func (r *skuRow) key() skuKey { return r.skuKey }

func (k customerKey) String() string { return k.id + " in " + k.currency }

type customerRow struct {
	customerKey            customerKey
	orders, returns, units int64
	ordered, amount        decimal.Decimal
	firstAt, lastAt        *time.Time
	lastID                 string
}

func (r *customerRow) columns() []column[*bought] {
	return []column[*bought]{
		keyColumn[*bought]("customer_id", &r.customerKey.id), keyColumn[*bought]("currency", &r.customerKey.currency),
		equals("orders", &r.orders, func(c *bought) int64 { return c.orders }),
		equals("returns", &r.returns, func(c *bought) int64 { return c.returns }),
		equals("units", &r.units, func(c *bought) int64 { return c.units }),
		equals("ordered", &r.ordered, func(c *bought) decimal.Decimal { return c.ordered }),
		equals("amount", &r.amount, func(c *bought) decimal.Decimal { return c.amount }),
		equals("first_order_at", &r.firstAt, func(c *bought) *time.Time { return c.firstAt }),
		equals("last_order_at", &r.lastAt, func(c *bought) *time.Time { return c.lastAt }),
		equals("last_order_id", &r.lastID, func(c *bought) string { return c.lastID }),
	}
}

func (r *customerRow) key() customerKey { return r.customerKey }
