package commandapi

import (
	"context"

	"daybook/domain/product"
	"daybook/domain/unit"
	"daybook/internal/resource"
)

// ProductPath names a product.
type ProductPath struct {
	Headers
	SKU string `path:"sku" maxLength:"64" example:"85123A" doc:"Percent-encode blanks and slashes."`
}

type listProductInput struct {
	ProductPath
	Body struct {
		Title  string       `json:"title" minLength:"1" maxLength:"200"`
		Kind   string       `json:"kind,omitempty" enum:"stocked,service" default:"stocked" doc:"Stocked goods are held and shipped; a service (postage, a fee, a discount) is only sold."`
		Prices []MoneyInput `json:"prices,omitempty" maxItems:"50" doc:"Of one unit, one for each currency. Currencies not named keep their price."`
	}
}

func (a *api) listProduct(ctx context.Context, c call, in *listProductInput) (*response[resource.Product], error) {
	var bad check
	sku := inPath(&bad, "sku", in.SKU, unit.ParseSKU)
	wanted := []product.Command{product.List{SKU: sku, Title: in.Body.Title, Kind: unit.Kind(in.Body.Kind)}}
	for i, price := range in.Body.Prices {
		wanted = append(wanted, product.SetPrice{Price: money(&bad, at("/prices", i), price)})
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeProduct(ctx, c, sku, wanted...)
}

type setPriceInput struct {
	ProductPath
	Currency string `path:"currency" minLength:"3" maxLength:"3" example:"GBP" doc:"ISO 4217."`
	Body     struct {
		Amount string `json:"amount" maxLength:"26" example:"2.55" doc:"Of one unit. May have more digits than the currency; only a service may be below zero."`
	}
}

func (a *api) setPrice(ctx context.Context, c call, in *setPriceInput) (*response[resource.Product], error) {
	var bad check
	sku := inPath(&bad, "sku", in.SKU, unit.ParseSKU)
	currency := inPath(&bad, "currency", in.Currency, unit.ParseCurrency)
	amount := inBody(&bad, "/amount", in.Body.Amount, unit.ParseAmount)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeProduct(ctx, c, sku, product.SetPrice{Price: unit.Money{Amount: amount, Currency: currency}})
}

type retireInput struct {
	ProductPath
	Reason string `query:"reason" maxLength:"500"`
}

func (a *api) retireProduct(ctx context.Context, c call, in *retireInput) (*response[resource.Product], error) {
	var bad check
	sku := inPath(&bad, "sku", in.SKU, unit.ParseSKU)
	reason := note(&bad, "reason", in.Reason)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeProduct(ctx, c, sku, product.Retire{Reason: reason})
}

func (a *api) changeProduct(ctx context.Context, c call, sku unit.SKU, wanted ...product.Command) (*response[resource.Product], error) {
	done, err := a.service.Product(ctx, c.Call, sku, wanted...)
	if err != nil {
		return nil, err
	}
	state, err := view(ctx, a.service.ViewProduct, sku, func(s product.State, revision int64) resource.Product {
		return resource.ProductOf(sku, s, revision)
	})
	if err != nil {
		return nil, err
	}
	return reply(state.Revision, done, state), nil
}

// view makes a response's body from the state as it now stands.
func view[ID, S, B any](ctx context.Context, read func(context.Context, ID, func(S, int64)) error, id ID, body func(S, int64) B) (B, error) {
	var out B
	err := read(ctx, id, func(state S, revision int64) { out = body(state, revision) })
	return out, err
}
