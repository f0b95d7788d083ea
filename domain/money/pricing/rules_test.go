package pricing_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/domain/money/pricing"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

func priceList(id string, change func(*pricing.PriceList), tiers ...string) pricing.PriceList {
	l := pricing.PriceList{ID: id, Version: 3, Kind: pricing.Regular, Currency: "EUR", Mode: pricing.Inclusive, Active: true, Prices: map[unit.SKU][]pricing.Tier{}}
	for _, text := range tiers { // "5 9.50"
		f := strings.Fields(text)
		var from unit.Quantity = 1
		if f[0] == "5" {
			from = 5
		}
		l.Prices["A"] = append(l.Prices["A"], pricing.Tier{From: from, Price: money(f[1], "EUR")})
	}
	if change != nil {
		change(&l)
	}
	return l
}

func TestTheListThatWins(t *testing.T) {
	t.Parallel()
	type lists = []pricing.PriceList
	type set = func(*pricing.PriceList)
	group, channel := set(func(l *pricing.PriceList) { l.Groups = []string{"x", "trade"} }), set(func(l *pricing.PriceList) { l.Channels = []string{"web"} })
	customer, country := set(func(l *pricing.PriceList) { l.Customers = []unit.CustomerID{"ann"} }), set(func(l *pricing.PriceList) { l.Countries = []string{"DE"} })
	window := set(func(l *pricing.PriceList) { l.Window.From = noon.Add(-time.Hour) })
	sale := set(func(l *pricing.PriceList) { l.Kind = pricing.Sale })
	for name, test := range map[string]struct {
		lists lists
		want  string // list, price, reference
	}{
		"none: the catalogue":              {nil, " 10 "},
		"a regular list may raise":         {lists{priceList("a", nil, "1 11")}, "a 11 "},
		"the highest priority":             {lists{priceList("a", nil, "1 8"), priceList("b", func(l *pricing.PriceList) { l.Priority = 1 }, "1 9")}, "b 9 "},
		"customer before group":            {lists{priceList("a", group, "1 8"), priceList("b", customer, "1 9")}, "b 9 "},
		"group before channel":             {lists{priceList("a", channel, "1 8"), priceList("b", group, "1 9")}, "b 9 "},
		"channel before country":           {lists{priceList("a", country, "1 8"), priceList("b", channel, "1 9")}, "b 9 "},
		"country before none":              {lists{priceList("a", nil, "1 8"), priceList("b", country, "1 9")}, "b 9 "},
		"a window before none":             {lists{priceList("a", nil, "1 8"), priceList("b", window, "1 9")}, "b 9 "},
		"the lower price":                  {lists{priceList("a", nil, "1 9"), priceList("b", nil, "1 8")}, "b 8 "},
		"the lower id":                     {lists{priceList("b", nil, "1 8"), priceList("a", nil, "1 8")}, "a 8 "},
		"inactive":                         {lists{priceList("a", func(l *pricing.PriceList) { l.Active = false }, "1 8")}, " 10 "},
		"over":                             {lists{priceList("a", func(l *pricing.PriceList) { l.Window.Until = noon }, "1 8")}, " 10 "},
		"of another group":                 {lists{priceList("a", func(l *pricing.PriceList) { l.Groups = []string{"staff"} }, "1 8")}, " 10 "},
		"of another currency":              {lists{priceList("a", func(l *pricing.PriceList) { l.Currency = "GBP" }, "1 8")}, " 10 "},
		"without tax":                      {lists{priceList("a", func(l *pricing.PriceList) { l.Mode = pricing.Exclusive }, "1 8")}, " 10 "},
		"all tiers start above":            {lists{priceList("a", nil, "5 8")}, " 10 "},
		"a sale is lower":                  {lists{priceList("a", nil, "1 9"), priceList("s", sale, "1 7")}, "s 7 9"},
		"a sale below the catalogue":       {lists{priceList("s", sale, "1 7")}, "s 7 10"},
		"a sale never raises":              {lists{priceList("a", nil, "1 9"), priceList("s", sale, "1 9.50")}, "a 9 "},
		"a sale beats a higher priority":   {lists{priceList("a", func(l *pricing.PriceList) { l.Priority = 9 }, "1 9"), priceList("s", sale, "1 8.5")}, "s 8.5 9"},
		"the other of two sales is higher": {lists{priceList("s", func(l *pricing.PriceList) { l.Kind, l.Priority = pricing.Sale, 1 }, "1 12"), priceList("t", sale, "1 8")}, "t 8 10"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cart := pricing.Cart{
				Currency: "EUR", Channel: "web", Customer: "ann", Groups: []string{"a", "trade"}, ShipTo: pricing.Zone{Country: "DE"},
				Lines: items("EUR", "A 2 10"),
			}
			quote, err := pricing.Compile(pricing.Book{Lists: test.lists}).Price(cart, noon)
			if err != nil {
				t.Fatal(err)
			}
			l := quote.Lines[0]
			got := l.PriceList + " " + l.Price.Amount.String() + " "
			if l.Reference != nil {
				got += l.Reference.Amount.String()
			}
			if got != test.want || l.PriceList != "" && l.ListVersion != 3 {
				t.Errorf("%q, version %d, want %q", got, l.ListVersion, test.want)
			}
		})
	}
}

