package live

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
	"daybook/internal/resource"
	"daybook/readapi"
)

// Definitions is readapi.Definitions over a price book.
type Definitions struct {
	Book    *pricebook.Book
	Cluster bool // the positions are those of KurrentDB
}

// Position implements readapi.Definitions.
func (d Definitions) Position() string { return d.Book.Edition().Position.String() }

// Wait implements readapi.Definitions.
func (d Definitions) Wait(ctx context.Context, position string) error {
	want, err := place(position, d.Cluster)
	if err != nil {
		return &readapi.PositionError{In: "header", Name: "Daybook-Min-Position", Text: position}
	}
	began := time.Now()
	if err := d.Book.Has(ctx, want); errors.Is(err, context.DeadlineExceeded) {
		return &readapi.BehindError{Want: position, Reached: d.Position(), Waited: time.Since(began)}
	} else if err != nil {
		return err
	}
	return nil
}

// PriceLists implements readapi.Definitions.
func (d Definitions) PriceLists() (all []resource.PriceList) {
	return shown(d.Book.Edition().Lists, resource.PriceListOf, func(s pricelist.State) string { return s.ID })
}

// ShippingMethods implements readapi.Definitions.
func (d Definitions) ShippingMethods() []resource.ShippingMethod {
	return shown(d.Book.Edition().Methods, resource.ShippingMethodOf, func(s shipping.State) string { return s.ID })
}

// LegalEntities implements readapi.Definitions.
func (d Definitions) LegalEntities() []resource.LegalEntity {
	return shown(d.Book.Edition().Entities, resource.LegalEntityOf, func(s entity.State) string { return s.ID })
}

// Promotions implements readapi.Definitions.
func (d Definitions) Promotions() []resource.Promotion {
	return shown(d.Book.Edition().Promotions, resource.PromotionOf, func(s promotion.State) string { return s.ID })
}

// Codes implements readapi.Definitions.
func (d Definitions) Codes(of string) (codes []string, found bool) {
	edition := d.Book.Edition()
	found = slices.ContainsFunc(edition.Promotions, func(held pricebook.Definition[promotion.State]) bool { return held.State.ID == of && of != "" })
	return edition.Codes[of], found
}

// shown leaves out streams whose first event is no definition.
func shown[S, B any](held []pricebook.Definition[S], show func(S, int64) B, id func(S) string) (all []B) {
	for _, one := range held {
		if id(one.State) != "" {
			all = append(all, show(one.State, one.Revision))
		}
	}
	return all
}

// Prices implements readapi.Definitions.
func (d Definitions) Prices(list, after, prefix string, limit int) (prices []resource.ListPrice, count int, found bool) {
	lists := d.Book.Edition().Lists
	i := slices.IndexFunc(lists, func(held pricebook.Definition[pricelist.State]) bool { return held.ID == list && held.State.ID != "" })
	if i < 0 {
		return nil, 0, false
	}
	of := lists[i].State.Prices
	var skus []unit.SKU
	for sku := range maps.Keys(of) {
		if !strings.HasPrefix(string(sku), prefix) {
			continue
		}
		if count++; string(sku) > after {
			skus = append(skus, sku)
		}
	}
	slices.Sort(skus)
	for _, sku := range skus[:min(limit, len(skus))] {
		prices = append(prices, resource.ListPriceOf(sku, of[sku]))
	}
	return prices, count, true
}
