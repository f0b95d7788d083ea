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
	shop := shoptest.Open(t, memory.New(), commands.DefaultPolicy())
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
	shop, _ := guarded(t)
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
	shop.Audit()
}
