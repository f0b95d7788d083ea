package main

import (
	"net/http"
	"strings"
	"testing"
)

// A customer is erased at their own wish, and then reaches nothing more with their keys. Nobody
// else of the shop's customers and programs can ask for it.
func TestACustomerIsErasedAtTheirOwnWish(t *testing.T) {
	t.Parallel()
	file := writeMasterKey(t)
	s := openPrivate(t, "--master-key-file", file)
	key := func(body string) string { return s.keyByAPI(s.admin, body) }
	eve, bob := key(`{"name":"e","role":"customer","customer_id":"eve"}`), key(`{"name":"b","role":"customer","customer_id":"bob"}`)
	storefront := key(`{"name":"s","role":"storefront"}`)
	const path = "/v1/customers/eve/erasure"
	s.must(eve, http.MethodPost, "/v1/customers", `{"name":"`+mark+`eve-name"}`)
	s.must(bob, http.MethodPost, "/v1/customers", `{"name":"Bob"}`)
	for who, want := range map[string]int{bob: http.StatusNotFound, storefront: http.StatusForbidden, "": http.StatusUnauthorized} {
		if status, text := s.ask(who, http.MethodPost, path, ""); status != want {
			t.Errorf("somebody else erases eve: %d %s, want %d", status, text, want)
		}
	}
	// A program that may act for anybody cannot erase anybody with the permission of customers.
	s.must(s.admin, http.MethodPut, "/v1/roles/leaver", `{"grants":[{"permission":"customers.leave","reach":"all"},{"permission":"customers.act","reach":"all"}]}`)
	if response, text := s.send(key(`{"name":"l","role":"leaver"}`), http.MethodPost, path, "", "Daybook-Act-For", "eve"); response.StatusCode != http.StatusForbidden {
		t.Errorf("for eve: %d %s", response.StatusCode, text)
	}
	if text := s.must(eve, http.MethodGet, "/v1/customers/eve", ""); !strings.Contains(text, mark+"eve-name") {
		t.Fatalf("before: %s", text)
	}
	if text := s.must(eve, http.MethodPost, path, ""); !strings.Contains(text, `"reason":"requested"`) {
		t.Errorf("the response is %s", text)
	}
	eventually(t, recoveryLimit, "eve's key is revoked", func() bool {
		status, _ := s.ask(eve, http.MethodGet, "/v1/customers/eve", "")
		return status == http.StatusUnauthorized
	})
	eventually(t, recoveryLimit, "nobody sees the name", func() bool {
		text := s.must(s.admin, http.MethodGet, "/v1/customers/eve", "")
		return strings.Contains(text, `"(erased)"`) && !strings.Contains(text, mark)
	})
	s.must(bob, http.MethodGet, "/v1/customers/bob", "")
	verified(t, "--database-url", s.database, "--master-key-file", file)
}
