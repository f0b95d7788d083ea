package productview

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"daybook/projections/query"
)

// Product is an entry of the catalogue.
type Product struct {
	SKU       string
	Title     string
	Kind      string // stocked or service
	Retired   bool
	Prices    []Price   `db:"-"` // by currency
	ListedAt  time.Time // effective time of the last listing
	ChangedAt time.Time // recorded time of the last event
	Revision  int64
}

// Price is that of one unit.
type Price struct {
	Amount   decimal.Decimal
	Currency string
}

// columns are those of a Product.
var columns = `SELECT ` + products.List() + ` FROM read.products`

// Get reads one product, or query.ErrNotFound.
func Get(ctx context.Context, db query.DB, sku string) (Product, error) {
	p, err := query.One[Product](ctx, db, columns+` WHERE sku = $1`, sku)
	if err != nil {
		return Product{}, fmt.Errorf("product %s: %w", sku, err)
	}
	one := []Product{p}
	if err := price(ctx, db, one); err != nil {
		return Product{}, err
	}
	return one[0], nil
}

// Filter chooses products; its zero value chooses all.
type Filter struct {
	Kind    string
	Retired *bool
	// Text chooses products whose SKU begins so, or whose title has it, in any case.
	Text string
}

// List gives a page of products by SKU.
func List(ctx context.Context, db query.DB, f Filter, p query.Page) (query.List[Product], error) {
	var w query.Where
	w.Text("kind = ?", f.Kind)
	if f.Retired != nil {
		w.Add("retired = ?", *f.Retired)
	}
	if f.Text != "" {
		w.Add("(starts_with(sku, ?::text) OR strpos(lower(title), lower(?::text)) > 0)", query.SKU(f.Text), f.Text)
	}
	if p.After != "" {
		key, err := query.Uncursor(p.After, 1)
		if err != nil {
			return query.List[Product]{}, err
		}
		w.Add("sku > ?", key[0])
	}
	rows, err := query.All[Product](ctx, db, columns+w.SQL()+` ORDER BY sku LIMIT `+w.Arg(p.Size()+1), w.Args...)
	if err != nil {
		return query.List[Product]{}, fmt.Errorf("list products: %w", err)
	}
	list := query.Cut(rows, p, func(p Product) string { return query.Cursor(p.SKU) })
	return list, price(ctx, db, list.Items)
}

// price fills in the prices of products.
func price(ctx context.Context, db query.DB, found []Product) error {
	skus, at := make([]string, len(found)), make(map[string]*Product, len(found))
	for i := range found {
		skus[i], at[found[i].SKU] = found[i].SKU, &found[i]
		found[i].Prices = []Price{}
	}
	rows, err := db.Query(ctx, `SELECT `+prices.Only("sku", "price", "currency")+` FROM read.product_prices WHERE sku = ANY ($1) ORDER BY sku, currency`, skus)
	if err != nil {
		return fmt.Errorf("prices: %w", err)
	}
	var sku string
	var p Price
	_, err = pgx.ForEachRow(rows, []any{&sku, &p.Amount, &p.Currency}, func() error {
		at[sku].Prices = append(at[sku].Prices, p)
		return nil
	})
	if err != nil {
		return fmt.Errorf("prices: %w", err)
	}
	return nil
}
