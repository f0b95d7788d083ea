package main

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// What belongs to Alice and what does not exist look the same to Bob, at every route: the status,
// the headers and the body. This holds for HEAD and for each condition, too, also for a condition
// with the ETag that Alice gets.
func TestAThingOfOthersLooksLikeNone(t *testing.T) {
	t.Parallel()
	w := openAttackWalk(t)
	missing := things{"cart_id": "none", "from": "none", "order_id": "none", "return_id": "none", "customer_id": "none", "line": "1", "charge": "1", "shipment_id": "none", "transaction_id": "none"}
	compared := 0
	for _, a := range w.attackers {
		for _, r := range w.routes {
			if !r.owned() || r.needs == "" {
				continue
			}
			w.learn(a.key, r, things{"cart_id": "none", "order_id": "none", "return_id": "none", "customer_id": "bob"}, a.head...)
			tag := `"1"`
			if r.method == http.MethodGet {
				hers, _ := w.request(w.keys["customer alice"], r, w.alice, w.alice, "", nil)
				tag = cmp.Or(hers.Header.Get("ETag"), tag) // she may have nothing of this kind herself
			}
			methods := []string{r.method}
			if r.method == http.MethodGet {
				methods = append(methods, http.MethodHead)
			}
			for _, method := range methods {
				asked := r
				asked.method = method
				for _, condition := range [][]string{nil, {"If-None-Match", tag}, {"If-None-Match", "W/" + tag}, {"If-None-Match", "*"}, {"If-Match", tag}, {"If-Match", "*"}} {
					head := slices.Concat(condition, a.head)
					if r.method != http.MethodGet {
						head = append(head, w.fresh()...)
					}
					hidden, text := w.request(a.key, asked, w.alice, w.bob, "", nil, head...)
					none, other := w.request(a.key, asked, missing, w.bob, "", nil, head...)
					what := a.name + ", " + method + " " + r.path + " " + strings.Join(condition, ": ")
					if got, want := shapeOf(hidden, text, w.alice), shapeOf(none, other, missing); got != want {
						t.Errorf("%s: what belongs to others looks like\n%s\nand what does not exist like\n%s", what, got, want)
					}
					if hidden.Header.Get("ETag") != "" || r.method == http.MethodGet && hidden.StatusCode != http.StatusNotFound {
						t.Errorf("%s: %d, ETag %s", what, hidden.StatusCode, hidden.Header.Get("ETag"))
					}
					compared++
				}
			}
		}
	}
	if compared < 100 {
		t.Errorf("%d requests were compared", compared)
	}
}

// shapeOf is a response without what differs between any two responses, and without ids.
func shapeOf(response *http.Response, text string, of things) string {
	var shape strings.Builder
	shape.WriteString(response.Status + "\n")
	for _, name := range slices.Sorted(maps.Keys(response.Header)) {
		if !slices.Contains([]string{"X-Request-Id", "Date", "Content-Length"}, name) {
			shape.WriteString(name + ": " + strings.Join(response.Header[name], ", ") + "\n")
		}
	}
	text = strings.ReplaceAll(text, response.Header.Get("X-Request-Id"), "id")
	for name, value := range of {
		if len(value) > 3 {
			text = strings.ReplaceAll(text, value, name)
		}
	}
	shape.WriteString(text)
	return shape.String()
}

// An answer that is kept under an idempotency key belongs to the key and the customer for whom it
// acts. The same request with another query is another request.
func TestNobodyGetsTheAnswerOfAnother(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	shop := s.keys["storefront"]
	const body = `{"currency":"GBP"}`
	carts := map[string]string{}
	for name, c := range map[string]struct {
		key  string
		head []string
	}{
		"the storefront":            {shop, nil},
		"the storefront for alice":  {shop, []string{"Daybook-Act-For", "alice"}},
		"the storefront for bob":    {shop, []string{"Daybook-Act-For", "bob"}},
		"alice":                     {s.keys["customer alice"], nil},
		"bob":                       {s.keys["customer bob"], nil},
		"an operator":               {s.keys["operator"], nil},
		"an admin":                  {s.keys["admin"], nil},
		"an admin for alice":        {s.keys["admin"], []string{"Daybook-Act-For", "alice"}},
		"the storefront for alice2": {shop, []string{"Daybook-Act-For", "alice2"}},
	} {
		head := append([]string{"Idempotency-Key", "same"}, c.head...)
		cart := member(t, s.must(c.key, http.MethodPost, "/v1/carts", body, head...), "cart_id")
		for other, theirs := range carts {
			if theirs == cart {
				t.Errorf("%s got the cart of %s", name, other)
			}
		}
		carts[name] = cart
		if again := member(t, s.must(c.key, http.MethodPost, "/v1/carts", body, head...), "cart_id"); again != cart {
			t.Errorf("%s got another cart on a repeat", name)
		}
	}
	manager := s.keys["manager"]
	s.must(manager, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	s.must(manager, http.MethodDelete, "/v1/products/MUG?reason=old", "", "Idempotency-Key", "gone")
	if status, text := s.ask(manager, http.MethodDelete, "/v1/products/MUG?reason=new", "", "Idempotency-Key", "gone"); status != http.StatusUnprocessableEntity || !strings.Contains(text, "idempotency-key-reused") {
		t.Errorf("the same key with another query: %d %s", status, text)
	}
}

// Whoever asks to send back what another customer bought is told that there is no such order. The
// program's log says that it is somebody else's.
func TestAReturnOfAnothersOrderIsNoted(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	manager, alice := s.keys["manager"], s.keys["customer alice"]
	s.must(manager, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	s.must(manager, http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":9}`, "Idempotency-Key", "r")
	cart := member(t, s.must(alice, http.MethodPost, "/v1/carts", `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`), "cart_id")
	order := member(t, s.must(alice, http.MethodPost, "/v1/carts/"+cart+"/checkout", `{}`, "Idempotency-Key", "c"), "order", "order_id")
	status, text := s.ask(s.keys["customer bob"], http.MethodPost, "/v1/returns", `{"order_id":"`+order+`","lines":[{"order_line":1,"quantity":1}]}`)
	if status != http.StatusNotFound || !strings.Contains(text, "order-not-found") {
		t.Errorf("bob sends back what alice bought: %d %s", status, text)
	}
	if !strings.Contains(s.log.String(), "reason=not-owned") {
		t.Error("the log does not say so")
	}
}
