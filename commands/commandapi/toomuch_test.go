package commandapi_test

import (
	"strings"
	"testing"
)

// A cart that cannot hold a line says which line of the request it is, and why.
func TestTheLineThatIsTooMuchIsNamed(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 0)
	s.must("PUT", "/v1/products/GOLD", `{"title":"Gold","prices":[{"amount":"600000000000000000","currency":"GBP"}]}`)
	one := `{"sku":"MUG","quantity":1}`
	full := strings.TrimSuffix(strings.Repeat(one+",", 2000), ",")
	small, filled := s.cart("MUG", 1), s.cart("MUG", 1)
	s.must("POST", "/v1/carts/"+filled+"/lines", `{"lines":[`+strings.TrimPrefix(full, one+",")+`]}`)
	for _, test := range []struct{ method, path, body, code, pointer string }{
		{"POST", "/v1/carts", `{"currency":"GBP","lines":[` + one + `,{"sku":"MUG","quantity":1000000000}]}`, "cart-unit-limit", "#/lines/1/quantity"},
		{"POST", "/v1/carts", `{"currency":"GBP","join":true,"lines":[` + one + `,` + one + `,{"sku":"MUG","quantity":999999999}]}`, "cart-unit-limit", "#/lines/2/quantity"},
		{"POST", "/v1/carts", `{"currency":"GBP","lines":[` + one + `,{"sku":"GOLD","quantity":1},{"sku":"GOLD","quantity":1}]}`, "cart-amount-limit", "#/lines/2/quantity"},
		{"POST", "/v1/carts/" + small + "/lines", `{"lines":[` + one + `,{"sku":"MUG","quantity":999999999}]}`, "cart-unit-limit", "#/lines/1/quantity"},
		{"POST", "/v1/carts/" + small + "/lines", `{"join":true,"lines":[` + one + `,{"sku":"MUG","quantity":999999999}]}`, "cart-unit-limit", "#/lines/1/quantity"},
		{"POST", "/v1/carts/" + small + "/lines", `{"lines":[` + full + `]}`, "cart-full", "#/lines/1999"},
		{"POST", "/v1/carts/" + filled + "/lines", `{"lines":[` + one + `]}`, "cart-full", "#/lines/0"},
		{"PATCH", "/v1/carts/" + filled + "/lines/1", `{"quantity":1000000000}`, "cart-unit-limit", "#/quantity"},
	} {
		before := s.lastEvent()
		got := s.ask(test.method, test.path, test.body)
		got.problem(t, 409, test.code)
		faults, _ := got.body["errors"].([]any)
		if len(faults) != 1 || faults[0].(map[string]any)["pointer"] != test.pointer || s.lastEvent() != before {
			t.Errorf("%s %s: %.400s, want %s and nothing recorded", test.method, test.path, got.text, test.pointer)
		}
	}
}
