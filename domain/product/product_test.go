package product

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"daybook/domain/decidertest"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

var products = decidertest.Decider[Command, Event, State]{Decide: Decide, Evolve: Evolve}

type row = decidertest.Case[Command, Event]

func money(t testing.TB, amount, currency string) unit.Money {
	t.Helper()
	m, err := unit.ParseMoney(amount, currency)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func rows(t testing.TB) map[string]row {
	listed := Listed{SKU: "LAMP", Title: "A lamp", Kind: unit.Stocked}
	postage := Listed{SKU: "POST", Title: "Postage", Kind: unit.Service}
	list := List{SKU: "LAMP", Title: "A lamp", Kind: unit.Stocked}
	pounds, less, euros := money(t, "2.55", "GBP"), money(t, "-2.55", "GBP"), money(t, "3", "EUR")

	class, grams, below, odd, yes := "books", int64(350), int64(-1), "two words", true
	describing := Describe{TaxClass: &class, Categories: &[]string{"reading"}, Grams: &grams}
	described := Described{Description{TaxClass: "books", Categories: []string{"reading"}, Grams: 350}}

	return map[string]row{
		"a product can be listed":                                      {When: list, Then: []Event{listed}},
		"listing a product again with the same title does nothing":     {Given: []Event{listed}, When: list, Nothing: true},
		"listing a product again with another title changes its title": {Given: []Event{listed}, When: List{"LAMP", "The lamp", unit.Stocked}, Then: []Event{Retitled{"The lamp"}}},
		"a changed title can be changed back":                          {Given: []Event{listed, Retitled{"The lamp"}}, When: list, Then: []Event{Retitled{"A lamp"}}},
		"a retired product can be listed again":                        {Given: []Event{listed, Retired{}}, When: list, Then: []Event{listed}},
		"the kind of a product cannot be changed":                      {Given: []Event{listed}, When: List{"LAMP", "A lamp", unit.Service}, Refused: ErrKindFixed.With("", map[string]any{"kind": "stocked"})},
		"the kind of a retired product cannot be changed":              {Given: []Event{listed, Retired{}}, When: List{"LAMP", "A lamp", unit.Service}, Refused: ErrKindFixed},
		"a product of an unknown kind is refused":                      {When: List{"LAMP", "A lamp", "rented"}, Refused: ErrKindUnknown.With("", map[string]any{"kind": "rented"})},
		"a product without a title is refused":                         {When: List{"LAMP", "", unit.Stocked}, Refused: ErrTitleInvalid},
		"a title without a visible character is refused":               {When: List{"LAMP", " \t\u00a0\u200b", unit.Stocked}, Refused: ErrTitleInvalid},
		"a title with a line break is refused":                         {When: List{"LAMP", "A\nlamp", unit.Stocked}, Refused: ErrTitleInvalid},
		"a title that changes the direction of text is refused":        {When: List{"LAMP", "A \u202elamp", unit.Stocked}, Refused: ErrTitleInvalid},
		"a title has at most 200 letters":                              {When: List{"LAMP", strings.Repeat("ü", 201), unit.Stocked}, Refused: ErrTitleInvalid},
		"a title of 200 letters is allowed":                            {When: List{"LAMP", strings.Repeat("ü", 200), unit.Stocked}, Then: []Event{Listed{"LAMP", strings.Repeat("ü", 200), unit.Stocked}}},
		"a title that is not valid UTF-8 is refused":                   {When: List{"LAMP", "\xff", unit.Stocked}, Refused: ErrTitleInvalid},

		"a price can be set":                                      {Given: []Event{listed}, When: SetPrice{pounds}, Then: []Event{Priced{pounds}}},
		"setting the same price again does nothing":               {Given: []Event{listed, Priced{money(t, "2.550", "GBP")}}, When: SetPrice{pounds}, Nothing: true},
		"a product can have a price in each currency":             {Given: []Event{listed, Priced{pounds}}, When: SetPrice{euros}, Then: []Event{Priced{euros}}},
		"a price can be set back to an earlier one":               {Given: []Event{listed, Priced{pounds}, Priced{money(t, "3", "GBP")}}, When: SetPrice{pounds}, Then: []Event{Priced{pounds}}},
		"a price of zero is allowed":                              {Given: []Event{listed}, When: SetPrice{money(t, "0", "GBP")}, Then: []Event{Priced{money(t, "0", "GBP")}}},
		"a negative price of goods is refused":                    {Given: []Event{listed}, When: SetPrice{less}, Refused: ErrPriceNegative},
		"a negative price of a service is refused":                {Given: []Event{postage}, When: SetPrice{less}, Refused: ErrPriceNegative},
		"a negative price of an older program can be replaced":    {Given: []Event{postage, Priced{less}}, When: SetPrice{pounds}, Then: []Event{Priced{pounds}}},
		"a negative price of an older program is not set again":   {Given: []Event{postage, Priced{less}}, When: SetPrice{less}, Refused: ErrPriceNegative},
		"the price of a product that is not listed cannot be set": {When: SetPrice{pounds}, Refused: ErrNotFound},
		"the price of a retired product cannot be set":            {Given: []Event{listed, Retired{}}, When: SetPrice{pounds}, Refused: ErrRetired},
		"the price of a product that was listed again can be set": {Given: []Event{listed, Retired{}, listed}, When: SetPrice{pounds}, Then: []Event{Priced{pounds}}},
		"a product can be described":                              {Given: []Event{listed}, When: describing, Then: []Event{described}},
		"the same description again does nothing":                 {Given: []Event{listed, described}, When: describing, Nothing: true},
		"a part of a description can be changed":                  {Given: []Event{listed, described}, When: Describe{Grams: new(int64)}, Then: []Event{Described{Description{TaxClass: "books", Categories: []string{"reading"}}}}},
		"a description survives another listing":                  {Given: []Event{listed, described, Retired{}, listed}, When: describing, Nothing: true},
		"a service can be a gift card":                            {Given: []Event{postage}, When: Describe{GiftCard: &yes}, Then: []Event{Described{Description{GiftCard: true}}}},
		"goods cannot be a gift card":                             {Given: []Event{listed}, When: Describe{GiftCard: &yes}, Refused: ErrDescriptionInvalid.With("", map[string]any{"field": "/gift_card"})},
		"a weight is not below zero":                              {Given: []Event{listed}, When: Describe{Grams: &below}, Refused: ErrDescriptionInvalid.With("", map[string]any{"field": "/weight_grams"})},
		"a tax class is a name":                                   {Given: []Event{listed}, When: Describe{TaxClass: &odd}, Refused: ErrDescriptionInvalid.With("", map[string]any{"field": "/tax_class"})},
		"a category is a name":                                    {Given: []Event{listed}, When: Describe{Categories: &[]string{"a", odd}}, Refused: ErrDescriptionInvalid.With("", map[string]any{"field": "/categories/1"})},
		"a category is named once":                                {Given: []Event{listed}, When: Describe{Categories: &[]string{"a", "a"}}, Refused: ErrDescriptionInvalid.With("", map[string]any{"field": "/categories/1"})},
		"a product that is not listed cannot be described":        {When: describing, Refused: ErrNotFound},
		"a retired product cannot be described":                   {Given: []Event{listed, Retired{}}, When: describing, Refused: ErrRetired},
		"a product can be retired":                                {Given: []Event{listed}, When: Retire{"sold out"}, Then: []Event{Retired{"sold out"}}},
		"retiring a product again does nothing":                   {Given: []Event{listed, Retired{}}, When: Retire{"really"}, Nothing: true},
		"a product that is not listed cannot be retired":          {When: Retire{}, Refused: ErrNotFound},
		"a reason has at most 500 characters":                     {Given: []Event{listed}, When: Retire{strings.Repeat("x", 501)}, Refused: ErrTextTooLong},
		"a reason of 500 characters is allowed":                   {Given: []Event{listed}, When: Retire{strings.Repeat("x", 500)}, Then: []Event{Retired{strings.Repeat("x", 500)}}},
	}
}

func TestProduct(t *testing.T) { products.Run(t, rows(t)) }

func TestEveryRefusalHasARow(t *testing.T) {
	// A missing price is the answer to a question, and not to a command; see below.
	decided := slices.DeleteFunc(slices.Clone(Rejections), func(r *rule.Rejection) bool { return r == ErrNotPriced })
	products.EveryRefusalHasARow(t, decided, rows(t))
}

func TestPrice(t *testing.T) {
	pounds := money(t, "2.55", "GBP")
	listed := Listed{SKU: "LAMP", Title: "A lamp", Kind: unit.Stocked}
	for name, c := range map[string]struct {
		given []Event
		in    unit.Currency
		want  error
	}{
		"priced":     {[]Event{listed, Priced{pounds}}, "GBP", nil},
		"not listed": {nil, "GBP", ErrNotFound},
		"retired":    {[]Event{listed, Priced{pounds}, Retired{}}, "GBP", ErrRetired},
		"no price":   {[]Event{listed, Priced{pounds}}, "EUR", ErrNotPriced},
	} {
		got, err := products.Fold(c.given...).Price(c.in)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
		if err == nil && !got.Equal(pounds) {
			t.Errorf("%s: %v, want %v", name, got, pounds)
		}
	}
}

func TestWireForm(t *testing.T) {
	decidertest.Codec[Event]{Encode: Encode, Decode: Decode}.Golden(t, []Event{
		Listed{SKU: "85123A", Title: "WHITE HANGING HEART T-LIGHT HOLDER", Kind: unit.Stocked},
		Retitled{Title: "White hanging heart"},
		Priced{Price: money(t, "2.55", "GBP")},
		Retired{Reason: "no longer made"},
		Retired{},
		Described{Description{TaxClass: "books", Categories: []string{"reading", "children"}, Grams: 350}},
		Described{Description{GiftCard: true}},
	})
}

func TestStream(t *testing.T) {
	if got, want := Stream("85123A"), "product-85123A"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