// The units of a SKU on all lines count for its tier, except those with a price that a person gave.
func TestATierCountsTheUnitsOfAllLines(t *testing.T) {
	t.Parallel()
	rules := pricing.Compile(pricing.Book{Lists: []pricing.PriceList{priceList("a", nil, "1 9", "5 8")}})
	cart := pricing.Cart{Currency: "EUR", Lines: items("EUR", "A 2 10", "A 3 10", "A 4 10")}
	cart.Lines[2].Override = &pricing.Override{Price: money("5", "EUR"), Reason: "damaged"}
	quote, err := rules.Price(cart, noon)
	if err != nil {
		t.Fatal(err)
	}
	if got := quote.Total.String(); got != "60.00 EUR" { // 5 x 8 + 4 x 5
		t.Errorf("total %s", got)
	}
	if o := quote.Lines[2].Override; o.Was == nil || o.Was.String() != "9.00 EUR" || quote.Lines[0].Tier != 5 {
		t.Errorf("override %+v, tier %d", o, quote.Lines[0].Tier)
	}
	cart.Lines[1].Override = cart.Lines[2].Override
	if quote, _ = rules.Price(cart, noon); quote.Lines[0].Tier != 1 {
		t.Errorf("tier %d, want 1", quote.Lines[0].Tier)
	}
}

func reasonOf(considered []pricing.Considered, id string) string {
	i := slices.IndexFunc(considered, func(c pricing.Considered) bool { return c.ID == id })
	if i < 0 {
		return "not considered"
	}
	return considered[i].Reason
}

func TestEachConditionOfAPromotionCounts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*pricing.Promotion)
		cart   func(*pricing.Cart)
		want   string
	}{
		"applied":              {want: "applied"},
		"inactive":             {change: func(p *pricing.Promotion) { p.Active = false }, want: "inactive"},
		"ended":                {change: func(p *pricing.Promotion) { p.Window.Until = noon }, want: "not-now"},
		"no code":              {change: func(p *pricing.Promotion) { p.Kind, p.Codes = pricing.Coupon, []string{"X"} }, want: "no-code"},
		"with its code":        {change: func(p *pricing.Promotion) { p.Kind, p.Codes = pricing.Coupon, []string{"X"} }, cart: func(c *pricing.Cart) { c.Codes = []string{"X"} }, want: "applied"},
		"channel":              {change: func(p *pricing.Promotion) { p.Conditions.Channels = []string{"shop"} }, want: "other-channel"},
		"country":              {change: func(p *pricing.Promotion) { p.Conditions.Countries = []string{"NL"} }, want: "other-country"},
		"group":                {change: func(p *pricing.Promotion) { p.Conditions.Groups = []string{"trade"} }, want: "other-group"},
		"not the first order":  {change: func(p *pricing.Promotion) { p.Conditions.FirstOrder = true }, want: "not-first-order"},
		"the first order":      {change: func(p *pricing.Promotion) { p.Conditions.FirstOrder = true }, cart: func(c *pricing.Cart) { c.FirstOrder = true }, want: "applied"},
		"day":                  {change: func(p *pricing.Promotion) { p.Conditions.Days = []int{2, 7} }, want: "other-day"},
		"on this day":          {change: func(p *pricing.Promotion) { p.Conditions.Days = []int{1} }, want: "applied"},
		"too early":            {change: func(p *pricing.Promotion) { p.Conditions.FromHour = 13 }, want: "other-hour"},
		"too late":             {change: func(p *pricing.Promotion) { p.Conditions.UntilHour = 12 }, want: "other-hour"},
		"over midnight":        {change: func(p *pricing.Promotion) { p.Conditions.FromHour, p.Conditions.UntilHour = 22, 13 }, want: "applied"},
		"below the subtotal":   {change: func(p *pricing.Promotion) { p.Conditions.MinSubtotal = []unit.Money{money("100.01", "EUR")} }, want: "below-subtotal"},
		"at the subtotal":      {change: func(p *pricing.Promotion) { p.Conditions.MinSubtotal = []unit.Money{money("100", "EUR")} }, want: "applied"},
		"no subtotal in EUR":   {change: func(p *pricing.Promotion) { p.Conditions.MinSubtotal = []unit.Money{money("1", "GBP")} }, want: "other-currency"},
		"too few":              {change: func(p *pricing.Promotion) { p.Conditions.MinQuantity = 5 }, want: "below-quantity"},
		"not these":            {change: func(p *pricing.Promotion) { p.Conditions.Of.SKUs = []unit.SKU{"C"} }, want: "below-quantity"},
		"of a category":        {change: func(p *pricing.Promotion) { p.Conditions.Of.Categories = []string{"mugs"} }, want: "applied"},
		"no amount in EUR":     {change: func(p *pricing.Promotion) { p.Action = fixedOff("5", "GBP") }, want: "other-currency"},
		"nothing of its SKU":   {change: func(p *pricing.Promotion) { p.Action.Target.SKUs = []unit.SKU{"C"} }, want: "nothing-to-take-off"},
		"an overridden price":  {cart: func(c *pricing.Cart) { override(c, "50") }, change: func(p *pricing.Promotion) { p.Class = pricing.ItemClass }, want: "nothing-to-take-off"},
		"overridden, included": {cart: func(c *pricing.Cart) { override(c, "50") }, change: func(p *pricing.Promotion) { p.Class, p.Action.IncludeOverridden = pricing.ItemClass, true }, want: "applied"},
		"orders see overrides": {cart: func(c *pricing.Cart) { override(c, "50") }, want: "applied"},
		"a gift card":          {cart: func(c *pricing.Cart) { c.Lines[0].GiftCard, c.Lines[1].GiftCard = true, true }, want: "nothing-to-take-off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := off("p", pricing.OrderClass, percentOff("10"))
			if test.change != nil {
				test.change(&p)
			}
			cart := pricing.Cart{Currency: "EUR", Channel: "web", ShipTo: pricing.Zone{Country: "DE"}, Lines: items("EUR", "A 2 25", "B 1 50")}
			cart.Lines[0].Categories = []string{"mugs"}
			if test.cart != nil {
				test.cart(&cart)
			}
			quote, considered, err := pricing.Compile(pricing.Book{Promotions: []pricing.Promotion{p}}).Explain(cart, noon)
			if got := reasonOf(considered, "p"); err != nil || got != test.want {
				t.Errorf("%s, %v, want %s", got, err, test.want)
			}
			if taken := quote.Total.String() != "100.00 EUR" && !quote.Lines[0].GiftCard; taken != (test.want == "applied") {
				t.Errorf("total %s", quote.Total)
			}
		})
	}
}

