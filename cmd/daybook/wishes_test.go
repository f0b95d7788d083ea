package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"daybook/internal/pgtest"
)

// wishShop is a shop in which Alice and Bob have accounts.
type wishShop struct {
	*keyedShop
	admin, alice, bob string // keys
	position          string // of the last change of a list
}

func openWishes(t *testing.T, args ...string) *wishShop {
	t.Helper()
	s := &wishShop{keyedShop: &keyedShop{t: t, database: pgtest.URL(t), keys: map[string]string{}}}
	s.running = serve(t, append(args, "--database-url", s.database)...)
	s.admin = keyOf(s.url)
	s.alice = s.keyByAPI(s.admin, `{"name":"a","role":"customer","customer_id":"alice"}`)
	s.bob = s.keyByAPI(s.admin, `{"name":"b","role":"customer","customer_id":"bob"}`)
	for _, sku := range []string{"MUG", "TRAY"} {
		s.must(s.admin, http.MethodPut, "/v1/products/"+sku, `{"title":"A","kind":"service","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	}
	s.must(s.alice, http.MethodPost, "/v1/customers", `{"name":"Alice"}`)
	s.must(s.bob, http.MethodPost, "/v1/customers", `{"name":"Bob"}`)
	return s
}

// change sends a change of a list, and returns the response.
func (s *wishShop) change(key, method, path, body string) string {
	s.t.Helper()
	response, text := s.send(key, method, path, body)
	if response.StatusCode/100 != 2 {
		s.t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, text)
	}
	if position := response.Header.Get("Daybook-Position"); position != "" {
		s.position = position
	}
	return text
}

// makeList makes a list of Alice's with a mug, and returns its path and its id.
func (s *wishShop) makeList(name string) (path, id string) {
	s.t.Helper()
	const lists = "/v1/customers/alice/wish-lists"
	text := s.change(s.alice, http.MethodPost, lists, `{"name":"`+name+`"}`)
	_, id, _ = strings.Cut(text[strings.LastIndex(text, `"list_id":"`):], `"list_id":"`)
	id, _, _ = strings.Cut(id, `"`)
	s.change(s.alice, http.MethodPut, lists+"/"+id+"/wishes/MUG", `{"quantity":2}`)
	return lists + "/" + id, id
}

// share shares a list and returns a token, when the list shows.
func (s *wishShop) share(path string) (token string) {
	s.t.Helper()
	token = member(s.t, s.change(s.alice, http.MethodPost, path+"/share", ""), "share_token")
	eventually(s.t, patience, "the shared list shows", func() bool {
		response, _ := s.see(s.alice, token)
		return response.StatusCode == http.StatusOK
	})
	return token
}

// see asks for the list of a token, when everything that was changed shows. An empty token is none.
func (s *wishShop) see(key, token string) (*http.Response, string) {
	s.t.Helper()
	head := []string{"Daybook-Min-Position", s.position}
	if token != "" {
		head = append(head, "Daybook-Wish-List", token)
	}
	return s.send(key, http.MethodGet, "/v1/shared-wish-list", "", head...)
}

// add puts what is on a list into a cart.
func (s *wishShop) add(key, cart, body string) (*http.Response, string) {
	s.t.Helper()
	return s.send(key, http.MethodPost, "/v1/carts/"+cart+"/wishes", body, "Idempotency-Key", fmt.Sprintf("%x", sha256.Sum256([]byte(cart+body))))
}

// A customer shares a wish list. A guest and another customer see it and buy from it, each into a
// cart of their own.
func TestAWishListIsSharedAndBoughtFrom(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, log []string) {
		s := openWishes(t, append([]string{"--guests"}, log...)...)
		list, id := s.makeList("Birthday")
		other, _ := s.makeList("Secret")
		s.change(s.alice, http.MethodPut, list+"/wishes/tray", `{"quantity":1}`)
		token := s.share(list)
		if strings.Contains(token, "alice") || other == list {
			t.Errorf("the token %s tells whose list it is, or two lists have one id", token)
		}

		cart, guest := s.openAsGuest("", `{"currency":"GBP"}`)
		bobs := member(t, s.must(s.bob, http.MethodPost, "/v1/carts", `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`), "cart_id")
		const want = `{"name":"Birthday","wishes":[{"sku":"MUG","quantity":2},{"sku":"TRAY","quantity":1}]}`
		for who, key := range map[string]string{"a stranger": "", "a guest": guest, "bob": s.bob, "the shop": s.admin} {
			if response, text := s.see(key, token); response.StatusCode != http.StatusOK || strings.TrimSpace(text) != want {
				t.Errorf("%s sees %d %s, want %s", who, response.StatusCode, text, want)
			}
		}
		if response, text := s.add(guest, cart, `{"share_token":"`+token+`","skus":["TRAY"]}`); response.StatusCode != http.StatusOK || !strings.Contains(text, `"units":1`) || strings.Contains(text, "alice") {
			t.Errorf("a guest adds a tray: %d %s", response.StatusCode, text)
		}
		for range 2 { // the second time it is repeated
			if response, text := s.add(s.bob, bobs, `{"share_token":"`+token+`"}`); response.StatusCode != http.StatusOK || !strings.Contains(text, `"units":4`) || !strings.Contains(text, `"line_count":2`) || strings.Contains(text, "alice") {
				t.Errorf("bob adds all: %d %s", response.StatusCode, text)
			}
		}
		for who, c := range map[string]struct{ key, cart string }{"bob": {s.bob, bobs}, "a guest": {guest, cart}} {
			response, text := s.send(c.key, http.MethodPost, "/v1/carts/"+c.cart+"/checkout", `{}`, "Idempotency-Key", c.cart)
			if response.StatusCode != http.StatusCreated || strings.Contains(text, "alice") {
				t.Errorf("%s buys: %d %s", who, response.StatusCode, text)
			}
		}
		more := member(t, s.must(s.bob, http.MethodPost, "/v1/carts", `{"currency":"GBP"}`), "cart_id")
		hers := member(t, s.must(s.alice, http.MethodPost, "/v1/carts", `{"currency":"GBP"}`), "cart_id")
		for name, c := range map[string]struct{ key, cart, body, code string }{
			"the id is not enough":     {s.bob, more, `{"list_id":"` + id + `"}`, "wish-list-unknown"},
			"nor is it for a customer": {s.bob, more, `{"list_id":"` + id + `","customer_id":"alice"}`, "field-forbidden"},
			"a cart of somebody else":  {s.bob, hers, `{"share_token":"` + token + `"}`, "cart-not-found"},
			"neither":                  {s.bob, more, `{}`, "request-invalid"},
			"both":                     {s.alice, hers, `{"list_id":"` + id + `","share_token":"` + token + `"}`, "request-invalid"},
			"none of the products":     {s.bob, more, `{"share_token":"` + token + `","skus":["NONE"]}`, "wish-list-empty"},
		} {
			if response, text := s.add(c.key, c.cart, c.body); response.StatusCode < 400 || !strings.Contains(text, c.code) {
				t.Errorf("%s: %d %s, want %s", name, response.StatusCode, text, c.code)
			}
		}
		if status, text := s.ask(s.bob, http.MethodPut, list+"/wishes/MUG", `{"quantity":9}`); status != http.StatusNotFound {
			t.Errorf("bob changes the list: %d %s", status, text)
		}
		if response, text := s.add(s.alice, hers, `{"list_id":"`+id+`"}`); response.StatusCode != http.StatusOK || !strings.Contains(text, `"units":3`) {
			t.Errorf("alice buys from her own list: %d %s", response.StatusCode, text)
		}
		s.must(s.admin, http.MethodDelete, "/v1/products/TRAY", "", "Idempotency-Key", "retired")
		if response, text := s.add(s.bob, more, `{"share_token":"`+token+`"}`); response.StatusCode != http.StatusConflict || !strings.Contains(text, `"#/share_token"`) || !strings.Contains(text, "product-retired") {
			t.Errorf("a tray that is not sold any more: %d %s", response.StatusCode, text)
		}
		verified(t, append([]string{"--database-url", s.database}, log...)...)
	})
}

