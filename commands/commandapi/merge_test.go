package commandapi_test

import (
	"testing"
)

// A guest logs in, and the lines of the guest's cart are moved into the customer's cart.
func TestAGuestsCartIsMergedIntoTheCustomers(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 9)
	s.sell("TRAY", 9)
	s.must("POST", "/v1/carts", `{"cart_id":"guest","currency":"GBP","lines":[{"sku":"mug","quantity":1},{"sku":"tray","quantity":2}]}`)
	ann := s.must("POST", "/v1/carts", `{"cart_id":"ann","customer_id":"17850","currency":"GBP","country":"France","lines":[{"sku":"MUG","quantity":3}]}`)
	stale := s.ask("POST", "/v1/carts/ann/merge", `{"from":"guest"}`, "If-Match", `"7"`)
	stale.problem(t, 412, "revision-stale")

	name, value := key()
	got := s.must("POST", "/v1/carts/ann/merge", `{"from":"guest"}`, name, value, "If-Match", ann.header.Get("ETag"))
	if told := got.inWords(); told != "17850 France 1:4 2:2" || got.at("cart_id") != "ann" || got.at("status") != "open" {
		t.Errorf("merged: %s", got.text)
	}
	wantEndOf(t, s, "ann", got)
	again := s.must("POST", "/v1/carts/ann/merge", `{"from":"guest"}`, name, value, "If-Match", ann.header.Get("ETag"))
	if again.text != got.text || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("asked again: %s", again.text)
	}
	if other := s.must("POST", "/v1/carts/ann/merge", `{"from":"guest"}`); other.text != got.text || other.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("asked under no key: %s", other.text)
	}
	s.ask("POST", "/v1/carts/ann/merge", `{"from":"bob"}`, name, value).problem(t, 422, "idempotency-key-reused")

	gone := s.ask("POST", "/v1/carts/guest/lines", `{"lines":[{"sku":"mug","quantity":1}]}`)
	gone.problem(t, 409, "cart-not-open")
	if gone.at("cart_status") != "merged" || gone.at("merged_into") != "ann" {
		t.Errorf("a line for the merged cart: %s", gone.text)
	}
	s.must("POST", "/v1/carts", `{"cart_id":"bob","currency":"GBP"}`)
	for _, c := range []struct {
		path, body string
		status     int
		code       string
		about      any
	}{
		{"/v1/carts/bob/merge", `{"from":"guest"}`, 409, "cart-not-open", "guest"},
		{"/v1/carts/guest/merge", `{"from":"ann"}`, 409, "cart-not-open", nil},
		{"/v1/carts/ann/merge", `{"from":"bob"}`, 409, "cart-empty", "bob"},
		{"/v1/carts/ann/merge", `{"from":"ann"}`, 409, "cart-merge-self", nil},
		{"/v1/carts/ann/merge", `{"from":"nobody"}`, 404, "cart-not-found", "nobody"},
		{"/v1/carts/nobody/merge", `{"from":"ann"}`, 404, "cart-not-found", nil},
		{"/v1/carts/ann/merge", `{"from":"a b"}`, 422, "request-invalid", nil},
		{"/v1/carts/ann/merge", `{}`, 422, "request-invalid", nil},
	} {
		refused := s.ask("POST", c.path, c.body)
		refused.problem(t, c.status, c.code)
		if refused.at("cart_id") != c.about {
			t.Errorf("%s %s: %s, want it to be about %v", c.path, c.body, refused.text, c.about)
		}
	}
	s.verify("after all merges")
}

func TestARefusedMergeSaysWhereTheCartIsOpenAgain(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 9)
	guest, ann := s.cart("MUG", 1), s.cart("MUG", 2)
	racing := *s
	racing.store = &overtaking{Store: s.store, after: "cart.merged_into.", by: func() { s.must("POST", "/v1/carts/"+ann+"/abandon", "") }}
	name, value := key()
	refused := racing.start().ask("POST", "/v1/carts/"+ann+"/merge", `{"from":"`+guest+`"}`, name, value)
	refused.problem(t, 409, "cart-not-open")
	wantEndOf(t, s, guest, refused)
	if refused.at("cart_status") != "abandoned" || refused.at("cart_id") != nil {
		t.Errorf("the problem is %s", refused.text)
	}
	s.must("PATCH", "/v1/carts/"+guest, `{"country":"France"}`) // it is open
	s.verify("after the merge was refused")
}