func override(c *pricing.Cart, lineTotal string) {
	for i := range c.Lines {
		m := money(lineTotal, "EUR")
		if c.Lines[i].Quantity == 2 {
			m = money("25", "EUR")
		}
		c.Lines[i].Override = &pricing.Override{Price: m, Reason: "agreed"}
	}
}

func TestWhatAPromotionExcludes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		exclusive pricing.Exclusivity
		first     string // amount off
		want      string
	}{
		"nothing":                         {pricing.Combines, "10", "70.00 EUR"}, // 100 - 10 - 10 - 10
		"its class":                       {pricing.EndsItsClass, "10", "80.00 EUR"},
		"everything":                      {pricing.EndsEverything, "10", "90.00 EUR"},
		"it took nothing, so it excludes": {pricing.EndsEverything, "0", "80.00 EUR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := pricing.Target{SKUs: []unit.SKU{"A"}}
			item := func(id, amount string) pricing.Promotion {
				p := off(id, pricing.ItemClass, fixedOff(amount, "EUR"))
				p.Action.Target = target
				return p
			}
			first := item("z", test.first)
			first.Exclusive, first.Priority = test.exclusive, 5
			book := pricing.Book{Promotions: []pricing.Promotion{item("a", "10"), off("o", pricing.OrderClass, fixedOff("10", "EUR")), first}}
			quote, err := pricing.Compile(book).Price(pricing.Cart{Currency: "EUR", Lines: items("EUR", "A 1 60", "B 1 40")}, noon)
			if err != nil || quote.Total.String() != test.want {
				t.Errorf("%s, %v, want %s", quote.Total, err, test.want)
			}
		})
	}
}

