package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/go-json-experiment/json"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"daybook/domain/access"
)

// provider is an identity provider that runs in this process.
type provider struct {
	t   *testing.T
	url string
	key *ecdsa.PrivateKey
}

// keyID is the id of the provider's only key.
const keyID = "k"

func newProvider(t *testing.T) *provider {
	t.Helper()
	issuer := new(oidctest.Server)
	server := httptest.NewServer(issuer)
	t.Cleanup(server.Close)
	p := &provider{t: t, url: server.URL, key: newSigningKey(t)}
	issuer.SetIssuer(p.url)
	issuer.PublicKeys = []oidctest.PublicKey{{PublicKey: p.key.Public(), KeyID: keyID, Algorithm: oidc.ES256}}
	return p
}

func newSigningKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// claims returns the claims of a good token of an auditor, with changes. The value nil removes a
// claim.
func (p *provider) claims(changes map[string]any) string {
	p.t.Helper()
	all := map[string]any{
		"iss": p.url, "aud": "shop", "sub": "u1", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "daybook_role": "auditor",
	}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	text, err := json.Marshal(all)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// sign makes a token that the provider has signed.
func (p *provider) sign(changes map[string]any) string {
	p.t.Helper()
	return oidctest.SignIDToken(p.key, keyID, oidc.ES256, p.claims(changes))
}

// sharedSecret signs claims with a text as the secret of HS256.
func sharedSecret(claims string, secret []byte) string {
	text := tokenPart(`{"alg":"HS256","kid":"`+keyID+`"}`) + "." + tokenPart(claims)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func tokenPart(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// flags are the arguments of a server that accepts the provider's tokens.
func (p *provider) flags() []string {
	return []string{"--oidc-issuer", p.url, "--oidc-audience", "shop"}
}

// A token of the issuer is a credential beside API keys: its role and its customer decide what it
// reaches.
func TestATokenOfTheIssuerIsACredential(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	s := openKeyed(t, p.flags()...)
	manager := p.sign(map[string]any{"daybook_role": "manager"})
	alice := p.sign(map[string]any{"daybook_role": "customer", "daybook_customer": "alice"})
	bob := p.sign(map[string]any{"daybook_role": []string{"x", "customer"}, "daybook_customer": "bob"})
	s.must(manager, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	hers := member(t, s.must(alice, http.MethodPost, "/v1/carts", `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`), "cart_id")
	if status, text := s.ask(bob, http.MethodGet, "/v1/carts/"+hers, ""); status != http.StatusNotFound {
		t.Errorf("bob reads the cart of alice: %d %s", status, text)
	}
	if me := s.must(alice, http.MethodGet, "/v1/auth/me", ""); member(t, me, "actor") != "oidc:u1" || member(t, me, "customer_id") != "alice" {
		t.Errorf("alice: %s", me)
	}
	// A token that names no customer is of one whose id is made from the subject.
	carol := p.sign(map[string]any{"daybook_role": "customer", "sub": "carol@home.example"})
	id := member(t, s.must(carol, http.MethodGet, "/v1/auth/me", ""), "customer_id")
	if len(id) != 33 || id[0] != 'c' || strings.Contains(id, "carol") {
		t.Errorf("carol is the customer %q", id)
	}
	s.must(carol, http.MethodPost, "/v1/customers", `{"name":"Carol"}`)
	if got := member(t, s.must(carol, http.MethodGet, "/v1/customers/"+id, ""), "name"); got != "Carol" {
		t.Errorf("her account is of %q", got)
	}
	if status, text := s.ask(alice, http.MethodGet, "/v1/customers/"+id, ""); status != http.StatusNotFound {
		t.Errorf("alice reads the account of carol: %d %s", status, text)
	}
	// Carol is erased and comes back: she is another customer, always the same one.
	s.must(s.keys["admin"], http.MethodPost, "/v1/erasures", `{"customer_id":"`+id+`","reason":"requested"}`)
	back := member(t, s.must(carol, http.MethodGet, "/v1/auth/me", ""), "customer_id")
	if again := member(t, s.must(carol, http.MethodGet, "/v1/auth/me", ""), "customer_id"); back == id || again != back {
		t.Errorf("carol was %q, and is %q and %q after her erasure", id, back, again)
	}
	s.must(carol, http.MethodPost, "/v1/customers", `{"name":"Carol"}`)
	if status, text := s.ask(alice, http.MethodPost, "/v1/keys", `{"name":"a","role":"admin"}`); status != http.StatusForbidden {
		t.Errorf("alice makes a key: %d %s", status, text)
	}
}

// The customer and the role of a token are claims, which may change for one subject. So an answer
// that is kept under an idempotency key is not given to another customer or another role.
func TestAKeptAnswerIsNotGivenAfterTheClaimsHaveChanged(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	s := openKeyed(t, p.flags()...)
	manager := p.sign(map[string]any{"sub": "m", "daybook_role": "manager"})
	alice := p.sign(map[string]any{"daybook_role": "customer", "daybook_customer": "alice"})
	bob := p.sign(map[string]any{"daybook_role": "customer", "daybook_customer": "bob"})
	s.must(manager, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	body := `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`
	replayed := func(token, path, body, key string) (bool, int, string) {
		response, text := s.send(token, http.MethodPost, path, body, "Idempotency-Key", key)
		return response.Header.Get("Idempotency-Replayed") != "", response.StatusCode, text
	}
	hers := member(t, s.must(alice, http.MethodPost, "/v1/carts", body, "Idempotency-Key", "k-1"), "cart_id")
	if again, status, text := replayed(alice, "/v1/carts", body, "k-1"); !again || member(t, text, "cart_id") != hers {
		t.Errorf("alice repeats her request: %v %d %s", again, status, text)
	}
	if again, status, text := replayed(bob, "/v1/carts", body, "k-1"); again || status != http.StatusCreated || member(t, text, "cart_id") == hers {
		t.Errorf("bob sends the request of alice: %v %d %s", again, status, text)
	}

	operator := p.sign(map[string]any{"daybook_role": "operator"})
	lines, more := "/v1/carts/"+hers+"/lines", `{"lines":[{"sku":"MUG","quantity":3}]}`
	s.must(operator, http.MethodPost, lines, more, "Idempotency-Key", "k-2")
	if again, status, text := replayed(bob, lines, more, "k-2"); again || status != http.StatusNotFound {
		t.Errorf("an operator who is the customer bob now: %v %d %s", again, status, text)
	}
	// Another role is decided again under the same command id, so the lines are not added twice.
	promoted := p.sign(map[string]any{"daybook_role": "manager"})
	if _, status, text := replayed(promoted, lines, more, "k-2"); status != http.StatusOK || !strings.Contains(text, `"units":4`) {
		t.Errorf("an operator who is a manager now: %d %s", status, text)
	}
}

// Tokens that are not good are refused by the HTTP API and by the gateway. Neither says why.
func TestAttacksWithTokens(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	g := openPeopled(t, p.flags()...)
	g.must(g.admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	line := dialRaw(t, g.gateway)
	public, err := x509.MarshalPKIXPublicKey(p.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(key crypto.PrivateKey, id, algorithm string) string {
		return oidctest.SignIDToken(key, id, algorithm, p.claims(nil))
	}
	good := p.sign(nil)
	parts := strings.Split(good, ".")
	stranger := newProvider(t)
	g.hire("eve@shop.example", access.Auditor)
	signedOut := g.mustSignIn("eve@shop.example")
	if got := g.inSession(signedOut, http.MethodPost, "/v1/auth/sign-out"); got.status != http.StatusOK {
		t.Fatalf("sign out: %+v", got)
	}
	for name, token := range map[string]string{
		"alg none":                         tokenPart(`{"alg":"none"}`) + "." + tokenPart(p.claims(nil)) + ".",
		"alg None with a signature":        tokenPart(`{"alg":"None","kid":"k"}`) + "." + parts[1] + "." + parts[2],
		"alg none with a key id":           tokenPart(`{"alg":"none","kid":"k"}`) + "." + parts[1] + ".",
		"HS256 with the public key":        sharedSecret(p.claims(nil), public),
		"HS256 with the public key as PEM": sharedSecret(p.claims(nil), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		"no signature":                     parts[0] + "." + parts[1] + ".",
		"claims that were changed":         parts[0] + "." + tokenPart(p.claims(map[string]any{"daybook_role": "admin"})) + "." + parts[2],
		"another issuer":                   p.sign(map[string]any{"iss": stranger.url}),
		"a token of another issuer":        stranger.sign(nil),
		"another issuer in our name":       stranger.sign(map[string]any{"iss": p.url}),
		"an issuer with a /":               p.sign(map[string]any{"iss": p.url + "/"}),
		"another audience":                 p.sign(map[string]any{"aud": "other"}),
		"no audience":                      p.sign(map[string]any{"aud": nil}),
		"expired":                          p.sign(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}),
		"no end":                           p.sign(map[string]any{"exp": nil}),
		"not yet valid":                    p.sign(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}),
		"another key":                      signed(newSigningKey(t), keyID, oidc.ES256),
		"another key with another id":      signed(newSigningKey(t), "unknown", oidc.ES256),
		"another algorithm under the id":   signed(other, keyID, oidc.RS256),
		"nobody":                           p.sign(map[string]any{"sub": ""}),
		"no role":                          p.sign(map[string]any{"daybook_role": nil}),
		"a role of nobody":                 p.sign(map[string]any{"daybook_role": "king"}),
		"two roles":                        p.sign(map[string]any{"daybook_role": []string{"auditor", "admin"}}),
		"the role of guests":               p.sign(map[string]any{"daybook_role": "guest", "daybook_customer": "alice"}),
		"a customer with an empty name":    p.sign(map[string]any{"daybook_role": "customer", "daybook_customer": ""}),
		"no token":                         "a.b.c",
		"a session after the sign-out":     signedOut,
	} {
		if got, text := g.ask(token, http.MethodGet, "/v1/auth/me", ""); got != http.StatusUnauthorized || !strings.Contains(text, "credentials-required") || tellsWhy(text) {
			t.Errorf("%s by HTTP: %d %s", name, got, text)
		}
		// The token is no session either.
		if got := g.inSession(token, http.MethodGet, "/v1/auth/me"); got.status != http.StatusUnauthorized {
			t.Errorf("%s as a session: %+v", name, got)
		}
		if err := g.readsRaw(line, "product-MUG", "Bearer "+token); status.Code(err) != codes.Unauthenticated || tellsWhy(status.Convert(err).Message()) {
			t.Errorf("%s in the gateway: %v", name, err)
		}
		wantCode(t, name+" as a password in the gateway", g.reads(g.as(oidcName, token), "product-MUG"), esdb.ErrorCodeUnauthenticated)
	}
	// With the same calls, the good token is accepted. So the others were refused because of what
	// is wrong with them.
	g.must(good, http.MethodGet, "/v1/auth/me", "")
	if err := g.readsRaw(line, "product-MUG", "Bearer "+good); err != nil {
		t.Errorf("the good token: %v", err)
	}
	if err := g.reads(g.as(oidcName, good), "product-MUG"); err != nil {
		t.Errorf("the good token as a password: %v", err)
	}
	for _, name := range []string{"eve@shop.example", "u1", strings.Split(g.admin, "_")[1]} {
		wantCode(t, "the good token under the name "+name, g.reads(g.as(name, good), "product-MUG"), esdb.ErrorCodeUnauthenticated)
	}
	if text := g.log.String(); strings.Contains(text, parts[1]) || strings.Contains(text, parts[2]) {
		t.Error("the log has a token")
	}
}

// tellsWhy tells whether a response has a reason for which a token was refused.
func tellsWhy(text string) bool {
	for _, reason := range []string{"audience", "issuer", "has expired", "algorithm", "claim", "signature"} {
		if strings.Contains(text, reason) {
			return true
		}
	}
	return false
}

// What the role of a token may not do over HTTP, its holder may not do in the gateway either.
func TestTheRoleOfATokenCountsInTheGateway(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	g := openPeopled(t, p.flags()...)
	g.must(g.admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	g.must(g.admin, http.MethodPut, "/v1/roles/writer", `{"grants":[{"permission":"events.write","reach":"all"}]}`)
	line := dialRaw(t, g.gateway)
	const fine, denied, unknown = codes.OK, codes.PermissionDenied, codes.Unauthenticated
	for role, c := range map[string]struct {
		reads  codes.Code // of the shop's stream
		writes codes.Code // to a stream of the client's own
	}{
		"auditor": {fine, denied}, "analyst": {fine, denied}, "operator": {denied, denied}, "writer": {denied, fine}, "admin": {fine, fine},
		"customer": {unknown, unknown}, "storefront": {unknown, unknown},
	} {
		token := p.sign(map[string]any{"daybook_role": role, "daybook_customer": "alice"})
		if err := g.readsRaw(line, "product-MUG", "Bearer "+token); status.Code(err) != c.reads {
			t.Errorf("%s reads the shop's stream: %v", role, err)
		}
		_, err := g.as(oidcName, token).AppendToStream(t.Context(), "notes", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, note(1))
		switch {
		case c.writes == fine && err != nil:
			t.Errorf("%s writes a stream: %v", role, err)
		case c.writes == denied:
			wantCode(t, role+" writes a stream", err, esdb.ErrorCodeAccessDenied)
		case c.writes == unknown:
			wantCode(t, role+" writes a stream", err, esdb.ErrorCodeUnauthenticated)
		}
	}
}
