package commandapi_test

import (
	"fmt"
	"testing"
	"time"

	"daybook/domain/order"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// refused sends a request under a key of its own, and wants a problem.
func (s *shop) refused(path, body string, status int, code string) {
	s.t.Helper()
	name, value := key()
	s.ask("POST", path, body, name, value).problem(s.t, status, code)
}

func refundOf(id, purpose, amount string) string {
	return fmt.Sprintf(`{"refund_id":%q,"purpose":%q,"amount":{"amount":%q,"currency":"GBP"},"reason":"asked"}`, id, purpose, amount)
}

// A refund counts from the moment it is asked for. A part that people pay out ends when they say
// so, and a part that failed is sent again under a key of its own.
func TestARefundIsAskedForTriedAgainAndPaidOut(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	s.sold("o", "7.00")
	part := "/v1/orders/o/refunds/f/parts/" + unit.RefundPart.Of("o", "f", "cap").ID()

	s.refused("/v1/orders/o/refunds", refundOf("f", "settlement", "2.01"), 409, "amount-exceeded")
	got := s.post("/v1/orders/o/refunds", refundOf("f", "settlement", "2.00"))
	if got.status != 201 || got.at("refund_id") != "f" || got.at("order", "to_return", "amount") != "0.00" || got.at("order", "refunds", 0, "parts", 0, "state") != "requested" {
		t.Fatalf("%s, want the refund under way", got.text)
	}
	s.refused("/v1/orders/o/refunds", refundOf("g", "settlement", "0.01"), 409, "amount-exceeded")
	s.refused("/v1/orders/o/write-off", `{"reason":"small"}`, 409, "refund-under-way")

	got = s.post(part+"/settle", `{"state":"failed","code":"account_closed"}`)
	if got.at("to_return", "amount") != "2.00" || got.at("needs_attention") != true || got.at("refunds", 0, "parts", 0, "code") != "account_closed" {
		t.Errorf("%s, want the failed money back in the pot", got.text)
	}
	for range 2 { // the second click changes nothing
		got = s.post(part+"/retry", "")
		if got.at("refunds", 0, "parts", 0, "state") != "submitted" || got.at("refunds", 0, "parts", 0, "attempt") != 1.0 || got.at("to_return", "amount") != "0.00" {
			t.Errorf("%s, want one attempt under way", got.text)
		}
	}
	got = s.post(part+"/settle", `{"state":"succeeded","reference":"TR-1"}`)
	if got.at("refunded", "amount") != "2.00" || got.at("payment_state") != "paid" || got.at("needs_attention") != false {
		t.Errorf("%s, want it paid", got.text)
	}
	s.refused(part+"/retry", "", 409, "transaction-settled")
	s.refused(part+"/settle", `{"state":"failed"}`, 409, "transaction-settled")
	s.refused("/v1/orders/o/refunds/f/parts/none/retry", "", 404, "refund-unknown")
	s.verify("after the refund")
}

// A compensation is more than what is to be returned, and a settlement is not.
func TestACompensationThatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	s.sold("o", "5.00")
	s.refused("/v1/orders/o/refunds", refundOf("f", "settlement", "1.00"), 409, "amount-exceeded")
	got := s.post("/v1/orders/o/refunds", `{"purpose":"compensation","amount":{"amount":"1.00","currency":"GBP"},"parts":[{"payment":"cap","amount":{"amount":"1.00","currency":"GBP"}}],"reason":"late"}`)
	if got.at("order", "payment_state") != "paid" || got.at("order", "to_collect", "amount") != "0.00" {
		t.Errorf("%s, want the order paid as before", got.text)
	}
	s.refused("/v1/orders/o/refunds", `{"purpose":"compensation","amount":{"amount":"1.00","currency":"GBP"},"parts":[{"payment":"cap","amount":{"amount":"0.99","currency":"GBP"}}],"reason":"late"}`, 409, "refund-parts-differ")
	s.verify("after the compensation")
}

// A refund that was made elsewhere waits until somebody says what it was.
func TestARefundMadeElsewhereIsExplained(t *testing.T) {
	t.Parallel()
	for purpose, want := range map[string]string{"settlement": "due", "compensation": "paid"} {
		s := open(t)
		s.sell("MUG", 10)
		s.sold("o", "5.00")
		got := s.post("/v1/orders/o/transactions", `{"transaction_id":"desk","type":"refund","amount":{"amount":"2.00","currency":"GBP"}}`)
		if fmt.Sprint(got.at("attention")) != "[due refund_unexplained]" {
			t.Errorf("%s, want it unexplained", got.text)
		}
		explain := fmt.Sprintf(`{"purpose":%q,"reason":"asked at the desk"}`, purpose)
		if got = s.post("/v1/orders/o/transactions/desk/explain", explain); got.at("payment_state") != want {
			t.Errorf("%s: %s, want %s", purpose, got.text, want)
		}
		s.refused("/v1/orders/o/transactions/cap/explain", explain, 409, "refund-not-unexplained")
		s.verify("after the explanation")
	}
}

