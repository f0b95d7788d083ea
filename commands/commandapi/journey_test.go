package commandapi_test

import (
	"strings"
	"testing"
)

func TestFromCartToDeliveredAndReturned(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)

	cart := s.must("POST", "/v1/carts", `{"currency":"gbp","country":"United Kingdom","lines":[{"sku":"mug","quantity":3}]}`)
	if got := cart.at("lines", 0); cart.at("lines", 0, "price", "amount") != "2.50" || cart.at("lines", 0, "sku_text") != "mug" {
		t.Errorf("line %v, want the catalogue's price and the SKU as given", got)
	}
	if !strings.HasPrefix(cart.header.Get("ETag"), `"0.`) || cart.header.Get("Daybook-Position") == "" || cart.status != 201 {
		t.Errorf("answer %d, ETag %s, position %q; want 201, the revision and a position", cart.status, cart.header.Get("ETag"), cart.header.Get("Daybook-Position"))
	}
	id, _ := cart.body["cart_id"].(string)

	name, value := key()
	placed := s.must("POST", "/v1/carts/"+id+"/checkout", `{"reference":"536365","payment":{"provider":"test"},"confirm":true}`, name, value)
	order, _ := placed.at("order", "order_id").(string)
	if placed.at("order", "status") != "confirmed" || placed.at("order", "payment_state") != "paid" {
		t.Fatalf("order %s, want confirmed and paid", placed.text)
	}
	if got, want := placed.header.Get("Location"), "/v1/orders/"+order; got != want {
		t.Errorf("Location %s, want %s", got, want)
	}
	name, value = key()
	shipped := s.must("POST", "/v1/orders/"+order+"/shipments", `{"carrier":"post"}`, name, value)
	if got, want := shipped.header.Get("ETag"), placed.header.Get("ETag"); got == want {
		t.Errorf("ETag %s after the shipment, as before", got)
	}
	parcel, _ := shipped.at("shipment_id").(string)
	delivered := s.must("POST", "/v1/orders/"+order+"/shipments/"+parcel+"/deliver", "")
	if delivered.at("fulfillment_state") != "delivered" {
		t.Errorf("order %s, want delivered", delivered.text)
	}
	if got := s.must("POST", "/v1/orders/"+order+"/complete", ""); got.at("status") != "completed" {
		t.Errorf("order %s, want completed", got.text)
	}

	back := s.must("POST", "/v1/returns", `{"order_id":"`+order+`","lines":[{"order_line":1,"quantity":2}]}`)
	ret, _ := back.at("return_id").(string)
	s.must("POST", "/v1/returns/"+ret+"/approve", "")
	name, value = key()
	s.must("POST", "/v1/returns/"+ret+"/receipts", `{"lines":[{"line":1,"quantity":2,"disposition":"restocked"}]}`, name, value)
	name, value = key()
	refunded := s.must("POST", "/v1/returns/"+ret+"/refunds", `{"amount":{"amount":"5.00","currency":"GBP"}}`, name, value)
	if refunded.at("refunded", "amount") != "5.00" {
		t.Errorf("return %s, want 5 refunded", refunded.text)
	}
	s.must("POST", "/v1/returns/"+ret+"/close", "")
	archived := s.must("POST", "/v1/orders/"+order+"/archive", "")
	if archived.at("payment_state") != "partially_refunded" || archived.at("lines", 0, "returning") != 2.0 {
		t.Errorf("order %s, want 2 of 3 back and paid back", archived.text)
	}

	name, value = key()
	counted := s.must("POST", "/v1/stock/MUG/main/counts", `{"expected":9,"counted":9}`, name, value)
	if counted.at("on_hand") != 9.0 || counted.at("allocated") != 0.0 || counted.at("available") != 9.0 {
		t.Errorf("stock %s, want 9 on hand and available: 10 came, 3 left, 2 are back", counted.text)
	}
}

func TestQuantityZeroTakesALineOut(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 1)
	s.must("POST", "/v1/carts", `{"cart_id":"c","currency":"GBP","lines":[{"sku":"mug","quantity":1},{"sku":"mug","quantity":2}]}`)
	for range 2 { // the second time it is gone already
		got := s.must("PATCH", "/v1/carts/c/lines/1", `{"quantity":0}`)
		if lines, _ := got.at("lines").([]any); len(lines) != 1 || got.at("lines", 0, "line") != 2.0 || !strings.HasPrefix(got.header.Get("ETag"), `"1.`) {
			t.Errorf("cart %s, ETag %s; want line 2 only", got.text, got.header.Get("ETag"))
		}
	}
	s.ask("PATCH", "/v1/carts/c/lines/2", `{}`).problem(t, 422, "request-invalid")
	s.ask("PATCH", "/v1/carts/c/lines/2", `{"quantity":-1}`).problem(t, 422, "request-invalid")
}

