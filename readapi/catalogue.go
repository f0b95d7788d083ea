package readapi

import (
	"context"

	"daybook/internal/resource"
	"daybook/projections/cartview"
	"daybook/projections/productview"
	"daybook/projections/query"
)

type listProductsInput struct {
	Reading
	Paging
	Kind   string `query:"kind" enum:"stocked,service"`
	Status string `query:"status" enum:"on_sale,retired"`
	Text   string `query:"q" maxLength:"100" doc:"SKU begins so, or the title has it, in any case."`
}

func (a *api) listProducts(ctx context.Context, in *listProductsInput) (query.List[resource.Product], error) {
	f := productview.Filter{Kind: in.Kind, Text: in.Text}
	if in.Status != "" {
		f.Retired = new(in.Status == resource.ProductStatus(true))
	}
	rows, err := productview.List(ctx, a.DB, f, in.page())
	return page(rows, err, productOf)
}

type productInput struct {
	Reading
	SKU string `path:"sku" maxLength:"64" doc:"Percent-encode blanks and slashes."`
}

func (a *api) product(ctx context.Context, in *productInput) (resource.Product, error) {
	row, err := productview.Get(ctx, a.DB, sku(in.SKU))
	return one(row, err, productOf)
}

type listCartsInput struct {
	Reading
	Paging
	Counting
	Period
	Status     []string `query:"status" maxItems:"10" enum:"open,completing,completed,expired,abandoned"`
	CustomerID []string `query:"customer_id" maxItems:"100" minLength:"1" maxLength:"64"`
	Channel    []string `query:"channel" maxItems:"100" minLength:"1" maxLength:"32"`
	Sort       string   `query:"sort" enum:"changed_at,-changed_at,opened_at,-opened_at,total,-total" default:"-changed_at" doc:"The last changed first by default. Totals of different currencies are compared as numbers."`
	Short      bool     `query:"short" doc:"Only carts whose last checkout was refused, or took less than all."`
}

func (a *api) listCarts(ctx context.Context, in *listCartsInput) (query.List[resource.CartSummary], error) {
	rows, err := cartview.List(ctx, a.DB, cartview.Filter{
		Phases: in.Status, CustomerIDs: values(in.CustomerID), Channels: values(in.Channel), Short: in.Short, From: in.From, To: in.To,
	}, in.listing(in.Counting, in.Sort))
	return page(rows, err, cartSummary)
}

type cartInput struct {
	Reading
	CartID string `path:"cart_id" maxLength:"64"`
}

func (a *api) cart(ctx context.Context, in *cartInput) (resource.Cart, error) {
	row, err := cartview.Get(ctx, a.DB, in.CartID)
	return one(row, err, cartOf)
}
