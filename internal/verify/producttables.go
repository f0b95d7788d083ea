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
