package commandapi_test

import (
	"net/url"
	"strings"
	"testing"
)

// A forced command needs a reason. The reason must have characters that a person can see.
func TestABlankReasonForcesNothing(t *testing.T) {
	t.Parallel()
	for name, test := range directly {
		if test.forced == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.sell("MUG", 10)
			s.order("o-1", 3, test.live != "pending")
			if test.live == "returned" {
				header, value := key()
				s.must("POST", "/v1/orders/o-1/shipments", `{"shipment_id":"p-1"}`, header, value)
				s.must("POST", "/v1/returns", `{"return_id":"r-1","order_id":"o-1","lines":[{"order_line":1,"quantity":2}]}`)
				s.must("POST", "/v1/returns/r-1/approve", "")
			}
			before := s.lastEvent()
			path := "/v1/stock/MUG/main" + test.path
			for id := range s.stock("MUG").Reservations {
				path = strings.ReplaceAll(path, "%s", string(id))
			}
			for _, blank := range []string{" ", "\u200b"} {
				header, value := key()
				var got response
				if strings.HasPrefix(test.forced, "?") {
					got = s.ask(test.method, path+strings.ReplaceAll(test.forced, "counter", url.QueryEscape(blank)), "", header, value)
				} else {
					got = s.ask(test.method, path, strings.ReplaceAll(test.forced, "counter", blank), header, value)
				}
				got.problem(t, 422, "request-invalid")
				if !strings.Contains(got.text, "reason") || s.lastEvent() != before {
					t.Errorf("answer %s, last event %s; want the reason refused and nothing recorded", got.text, s.lastEvent())
				}
			}
		})
	}
}

// A text that cannot be recorded is refused with its place, and nothing is recorded.
func TestATextThatCannotBeSeenIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	s.order("o-1", 3, true)
	cart := s.cart("MUG", 1)
	before := s.lastEvent()
	for _, test := range []struct{ path, body, place string }{
		{"/v1/carts", `{"currency":"GBP","country":"%"}`, "#/country"},
		{"/v1/carts/" + cart + "/checkout", `{"reference":"%"}`, "#/reference"},
		{"/v1/carts/" + cart + "/checkout", `{"payment":{"provider":"%"}}`, "#/payment/provider"},
		{"/v1/orders/o-1/hold", `{"reason":"%"}`, "#/reason"},
		{"/v1/orders/o-1/cancel", `{"reason":"%"}`, "#/reason"},
		{"/v1/stock/MUG/main/receipts", `{"quantity":1,"document":"%"}`, "#/document"},
		{"/v1/returns", `{"order_id":"o-1","reference":"%","lines":[{"order_line":1,"quantity":1}]}`, "#/reference"},
	} {
		for _, bad := range []string{"a\u202eb", " ", "\u200b", "a\\u0001b", strings.Repeat("a", 501)} {
			header, value := key()
			got := s.ask("POST", test.path, strings.ReplaceAll(test.body, "%", bad), header, value)
			got.problem(t, 422, "request-invalid")
			if !strings.Contains(got.text, `"pointer":"`+test.place+`"`) {
				t.Errorf("POST %s with %q: %s, want it to name %s", test.path, bad, got.text, test.place)
			}
			if s.lastEvent() != before {
				t.Fatalf("POST %s with %q recorded %s", test.path, bad, s.lastEvent())
			}
		}
	}
	got := s.ask("PATCH", "/v1/carts/"+cart, `{"country":"a\nb","customer_id":7}`)
	if got.status != 422 || !strings.Contains(got.text, `"#/country"`) || !strings.Contains(got.text, `"#/customer_id"`) {
		t.Errorf("two faults: answer %d %s, want both", got.status, got.text)
	}
	got = s.ask("PUT", "/v1/products/CUP", `{"title":"a\u0001b"}`)
	if got.status != 422 || !strings.Contains(got.text, `"#/title"`) {
		t.Errorf("a title: answer %d %s, want it named", got.status, got.text)
	}
}
