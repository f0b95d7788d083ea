package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"daybook/domain/access"
)

// A program or a person may have the right to make keys and little else. At each route that needs
// this right, they try to get more rights, or to end what has more rights. The walk fails if it
// does not know how to attack a route.
func TestNobodyGivesRightsThatTheyLack(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	admin := s.keys["admin"]
	const few = `{"grants":[{"permission":"access.write","reach":"all"},{"permission":"access.read","reach":"all"},{"permission":"api.look","reach":"all"},{"permission":"carts.read","reach":"all"}]}`
	const more = `{"grants":[{"permission":"access.write","reach":"all"},{"permission":"access.read","reach":"all"},{"permission":"api.look","reach":"all"},{"permission":"orders.pay","reach":"all"}]}`
	s.must(admin, http.MethodPut, "/v1/roles/keymaker", few)
	s.must(admin, http.MethodPut, "/v1/roles/other", more)
	maker := s.keyByAPI(admin, `{"name":"maker","role":"keymaker"}`)
	strong, own := strings.Split(s.keys["operator"], "_")[1], strings.Split(maker, "_")[1]
	owner := s.hire("owner@shop.example", access.Admin)
	clerk := s.hire("clerk@shop.example", "keymaker")

	type attempt struct{ path, body string }
	attacks := map[string][]attempt{
		"create-key": {
			{"/v1/keys", `{"name":"a","role":"admin"}`},
			{"/v1/keys", `{"name":"a","role":"other"}`},
			{"/v1/keys", `{"name":"a","role":"storefront"}`},
			// It reaches own carts, but those of a customer whom the caller chooses.
			{"/v1/keys", `{"name":"a","role":"customer","customer_id":"alice"}`},
		},
		"rotate-key":    {{"/v1/keys/" + strong + "/rotate", `{}`}, {"/v1/keys/" + strong + "/rotate", `{"overlap_seconds":60}`}},
		"revoke-key":    {{"/v1/keys/" + strong + "/revoke", `{}`}},
		"define-role":   {{"/v1/roles/keymaker", more}, {"/v1/roles/fresh", more}, {"/v1/roles/other", few}},
		"remove-role":   {{"/v1/roles/other", ""}},
		"invite-staff":  {{"/v1/staff", `{"email":"a@shop.example","name":"A","role":"admin"}`}, {"/v1/staff", `{"email":"a@shop.example","name":"A","role":"auditor"}`}},
		"give-token":    {{"/v1/staff/" + owner + "/token", ""}},
		"change-email":  {{"/v1/staff/" + owner + "/email", `{"email":"mine@shop.example"}`}, {"/v1/staff/" + owner + "/email", `{"email":"clerk@shop.example"}`}},
		"change-role":   {{"/v1/staff/" + clerk + "/role", `{"role":"admin"}`}, {"/v1/staff/" + owner + "/role", `{"role":"keymaker"}`}},
		"disable-staff": {{"/v1/staff/" + owner + "/disable", `{}`}},
		"remove-factor": {{"/v1/staff/" + owner + "/remove-factor", ""}},

		"end-staff-session": {{"/v1/staff/" + owner + "/sessions/any/end", ""}},
	}
	everyRoute(t, func(id, method, path, needs string) {
		if access.Permission(needs) != access.WriteAccess {
			return
		}
		if len(attacks[id]) == 0 {
			t.Errorf("%s %s: say how somebody could get more rights by %s", method, path, id)
		}
		for _, try := range attacks[id] {
			if status, text := s.ask(maker, method, try.path, try.body); status != http.StatusForbidden || !strings.Contains(text, `"permission"`) {
				t.Errorf("%s %s %s: %d %s", method, try.path, try.body, status, text)
			}
		}
	})
	// What has no more rights than the caller can be given, changed and ended.
	s.must(maker, http.MethodPost, "/v1/staff", `{"email":"a@shop.example","name":"A","role":"keymaker"}`) // the address is free: no refused invitation has taken it
	s.must(maker, http.MethodPut, "/v1/roles/fresh", `{"grants":[{"permission":"carts.read","reach":"all"}]}`)
	made := s.must(maker, http.MethodPost, "/v1/keys", `{"name":"reader","role":"fresh"}`)
	s.must(maker, http.MethodPost, "/v1/keys/"+member(t, made, "key", "key_id")+"/revoke", `{}`)
	s.must(maker, http.MethodDelete, "/v1/roles/fresh", "")
	s.must(maker, http.MethodPost, fmt.Sprintf("/v1/staff/%s/disable", clerk), `{}`)
	if me := s.must(maker, http.MethodGet, "/v1/auth/me", ""); strings.Contains(me, "orders.pay") {
		t.Errorf("the key %s may now: %s", own, me)
	}
	s.must(s.keys["operator"], http.MethodGet, "/v1/orders", "")
}
