package commandapi_test

import (
	"fmt"
	"testing"
)

// sold sells two mugs for 5.00 and ships them. Without an amount it is not paid.
func (s *shop) sold(id, paid string) {
	s.t.Helper()
	s.post("/v1/carts", fmt.Sprintf(`{"cart_id":"cart-%s","currency":"GBP","lines":[{"sku":"mug","quantity":2}]}`, id))
	s.post("/v1/carts/cart-"+id+"/checkout", fmt.Sprintf(`{"order_id":%q}`, id))
	if paid != "" {
		s.post("/v1/orders/"+id+"/transactions", fmt.Sprintf(`{"transaction_id":"cap","type":"capture","amount":{"amount":%q,"currency":"GBP"}}`, paid))
	}
	s.post("/v1/orders/"+id+"/confirm", "")
	s.post("/v1/orders/"+id+"/shipments", `{"shipment_id":"p"}`)
}

// bothBack receives both mugs of an order.
func (s *shop) bothBack(id string) {
	s.t.Helper()
	s.post("/v1/returns", fmt.Sprintf(`{"return_id":"back-%s","order_id":%q,"lines":[{"order_line":1,"quantity":2}]}`, id, id))
	s.post("/v1/returns/back-"+id+"/approve", "")
	s.post("/v1/returns/back-"+id+"/receipts", `{"lines":[{"line":1,"quantity":2,"disposition":"restocked"}]}`)
}

// post sends a request under a key of its own.
func (s *shop) post(path, body string) response {
	s.t.Helper()
	name, value := key()
	return s.must("POST", path, body, name, value)
}

func (s *shop) refund(path, amount string) response {
	s.t.Helper()
	name, value := key()
	return s.ask("POST", path, fmt.Sprintf(`{"amount":{"amount":%q,"currency":"GBP"}}`, amount), name, value)
}

func TestAClientAndAProviderReportOnePayment(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	charge := func(reference string) string {
		return fmt.Sprintf(`{"type":"capture","amount":{"amount":"5.00","currency":"GBP"},"provider":"stripe","reference":%q}`, reference)
	}
	for i, id := range []string{"o-1", "o-2"} {
		s.sold(id, "")
		for range 2 { // the client, and the provider
			got := s.post("/v1/orders/"+id+"/transactions", charge(fmt.Sprint("ch_", i)))
			if got.at("captured", "amount") != "5.00" || got.at("payment_state") != "paid" {
				t.Errorf("%s: %s, want it paid once", id, got.text)
			}
		}
	}
	// One charge pays one order. Upper and lower case differ.
	s.refused("/v1/orders/o-2/transactions", charge("ch_0"), 409, "payment-claimed")
	s.refused("/v1/orders/o-1/transactions", charge("ch_1"), 409, "payment-claimed")
	if got := s.post("/v1/orders/o-2/transactions", charge("CH_0")); got.at("captured", "amount") != "10.00" {
		t.Errorf("%s, want another charge", got.text)
	}
	s.verify("after the charges")
}

func TestAReturnHasNoMoneyOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ paid, refunded, most string }{
		"what was paid less than the price":  {paid: "4.00", most: "4.00"},
		"what was never paid":                {most: "0.00"},
		"what was refunded on the order":     {paid: "5.00", refunded: "5.00", most: "0.00"},
		"what was refunded on it in part":    {paid: "5.00", refunded: "2.00", most: "3.00"},
		"no more than the worth of the mugs": {paid: "5.00", most: "5.00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.sell("MUG", 10)
			s.sold("o", test.paid)
			s.bothBack("o")
			if test.refunded != "" {
				s.post("/v1/orders/o/transactions", fmt.Sprintf(`{"transaction_id":"re","type":"refund","amount":{"amount":%q,"currency":"GBP"}}`, test.refunded))
			}
			if test.most == "5.00" {
				s.refund("/v1/returns/back-o/refunds", "5.01").problem(t, 409, "refund-amount-exceeded")
			} else {
				s.refund("/v1/returns/back-o/refunds", "5.00").problem(t, 409, "amount-exceeded")
			}
			if test.most != "0.00" {
				if got := s.refund("/v1/returns/back-o/refunds", test.most); got.status >= 300 {
					t.Errorf("refund of %s: %s", test.most, got.text)
				}
			}
			s.verify("after the refunds")
		})
	}
}

