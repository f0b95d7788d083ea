package salesview

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// A row that was not there before has no xmax: only then is the document new.
	upsertDocuments = `INSERT INTO sales_documents AS d (document, kind, reference, customer_id, country, channel, currency, day, occurred_at, lines, units, amount)
		SELECT document, kind, reference, customer_id, country, channel, currency, day, occurred_at, lines, units, trim_scale(amount::numeric)
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[]::date[], $9::timestamptz[], $10::bigint[], $11::bigint[], $12::text[])
			AS n(document, kind, reference, customer_id, country, channel, currency, day, occurred_at, lines, units, amount)
		ON CONFLICT (document) DO UPDATE SET lines = d.lines + excluded.lines, units = d.units + excluded.units, amount = trim_scale(d.amount + excluded.amount)
		RETURNING document, xmax = 0`

	upsertDays = `INSERT INTO sales_days AS d (day, kind, country, channel, currency, documents, lines, units, amount)
		SELECT day, kind, country, channel, currency, documents, lines, units, trim_scale(amount::numeric)
		FROM unnest($1::text[]::date[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[])
			AS n(day, kind, country, channel, currency, documents, lines, units, amount)
		ON CONFLICT (day, kind, country, channel, currency) DO UPDATE SET documents = d.documents + excluded.documents,
			lines = d.lines + excluded.lines, units = d.units + excluded.units, amount = trim_scale(d.amount + excluded.amount)`

	upsertSKUs = `INSERT INTO sales_skus AS s (day, sku, kind, country, channel, currency, lines, units, amount)
		SELECT day, sku, kind, country, channel, currency, lines, units, trim_scale(amount::numeric)
		FROM unnest($1::text[]::date[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::text[])
			AS n(day, sku, kind, country, channel, currency, lines, units, amount)
		ON CONFLICT (day, sku, kind, country, channel, currency) DO UPDATE SET
			lines = s.lines + excluded.lines, units = s.units + excluded.units, amount = trim_scale(s.amount + excluded.amount)`

	upsertCustomers = `INSERT INTO customers AS c (customer_id, currency, orders, returns, units, ordered, amount, first_order_at, last_order_at, last_order_id)
		SELECT customer_id, currency, orders, returns, units, trim_scale(ordered::numeric), trim_scale(amount::numeric), first_order_at, last_order_at, last_order_id
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::timestamptz[], $9::timestamptz[], $10::text[])
			AS n(customer_id, currency, orders, returns, units, ordered, amount, first_order_at, last_order_at, last_order_id)
		ON CONFLICT (customer_id, currency) DO UPDATE SET orders = c.orders + excluded.orders, returns = c.returns + excluded.returns,
			units = c.units + excluded.units, ordered = trim_scale(c.ordered + excluded.ordered), amount = trim_scale(c.amount + excluded.amount),
			first_order_at = least(c.first_order_at, excluded.first_order_at),
			last_order_id = CASE WHEN excluded.last_order_at >= c.last_order_at OR c.last_order_at IS NULL THEN excluded.last_order_id ELSE c.last_order_id END,
			last_order_at = greatest(c.last_order_at, excluded.last_order_at)`
)

// store adds a batch's sums to the tables, in the order of their keys.
func (l *ledger) store(ctx context.Context, tx pgx.Tx) error {
	fresh, err := l.storeDocuments(ctx, tx)
	if err != nil {
		return fmt.Errorf("store documents: %w", err)
	}
	newDocuments := make(map[dayKey]int64)
	for _, name := range fresh {
		d := l.documents[name]
		newDocuments[dayKey{d.day, d.kind, d.Country, d.Channel, d.Currency}]++
		if d.kind == Return && d.Customer != "" {
			l.customer(d.head).returns++
		}
	}
	var b pgx.Batch
	l.queueDays(&b, newDocuments)
	l.queueSKUs(&b)
	l.queueCustomers(&b)
	if b.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("store sums: %w", err)
	}
	return nil
}

