package commandapi_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"daybook/domain/order"
	"daybook/domain/unit"
)

// oneSale returns what is wrong with an order that several requests have paid and confirmed.
func (s *shop) oneSale(id string, units unit.Quantity) {
	s.t.Helper()
	err := s.service.ViewOrder(s.t.Context(), unit.OrderID(id), func(o order.State, _ int64) {
		if len(o.Transactions) != 1 || o.Status != order.StatusConfirmed || o.PaymentState() != order.Paid {
			s.t.Errorf("order %s is %s and %s, with %d transactions; want it paid once and confirmed", id, o.Status, o.PaymentState(), len(o.Transactions))
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if got := s.stock("MUG").Allocated(); got != units {
		s.t.Errorf("%d units are allocated, want %d", got, units)
	}
	s.verify("after all clicks")
}

// found returns what is wrong with the answer to a later click.
func (r response) found(t *testing.T, id string) {
	t.Helper()
	if r.status != http.StatusOK || r.at("order", "order_id") != id || r.header.Get("Location") != "/v1/orders/"+id || r.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("answer %d %s, Location %q; want 200 and the order %s", r.status, r.text, r.header.Get("Location"), id)
	}
}

const payAndConfirm = `{"payment":{"provider":"test"},"confirm":true}`

func TestASecondClickGetsTheOrderOfTheFirst(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	s.must("POST", "/v1/carts", `{"cart_id":"c","currency":"GBP","lines":[{"sku":"mug","quantity":3}]}`)
	name, value := key()
	first := s.must("POST", "/v1/carts/c/checkout", payAndConfirm, name, value)
	if first.status != http.StatusCreated {
		t.Errorf("the first answers %d, want 201", first.status)
	}
	id, _ := first.at("order", "order_id").(string)
	name, value = key()
	for range 2 { // the second time, the same request is repeated under its key
		second := s.ask("POST", "/v1/carts/c/checkout", payAndConfirm, name, value)
		if second.header.Del("Idempotency-Replayed"); second.at("order", "status") != "confirmed" {
			t.Errorf("answer %s, want the order as it stands", second.text)
		}
		second.found(t, id)
	}
	s.oneSale(id, 3)

	for what, body := range map[string]string{"another reference": `{"reference":"r"}`, "another id": `{"order_id":"mine"}`, "another place": `{"sourcing":{"locations":["east"]}}`} {
		name, value = key()
		other := s.ask("POST", "/v1/carts/c/checkout", body, name, value)
		if other.problem(t, 409, "cart-not-open"); other.at("order_id") != id {
			t.Errorf("%s: %s, want the order that the cart became", what, other.text)
		}
	}
	s.must("POST", "/v1/carts", `{"cart_id":"left","currency":"GBP","lines":[{"sku":"mug","quantity":3}]}`)
	s.must("POST", "/v1/carts/left/abandon", "")
	name, value = key()
	s.ask("POST", "/v1/carts/left/checkout", "{}", name, value).problem(t, 409, "cart-not-open")
}

func TestClicksAtTheSameMomentAreOneOrder(t *testing.T) {
	t.Parallel()
	for round := range 10 {
		s := open(t)
		s.sell("MUG", 4) // two orders would need 6
		s.must("POST", "/v1/carts", `{"cart_id":"c","currency":"GBP","lines":[{"sku":"mug","quantity":3}]}`)
		answers := make([]response, 6)
		var wait sync.WaitGroup
		for i := range answers {
			name, value := key()
			wait.Go(func() { answers[i] = s.ask("POST", "/v1/carts/c/checkout", payAndConfirm, name, value) })
		}
		wait.Wait()
		made, id := 0, fmt.Sprint(answers[0].at("order", "order_id"))
		for _, a := range answers {
			if a.status == http.StatusCreated {
				made++
				if a.at("order", "order_id") != id {
					t.Errorf("order %v, want %s", a.at("order", "order_id"), id)
				}
				continue
			}
			a.found(t, id)
		}
		if made != 1 {
			t.Fatalf("round %d: %d answers say that they made the order, want 1", round, made)
		}
		s.oneSale(id, 3)
	}
}

// A payment without an id gets an id from the call that began the checkout. This is also so if that
// call was refused at first and was sent again.
func TestASecondClickPaysOnceAfterARefusal(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"the server's id": payAndConfirm, "the caller's id": `{"order_id":"o","payment":{},"confirm":true}`} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			s.sell("MUG", 0)
			s.must("POST", "/v1/carts", `{"cart_id":"c","currency":"GBP","lines":[{"sku":"mug","quantity":3}]}`)
			header, value := key()
			for range 2 { // two attempts are refused, and the third one succeeds below
				s.ask("POST", "/v1/carts/c/checkout", payAndConfirm, header, value).problem(t, 409, "stock-insufficient")
			}
			s.receive("MUG", 10)
			id, _ := s.must("POST", "/v1/carts/c/checkout", body, header, value).at("order", "order_id").(string)
			header, value = key()
			s.ask("POST", "/v1/carts/c/checkout", body, header, value).found(t, id)
			s.oneSale(id, 3)
		})
	}
}

func TestClicksAtTheSameMomentGetTheSameShortage(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 2)
	s.must("POST", "/v1/carts", `{"cart_id":"c","currency":"GBP","lines":[{"sku":"mug","quantity":3}]}`)
	var wait sync.WaitGroup
	for range 6 {
		name, value := key()
		wait.Go(func() {
			s.ask("POST", "/v1/carts/c/checkout", payAndConfirm, name, value).problem(t, 409, "stock-insufficient")
		})
	}
	wait.Wait()
	if got := s.must("POST", "/v1/carts/c/lines", `{"lines":[{"sku":"mug","quantity":1}]}`); got.at("status") != "open" {
		t.Errorf("cart %s, want it open", got.text)
	}
	s.verify("after all clicks")
}