func TestBuyXGetYMakesDisjointSets(t *testing.T) {
	t.Parallel()
	buy2get1 := pricing.Action{Type: pricing.BuyXGetY, Buy: 2, Get: 1}
	for name, test := range map[string]struct {
		action func(pricing.Action) pricing.Action
		lines  []string
		want   []string // amounts
	}{
		"two are no set":        {nil, []string{"A 2 30"}, []string{"60"}},
		"a set of one SKU":      {nil, []string{"A 3 10"}, []string{"20"}},
		"five are one set":      {nil, []string{"A 5 10"}, []string{"40"}},
		"six are two":           {nil, []string{"A 6 10"}, []string{"40"}},
		"at most one":           {func(a pricing.Action) pricing.Action { a.MaxSets = 1; return a }, []string{"A 6 10"}, []string{"50"}},
		"spread over the set":   {nil, []string{"A 2 30", "B 1 12"}, []string{"50", "10"}},
		"on the free unit":      {func(a pricing.Action) pricing.Action { a.OnFreeUnits = true; return a }, []string{"A 2 30", "B 1 12"}, []string{"60", "0"}},
		"the cheapest is first": {func(a pricing.Action) pricing.Action { a.OnFreeUnits = true; return a }, []string{"B 1 12", "A 2 30"}, []string{"0", "60"}},
		"half off the third":    {func(a pricing.Action) pricing.Action { a.Percent = percent("50"); return a }, []string{"A 2 30", "B 1 12"}, []string{"55", "11"}},
		"the middle is no set":  {func(a pricing.Action) pricing.Action { a.OnFreeUnits = true; return a }, []string{"A 2 30", "B 2 20", "C 1 10"}, []string{"60", "40", "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			action := buy2get1
			if test.action != nil {
				action = test.action(action)
			}
			book := pricing.Book{Promotions: []pricing.Promotion{off("p", pricing.ItemClass, action)}}
			quote, err := pricing.Compile(book).Price(pricing.Cart{Currency: "EUR", Lines: items("EUR", test.lines...)}, noon)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range test.want {
				if got := quote.Lines[i].Amount.Amount.String(); got != want {
					t.Errorf("line %d: %s, want %s", i+1, got, want)
				}
			}
		})
	}
}

func TestAManualDiscountIsCappedByWhatIsLeft(t *testing.T) {
	t.Parallel()
	cart := pricing.Cart{Currency: "EUR", Lines: items("EUR", "A 1 10", "B 1 10"), Manual: []pricing.Manual{
		{ID: "m", Line: 2, Amount: new(money("99", "EUR")), Reason: "scratched"}, {ID: "n", Amount: new(money("2.50", "EUR")), Reason: "sorry"},
	}}
	quote, err := pricing.Compile(pricing.Book{}).Price(cart, noon)
	if err != nil || quote.Total.String() != "7.50 EUR" {
		t.Fatalf("%s, %v", quote.Total, err)
	}
	if a := quote.Lines[1].Adjustments[0]; a.Reason != "scratched" || a.Amount.String() != "10.00 EUR" || a.Base.String() != "10.00 EUR" {
		t.Errorf("%+v", a)
	}
}

func weighed(change func(*pricing.ShippingMethod)) pricing.ShippingMethod {
	m := pricing.ShippingMethod{ID: "post", Version: 1, Mode: pricing.Inclusive, Active: true, MaxWeight: 10_000, Rates: []pricing.RateTable{
		{Currency: "EUR", Basis: pricing.ByWeight, Steps: []pricing.Step{
			{From: "0", Price: money("4.90", "EUR")}, {From: "2000", Price: money("6", "EUR"), PerExtra: money("0.001", "EUR")},
		}},
		{Zone: pricing.Zone{Country: "DE"}, Currency: "EUR", Basis: pricing.ByQuantity, Steps: []pricing.Step{{From: "1", Price: money("1", "EUR"), PerExtra: money("0.5", "EUR")}}},
		{Zone: pricing.Zone{Country: "DE", Postcode: "25849*"}, Currency: "EUR", Basis: pricing.ByAmount, Steps: []pricing.Step{{From: "20", Price: money("9", "EUR"), PerExtra: money("0.10", "EUR")}}},
	}}
	if change != nil {
		change(&m)
	}
	return m
}

