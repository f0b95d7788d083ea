package main

import (
	"net/http"
	"strings"
	"testing"
)

// What a guest did belongs to the customer who got the cart first, also after the cart went to
// somebody else: it is in this customer's export, and is erased with this customer.
func TestAGuestsTextsBelongToTheFirstCustomer(t *testing.T) {
	t.Parallel()
	s := openPrivate(t, "--guests", "--master-key-file", writeMasterKey(t))
	pool := poolOf(t, s.database)
	s.must(s.admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"service","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	for _, id := range []string{"carol", "dave"} {
		s.must(s.admin, http.MethodPost, "/v1/customers", `{"customer_id":"`+id+`"}`)
	}
	const empty = `{"currency":"GBP"}`
	guest := func(text string) (cart string) {
		t.Helper()
		cart, token := s.openAsGuest("", `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`)
		s.must(token, http.MethodPut, "/v1/carts/"+cart+"/details", `{"gift_message":"`+mark+text+`"}`)
		return cart
	}
	give := func(cart, to string) {
		t.Helper()
		s.must(s.admin, http.MethodPatch, "/v1/carts/"+cart, `{"customer_id":"`+to+`"}`)
	}
	carols, daves, merged := guest("carols"), guest("daves"), guest("merged")
	give(carols, "carol")
	give(carols, "dave")
	give(daves, "dave")
	give(daves, "carol")
	into := member(t, s.must(s.admin, http.MethodPost, "/v1/carts", empty), "cart_id")
	give(into, "carol")
	s.must(s.admin, http.MethodPost, "/v1/carts/"+into+"/merge", `{"from":"`+merged+`"}`)
	give(into, "dave")

	for customer, want := range map[string]map[string]bool{
		"carol": {"carols": true, "daves": false, "merged": true}, "dave": {"carols": false, "daves": true, "merged": false},
	} {
		text := s.must(s.admin, http.MethodGet, "/v1/customers/"+customer+"/export", "")
		for name, has := range want {
			if strings.Contains(text, mark+name) != has {
				t.Errorf("the export of %s has the text %s: %t", customer, name, !has)
			}
		}
	}
	s.erase(pool, "carol")
	for cart, want := range map[string]int{"cart:" + carols: 0, "cart:" + daves: 1, "cart:" + merged: 0} {
		if n := liveKeys(t, pool, cart); n != want {
			t.Errorf("%s has %d keys, want %d", cart, n, want)
		}
	}
}

// A cart does not get the details of another customer's cart that is merged into it.
func TestDetailsDoNotComeFromAnotherCustomersCart(t *testing.T) {
	t.Parallel()
	s := openPrivate(t)
	s.must(s.admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"service","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	cart := func(customer string) string {
		return member(t, s.must(s.admin, http.MethodPost, "/v1/carts", `{"currency":"GBP","customer_id":"`+customer+`","lines":[{"sku":"MUG","quantity":1}]}`), "cart_id")
	}
	from, into := cart("alice"), cart("bob")
	s.must(s.admin, http.MethodPut, "/v1/carts/"+from+"/details", `{"gift_message":"for alice"}`)
	if text := s.must(s.admin, http.MethodPost, "/v1/carts/"+into+"/merge", `{"from":"`+from+`"}`); strings.Contains(text, "for alice") || !strings.Contains(text, `"units":2`) {
		t.Errorf("bob's cart is %s", text)
	}
}
