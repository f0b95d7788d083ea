package verify

import (
	"context"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/product"
	"daybook/domain/unit"
)

func compareProducts(ctx context.Context, b *Book, from build) ([]*Check, error) {
	prices := map[priceKey]decimal.Decimal{}
	for sku, p := range b.Products {
		for currency, price := range p.Prices {
			prices[priceKey{string(sku), string(currency)}] = price.Amount
		}
	}
	products, err := compareTable(ctx, from, "products", b.Products, &productRow{})
	if err != nil {
		return nil, err
	}
	priced, err := compareTable(ctx, from, "product_prices", prices, &priceRow{})
	if err != nil {
		return nil, err
	}
	return []*Check{products, priced}, nil
}

type productRow struct {
	sku, title, kind    string
	retired             bool
	listedAt, changedAt time.Time
	revision            int64

	taxClass   *string
	categories *[]string
	grams      *int64
	giftCard   *bool
}

func (r *productRow) columns() []column[*Product] {
	return []column[*Product]{
		keyColumn[*Product]("sku", &r.sku),
		equals("title", &r.title, func(p *Product) string { return p.Title }),
		equals("kind", &r.kind, func(p *Product) string { return string(p.Kind) }),
		equals("retired", &r.retired, func(p *Product) bool { return p.Phase == product.OffSale }),
		equals("listed_at", &r.listedAt, func(p *Product) time.Time { return p.listedAt }),
		equals("changed_at", &r.changedAt, func(p *Product) time.Time { return p.last.recordedAt }),
		equals("revision", &r.revision, func(p *Product) int64 { return p.last.revision }),
		comparedBy("tax_class", &r.taxClass, described("tax_class", &r.taxClass, func(p *Product) string { return p.Description.TaxClass })),
		comparedBy("categories", &r.categories, described("categories", &r.categories, func(p *Product) []string { return p.Description.Categories })),
		comparedBy("weight_grams", &r.grams, described("weight_grams", &r.grams, func(p *Product) int64 { return p.Description.Grams })),
		comparedBy("gift_card", &r.giftCard, described("gift_card", &r.giftCard, func(p *Product) bool { return p.Description.GiftCard })),
	}
}

// described compares a part of the description. The column is NULL if the product was never
// described.
func described[V any](column string, got **V, want func(*Product) V) func(*Product, *rowDifference) {
	return func(p *Product, d *rowDifference) {
		switch {
		case !p.described && *got != nil:
			d.columns = append(d.columns, "the product was never described, but has a description")
		case p.described && *got == nil:
			d.columns = append(d.columns, "the product was described, but has no description")
		case p.described:
			d.column(column, **got, want(p))
		}
	}
}

func (r *productRow) key() unit.SKU { return unit.SKU(r.sku) }

type priceKey struct{ sku, currency string }

func (k priceKey) String() string { return k.sku + " in " + k.currency }

type priceRow struct {
	priceKey priceKey
	price    decimal.Decimal
}

func (r *priceRow) columns() []column[decimal.Decimal] {
	return []column[decimal.Decimal]{
		keyColumn[decimal.Decimal]("sku", &r.priceKey.sku), keyColumn[decimal.Decimal]("currency", &r.priceKey.currency),
		equals("price", &r.price, func(price decimal.Decimal) decimal.Decimal { return price }),
	}
}

func (r *priceRow) key() priceKey { return r.priceKey }
