package commands_test

import (
	"errors"
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/money/pricing"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/eventstore/memory"
)

func percentOf(t *testing.T, text string) unit.Percent {
	t.Helper()
	p, err := unit.ParsePercent(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// An operator gives a percentage within the shop's limit, and puts more into the cart afterwards.
// The discount stays within the limit. Only a manager gives more.
func TestADiscountStaysWithinTheLimitOfItsGiver(t *testing.T) {
	t.Parallel()
	policy := commands.DefaultPolicy()
	policy.DiscountLimits = []unit.Money{pounds("2.00")}
	shop := shoptest.Open(t, memory.New(), policy)
	shop.Sell("MUG", 100)
	shop.Must(shop.FillCart("ann", map[unit.SKU]unit.Quantity{"MUG": 2})) // 5.00
	give := func(role access.Role, d pricing.Manual) error {
		_, err := shop.Cart(t.Context(), using(access.GiveDiscounts, callAs(role, nil)), "ann", cart.GiveDiscount{Discount: d})
		return err
	}
	total := func() string {
		t.Helper()
		priced, err := shop.PriceCart(t.Context(), shoptest.NewCall(), "ann")
		shop.Must(err)
		return priced.Quote.Total.String()
	}
	tenth := pricing.Manual{ID: "tenth", Percent: percentOf(t, "10"), Reason: "regular"}
	if err := give(access.Operator, tenth); err != nil || total() != "4.50 GBP" {
		t.Fatalf("10 %%: %v, %s", err, total())
	}
	_, err := shop.Cart(t.Context(), shoptest.NewCall(), "ann", cart.ChangeQuantity{Line: 1, Quantity: 40}) // 100.00
	shop.Must(err)
	if got := total(); got != "98.00 GBP" {
		t.Errorf("10 %% of 100.00 within 2.00: %s", got)
	}
	more := pricing.Manual{ID: "more", Amount: new(pounds("0.01")), Reason: "regular", Most: new(pounds("0.01"))}
	if err := give(access.Operator, more); !errors.Is(err, cart.ErrDiscountLimit) {
		t.Errorf("more than the limit: %v", err)
	}
	if err := give(access.Manager, more); err != nil || total() != "97.99 GBP" {
		t.Errorf("a manager: %v, %s", err, total())
	}
	for _, role := range []access.Role{access.Storefront, access.Customer, access.Guest, access.Auditor} {
		if err := give(role, more); err == nil {
			t.Errorf("a %s gives a discount", role)
		}
	}
	if given := shop.CartState("ann").Discounts; len(given) != 2 || given[0].Most == nil || given[1].Most != nil {
		t.Errorf("recorded %+v", given)
	}
	shop.Audit()
}

// A checkout freezes the discount as an adjustment. A caller who has not seen the price of the
// discount is shown it first.
func TestACheckoutHasTheDiscountsOfPersons(t *testing.T) {
	t.Parallel()
	shop, _ := guarded(t)
	_, err := shop.Cart(t.Context(), shoptest.NewCall(), "ann", cart.GiveDiscount{Discount: pricing.Manual{ID: "sorry", Line: 1, Amount: new(pounds("1")), Reason: "scratched"}})
	shop.Must(err)
	if _, reasons, err := check(t, shop, commands.Expectation{}); err == nil || len(reasons) != 1 {
		t.Errorf("the price of the lines: %v, %v", reasons, err)
	}
	result, _, err := check(t, shop, commands.Expectation{Total: new(pounds("6.50"))})
	shop.Must(err)
	quote := shop.OrderState(result.OrderID).Quote
	if quote == nil || quote.Lines[0].Adjustments[0].Promotion != "manual" || quote.Lines[0].Adjustments[0].Reason != "scratched" {
		t.Errorf("the order has %+v", quote)
	}
	shop.Audit()
}

// The account of a customer says that they owe no tax, the cart may say something else, and an
// erasure takes away what nobody can prove any more.
func TestTheTaxStatusOfABuyer(t *testing.T) {
	t.Parallel()
	shop, b := guarded(t)
	b.rules = pricing.Compile(pricing.Book{Entities: []pricing.LegalEntity{{
		ID: "shop", Version: 1, Mode: pricing.Inclusive, DefaultClass: "standard", Home: pricing.Zone{Country: "DE"},
		Rows: []pricing.TaxRow{{Class: "standard", Component: "VAT", Rate: percentOf(t, "25")}},
	}}})
	business := pricing.TaxStatus{Kind: pricing.Business, Country: "NL", TaxID: "NL1", CheckedBy: "vies", CheckedAt: time.Now().Add(-time.Hour), Proof: "p"}
	_, err := shop.Customer(t.Context(), shoptest.NewCall(), "ann", customer.Register{CustomerID: "ann"}, customer.SetTaxStatus{Status: business})
	shop.Must(err)
	_, err = shop.Cart(t.Context(), shoptest.NewCall(), "ann", cart.ChangeCustomer{CustomerID: "ann"}, cart.ChangeCountry{Country: "NL"})
	shop.Must(err)
	want := func(total, used string) {
		t.Helper()
		priced, err := shop.PriceCart(t.Context(), shoptest.NewCall(), "ann")
		shop.Must(err)
		if priced.Quote.Total.String() != total || priced.Quote.StatusUsed != used {
			t.Errorf("%s, %q; want %s, %q", priced.Quote.Total, priced.Quote.StatusUsed, total, used)
		}
	}
	want("6.00 GBP", "reverse-charge")
	unchecked := pricing.TaxStatus{Kind: pricing.Business, Country: "NL", TaxID: "NL2"}
	_, err = shop.Cart(t.Context(), shoptest.NewCall(), "ann", cart.SetTaxStatus{Status: &unchecked})
	shop.Must(err)
	want("7.50 GBP", "unchecked")
	_, err = shop.Cart(t.Context(), shoptest.NewCall(), "ann", cart.SetTaxStatus{})
	shop.Must(err)
	want("6.00 GBP", "reverse-charge")

	for role, may := range map[access.Role]bool{access.Operator: true, access.Manager: true, access.Storefront: true, access.Customer: false, access.Guest: false, access.Auditor: false, access.Analyst: false, access.Admin: true} {
		call := using(access.SetTaxStatus, callAs(role, nil))
		if _, err := shop.Customer(t.Context(), call, "ann", customer.SetTaxStatus{Status: business}); err == nil != may {
			t.Errorf("%s says it of a customer: %v", role, err)
		}
		if _, err := shop.Cart(t.Context(), using(access.SetTaxStatus, callAs(role, nil)), "ann", cart.SetTaxStatus{Status: &business}); err == nil != may {
			t.Errorf("%s says it of a cart: %v", role, err)
		}
	}
	grants, _ := access.BuiltIn(access.Customer)
	own := callAs(access.Customer, grants)
	own.Who.Customer, own.Needs = "ann", access.WriteCustomers
	if _, err := shop.Customer(t.Context(), own, "ann", customer.SetTaxStatus{Status: business}); err == nil {
		t.Error("a customer says it of themself")
	}
	result, _, err := check(t, shop, commands.Expectation{Total: new(pounds("6.00"))})
	shop.Must(err)
	if quote := shop.OrderState(result.OrderID).Quote; quote.Status == nil || quote.Status.TaxID != "NL1" || quote.Legal == "" || quote.Taxes[0].Treatment != pricing.ReverseCharge {
		t.Errorf("the order has %+v", quote)
	}
	shop.Audit()
}

// After an erasure nobody can prove the tax status of the customer any more, so it is withdrawn.
func TestAnErasureWithdrawsTheTaxStatus(t *testing.T) {
	t.Parallel()
	shop := shoptest.Open(t, memory.New(), commands.DefaultPolicy())
	exempt := pricing.TaxStatus{Kind: pricing.ExemptBuyer, CheckedBy: "till", CheckedAt: time.Now(), Proof: "certificate 7"}
	_, err := shop.Customer(t.Context(), shoptest.NewCall(), "alice", customer.Register{CustomerID: "alice"}, customer.SetTaxStatus{Status: exempt})
	shop.Must(err)
	_, err = shop.Erase(t.Context(), using(access.ErasePersonal, shoptest.NewCall()), subject.Erased{CustomerID: "alice", Reason: subject.Requested})
	shop.Must(err)
	shop.Must(shop.ViewCustomer(t.Context(), "alice", func(state customer.State, _ int64) {
		if state.TaxStatus != nil {
			t.Errorf("alice has %+v", state.TaxStatus)
		}
	}))
}