func TestMoneyThatWentBackIsDue(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	s.sold("o", "5.00")
	got := s.post("/v1/orders/o/transactions", `{"transaction_id":"re","type":"refund","amount":{"amount":"5.00","currency":"GBP"}}`)
	if got.at("payment_state") != "due" || got.at("to_collect", "amount") != "5.00" || got.at("needs_attention") != true {
		t.Errorf("%s, want it due", got.text)
	}
	s.post("/v1/orders/o/shipments/p/deliver", "")
	name, value := key()
	s.ask("POST", "/v1/orders/o/complete", "", name, value).problem(t, 409, "order-not-finished")
}

func TestACancelRequestsTheRefundOfWhatWasPaid(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	s.post("/v1/carts", `{"cart_id":"c","currency":"GBP","lines":[{"sku":"mug","quantity":2}]}`)
	s.post("/v1/carts/c/checkout", `{"order_id":"o"}`)
	s.post("/v1/orders/o/transactions", `{"transaction_id":"cap","type":"capture","amount":{"amount":"5.00","currency":"GBP"}}`)
	got := s.post("/v1/orders/o/cancel", `{"reason":"changed mind"}`)
	if got.at("payment_state") != "overpaid" || got.at("to_return", "amount") != "0.00" || got.at("needs_attention") != false {
		t.Errorf("%s, want the refund under way", got.text)
	}
	got = s.post("/v1/orders/o/transactions", `{"transaction_id":"re","type":"refund","amount":{"amount":"5.00","currency":"GBP"}}`)
	if got.at("payment_state") != "refunded" || got.at("refunded", "amount") != "5.00" {
		t.Errorf("%s, want the report taken for the refund that was requested", got.text)
	}
	s.verify("after the refund")
}

// What is given for trouble lowers neither what the order owes nor what it was paid.
func TestACompensationIsNotDueAgain(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	s.sold("o", "5.00")
	got := s.post("/v1/orders/o/transactions", `{"transaction_id":"sorry","type":"refund","purpose":"compensation","amount":{"amount":"2.00","currency":"GBP"}}`)
	if got.at("payment_state") != "paid" || got.at("to_collect", "amount") != "0.00" || got.at("needs_attention") != false {
		t.Errorf("%s, want the order still paid", got.text)
	}
	name, value := key()
	s.ask("POST", "/v1/orders/o/transactions", `{"type":"capture","purpose":"compensation","amount":{"amount":"2.00","currency":"GBP"}}`, name, value).problem(t, 422, "request-invalid")
	s.verify("after the compensation")
}

// A bank asks, takes the money, and gives it back because the shop was right.
func TestADisputeThatTheShopWins(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	s.sold("o", "5.00")
	record := func(id, typ, state, parent, want string) {
		t.Helper()
		got := s.post("/v1/orders/o/transactions", fmt.Sprintf(`{"transaction_id":%q,"type":%q,"state":%q,"parent":%q,"amount":{"amount":"5.00","currency":"GBP"}}`, id, typ, state, parent))
		if got.at("payment_state") != want || got.at("needs_attention") != true {
			t.Errorf("after the %s: %s, want %s", typ, got.text, want)
		}
	}
	record("ask", "dispute", "pending", "cap", "paid")
	name, value := key()
	s.ask("POST", "/v1/orders/o/transactions", `{"type":"refund","purpose":"compensation","amount":{"amount":"1.00","currency":"GBP"}}`, name, value).problem(t, 409, "amount-exceeded")
	record("taken", "chargeback", "succeeded", "cap", "due")
	record("back", "reversal", "succeeded", "taken", "paid")
	name, value = key()
	got := s.must("PATCH", "/v1/orders/o/transactions/ask", `{"state":"failed"}`, name, value)
	if got.at("payment_state") != "paid" || got.at("needs_attention") != false {
		t.Errorf("%s, want nothing left to do", got.text)
	}
	s.verify("after the dispute")
}
