package main

import (
	"net/http"
	"strings"
	"testing"

	"daybook/domain/unit"
)

// The routes refuse an operator above --refund-limit (403), and say how much was given back. A role
// of the shop's own, with the permission, passes.
func TestRefundsAboveTheLimitNeedAPermission(t *testing.T) {
	t.Parallel()
	s := &scopedShop{keyedShop: openKeyed(t, "--refund-limit", "GBP=5.00")}
	manager, operator := s.keys["manager"], s.keys["operator"]
	s.must(s.keys["admin"], http.MethodPut, "/v1/roles/cashier", `{"grants":[{"permission":"orders.pay","reach":"all"},{"permission":"refunds.unlimited","reach":"all"}]}`)
	cashier := s.makeKey("--role", "cashier")
	eventually(t, patience, "the server knows the key", func() bool {
		status, _ := s.ask(cashier, http.MethodGet, "/v1/auth/me", "")
		return status != http.StatusUnauthorized
	})
	s.must(manager, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked","prices":[{"amount":"2.50","currency":"GBP"}]}`)
	s.must(manager, http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":99}`, "Idempotency-Key", "r")
	s.must(manager, http.MethodPost, "/v1/carts", `{"cart_id":"c1","currency":"GBP","lines":[{"sku":"MUG","quantity":8}]}`)
	s.must(manager, http.MethodPost, "/v1/carts/c1/checkout", `{"order_id":"o1","payment":{},"confirm":true}`, "Idempotency-Key", "c")
	s.must(manager, http.MethodPost, "/v1/orders/o1/shipments", `{"shipment_id":"s1"}`, "Idempotency-Key", "s")
	s.must(manager, http.MethodPost, "/v1/returns", `{"return_id":"a","order_id":"o1","lines":[{"order_line":1,"quantity":4}]}`, "Idempotency-Key", "a")
	s.must(manager, http.MethodPost, "/v1/returns/a/approve", "")
	s.must(manager, http.MethodPost, "/v1/returns/a/receipts", `{"lines":[{"line":1,"quantity":4,"disposition":"restocked"}]}`, "Idempotency-Key", "ar")

	const byReturn, byOrder = "/v1/returns/a/refunds", "/v1/orders/o1/transactions"
	if got := s.codeOf(operator, http.MethodPost, byReturn, `{"amount":{"amount":"5.01","currency":"GBP"}}`, "Idempotency-Key", "1"); got != "403 return-refund-above-limit" {
		t.Errorf("by the return: %s", got)
	}
	status, text := s.ask(operator, http.MethodPost, byOrder, `{"type":"refund","amount":{"amount":"5.01","currency":"GBP"}}`, "Idempotency-Key", "2")
	if status != http.StatusForbidden || !strings.Contains(text, "/problems/refund-above-limit") || !strings.Contains(text, "at most 5.00 GBP") || !strings.Contains(text, `"given_back":{"amount":"0.00"`) {
		t.Errorf("by the order: %d %s", status, text)
	}
	for range 2 { // repeated under its key
		s.must(operator, http.MethodPost, byReturn, `{"amount":{"amount":"5.00","currency":"GBP"}}`, "Idempotency-Key", "3")
	}
	if got := s.codeOf(operator, http.MethodPost, byReturn, `{"amount":{"amount":"0.01","currency":"GBP"}}`, "Idempotency-Key", "4"); !strings.HasPrefix(got, "403 ") {
		t.Errorf("one penny more: %s", got)
	}
	// A return that names no order.
	s.must(operator, http.MethodPost, "/v1/returns", `{"return_id":"loose","currency":"GBP","lines":[{"sku":"MUG","quantity":1,"price":"1.00"}]}`, "Idempotency-Key", "l")
	s.must(operator, http.MethodPost, "/v1/returns/loose/approve", "")
	s.must(operator, http.MethodPost, "/v1/returns/loose/receipts", `{"lines":[{"line":1,"quantity":1,"disposition":"restocked"}]}`, "Idempotency-Key", "lr")
	status, text = s.ask(operator, http.MethodPost, "/v1/returns/loose/refunds", `{"amount":{"amount":"1.00","currency":"GBP"}}`, "Idempotency-Key", "7")
	if status != http.StatusForbidden || !strings.Contains(text, "/problems/return-refund-without-order") || !strings.Contains(text, `"without_order":{"amount":"1.00"`) {
		t.Errorf("by a return without an order: %d %s", status, text)
	}
	s.must(manager, http.MethodPost, "/v1/returns/loose/refunds", `{"amount":{"amount":"1.00","currency":"GBP"}}`, "Idempotency-Key", "8")
	s.must(cashier, http.MethodPost, byOrder, `{"type":"refund","amount":{"amount":"2.00","currency":"GBP"}}`, "Idempotency-Key", "5")
	// The order has one pot: 10.00 came back, and 7.00 of it were given back.
	s.must(manager, http.MethodPost, byReturn, `{"amount":{"amount":"3.00","currency":"GBP"}}`, "Idempotency-Key", "6")
}

// The limit holds for each step of a refund that somebody asks for, and for the explanation of one
// that was made elsewhere. Write-offs have a limit of their own.
func TestEachStepOfARefundHasTheLimit(t *testing.T) {
	t.Parallel()
	s := &scopedShop{keyedShop: openKeyed(t, "--refund-limit", "GBP=5.00", "--write-off-limit", "GBP=0.10")}
	manager, operator := s.keys["manager"], s.keys["operator"]
	s.must(manager, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked","prices":[{"amount":"2.50","currency":"GBP"}]}`)
	s.must(manager, http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":99}`, "Idempotency-Key", "r")
	sold := func(id, paid string) {
		t.Helper()
		s.must(manager, http.MethodPost, "/v1/carts", `{"cart_id":"c-`+id+`","currency":"GBP","lines":[{"sku":"MUG","quantity":4}]}`)
		s.must(manager, http.MethodPost, "/v1/carts/c-"+id+"/checkout", `{"order_id":"`+id+`"}`, "Idempotency-Key", "c-"+id)
		s.must(manager, http.MethodPost, "/v1/orders/"+id+"/transactions", `{"transaction_id":"cap-`+id+`","type":"capture","amount":{"amount":"`+paid+`","currency":"GBP"}}`, "Idempotency-Key", "p-"+id)
		s.must(manager, http.MethodPost, "/v1/orders/"+id+"/confirm", "")
	}
	ask := func(amount string) string {
		return `{"refund_id":"f","purpose":"settlement","amount":{"amount":"` + amount + `","currency":"GBP"},"reason":"paid too much"}`
	}
	sold("o1", "20.00")
	part := "/v1/orders/o1/refunds/f/parts/" + unit.RefundPart.Of("o1", "f", "cap-o1").ID()
	wants := func(want, key, path, body, idempotency string) {
		t.Helper()
		if got := s.codeOf(key, http.MethodPost, path, body, "Idempotency-Key", idempotency); got != want {
			t.Errorf("%s %s: %s, want %s", path, body, got, want)
		}
	}
	const above = "403 refund-above-limit"
	wants(above, operator, "/v1/orders/o1/refunds", ask("5.01"), "1")
	s.must(manager, http.MethodPost, "/v1/orders/o1/refunds", ask("6.00"), "Idempotency-Key", "2")
	wants(above, operator, part+"/settle", `{"state":"succeeded"}`, "3")
	s.must(operator, http.MethodPost, part+"/settle", `{"state":"failed"}`, "Idempotency-Key", "4")
	wants(above, operator, part+"/retry", "", "5")
	s.must(manager, http.MethodPost, part+"/retry", "", "Idempotency-Key", "6")
	s.must(manager, http.MethodPost, part+"/settle", `{"state":"succeeded"}`, "Idempotency-Key", "7")

	sold("o2", "10.00")
	s.must(manager, http.MethodPost, "/v1/orders/o2/transactions", `{"transaction_id":"desk","type":"refund","amount":{"amount":"6.00","currency":"GBP"}}`, "Idempotency-Key", "8")
	explain := func(purpose string) string { return `{"purpose":"` + purpose + `","reason":"at the desk"}` }
	wants(above, operator, "/v1/orders/o2/transactions/desk/explain", explain("compensation"), "9")
	s.must(operator, http.MethodPost, "/v1/orders/o2/transactions/desk/explain", explain("settlement"))
	wants("403 write-off-above-limit", operator, "/v1/orders/o2/write-off", `{"reason":"bad debt"}`, "10")
	s.must(manager, http.MethodPost, "/v1/orders/o2/write-off", `{"reason":"bad debt"}`, "Idempotency-Key", "11")

	sold("o3", "9.95")
	s.must(operator, http.MethodPost, "/v1/orders/o3/write-off", `{"reason":"not worth it"}`, "Idempotency-Key", "12")
	wants("403 forbidden", operator, "/v1/orders/o3/reductions", `{"amount":{"amount":"1.00","currency":"GBP"},"reason":"scratched"}`, "13")

	// Every amount is explained down to its events.
	eventually(t, patience, "the view has the write-off", func() bool {
		status, text := s.ask(operator, http.MethodGet, "/v1/orders/o3/money", "")
		return status == http.StatusOK && strings.Contains(text, `{"term":"written_off","amount":{"amount":"0.05","currency":"GBP"}}`) &&
			strings.Contains(text, `"type":"order.difference_written_off.v1"`)
	})
}
