package pricing_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"daybook/domain/money/pricing"
	"daybook/domain/unit"
	"daybook/internal/racetest"
)

// randomShop is a shop with some of everything.
func randomShop(random *rand.Rand, currency unit.Currency, promotions int) pricing.Book {
	mode := pricing.Inclusive
	if random.IntN(2) == 0 {
		mode = pricing.Exclusive
	}
	rows := []string{"standard V21 21", "food V9 9", "local GST 5", "local QST 9.975", "free V0 0", "half V21 21", "half LOCAL 2.5"}
	book := pricing.Book{Entities: seller(mode, rows...), Methods: flat(currency, "5", []string{"", "standard"}[random.IntN(2)], mode)}
	book.Entities[0].Rounding = []pricing.RoundTax{"", pricing.RoundByOrder, pricing.RoundByLine}[random.IntN(3)]
	book.Entities[0].Untaxed = []pricing.UntaxedBuyer{"", pricing.PaysNet, pricing.PaysSame}[random.IntN(3)]
	for n := range random.IntN(4) {
		l := pricing.PriceList{
			ID: fmt.Sprint("l", n), Kind: []pricing.ListKind{pricing.Regular, pricing.Sale}[random.IntN(2)], Currency: currency, Mode: mode,
			Active: true, Priority: random.IntN(2), Prices: map[unit.SKU][]pricing.Tier{},
		}
		for sku := range 5 {
			l.Prices[unit.SKU(fmt.Sprint("S", sku))] = []pricing.Tier{{From: 1 + unit.Quantity(random.IntN(3)), Price: price(random, currency)}}
		}
		book.Lists = append(book.Lists, l)
	}
	for n := range promotions {
		book.Promotions = append(book.Promotions, randomPromotion(random, currency, n))
	}
	return book
}

func price(random *rand.Rand, currency unit.Currency) unit.Money {
	return money(fmt.Sprintf("%d.%04d", random.IntN(60), random.IntN(10_000)), currency)
}

func randomPromotion(random *rand.Rand, currency unit.Currency, n int) pricing.Promotion {
	p := pricing.Promotion{
		ID: fmt.Sprintf("p%03d", n), Version: 1, Kind: pricing.Automatic, Active: true, Priority: random.IntN(3),
		Class:     []pricing.Class{pricing.ItemClass, pricing.OrderClass, pricing.ShippingClass}[random.IntN(3)],
		Exclusive: []pricing.Exclusivity{"", pricing.Combines, pricing.EndsItsClass, pricing.EndsEverything}[random.IntN(12)%4],
	}
	kinds := map[pricing.Class][]pricing.ActionType{
		pricing.ItemClass:     {pricing.PercentOff, pricing.FixedOff, pricing.BuyXGetY, pricing.FixedPrice},
		pricing.OrderClass:    {pricing.PercentOff, pricing.FixedOff},
		pricing.ShippingClass: {pricing.PercentOff, pricing.FixedOff, pricing.FreeShipping},
	}[p.Class]
	p.Action = pricing.Action{
		Type: kinds[random.IntN(len(kinds))], Percent: percent(fmt.Sprint(1 + random.IntN(100))),
		Amounts: []unit.Money{money(fmt.Sprint(random.IntN(30)), currency)},
		Buy:     1 + unit.Quantity(random.IntN(3)), Get: 1 + unit.Quantity(random.IntN(2)),
		MaxSets: unit.Quantity(random.IntN(3)), OnFreeUnits: random.IntN(2) == 0, IncludeOverridden: random.IntN(2) == 0,
	}
	if random.IntN(2) == 0 {
		p.Action.Target.SKUs = []unit.SKU{unit.SKU(fmt.Sprint("S", random.IntN(5)))}
	}
	if random.IntN(3) == 0 {
		p.Conditions.MinSubtotal = []unit.Money{money(fmt.Sprint(random.IntN(100)), currency)}
		p.Conditions.Measure = []pricing.Measure{"", pricing.OfList, pricing.AfterItems, pricing.AfterOrder}[random.IntN(4)]
	}
	return p
}

func randomCart(random *rand.Rand, currency unit.Currency) pricing.Cart {
	cart := pricing.Cart{Currency: currency, Method: []string{"", "S"}[random.IntN(2)]}
	classes := []string{"", "standard", "food", "local", "free", "half"}
	for n := range 1 + random.IntN(5) {
		catalogue := price(random, currency)
		item := pricing.Item{
			Number: 1 + 2*n, SKU: unit.SKU(fmt.Sprint("S", random.IntN(5))), Quantity: 1 + unit.Quantity(random.IntN(9)),
			Catalogue: &catalogue, Kind: unit.Stocked, TaxClass: classes[random.IntN(len(classes))], GiftCard: random.IntN(10) == 0,
		}
		if random.IntN(8) == 0 {
			item.Override = &pricing.Override{Price: price(random, currency), Reason: "damaged"}
		}
		cart.Lines = append(cart.Lines, item)
	}
	if random.IntN(5) == 0 {
		cart.Manual = []pricing.Manual{{ID: "m1", Line: random.IntN(2), Amount: new(money(fmt.Sprint(random.IntN(50)), currency)), Reason: "sorry"}}
	}
	if random.IntN(5) == 0 {
		cart.Manual = append(cart.Manual, pricing.Manual{ID: "m2", Line: random.IntN(2), Percent: percent(fmt.Sprint(1 + random.IntN(100))), Most: new(money("20", currency)), Reason: "sorry"})
	}
	switch random.IntN(5) {
	case 0:
		cart.ShipTo, cart.Status = pricing.Zone{Country: "NL"}, pricing.TaxStatus{Kind: pricing.Business, Country: "NL", CheckedAt: noon}
	case 1:
		cart.Status = pricing.TaxStatus{Kind: pricing.ExemptBuyer, CheckedAt: noon}
	}
	return cart
}

