package commands_test

import (
	"context"
	"errors"
	"testing"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/cart"
	"daybook/domain/checkout"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/rule"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// book is a price book that a test fills.
type book struct{ rules *pricing.Rules }

func (b *book) Rules() *pricing.Rules                          { return b.rules }
func (b *book) Has(context.Context, eventstore.Position) error { return nil }
func (b *book) KnowsTaxClass(string) bool                      { return true }

// guarded is a shop with a cart of 3 mugs at 2.50, and a coupon of 1.00 off.
func guarded(t *testing.T) (*shoptest.Shop, *book) {
	t.Helper()
	return guardedIn(t, memory.New())
}

func guardedIn(t *testing.T, store eventstore.Store) (*shoptest.Shop, *book) {
	t.Helper()
	shop := shoptest.Open(t, store, commands.DefaultPolicy())
	b := &book{rules: pricing.Compile(pricing.Book{Promotions: []pricing.Promotion{{
		ID: "one", Version: 1, Kind: pricing.Coupon, Class: pricing.OrderClass, Active: true, Codes: []string{"ONE"},
		Action: pricing.Action{Type: pricing.FixedOff, Amounts: []unit.Money{pounds("1")}},
	}}})}
	shop.Prices = b
	shop.Sell("MUG", 10)
	shop.Must(shop.FillCart("ann", map[unit.SKU]unit.Quantity{"MUG": 3}))
	return shop, b
}

func reprice(t *testing.T, shop *shoptest.Shop, amount string) {
	t.Helper()
	_, err := shop.Product(t.Context(), shoptest.NewCall(), "MUG", product.SetPrice{Price: pounds(amount)})
	shop.Must(err)
}

func check(t *testing.T, shop *shoptest.Shop, expect commands.Expectation) (commands.CheckoutResult, []checkout.Reason, error) {
	t.Helper()
	result, err := shop.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "ann", Expect: expect})
	var reasons []checkout.Reason
	if refusal, is := errors.AsType[*rule.Rejection](err); is {
		reasons, _ = refusal.Facts["reasons"].([]checkout.Reason)
	}
	return result, reasons, err
}

func TestAPlainCheckoutGoesThroughWhileThePricesStay(t *testing.T) {
	t.Parallel()
	shop, _ := guarded(t)
	result, _, err := check(t, shop, commands.Expectation{})
	if err != nil || !result.Placed {
		t.Fatal(err)
	}
	state := shop.OrderState(result.OrderID)
	if state.Quote != nil || !state.Accounts || state.Owed().String() != "7.50 GBP" {
		t.Errorf("quote %v, accounts %t, owed %s", state.Quote, state.Accounts, state.Owed())
	}
	shop.Audit()
}

func TestAHigherPriceIsRefusedUntilItIsAccepted(t *testing.T) {
	t.Parallel()
	shop, _ := guarded(t)
	reprice(t, shop, "3")
	_, reasons, err := check(t, shop, commands.Expectation{})
	if !errors.Is(err, checkout.ErrPriceChanged) || len(reasons) != 1 || reasons[0].Line != 1 || reasons[0].Was.String() != "7.50 GBP" || reasons[0].Is.String() != "9.00 GBP" {
		t.Fatalf("%v, %+v", err, reasons)
	}
	priced, err := shop.PriceCart(t.Context(), shoptest.NewCall(), "ann")
	shop.Must(err)
	if _, _, err := check(t, shop, commands.Expectation{Quote: "another", AcceptLower: true}); !errors.Is(err, checkout.ErrPriceChanged) {
		t.Errorf("another hash: %v", err)
	}
	result, _, err := check(t, shop, commands.Expectation{Quote: priced.Quote.Hash})
	if err != nil || shop.OrderState(result.OrderID).Owed().String() != "9.00 GBP" {
		t.Errorf("%v", err)
	}
	shop.Audit()
}

func TestALowerPriceNeedsAWord(t *testing.T) {
	t.Parallel()
	shop, _ := guarded(t)
	reprice(t, shop, "2")
	if _, _, err := check(t, shop, commands.Expectation{}); !errors.Is(err, checkout.ErrPriceChanged) {
		t.Fatalf("%v", err)
	}
	total := pounds("7.50")
	result, _, err := check(t, shop, commands.Expectation{Total: &total, AcceptLower: true})
	if err != nil || shop.OrderState(result.OrderID).Owed().String() != "6.00 GBP" {
		t.Errorf("%v", err)
	}
}

