// Package productview is the read model of the catalogue: what is sold, and at which price.
// Package stockview has the quantities.
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
	"github.com/shopspring/decimal"

	"daybook/domain/product"
	"daybook/projections"
	"daybook/projections/table"
)

//go:embed schema.sql
var tables string

// The index has only the beginning of a title, because an index entry can have at most 2,704
// bytes. Commands record titles of at most 200 characters, but an event may have a longer one.
const indexes = `CREATE INDEX products_by_kind ON products (kind, sku);
CREATE INDEX products_by_title ON products ("left"(title, 256), sku);
CREATE INDEX products_by_listing ON products (listed_at, sku);`

// View returns the view, for the runner.
func View() projections.View {
	return projections.View{
		Name:     "products",
		Version:  5, // 5 added tax class, categories, weight and gift cards
		Claims:   []string{product.Category + "."},
		Tables:   tables,
		Columns:  map[string][]string{products.Name(): products.Names(), prices.Name(): prices.Names()},
		Indexes:  indexes,
		Metadata: true,
		Belongs:  projections.OfItsKind,
		Decode: func(eventType string, data []byte) (any, error) {
			return product.Decode(eventType, data)
		},
		Apply: apply,
	}
}

// entry is what a batch changes in a product. A nil member does not change.
type entry struct {
	title, kind *string
	retired     *bool
	listedAt    *time.Time
	changedAt   time.Time
	revision    int64
	description *product.Description
}

type priceKey struct{ sku, currency string }

func apply(_ context.Context, tx *projections.Tx, batch []projections.Event) error {
	entries, latest := make(map[string]*entry), make(map[priceKey]decimal.Decimal)
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
		case product.Described:
			p.description = &event.Description
		case product.Priced:
			latest[priceKey{sku, string(event.Price.Currency)}] = event.Price.Amount
		case product.Retired:
			retired := true
			p.retired = &retired
		}
	}
	queueProducts(tx.Writes(), entries)
	queuePrices(tx.Writes(), latest)
	return nil
}

// productRow is what a batch changes in one product.
type productRow struct {
	sku string
	*entry
}

// A column without a new value stays as it is.
var products = table.New("products",
	table.Key("sku", table.Text, func(p productRow) string { return p.sku }),
	table.Kept("title", table.MaybeText, func(p productRow) *string { return p.title }),
	table.Kept("kind", table.MaybeText, func(p productRow) *string { return p.kind }),
	table.Kept("retired", table.MaybeFlag, func(p productRow) *bool { return p.retired }),
	table.Kept("listed_at", table.MaybeTime, func(p productRow) *time.Time { return p.listedAt }),
	table.Set("changed_at", table.Time, func(p productRow) time.Time { return p.changedAt }),
	table.Set("revision", table.Number, func(p productRow) int64 { return p.revision }),
	table.Kept("tax_class", table.MaybeText, described(func(d *product.Description) string { return d.TaxClass })),
	table.Kept("categories", table.MaybeTexts, described(func(d *product.Description) []string { return d.Categories })),
	table.Kept("weight_grams", table.MaybeNumber, described(func(d *product.Description) int64 { return d.Grams })),
	table.Kept("gift_card", table.MaybeFlag, described(func(d *product.Description) bool { return d.GiftCard })),
)

// priceRow is a product's price in one currency.
// described returns a part of a product's description; nil: the events do not describe it.
func described[V any](of func(*product.Description) V) func(productRow) *V {
	return func(p productRow) *V {
		if p.description == nil {
			return nil
		}
		value := of(p.description)
		return &value
	}
}

type priceRow struct {
	priceKey
	price decimal.Decimal
}

var prices = table.New("product_prices",
	table.Key("sku", table.Text, func(p priceRow) string { return p.sku }),
	table.Key("currency", table.Text, func(p priceRow) string { return p.currency }),
	table.Set("price", table.Amount, func(p priceRow) decimal.Decimal { return p.price }),
)

var upsertProducts, updateProducts, upsertPrices = products.Upsert(), products.Update(), prices.Upsert()

// queueProducts writes whole rows for the products that a Listed event has made complete, and
// only the changes for the others.
func queueProducts(b *pgx.Batch, entries map[string]*entry) {
	var listed, changed []productRow
	for _, sku := range slices.Sorted(maps.Keys(entries)) {
		if row := (productRow{sku, entries[sku]}); row.listedAt != nil {
			listed = append(listed, row)
		} else {
			changed = append(changed, row)
		}
	}
	upsertProducts.Queue(b, listed)
	updateProducts.Queue(b, changed)
}

func queuePrices(b *pgx.Batch, latest map[priceKey]decimal.Decimal) {
	var rows []priceRow
	for _, key := range slices.SortedFunc(maps.Keys(latest), func(x, y priceKey) int {
		return cmp.Or(cmp.Compare(x.sku, y.sku), cmp.Compare(x.currency, y.currency))
	}) {
		rows = append(rows, priceRow{key, latest[key]})
	}
	upsertPrices.Queue(b, rows)
}
