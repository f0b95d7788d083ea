package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"

	"daybook/internal/pgtest"
)

// A token of the issuer is a credential beside API keys: its role and its customer decide what it
// reaches. The attacks on tokens are tests of package idtoken.
func TestATokenOfTheIssuerIsACredential(t *testing.T) {
	t.Parallel()
	issuer := new(oidctest.Server)
	login := httptest.NewServer(issuer)
	t.Cleanup(login.Close)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer.SetIssuer(login.URL)
	issuer.PublicKeys = []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "k", Algorithm: oidc.ES256}}
	token := func(audience, more string) string {
		return oidctest.SignIDToken(key, "k", oidc.ES256, fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"u1","exp":%d%s}`, login.URL, audience, time.Now().Add(time.Hour).Unix(), more))
	}
	s := &keyedShop{t: t, database: pgtest.URL(t)}
	s.running = serve(t, "--database-url", s.database, "--oidc-issuer", login.URL, "--oidc-audience", "shop")

	manager, alice, bob := token("shop", `,"daybook_role":"manager"`), token("shop", `,"daybook_role":"customer","daybook_customer":"alice"`), token("shop", `,"daybook_role":["x","customer"],"daybook_customer":"bob"`)
	s.must(manager, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	hers := member(t, s.must(alice, http.MethodPost, "/v1/carts", `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`), "cart_id")
	if status, text := s.ask(bob, http.MethodGet, "/v1/carts/"+hers, ""); status != http.StatusNotFound {
		t.Errorf("bob reads the cart of alice: %d %s", status, text)
	}
	if me := s.must(alice, http.MethodGet, "/v1/auth/me", ""); member(t, me, "actor") != "oidc:u1" || member(t, me, "customer_id") != "alice" {
		t.Errorf("alice: %s", me)
	}
	if status, text := s.ask(alice, http.MethodPost, "/v1/keys", `{"name":"a","role":"admin"}`); status != http.StatusForbidden {
		t.Errorf("alice makes a key: %d %s", status, text)
	}
	for name, wrong := range map[string]string{
		"another audience": token("other", `,"daybook_role":"admin"`), "no role": token("shop", ""), "a customer without a name": token("shop", `,"daybook_role":"customer"`),
		"another signature": alice[:strings.LastIndex(alice, ".")] + bob[strings.LastIndex(bob, "."):],
	} {
		if status, text := s.ask(wrong, http.MethodGet, "/v1/auth/me", ""); status != http.StatusUnauthorized || strings.Contains(text, "audience") {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
}
