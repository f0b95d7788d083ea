package shipping

import (
	"strings"
	"testing"

	"daybook/domain/decidertest"
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

var methods = decidertest.Decider[Command, Event, State]{Decide: Decide, Evolve: Evolve}

type row = decidertest.Case[Command, Event]

func euros(t testing.TB, amount string) unit.Money {
	t.Helper()
	m, err := unit.ParseMoney(amount, "EUR")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func terms(t testing.TB) Terms {
	free := euros(t, "90")
	return Terms{
		Title: "Parcel", Carrier: "PostNL", Mode: pricing.Inclusive, TaxClass: "standard", Channels: []string{"web"}, Measure: pricing.OfList, MaxGrams: 30_000,
		Rates: []pricing.RateTable{
			{
				Zone: pricing.Zone{Country: "NL", Region: "GR", Postcode: "97*"}, Currency: "EUR", Basis: pricing.ByWeight,
				Steps: []pricing.Step{{From: "0", Price: euros(t, "4.95")}, {From: "2000", Price: euros(t, "6.95"), PerExtra: euros(t, "0.001")}}, FreeAbove: &free,
			},
			{Currency: "EUR", Basis: pricing.Flat, Steps: []pricing.Step{{From: "0", Price: euros(t, "12")}}},
		},
	}
}

func wanted(t testing.TB, change func(*Define)) Define {
	cmd := Define{ID: "parcel", Terms: terms(t)}
	change(&cmd)
	return cmd
}

// wrong is a row in which a change of the first rate is refused.
func wrong(t testing.TB, field string, change func(*Define)) row {
	return row{When: wanted(t, change), Refused: ErrInvalid.With("", map[string]any{"field": field})}
}

func rows(t testing.TB) map[string]row {
	same := func(*Define) {}
	made := []Event{Created{"parcel", terms(t)}}
	cheaper := terms(t)
	cheaper.Rates[1].Steps[0].Price = euros(t, "11")
	first := func(change func(*pricing.RateTable)) func(*Define) {
		return func(d *Define) { change(&d.Rates[0]) }
	}
	return map[string]row{
		"a method can be made":                       {When: wanted(t, same), Then: made},
		"a method can be made and be active at once": {When: wanted(t, func(d *Define) { d.Active = true }), Then: append(made, Activated{})},
		"the same definition again does nothing":     {Given: made, When: wanted(t, func(d *Define) { d.Rates[1].Steps[0].Price = euros(t, "12.00") }), Nothing: true},
		"a rate can be changed":                      {Given: made, When: Define{ID: "parcel", Terms: cheaper}, Then: []Event{Changed{cheaper}}},
		"a method can be activated":                  {Given: made, When: wanted(t, func(d *Define) { d.Active = true }), Then: []Event{Activated{}}},
		"an active method can be deactivated":        {Given: append(made, Activated{}), When: wanted(t, same), Then: []Event{Deactivated{}}},
		"a method needs an id":                       wrong(t, "/method_id", func(d *Define) { d.ID = "" }),
		"a method needs a title":                     wrong(t, "/title", func(d *Define) { d.Title = "" }),
		"a price mode is incl or excl":               wrong(t, "/price_mode", func(d *Define) { d.Mode = "" }),
		"a measure is list or after_order":           wrong(t, "/measure", func(d *Define) { d.Measure = pricing.AfterItems }),
		"a weight is not below zero":                 wrong(t, "/max_weight_grams", func(d *Define) { d.MaxGrams = -1 }),
		"a method needs a rate":                      wrong(t, "/rates", func(d *Define) { d.Rates = nil }),
		"a zone has one rate for each currency":      wrong(t, "/rates/1/zone", func(d *Define) { d.Rates[1].Zone = pricing.Zone{Country: "NL", Region: "GR", Postcode: "9 7*"} }),
		"a country must be known":                    wrong(t, "/rates/0/zone/country", first(func(r *pricing.RateTable) { r.Zone.Country = "XX" })),
		"a region needs a country":                   wrong(t, "/rates/1/zone/country", func(d *Define) { d.Rates[1].Zone.Region = "GR" }),
		"a postcode is in capitals":                  wrong(t, "/rates/0/zone/postcode", first(func(r *pricing.RateTable) { r.Zone.Postcode = "97ab" })),
		"an asterisk is at the end":                  wrong(t, "/rates/0/zone/postcode", first(func(r *pricing.RateTable) { r.Zone.Postcode = "9*7" })),
		"an asterisk alone is no pattern":            wrong(t, "/rates/0/zone/region", first(func(r *pricing.RateTable) { r.Zone.Region = "*" })),
		"a currency must be known":                   wrong(t, "/rates/0/currency", first(func(r *pricing.RateTable) { r.Currency, r.FreeAbove, r.Steps = "EURO", nil, nil })),
		"a basis must be known":                      wrong(t, "/rates/0/basis", first(func(r *pricing.RateTable) { r.Basis = "by_size" })),
		"a rate needs a step":                        wrong(t, "/rates/0/steps", first(func(r *pricing.RateTable) { r.Steps = nil })),
		"a flat rate has one step":                   wrong(t, "/rates/0/steps", first(func(r *pricing.RateTable) { r.Basis, r.Steps[1].PerExtra = pricing.Flat, unit.Money{} })),
		"the step of a flat rate begins at 0":        wrong(t, "/rates/1/steps/0/from", func(d *Define) { d.Rates[1].Steps[0].From = "1" }),
		"steps ascend":                               wrong(t, "/rates/0/steps/1/from", first(func(r *pricing.RateTable) { r.Steps[1].From = "0.0" })),
		"grams are whole":                            wrong(t, "/rates/0/steps/1/from", first(func(r *pricing.RateTable) { r.Steps[1].From = "0.5" })),
		"a step is not below zero":                   wrong(t, "/rates/0/steps/0/from", first(func(r *pricing.RateTable) { r.Steps[0].From = "-1" })),
		"a price is not below zero":                  wrong(t, "/rates/0/steps/0/price", first(func(r *pricing.RateTable) { r.Steps[0].Price = euros(t, "-1") })),
		"a price is no finer than the currency":      wrong(t, "/rates/0/steps/0/price", first(func(r *pricing.RateTable) { r.Steps[0].Price = euros(t, "4.955") })),
		"a price has the currency of the rate":       wrong(t, "/rates/0/steps/0/price", first(func(r *pricing.RateTable) { r.Steps[0].Price = unit.Zero("GBP") })),
		"a price of more units is not below zero":    wrong(t, "/rates/0/steps/1/per_extra", first(func(r *pricing.RateTable) { r.Steps[1].PerExtra = euros(t, "-1") })),
		"a limit for free shipping has the currency": wrong(t, "/rates/0/free_above", first(func(r *pricing.RateTable) { r.FreeAbove = &unit.Money{Currency: "GBP"} })),
		"a method can be ended":                      {Given: made, When: End{"no more"}, Then: []Event{Ended{"no more"}}},
		"ending a method again does nothing":         {Given: append(made, Ended{}), When: End{}, Nothing: true},
		"a method that does not exist is not ended":  {When: End{}, Refused: ErrNotFound},
		"a method that has ended cannot come back":   {Given: append(made, Ended{}), When: wanted(t, same), Refused: ErrEnded},
		"a reason has at most 500 characters":        {Given: made, When: End{strings.Repeat("x", 501)}, Refused: ErrInvalid.With("", map[string]any{"field": "/reason"})},
	}
}

func TestShipping(t *testing.T) { methods.Run(t, rows(t)) }

func TestEveryRefusalHasARow(t *testing.T) { methods.EveryRefusalHasARow(t, Rejections, rows(t)) }

func TestEveryTextIsChecked(t *testing.T) { methods.EveryTextIsChecked(t, nil, rows(t)) }

func TestMethod(t *testing.T) {
	got := methods.Fold(Created{"parcel", terms(t)}, Activated{}).Method()
	if got.ID != "parcel" || got.Version != 2 || !got.Active || got.MaxWeight != 30_000 || len(got.Rates) != 2 || got.TaxClass != "standard" {
		t.Errorf("the method is %+v", got)
	}
}

func TestWireForm(t *testing.T) {
	decidertest.Codec[Event]{Encode: Encode, Decode: Decode}.Golden(t, []Event{
		Created{"parcel", terms(t)}, Changed{terms(t)}, Activated{}, Deactivated{}, Ended{"no more"}, Ended{},
	})
}

func TestStream(t *testing.T) {
	if got, want := Stream("parcel"), "shippingmethod-parcel"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
