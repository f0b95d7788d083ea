package pricelist

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"daybook/domain/decidertest"
	"daybook/domain/money/pricing"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

var lists = decidertest.Decider[Command, Event, State]{Decide: Decide, Evolve: Evolve}

type row = decidertest.Case[Command, Event]

func euros(t testing.TB, amount string) unit.Money {
	t.Helper()
	m, err := unit.ParseMoney(amount, "EUR")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func tiers(t testing.TB, pairs ...any) (all []pricing.Tier) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, pricing.Tier{From: unit.Quantity(pairs[i].(int)), Price: euros(t, pairs[i+1].(string))})
	}
	return all
}

func terms() Terms {
	day := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	return Terms{
		Title: "Trade", Priority: 10, Window: pricing.Window{From: day, Until: day.AddDate(0, 1, 0)}, Channels: []string{"web"},
		Groups: []string{"trade"}, Customers: []unit.CustomerID{"17850"}, Countries: []string{"NL", "DE"},
	}
}

func created(with Terms) Created {
	return Created{ID: "trade", Kind: pricing.Regular, Currency: "EUR", Mode: pricing.Inclusive, Terms: with}
}

// wanted is a good definition after a change.
func wanted(change func(*Define)) Define {
	cmd := Define{ID: "trade", Kind: pricing.Regular, Currency: "EUR", Mode: pricing.Inclusive, Terms: terms()}
	change(&cmd)
	return cmd
}

func wrong(field string, given []Event, when Command) row {
	return row{Given: given, When: when, Refused: ErrInvalid.With("", map[string]any{"field": field})}
}