func TestWhatShippingCosts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		to     pricing.Zone
		line   string
		weight int64
		change func(*pricing.ShippingMethod)
		want   string
	}{
		"the first step":           {pricing.Zone{Country: "NL"}, "A 1 5", 1999, nil, "4.90"},
		"from 2 kg, per gram":      {pricing.Zone{Country: "NL"}, "A 3 5", 1000, nil, "7.00"},
		"too heavy":                {pricing.Zone{Country: "NL"}, "A 1 5", 10_001, nil, "too-heavy"},
		"by quantity in a country": {pricing.Zone{Country: "DE", Postcode: "10115"}, "A 4 5", 1, nil, "2.50"},
		"an island by amount":      {pricing.Zone{Country: "DE", Postcode: "258 49"}, "A 1 25.99", 1, nil, "9.50"},
		"below the first step":     {pricing.Zone{Country: "DE", Postcode: "25849"}, "A 1 19.99", 1, nil, "no-rate"},
		"inactive":                 {pricing.Zone{}, "A 1 5", 1, func(m *pricing.ShippingMethod) { m.Active = false }, "inactive"},
		"on another channel":       {pricing.Zone{}, "A 1 5", 1, func(m *pricing.ShippingMethod) { m.Channels = []string{"shop"} }, "other-channel"},
		"without tax":              {pricing.Zone{}, "A 1 5", 1, func(m *pricing.ShippingMethod) { m.Mode = pricing.Exclusive }, "other-price-mode"},
		"in another currency":      {pricing.Zone{}, "A 1 5", 1, func(m *pricing.ShippingMethod) { m.Rates[0].Currency = "GBP" }, "other-zone"},
		"free above":               {pricing.Zone{}, "A 1 50", 1, func(m *pricing.ShippingMethod) { f := money("50", "EUR"); m.Rates[0].FreeAbove = &f }, "0.00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := pricing.Compile(pricing.Book{Methods: []pricing.ShippingMethod{weighed(test.change)}})
			cart := pricing.Cart{Currency: "EUR", Channel: "web", ShipTo: test.to, Method: "post", Lines: items("EUR", test.line)}
			cart.Lines[0].Weight = test.weight
			quote, err := rules.Price(cart, noon)
			got := ""
			if errors.Is(err, pricing.ErrShipping) {
				_, considered, _ := rules.Explain(cart, noon)
				got = reasonOf(considered, "post")
			} else if err == nil {
				got = text(quote.Charges[0].Gross)
			}
			if got != test.want {
				t.Errorf("%q, %v, want %q", got, err, test.want)
			}
			cart.Method = ""
			options, err := rules.Shipping(cart, noon)
			if err != nil || test.want == "inactive" != (len(options) == 0) {
				t.Fatalf("%v, %v", options, err)
			}
			for _, o := range options {
				if answer := map[bool]string{true: text(o.Price), false: o.Reason}[o.Available]; answer != test.want {
					t.Errorf("the option is %+v, want %s", o, test.want)
				}
			}
		})
	}
}

func TestFreeShippingLooksAtTheAmountAfterDiscounts(t *testing.T) {
	t.Parallel()
	book := pricing.Book{
		Methods:    freeAbove(flat("EUR", "5", "", pricing.Inclusive), "50"),
		Promotions: []pricing.Promotion{off("p", pricing.OrderClass, fixedOff("1", "EUR"))},
	}
	cart := pricing.Cart{Currency: "EUR", Method: "S", Lines: items("EUR", "A 1 50")}
	if quote, err := pricing.Compile(book).Price(cart, noon); err != nil || quote.Total.String() != "54.00 EUR" {
		t.Errorf("%s, %v", quote.Total, err)
	}
	book.Methods[0].Measure = pricing.OfList
	if quote, err := pricing.Compile(book).Price(cart, noon); err != nil || quote.Total.String() != "49.00 EUR" {
		t.Errorf("by list: %s, %v", quote.Total, err)
	}
	book.Methods[0].Measure = ""
	book.Promotions = append(book.Promotions, off("q", pricing.ShippingClass, pricing.Action{Type: pricing.FreeShipping}))
	if quote, err := pricing.Compile(book).Price(cart, noon); err != nil || quote.Total.String() != "49.00 EUR" || quote.Charges[0].List.String() != "5.00 EUR" {
		t.Errorf("free: %s, %v", quote.Total, err)
	}
}

