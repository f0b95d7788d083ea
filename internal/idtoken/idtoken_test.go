package idtoken

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"

	"daybook/domain/access"
	"daybook/domain/unit"
)

// issuer is an issuer that runs in this process, and whose keys the test chooses.
type issuer struct {
	t     *testing.T
	url   string
	keys  atomic.Pointer[oidctest.Server]
	asked atomic.Int64 // how often its keys were asked for
	gate  atomic.Pointer[gate]
	clock atomic.Int64
	*Verifier
}

// gate holds the responses of an issuer back.
type gate struct{ reached, open chan struct{} }

func newIssuer(t *testing.T) (i *issuer, key *ecdsa.PrivateKey) {
	t.Helper()
	i = &issuer{t: t}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if shut := i.gate.Load(); shut != nil {
			shut.reached <- struct{}{}
			<-shut.open
		}
		if strings.Contains(r.URL.Path, "keys") {
			i.asked.Add(1)
		}
		if has := i.keys.Load(); has != nil {
			has.ServeHTTP(w, r)
			return
		}
		http.Error(w, "away", http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	i.url = server.URL
	i.clock.Store(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC).UnixNano())
	key = newKey(t)
	i.has("one", key.Public())
	i.Verifier = New(Config{
		Issuer: i.url, Audience: "daybook", RoleClaim: "role", CustomerClaim: "customer", Now: i.now, Client: server.Client(),
		CustomerOf: func(_ context.Context, subject string) (unit.CustomerID, error) {
			return unit.CustomerID("of-" + subject), nil
		},
		Grants: func(role access.Role) access.Grants {
			grants, _ := access.BuiltIn(role)
			return grants
		},
	})
	return i, key
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// has gives the issuer this key in place of all others.
func (i *issuer) has(id string, key crypto.PublicKey) {
	server := &oidctest.Server{PublicKeys: []oidctest.PublicKey{{PublicKey: key, KeyID: id, Algorithm: oidc.ES256}}}
	server.SetIssuer(i.url)
	i.keys.Store(server)
}

func (i *issuer) now() time.Time { return time.Unix(0, i.clock.Load()).UTC() }

// claims returns the claims of a good token, with changes. The value nil removes a claim.
func (i *issuer) claims(changes map[string]any) string {
	i.t.Helper()
	all := map[string]any{"iss": i.url, "aud": "daybook", "sub": "user-1", "exp": i.now().Add(time.Hour).Unix(), "iat": i.now().Unix(), "role": "operator"}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	text, err := json.Marshal(all)
	if err != nil {
		i.t.Fatal(err)
	}
	return string(text)
}

func (i *issuer) sign(key crypto.PrivateKey, changes map[string]any) string {
	i.t.Helper()
	return oidctest.SignIDToken(key, "one", oidc.ES256, i.claims(changes))
}

func TestATokenNamesARoleAndACustomer(t *testing.T) {
	t.Parallel()
	i, key := newIssuer(t)
	for name, c := range map[string]struct {
		changes  map[string]any
		id       string
		role     access.Role
		customer string
	}{
		"an operator":            {nil, "oidc:user-1", access.Operator, ""},
		"among other roles":      {map[string]any{"role": []string{"offline_access", "auditor"}}, "oidc:user-1", access.Auditor, ""},
		"a customer":             {map[string]any{"role": "customer", "customer": "17850"}, "oidc:user-1", access.Customer, "17850"},
		"a customer by subject":  {map[string]any{"role": "customer"}, "oidc:user-1", access.Customer, "of-user-1"},
		"several audiences":      {map[string]any{"aud": []string{"other", "daybook"}}, "oidc:user-1", access.Operator, ""},
		"a clock that is behind": {map[string]any{"exp": i.now().Add(-skew / 2).Unix()}, "oidc:user-1", access.Operator, ""},
		"an address as subject":  {map[string]any{"sub": "eve@shop.example"}, "oidc:sha256-", access.Operator, ""},
		"a subject of two lines": {map[string]any{"sub": "a\r\nb"}, "oidc:sha256-", access.Operator, ""},
		"an operator's customer": {map[string]any{"customer": "17850"}, "oidc:user-1", access.Operator, ""},
	} {
		who, err := i.Authenticate(t.Context(), i.sign(key, c.changes))
		if err != nil || !strings.HasPrefix(who.ID, c.id) || strings.Contains(who.ID, "@") || who.Role != c.role || string(who.Customer) != c.customer || len(who.Grants) == 0 {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	if i.asked.Load() != 1 {
		t.Errorf("the keys were asked for %d times", i.asked.Load())
	}
}

// Two subjects never have one name. A subject that looks like the hash of another one is hashed,
// too.
func TestASubjectCannotTakeTheNameOfAnother(t *testing.T) {
	t.Parallel()
	hers := nameOf("eve@shop.example")
	if got := nameOf(strings.TrimPrefix(hers, prefix)); got == hers || !strings.HasPrefix(got, prefix+hashed) {
		t.Errorf("the subject %s has the name %s", strings.TrimPrefix(hers, prefix), got)
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	i, key := newIssuer(t)
	good := i.sign(key, nil)
	if _, err := i.Authenticate(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	// This token is signed with the public key, used as the secret of a symmetric algorithm.
	confused := part(`{"alg":"HS256","kid":"one"}`) + "." + part(i.claims(nil))
	mac := hmac.New(sha256.New, public)
	mac.Write([]byte(confused))
	confused += "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	parts := strings.Split(good, ".")
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"alg none":               part(`{"alg":"none"}`) + "." + part(i.claims(nil)) + ".",
		"alg None":               part(`{"alg":"None","kid":"one"}`) + "." + part(i.claims(nil)) + "." + parts[2],
		"a symmetric algorithm":  confused,
		"no signature":           parts[0] + "." + parts[1] + ".",
		"other claims":           parts[0] + "." + part(i.claims(map[string]any{"role": "admin"})) + "." + parts[2],
		"another key":            i.sign(newKey(t), nil),
		"a key in the token":     oidctest.SignIDToken(other, "one", oidc.RS256, i.claims(nil)),
		"another issuer":         i.sign(key, map[string]any{"iss": "https://evil.example"}),
		"an issuer with a /":     i.sign(key, map[string]any{"iss": i.url + "/"}),
		"another audience":       i.sign(key, map[string]any{"aud": "other"}),
		"no audience":            i.sign(key, map[string]any{"aud": nil}),
		"expired":                i.sign(key, map[string]any{"exp": i.now().Add(-skew - time.Second).Unix()}),
		"no end":                 i.sign(key, map[string]any{"exp": nil}),
		"not yet":                i.sign(key, map[string]any{"nbf": i.now().Add(time.Hour).Unix()}),
		"no subject":             i.sign(key, map[string]any{"sub": ""}),
		"no role":                i.sign(key, map[string]any{"role": nil}),
		"a role of nobody":       i.sign(key, map[string]any{"role": "king"}),
		"a guest":                i.sign(key, map[string]any{"role": "guest", "customer": "17850"}),
		"two roles":              i.sign(key, map[string]any{"role": []string{"auditor", "admin"}}),
		"a role that is no text": i.sign(key, map[string]any{"role": map[string]any{"admin": true}}),
		"a customer of nobody":   i.sign(key, map[string]any{"role": "customer", "customer": ""}),
		"a customer by a number": i.sign(key, map[string]any{"role": "customer", "customer": 17850}),
		"a customer with slash":  i.sign(key, map[string]any{"role": "customer", "customer": "a/b"}),
		"no token":               "a.b.c",
		"nothing":                "..",
	} {
		who, err := i.Authenticate(t.Context(), text)
		if !errors.Is(err, ErrRefused) && !errors.Is(err, ErrNoRole) || !who.IsZero() {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	if i.asked.Load() > 1 {
		t.Errorf("within a moment the keys were asked for %d times", i.asked.Load())
	}
}

// A new key of the issuer is accepted soon, and a key that the issuer no longer has is refused.
func TestKeysOfTheIssuerChange(t *testing.T) {
	t.Parallel()
	i, first := newIssuer(t)
	good := func(key crypto.PrivateKey) bool {
		_, err := i.Authenticate(t.Context(), i.sign(key, nil))
		return err == nil
	}
	if !good(first) {
		t.Fatal("the first key")
	}
	second := newKey(t)
	i.has("two", second.Public())
	if good(second) {
		t.Error("the issuer was asked again at once")
	}
	i.clock.Add(int64(askEvery))
	if !good(second) || good(first) {
		t.Error("after a while the second key counts, and the first does not")
	}
	third := newKey(t)
	i.has("three", third.Public())
	i.clock.Add(int64(keysKept))
	if good(second) || !good(third) {
		t.Error("old keys are asked for again even if they fit")
	}
	i.keys.Store(nil)
	i.clock.Add(int64(keysKept))
	if !good(third) {
		t.Error("while the issuer is away, its keys count on")
	}
	i.clock.Add(int64(keysKept))
	if _, err := i.Authenticate(t.Context(), i.sign(third, nil)); err == nil {
		t.Error("the keys count for ever")
	} else if _, unreachable := errors.AsType[*UnreachableError](err); !unreachable {
		t.Errorf("without keys: %v", err)
	}
}

// While the issuer is asked because of one token, a token that a present key fits does not wait. A
// token that no key fits waits for the same response, but not after its request has ended.
func TestNoTokenWaitsForAnother(t *testing.T) {
	t.Parallel()
	i, key := newIssuer(t)
	good, bad := i.sign(key, nil), i.sign(newKey(t), nil)
	if _, err := i.Authenticate(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	i.clock.Add(int64(askEvery))
	shut := &gate{reached: make(chan struct{}, 2), open: make(chan struct{})}
	i.gate.Store(shut)
	waiting := make(chan error, 1)
	go func() {
		_, err := i.Authenticate(t.Context(), bad)
		waiting <- err
	}()
	<-shut.reached
	if _, err := i.Authenticate(t.Context(), good); err != nil {
		t.Errorf("a good token: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := i.Authenticate(ended, bad); !errors.Is(err, ErrRefused) {
		t.Errorf("another bad token: %v", err)
	}
	select {
	case err := <-waiting:
		t.Errorf("they have waited for the bad token: %v", err)
		waiting <- err
	default:
	}
	i.gate.Store(nil)
	close(shut.open)
	if err := <-waiting; !errors.Is(err, ErrRefused) {
		t.Errorf("the bad token: %v", err)
	}
	if i.asked.Load() != 2 {
		t.Errorf("the keys were asked for %d times", i.asked.Load())
	}
}

// While the issuer is asked for its first keys, a request that ends is told so. It is not told that
// its token is wrong.
func TestAnIssuerThatDoesNotRespondYet(t *testing.T) {
	t.Parallel()
	i, key := newIssuer(t)
	shut := &gate{reached: make(chan struct{}, 2), open: make(chan struct{})}
	i.gate.Store(shut)
	ctx, end := context.WithCancel(t.Context())
	waiting := make(chan error, 1)
	go func() {
		_, err := i.Authenticate(ctx, i.sign(key, nil))
		waiting <- err
	}()
	<-shut.reached
	end()
	err := <-waiting
	if _, unreachable := errors.AsType[*UnreachableError](err); !unreachable {
		t.Errorf("a request that has ended: %v", err)
	}
	i.gate.Store(nil)
	close(shut.open)
	if _, err := i.Authenticate(t.Context(), i.sign(key, nil)); err != nil {
		t.Errorf("after the response: %v", err)
	}
}

// A long request ends when its token expires, or its role gets other rights.
func TestALongRequestEndsWithItsToken(t *testing.T) {
	t.Parallel()
	i, key := newIssuer(t)
	who, err := i.Authenticate(t.Context(), i.sign(key, nil))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := i.While(t.Context(), who)
	defer stop()
	if ctx.Err() != nil {
		t.Error("it ended at once")
	}
	i.clock.Add(int64(time.Hour + skew))
	<-ctx.Done()
	other := who
	other.Grants = make(access.Grants)
	other.Grants[access.Look] = access.All
	i.clock.Add(-int64(time.Hour + skew))
	ended, stopOther := i.While(t.Context(), other)
	defer stopOther()
	<-ended.Done()
	if !errors.Is(context.Cause(ctx), ErrEnded) || !errors.Is(context.Cause(ended), ErrEnded) {
		t.Errorf("they ended because %v, %v", context.Cause(ctx), context.Cause(ended))
	}
}

func TestTheAddressOfAnIssuer(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"https://login.shop.example": true, "https://login.shop.example/realms/shop": true, "http://127.0.0.1:9": true, "http://localhost": true,
		"http://login.shop.example": false, "": false, "login": false, "https://a@b.example": false, "https://x.example?a": false, "ftp://x.example": false,
	} {
		if err := ParseIssuer(text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}
