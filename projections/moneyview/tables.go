package moneyview

import (
	"cmp"
	_ "embed"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"daybook/projections/table"
)

// Tables creates the tables.
//
//go:embed schema.sql
var Tables string

var items = table.New("report_items",
	table.Key("day", table.Day, func(r row[itemKey, amounts]) string { return r.key.day }),
	table.Key("kind", table.Text, func(r row[itemKey, amounts]) string { return r.key.kind }),
	table.Key("sku", table.Text, func(r row[itemKey, amounts]) string { return r.key.sku }),
	table.Key("charge", table.Text, func(r row[itemKey, amounts]) string { return r.key.charge }),
	table.Key("entity", table.Text, func(r row[itemKey, amounts]) string { return r.key.entity }),
	table.Key("channel", table.Text, func(r row[itemKey, amounts]) string { return r.key.channel }),
	table.Key("country", table.Text, func(r row[itemKey, amounts]) string { return r.key.country }),
	table.Key("customer_groups", table.Text, func(r row[itemKey, amounts]) string { return r.key.groups }),
	table.Key("currency", table.Text, func(r row[itemKey, amounts]) string { return r.key.currency }),
	table.Sum("units", table.Number, func(r row[itemKey, amounts]) int64 { return r.value.units }),
	table.Sum("list", table.Normalized, func(r row[itemKey, amounts]) decimal.Decimal { return r.value.list }),
	table.Sum("discount", table.Normalized, func(r row[itemKey, amounts]) decimal.Decimal { return r.value.discount }),
	table.Sum("net", table.Normalized, func(r row[itemKey, amounts]) decimal.Decimal { return r.value.net }),
	table.Sum("tax", table.Normalized, func(r row[itemKey, amounts]) decimal.Decimal { return r.value.tax }),
)

var promotions = table.New("report_promotions",
	table.Key("day", table.Day, func(r row[promotionKey, off]) string { return r.key.day }),
	table.Key("kind", table.Text, func(r row[promotionKey, off]) string { return r.key.kind }),
	table.Key("promotion", table.Text, func(r row[promotionKey, off]) string { return r.key.promotion }),
	table.Key("code", table.Text, func(r row[promotionKey, off]) string { return r.key.code }),
	table.Key("sku", table.Text, func(r row[promotionKey, off]) string { return r.key.sku }),
	table.Key("charge", table.Text, func(r row[promotionKey, off]) string { return r.key.charge }),
	table.Key("entity", table.Text, func(r row[promotionKey, off]) string { return r.key.entity }),
	table.Key("channel", table.Text, func(r row[promotionKey, off]) string { return r.key.channel }),
	table.Key("country", table.Text, func(r row[promotionKey, off]) string { return r.key.country }),
	table.Key("customer_groups", table.Text, func(r row[promotionKey, off]) string { return r.key.groups }),
	table.Key("currency", table.Text, func(r row[promotionKey, off]) string { return r.key.currency }),
	table.Sum("discount", table.Normalized, func(r row[promotionKey, off]) decimal.Decimal { return r.value.amount }),
)

var taxes = table.New("report_taxes",
	table.Key("day", table.Day, func(r row[taxKey, taxAmount]) string { return r.key.day }),
	table.Key("kind", table.Text, func(r row[taxKey, taxAmount]) string { return r.key.kind }),
	table.Key("entity", table.Text, func(r row[taxKey, taxAmount]) string { return r.key.entity }),
	table.Key("country", table.Text, func(r row[taxKey, taxAmount]) string { return r.key.country }),
	table.Key("component", table.Text, func(r row[taxKey, taxAmount]) string { return r.key.component }),
	table.Key("place", table.Text, func(r row[taxKey, taxAmount]) string { return r.key.place }),
	table.Key("rate", table.Text, func(r row[taxKey, taxAmount]) string { return r.key.rate }),
	table.Key("treatment", table.Text, func(r row[taxKey, taxAmount]) string { return r.key.treatment }),
	table.Key("currency", table.Text, func(r row[taxKey, taxAmount]) string { return r.key.currency }),
	table.Sum("base", table.Normalized, func(r row[taxKey, taxAmount]) decimal.Decimal { return r.value.base }),
	table.Sum("tax", table.Normalized, func(r row[taxKey, taxAmount]) decimal.Decimal { return r.value.tax }),
)

