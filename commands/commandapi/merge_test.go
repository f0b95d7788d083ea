package commandapi_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/logtest"
	"daybook/eventstore/memory"
)

// A guest logs in, and the lines of the guest's cart are moved into the customer's cart.
func TestAGuestsCartIsMergedIntoTheCustomers(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 9)
	s.sell("TRAY", 9)
	s.must("POST", "/v1/carts", `{"cart_id":"guest","currency":"GBP","lines":[{"sku":"mug","quantity":1},{"sku":"tray","quantity":2}]}`)
	ann := s.must("POST", "/v1/carts", `{"cart_id":"ann","customer_id":"17850","currency":"GBP","country":"France","lines":[{"sku":"MUG","quantity":3}]}`)
	stale := s.ask("POST", "/v1/carts/ann/merge", `{"from":"guest"}`, "If-Match", `"7"`)
	stale.problem(t, 412, "revision-stale")

	name, value := key()
	got := s.must("POST", "/v1/carts/ann/merge", `{"from":"guest"}`, name, value, "If-Match", ann.header.Get("ETag"))
	if told := got.inWords(); told != "17850 France 1:4 2:2" || got.at("cart_id") != "ann" || got.at("status") != "open" {
		t.Errorf("merged: %s", got.text)
	}
	wantEndOf(t, s, "ann", got)
	again := s.must("POST", "/v1/carts/ann/merge", `{"from":"guest"}`, name, value, "If-Match", ann.header.Get("ETag"))
	if again.text != got.text || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("asked again: %s", again.text)
	}
	if other := s.must("POST", "/v1/carts/ann/merge", `{"from":"guest"}`); other.text != got.text || other.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("asked under no key: %s", other.text)
	}
	s.ask("POST", "/v1/carts/ann/merge", `{"from":"bob"}`, name, value).problem(t, 422, "idempotency-key-reused")

	gone := s.ask("POST", "/v1/carts/guest/lines", `{"lines":[{"sku":"mug","quantity":1}]}`)
	gone.problem(t, 409, "cart-not-open")
	if gone.at("cart_status") != "merged" || gone.at("merged_into") != "ann" {
		t.Errorf("a line for the merged cart: %s", gone.text)
	}
	s.must("POST", "/v1/carts", `{"cart_id":"bob","currency":"GBP"}`)
	for _, c := range []struct {
		path, body string
		status     int
		code       string
		about      any
	}{
		{"/v1/carts/bob/merge", `{"from":"guest"}`, 409, "cart-not-open", "guest"},
		{"/v1/carts/guest/merge", `{"from":"ann"}`, 409, "cart-not-open", nil},
		{"/v1/carts/ann/merge", `{"from":"bob"}`, 409, "cart-empty", "bob"},
		{"/v1/carts/ann/merge", `{"from":"ann"}`, 409, "cart-merge-self", nil},
		{"/v1/carts/ann/merge", `{"from":"nobody"}`, 404, "cart-not-found", "nobody"},
		{"/v1/carts/nobody/merge", `{"from":"ann"}`, 404, "cart-not-found", nil},
		{"/v1/carts/ann/merge", `{"from":"a b"}`, 422, "request-invalid", nil},
		{"/v1/carts/ann/merge", `{}`, 422, "request-invalid", nil},
	} {
		refused := s.ask("POST", c.path, c.body)
		refused.problem(t, c.status, c.code)
		if refused.at("cart_id") != c.about {
			t.Errorf("%s %s: %s, want it to be about %v", c.path, c.body, refused.text, c.about)
		}
	}
	s.verify("after all merges")
}

func TestARefusedMergeSaysWhereTheCartIsOpenAgain(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 9)
	guest, ann := s.cart("MUG", 1), s.cart("MUG", 2)
	racing := *s
	racing.store = &overtaking{Store: s.store, after: "cart.merged_into.", by: func() { s.must("POST", "/v1/carts/"+ann+"/abandon", "") }}
	name, value := key()
	refused := racing.start().ask("POST", "/v1/carts/"+ann+"/merge", `{"from":"`+guest+`"}`, name, value)
	refused.problem(t, 409, "cart-not-open")
	wantEndOf(t, s, guest, refused)
	if refused.at("cart_status") != "abandoned" || refused.at("cart_id") != nil {
		t.Errorf("the problem is %s", refused.text)
	}
	s.must("PATCH", "/v1/carts/"+guest, `{"country":"France"}`) // it is open
	s.verify("after the merge was refused")
}

// A key has merged the guest's cart into ann's. If the same key asks to merge another cart into
// ann's, it is refused, even after the kept answer was deleted. This is also so if the target
// declined the first attempt, or if another call ended the merge. The log has no index of event
// ids, so only the two carts can know the key.
func TestAKeyOfAMergeIsRefusedWithAnotherCart(t *testing.T) {
	t.Parallel()
	service := func(s *shop) (*commands.Service, commands.Call) {
		return s.start().service, commands.Call{Who: access.Everyone, Meta: eventstore.Metadata{CommandID: uuid.New()}}
	}
	for name, meanwhile := range map[string]func(t *testing.T, s *shop){
		"nothing happens": func(*testing.T, *shop) {},
		"the target declines once": func(t *testing.T, s *shop) {
			t.Helper()
			other, call := service(s)
			s.must("PATCH", "/v1/carts/ann", fmt.Sprintf(`{"lines":[{"line":1,"quantity":%d}]}`, unit.MaxQuantity))
			if err := other.FinishMerge(t.Context(), begunBy(t, s, "guest"), "guest"); err != nil {
				t.Fatal(err)
			}
			_, err := other.Cart(t.Context(), call, "ann", cart.ChangeQuantity{Line: 1, Quantity: 1})
			if err != nil {
				t.Fatal(err)
			}
		},
		"another call ends the merge": func(t *testing.T, s *shop) {
			t.Helper()
			s.must("POST", "/v1/carts/ann/merge", `{"from":"guest"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shop{t: t, store: logtest.Unindexed{Store: memory.New()}, answers: &answers{kept: make(map[string]commands.KeptAnswer)}}.start()
			s.sell("MUG", 9)
			for _, id := range []string{"ann", "guest", "friend"} {
				s.must("POST", "/v1/carts", `{"cart_id":"`+id+`","currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`)
			}
			racing := *s
			racing.store = &overtaking{Store: s.store, after: "cart.merged_into.", by: func() { meanwhile(t, s.start()) }}
			header, value := key()
			racing.start().must("POST", "/v1/carts/ann/merge", `{"from":"guest"}`, header, value)
			s.answers.lose()
			after := s.start()
			after.ask("POST", "/v1/carts/ann/merge", `{"from":"friend"}`, header, value).problem(t, 422, "idempotency-key-reused")
			if again := after.ask("POST", "/v1/carts/ann/merge", `{"from":"guest"}`, header, value); again.status != 200 {
				t.Errorf("the same request again: %s", again.text)
			}
			after.must("POST", "/v1/carts/ann/merge", `{"from":"friend"}`) // it is still open
			s.verify("after all merges")
		})
	}
}

// begunBy is the metadata of the last event of a cart. This event has begun a merge.
func begunBy(t *testing.T, s *shop, id unit.CartID) (meta eventstore.Metadata) {
	t.Helper()
	for e, err := range s.store.ReadStreamBackwards(t.Context(), cart.Stream(id), eventstore.LastRevision, 1) {
		if err != nil {
			t.Fatal(err)
		}
		meta = eventstore.MetadataOrNone(e.Meta)
	}
	return meta
}