// Each click on the button of a product page adds one unit. The cart still shows one line.
func TestTheSameProductAgainJoinsItsLine(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 1)
	s.must("POST", "/v1/carts", `{"cart_id":"c","currency":"GBP","join":true,"lines":[{"sku":"mug","quantity":1},{"sku":"MUG","quantity":2}]}`)
	name, value := key()
	for range 2 { // the second request is a repetition and adds nothing
		got := s.must("POST", "/v1/carts/c/lines", `{"join":true,"lines":[{"sku":"mug","quantity":3},{"sku":"mug","quantity":1}]}`, name, value)
		if lines, _ := got.at("lines").([]any); len(lines) != 1 || got.at("lines", 0, "quantity") != 7.0 {
			t.Errorf("cart %s, want one line of 7", got.text)
		}
	}
	s.must("PUT", "/v1/products/mug/prices/GBP", `{"amount":"3"}`)
	got := s.must("POST", "/v1/carts/c/lines", `{"join":true,"lines":[{"sku":"mug","quantity":1}]}`)
	if got.at("lines", 0, "quantity") != 7.0 || got.at("lines", 1, "quantity") != 1.0 || got.at("lines", 1, "price", "amount") != "3.00" {
		t.Errorf("cart %s, want a line of its own for the new price", got.text)
	}
	if got = s.must("POST", "/v1/carts/c/lines", `{"lines":[{"sku":"mug","quantity":1}]}`); got.at("lines", 2, "quantity") != 1.0 {
		t.Errorf("cart %s, want a third line: nothing was said of joining", got.text)
	}
}

func TestACartThatWasLeftIsEnded(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 1)
	s.must("POST", "/v1/carts", `{"cart_id":"left","currency":"GBP","lines":[{"sku":"mug","quantity":1}]}`)
	for range 2 { // the second time, nothing is left to change
		if got := s.must("POST", "/v1/carts/left/expire", ""); got.at("status") != "expired" {
			t.Errorf("cart %s, want expired", got.text)
		}
	}
}

func TestAReturnThatNamesAnOrderIsOfItsLines(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 1)
	s.must("POST", "/v1/carts", `{"cart_id":"c","currency":"GBP","lines":[{"sku":"mug","quantity":1}]}`)
	name, value := key()
	s.must("POST", "/v1/carts/c/checkout", `{"order_id":"o","payment":{"provider":"test"},"confirm":true}`, name, value)
	got := s.ask("POST", "/v1/returns", `{"order_id":"o","lines":[{"sku":"ghost","quantity":50,"price":"99"}]}`)
	if got.status != 422 || !strings.Contains(got.text, "/lines/0/order_line") {
		t.Errorf("answer %d %s, want 422 at the line", got.status, got.text)
	}
}

func TestAUnitIsReturnedOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 2)
	s.must("POST", "/v1/carts", `{"cart_id":"c","currency":"GBP","lines":[{"sku":"mug","quantity":2}]}`)
	name, value := key()
	s.must("POST", "/v1/carts/c/checkout", `{"order_id":"o","payment":{"provider":"test"},"confirm":true}`, name, value)
	unshipped := s.ask("POST", "/v1/returns", `{"return_id":"r0","order_id":"o","lines":[{"order_line":1,"quantity":1}]}`)
	unshipped.problem(t, 409, "return-exceeds-shipped")
	name, value = key()
	s.must("POST", "/v1/orders/o/shipments", `{"carrier":"post"}`, name, value)
	s.must("POST", "/v1/returns", `{"return_id":"r1","order_id":"o","lines":[{"order_line":1,"quantity":1}]}`)
	s.must("POST", "/v1/returns", `{"return_id":"r1","order_id":"o","lines":[{"order_line":1,"quantity":1}]}`)
	twice := s.ask("POST", "/v1/returns", `{"return_id":"r2","order_id":"o","lines":[{"order_line":1,"quantity":1},{"order_line":1,"quantity":1}]}`)
	twice.problem(t, 409, "return-exceeds-shipped")
	if twice.at("returnable") != 1.0 || twice.at("requested") != 2.0 || twice.at("line") != 1.0 || twice.at("order_id") != "o" {
		t.Errorf("refusal %s, want which line of which order, and what is left", twice.text)
	}
	s.must("POST", "/v1/returns/r1/cancel", "")
	s.must("POST", "/v1/returns", `{"return_id":"r2","order_id":"o","lines":[{"order_line":1,"quantity":1},{"order_line":1,"quantity":1}]}`)
}