func TestARefusalSaysWhatAndWhere(t *testing.T) {
	t.Parallel()
	priced := func(change func(*pricing.Cart)) pricing.Cart {
		c := pricing.Cart{Currency: "EUR", Lines: items("EUR", "A 1 10 standard", "B 1 10 books")}
		change(&c)
		return c
	}
	for name, test := range map[string]struct {
		cart pricing.Cart
		want error
		says string
	}{
		"no price":             {priced(func(c *pricing.Cart) { c.Lines[1].Catalogue = nil }), pricing.ErrPriceMissing, "Line 2, B"},
		"another currency":     {priced(func(c *pricing.Cart) { m := money("1", "GBP"); c.Lines[0].Catalogue = &m }), pricing.ErrPriceMissing, "Line 1, A"},
		"an unknown class":     {priced(func(c *pricing.Cart) { c.Lines[1].TaxClass = "wine" }), pricing.ErrTaxUnknown, `"wine"`},
		"an unknown place":     {priced(func(c *pricing.Cart) { c.ShipTo.Country = "US" }), pricing.ErrTaxUnknown, "US"},
		"an unknown method":    {priced(func(c *pricing.Cart) { c.Method = "drone" }), pricing.ErrShipping, "drone"},
		"too fine a discount":  {priced(func(c *pricing.Cart) { c.Manual = []pricing.Manual{{ID: "m", Amount: new(money("0.001", "EUR"))}} }), pricing.ErrTooFine, "0.001"},
		"a negative price":     {priced(func(c *pricing.Cart) { c.Lines[0].Override = &pricing.Override{Price: money("-1", "EUR")} }), pricing.ErrAmount, "Line 1, A: its price is below zero"},
		"a discount in pounds": {priced(func(c *pricing.Cart) { c.Manual = []pricing.Manual{{ID: "m", Amount: new(money("1", "GBP"))}} }), pricing.ErrAmount, "GBP"},
		"beyond all amounts":   {priced(func(c *pricing.Cart) { m := money("99999999999999999", "EUR"); c.Lines[0].Catalogue = &m }), pricing.ErrAmount, "Line 1"},
		"a sum beyond the same": {priced(func(c *pricing.Cart) {
			m := money("9999999999999", "EUR")
			c.Lines[0].Catalogue, c.Lines[1].Catalogue = &m, &m
		}), pricing.ErrAmount, "Line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entities := seller(pricing.Inclusive, "standard V19 19", "books V7 7")
			for i := range entities[0].Rows {
				entities[0].Rows[i].Place.Country = "DE"
			}
			_, err := pricing.Compile(pricing.Book{Entities: entities}).Price(test.cart, noon)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %v that says %q", err, test.want, test.says)
			}
		})
	}
}

// A quote may cost so many steps and no more. Promotions that cannot apply do not count.
func TestAQuoteHasALimitedSize(t *testing.T) {
	t.Parallel()
	book := func(active, others int) *pricing.Rules {
		var b pricing.Book
		for i := range active + others {
			b.Promotions = append(b.Promotions, pricing.Promotion{
				ID: fmt.Sprint(i), Kind: pricing.Automatic, Class: pricing.ItemClass, Active: i < active,
				Action: pricing.Action{Type: pricing.FixedPrice, Amounts: []unit.Money{money("9", "GBP")}},
			})
		}
		return pricing.Compile(b)
	}
	cart := pricing.Cart{Currency: "EUR"}
	for i := range 1000 {
		cart.Lines = append(cart.Lines, pricing.Item{Number: i + 1, SKU: unit.SKU(fmt.Sprint("S", i)), Quantity: 1, Catalogue: new(money("1", "EUR"))})
	}
	if _, err := book(pricing.MaxSteps/1000, 500).Price(cart, noon); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	_, err := book(pricing.MaxSteps/1000+1, 0).Price(cart, noon)
	if refusal, is := errors.AsType[*rule.Rejection](err); !is || !errors.Is(err, pricing.ErrSize) || refusal.Facts["lines"] != 1000 || refusal.Facts["limit"] != pricing.MaxSteps {
		t.Errorf("above the limit: %v", err)
	}
}

func taxed(change func(*pricing.LegalEntity), rows ...pricing.TaxRow) *pricing.Rules {
	e := pricing.LegalEntity{ID: "shop", Mode: pricing.Inclusive, Home: pricing.Zone{Country: "DE"}, DefaultClass: "standard", Rows: rows}
	if change != nil {
		change(&e)
	}
	return pricing.Compile(pricing.Book{Entities: []pricing.LegalEntity{e}})
}

func row(country, region, component, rate string, treatment pricing.Treatment) pricing.TaxRow {
	return pricing.TaxRow{Place: pricing.Zone{Country: country, Region: region}, Class: "standard", Component: component, Rate: percent(rate), Treatment: treatment}
}

