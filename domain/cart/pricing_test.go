package cart

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"daybook/domain/money/pricing"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// goods is a line of a priced cart; the catalogue's price was 10.00 when it was added.
var goods = Line{Number: 1, SKU: "MUG", Title: "Mug", Kind: unit.Stocked, Quantity: 3, Price: euros("10.00")}

func euros(amount string) unit.Money {
	m, err := unit.ParseMoney(amount, "EUR")
	if err != nil {
		panic(err)
	}
	return m
}

// like is the cart of goods as package pricing sees it, at 9.99 for a unit.
func like() pricing.Cart {
	return pricing.Cart{
		Currency: "EUR", Codes: []string{"TEN"},
		Lines: []pricing.Item{{Number: 1, SKU: "MUG", Quantity: 3, Kind: unit.Stocked, Catalogue: new(euros("9.99"))}},
	}
}

// quoteOf is a quote with a promotion and a tax.
func quoteOf(t *testing.T) pricing.Quote {
	t.Helper()
	percent, err := unit.ParsePercent("21")
	if err != nil {
		t.Fatal(err)
	}
	rules := pricing.Compile(pricing.Book{
		Promotions: []pricing.Promotion{{
			ID: "ten", Version: 2, Title: "Ten off", Kind: pricing.Coupon, Class: pricing.OrderClass, Active: true, Codes: []string{"TEN"},
			Action: pricing.Action{Type: pricing.FixedOff, Amounts: []unit.Money{euros("10")}},
		}},
		Entities: []pricing.LegalEntity{{
			ID: "shop", Version: 1, Mode: pricing.Inclusive, DefaultClass: "standard", Home: pricing.Zone{Country: "NL"},
			Rows: []pricing.TaxRow{{Class: "standard", Component: "NL VAT", Rate: percent}},
		}},
	})
	quote, err := rules.Price(like(), time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return quote
}

func plainQuote(t *testing.T) pricing.Quote {
	t.Helper()
	quote, err := pricing.Compile(pricing.Book{}).Price(like(), time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return quote
}

func TestWhatACartIsPricedWith(t *testing.T) { carts.Run(t, pricingRows(t)) }

func pricingRows(t *testing.T) map[string]row {
	t.Helper()
	opened := Opened{CartID: "c1", Currency: "EUR", Lines: []Line{goods}}
	quote, plain := quoteOf(t), plainQuote(t)
	wrong := quote
	wrong.Total = euros("1")
	other := quote
	other.Lines = slices.Clone(quote.Lines)
	other.Lines[0].Quantity = 2
	full := []Event{opened}
	for i := range maxCoupons {
		full = append(full, CouponAdded{Code: string(rune('A' + i))})
	}
	started := CheckoutStarted{
		OrderID: "o1", CartID: "c1", Currency: "EUR", Lines: []Line{goods}, Sourcing: Sourcing{Locations: []unit.LocationID{"main"}},
		Policy: AllOrNothing, ReserveUntil: deadline, OrderIDFrom: FromCaller,
	}
	started.Lines[0].Price = euros("9.99") // the quote's
	priced, rounded, exact := started, started, started
	priced.Quote, rounded.RoundedLines = &quote, true
	withOrder := priced
	withOrder.QuoteWithOrder = true
	exact.Lines = []Line{goods}
	start := func(q *pricing.Quote) StartCheckout {
		return StartCheckout{OrderID: "o1", ReserveUntil: deadline, Quote: q}
	}
	atOnce := func(q *pricing.Quote) StartCheckout {
		command := start(q)
		command.WithOrder = true
		return command
	}
	return map[string]row{
		"a code is put on the cart in its one form":   {Given: []Event{opened}, When: AddCoupon{Code: " spring-10"}, Then: []Event{CouponAdded{Code: "SPRING10"}}, Repeats: true},
		"a code is put on once":                       {Given: []Event{opened, CouponAdded{Code: "TEN"}}, When: AddCoupon{Code: "ten"}, Nothing: true},
		"a code is taken off":                         {Given: []Event{opened, CouponAdded{Code: "TEN"}}, When: RemoveCoupon{Code: "ten"}, Then: []Event{CouponRemoved{Code: "TEN"}}, Repeats: true},
		"a code that is not there":                    {Given: []Event{opened}, When: RemoveCoupon{Code: "ten"}, Nothing: true},
		"an empty code is refused":                    {Given: []Event{opened}, When: AddCoupon{Code: " - "}, Refused: ErrCouponInvalid},
		"too many codes are refused":                  {Given: full, When: AddCoupon{Code: "TEN"}, Refused: factsOf(ErrCouponLimit, map[string]any{"max_codes": maxCoupons})},
		"an abandoned cart takes no code":             {Given: []Event{opened, Abandoned{}}, When: AddCoupon{Code: "TEN"}, Refused: factsOf(ErrNotOpen, map[string]any{"cart_status": PhaseAbandoned})},
		"an abandoned cart loses no code":             {Given: []Event{opened, Abandoned{}}, When: RemoveCoupon{Code: "TEN"}, Refused: factsOf(ErrNotOpen, map[string]any{"cart_status": PhaseAbandoned})},
		"a method is chosen":                          {Given: []Event{opened}, When: ChooseShipping{Method: "post"}, Then: []Event{ShippingChosen{Method: "post"}}, Repeats: true},
		"a choice is taken back":                      {Given: []Event{opened, ShippingChosen{Method: "post"}}, When: ChooseShipping{}, Then: []Event{ShippingChosen{}}, Repeats: true},
		"a method that is no id is refused":           {Given: []Event{opened}, When: ChooseShipping{Method: "by post"}, Refused: ErrMethodInvalid},
		"an abandoned cart is not sent":               {Given: []Event{opened, Abandoned{}}, When: ChooseShipping{Method: "post"}, Refused: factsOf(ErrNotOpen, map[string]any{"cart_status": PhaseAbandoned})},
		"a checkout freezes the quote":                {Given: []Event{opened}, When: start(&quote), Then: []Event{priced}},
		"a plain quote says that lines are rounded":   {Given: []Event{opened}, When: start(&plain), Then: []Event{rounded}},
		"the quote of an order of the same append":    {Given: []Event{opened}, When: atOnce(&quote), Then: []Event{withOrder}},
		"an order of the same append without a quote": {Given: []Event{opened}, When: atOnce(&plain), Then: []Event{rounded}},
		"without a quote lines stay as they are":      {Given: []Event{opened}, When: start(nil), Then: []Event{exact}},
		"a quote of other lines is stale":             {Given: []Event{opened}, When: start(&other), Refused: ErrQuoteStale},
		"a quote that does not add up is refused":     {Given: []Event{opened}, When: start(&wrong), Refused: ErrQuoteInvalid},
	}
}

func factsOf(no *rule.Rejection, facts map[string]any) *rule.Rejection {
	return no.With(no.Detail, facts)
}

func TestTheQuoteOfAnOrderOfTheSameAppendIsRecordedOnce(t *testing.T) {
	t.Parallel()
	quote := quoteOf(t)
	typ, data, err := Encode(CheckoutStarted{OrderID: "o1", Quote: &quote, QuoteWithOrder: true})
	if err != nil || bytes.Contains(data, []byte(quote.Hash)) {
		t.Errorf("recorded %s, %v", data, err)
	}
	read, err := Decode(typ, data)
	if started, ok := read.(CheckoutStarted); err != nil || !ok || started.Quote != nil || !started.QuoteWithOrder {
		t.Errorf("read %+v, %v", read, err)
	}
}
