package verify

import (
	"context"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

func compareSales(ctx context.Context, b *Book, from source) ([]*Check, error) {
	documents, err := compareTable(ctx, from, "sales_documents", documentColumns, b.Sales.documents, &documentRow{})
	if err != nil {
		return nil, err
	}
	days, err := compareTable(ctx, from, "sales_days",
		"day::text, kind, country, channel, currency, documents, lines, units, amount", b.Sales.days, &dayRow{})
	if err != nil {
		return nil, err
	}
	skus, err := compareTable(ctx, from, "sales_skus",
		"day::text, sku, kind, country, channel, currency, lines, units, amount", b.Sales.skus, &skuRow{})
	if err != nil {
		return nil, err
	}
	customers, err := compareTable(ctx, from, "customers", customerColumns, b.Sales.customers, &customerRow{})
	if err != nil {
		return nil, err
	}
	return []*Check{documents, days, skus, customers}, nil
}

const documentColumns = `document, kind, reference, customer_id, country, channel, currency, day::text, occurred_at, lines, units, amount`

type documentRow struct {
	name string
	document
}

func (r *documentRow) into() []any {
	return []any{
		&r.name, &r.kind, &r.reference, &r.customer, &r.country, &r.channel, &r.currency, &r.day, &r.at, &r.Lines, &r.Units, &r.Amount,
	}
}

func (r *documentRow) key() string { return r.name }

func (r *documentRow) compare(want *document, d *deviation) {
	d.column("kind", r.kind, want.kind)
	d.column("reference", r.reference, want.reference)
	d.column("customer_id", r.customer, want.customer)
	d.column("country", r.country, want.country)
	d.column("channel", r.channel, want.channel)
	d.column("currency", r.currency, want.currency)
	d.column("day", r.day, want.day)
	d.column("occurred_at", r.at, want.at)
	d.sum(r.Sum, want.Sum)
}

func (d *deviation) sum(got, want Sum) {
	d.column("lines", got.Lines, want.Lines)
	d.column("units", got.Units, want.Units)
	d.column("amount", got.Amount, want.Amount)
}

func (k dayKey) String() string {
	return strings.Join([]string{k.day, k.kind, k.country, k.channel, k.currency}, "/")
}

type dayRow struct {
	dayKey dayKey
	daySum
}

func (r *dayRow) into() []any {
	return []any{
		&r.dayKey.day, &r.dayKey.kind, &r.dayKey.country, &r.dayKey.channel, &r.dayKey.currency,
		&r.documents, &r.Lines, &r.Units, &r.Amount,
	}
}

func (r *dayRow) key() dayKey { return r.dayKey }

func (r *dayRow) compare(want *daySum, d *deviation) {
	d.column("documents", r.documents, want.documents)
	d.sum(r.Sum, want.Sum)
}

func (k skuKey) String() string {
	return strings.Join([]string{k.day, k.sku, k.kind, k.country, k.channel, k.currency}, "/")
}

type skuRow struct {
	skuKey skuKey
	Sum
}

func (r *skuRow) into() []any {
	return []any{
		&r.skuKey.day, &r.skuKey.sku, &r.skuKey.kind, &r.skuKey.country, &r.skuKey.channel, &r.skuKey.currency,
		&r.Lines, &r.Units, &r.Amount,
	}
}

func (r *skuRow) key() skuKey                     { return r.skuKey }
func (r *skuRow) compare(want *Sum, d *deviation) { d.sum(r.Sum, *want) }

const customerColumns = `customer_id, currency, orders, returns, units, ordered, amount, first_order_at, last_order_at, last_order_id`

func (k customerKey) String() string { return k.id + " in " + k.currency }

type customerRow struct {
	customerKey            customerKey
	orders, returns, units int64
	ordered, amount        decimal.Decimal
	firstAt, lastAt        *time.Time
	lastID                 string
}

func (r *customerRow) into() []any {
	return []any{
		&r.customerKey.id, &r.customerKey.currency, &r.orders, &r.returns, &r.units, &r.ordered, &r.amount, &r.firstAt, &r.lastAt, &r.lastID,
	}
}

func (r *customerRow) key() customerKey { return r.customerKey }

func (r *customerRow) compare(want *customer, d *deviation) {
	d.column("orders", r.orders, want.orders)
	d.column("returns", r.returns, want.returns)
	d.column("units", r.units, want.units)
	d.column("ordered", r.ordered, want.ordered)
	d.column("amount", r.amount, want.amount)
	d.column("first_order_at", r.firstAt, want.firstAt)
	d.column("last_order_at", r.lastAt, want.lastAt)
	d.column("last_order_id", r.lastID, want.lastID)
}
