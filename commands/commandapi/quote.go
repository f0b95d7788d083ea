package commandapi

import (
	"context"
	"errors"
	"maps"
	"net/http"

	"daybook/domain/cart"
	"daybook/domain/checkout"
	"daybook/domain/money/pricing"
	"daybook/domain/rule"
	"daybook/domain/unit"
	"daybook/internal/resource"
)

// couponPath names a code on a cart.
type couponPath struct {
	CartPath
	Code string `path:"code" maxLength:"64" example:"SPRING10"`
}

func (a *api) addCoupon(ctx context.Context, c call, in *couponPath) (*response[resource.Cart], error) {
	return a.changeCoupons(ctx, c, in, cart.AddCoupon{Code: in.Code})
}

func (a *api) removeCoupon(ctx context.Context, c call, in *couponPath) (*response[resource.Cart], error) {
	return a.changeCoupons(ctx, c, in, cart.RemoveCoupon{Code: in.Code})
}

func (a *api) changeCoupons(ctx context.Context, c call, in *couponPath, change cart.Command) (*response[resource.Cart], error) {
	var bad check
	id := inPath(&bad, "cart_id", in.CartID, unit.ParseCartID)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCart(ctx, c, id, change)
}

type chooseShippingInput struct {
	CartPath
	Body struct {
		MethodID string `json:"method_id,omitempty" maxLength:"64" example:"post" doc:"One of the shipping options of quote-cart. Left out: none."`
	}
}

func (a *api) chooseShipping(ctx context.Context, c call, in *chooseShippingInput) (*response[resource.Cart], error) {
	var bad check
	id := inPath(&bad, "cart_id", in.CartID, unit.ParseCartID)
	method := optional(&bad, "/method_id", in.Body.MethodID, unit.ParseCode)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCart(ctx, c, id, cart.ChooseShipping{Method: method})
}

type quoteCartInput struct {
	ProcessHeaders
	CartID string `path:"cart_id" maxLength:"64"`
}

func (a *api) quoteCart(ctx context.Context, c call, in *quoteCartInput) (*response[resource.CartQuote], error) {
	var bad check
	id := inPath(&bad, "cart_id", in.CartID, unit.ParseCartID)
	if err := bad.err(); err != nil {
		return nil, err
	}
	priced, err := a.service.PriceCart(ctx, c.Call, id)
	if err != nil {
		return nil, err
	}
	body := resource.CartQuote{
		CartID: string(id), Revision: priced.Revision, Reasons: resource.ReasonsOf(priced.Reasons),
		Shipping: resource.ShippingOptionsOf(priced.Shipping),
	}
	if priced.Refused == nil {
		body.Quote = new(resource.QuoteOf(priced.Quote))
	} else {
		body.Refused = &resource.Refused{Code: priced.Refused.Code, Detail: priced.Refused.Detail}
	}
	return &response[resource.CartQuote]{Status: http.StatusOK, Body: &body}, nil
}

// priceChanged shows the quote of a refusal in the form of the API.
func priceChanged(err error) error {
	refusal, is := errors.AsType[*rule.Rejection](err)
	if !is || !errors.Is(err, checkout.ErrPriceChanged) {
		return err
	}
	facts := maps.Clone(refusal.Facts)
	if quote, has := facts["quote"].(pricing.Quote); has {
		facts["quote"] = resource.QuoteOf(quote)
	}
	reasons, _ := facts["reasons"].([]checkout.Reason)
	facts["reasons"] = resource.ReasonsOf(reasons)
	return refusal.With(refusal.Detail, facts)
}
