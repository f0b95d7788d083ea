package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/internal/pgtest"
)

// openAsGuest opens a cart with a key, or as a guest without one, and returns its id and its token.
func (s *keyedShop) openAsGuest(key, body string, headers ...string) (cart, token string) {
	s.t.Helper()
	response, text := s.send(key, http.MethodPost, "/v1/carts", body, headers...)
	var made struct {
		ID string `json:"cart_id"`
	}
	if err := json.Unmarshal([]byte(text), &made); err != nil || response.StatusCode != http.StatusCreated {
		s.t.Fatalf("open a cart: %d %v %s", response.StatusCode, err, text)
	}
	return made.ID, response.Header.Get("Daybook-Guest-Token")
}

// A guest opens a cart without a key. The cart's token is good for this cart and its order, on
// every node. Nothing else exists for the guest, and the cart does not exist for other customers
// and guests.
func TestGuests(t *testing.T) {
	t.Parallel()
	s := &keyedShop{t: t, database: pgtest.URL(t)}
	admin := s.makeKey("--role", "admin")
	s.running = serve(t, "--guests", "--database-url", s.database)
	s.must(admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	s.must(admin, http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":9}`, "Idempotency-Key", "r")
	alice := s.keyByAPI(admin, `{"name":"a","role":"customer","customer_id":"alice"}`)

	const mug = `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`
	cart, token := s.openAsGuest("", mug, "Idempotency-Key", "mine")
	other, otherToken := s.openAsGuest("", mug, "Idempotency-Key", "mine") // the same key of somebody else
	if cart == other || token == otherToken || token == "" {
		t.Fatalf("two guests have the carts %s and %s", cart, other)
	}
	last := "0"
	if strings.HasSuffix(token, last) {
		last = "1"
	}
	for who, forged := range map[string]string{
		"another end": token[:len(token)-1] + last, "another cart": strings.Replace(otherToken, otherToken[len(otherToken)-64:], token[len(token)-64:], 1),
		"no end": token[:len(token)-64], "nothing": "dbg_", "a key": "dbg_" + strings.TrimPrefix(admin, "dbk_"),
	} {
		if status, text := s.ask(forged, http.MethodGet, "/v1/carts/"+cart, ""); status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", who, status, text)
		}
	}
	path := "/v1/carts/" + cart
	s.must(token, http.MethodPost, path+"/lines", `{"lines":[{"sku":"MUG","quantity":1}]}`, "Idempotency-Key", "more")
	for who, key := range map[string]string{"another guest": otherToken, "nobody": "", "a customer": alice} {
		want := http.StatusNotFound
		if key == "" {
			want = http.StatusUnauthorized
		}
		for _, request := range []struct{ method, path, body string }{
			{http.MethodGet, path, ""},
			{http.MethodPost, path + "/lines", `{"lines":[{"sku":"MUG","quantity":1}]}`}, // a replay of the guest's request
			{http.MethodPost, path + "/checkout", `{}`},
			{http.MethodPost, path + "/abandon", ""},
			{http.MethodPatch, path, `{"country":"France"}`},
		} {
			if status, text := s.ask(key, request.method, request.path, request.body, "Idempotency-Key", "more"); status != want {
				t.Errorf("%s, %s %s: %d %s", who, request.method, request.path, status, text)
			}
		}
	}
	for _, refused := range []struct {
		method, path, body string
		want               int
	}{
		{http.MethodPost, "/v1/carts", `{"currency":"EUR"}`, http.StatusConflict}, // the guest has its cart
		{http.MethodPost, "/v1/carts", `{"cart_id":"mine","currency":"GBP"}`, http.StatusForbidden},
		{http.MethodPost, "/v1/carts", `{"customer_id":"alice","currency":"GBP"}`, http.StatusForbidden},
		{http.MethodPatch, path, `{"customer_id":"alice"}`, http.StatusForbidden},
		{http.MethodPost, path + "/checkout", `{"order_id":"mine"}`, http.StatusForbidden},
		{http.MethodGet, "/v1/stock", "", http.StatusForbidden},
		{http.MethodGet, "/v1/events", "", http.StatusForbidden},
	} {
		if status, text := s.ask(token, refused.method, refused.path, refused.body, "Idempotency-Key", "x"+refused.path); status != refused.want {
			t.Errorf("a guest, %s %s %s: %d %s", refused.method, refused.path, refused.body, status, text)
		}
	}
	s.guestBuys(cart, token, otherToken)
	s.guestsBecomeCustomers(admin, alice, mug)

	// A storefront gets the token of the guest's cart that it opens. The token is not in the kept
	// answer, but is in the response if the request is repeated.
	shop := s.keyByAPI(admin, `{"name":"s","role":"storefront"}`)
	_, first := s.openAsGuest(shop, mug, "Idempotency-Key", "for a guest")
	eventually(t, noticeMax, "the answer is kept", func() bool { return slices.Contains(s.keptAnswers(), "for a guest") })
	if _, again := s.openAsGuest(shop, mug, "Idempotency-Key", "for a guest"); again != first || first == "" {
		t.Errorf("the token is %q, and then %q", first, again)
	}
	if _, none := s.openAsGuest(shop, `{"currency":"GBP","customer_id":"alice"}`); none != "" {
		t.Errorf("the cart of a customer has a token: %s", none)
	}
	// Another node, on which guests without a token are not welcome.
	s.running = serve(t, "--database-url", s.database)
	s.must(token, http.MethodGet, path, "")
	if status, text := s.ask("", http.MethodPost, "/v1/carts", mug); status != http.StatusUnauthorized {
		t.Errorf("without --guests: %d %s", status, text)
	}
}

// guestBuys lets a guest check its cart out. The order is the guest's, and not the other one's.
func (s *keyedShop) guestBuys(cart, token, other string) {
	s.t.Helper()
	var placed struct {
		Order struct {
			ID string `json:"order_id"`
		} `json:"order"`
	}
	text := s.must(token, http.MethodPost, "/v1/carts/"+cart+"/checkout", `{}`, "Idempotency-Key", "out")
	if err := json.Unmarshal([]byte(text), &placed); err != nil || placed.Order.ID == "" {
		s.t.Fatalf("checkout: %v %s", err, text)
	}
	order := "/v1/orders/" + placed.Order.ID
	for _, path := range []string{order, "/v1/carts/" + cart} {
		eventually(s.t, noticeMax, "the guest reads "+path, func() bool {
			status, _ := s.ask(token, http.MethodGet, path, "")
			return status == http.StatusOK
		})
		if status, text := s.ask(other, http.MethodGet, path, ""); status != http.StatusNotFound {
			s.t.Errorf("another guest reads %s: %d %s", path, status, text)
		}
	}
	for _, list := range []string{"/v1/orders", "/v1/carts", "/v1/returns"} {
		if text := s.must(token, http.MethodGet, list, ""); strings.Contains(text, `"cart_id"`) {
			s.t.Errorf("a guest reads %s: %s", list, text)
		}
	}
}

// guestsBecomeCustomers gives a guest's cart to a customer, and merges another one into it. The
// token of the cart that was given ends, for its order, too. The token of the merged cart shows
// only this cart.
func (s *keyedShop) guestsBecomeCustomers(admin, alice, body string) {
	s.t.Helper()
	cart, token := s.openAsGuest("", body)
	merged, mergedToken := s.openAsGuest("", body)
	path := "/v1/carts/" + cart
	s.must(admin, http.MethodPatch, path, `{"customer_id":"alice"}`)
	s.must(admin, http.MethodPost, path+"/merge", `{"from":"`+merged+`"}`, "Idempotency-Key", "merge")
	placed := s.must(alice, http.MethodPost, path+"/checkout", `{}`, "Idempotency-Key", "hers")
	_, order, _ := strings.Cut(placed, `"order_id":"`)
	order, _, _ = strings.Cut(order, `"`)
	for _, path := range []string{path, "/v1/orders/" + order} {
		eventually(s.t, noticeMax, "the customer reads "+path, func() bool {
			_, text := s.ask(alice, http.MethodGet, path, "")
			return strings.Contains(text, `"alice"`)
		})
		for who, guest := range map[string]string{"the guest who had the cart": token, "the guest whose cart was merged": mergedToken} {
			if status, text := s.ask(guest, http.MethodGet, path, ""); status != http.StatusNotFound {
				s.t.Errorf("%s reads %s: %d %s", who, path, status, text)
			}
		}
	}
	for _, path := range []string{path + "/abandon", "/v1/orders/" + order + "/cancel"} {
		if status, text := s.ask(token, http.MethodPost, path, "", "Idempotency-Key", "no"); status != http.StatusNotFound && status != http.StatusForbidden {
			s.t.Errorf("the guest who had the cart, %s: %d %s", path, status, text)
		}
	}
	s.must(mergedToken, http.MethodGet, "/v1/carts/"+merged, "")
}

// A guest signs in and takes the cart along: into a cart that the customer has, or as it is.
func TestAGuestWhoSignsInTakesTheCartAlong(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, log []string) {
		s := &keyedShop{t: t, database: pgtest.URL(t), keys: map[string]string{}}
		s.running = serve(t, append([]string{"--guests", "--database-url", s.database}, log...)...)
		admin := keyOf(s.url)
		alice := s.keyByAPI(admin, `{"name":"a","role":"customer","customer_id":"alice"}`)
		bob := s.keyByAPI(admin, `{"name":"b","role":"customer","customer_id":"bob"}`)
		s.must(admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"service","prices":[{"amount":"7.50","currency":"GBP"}]}`)
		const mugs = `{"currency":"GBP","lines":[{"sku":"MUG","quantity":2}]}`
		hers := member(t, s.must(alice, http.MethodPost, "/v1/carts", mugs), "cart_id")
		cart, token := s.openAsGuest("", mugs)
		s.must(token, http.MethodPut, "/v1/carts/"+cart+"/details", `{"gift_message":"for you","shipping":{"lines":["1 High Street"],"country":"GB"}}`)
		at := "/v1/carts/" + cart + "/claim"
		for name, c := range map[string]struct{ key, path, body string }{
			"without a token":          {alice, at, `{}`},
			"with a wrong token":       {alice, at, `{"guest_token":"` + token[:len(token)-1] + `x"}`},
			"with the token of a cart": {alice, "/v1/carts/other/claim", `{"guest_token":"` + token + `"}`},
			"into a cart of another":   {bob, at, `{"guest_token":"` + token + `","into_cart_id":"` + hers + `"}`},
		} {
			if status, text := s.ask(c.key, http.MethodPost, c.path, c.body); status != http.StatusNotFound {
				t.Errorf("%s: %d %s", name, status, text)
			}
		}
		if status, text := s.ask(token, http.MethodPost, at, `{"guest_token":"`+token+`"}`); status != http.StatusForbidden {
			t.Errorf("a guest claims: %d %s", status, text)
		}
		claim := `{"guest_token":"` + token + `","into_cart_id":"` + hers + `"}`
		for range 2 {
			now := s.must(alice, http.MethodPost, at, claim, "Idempotency-Key", "claim")
			if !strings.Contains(now, `"units":4`) || !strings.Contains(now, `"gift_message":"for you"`) || !strings.Contains(now, `"country":"GB"`) {
				t.Errorf("alice has %s", now)
			}
		}
		eventually(t, recoveryLimit, "the guest's token is not good any more", func() bool {
			status, _ := s.ask(token, http.MethodGet, "/v1/carts/"+cart, "")
			return status == http.StatusNotFound
		})
		alone, token := s.openAsGuest("", mugs)
		if now := s.must(bob, http.MethodPost, "/v1/carts/"+alone+"/claim", `{"guest_token":"`+token+`"}`); !strings.Contains(now, `"customer_id":"bob"`) {
			t.Errorf("bob has %s", now)
		}
	})
}