func TestWhichTaxIsDue(t *testing.T) {
	t.Parallel()
	old := row("DE", "", "DE VAT", "16", "")
	old.Window.Until = noon
	now := row("DE", "", "DE VAT", "19", "")
	now.Window.From = noon
	rows := []pricing.TaxRow{
		old, now, row("NL", "", "NL VAT", "21", ""), row("", "", "export", "0", pricing.Export),
		row("GB", "", "GB VAT", "0", pricing.ZeroRate), row("CA", "", "GST", "5", ""), row("CA", "QC", "QST", "9.975", ""), row("CA", "ON", "HST", "13", ""), row("CA", "ON", "GST", "0", ""),
	}
	business := func(country string, checked time.Time) pricing.TaxStatus {
		return pricing.TaxStatus{Kind: pricing.Business, Country: country, TaxID: "erased", CheckedAt: checked}
	}
	register := func(e *pricing.LegalEntity) {
		e.Registrations = []pricing.Registration{{Country: "DE"}, {Country: "CA"}}
	}
	for name, test := range map[string]struct {
		change func(*pricing.LegalEntity)
		to     pricing.Zone
		status pricing.TaxStatus
		want   string // total and entries
	}{
		"at home, from today":         {nil, pricing.Zone{}, pricing.TaxStatus{}, "119.00: DE VAT 19 standard DE 19.00"},
		"in another country":          {nil, pricing.Zone{Country: "NL"}, pricing.TaxStatus{}, "119.00: NL VAT 21 standard NL 20.65"},
		"components of two levels":    {nil, pricing.Zone{Country: "CA", Region: "QC"}, pricing.TaxStatus{}, "119.00: GST 5 standard CA 5.18, QST 9.975 standard CA-QC 10.32"},
		"one takes another's place":   {nil, pricing.Zone{Country: "CA", Region: "ON"}, pricing.TaxStatus{}, "119.00: HST 13 standard CA-ON 13.69"},
		"export":                      {nil, pricing.Zone{Country: "US"}, pricing.TaxStatus{}, "100.00: export 0 export US 0.00"},
		"a rate of 0 in a country":    {nil, pricing.Zone{Country: "GB"}, pricing.TaxStatus{}, "119.00: GB VAT 0 zero GB 0.00"},
		"not registered there":        {register, pricing.Zone{Country: "NL"}, pricing.TaxStatus{}, "100.00: export 0 export NL 0.00"},
		"registered there":            {register, pricing.Zone{Country: "CA"}, pricing.TaxStatus{}, "119.00: GST 5 standard CA 5.67"},
		"reverse charge":              {nil, pricing.Zone{Country: "NL"}, business("NL", noon), "100.00: DE VAT 0 reverse_charge NL 0.00"},
		"without proof":               {nil, pricing.Zone{Country: "NL"}, business("NL", time.Time{}), "119.00: NL VAT 21 standard NL 20.65"},
		"an id of the shop's country": {nil, pricing.Zone{Country: "NL"}, business("DE", noon), "119.00: NL VAT 21 standard NL 20.65"},
		"at home":                     {nil, pricing.Zone{Country: "DE"}, business("NL", noon), "119.00: DE VAT 19 standard DE 19.00"},
		"exempt":                      {nil, pricing.Zone{}, pricing.TaxStatus{Kind: pricing.ExemptBuyer, CheckedAt: noon}, "100.00: DE VAT 0 exempt DE 0.00"},
		"the certificate has ended":   {nil, pricing.Zone{}, pricing.TaxStatus{Kind: pricing.ExemptBuyer, CheckedAt: noon, Until: noon}, "119.00: DE VAT 19 standard DE 19.00"},
		"a certificate not checked":   {nil, pricing.Zone{}, pricing.TaxStatus{Kind: pricing.ExemptBuyer}, "119.00: DE VAT 19 standard DE 19.00"},
		"an id from elsewhere":        {nil, pricing.Zone{Country: "NL"}, business("GB", noon), "119.00: NL VAT 21 standard NL 20.65"},
		"a consumer":                  {nil, pricing.Zone{Country: "NL"}, pricing.TaxStatus{Kind: pricing.Consumer, Country: "NL", CheckedAt: noon}, "119.00: NL VAT 21 standard NL 20.65"},
		"exempt pays the same": {
			func(e *pricing.LegalEntity) { e.Untaxed = pricing.PaysSame },
			pricing.Zone{},
			pricing.TaxStatus{Kind: pricing.ExemptBuyer, CheckedAt: noon},
			"119.00: DE VAT 0 exempt DE 0.00",
		},
		"tax is added":          {func(e *pricing.LegalEntity) { e.Mode = pricing.Exclusive }, pricing.Zone{}, pricing.TaxStatus{}, "141.61: DE VAT 19 standard DE 22.61"},
		"no tax is added":       {func(e *pricing.LegalEntity) { e.Mode = pricing.Exclusive }, pricing.Zone{Country: "US"}, pricing.TaxStatus{}, "119.00: export 0 export US 0.00"},
		"of another channel":    {func(e *pricing.LegalEntity) { e.Channels = []string{"shop"} }, pricing.Zone{}, pricing.TaxStatus{}, "119.00: "},
		"of the cart's channel": {func(e *pricing.LegalEntity) { e.Channels = []string{"web"} }, pricing.Zone{}, pricing.TaxStatus{}, "119.00: DE VAT 19 standard DE 19.00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cart := pricing.Cart{Currency: "EUR", Channel: "web", ShipTo: test.to, Status: test.status, Lines: items("EUR", "A 1 119")}
			quote, err := taxed(test.change, rows...).Price(cart, noon)
			if err != nil {
				t.Fatal(err)
			}
			var entries []string
			for _, e := range quote.Lines[0].Tax {
				entries = append(entries, strings.Join([]string{e.Component, e.Rate.String(), string(e.Treatment), e.Place, text(e.Amount)}, " "))
			}
			if got := text(quote.Total) + ": " + strings.Join(entries, ", "); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			if err := quote.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAGiftCardIsNeitherTaxedNorDiscounted(t *testing.T) {
	t.Parallel()
	rules := pricing.Compile(pricing.Book{
		Entities:   seller(pricing.Exclusive, "standard V19 19"),
		Promotions: []pricing.Promotion{off("p", pricing.OrderClass, percentOff("50"))},
	})
	cart := pricing.Cart{Currency: "EUR", Lines: items("EUR", "CARD 1 50", "A 1 10")}
	cart.Lines[0].GiftCard = true
	quote, err := rules.Price(cart, noon)
	if err != nil || quote.Total.String() != "55.95 EUR" || len(quote.Lines[0].Tax)+len(quote.Lines[0].Adjustments) > 0 {
		t.Errorf("%s, %v, %+v", quote.Total, err, quote.Lines[0])
	}
}

func TestRoundingByLine(t *testing.T) {
	t.Parallel()
	// 0.30 x 15 % = 0.045, three times: 0.14 over the order, 0.15 by line.
	for rounding, want := range map[pricing.RoundTax]string{"": "1.04 EUR", pricing.RoundByOrder: "1.04 EUR", pricing.RoundByLine: "1.05 EUR"} {
		entities := seller(pricing.Exclusive, "standard V15 15")
		entities[0].Rounding = rounding
		cart := pricing.Cart{Currency: "EUR", Lines: items("EUR", "A 1 0.30", "B 1 0.30", "C 1 0.30")}
		if quote, err := pricing.Compile(pricing.Book{Entities: entities}).Price(cart, noon); err != nil || quote.Total.String() != want {
			t.Errorf("%s: %s, %v, want %s", rounding, quote.Total, err, want)
		}
	}
}

func TestACodeHasOneForm(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"SPRING10", "spring10", " Spring-10 ", "SPRING 10"} {
		if got := pricing.FoldCode(text); got != "SPRING10" {
			t.Errorf("%q is %q", text, got)
		}
	}
}

func TestCheckNamesTheFirstTermThatDiffers(t *testing.T) {
	t.Parallel()
	cent := money("0.01", "EUR")
	more := func(m *unit.Money) { *m = m.Plus(cent) }
	for want, change := range map[string]func(*pricing.Quote){
		"line 1: list":             func(q *pricing.Quote) { more(&q.Lines[0].List) },
		"line 1: amount":           func(q *pricing.Quote) { more(&q.Lines[0].Adjustments[0].Amount) },
		"line 2: net":              func(q *pricing.Quote) { more(&q.Lines[1].Net); more(&q.Lines[1].Gross) },
		"line 2: gross":            func(q *pricing.Quote) { more(&q.Lines[1].Tax[0].Amount) },
		"charge 1: gross":          func(q *pricing.Quote) { more(&q.Charges[0].Gross) },
		"net:":                     func(q *pricing.Quote) { more(&q.Net) },
		"total:":                   func(q *pricing.Quote) { more(&q.Total) },
		"tax V7 7%: amount":        func(q *pricing.Quote) { more(&q.Taxes[0].Amount) },
		"tax V19 19%: base":        func(q *pricing.Quote) { more(&q.Taxes[1].Base) },
		"line 1: adjustment 10%":   func(q *pricing.Quote) { q.Lines[0].Adjustments[0].Amount = money("0.005", "EUR") },
		"hash:":                    func(q *pricing.Quote) { q.Hash = "x" },
		"line 1: price is 1.00 GB": func(q *pricing.Quote) { q.Lines[0].Price = money("1", "GBP") },
	} {
		e := examples()[6]
		quote, err := pricing.Compile(e.Book).Price(e.Cart, noon)
		if err != nil || quote.Check() != nil {
			t.Fatal(err, quote.Check())
		}
		change(&quote)
		if err := quote.Check(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want one that begins with %s", err, want)
		}
	}
}

// A quote of the same cart later has the same hash if it costs the same, also under a newer version
// of a definition.
func TestTheHashIsOfWhatTheBuyerPays(t *testing.T) {
	t.Parallel()
	e := examples()[1]
	first, _ := pricing.Compile(e.Book).Price(e.Cart, noon)
	e.Book.Promotions[0].Version++
	later, _ := pricing.Compile(e.Book).Price(e.Cart, noon.Add(time.Hour))
	if first.Hash != later.Hash {
		t.Error("the hash depends on the version or on the time")
	}
	e.Book.Promotions[0].Action = fixedOff("10.01", "EUR")
	if other, _ := pricing.Compile(e.Book).Price(e.Cart, noon); other.Hash == first.Hash {
		t.Error("another discount has the same hash")
	}
}