// Whatever promotions meet in whatever cart: the equations hold, nothing is below zero, and what is
// taken back unit by unit ends at zero.
func TestTheEquationsHoldForRandomCarts(t *testing.T) {
	t.Parallel()
	for seed := range racetest.Few(uint64(20_000), 500) {
		random := rand.New(rand.NewPCG(seed, 7))
		currency := []unit.Currency{"EUR", "JPY", "BHD"}[random.IntN(3)]
		rules, cart := pricing.Compile(randomShop(random, currency, random.IntN(8))), randomCart(random, currency)
		quote, err := rules.Price(cart, noon)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := quote.Check(); err != nil {
			t.Fatalf("seed %d: %v\n%+v", seed, err, quote)
		}
		checkTax(t, seed, quote)
		l := newLedger(quote)
		for i := range l.accounts {
			l.names[i] = fmt.Sprint(i)
		}
		for _, i := range random.Perm(len(l.accounts)) {
			a := &l.accounts[i]
			for !a.Left().IsZero() {
				a.Deliver(1 + random.Int64N(3))
				a.Delivered.Take(1 + random.Int64N(3))
			}
		}
		again, considered, err := rules.Explain(cart, noon)
		if err != nil || again.Hash != quote.Hash {
			t.Fatalf("seed %d: explained: %v, %v, %s and %s", seed, err, considered, again.Hash, quote.Hash)
		}
	}
}

// checkTax computes the tax of each component of a charged order a second time.
func checkTax(t *testing.T, seed uint64, q pricing.Quote) {
	t.Helper()
	for _, total := range q.Taxes {
		exact := total.Rate.Of(total.Base)
		diff := exact.Minus(total.Amount).Abs()
		// Base is rounded, too, with taxes inside. By line, each line rounds.
		most := unit.OfMinor(int64(2*(len(q.Lines)+2*len(q.Charges))), q.Currency)
		if diff.Compare(most) > 0 && total.Treatment == pricing.StandardRate {
			t.Fatalf("seed %d: tax %s of %s is %s", seed, total.Component, total.Base, total.Amount)
		}
	}
}

func TestTwoHalvesLeaveAQuarter(t *testing.T) {
	t.Parallel()
	for _, class := range []pricing.Class{pricing.ItemClass, pricing.OrderClass} {
		book := pricing.Book{Promotions: []pricing.Promotion{off("a", class, percentOff("50")), off("b", class, percentOff("50"))}}
		quote, err := pricing.Compile(book).Price(pricing.Cart{Currency: "EUR", Lines: items("EUR", "A 1 100.00")}, noon)
		if err != nil || !quote.Total.Equal(money("25", "EUR")) {
			t.Errorf("%s: %s, %v", class, quote.Total, err)
		}
	}
}

// BenchmarkPrice prices a cart of 3 lines with 200 active promotions and 20 price lists.
func BenchmarkPrice(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	book := randomShop(random, "EUR", 200)
	book.Lists = nil
	for n := range 20 {
		l := pricing.PriceList{ID: fmt.Sprint("l", n), Kind: pricing.Regular, Currency: "EUR", Mode: book.Entities[0].Mode, Active: true, Prices: map[unit.SKU][]pricing.Tier{}}
		for _, sku := range []unit.SKU{"S0", "S1", "S2"} {
			l.Prices[sku] = []pricing.Tier{{From: 1, Price: price(random, "EUR")}}
		}
		book.Lists = append(book.Lists, l)
	}
	for i := range book.Promotions { // of ten, two are coupons, five are for others, one is for large carts, and two apply
		p := &book.Promotions[i]
		p.Exclusive, p.Action.Percent, p.Action.Amounts = pricing.Combines, percent("1"), []unit.Money{money("0.02", "EUR")}
		if p.Action.Type == pricing.FixedPrice {
			p.Action.Type = pricing.PercentOff
		}
		switch i % 10 {
		case 0, 1:
			p.Kind, p.Codes = pricing.Coupon, []string{fmt.Sprint("CODE", i)}
		case 2, 3:
			p.Conditions.Groups = []string{"trade"}
		case 4, 5, 6:
			p.Conditions.Of.SKUs = []unit.SKU{"S7", "S8"}
		case 7:
			p.Conditions.MinSubtotal = []unit.Money{money("100000", "EUR")}
		}
	}
	rules := pricing.Compile(book)
	cart := pricing.Cart{Currency: "EUR", Method: "S", Lines: items("EUR", "S0 2 0 standard", "S1 3 0 food", "S2 1 0 standard")}
	quote, err := rules.Price(cart, noon)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d, %d and %d adjustments", len(quote.Lines[0].Adjustments), len(quote.Lines[1].Adjustments), len(quote.Lines[2].Adjustments))
	for b.Loop() {
		if _, err := rules.Price(cart, noon); err != nil {
			b.Fatal(err)
		}
	}
}
