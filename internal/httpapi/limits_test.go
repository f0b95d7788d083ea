package httpapi

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/internal/problem"
)

// keyHolders knows the holders of some keys.
type keyHolders map[string]access.Principal

var errUnknownKey = errors.New("there is no such key")

// Authenticate implements Access.
func (k keyHolders) Authenticate(_ context.Context, key string) (access.Principal, error) {
	if who, known := k[key]; known {
		return who, nil
	}
	return access.Principal{}, errUnknownKey
}

// Session implements Access. Nobody has signed in.
func (keyHolders) Session(context.Context, string) (access.Principal, error) {
	return access.Principal{}, errors.New("no such session")
}

// While implements Access.
func (keyHolders) While(ctx context.Context, _ access.Principal) (context.Context, func()) {
	return ctx, func() {}
}

func holder(id string, role access.Role, customer string) access.Principal {
	grants, _ := access.BuiltIn(role)
	return access.Principal{ID: id, Role: role, Grants: grants, Customer: unit.CustomerID(customer)}
}

var someKeys = keyHolders{
	"alice": holder("key:alice", access.Customer, "alice"), "bob": holder("key:bob", access.Customer, "bob"),
	"shop": holder("key:shop", access.Storefront, ""), "owner": holder("key:owner", access.Admin, ""),
	"eve": holder("staff:eve", access.Operator, ""), "max": holder("oidc:max", access.Auditor, ""),
	"dora": holder("oidc:dora", access.Customer, "dora"), "clerk": holder("staff:clerk", access.Storefront, ""),
}

