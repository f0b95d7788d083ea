// Package productview is the read model of the catalogue: what can be sold, and
// for how much. How much of it there is, is the business of stockview.
package productview

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/domain/product"
	"daybook/projections"
)

//go:embed schema.sql
var tables string

// View is the read model, to be given to the runner.
func View() projections.View {
	return projections.View{
		Name:     "products",
		Version:  3, // what other programs wrote is skipped
		Claims:   []string{product.Category + "."},
		Tables:   tables,
		Indexes:  `CREATE INDEX products_by_kind ON products (kind, sku)`,
		Metadata: true,
		Belongs:  projections.OfItsKind,
		Decode: func(eventType string, data []byte) (any, error) {
			return product.Decode(eventType, data)
		},
		Apply: apply,
	}
}

// entry is what a batch changes of a product; nil is no change.
type entry struct {
	title, kind *string
	retired     *bool
	listedAt    *time.Time
	changedAt   time.Time
	revision    int64
}

type priceKey struct{ sku, currency string }

func apply(ctx context.Context, tx pgx.Tx, batch []projections.Event) error {
	entries, prices := make(map[string]*entry), make(map[priceKey]string)
	for i := range batch {
		e := &batch[i]
		sku := strings.TrimPrefix(e.Stream, product.Category+"-")
		p := entries[sku]
		if p == nil {
			p = new(entry)
			entries[sku] = p
		}
		p.changedAt, p.revision = e.RecordedAt, e.Revision
		event, ok := e.Value.(product.Event)
		if !ok {
			return fmt.Errorf("event %s at %s: not of a product", e.Type, e.Position)
		}
		switch event := event.(type) {
		case product.Listed:
			kind, at := string(event.Kind), e.EffectiveAt()
			p.title, p.kind, p.retired, p.listedAt = &event.Title, &kind, new(bool), &at
		case product.Retitled:
			p.title = &event.Title
		case product.Priced:
			prices[priceKey{sku, string(event.Price.Currency)}] = event.Price.Amount.String()
		case product.Retired:
			retired := true
			p.retired = &retired
		}
	}
	var b pgx.Batch
	queueProducts(&b, entries)
	queuePrices(&b, prices)
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("store products: %w", err)
	}
	return nil
}

const (
	upsertProducts = `INSERT INTO products (sku, title, kind, retired, listed_at, changed_at, revision)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::timestamptz[], $6::timestamptz[], $7::bigint[])
		ON CONFLICT (sku) DO UPDATE SET title = excluded.title, kind = excluded.kind, retired = excluded.retired,
			listed_at = excluded.listed_at, changed_at = excluded.changed_at, revision = excluded.revision`

	// What a batch does not say stays as it is.
	updateProducts = `UPDATE products AS p SET title = coalesce(n.title, p.title), kind = coalesce(n.kind, p.kind), retired = coalesce(n.retired, p.retired),
			listed_at = coalesce(n.listed_at, p.listed_at), changed_at = n.changed_at, revision = n.revision
		FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::timestamptz[], $6::timestamptz[], $7::bigint[])
			AS n(sku, title, kind, retired, listed_at, changed_at, revision)
		WHERE p.sku = n.sku`
)

const upsertPrices = `INSERT INTO product_prices (sku, currency, price)
	SELECT sku, currency, price::numeric FROM unnest($1::text[], $2::text[], $3::text[]) AS n(sku, currency, price)
	ON CONFLICT (sku, currency) DO UPDATE SET price = excluded.price`

// queueProducts writes the entries that a listing made complete as they are, and
// of the others what changed.
func queueProducts(b *pgx.Batch, entries map[string]*entry) {
	var listed, changed []string
	for _, sku := range slices.Sorted(maps.Keys(entries)) {
		if entries[sku].listedAt != nil {
			listed = append(listed, sku)
		} else {
			changed = append(changed, sku)
		}
	}
	if len(listed) > 0 {
		b.Queue(upsertProducts, columnsOf(listed, entries)...)
	}
	if len(changed) > 0 {
		b.Queue(updateProducts, columnsOf(changed, entries)...)
	}
}

func columnsOf(skus []string, entries map[string]*entry) []any {
	var titles, kinds []*string
	var retired []*bool
	var listed []*time.Time
	var changed []time.Time
	var revisions []int64
	for _, sku := range skus {
		p := entries[sku]
		titles, kinds, retired, listed = append(titles, p.title), append(kinds, p.kind), append(retired, p.retired), append(listed, p.listedAt)
		changed, revisions = append(changed, p.changedAt), append(revisions, p.revision)
	}
	return []any{skus, titles, kinds, retired, listed, changed, revisions}
}

func queuePrices(b *pgx.Batch, prices map[priceKey]string) {
	keys := slices.SortedFunc(maps.Keys(prices), func(x, y priceKey) int {
		return cmp.Or(cmp.Compare(x.sku, y.sku), cmp.Compare(x.currency, y.currency))
	})
	if len(keys) == 0 {
		return
	}
	var skus, currencies, amounts []string
	for _, k := range keys {
		skus, currencies, amounts = append(skus, k.sku), append(currencies, k.currency), append(amounts, prices[k])
	}
	b.Queue(upsertPrices, skus, currencies, amounts)
}
