package productview

import (
	"context"
	"fmt"
	"strings"
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

	// What prices, taxes and shipping need to know.
	TaxClass    string
	Categories  []string
	WeightGrams int64
	GiftCard    bool
}

// Price is the price of one unit in one currency.
type Price struct {
	Amount   decimal.Decimal
	Currency string
}

// columns are those of a Product.
var columns = `SELECT ` + products.AllExcept("tax_class", "categories", "weight_grams", "gift_card") + `, coalesce(tax_class, '') AS tax_class,
	coalesce(categories, '{}') AS categories, coalesce(weight_grams, 0) AS weight_grams, coalesce(gift_card, false) AS gift_card FROM read.products`

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

// Filter chooses products; its zero value chooses all. A product matches a list if it has one
// of the list's values.
type Filter struct {
	SKUs, Kinds []string
	Retired     *bool
	// TaxClasses has "" for products without one. A product matches if it is in one of Categories.
	TaxClasses, Categories []string
	GiftCard               *bool
	// Text has words, in any order. A product must match each word: its SKU begins with the
	// word, or its title contains it. Upper and lower case are the same.
	Text string
}

// Listed says how the list of products is read and sorted.
var Listed = query.Rows[Product]{
	Select: columns,
	Sorts: map[string]query.Sort[Product]{
		"sku": {By: []query.Column{{Name: "sku", Kind: query.Text}}, Key: func(p Product) []string { return []string{p.SKU} }},
		"title": {
			By:  []query.Column{{Name: `"left"(title, 256)`, Kind: query.Text}, {Name: "sku", Kind: query.Text}},
			Key: func(p Product) []string { return []string{sortedTitle(p.Title), p.SKU} },
		},
		"listed_at": {
			By:  []query.Column{{Name: "listed_at", Kind: query.Time}, {Name: "sku", Kind: query.Text}},
			Key: func(p Product) []string { return []string{query.TimeKey(p.ListedAt), p.SKU} },
		},
	},
	DefaultSort: "sku",
}

// sortedTitle is the part of a title by which products are sorted: its beginning, as the index
// has it.
func sortedTitle(title string) string {
	runes := []rune(title)
	return string(runes[:min(len(runes), 256)])
}

// List gives a page of products. By default they are sorted by SKU.
func List(ctx context.Context, db query.DB, f Filter, p query.Page) (query.List[Product], error) {
	var w query.Where
	w.In("sku", f.SKUs)
	w.In("kind", f.Kinds)
	if f.Retired != nil {
		w.Add("retired = ?", *f.Retired)
	}
	w.In("coalesce(tax_class, '')", f.TaxClasses)
	w.AnyOf("categories && ?::text[]", f.Categories)
	if f.GiftCard != nil {
		w.Add("coalesce(gift_card, false) = ?", *f.GiftCard)
	}
	for word := range strings.FieldsSeq(f.Text) {
		w.Add("(starts_with(sku, ?::text) OR strpos(lower(title), lower(?::text)) > 0)", query.SKU(word), word)
	}
	list, err := Listed.Read(ctx, db, w, p)
	if err != nil {
		return list, fmt.Errorf("list products: %w", err)
	}
	return list, price(ctx, db, list.Items)
}

// price reads the prices of the products in found, and puts them there.
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
