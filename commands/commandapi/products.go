package commandapi

import (
	"context"
	"errors"

	"daybook/commands/aggregate"
	"daybook/domain/product"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// ProductPath names a product.
type ProductPath struct {
	Headers
	SKU string `path:"sku" maxLength:"64" example:"MUG" doc:"Percent-encode blanks and slashes."`
}

type listProductInput struct {
	ProductPath
	Body struct {
		Title  string       `json:"title" minLength:"1" maxLength:"200"`
		Kind   string       `json:"kind,omitempty" enum:"stocked,service" default:"stocked" doc:"Stocked goods are kept in stock and shipped. A service (postage, a fee, a discount) is only sold."`
		Prices []MoneyInput `json:"prices,omitempty" maxItems:"50" doc:"The prices of one unit, one for each currency. Currencies not named keep their price."`

		TaxClass    *string   `json:"tax_class,omitempty" maxLength:"64" doc:"How it is taxed, such as books. Empty: by the default class of the legal entity. Left out: as before."`
		Categories  *[]string `json:"categories,omitempty" maxItems:"200" maxLength:"64" doc:"Promotions may be for categories. Left out: as before."`
		WeightGrams *int64    `json:"weight_grams,omitempty" minimum:"0" maximum:"100000000" doc:"The weight of one unit in grams, for shipping. Left out: as before."`
		GiftCard    *bool     `json:"gift_card,omitempty" doc:"It is a gift card: a service without tax and discounts. Left out: as before."`
	}
}

func (a *api) listProduct(ctx context.Context, c call, in *listProductInput) (*response[resource.Product], error) {
	var bad check
	sku := inPath(&bad, "sku", in.SKU, unit.ParseSKU)
	wanted := []product.Command{product.List{SKU: sku, Title: in.Body.Title, Kind: unit.Kind(in.Body.Kind)}}
	named := make(map[unit.Currency]bool, len(in.Body.Prices))
	for i, given := range in.Body.Prices {
		price := money(&bad, at("/prices", i), given)
		if price.Currency != "" && named[price.Currency] {
			bad.fault(problem.InBody(at("/prices", i)+"/currency", "this currency is named twice"))
		}
		named[price.Currency] = true
		wanted = append(wanted, product.SetPrice{Price: price})
	}
	if in.Body.TaxClass != nil {
		optional(&bad, "/tax_class", *in.Body.TaxClass, unit.ParseCode)
	}
	if in.Body.Categories != nil {
		for i, category := range *in.Body.Categories {
			inBody(&bad, at("/categories", i), category, unit.ParseCode)
		}
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	if in.Body.TaxClass != nil || in.Body.Categories != nil || in.Body.WeightGrams != nil || in.Body.GiftCard != nil {
		wanted = append(wanted, product.Describe{TaxClass: in.Body.TaxClass, Categories: in.Body.Categories, Grams: in.Body.WeightGrams, GiftCard: in.Body.GiftCard})
	}
	return a.changeProduct(ctx, c, sku, wanted...)
}

type setPriceInput struct {
	ProductPath
	Currency string `path:"currency" minLength:"3" maxLength:"3" example:"GBP" doc:"ISO 4217."`
	Body     struct {
		Amount string `json:"amount" maxLength:"26" example:"7.50" doc:"The price of one unit. May have more digits than the currency; only a service may be below zero."`
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
	set := product.SetPrice{Price: unit.Money{Amount: amount, Currency: currency}}
	if c.If == nil || !c.If.Exists && !c.If.Empty {
		return a.changeProduct(ctx, c, sku, set)
	}
	return a.setPriceIf(ctx, c, sku, set)
}

// setPriceIf sets a price if there is one (If-Match: *) or none (If-None-Match: *) in its
// currency. The price is looked up, and set at the revision of the product at which it was looked
// up. If the product was changed in between, both are done again.
func (a *api) setPriceIf(ctx context.Context, c call, sku unit.SKU, set product.SetPrice) (*response[resource.Product], error) {
	asked := *c.If
	for {
		var revision int64
		priced, err := view(ctx, a.service.ViewProduct, sku, func(s product.State, at int64) bool {
			revision = at
			_, priced := s.Prices[set.Price.Currency]
			return priced
		})
		if err != nil {
			return nil, err
		}
		rest := aggregate.Condition{At: asked.At, NotAt: asked.NotAt} // what the request expects of the product's revision
		holds := (!asked.Exists || priced) && (!asked.Empty || !priced) && rest.Allows(revision)
		c.If = &aggregate.Condition{At: []int64{}, NotAt: asked.NotAt} // no revision is allowed, so only a request that was carried out before succeeds
		if holds {
			c.If.At = []int64{revision}
		}
		done, err := a.changeProduct(ctx, c, sku, set)
		if _, stale := errors.AsType[*aggregate.StaleError](err); !stale || !holds || ctx.Err() != nil {
			return done, err
		}
	}
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
	return respond(state.Revision, done, state), nil
}

// viewFrom makes a response's body from a state that has at least the event of a revision, which
// the request has written.
func viewFrom[ID, S, B any](ctx context.Context, read func(context.Context, ID, int64, func(S, int64)) error, id ID, revision int64, body func(S, int64) B) (B, error) {
	var out B
	err := read(ctx, id, revision, func(state S, revision int64) { out = body(state, revision) })
	return out, err
}

// view makes a response's body from the state as it now stands.
func view[ID, S, B any](ctx context.Context, read func(context.Context, ID, func(S, int64)) error, id ID, body func(S, int64) B) (B, error) {
	var out B
	err := read(ctx, id, func(state S, revision int64) { out = body(state, revision) })
	return out, err
}
