package productview_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/product"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/projections/productview"
	"daybook/projections/query"
	"daybook/projections/viewtest"
)

func fact(b *viewtest.Bench, sku string, events ...product.Event) {
	b.Helper()
	meta := eventstore.Metadata{OccurredAt: time.Date(2011, 1, 4, 10, 0, 0, 0, time.UTC)}
	viewtest.Fact(b, product.Stream(unit.SKU(sku)), meta, product.Encode, events...)
}

func priced(amount string, currency unit.Currency) product.Priced {
	return product.Priced{Price: unit.Money{Amount: decimal.RequireFromString(amount), Currency: currency}}
}

func TestTheCatalogueShowsTitlesPricesAndWhatIsRetired(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, productview.View())
	fact(b, "85123A", product.Listed{SKU: "85123A", Title: "HEART", Kind: unit.Stocked}, priced("2.55", "GBP"))
	fact(b, "POST", product.Listed{SKU: "POST", Title: "POSTAGE", Kind: unit.Service})
	fact(b, "22423", product.Listed{SKU: "22423", Title: "CAKESTAND", Kind: unit.Stocked}, product.Retired{})
	b.CaughtUp()
	fact(b, "85123A", product.Retitled{Title: "White heart"}, priced("2.95", "GBP"), priced("3.001", "EUR"))
	fact(b, "22423", product.Listed{SKU: "22423", Title: "CAKESTAND", Kind: unit.Stocked})
	fact(b, "POST", product.Retired{Reason: "free now"})
	fact(b, "85123A", product.Described{Description: product.Description{TaxClass: "books", Categories: []string{"home", "gifts"}, Grams: 350}})
	fact(b, "22423", product.Described{Description: product.Description{Categories: []string{"kitchen"}, GiftCard: true}})
	b.CaughtUp()

	p, err := productview.Get(t.Context(), b.Pool, "85123A")
	if err != nil || p.Title != "White heart" || p.Kind != "stocked" || p.Retired || p.Revision != 5 || len(p.Prices) != 2 {
		t.Fatalf("product %+v, %v", p, err)
	}
	if p.Prices[0].Amount.String() != "3.001" || p.Prices[0].Currency != "EUR" || p.Prices[1].Amount.String() != "2.95" {
		t.Errorf("prices %+v", p.Prices)
	}
	if p.TaxClass != "books" || !slices.Equal(p.Categories, []string{"home", "gifts"}) || p.WeightGrams != 350 || p.GiftCard {
		t.Errorf("described as %+v", p)
	}
	yes, no := true, false
	for name, row := range map[string]struct {
		filter productview.Filter
		want   string
	}{
		"all":           {productview.Filter{}, "22423 85123A POST"},
		"retired":       {productview.Filter{Retired: &yes}, "POST"},
		"on sale":       {productview.Filter{Retired: &no}, "22423 85123A"},
		"services":      {productview.Filter{Kinds: []string{"service"}}, "POST"},
		"part of title": {productview.Filter{Text: "Heart"}, "85123A"},
		"by SKU":        {productview.Filter{SKUs: []string{"POST", "22423", "none"}}, "22423 POST"},
		"both words":    {productview.Filter{Text: "heart  WHITE"}, "85123A"},
		"SKU and title": {productview.Filter{Text: "White 851"}, "85123A"},
		"not one word":  {productview.Filter{Text: "white lamp"}, ""},
		"a tax class":   {productview.Filter{TaxClasses: []string{"books"}}, "85123A"},
		"no tax class":  {productview.Filter{TaxClasses: []string{""}}, "22423 POST"},
		"a category":    {productview.Filter{Categories: []string{"gifts", "none"}}, "85123A"},
		"categories":    {productview.Filter{Categories: []string{"gifts", "kitchen"}}, "22423 85123A"},
		"gift cards":    {productview.Filter{GiftCard: &yes}, "22423"},
		"others":        {productview.Filter{GiftCard: &no}, "85123A POST"},
		"start of SKU":  {productview.Filter{Text: "224"}, "22423"},
	} {
		var got []string
		for p := (query.Page{Limit: 1}); ; {
			list, err := productview.List(t.Context(), b.Pool, row.filter, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range list.Items {
				got = append(got, item.SKU)
			}
			if p.After = list.Next; p.After == "" {
				break
			}
		}
		if want := strings.Fields(row.want); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if _, err := productview.Get(t.Context(), b.Pool, "X"); !errors.Is(err, query.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	b.SameWhenRebuilt("products")
}
