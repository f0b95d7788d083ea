package salesview

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"daybook/projections"
)

// store adds a batch's sums to the tables, in the order of their keys.
func (l *ledger) store(ctx context.Context, tx *projections.Tx) error {
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
	l.storeTakenOver(tx)
	upsertDays.Queue(tx.Writes(), l.dayRows(newDocuments))
	upsertSKUs.Queue(tx.Writes(), l.skuRows())
	upsertCustomers.Queue(tx.Writes(), l.customerRows())
	return nil
}

// storeDocuments writes the documents of a batch and returns the names of the new ones.
func (l *ledger) storeDocuments(ctx context.Context, tx *projections.Tx) ([]string, error) {
	rows := make([]documentRow, 0, len(l.documents))
	for _, name := range slices.Sorted(maps.Keys(l.documents)) {
		rows = append(rows, documentRow{name, l.documents[name]})
	}
	if len(rows) == 0 {
		return nil, nil
	}
	stored, err := tx.Query(ctx, upsertDocuments.SQL, upsertDocuments.Args(rows)...)
	if err != nil {
		return nil, err
	}
	var fresh []string
	var name string
	var isNew bool
	_, err = pgx.ForEachRow(stored, []any{&name, &isNew}, func() error {
		if isNew {
			fresh = append(fresh, name)
		}
		return nil
	})
	return fresh, err
}

func (l *ledger) dayRows(documents map[dayKey]int64) (rows []dayRow) {
	for _, k := range slices.SortedFunc(maps.Keys(l.days), func(x, y dayKey) int {
		return cmp.Or(cmp.Compare(x.day, y.day), cmp.Compare(x.kind, y.kind), cmp.Compare(x.country, y.country),
			cmp.Compare(x.channel, y.channel), cmp.Compare(x.currency, y.currency))
	}) {
		rows = append(rows, dayRow{k, documents[k], l.days[k]})
	}
	return rows
}

func (l *ledger) skuRows() (rows []skuRow) {
	for _, k := range slices.SortedFunc(maps.Keys(l.skus), func(x, y skuKey) int {
		return cmp.Or(cmp.Compare(x.day, y.day), cmp.Compare(x.sku, y.sku), cmp.Compare(x.kind, y.kind),
			cmp.Compare(x.country, y.country), cmp.Compare(x.channel, y.channel), cmp.Compare(x.currency, y.currency))
	}) {
		rows = append(rows, skuRow{k, l.skus[k]})
	}
	return rows
}

func (l *ledger) customerRows() (rows []customerRow) {
	for _, k := range slices.SortedFunc(maps.Keys(l.customers), func(x, y customerKey) int {
		return cmp.Or(cmp.Compare(x.id, y.id), cmp.Compare(x.currency, y.currency))
	}) {
		rows = append(rows, customerRow{k, l.customers[k]})
	}
	return rows
}
