package commandapi_test

import (
	"fmt"
	"testing"
)

// A merge patch changes a cart. A member that is left out stays as it is, null removes a member,
// and a list replaces the earlier list.
func TestACartIsPatched(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 9)
	s.must("POST", "/v1/carts", `{"cart_id":"c","currency":"GBP","country":"France","lines":[{"sku":"mug","quantity":1},{"sku":"mug","quantity":2},{"sku":"mug","quantity":3}]}`)
	for _, step := range []struct{ patch, want string }{
		{`{"customer_id":"17850"}`, "17850 France 1:1 2:2 3:3"},
		{`{"country":null,"lines":[{"line":3,"quantity":1},{"line":1,"quantity":5}]}`, "17850  1:5 3:1"},
		{`{}`, "17850  1:5 3:1"},
		{`{"customer_id":null,"country":"EIRE","lines":[{"line":1,"quantity":0},{"line":3,"quantity":4}]}`, " EIRE 3:4"},
		{`{"lines":null}`, " EIRE"},
	} {
		got := s.must("PATCH", "/v1/carts/c", step.patch, "Content-Type", "application/merge-patch+json")
		if told := got.inWords(); told != step.want {
			t.Errorf("after %s: %q, want %q", step.patch, told, step.want)
		}
	}
	s.must("POST", "/v1/carts/c/lines", `{"lines":[{"sku":"mug","quantity":2}]}`)
	s.must("PATCH", "/v1/carts/c", `{"customer_id":"42"}`)
	header, value := key()
	placed := s.must("POST", "/v1/carts/c/checkout", "{}", header, value)
	if placed.at("order", "customer_id") != "42" {
		t.Errorf("order %s, want the customer who has logged in", placed.text)
	}
	s.ask("PATCH", "/v1/carts/c", `{"customer_id":"43"}`).problem(t, 409, "cart-not-open")
	s.verify("after all patches")
}

// inWords returns the customer, country and lines of a cart as text.
func (r response) inWords() string {
	text := func(v any) string { s, _ := v.(string); return s }
	words := text(r.at("customer_id")) + " " + text(r.at("country"))
	lines, _ := r.at("lines").([]any)
	for i := range lines {
		words += fmt.Sprintf(" %v:%v", r.at("lines", i, "line"), r.at("lines", i, "quantity"))
	}
	return words
}

func TestAPatchIsDoneWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 9)
	before := s.must("POST", "/v1/carts", `{"cart_id":"c","currency":"GBP","lines":[{"sku":"mug","quantity":1}]}`)
	for patch, want := range map[string]struct {
		status int
		code   string
		at     string
	}{
		`{"customer_id":"1","lines":[{"line":2,"quantity":1}]}`:                         {404, "cart-line-unknown", ""},
		`{"customer_id":"1","country":"a\u202eb"}`:                                      {422, "request-invalid", ""},
		`{"customer_id":"1","lines":[{"line":1,"quantity":1},{"line":1,"quantity":2}]}`: {422, "request-invalid", "#/lines/1/line"},
		`{"customer_id":"1","lines":[{"line":1}]}`:                                      {422, "request-invalid", "#/lines/0/quantity"},
		`{"customer_id":"1","lines":[{"line":1,"quantity":1,"price":"1"}]}`:             {422, "request-invalid", "#/lines/0/price"},
		`{"customer_id":"1","lines":[null]}`:                                            {422, "request-invalid", "#/lines/0"},
		`{"customer_id":"a b"}`:                                                         {422, "request-invalid", "#/customer_id"},
		`{"customer_id":1}`:                                                             {422, "request-invalid", "#/customer_id"},
		`{"currency":"EUR"}`:                                                            {422, "request-invalid", "#/currency"},
		`{"channel":"web"}`:                                                             {422, "request-invalid", "#/channel"},
	} {
		got := s.ask("PATCH", "/v1/carts/c", patch)
		got.problem(t, want.status, want.code)
		if want.at != "" && got.at("errors", 0, "pointer") != want.at {
			t.Errorf("%s: %s, want a fault at %s", patch, got.text, want.at)
		}
	}
	if got := s.must("PATCH", "/v1/carts/c", `{}`); got.header.Get("ETag") != before.header.Get("ETag") {
		t.Errorf("the cart is %s, want it as before", got.text)
	}
	s.ask("PATCH", "/v1/carts/none", `{"customer_id":"1"}`).problem(t, 404, "cart-not-found")
}

// If a patch names several lines that the cart does not have, the refusal has the place of each.
func TestAPatchNamesEachUnknownLine(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 9)
	s.must("POST", "/v1/carts", `{"cart_id":"c","currency":"GBP","lines":[{"sku":"mug","quantity":1}]}`)
	got := s.ask("PATCH", "/v1/carts/c", `{"lines":[{"line":7,"quantity":1},{"line":1,"quantity":2},{"line":9,"quantity":0}]}`)
	got.problem(t, 404, "cart-line-unknown")
	first, second, third := got.at("errors", 0, "pointer"), got.at("errors", 1, "pointer"), got.at("errors", 2, "pointer")
	if first != "#/lines/0/line" || second != "#/lines/2/line" || third != nil {
		t.Errorf("%s, want faults at lines 0 and 2", got.text)
	}
}
