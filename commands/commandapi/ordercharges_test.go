package commandapi_test

import (
	"context"
	"fmt"
	"testing"

	"daybook/domain/money/pricing"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// ofOneSeller are rules of prices in which one legal entity has a tax of 20 percent.
type ofOneSeller struct{}

func (ofOneSeller) Rules() *pricing.Rules {
	rate, _ := unit.ParsePercent("20")
	return pricing.Compile(pricing.Book{Entities: []pricing.LegalEntity{{
		ID: "shop", Version: 1, Mode: pricing.Inclusive, DefaultClass: "standard", Home: pricing.Zone{Country: "GB"},
		Rows: []pricing.TaxRow{{Class: "standard", Component: "VAT", Rate: rate}},
	}}})
}

func (ofOneSeller) Has(context.Context, eventstore.Position) error { return nil }

func (ofOneSeller) KnowsTaxClass(string) bool { return true }

func charge(amount string) string {
	return fmt.Sprintf(`{"charge_id":"x","amount":{"amount":%q,"currency":"GBP"},"reason":"an island"}`, amount)
}

// withSurcharge adds a charge to order o, so that there is one to credit.
func withSurcharge(s *keyShop) {
	s.must("POST", "/v1/orders/o/surcharges", charge("3.00"), "Idempotency-Key", "surcharge")
}

// clawback takes back an amount of what return r of order o has credited.
func clawback(amount string) string {
	return fmt.Sprintf(`{"charge_id":"claw","credit_id":%q,"amount":{"amount":%q,"currency":"GBP"},"reason":"two for one"}`, unit.ReturnCredit.Of("r", "receipt-1").ID(), amount)
}

// returned sells two mugs in order o, and takes both back by return r. The legal entity has a tax
// of 20 percent.
func (s *shop) returned(clawback bool) {
	s.t.Helper()
	s.service.Prices = ofOneSeller{}
	s.must("PUT", "/v1/legal-entities/shop", fmt.Sprintf(`{"title":"A","home":{"country":"GB"},"price_mode":"incl","default_class":"standard","clawback":%t,
		"taxes":[{"place":{"country":"GB"},"tax_class":"standard","component":"VAT","rate":"20"}]}`, clawback))
	s.post("/v1/carts", `{"cart_id":"c","currency":"GBP","country":"GB","lines":[{"sku":"mug","quantity":2}]}`)
	s.post("/v1/carts/c/checkout", `{"order_id":"o","expected_total":{"amount":"5.00","currency":"GBP"}}`)
	s.post("/v1/orders/o/transactions", `{"transaction_id":"cap","type":"capture","amount":{"amount":"5.00","currency":"GBP"}}`)
	s.post("/v1/orders/o/confirm", "")
	s.post("/v1/orders/o/shipments", `{"shipment_id":"p"}`)
	s.post("/v1/returns", `{"return_id":"r","order_id":"o","lines":[{"order_line":1,"quantity":2}]}`)
	s.post("/v1/returns/r/approve", "")
	s.post("/v1/returns/r/receipts", `{"lines":[{"line":1,"quantity":2,"disposition":"restocked"}]}`)
}

// An island costs more to reach. The surcharge is owed, and its tax is that of the goods. It is
// credited in parts, as shipping is.
func TestASurchargeIsAddedAndCredited(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	s.sold("o", "5.00")
	got := s.post("/v1/orders/o/surcharges", charge("3.00"))
	if got.status != 201 || got.at("charge_id") != "x" || got.at("order", "owed", "amount") != "8.00" || got.at("order", "to_collect", "amount") != "3.00" {
		t.Errorf("%s, want 3.00 more", got.text)
	}
	s.refused("/v1/orders/o/surcharges", charge("2.00"), 409, "charge-differs")
	got = s.post("/v1/orders/o/charges/1/credits", `{"credit_id":"k","amount":{"amount":"1.00","currency":"GBP"},"reason":"sorry"}`)
	if got.status != 201 || got.at("credit_id") != "k" || got.at("order", "owed", "amount") != "7.00" {
		t.Errorf("%s, want 1.00 less", got.text)
	}
	s.refused("/v1/orders/o/charges/1/credits", `{"amount":{"amount":"2.01","currency":"GBP"},"reason":"sorry"}`, 409, "amount-exceeded")
	s.refused("/v1/orders/o/charges/2/credits", `{"reason":"sorry"}`, 404, "charge-unknown")
	got = s.post("/v1/orders/o/charges/1/credits", `{"reason":"sorry"}`)
	if got.at("order", "owed", "amount") != "5.00" || got.at("order", "payment_state") != "paid" {
		t.Errorf("%s, want nothing left of the surcharge", got.text)
	}
	s.verify("after the credits")
}

// Who sells decides whether a broken condition takes a discount back.
func TestAClawbackNeedsASellerWhoTakesDiscountsBack(t *testing.T) {
	t.Parallel()
	for _, allowed := range []bool{false, true} {
		s := open(t)
		s.sell("MUG", 10)
		s.returned(allowed)
		if !allowed {
			s.refused("/v1/orders/o/clawbacks", clawback("1.20"), 409, "clawback-not-allowed")
			continue
		}
		got := s.post("/v1/orders/o/clawbacks", clawback("1.20"))
		if got.status != 201 || got.at("order", "owed", "amount") != "1.20" || got.at("order", "to_return", "amount") != "3.80" {
			t.Errorf("%s, want 1.20 kept", got.text)
		}
		if got.at("order", "charges", 0, "kind") != "clawback" || got.at("order", "charges", 0, "tax", "amount") != "0.20" {
			t.Errorf("%s, want a charge with a tax of 0.20", got.text)
		}
		s.refused("/v1/orders/o/clawbacks", `{"credit_id":"none","amount":{"amount":"1.00","currency":"GBP"},"reason":"a"}`, 404, "credit-unknown")
		s.verify("after the clawback")
	}
}