// A penny that is missing is not worth a letter, and one that is too much is not worth a transfer.
func TestADifferenceIsWrittenOff(t *testing.T) {
	t.Parallel()
	for _, paid := range []string{"4.99", "5.01"} {
		s := open(t)
		s.sell("MUG", 10)
		s.sold("o", paid)
		got := s.post("/v1/orders/o/write-off", `{"reason":"not worth it"}`)
		if got.at("payment_state") != "paid" || got.at("to_collect", "amount") != "0.00" || got.at("to_return", "amount") != "0.00" {
			t.Errorf("paid %s: %s, want no difference", paid, got.text)
		}
		s.post("/v1/orders/o/shipments/p/deliver", "")
		s.post("/v1/orders/o/complete", "")
		s.verify("after the write-off")
	}
	s := open(t)
	s.sell("MUG", 10)
	s.sold("o", "")
	s.refused("/v1/orders/o/write-off", `{"reason":"never paid"}`, 409, "order-not-paid")
}

// A price reduction lowers what the order owes, and what its goods are worth when they come back.
func TestAPriceIsReducedAfterTheSale(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	s.sold("o", "5.00")
	got := s.post("/v1/orders/o/reductions", `{"credit_id":"k","amount":{"amount":"1.00","currency":"GBP"},"reason":"scratched"}`)
	if got.status != 201 || got.at("credit_id") != "k" || got.at("order", "owed", "amount") != "4.00" || got.at("order", "to_return", "amount") != "1.00" {
		t.Errorf("%s, want 1.00 less", got.text)
	}
	s.refused("/v1/orders/o/reductions", `{"amount":{"amount":"4.01","currency":"GBP"},"reason":"all of it"}`, 409, "amount-exceeded")
	s.refused("/v1/orders/o/reductions", `{"amount":{"amount":"0.001","currency":"GBP"},"reason":"finer"}`, 409, "amount-too-fine")
	s.bothBack("o")
	err := s.service.ViewOrder(t.Context(), "o", func(state order.State, _ int64) {
		if owed, back := state.Owed(), state.ToReturn(); owed.Sign() != 0 || back.String() != "5.00 GBP" {
			t.Errorf("%s are owed and %s to be returned, want nothing owed", owed, back)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	s.verify("after the reduction")
}

// The deadline of an order moves with a reason, and its stock stays reserved up to the new one.
func TestADeadlineIsExtended(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	s.post("/v1/carts", `{"cart_id":"c","currency":"GBP","lines":[{"sku":"mug","quantity":2}]}`)
	s.post("/v1/carts/c/checkout", `{"order_id":"o"}`)
	until := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	extend := func(at time.Time) string {
		return fmt.Sprintf(`{"confirm_by":%q,"reason":"waits for a transfer"}`, at.Format(time.RFC3339))
	}
	got := s.post("/v1/orders/o/extend", extend(until))
	if at, err := time.Parse(time.RFC3339, fmt.Sprint(got.at("confirm_by"))); err != nil || !at.Equal(until) {
		t.Fatalf("%s, want the deadline %s", got.text, until)
	}
	err := s.service.ViewStock(t.Context(), stock.Key{SKU: "MUG", Location: "main"}, func(state stock.State, _ int64) {
		for id, r := range state.Reservations {
			if !r.ExpiresAt.Equal(until) {
				t.Errorf("reservation %s ends at %s, want %s", id, r.ExpiresAt, until)
			}
		}
		if len(state.Reservations) != 1 {
			t.Errorf("%d reservations", len(state.Reservations))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	s.refused("/v1/orders/o/extend", extend(until.Add(-time.Hour)), 409, "deadline-not-later")
	s.refused("/v1/orders/o/extend", extend(until.Add(365*24*time.Hour)), 409, "deadline-too-late")
	// The checkout that placed the order is repeated, and gets the same order.
	if again := s.post("/v1/carts/c/checkout", `{"order_id":"o"}`); again.at("order", "order_id") != "o" {
		t.Errorf("%s, want the same order", again.text)
	}
	s.post("/v1/orders/o/confirm", "")
	s.refused("/v1/orders/o/extend", extend(until.Add(time.Hour)), 409, "order-confirmed")
	s.verify("after the extension")
}
