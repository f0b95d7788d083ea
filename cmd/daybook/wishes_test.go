package main

import (
	"net/http"
	"strings"
	"testing"

	"daybook/internal/pgtest"
)

// A customer shares a wish list, and a guest and another customer buy from it. When it is no longer
// shared, nobody sees it.
func TestAWishListIsSharedAndBoughtFrom(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, log []string) {
		s := &keyedShop{t: t, database: pgtest.URL(t), keys: map[string]string{}}
		s.running = serve(t, append([]string{"--guests", "--database-url", s.database}, log...)...)
		admin := keyOf(s.url)
		alice := s.keyByAPI(admin, `{"name":"a","role":"customer","customer_id":"alice"}`)
		bob := s.keyByAPI(admin, `{"name":"b","role":"customer","customer_id":"bob"}`)
		for _, sku := range []string{"MUG", "TRAY"} {
			s.must(admin, http.MethodPut, "/v1/products/"+sku, `{"title":"A","kind":"service","prices":[{"amount":"7.50","currency":"GBP"}]}`)
		}
		s.must(alice, http.MethodPost, "/v1/customers", `{"name":"Alice"}`)
		lists := "/v1/customers/alice/wish-lists"
		id := member(t, s.must(alice, http.MethodPost, lists, `{"name":"Birthday"}`), "wish_lists", "0", "list_id")
		other := s.must(alice, http.MethodPost, lists, `{"name":"Secret"}`)
		list := lists + "/" + id
		s.must(alice, http.MethodPut, list+"/wishes/MUG", `{"quantity":2}`)
		made, _ := s.send(alice, http.MethodPut, list+"/wishes/tray", `{"quantity":1}`)
		share := func() string { return member(t, s.must(alice, http.MethodPost, list+"/share", ""), "share_token") }
		token := share()
		if strings.Contains(token, "alice") || member(t, other, "wish_lists", "1", "list_id") == id {
			t.Errorf("the token %s tells whose list it is, or two lists have one id", token)
		}

		cart, guest := s.openAsGuest("", `{"currency":"GBP"}`)
		bobs := member(t, s.must(bob, http.MethodPost, "/v1/carts", `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`), "cart_id")
		see := func(key, token string) (status int, text string) {
			return s.ask(key, http.MethodGet, "/v1/shared-wish-list", "", "Daybook-Wish-List", token, "Daybook-Min-Position", made.Header.Get("Daybook-Position"))
		}
		for who, key := range map[string]string{"a guest": guest, "bob": bob} {
			eventually(t, patience, who+" sees the list", func() bool { status, _ := see(key, token); return status == http.StatusOK })
			if _, text := see(key, token); !strings.Contains(text, `"name":"Birthday"`) || !strings.Contains(text, `{"sku":"TRAY","quantity":1}`) || strings.Contains(text, "alice") || strings.Contains(text, "Secret") {
				t.Errorf("%s sees %s", who, text)
			}
		}
		add := func(key, cart, body string) (int, string) {
			return s.ask(key, http.MethodPost, "/v1/carts/"+cart+"/wishes", body, "Idempotency-Key", cart+body)
		}
		if status, text := add(guest, cart, `{"share_token":"`+token+`","skus":["TRAY"]}`); status != http.StatusOK || !strings.Contains(text, `"units":1`) {
			t.Errorf("a guest adds a tray: %d %s", status, text)
		}
		for range 2 { // the second time it is repeated
			if status, text := add(bob, bobs, `{"share_token":"`+token+`"}`); status != http.StatusOK || !strings.Contains(text, `"units":4`) || !strings.Contains(text, `"line_count":2`) {
				t.Errorf("bob adds all: %d %s", status, text)
			}
		}
		for name, c := range map[string]struct{ key, body, code string }{
			"the id is not enough":     {bob, `{"list_id":"` + id + `"}`, "wish-list-unknown"},
			"nor is it for a customer": {bob, `{"list_id":"` + id + `","customer_id":"alice"}`, "field-forbidden"},
			"a wrong token":            {bob, `{"share_token":"` + token + `x"}`, "wish-list-unknown"},
			"neither":                  {bob, `{}`, "invalid-request"},
			"none of the products":     {bob, `{"share_token":"` + token + `","skus":["NONE"]}`, "wish-list-empty"},
		} {
			if status, text := add(c.key, bobs, c.body); status < 400 || !strings.Contains(text, c.code) {
				t.Errorf("%s: %d %s, want %s", name, status, text, c.code)
			}
		}
		if status, text := s.ask(bob, http.MethodPut, list+"/wishes/MUG", `{"quantity":9}`); status != http.StatusNotFound {
			t.Errorf("bob changes the list: %d %s", status, text)
		}
		hers := member(t, s.must(alice, http.MethodPost, "/v1/carts", `{"currency":"GBP"}`), "cart_id")
		if status, text := add(alice, hers, `{"list_id":"`+id+`"}`); status != http.StatusOK || !strings.Contains(text, `"units":3`) {
			t.Errorf("alice buys from her own list: %d %s", status, text)
		}

		ended, _ := s.send(alice, http.MethodPost, list+"/unshare", "")
		made = ended
		share() // another share has other tokens
		if status, text := see(bob, token); status != http.StatusNotFound {
			t.Errorf("after the share bob sees %d %s", status, text)
		}
		if status, text := add(bob, bobs, `{"share_token":"`+token+`","skus":["MUG"]}`); status != http.StatusNotFound {
			t.Errorf("after the share bob adds: %d %s", status, text)
		}
	})
}