var payments = table.New("report_payments",
	table.Key("day", table.Day, func(r row[paymentKey, moved]) string { return r.key.day }),
	table.Key("entity", table.Text, func(r row[paymentKey, moved]) string { return r.key.entity }),
	table.Key("channel", table.Text, func(r row[paymentKey, moved]) string { return r.key.channel }),
	table.Key("provider", table.Text, func(r row[paymentKey, moved]) string { return r.key.provider }),
	table.Key("tender", table.Text, func(r row[paymentKey, moved]) string { return r.key.tender }),
	table.Key("type", table.Text, func(r row[paymentKey, moved]) string { return r.key.kind }),
	table.Key("purpose", table.Text, func(r row[paymentKey, moved]) string { return r.key.purpose }),
	table.Key("currency", table.Text, func(r row[paymentKey, moved]) string { return r.key.currency }),
	table.Sum("transactions", table.Number, func(r row[paymentKey, moved]) int64 { return r.value.count }),
	table.Sum("amount", table.Normalized, func(r row[paymentKey, moved]) decimal.Decimal { return r.value.amount }),
)

var storedValue = table.New("report_stored_value",
	table.Key("day", table.Day, func(r row[storedKey, moved]) string { return r.key.day }),
	table.Key("kind", table.Text, func(r row[storedKey, moved]) string { return r.key.kind }),
	table.Key("currency", table.Text, func(r row[storedKey, moved]) string { return r.key.currency }),
	table.Sum("events", table.Number, func(r row[storedKey, moved]) int64 { return r.value.count }),
	table.Sum("amount", table.Normalized, func(r row[storedKey, moved]) decimal.Decimal { return r.value.amount }),
)

// Columns are the columns of each table.
func Columns() map[string][]string {
	return map[string][]string{
		items.Name(): items.Names(), promotions.Name(): promotions.Names(), taxes.Name(): taxes.Names(), payments.Name(): payments.Names(),
		storedValue.Name(): storedValue.Names(),
	}
}

var (
	upsertItems, upsertPromotions, upsertTaxes = items.Upsert(), promotions.Upsert(), taxes.Upsert()
	upsertPayments, upsertStoredValue          = payments.Upsert(), storedValue.Upsert()
)

// Store adds the sums of a batch to the tables, in the order of their keys.
func (l *Ledger) Store(writes *pgx.Batch) {
	upsertItems.Queue(writes, rowsOf(l.items, func(k itemKey) []string {
		return append(k.sorted(), k.day, k.kind, k.sku, k.charge)
	}))
	upsertPromotions.Queue(writes, rowsOf(l.promotions, func(k promotionKey) []string {
		return append(k.sorted(), k.day, k.kind, k.sku, k.charge, k.promotion, k.code)
	}))
	upsertTaxes.Queue(writes, rowsOf(l.taxes, func(k taxKey) []string {
		return []string{k.day, k.kind, k.entity, k.country, k.currency, k.component, k.place, k.rate, k.treatment}
	}))
	upsertPayments.Queue(writes, rowsOf(l.payments, func(k paymentKey) []string {
		return []string{k.day, k.entity, k.channel, k.currency, k.provider, k.tender, k.kind, k.purpose}
	}))
	upsertStoredValue.Queue(writes, rowsOf(l.stored, func(k storedKey) []string { return []string{k.day, k.kind, k.currency} }))
}

func (p party) sorted() []string {
	return []string{p.currency, p.entity, p.channel, p.country, p.groups}
}

// rowsOf are the sums by their keys. Two batches thus always write in the same order.
func rowsOf[K comparable, V any](sums map[K]V, order func(K) []string) []row[K, V] {
	type sortable struct {
		by  string
		row row[K, V]
	}
	all := make([]sortable, 0, len(sums))
	for key, value := range sums {
		all = append(all, sortable{strings.Join(order(key), "\x00"), row[K, V]{key, value}})
	}
	slices.SortFunc(all, func(a, b sortable) int { return cmp.Compare(a.by, b.by) })
	rows := make([]row[K, V], len(all))
	for i := range all {
		rows[i] = all[i].row
	}
	return rows
}