func TestARetiredProductIsRefusedWhateverIsExpected(t *testing.T) {
	t.Parallel()
	shop, _ := guarded(t)
	priced, err := shop.PriceCart(t.Context(), shoptest.NewCall(), "ann")
	shop.Must(err)
	_, err = shop.Product(t.Context(), shoptest.NewCall(), "MUG", product.Retire{})
	shop.Must(err)
	_, reasons, err := check(t, shop, commands.Expectation{Quote: priced.Quote.Hash})
	if !errors.Is(err, checkout.ErrPriceChanged) || len(reasons) != 1 || reasons[0].Code != checkout.ProductRetired {
		t.Errorf("%v, %+v", err, reasons)
	}
	if phase := shop.CartState("ann").Phase; phase != cart.PhaseOpen {
		t.Errorf("the cart is %s", phase)
	}
}

func TestAPromotionThatHasEndedIsSaid(t *testing.T) {
	t.Parallel()
	shop, b := guarded(t)
	_, err := shop.Cart(t.Context(), shoptest.NewCall(), "ann", cart.AddCoupon{Code: "one"})
	shop.Must(err)
	priced, err := shop.PriceCart(t.Context(), shoptest.NewCall(), "ann")
	shop.Must(err)
	if priced.Quote.Total.String() != "6.50 GBP" {
		t.Fatalf("total %s", priced.Quote.Total)
	}
	b.rules = pricing.Compile(pricing.Book{Promotions: []pricing.Promotion{{ID: "one", Kind: pricing.Coupon, Class: pricing.OrderClass, Codes: []string{"ONE"}}}})
	_, reasons, err := check(t, shop, commands.Expectation{Quote: priced.Quote.Hash})
	if !errors.Is(err, checkout.ErrPriceChanged) || len(reasons) != 1 || reasons[0].Code != checkout.PromotionEnded {
		t.Errorf("%v, %+v", err, reasons)
	}
	if coupons := shop.CartState("ann").Coupons; len(coupons) != 1 {
		t.Errorf("the cart keeps its codes, has %v", coupons)
	}
}

// The order freezes the quote: its lines give back their shares.
func TestAnOrderKeepsItsQuote(t *testing.T) {
	t.Parallel()
	store := memory.New()
	shop, _ := guardedIn(t, store)
	_, err := shop.Cart(t.Context(), shoptest.NewCall(), "ann", cart.AddCoupon{Code: "one"})
	shop.Must(err)
	total := pounds("6.50")
	result, _, err := check(t, shop, commands.Expectation{Total: &total})
	if err != nil {
		t.Fatal(err)
	}
	state := shop.OrderState(result.OrderID)
	if state.Quote == nil || len(state.Quote.Coupons) != 1 || state.Owed().String() != "6.50 GBP" {
		t.Errorf("%+v, owed %s", state.Quote, state.Owed())
	}
	started := startedIn(t, store)
	if started.Quote != nil || !started.QuoteWithOrder {
		t.Errorf("the checkout was recorded in one append and keeps a quote of its own: %+v", started)
	}
	checkedOut := cart.CheckedOut{OrderID: result.OrderID}
	for _, h := range state.Holdings {
		checkedOut.Reservations = append(checkedOut.Reservations, cart.Reservation{ReservationID: h.ReservationID, SKU: h.SKU, Location: h.Location, Quantity: h.Quantity})
	}
	if events, err := order.Decide(checkout.Place(started, checkedOut), state); err != nil || len(events) != 0 {
		t.Errorf("a driver that goes on with the recorded checkout places %v, %v", events, err)
	}
	shop.Audit()
}

// startedIn is the checkout that the log has.
func startedIn(t *testing.T, store eventstore.Store) (started cart.CheckoutStarted) {
	t.Helper()
	for recorded, err := range store.ReadStream(t.Context(), cart.Stream("ann"), 0, 0) {
		if err != nil {
			t.Fatal(err)
		}
		event, err := eventstore.Decode(&recorded, cart.Decode)
		if err != nil {
			t.Fatal(err)
		}
		if of, is := event.(cart.CheckoutStarted); is {
			started = of
		}
	}
	return started
}

