package readapi

import (
	"context"
	"slices"

	"daybook/domain/access"
	"daybook/internal/problem"
	"daybook/internal/resource"
	"daybook/projections/cartview"
	"daybook/projections/productview"
	"daybook/projections/query"
	"daybook/projections/stockview"
)

// Including asks for what belongs to a product and comes from another view, such as its stock.
type Including struct {
	Include string `query:"include" enum:"stock" doc:"stock: how much there is of the product at each location, as of now. It needs the permission stock.read."`
}

func (in Including) also() []string {
	if in.Include == "stock" {
		return []string{stock}
	}
	return nil
}

type listProductsInput struct {
	Reading
	Paging
	Counting
	Including
	SKU      []string `query:"sku" maxItems:"500" minLength:"1" maxLength:"64"`
	Kind     []string `query:"kind" maxItems:"2" enum:"stocked,service"`
	Status   []string `query:"status" maxItems:"2" enum:"on_sale,retired"`
	TaxClass []string `query:"tax_class" maxItems:"50" minLength:"1" maxLength:"64"`
	Category []string `query:"category" maxItems:"50" minLength:"1" maxLength:"64" doc:"A product must be in one of them."`
	GiftCard string   `query:"gift_card" enum:"true,false" doc:"Only gift cards, or only other products."`
	Text     string   `query:"q" maxLength:"100" doc:"Words, in any order. A product must match each word: its SKU begins with the word, or its title contains it. Upper and lower case are the same."`
	Sort     string   `query:"sort" enum:"sku,-sku,title,-title,listed_at,-listed_at" default:"sku"`
}

func (a *api) listProducts(ctx context.Context, in *listProductsInput) (query.List[resource.Product], error) {
	f := productview.Filter{SKUs: skus(in.SKU), Kinds: in.Kind, Text: in.Text, TaxClasses: values(in.TaxClass), Categories: values(in.Category)}
	if len(in.Status) > 0 && !slices.ContainsFunc(in.Status, func(status string) bool { return status != in.Status[0] }) { // on_sale and retired together choose all products
		f.Retired = new(in.Status[0] == resource.ProductStatus(true))
	}
	if in.GiftCard != "" {
		f.GiftCard = new(in.GiftCard == "true")
	}
	rows, err := productview.List(ctx, a.DB, f, in.listing(in.Counting, in.Sort))
	list, err := page(rows, err, productOf)
	if err != nil {
		return list, err
	}
	return list, a.include(ctx, in.Including, list.Items)
}

// include adds what was asked for to the products, with one query for all products. Stock needs the
// permission that it needs at its own routes.
func (a *api) include(ctx context.Context, in Including, products []resource.Product) error {
	if in.Include == "" {
		return nil
	}
	if !problem.RequestOf(ctx).Who.May(access.ReadStock) {
		return problem.Forbidden(access.ReadStock)
	}
	all, at := make([]string, len(products)), make(map[string]*resource.Product, len(products))
	for i := range products {
		all[i], at[products[i].SKU] = products[i].SKU, &products[i]
		products[i].Stock = []resource.Stock{}
	}
	levels, err := stockview.LevelsOf(ctx, a.DB, all, a.Now())
	for _, level := range levels {
		of := at[level.SKU]
		of.Stock = append(of.Stock, stockOf(level))
	}
	return err
}

type productInput struct {
	Reading
	Including
	SKU string `path:"sku" maxLength:"64" doc:"Percent-encode blanks and slashes."`
}

func (a *api) product(ctx context.Context, in *productInput) (resource.Product, error) {
	row, err := productview.Get(ctx, a.DB, sku(in.SKU))
	if err != nil {
		return resource.Product{}, err
	}
	found := []resource.Product{productOf(row)}
	err = a.include(ctx, in.Including, found)
	return found[0], err
}

type listCartsInput struct {
	Reading
	Paging
	Counting
	Period
	Status     []string `query:"status" maxItems:"10" enum:"open,completing,completed,expired,abandoned,merged"`
	CustomerID []string `query:"customer_id" class:"customer" maxItems:"100" minLength:"1" maxLength:"64"`
	Channel    []string `query:"channel" maxItems:"100" minLength:"1" maxLength:"32"`
	Sort       string   `query:"sort" enum:"changed_at,-changed_at,opened_at,-opened_at,total,-total" default:"-changed_at" doc:"By default the cart that was changed last comes first. Totals in different currencies are compared as plain numbers."`
	Short      bool     `query:"short" doc:"Only carts whose last checkout was refused or left lines out."`
}

func (a *api) listCarts(ctx context.Context, in *listCartsInput) (query.List[resource.CartSummary], error) {
	customers, err := a.ownRows(ctx, access.ReadCarts, values(in.CustomerID))
	if err != nil {
		return query.List[resource.CartSummary]{}, err
	}
	rows, err := cartview.List(ctx, a.DB, cartview.Filter{
		Phases: in.Status, CustomerIDs: customers, Channels: values(in.Channel), Short: in.Short, From: in.From, To: in.To,
	}, in.listing(in.Counting, in.Sort))
	return page(rows, err, cartSummary)
}

type cartInput struct {
	Reading
	CartID string `path:"cart_id" maxLength:"64"`
}

func (a *api) cart(ctx context.Context, in *cartInput) (resource.Cart, error) {
	row, err := cartview.Get(ctx, a.DB, in.CartID)
	if err == nil {
		err = a.mayRead(ctx, access.ReadCarts, row.CustomerID, row.CartID)
	}
	return one(row, err, cartOf)
}
