package commandapi_test

import (
	"testing"

	"daybook/domain/order"
	"daybook/domain/returns"
)

// A body that names the same thing twice in one list is refused if the second would replace the
// first. Units of a line that is named twice are added up.
func TestAThingNamedTwiceReplacesNothing(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	s.must("POST", "/v1/carts", `{"cart_id":"two","currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`)
	for path, c := range map[string]struct{ method, body, pointer string }{
		"/v1/products/TWO": {"PUT", `{"title":"Two","prices":[{"amount":"1","currency":"GBP"},{"amount":"3","currency":"EUR"},{"amount":"2","currency":"gbp"}]}`, "#/prices/2/currency"},
		"/v1/carts/two":    {"PATCH", `{"lines":[{"line":1,"quantity":2},{"line":1,"quantity":3}]}`, "#/lines/1/line"},
	} {
		name, value := key()
		got := s.ask(c.method, path, c.body, name, value)
		got.problem(t, 422, "request-invalid")
		if got.at("errors", 0, "pointer") != c.pointer {
			t.Errorf("%s %s: %s, want a fault at %s", c.method, path, got.text, c.pointer)
		}
	}

	s.order("o-2", 9, true)
	for path, body := range map[string]string{
		"/v1/orders/o-2/shipments": `{"lines":[{"line":1,"quantity":1},{"line":1,"quantity":2}]}`,
		"/v1/orders/o-2/cancel":    `{"reason":"x","lines":[{"line":1,"quantity":1},{"line":1,"quantity":3}]}`,
	} {
		name, value := key()
		s.must("POST", path, body, name, value)
	}
	s.must("POST", "/v1/returns", `{"return_id":"r-3","order_id":"o-2","lines":[{"order_line":1,"quantity":1},{"order_line":1,"quantity":2}]}`)
	s.must("POST", "/v1/returns/r-3/approve", "")
	name, value := key()
	s.must("POST", "/v1/returns/r-3/receipts", `{"lines":[{"line":2,"quantity":1,"disposition":"restocked"},{"line":2,"quantity":1,"disposition":"restocked"}]}`, name, value)
	err := s.service.ViewOrder(t.Context(), "o-2", func(o order.State, _ int64) {
		if l := o.Lines[0]; l.Shipped != 3 || l.Canceled != 4 || l.Returning != 3 {
			t.Errorf("the line has %d units shipped, %d canceled and %d returning, want 3, 4 and 3", l.Shipped, l.Canceled, l.Returning)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.service.ViewReturn(t.Context(), "r-3", func(r returns.State, _ int64) {
		if len(r.Lines) != 2 || r.Lines[1].Ended != 2 {
			t.Errorf("the return has the lines %+v, want two, and both units of the second received", r.Lines)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	s.verify("after all requests")
}

// Goods come back at no price below zero. A service may, such as a discount that is taken back.
func TestGoodsComeBackAtNoPriceBelowZero(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	s.must("PUT", "/v1/products/DISCOUNT", `{"title":"Discount","kind":"service"}`)
	for _, sku := range []string{"MUG", "NEVER-LISTED"} {
		got := s.ask("POST", "/v1/returns", `{"currency":"GBP","lines":[{"sku":"`+sku+`","quantity":1,"price":"-5"}]}`)
		got.problem(t, 409, "return-price-negative")
		if got.at("line") != 1.0 {
			t.Errorf("%s, want it to name the line", got.text)
		}
	}
	got := s.ask("POST", "/v1/returns", `{"order_id":"o-1","lines":[{"order_line":1,"quantity":1,"price":"-5"}]}`)
	got.problem(t, 422, "request-invalid")
	if got.at("errors", 0, "pointer") != "#/lines/0/price" {
		t.Errorf("%s, want a fault at the price", got.text)
	}
	back := s.must("POST", "/v1/returns", `{"currency":"GBP","lines":[{"sku":"DISCOUNT","quantity":1,"price":"-5"},{"sku":"MUG","quantity":1,"price":"0"}]}`)
	if back.at("lines", 0, "price", "amount") != "-5.00" {
		t.Errorf("%s, want the discount taken back", back.text)
	}
}

// If a body names several lines that an order or a return does not have, the refusal has the place
// of each.
func TestABodyNamesEachUnknownLine(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 9)
	s.order("o-1", 4, true)
	name, value := key()
	s.must("POST", "/v1/orders/o-1/shipments", `{"lines":[{"line":1,"quantity":2}]}`, name, value)
	s.must("POST", "/v1/returns", `{"return_id":"r-1","order_id":"o-1","lines":[{"order_line":1,"quantity":1}]}`)
	s.must("POST", "/v1/returns/r-1/approve", "")
	for path, c := range map[string]struct{ body, code string }{
		"/v1/orders/o-1/cancel":    {`{"reason":"x","lines":[{"line":9,"quantity":1},{"line":1,"quantity":1},{"line":7,"quantity":1}]}`, "line-unknown"},
		"/v1/orders/o-1/shipments": {`{"lines":[{"line":9,"quantity":1},{"line":1,"quantity":1},{"line":7,"quantity":1}]}`, "line-unknown"},
		"/v1/returns/r-1/receipts": {`{"lines":[{"line":9,"quantity":1,"disposition":"restocked"},{"line":1,"quantity":1,"disposition":"restocked"},{"line":7,"quantity":1,"disposition":"restocked"}]}`, "return-line-unknown"},
	} {
		name, value := key()
		got := s.ask("POST", path, c.body, name, value)
		got.problem(t, 404, c.code)
		if first, second, third := got.at("errors", 0, "pointer"), got.at("errors", 1, "pointer"), got.at("errors", 2, "pointer"); first != "#/lines/0/line" || second != "#/lines/2/line" || third != nil {
			t.Errorf("%s: %s, want faults at lines 0 and 2", path, got.text)
		}
	}
}