// past are customers and addresses that have ordered.
type past map[string]bool

func (p past) Any(_ context.Context, customer unit.CustomerID, email string) (bool, error) {
	return p[string(customer)] || p[email], nil
}

// A promotion of first orders counts for a buyer who is known and has no order yet. The quote of a
// cart and its checkout agree.
func TestAFirstOrderCostsLessForWhoHasNone(t *testing.T) {
	t.Parallel()
	shop, b := guarded(t)
	b.rules = pricing.Compile(pricing.Book{Promotions: []pricing.Promotion{{
		ID: "welcome", Version: 1, Kind: pricing.Automatic, Class: pricing.OrderClass, Active: true, Conditions: pricing.Conditions{FirstOrder: true},
		Action: pricing.Action{Type: pricing.FixedOff, Amounts: []unit.Money{pounds("2")}},
	}}})
	_, err := shop.Promotion(t.Context(), shoptest.NewCall(), "welcome", promotion.Define{ID: "welcome", Kind: pricing.Automatic, Class: pricing.OrderClass, Active: true, Terms: promotion.Terms{
		Title: "Welcome", Conditions: pricing.Conditions{FirstOrder: true}, Action: pricing.Action{Type: pricing.FixedOff, Amounts: []unit.Money{pounds("2")}},
	}})
	shop.Must(err)
	shop.PastOrders = past{"old": true}
	total := func(id unit.CartID) string {
		t.Helper()
		priced, err := shop.PriceCart(t.Context(), shoptest.NewCall(), id)
		shop.Must(err)
		return priced.Quote.Total.String()
	}
	if got := total("ann"); got != "7.50 GBP" {
		t.Errorf("somebody who is not known pays %s", got)
	}
	for _, who := range []unit.CustomerID{"old", "new"} {
		id := unit.CartID("c-" + who)
		shop.Must(shop.FillCart(id, map[unit.SKU]unit.Quantity{"MUG": 1}))
		_, err := shop.Cart(t.Context(), shoptest.NewCall(), id, cart.ChangeCustomer{CustomerID: who})
		shop.Must(err)
		if got, want := total(id), map[unit.CustomerID]string{"old": "2.50 GBP", "new": "0.50 GBP"}[who]; got != want {
			t.Errorf("%s pays %s, want %s", who, got, want)
		}
	}
	expected := pounds("0.50")
	result, err := shop.Checkout(t.Context(), shoptest.NewCall(), commands.CheckoutRequest{CartID: "c-new", Expect: commands.Expectation{Total: &expected}})
	if err != nil || !result.Placed {
		t.Fatalf("%+v, %v", result, err)
	}
	shop.Must(shop.FillCart("again", map[unit.SKU]unit.Quantity{"MUG": 1}))
	_, err = shop.Cart(t.Context(), shoptest.NewCall(), "again", cart.ChangeCustomer{CustomerID: "new"})
	shop.Must(err)
	if got := total("again"); got != "2.50 GBP" { // the use is held, although the read model does not have the order
		t.Errorf("the second order costs %s", got)
	}
}

// A cart with a line below zero, which imports have and older programs had, has no quote, and the
// refusal names the line. It is sold as it is, as before there were quotes.
func TestALineBelowZeroHasNoQuote(t *testing.T) {
	t.Parallel()
	shop, b := guarded(t)
	_, err := shop.AddLines(t.Context(), shoptest.NewCall(), "ann", nil, []commands.WantedLine{
		{SKU: "OFF", Quantity: 1, Override: &cart.Offer{Title: "Discount", Kind: unit.Service, Price: pounds("-1"), Overridden: true, BelowZero: true}},
	})
	shop.Must(err)
	for name, rules := range map[string]*pricing.Rules{"with promotions": b.rules, "with nothing": pricing.Compile(pricing.Book{})} {
		b.rules = rules
		priced, err := shop.PriceCart(t.Context(), shoptest.NewCall(), "ann")
		shop.Must(err)
		if refusal := priced.Refused; refusal == nil || refusal.Code != pricing.ErrAmount.Code || refusal.Facts["line"] != 2 {
			t.Errorf("%s: %v", name, refusal)
		}
	}
	if result, _, err := check(t, shop, commands.Expectation{}); err != nil || !result.Placed {
		t.Errorf("the checkout: %v", err)
	}
}
