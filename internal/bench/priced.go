package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/money/entity"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/money/shipping"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// sellPriced measures checkouts of carts whose prices come from a price list, with a promotion, tax
// and shipping, beside plain ones. Both send three requests for an order, and each request changes
// something: in the third one, a shipping method is chosen here, and the country of the cart is set
// there.
func sellPriced(ctx context.Context, env Env, goods []stock.Key) (priced Row, plain []Row, err error) {
	id := "bench-" + uuid.NewString()[:8] // the channel, and all that counts on it
	if err := definePrices(ctx, env, id, goods); err != nil {
		return Row{}, nil, fmt.Errorf("define prices: %w", err)
	}
	shoppers, err := dial(ctx, env.BaseURL, env.ShopKey, clients)
	if err != nil {
		return Row{}, nil, err
	}
	defer func() { err = errors.Join(err, closeAll(shoppers)) }()
	shop, err := openShop(ctx, env, goods, shoppers)
	if err != nil {
		return Row{}, nil, err
	}
	env.Seconds, env.Profile = env.Seconds/2, nil
	way := func(channel, details string, third request) func(bool) (Row, error) {
		return func(bool) (Row, error) {
			for _, shopper := range shoppers {
				shopper.channel = channel
			}
			shop.details, shop.third = details, &third
			return shop.sell(ctx, env, 0)
		}
	}
	priced, open, err := bothWays(env.run,
		way(id, `,"accept_lower":true`, request{http.MethodPut, "/shipping", `{"method_id":"` + id + `"}`}),
		way("", "", request{http.MethodPatch, "", `{"country":"GB"}`}))
	priced.Variant, open.Variant = "daybook, with a price list, a promotion, tax and shipping", "the same, with the prices of the catalogue"
	priced.Note, open.Note = "three requests an order", "three requests an order"
	return priced, []Row{open}, err
}

// request is a request about a cart.
type request struct{ method, path, body string }

// definePrices defines a price list, a promotion, a seller with a tax, and a shipping method, which
// count on one channel only. Every cart costs less with them than by the catalogue.
func definePrices(ctx context.Context, env Env, id string, goods []stock.Key) error {
	call := func() commands.Call { return commands.Call{Who: access.System("bench"), Meta: newMeta()} }
	only, pound := []string{id}, func(amount string) unit.Money {
		m, err := unit.ParseMoney(amount, "GBP")
		if err != nil {
			panic(err) // a programmer's error
		}
		return m
	}
	rate, err := unit.ParsePercent("20")
	if err != nil {
		return err
	}
	off, err := unit.ParsePercent("10")
	if err != nil {
		return err
	}
	seller := entity.Define{
		ID: id, Rows: []pricing.TaxRow{{Class: "standard", Component: "VAT", Rate: rate}},
		Terms: entity.Terms{Title: "Bench", Home: pricing.Zone{Country: "GB"}, Mode: pricing.Inclusive, Channels: only, DefaultClass: "standard"},
	}
	method := shipping.Define{ID: id, Active: true, Terms: shipping.Terms{
		Title: "Parcel", Mode: pricing.Inclusive, Channels: only,
		Rates: []pricing.RateTable{{Currency: "GBP", Basis: pricing.Flat, Steps: []pricing.Step{{From: "0", Price: pound("0.30")}}}},
	}}
	promo := promotion.Define{ID: id, Kind: pricing.Automatic, Class: pricing.OrderClass, Active: true, Terms: promotion.Terms{
		Title: "Ten percent", Action: pricing.Action{Type: pricing.PercentOff, Percent: off}, Conditions: pricing.Conditions{Channels: only},
	}}
	list := pricelist.Define{ID: id, Kind: pricing.Regular, Currency: "GBP", Mode: pricing.Inclusive, Active: true, Terms: pricelist.Terms{Title: "Bench", Channels: only}}
	_, err1 := env.Service.LegalEntity(ctx, call(), id, seller)
	_, err2 := env.Service.ShippingMethod(ctx, call(), id, method)
	_, err3 := env.Service.Promotion(ctx, call(), id, promo)
	done, err4 := env.Service.PriceList(ctx, call(), id, list)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	for at := 0; at < len(goods); at += listPart {
		var set pricelist.SetPrices
		for _, key := range goods[at:min(at+listPart, len(goods))] {
			set.Prices = append(set.Prices, pricelist.Entry{SKU: key.SKU, Tiers: []pricing.Tier{{From: 1, Price: pound("2.50")}}})
		}
		if done, err = env.Service.PriceList(ctx, call(), id, set); err != nil {
			return err
		}
	}
	return waitForPrices(ctx, env, done.Position)
}

// listPart is how many prices are set by one command.
const listPart = 500

// waitForPrices waits until the node prices carts with what was recorded up to a position.
func waitForPrices(ctx context.Context, env Env, position eventstore.Position) error {
	if env.Service.Prices == nil {
		return errors.New("the node does not follow prices")
	}
	return env.Service.Prices.Has(ctx, position)
}
