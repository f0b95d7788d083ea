package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"daybook/commands/pricebook"
	"daybook/domain/money/entity"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/promotion"
	"daybook/domain/money/shipping"
	"daybook/domain/unit"
	"daybook/internal/live"
	"daybook/internal/resource"
	"daybook/readapi"
)

// bookPart is the part that knows the rules of prices.
func (n *node) bookPart() part {
	return part{
		name: "the rules of prices", onLog: true, needs: "the rules of prices to be read",
		open: func(ctx context.Context) error {
			n.book = pricebook.New(n.events, n.log)
			n.service.Prices = n.book
			if n.diverged() {
				return nil
			}
			return n.book.Open(ctx)
		},
		run: func(ctx context.Context) error { return n.book.Run(ctx) },
	}
}

// definitions shows what the price book knows, for the read API.
type definitions struct {
	book    *pricebook.Book
	cluster bool // the positions are those of KurrentDB
}

// Position implements readapi.Definitions.
func (d definitions) Position() string { return d.book.Edition().Position.String() }

// Wait implements readapi.Definitions.
func (d definitions) Wait(ctx context.Context, position string) error {
	want, err := live.Place(position, d.cluster)
	if err != nil {
		return &readapi.PositionError{In: "header", Name: "Daybook-Min-Position", Text: position}
	}
	began := time.Now()
	if err := d.book.Has(ctx, want); errors.Is(err, context.DeadlineExceeded) {
		return &readapi.BehindError{Want: position, Reached: d.Position(), Waited: time.Since(began)}
	} else if err != nil {
		return err
	}
	return nil
}

// PriceLists implements readapi.Definitions.
func (d definitions) PriceLists() (all []resource.PriceList) {
	return shown(d.book.Edition().Lists, resource.PriceListOf, func(s pricelist.State) string { return s.ID })
}

// ShippingMethods implements readapi.Definitions.
func (d definitions) ShippingMethods() []resource.ShippingMethod {
	return shown(d.book.Edition().Methods, resource.ShippingMethodOf, func(s shipping.State) string { return s.ID })
}

// LegalEntities implements readapi.Definitions.
func (d definitions) LegalEntities() []resource.LegalEntity {
	return shown(d.book.Edition().Entities, resource.LegalEntityOf, func(s entity.State) string { return s.ID })
}

// Promotions implements readapi.Definitions.
func (d definitions) Promotions() []resource.Promotion {
	return shown(d.book.Edition().Promotions, resource.PromotionOf, func(s promotion.State) string { return s.ID })
}

// Codes implements readapi.Definitions.
func (d definitions) Codes(of string) (codes []string, found bool) {
	edition := d.book.Edition()
	found = slices.ContainsFunc(edition.Promotions, func(held pricebook.Held[promotion.State]) bool { return held.State.ID == of && of != "" })
	return edition.Codes[of], found
}

// shown leaves out streams whose first event is no definition.
func shown[S, B any](held []pricebook.Held[S], show func(S, int64) B, id func(S) string) (all []B) {
	for _, one := range held {
		if id(one.State) != "" {
			all = append(all, show(one.State, one.Revision))
		}
	}
	return all
}

// Prices implements readapi.Definitions.
func (d definitions) Prices(list, after, prefix string, limit int) (prices []resource.ListPrice, found bool) {
	lists := d.book.Edition().Lists
	i := slices.IndexFunc(lists, func(held pricebook.Held[pricelist.State]) bool { return held.ID == list && held.State.ID != "" })
	if i < 0 {
		return nil, false
	}
	of := lists[i].State.Prices
	var skus []unit.SKU
	for sku := range maps.Keys(of) {
		if string(sku) > after && strings.HasPrefix(string(sku), prefix) {
			skus = append(skus, sku)
		}
	}
	slices.Sort(skus)
	for _, sku := range skus[:min(limit, len(skus))] {
		prices = append(prices, resource.ListPriceOf(sku, of[sku]))
	}
	return prices, true
}