// A token comes on top of the rights of its sender. If it is not good, the response is the same,
// whatever is wrong with it: it is none, it was changed, or its share has ended, because the list
// was unshared or removed, or because its customer was erased. The token of a list shows no other
// list.
func TestATokenThatIsNotGoodShowsNothing(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, log []string) {
		s := openWishes(t, log...)
		unshared, _ := s.makeList("Unshared")
		removed, _ := s.makeList("Removed")
		erased, _ := s.makeList("Erased")
		bad := map[string]string{"no token": "", "another text": "hello", "a token of a guest": "dbg_YQ_" + strings.Repeat("0", 64)}
		for _, path := range []string{unshared, removed, erased} {
			name := map[string]string{unshared: "Unshared", removed: "Removed", erased: "Erased"}[path]
			bad[name] = s.share(path)
			if response, text := s.see(s.bob, bad[name]); response.StatusCode != http.StatusOK || !strings.Contains(text, `"name":"`+name+`"`) {
				t.Errorf("%s: %d %s", name, response.StatusCode, text)
			}
			if response, text := s.see("", bad[name]); response.StatusCode != http.StatusUnauthorized {
				t.Errorf("without credentials and --guests: %d %s", response.StatusCode, text)
			}
		}
		bad["a changed token"] = bad["Erased"][:len(bad["Erased"])-6] + "AAAAAA"
		bad["two tokens in one"] = bad["Erased"] + bad["Removed"]

		s.change(s.alice, http.MethodPost, unshared+"/unshare", "")
		again := s.share(unshared) // another share has other tokens
		if response, text := s.see(s.bob, again); response.StatusCode != http.StatusOK || !strings.Contains(text, "Unshared") {
			t.Errorf("the new token shows %d %s", response.StatusCode, text)
		}
		bad["Unshared again"] = again
		s.change(s.alice, http.MethodDelete, removed, "")
		cart := member(t, s.must(s.bob, http.MethodPost, "/v1/carts", `{"currency":"GBP"}`), "cart_id")
		shapes := map[string]string{}
		same := func(what, token, shape string) {
			if shapes[what] == "" {
				shapes[what] = shape
			}
			if shape != shapes[what] || !strings.HasPrefix(shape, "404 ") {
				t.Errorf("%s with %s gets\n%s\nwant\n%s", what, token, shape, shapes[what])
			}
		}
		refused := func(name string) {
			response, text := s.see(s.bob, bad[name])
			same("see", name, shapeOf(response, text, nil))
			if bad[name] != "" {
				response, text = s.add(s.bob, cart, `{"share_token":"`+bad[name]+`"}`)
				same("buy", name, shapeOf(response, text, nil))
			}
		}
		for name := range bad {
			if name != "Erased" && name != "Unshared again" {
				refused(name)
			}
		}
		if response, text := s.see(s.bob, bad["Erased"]); response.StatusCode != http.StatusOK {
			t.Errorf("before the erasure: %d %s", response.StatusCode, text)
		}

		s.change(s.admin, http.MethodPost, "/v1/erasures", `{"customer_id":"alice","reason":"requested"}`)
		for name := range bad {
			eventually(t, patience, name+" shows nothing", func() bool {
				response, _ := s.see(s.bob, bad[name])
				return response.StatusCode == http.StatusNotFound
			})
			refused(name)
		}
		if text := s.must(s.admin, http.MethodGet, "/v1/customers/alice", "", "Daybook-Min-Position", s.position); strings.Contains(text, "wish_lists") {
			t.Errorf("the erased customer has %s", text)
		}
		verified(t, append([]string{"--database-url", s.database}, log...)...)
	})
}
