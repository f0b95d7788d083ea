package cart

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"daybook/domain/money/pricing"
	"daybook/domain/unit"
)

var (
	tenth    = pricing.Manual{ID: "tenth", Percent: percent("10"), Reason: "regular"}
	sorry    = pricing.Manual{ID: "sorry", Line: 1, Amount: new(euros("2.50")), Reason: "scratched"}
	business = pricing.TaxStatus{Kind: pricing.Business, Country: "NL", TaxID: "NL1", CheckedBy: "vies", CheckedAt: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Proof: "p"}
)

func percent(text string) unit.Percent {
	p, err := unit.ParsePercent(text)
	if err != nil {
		panic(err)
	}
	return p
}

func discountRows(t *testing.T) map[string]row {
	t.Helper()
	opened := []Event{Opened{CartID: "c1", Currency: "EUR", Lines: []Line{goods}}}
	give := func(of pricing.Manual, change func(*pricing.Manual)) GiveDiscount {
		change(&of)
		return GiveDiscount{Discount: of}
	}
	within := func(of pricing.Manual, limit string) GiveDiscount {
		return GiveDiscount{Discount: of, Limit: new(euros(limit))}
	}
	bounded := func(most string) pricing.Manual {
		of := tenth
		of.Most = new(euros(most))
		return of
	}
	full := slices.Clone(opened)
	for i := range maxDiscounts {
		full = append(full, DiscountGiven{pricing.Manual{ID: fmt.Sprint("d", i), Amount: new(euros("1")), Reason: "x"}})
	}
	invalid := func(of pricing.Manual, change func(*pricing.Manual)) row {
		cmd := give(of, change)
		return row{Given: opened, When: cmd, Refused: factsOf(ErrDiscountInvalid, map[string]any{"discount_id": cmd.Discount.ID})}
	}
	above := func(limit, left string) map[string]any {
		return map[string]any{"limit": euros(limit), "left": euros(left)}
	}
	given, sold := append(slices.Clone(opened), DiscountGiven{sorry}), append(slices.Clone(opened), Abandoned{})
	notNow := factsOf(ErrNotOpen, map[string]any{"cart_status": PhaseAbandoned})
	old := append(slices.Clone(opened), LineAdded{Line{Number: 2, SKU: "OFF", Kind: unit.Service, Quantity: 1, Price: euros("-1")}})
	status, quoted := append(slices.Clone(opened), TaxStatusSet{&business}), quoteOf(t)
	return map[string]row{
		"a discount of a line":                      {Given: opened, When: GiveDiscount{Discount: sorry}, Then: []Event{DiscountGiven{sorry}}},
		"a percentage off the order":                {Given: opened, When: GiveDiscount{Discount: tenth}, Then: []Event{DiscountGiven{tenth}}},
		"the same discount again":                   {Given: given, When: GiveDiscount{Discount: sorry}, Nothing: true},
		"a discount replaces the one of its id":     {Given: given, When: give(sorry, func(d *pricing.Manual) { d.Amount = new(euros("3")) }), Then: []Event{DiscountGiven{pricing.Manual{ID: "sorry", Line: 1, Amount: new(euros("3")), Reason: "scratched"}}}},
		"a discount is taken back":                  {Given: given, When: WithdrawDiscount{"sorry"}, Then: []Event{DiscountWithdrawn{"sorry"}}, Repeats: true},
		"a discount that is not there":              {Given: opened, When: WithdrawDiscount{"sorry"}, Nothing: true},
		"a line takes its discounts along":          {Given: append(slices.Clone(given), LineRemoved{1}), When: WithdrawDiscount{"sorry"}, Nothing: true},
		"a line that is not there":                  {Given: opened, When: give(sorry, func(d *pricing.Manual) { d.Line = 2 }), Refused: factsOf(ErrLineUnknown, map[string]any{"line": 2})},
		"too many discounts":                        {Given: full, When: GiveDiscount{Discount: tenth}, Refused: factsOf(ErrDiscountCount, map[string]any{"max_discounts": maxDiscounts})},
		"an abandoned cart takes no discount":       {Given: sold, When: GiveDiscount{Discount: tenth}, Refused: notNow},
		"an abandoned cart loses no discount":       {Given: sold, When: WithdrawDiscount{"sorry"}, Refused: notNow},
		"a cart with a line below zero":             {Given: old, When: GiveDiscount{Discount: tenth}, Refused: factsOf(ErrDiscountInvalid, map[string]any{"discount_id": "tenth"})},
		"neither an amount nor a percentage":        invalid(tenth, func(d *pricing.Manual) { d.Percent = unit.Percent{} }),
		"an amount and a percentage":                invalid(tenth, func(d *pricing.Manual) { d.Amount = new(euros("1")) }),
		"more than everything":                      invalid(tenth, func(d *pricing.Manual) { d.Percent = percent("100.000001") }),
		"an amount of another currency":             invalid(sorry, func(d *pricing.Manual) { d.Amount = &unit.Money{Amount: euros("1").Amount, Currency: "GBP"} }),
		"an amount of nothing":                      invalid(sorry, func(d *pricing.Manual) { d.Amount = new(euros("0")) }),
		"an amount below zero":                      invalid(sorry, func(d *pricing.Manual) { d.Amount = new(euros("-1")) }),
		"an amount that is too fine":                invalid(sorry, func(d *pricing.Manual) { d.Amount = new(euros("0.001")) }),
		"a discount without an id":                  invalid(sorry, func(d *pricing.Manual) { d.ID = "" }),
		"a discount without a reason":               invalid(sorry, func(d *pricing.Manual) { d.Reason = "" }),
		"an amount within the limit":                {Given: opened, When: within(sorry, "2.50"), Then: []Event{DiscountGiven{sorry}}},
		"an amount above the limit":                 {Given: opened, When: within(sorry, "2.49"), Refused: factsOf(ErrDiscountLimit, above("2.49", "2.49"))},
		"a percentage is bounded by the limit":      {Given: opened, When: within(tenth, "5"), Then: []Event{DiscountGiven{bounded("5")}}},
		"all discounts of a cart count":             {Given: given, When: within(tenth, "5"), Then: []Event{DiscountGiven{bounded("2.5")}}},
		"nothing is left of the limit":              {Given: given, When: within(tenth, "2.50"), Refused: factsOf(ErrDiscountLimit, above("2.50", "0"))},
		"the discount that is replaced is free":     {Given: given, When: GiveDiscount{Discount: pricing.Manual{ID: "sorry", Amount: new(euros("3")), Reason: "x"}, Limit: new(euros("3"))}, Then: []Event{DiscountGiven{pricing.Manual{ID: "sorry", Amount: new(euros("3")), Reason: "x"}}}},
		"a discount without a bound leaves nothing": {Given: append(slices.Clone(opened), DiscountGiven{tenth}), When: within(sorry, "100"), Refused: factsOf(ErrDiscountLimit, above("100", "0"))},

		"a tax status is put on a cart":                        {Given: opened, When: SetTaxStatus{&business}, Then: []Event{TaxStatusSet{&business}}, Repeats: true},
		"a tax status is taken off":                            {Given: status, When: SetTaxStatus{}, Then: []Event{TaxStatusSet{}}},
		"a cart without one has none to take off":              {Given: opened, When: SetTaxStatus{}, Nothing: true},
		"an abandoned cart gets no tax status":                 {Given: sold, When: SetTaxStatus{&business}, Refused: notNow},
		"a tax status has its members":                         {Given: opened, When: SetTaxStatus{&pricing.TaxStatus{Kind: pricing.Business}}, Refused: factsOf(ErrTaxStatusInvalid, map[string]any{"field": "country"})},
		"a tax status goes with its customer":                  {Given: []Event{Opened{CartID: "c1", CustomerID: "ann", Currency: "EUR", Lines: []Line{goods}}, TaxStatusSet{&business}, CustomerChanged{"bob"}}, When: SetTaxStatus{}, Nothing: true},
		"a tax status stays when a guest signs in":             {Given: append(slices.Clone(status), CustomerChanged{"ann"}), When: SetTaxStatus{}, Then: []Event{TaxStatusSet{}}},
		"a quote without the tax status is stale":              {Given: status, When: StartCheckout{OrderID: "o1", ReserveUntil: deadline, Quote: &quoted}, Refused: ErrQuoteStale},
		"a quote with a discount that was taken back is stale": {Given: opened, When: StartCheckout{OrderID: "o1", ReserveUntil: deadline, Quote: discounted(t)}, Refused: ErrQuoteStale},
	}
}

// discounted is a quote with the discount sorry.
func discounted(t *testing.T) *pricing.Quote {
	t.Helper()
	cart := like()
	cart.Manual = []pricing.Manual{sorry}
	quote, err := pricing.Compile(pricing.Book{}).Price(cart, time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return &quote
}

func TestDiscountsAndTheTaxStatus(t *testing.T) { carts.Run(t, discountRows(t)) }

// A quote with the discounts of the cart is frozen whole, although the price of its line is the
// catalogue's.
func TestACheckoutFreezesTheDiscountsOfPersons(t *testing.T) {
	s := carts.Fold(Opened{CartID: "c1", Currency: "EUR", Lines: []Line{goods}}, DiscountGiven{sorry})
	events, err := Decide(StartCheckout{OrderID: "o1", ReserveUntil: deadline, Quote: discounted(t)}, s)
	if err != nil {
		t.Fatal(err)
	}
	started, _ := events[0].(CheckoutStarted)
	if started.Quote == nil || len(started.Quote.Lines[0].Adjustments) != 1 || started.Quote.Lines[0].Adjustments[0].Reason != "scratched" {
		t.Errorf("%+v", started.Quote)
	}
}