func rows(t testing.TB) map[string]row {
	same := func(*Define) {}
	made := []Event{created(terms())}
	priced := append(made, PricesSet{[]Entry{{"CUP", tiers(t, 1, "3")}, {"MUG", tiers(t, 1, "9.99", 10, "8.5")}}})
	retitled := terms()
	retitled.Title = "Trade customers"
	many := make([]Entry, 0, 501)
	for i := range 501 {
		many = append(many, Entry{unit.SKU(fmt.Sprintf("S%04d", i)), tiers(t, 1, "1")})
	}
	full := make([]Entry, MaxPrices)
	for i := range full {
		full[i] = Entry{unit.SKU(fmt.Sprintf("F%05d", i)), many[0].Tiers}
	}
	return map[string]row{
		"a list can be made":                       {When: wanted(same), Then: []Event{created(terms())}},
		"a list can be made and be active at once": {When: wanted(func(d *Define) { d.Active = true }), Then: []Event{created(terms()), Activated{}}},
		"the same definition again does nothing":   {Given: made, When: wanted(same), Nothing: true},
		"the terms of a list can be changed":       {Given: made, When: wanted(func(d *Define) { d.Title = "Trade customers" }), Then: []Event{Changed{retitled}}},
		"a list can be activated":                  {Given: made, When: wanted(func(d *Define) { d.Active = true }), Then: []Event{Activated{}}},
		"an active list can be deactivated":        {Given: append(made, Activated{}), When: wanted(same), Then: []Event{Deactivated{}}},
		"the kind of a list cannot be changed":     {Given: made, When: wanted(func(d *Define) { d.Kind = pricing.Sale }), Refused: ErrFixed.With("", map[string]any{"field": "/kind"})},
		"the currency of a list cannot be changed": {Given: made, When: wanted(func(d *Define) { d.Currency = "GBP" }), Refused: ErrFixed.With("", map[string]any{"field": "/currency"})},
		"the price mode of a list cannot be changed": {
			Given: made, When: wanted(func(d *Define) { d.Mode = pricing.Exclusive }), Refused: ErrFixed.With("", map[string]any{"field": "/price_mode"}),
		},
		"a list needs an id":                     wrong("/price_list_id", nil, wanted(func(d *Define) { d.ID = "" })),
		"a list of an unknown kind is refused":   wrong("/kind", nil, wanted(func(d *Define) { d.Kind = "clearance" })),
		"a currency must be known":               wrong("/currency", nil, wanted(func(d *Define) { d.Currency = "EURO" })),
		"a price mode is incl or excl":           wrong("/price_mode", nil, wanted(func(d *Define) { d.Mode = "net" })),
		"a window does not end before it begins": wrong("/window/until", nil, wanted(func(d *Define) { d.Window.Until = d.Window.From })),
		"a country must be known":                wrong("/countries/1", nil, wanted(func(d *Define) { d.Countries = []string{"NL", "nl"} })),
		"a channel is named once":                wrong("/channels/1", nil, wanted(func(d *Define) { d.Channels = []string{"web", "web"} })),
		"a group has the form of a group":        wrong("/groups/0", nil, wanted(func(d *Define) { d.Groups = []string{"trade customers"} })),
		"a customer has the form of an id":       wrong("/customers/0", nil, wanted(func(d *Define) { d.Customers = []unit.CustomerID{"a/b"} })),
		"a priority has a bound":                 wrong("/priority", nil, wanted(func(d *Define) { d.Priority = -MaxPriority - 1 })),
		"a title has at most 200 letters":        wrong("/title", nil, wanted(func(d *Define) { d.Title = strings.Repeat("x", 201) })),

		"prices can be set, in the order of their SKUs": {
			Given: made, When: SetPrices{[]Entry{{"MUG", tiers(t, 1, "9.99", 10, "8.5")}, {"CUP", tiers(t, 1, "3")}}},
			Then: []Event{PricesSet{[]Entry{{"CUP", tiers(t, 1, "3")}, {"MUG", tiers(t, 1, "9.99", 10, "8.5")}}}},
		},
		"only prices that differ are set": {
			Given: priced, When: SetPrices{[]Entry{{"MUG", tiers(t, 1, "9.990", 10, "8.50")}, {"CUP", tiers(t, 1, "3.5")}}},
			Then: []Event{PricesSet{[]Entry{{"CUP", tiers(t, 1, "3.5")}}}},
		},
		"the same prices again do nothing":                        {Given: priced, When: SetPrices{[]Entry{{"CUP", tiers(t, 1, "3.00")}}}, Nothing: true},
		"a SKU can be removed":                                    {Given: priced, When: SetPrices{[]Entry{{"CUP", nil}}}, Then: []Event{PricesSet{[]Entry{{"CUP", nil}}}}},
		"a SKU that is not there can be removed: nothing happens": {Given: made, When: SetPrices{[]Entry{{"CUP", nil}}}, Nothing: true},
		"an event has at most 500 SKUs":                           {Given: made, When: SetPrices{many}, Then: []Event{PricesSet{many[:500]}, PricesSet{many[500:]}}},
		"a list has at most 20,000 SKUs":                          {Given: []Event{created(terms()), PricesSet{full}}, When: SetPrices{many[:1]}, Refused: ErrLimit},
		"a SKU of a full list can be replaced": {
			Given: []Event{created(terms()), PricesSet{full}}, When: SetPrices{[]Entry{{"F00000", nil}, many[0]}}, Then: []Event{PricesSet{[]Entry{{"F00000", nil}, many[0]}}},
		},
		"a price of zero is allowed":                       {Given: made, When: SetPrices{[]Entry{{"CUP", tiers(t, 1, "0")}}}, Then: []Event{PricesSet{[]Entry{{"CUP", tiers(t, 1, "0")}}}}},
		"a negative price is refused":                      wrong("/prices/0/tiers/0/price", made, SetPrices{[]Entry{{"CUP", tiers(t, 1, "-0.01")}}}),
		"a price has the currency of the list":             wrong("/prices/0/tiers/0/price", made, SetPrices{[]Entry{{"CUP", []pricing.Tier{{From: 1, Price: unit.Zero("GBP")}}}}}),
		"tiers ascend":                                     wrong("/prices/1/tiers/1/from", made, SetPrices{[]Entry{{"MUG", tiers(t, 1, "1")}, {"CUP", tiers(t, 10, "1", 10, "0.9")}}}),
		"a tier begins with at least one unit":             wrong("/prices/0/tiers/0/from", made, SetPrices{[]Entry{{"CUP", tiers(t, 0, "1")}}}),
		"a SKU is named once":                              wrong("/prices/1/sku", made, SetPrices{[]Entry{{"CUP", tiers(t, 1, "1")}, {"CUP", tiers(t, 1, "2")}}}),
		"a SKU has the form of a SKU":                      wrong("/prices/0/sku", made, SetPrices{[]Entry{{" CUP", tiers(t, 1, "1")}}}),
		"a SKU has at most 20 tiers":                       wrong("/prices/0/tiers", made, SetPrices{[]Entry{{"CUP", manyTiers(t, 21)}}}),
		"prices of a list that does not exist are refused": {When: SetPrices{[]Entry{{"CUP", tiers(t, 1, "1")}}}, Refused: ErrNotFound},
		"prices of a list that has ended are refused":      {Given: append(made, Ended{}), When: SetPrices{[]Entry{{"CUP", tiers(t, 1, "1")}}}, Refused: ErrEnded},

		"a list can be ended":                        {Given: made, When: End{"no more trade"}, Then: []Event{Ended{"no more trade"}}},
		"ending a list again does nothing":           {Given: append(made, Ended{}), When: End{}, Nothing: true},
		"a list that does not exist cannot be ended": {When: End{}, Refused: ErrNotFound},
		"a list that has ended cannot be made again": {Given: append(made, Ended{}), When: wanted(same), Refused: ErrEnded},
		"a reason has at most 500 characters":        wrong("/reason", made, End{strings.Repeat("x", 501)}),
	}
}