// limitedAsk returns a function that sends requests to a server with limits.
func limitedAsk(t *testing.T, options Options) func(key, from, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	options.PublicHosts = []string{"example.com"}
	handler, err := New(options, echo)
	if err != nil {
		t.Fatal(err)
	}
	return func(key, from, path string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
		r.RemoteAddr = from + ":5"
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		for i := 0; i < len(headers); i += 2 {
			if headers[i+1] != "" { // an empty header is not the same as none
				r.Header.Set(headers[i], headers[i+1])
			}
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
}

// rare allows one request in 100 seconds, so in a test only the first request is let through.
const rare = 0.01

// Each limit refuses only the requests that it is for.
func TestTooManyRequestsAreRefused(t *testing.T) {
	t.Parallel()
	const here, there = "192.0.2.1", "192.0.2.2"
	type sent struct {
		key, from, actFor string
		want              int
	}
	for name, test := range map[string]struct {
		limits Limits
		sent   []sent
	}{
		"of a key": {Limits{PerKey: rare}, []sent{
			{"shop", here, "", 200}, {"shop", there, "", 429}, {"shop", here, "alice", 429}, {"owner", here, "", 200}, {"alice", here, "", 200}, {"alice", there, "", 429},
		}},
		"of a key, but not of people": {Limits{PerKey: rare}, []sent{
			{"eve", here, "", 200}, {"eve", here, "", 200}, {"max", here, "", 200}, {"max", here, "", 200}, {"dora", here, "", 200}, {"dora", here, "", 429},
		}},
		"of a person": {Limits{PerPerson: rare}, []sent{
			{"eve", here, "", 200},
			{"eve", there, "", 429},
			{"max", here, "", 200},
			{"max", here, "", 429},
			{"clerk", here, "alice", 200},
			{"clerk", here, "bob", 429},
			{"owner", here, "", 200},
			{"owner", here, "", 200},
			{"dora", here, "", 200},
			{"dora", here, "", 200},
		}},
		"of a customer for whom a person acts": {Limits{PerCustomer: rare}, []sent{
			{"clerk", here, "alice", 200}, {"clerk", here, "alice", 429}, {"clerk", here, "bob", 200}, {"clerk", here, "", 200}, {"clerk", here, "", 200},
		}},
		"of a customer": {Limits{PerCustomer: rare}, []sent{
			{"alice", here, "", 200},
			{"alice", there, "", 429},
			{"bob", here, "", 200},
			{"owner", here, "", 200},
			{"owner", here, "", 200},
			{"shop", here, "alice", 200},
			{"shop", here, "alice", 429},
			{"shop", here, "bob", 200},
			{"shop", here, "", 200},
			{"shop", here, "", 200},
		}},
		"of an address": {Limits{PerAddress: rare}, []sent{
			{"alice", here, "", 200},
			{"bob", here, "", 429},
			{"bob", there, "", 200},
			{"", here, "", 401}, // it does not use up what customers' keys have
			{"wrong", here, "", 429},
			{"wrong", there, "", 401},
			{"", there, "", 429},
			{"alice", there, "", 429},
			{"shop", here, "", 200},
			{"shop", here, "alice", 200},
			{"shop", here, "alice", 200},
			{"owner", here, "", 200},
			{"owner", here, "", 200},
		}},
		"of wrong keys": {Limits{WrongPerAddress: rare}, []sent{
			{"wrong", here, "", 401}, {"another", here, "", 429}, {"wrong", there, "", 401}, {"", here, "", 401}, {"alice", here, "", 200}, {"owner", here, "", 200},
		}},
		"none": {Limits{}, []sent{{"alice", here, "", 200}, {"alice", here, "", 200}, {"wrong", here, "", 401}, {"wrong", here, "", 401}}},
	} {
		ask := limitedAsk(t, Options{Access: someKeys, Limits: test.limits})
		for i, one := range test.sent {
			got := ask(one.key, one.from, "/problems", headerActFor, one.actFor)
			if got.Code != one.want {
				t.Errorf("%s, request %d: %d %s, want %d", name, i, got.Code, got.Body, one.want)
			}
			if one.want == http.StatusTooManyRequests && (got.Header().Get("Retry-After") != "100" || !strings.Contains(got.Body.String(), `"per_second":0.01`)) {
				t.Errorf("%s, request %d: Retry-After %q %s", name, i, got.Header().Get("Retry-After"), got.Body)
			}
		}
		for _, key := range []string{"", "wrong", "alice", "owner"} {
			if got := ask(key, here, "/livez"); got.Code == http.StatusTooManyRequests {
				t.Errorf("%s: a probe with the key %q gets %d", name, key, got.Code)
			}
		}
	}
	everyone := limitedAsk(t, Options{Limits: Limits{PerKey: rare, PerCustomer: rare, PerAddress: rare, WrongPerAddress: rare}})
	for range 3 {
		if got := everyone("", here, "/problems"); got.Code != http.StatusOK {
			t.Errorf("without access control: %d", got.Code)
		}
	}
}

// countedHolders counts the credentials that are checked.
type countedHolders struct {
	keyHolders

	keys, sessions atomic.Int64
}

// Authenticate implements Access.
func (c *countedHolders) Authenticate(ctx context.Context, key string) (access.Principal, error) {
	c.keys.Add(1)
	return c.keyHolders.Authenticate(ctx, key)
}

// Session implements Access.
func (c *countedHolders) Session(ctx context.Context, token string) (access.Principal, error) {
	c.sessions.Add(1)
	return c.keyHolders.Session(ctx, token)
}

// After too many wrong credentials from an address, its sessions and tokens of an issuer are not
// checked, because each check costs a query or more. Good keys are served.
func TestWrongCredentialsCostNoMoreThanTheirAllowance(t *testing.T) {
	t.Parallel()
	const cookie = problem.SessionCookie + "=dbs_0"
	for name, path := range map[string]string{"a session": "/problems", "at a probe": "/livez", "at an open path": "/open"} {
		counted := &countedHolders{keyHolders: someKeys}
		handler, err := New(Options{PublicHosts: []string{"example.com"}, Access: counted, Limits: Limits{WrongPerAddress: rare}}, open)
		if err != nil {
			t.Fatal(err)
		}
		ask := func(from, path string, headers ...string) int {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
			r.RemoteAddr = from
			for i := 0; i < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			return w.Code
		}
		first, second := http.StatusUnauthorized, http.StatusTooManyRequests
		if path != "/problems" {
			first, second = http.StatusNoContent, http.StatusNoContent // the sender is nobody
		}
		if path == "/livez" {
			first, second = http.StatusNotFound, http.StatusNotFound // this server has no probes
		}
		ask("192.0.2.1", path, "Authorization", "Bearer alice", headerActFor, "bob") // her key is good, so it takes nothing
		for i, want := range []int{first, second, second} {
			if got := ask("192.0.2.1", path, "Cookie", cookie); got != want {
				t.Errorf("%s, request %d: %d, want %d", name, i, got, want)
			}
		}
		if got := ask("192.0.2.1", "/problems", "Authorization", "Bearer a.b.c"); got != http.StatusTooManyRequests {
			t.Errorf("%s, and then a token of an issuer: %d", name, got)
		}
		if sessions, keys := counted.sessions.Load(), counted.keys.Load(); sessions != 1 || keys != 1 {
			t.Errorf("%s: %d sessions and %d keys are checked, want the first session and the key", name, sessions, keys)
		}
		if got := ask("192.0.2.1", "/problems", "Authorization", "Bearer owner"); got != http.StatusOK {
			t.Errorf("%s, and then a good key: %d", name, got)
		}
		if ask("192.0.2.2", path, "Cookie", cookie); counted.sessions.Load() != 2 {
			t.Errorf("%s: a session from another address is not checked", name)
		}
	}
}

// open is a part with one route, which needs no credentials.
func open(api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "open", Method: http.MethodGet, Path: "/open", Metadata: problem.Listing(access.Open)},
		func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
}

// Refusals are counted by reason. The log has some of them, with who and why, and
// never a key or a customer.
func TestRefusalsAreCountedAndLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	refusals := NewRefusals()
	ask := limitedAsk(t, Options{
		Access: someKeys, Refusals: refusals, Limits: Limits{PerCustomer: rare}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	const many = 200
	ask("", "192.0.2.1", "/problems")
	for range many {
		ask("dbk_geheim", "192.0.2.1", "/problems/dbk_geheim?key=dbk_geheim")
	}
	ask("owner", "192.0.2.1", "/problems/none")                            // 404, but nothing is hidden
	ask("alice", "192.0.2.1", "/problems", headerActFor, "bob")            // 403
	ask("alice", "192.0.2.1", "/problems")                                 // good
	ask("alice", "192.0.2.1", "/problems")                                 // 429
	ask("owner", "192.0.2.1", "/problems", "Sec-Fetch-Site", "cross-site") // 403
	want := map[string]uint64{"credentials-required": 1, "credentials-wrong": many, "forbidden": 1, "rate-limited": 1, "cross-origin": 1}
	got := refusals.Counts()
	for reason, count := range got {
		if count != want[reason] {
			t.Errorf("%s: %d refusals are counted, want %d", reason, count, want[reason])
		}
	}
	if len(got) != len(refusalReasons) {
		t.Errorf("counted: %v", got)
	}
	refused := NewRefusals() // its allowance of lines is not used up
	ask = limitedAsk(t, Options{Access: someKeys, Refusals: refused, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	for _, mark := range []string{"dbk_", "dbg_", "dbs_", "dbt_", "dbr_", "dbe_", "dbb_", "dbw_", "%64bk_"} {
		ask("", "192.0.2.1", "/v1/auth/"+mark+"geheim")
	}
	ask("", "192.0.2.1", "/v1/customers/geheim/orders")
	ask("", "192.0.2.1", "/v1/staff/geheim@shop.example/token")
	ask("", "192.0.2.1", "/v1/staff/geheim%40shop.example")
	text := log.String()
	if !strings.Contains(text, "/v1/customers/-/orders") {
		t.Errorf("the log does not have the path of a customer's orders:\n%.500s", text)
	}
	for _, part := range []string{"reason=credentials-wrong", "client=192.0.2.1", `cause="there is no such key"`, "reason=forbidden status=403", "who=key:alice", "customers.act"} {
		if !strings.Contains(text, part) {
			t.Errorf("the log does not have %s", part)
		}
	}
	if lines := strings.Count(text, "reason=credentials-wrong"); lines == 0 || lines == many {
		t.Errorf("%d of %d refusals have a line", lines, many)
	}
	if strings.Contains(text, "geheim") {
		t.Errorf("the log has a key or a customer:\n%.500s", text)
	}
}