// storeDocuments returns which of them are new.
func (l *ledger) storeDocuments(ctx context.Context, tx pgx.Tx) ([]string, error) {
	names := slices.Sorted(maps.Keys(l.documents))
	if len(names) == 0 {
		return nil, nil
	}
	var kinds, references, customers, countries, channels, currencies, days, amounts []string
	var times []time.Time
	var lines, units []int64
	for _, name := range names {
		d := l.documents[name]
		kinds, references, customers = append(kinds, d.kind), append(references, d.Reference), append(customers, d.Customer)
		countries, channels, currencies = append(countries, d.Country), append(channels, d.Channel), append(currencies, d.Currency)
		days, times = append(days, d.day), append(times, d.at)
		lines, units, amounts = append(lines, d.lines), append(units, d.units), append(amounts, d.amount.String())
	}
	rows, err := tx.Query(ctx, upsertDocuments, names, kinds, references, customers, countries, channels, currencies, days, times, lines, units, amounts)
	if err != nil {
		return nil, err
	}
	var fresh []string
	var name string
	var isNew bool
	_, err = pgx.ForEachRow(rows, []any{&name, &isNew}, func() error {
		if isNew {
			fresh = append(fresh, name)
		}
		return nil
	})
	return fresh, err
}

func (l *ledger) queueDays(b *pgx.Batch, documents map[dayKey]int64) {
	keys := slices.SortedFunc(maps.Keys(l.days), func(x, y dayKey) int {
		return cmp.Or(cmp.Compare(x.day, y.day), cmp.Compare(x.kind, y.kind), cmp.Compare(x.country, y.country),
			cmp.Compare(x.channel, y.channel), cmp.Compare(x.currency, y.currency))
	})
	if len(keys) == 0 {
		return
	}
	var days, kinds, countries, channels, currencies, amounts []string
	var counts, lines, units []int64
	for _, k := range keys {
		s := l.days[k]
		days, kinds, countries = append(days, k.day), append(kinds, k.kind), append(countries, k.country)
		channels, currencies = append(channels, k.channel), append(currencies, k.currency)
		counts, lines, units = append(counts, documents[k]), append(lines, s.lines), append(units, s.units)
		amounts = append(amounts, s.amount.String())
	}
	b.Queue(upsertDays, days, kinds, countries, channels, currencies, counts, lines, units, amounts)
}

func (l *ledger) queueSKUs(b *pgx.Batch) {
	keys := slices.SortedFunc(maps.Keys(l.skus), func(x, y skuKey) int {
		return cmp.Or(cmp.Compare(x.day, y.day), cmp.Compare(x.sku, y.sku), cmp.Compare(x.kind, y.kind),
			cmp.Compare(x.country, y.country), cmp.Compare(x.channel, y.channel), cmp.Compare(x.currency, y.currency))
	})
	if len(keys) == 0 {
		return
	}
	var days, skus, kinds, countries, channels, currencies, amounts []string
	var lines, units []int64
	for _, k := range keys {
		s := l.skus[k]
		days, skus, kinds, countries = append(days, k.day), append(skus, k.sku), append(kinds, k.kind), append(countries, k.country)
		channels, currencies = append(channels, k.channel), append(currencies, k.currency)
		lines, units, amounts = append(lines, s.lines), append(units, s.units), append(amounts, s.amount.String())
	}
	b.Queue(upsertSKUs, days, skus, kinds, countries, channels, currencies, lines, units, amounts)
}

func (l *ledger) queueCustomers(b *pgx.Batch) {
	keys := slices.SortedFunc(maps.Keys(l.customers), func(x, y customerKey) int {
		return cmp.Or(cmp.Compare(x.id, y.id), cmp.Compare(x.currency, y.currency))
	})
	if len(keys) == 0 {
		return
	}
	var ids, currencies, placed, amounts, lastIDs []string
	var orders, returned, units []int64
	var first, last []*time.Time
	for _, k := range keys {
		c := l.customers[k]
		ids, currencies, lastIDs = append(ids, k.id), append(currencies, k.currency), append(lastIDs, c.lastID)
		orders, returned, units = append(orders, c.orders), append(returned, c.returns), append(units, c.units)
		placed, amounts = append(placed, c.placed.String()), append(amounts, c.amount.String())
		first, last = append(first, c.firstAt), append(last, c.lastAt)
	}
	b.Queue(upsertCustomers, ids, currencies, orders, returned, units, placed, amounts, first, last, lastIDs)
}