func manyTiers(t testing.TB, n int) (all []pricing.Tier) {
	t.Helper()
	for i := range n {
		all = append(all, tiers(t, i+1, "1")...)
	}
	return all
}

func TestPriceList(t *testing.T) { lists.Run(t, rows(t)) }

func TestEveryRefusalHasARow(t *testing.T) {
	lists.EveryRefusalHasARow(t, append([]*rule.Rejection(nil), Rejections...), rows(t))
}

func TestEveryTextIsChecked(t *testing.T) { lists.EveryTextIsChecked(t, nil, rows(t)) }

// A refusal names the first fault and says how many there are.
func TestAllFaultsAreFound(t *testing.T) {
	cmd := wanted(func(d *Define) { d.Kind, d.Currency, d.Mode = "", "", "" })
	if found := cmd.Faults(); len(found) != 3 {
		t.Errorf("found %v", found)
	}
	_, err := Decide(cmd, State{})
	if err == nil || !strings.Contains(err.Error(), "/kind: want regular or sale. There are 2 more faults.") {
		t.Errorf("refused with %v", err)
	}
}

// A copy of a state keeps its prices when the state changes.
func TestACloneIsACopy(t *testing.T) {
	state := lists.Fold(created(terms()), PricesSet{[]Entry{{"CUP", tiers(t, 1, "3")}}}, Activated{})
	list := state.Clone().List()
	state = Evolve(state, PricesSet{[]Entry{{"CUP", nil}}})
	if len(list.Prices) != 1 || len(state.Prices) != 0 || list.Version != 3 || !list.Active || list.Groups[0] != "trade" {
		t.Errorf("the list is %+v, the state %+v", list, state)
	}
}

func TestWireForm(t *testing.T) {
	decidertest.Codec[Event]{Encode: Encode, Decode: Decode}.Golden(t, []Event{
		created(terms()),
		created(Terms{}),
		Changed{terms()},
		PricesSet{[]Entry{{"CUP", nil}, {"MUG", tiers(t, 1, "9.99", 10, "8.123456")}}},
		Activated{},
		Deactivated{},
		Ended{},
		Ended{"no more trade"},
	})
}

func TestStream(t *testing.T) {
	if got, want := Stream("trade"), "pricelist-trade"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
