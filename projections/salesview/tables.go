package salesview

import (
	"time"

	"github.com/shopspring/decimal"

	"daybook/projections/table"
)

// documentRow is what a batch adds to a document. The kind and the head of a document come
// from its first event and stay.
type documentRow struct {
	name string
	*document
}

var documents = table.New("sales_documents",
	table.Key("document", table.Text, func(d documentRow) string { return d.name }),
	table.Fixed("kind", table.Text, func(d documentRow) string { return d.kind }),
	table.Fixed("reference", table.Text, func(d documentRow) string { return d.Reference }),
	table.Fixed("customer_id", table.Text, func(d documentRow) string { return d.Customer }),
	table.Fixed("country", table.Text, func(d documentRow) string { return d.Country }),
	table.Fixed("channel", table.Text, func(d documentRow) string { return d.Channel }),
	table.Fixed("currency", table.Text, func(d documentRow) string { return d.Currency }),
	table.Fixed("day", table.Day, func(d documentRow) string { return d.day }),
	table.Fixed("occurred_at", table.Time, func(d documentRow) time.Time { return d.at }),
	table.Sum("lines", table.Number, func(d documentRow) int64 { return d.lines }),
	table.Sum("units", table.Number, func(d documentRow) int64 { return d.units }),
	table.Sum("amount", table.Normalized, func(d documentRow) decimal.Decimal { return d.amount }),
)

// A row that was inserted has xmax = 0, and a row that was updated has not. So xmax = 0 means
// that the document is new.
var upsertDocuments = documents.Upsert().Returning("document, xmax = 0")

// dayRow is what a batch adds to a day.
type dayRow struct {
	dayKey
	documents int64
	*sums
}

var days = table.New("sales_days",
	table.Key("day", table.Day, func(d dayRow) string { return d.day }),
	table.Key("kind", table.Text, func(d dayRow) string { return d.kind }),
	table.Key("country", table.Text, func(d dayRow) string { return d.country }),
	table.Key("channel", table.Text, func(d dayRow) string { return d.channel }),
	table.Key("currency", table.Text, func(d dayRow) string { return d.currency }),
	table.Sum("documents", table.Number, func(d dayRow) int64 { return d.documents }),
	table.Sum("lines", table.Number, func(d dayRow) int64 { return d.lines }),
	table.Sum("units", table.Number, func(d dayRow) int64 { return d.units }),
	table.Sum("amount", table.Normalized, func(d dayRow) decimal.Decimal { return d.amount }),
)

// skuRow is what a batch adds to a day of a SKU.
type skuRow struct {
	skuKey
	*sums
}

var skus = table.New("sales_skus",
	table.Key("day", table.Day, func(s skuRow) string { return s.day }),
	table.Key("sku", table.Text, func(s skuRow) string { return s.sku }),
	table.Key("kind", table.Text, func(s skuRow) string { return s.kind }),
	table.Key("country", table.Text, func(s skuRow) string { return s.country }),
	table.Key("channel", table.Text, func(s skuRow) string { return s.channel }),
	table.Key("currency", table.Text, func(s skuRow) string { return s.currency }),
	table.Sum("lines", table.Number, func(s skuRow) int64 { return s.lines }),
	table.Sum("units", table.Number, func(s skuRow) int64 { return s.units }),
	table.Sum("amount", table.Normalized, func(s skuRow) decimal.Decimal { return s.amount }),
)

// customerRow is what a batch adds to a customer.
type customerRow struct {
	customerKey
	*customer
}

var customers = table.New("customers",
	table.Key("customer_id", table.Text, func(c customerRow) string { return c.id }),
	table.Key("currency", table.Text, func(c customerRow) string { return c.currency }),
	table.Sum("orders", table.Number, func(c customerRow) int64 { return c.orders }),
	table.Sum("returns", table.Number, func(c customerRow) int64 { return c.returns }),
	table.Sum("units", table.Number, func(c customerRow) int64 { return c.units }),
	table.Sum("ordered", table.Normalized, func(c customerRow) decimal.Decimal { return c.placed }),
	table.Sum("amount", table.Normalized, func(c customerRow) decimal.Decimal { return c.amount }),
	table.Merged("first_order_at", table.MaybeTime, "least({old}, {new})", func(c customerRow) *time.Time { return c.firstAt }),
	table.Merged("last_order_at", table.MaybeTime, "greatest({old}, {new})", func(c customerRow) *time.Time { return c.lastAt }),
	table.Merged("last_order_id", table.Text,
		"CASE WHEN {new.last_order_at} >= {old.last_order_at} OR {old.last_order_at} IS NULL THEN {new} ELSE {old} END",
		func(c customerRow) string { return c.lastID }),
)

var upsertDays, upsertSKUs, upsertCustomers = days.Upsert(), skus.Upsert(), customers.Upsert()

// openRow is the stored rest of a stream.
type openRow struct {
	stream string
	rest   []byte
}

var opened = table.New("_open",
	table.Key("stream", table.Text, func(o openRow) string { return o.stream }),
	table.Set("rest", table.Document, func(o openRow) []byte { return o.rest }),
)

var upsertOpen, deleteOpen = opened.Upsert(), opened.Delete("")
