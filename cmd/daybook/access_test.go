package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/go-json-experiment/json"

	"daybook/domain/access"
	"daybook/internal/httpapi"
	"daybook/internal/pgtest"
)

// updateAccess writes testdata/access.txt.
var updateAccess = flag.Bool("update", false, "write the golden files")

// keyedShop is a server whose requests need API keys.
type keyedShop struct {
	t *testing.T
	running
	database string
	keys     map[string]string // by role; customers by "customer " and their id
}

// originalKeys are the keys of original: one for each role and for two customers, and the one that
// learnKey would make. They are complete when a copy was made.
var originalKeys = map[string]string{}

// tests is the name in originalKeys of the key that requests without a key get.
const tests = "tests"

// original is a database with these keys. Its copies have the same keys.
var original = pgtest.NewFilled(func(ctx context.Context, url string) error {
	made := func(name string, args ...string) (err error) {
		originalKeys[name], err = createKey(ctx, append(args, "--database-url", url)...)
		return err
	}
	for _, role := range access.Roles() {
		if role == access.Customer || role == access.Guest {
			continue
		}
		if err := made(string(role), "--role", string(role), "--name", "test"); err != nil {
			return err
		}
	}
	for _, customer := range []string{"alice", "bob"} {
		if err := made("customer "+customer, "--role", "customer", "--customer", customer, "--name", "test"); err != nil {
			return err
		}
	}
	return made(tests, "--role", "admin", "--name", tests)
})

// openKeyed starts a server with a key for each role and for two customers. args are further
// arguments of serve.
func openKeyed(t *testing.T, args ...string) *keyedShop {
	t.Helper()
	s := &keyedShop{t: t, database: original.URL(t), keys: maps.Clone(originalKeys)}
	args = append(args, "--database-url", s.database)
	logKeys.Store(strings.Join(namesOfLog(args), " "), s.keys[tests])
	delete(s.keys, tests)
	s.running = serve(t, args...)
	return s
}

// createKey makes a key by the command line and returns its text.
func createKey(ctx context.Context, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	code := run(ctx, append([]string{"keys", "create", "--json"}, args...), testEnvironment(nil, strings.NewReader(""), &stdout, &stderr))
	var made struct {
		Key string `json:"api_key"`
	}
	if code == exitOK && json.Unmarshal(stdout.Bytes(), &made) == nil && made.Key != "" {
		return made.Key, nil
	}
	return "", fmt.Errorf("keys create %q: %d %s %s", args, code, stdout.String(), stderr.String())
}

// makeKey makes a key by the command line and returns its text.
func (s *keyedShop) makeKey(args ...string) string {
	s.t.Helper()
	key, err := createKey(s.t.Context(), append(args, "--name", "test", "--database-url", s.database)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return key
}

func (s *keyedShop) console(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(s.t.Context(), append(args, "--json", "--database-url", s.database), testEnvironment(nil, strings.NewReader(""), &out, &errs))
	return code, out.String(), errs.String()
}

// ask sends a request with a key; headers are names and values.
func (s *keyedShop) ask(key, method, path, body string, headers ...string) (status int, text string) {
	s.t.Helper()
	response, text := s.send(key, method, path, body, headers...)
	return response.StatusCode, text
}

// send does the same as ask, but also returns the response with its headers.
func (s *keyedShop) send(key, method, path, body string, headers ...string) (response *http.Response, text string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header["Authorization"] = nil // otherwise the admin's key would be sent
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err = contract.Client(s.t).Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response, string(all)
}

// must sends a request that has to succeed, and returns its body.
func (s *keyedShop) must(key, method, path, body string, headers ...string) string {
	s.t.Helper()
	status, text := s.ask(key, method, path, body, headers...)
	if status/100 != 2 {
		s.t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	return text
}

// everyRoute calls visit with each operation of the document, with its path filled in.
func everyRoute(t *testing.T, visit func(id, method, path, needs string)) {
	t.Helper()
	document, err := apiDocument()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			ID    string `json:"operationId"`
			Needs string `json:"x-permission"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			operation := doc.Paths[path][method]
			visit(operation.ID, strings.ToUpper(method), path, operation.Needs)
		}
	}
}

// filled fills the template of a path with the given values, and with "x" where none is given.
func filled(template string, values map[string]string) string {
	steps := strings.Split(template, "/")
	for i, step := range steps {
		if name, is := strings.CutPrefix(step, "{"); is {
			name = strings.TrimSuffix(name, "}")
			steps[i] = "x"
			if value := values[name]; value != "" {
				steps[i] = value
			}
		}
	}
	return strings.Join(steps, "/")
}

// opening are settings of serve that decide what somebody without credentials can do, each with
// arguments. Nobody gets more by the other settings of serve; the walk sets them as well where they
// have to do with credentials.
func opening(t *testing.T) map[string][]string {
	t.Helper()
	issuer := new(oidctest.Server)
	login := httptest.NewServer(issuer)
	t.Cleanup(login.Close)
	issuer.SetIssuer(login.URL)
	others := []string{
		"--oidc-issuer", login.URL, "--oidc-audience", "shop", "--cors-origin", "https://other.example", "--public-host", "shop.example",
		"--second-factor", "optional", "--admin-address", "127.0.0.1:0",
	}
	others = append(others, withMail(openMailServer(t))...)
	cert, key := certificate(t)
	others = append(others, "--gateway", "127.0.0.1:0", "--gateway-cert", cert, "--gateway-key", key)
	proxy := []string{"--behind-proxy", "127.0.0.1"}
	return map[string][]string{
		"by default": nil, "with --guests": {"--guests"}, "with all others": others, "with --guests and all others": append([]string{"--guests"}, others...),
		"behind a proxy": proxy, "behind a proxy with the header Forwarded": append([]string{"--proxy-header", "forwarded"}, proxy...),
		"behind a proxy, with --guests and all others": slices.Concat([]string{"--guests"}, proxy, others),
	}
}

// forwardings are the headers of a walk: what a proxy may say of its client, and what a client may
// send to seem to be the proxy or the server's own machine.
func forwardings(args []string) [][]string {
	if !slices.Contains(args, "--behind-proxy") {
		return [][]string{nil, {"X-Forwarded-For", "127.0.0.1", "Forwarded", "for=127.0.0.1;proto=https"}}
	}
	return [][]string{
		nil,
		{"X-Forwarded-For", "192.0.2.7", "Forwarded", "for=192.0.2.7", "X-Forwarded-Proto", "https"},
		{"X-Forwarded-For", "127.0.0.1", "Forwarded", "for=127.0.0.1", "X-Real-IP", "127.0.0.1"},
		{"X-Forwarded-For", "127.0.0.1, ::1", "Forwarded", `for=127.0.0.1, for="[::1]"`, "X-Forwarded-Host", "localhost"},
	}
}

// openToAll are the paths that need no credentials, with all settings.
var openToAll = []string{"/livez", "/readyz", "/v1/auth/sign-in", "/v1/auth/second-factor", "/v1/auth/factor", "/v1/auth/factor/confirm", "/v1/auth/token", "/v1/auth/reset-requests", "/v1/auth/known-browser", "/v1/auth/email/confirm", "/v1/auth/sign-up", "/v1/auth/sign-up/confirm", webhooks}

// webhooks is the path to which providers send signed messages.
const webhooks = "/v1/payments/webhooks/{provider}"

// openToGuests are the operations that need no credentials with --guests: the catalogue, the API's
// document, and a new cart. The pages are routes that are not in the document.
var (
	openToGuests      = []string{"list-products", "get-product", "open-cart", "get-document", "list-problem-types", "get-problem-type", "get-shared-wish-list"}
	pagesOpenToGuests = []string{"/docs", "/docs/viewer", "/openapi.json", "/openapi.yaml"}
)

// Without good credentials every route gets 401, except those that docs/access.md lists. This holds
// for the routes of the document and of the router, with each setting of serve that opens a route.
func TestWithoutAKeyEverythingIsRefused(t *testing.T) {
	t.Parallel()
	for name, args := range opening(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openKeyed(t, append([]string{"--requests-per-address", "0", "--wrong-keys-per-address", "0"}, args...)...)
			for _, head := range forwardings(args) {
				s.walkWithoutCredentials(slices.Contains(args, "--guests"), head...)
			}
			if slices.Contains(args, "--gateway") {
				s.walkGatewayWithoutCredentials(args[slices.Index(args, "--gateway-cert")+1])
			}
		})
	}
}

// walkWithoutCredentials sends requests with the headers in head.
func (s *keyedShop) walkWithoutCredentials(guests bool, head ...string) {
	s.t.Helper()
	ask := func(key, method, path, body string) (status int, text string) {
		return s.ask(key, method, path, body, head...)
	}
	t, admin := s.t, s.keys["admin"]
	wrong := map[string]string{"a wrong secret": admin[:len(admin)-1] + "x", "no key at all": "hello", "an unknown key": "dbk_none_" + strings.Repeat("0", 64), "a wrong guest": "dbg_YQ_" + strings.Repeat("0", 64)}
	refused := func(who, key, method, path string) {
		if status, text := ask(key, method, path, ""); status != http.StatusUnauthorized || !strings.Contains(text, "credentials-required") {
			t.Errorf("%s, %s %s: %d %s", who, method, path, status, text)
		}
	}
	kinds, checked := slices.Sorted(maps.Keys(wrong)), 0
	check := func(method, path string, open bool) {
		// The kinds of wrong keys take turns. make prove tries all of them at each route.
		turn := kinds[checked%len(kinds)]
		checked++
		for _, who := range kinds {
			if who == turn || proving() {
				refused(who, wrong[who], method, path)
			}
		}
		if !open {
			refused("no key", "", method, path)
		} else if status, text := ask("", method, path, ""); status == http.StatusUnauthorized {
			t.Errorf("a new guest, %s %s: %d %s", method, path, status, text)
		}
	}
	operations := map[string]bool{}
	everyRoute(t, func(id, method, path, needs string) {
		operations[method+" "+path] = true
		switch {
		case path == "/livez" || path == "/readyz":
			if status, text := ask("", method, path, ""); status != http.StatusOK || strings.Contains(text, "projections") {
				t.Errorf("%s: %d %s", path, status, text)
			}
		case slices.Contains(openToAll, path):
			// A sign-in needs no credentials, so its refusal must not ask for them.
			if status, text := ask("", method, filled(path, nil), "{}"); status == http.StatusUnauthorized && strings.Contains(text, "credentials-required") {
				t.Errorf("%s: %d %s", path, status, text)
			}
		case needs == "":
			t.Errorf("%s %s needs no permission", method, path)
		default:
			check(method, filled(path, nil), guests && slices.Contains(openToGuests, id))
		}
	})
	routes, err := httpapi.Routes(apiParts()...)
	if err != nil || len(routes) < 80 {
		t.Fatalf("%d routes, %v", len(routes), err)
	}
	for _, route := range routes {
		if !operations[route.Method+" "+route.Path] {
			check(route.Method, filled(route.Path, nil), guests && slices.Contains(pagesOpenToGuests, route.Path))
		}
	}
	// Here there is no route. With --guests anybody may know that.
	for _, route := range []httpapi.Route{{Method: http.MethodGet, Path: "/"}, {Method: http.MethodGet, Path: "/v1/nothing"}, {Method: http.MethodDelete, Path: "/v1/orders"}} {
		check(route.Method, route.Path, guests)
	}
	if _, text := s.ask(s.keys["operator"], http.MethodGet, "/readyz", ""); !strings.Contains(text, "projections") {
		t.Errorf("an operator reads of the node: %s", text)
	}
}

// Each role may use exactly the routes whose permission it has. testdata/access.txt shows the
// table, and also which methods of the gateway each role may use.
func TestRolesAndRoutes(t *testing.T) {
	t.Parallel()
	g := openPeopled(t)
	s := &g.keyedShop
	_, s.keys[string(access.Guest)] = s.openAsGuest(s.keys["storefront"], `{"currency":"GBP"}`)
	var table strings.Builder
	fmt.Fprintf(&table, "%-24s %-20s %s\n", "operation", "permission", strings.Join(roleNames(), " "))
	ofRoutes := make(map[access.Permission]bool)
	everyRoute(t, func(id, method, path, needs string) {
		if needs == "" {
			return
		}
		ofRoutes[access.Permission(needs)] = true
		fmt.Fprintf(&table, "%-24s %-20s", id, needs)
		for _, role := range roleNames() {
			grants, _ := access.BuiltIn(access.Role(role))
			reach := grants[access.Permission(needs)]
			key := s.keys[role]
			if role == string(access.Customer) {
				key = s.keys["customer alice"]
			}
			if id == "follow-events" && reach != access.None { // it does not end
				s.followWith("Authorization", "Bearer "+key)
			} else {
				status, text := s.ask(key, method, filled(path, nil), "", "Idempotency-Key", "k-"+id)
				refused := status == http.StatusForbidden && strings.Contains(text, "/problems/forbidden")
				if refused != (reach == access.None) || status == http.StatusUnauthorized {
					t.Errorf("%s, %s: %d %s, but its reach is %q", role, id, status, text, reach)
				}
			}
			fmt.Fprintf(&table, " %-*s", len(role), inTable[reach])
		}
		table.WriteString("\n")
	})
	s.addPages(t, &table)
	for _, permission := range access.Permissions() { // needed for a part of a request, or in the gateway
		if ofRoutes[permission] {
			continue
		}
		fmt.Fprintf(&table, "%-24s %-20s", "-", permission)
		for _, role := range roleNames() {
			grants, _ := access.BuiltIn(access.Role(role))
			fmt.Fprintf(&table, " %-*s", len(role), inTable[grants[permission]])
		}
		table.WriteString("\n")
	}
	g.addGatewayMethods(t, &table)

	const file = "testdata/access.txt"
	got := trailing.ReplaceAllString(table.String(), "\n")
	if *updateAccess {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil { //nolint:gosec // a file of tests
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile("../../docs/access.md")
	if err != nil || !strings.Contains(string(page), got) {
		t.Errorf("docs/access.md has another table than %s: %v", file, err)
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("the rights of the roles have changed (go test -run TestRolesAndRoutes -update writes %s): %v\n%s", file, err, got)
	}
}

// addPages adds the routes that are not in the document to the table, such as the pages that show
// it. They all need access.Look.
func (s *keyedShop) addPages(t *testing.T, table *strings.Builder) {
	t.Helper()
	documented := make(map[string]bool)
	everyRoute(t, func(_, method, path, _ string) { documented[method+" "+path] = true })
	routes, err := httpapi.Routes(apiParts()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range routes {
		if documented[route.Method+" "+route.Path] {
			continue
		}
		fmt.Fprintf(table, "%-24s %-20s", route.Path, access.Look)
		for _, role := range roleNames() {
			grants, _ := access.BuiltIn(access.Role(role))
			key := s.keys[role]
			if role == string(access.Customer) {
				key = s.keys["customer alice"]
			}
			if status, text := s.ask(key, route.Method, route.Path, ""); status != http.StatusOK {
				t.Errorf("%s, %s: %d %s", role, route.Path, status, text)
			}
			fmt.Fprintf(table, " %-*s", len(role), inTable[grants[access.Look]])
		}
		table.WriteString("\n")
	}
}

// inTable is how the table shows a reach.
var inTable = map[access.Reach]string{access.None: "-", access.Own: "own", access.All: "all"}

// trailing is blanks at the end of a line.
var trailing = regexp.MustCompile(` +\n`)

func roleNames() (names []string) {
	for _, role := range access.Roles() {
		names = append(names, string(role))
	}
	return names
}

// A customer may not send members that only a trusted program may send. The response names each
// such member.
func TestFieldsOfTrustedProgramsAreRefused(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	alice := s.keys["customer alice"]
	for _, c := range []struct {
		path, body string
		headers    []string
		names      []string
	}{
		{"/v1/carts", `{"currency":"GBP","customer_id":"bob"}`, nil, []string{"#/customer_id"}},
		{"/v1/carts", `{"currency":"GBP","cart_id":"mine"}`, nil, []string{"#/cart_id"}},
		{"/v1/returns", `{"return_id":"mine","order_id":"o","lines":[{"order_line":1,"quantity":1}]}`, nil, []string{"#/return_id"}},
		{"/v1/carts", `{"currency":"GBP"}`, []string{"Daybook-Occurred-At", "2026-01-01T00:00:00Z"}, []string{"Daybook-Occurred-At"}},
		{"/v1/carts", `{"currency":"GBP"}`, []string{"Daybook-Channel", "till"}, []string{"Daybook-Channel"}},
		{"/v1/carts", `{"currency":"GBP"}`, []string{"Daybook-Actor", "operator:eve"}, []string{"Daybook-Actor"}},
		{"/v1/carts/c/checkout", `{"order_id":"mine","payment":{},"confirm":true,"hold_seconds":9,"policy":"line-by-line","sourcing":{"locations":["main"]}}`, []string{"Idempotency-Key", "k"}, []string{"#/order_id", "#/payment", "#/confirm", "#/hold_seconds", "#/policy", "#/sourcing"}},
		{"/v1/returns", `{"currency":"GBP","order_id":"o","lines":[{"order_line":1,"quantity":1,"price":"5"}]}`, nil, []string{"#/lines/0/price"}},
	} {
		status, text := s.ask(alice, http.MethodPost, c.path, c.body, c.headers...)
		if status != http.StatusForbidden || !strings.Contains(text, "field-forbidden") {
			t.Errorf("%s %s: %d %s", c.path, c.body, status, text)
		}
		for _, name := range c.names {
			if !strings.Contains(text, `"`+name+`"`) {
				t.Errorf("%s %s: the response does not name %s: %s", c.path, c.body, name, text)
			}
		}
	}
	operator := s.keys["operator"]
	if status, text := s.ask(operator, http.MethodPost, "/v1/stock/MUG/main/deallocations", `{"order_id":"o","quantity":1,"force":true,"reason":"a"}`, "Idempotency-Key", "k"); status != http.StatusForbidden || !strings.Contains(text, "#/force") {
		t.Errorf("an operator forces stock: %d %s", status, text)
	}
	// Nobody may name another actor, in any request.
	for _, path := range []string{"/v1/orders", "/v1/processes", "/readyz"} {
		if status, text := s.ask(operator, http.MethodGet, path, "", "Daybook-Actor", "operator:eve"); status != http.StatusForbidden && path != "/readyz" || strings.Contains(text, "projections") {
			t.Errorf("an operator reads %s as somebody else: %d %s", path, status, text)
		}
	}
	process := "/v1/processes/1b4e28ba-2fa1-51d2-883f-0016d3cca427/retry"
	if status, text := s.ask(operator, http.MethodPost, process, "", "Daybook-Actor", "operator:eve"); status != http.StatusForbidden || !strings.Contains(text, "Daybook-Actor") {
		t.Errorf("an operator retries a process as somebody else: %d %s", status, text)
	}
	s.must(operator, http.MethodGet, "/v1/orders", "", "Daybook-Actor", "key:"+strings.Split(operator, "_")[1])
	// How many units of a product there are is not part of the catalogue.
	for _, path := range []string{"/v1/products?include=stock", "/v1/products"} {
		if status, text := s.ask(alice, http.MethodGet, path, ""); (status == http.StatusForbidden) != strings.Contains(path, "stock") {
			t.Errorf("a customer reads %s: %d %s", path, status, text)
		}
	}
	s.must(operator, http.MethodGet, "/v1/products?include=stock", "")
	if status, text := s.ask(operator, http.MethodGet, "/v1/orders", "", "Daybook-Act-For", "bob"); status != http.StatusForbidden {
		t.Errorf("an operator acts for a customer: %d %s", status, text)
	}
}

// A live stream ends when its key is revoked or the key's role changes. A revoked key is refused.
func TestALiveStreamEndsWithItsKey(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	admin := s.keys["admin"]
	s.must(admin, http.MethodPut, "/v1/roles/reader", `{"grants":[{"permission":"events.read","reach":"all"},{"permission":"api.look","reach":"all"}]}`)
	for name, end := range map[string]func(id string){
		"revoked by the API":          func(id string) { s.must(admin, http.MethodPost, "/v1/keys/"+id+"/revoke", `{"reason":"lost"}`) },
		"its secret was replaced":     func(id string) { s.must(admin, http.MethodPost, "/v1/keys/"+id+"/rotate", `{}`) },
		"revoked by the command line": func(id string) { s.console("keys", "revoke", id) },
		"its role may less": func(string) {
			s.must(admin, http.MethodPut, "/v1/roles/reader", `{"grants":[{"permission":"api.look","reach":"all"}]}`)
		},
	} {
		s.must(admin, http.MethodPut, "/v1/roles/reader", `{"grants":[{"permission":"events.read","reach":"all"},{"permission":"api.look","reach":"all"}]}`)
		var made struct {
			About struct {
				ID string `json:"key_id"`
			} `json:"key"`
			Key string `json:"api_key"`
		}
		if err := json.Unmarshal([]byte(s.must(admin, http.MethodPost, "/v1/keys", `{"name":"stream","role":"reader"}`)), &made); err != nil {
			t.Fatal(err)
		}
		eventually(t, noticeMax, "the new key is known", func() bool {
			status, _ := s.ask(made.Key, http.MethodGet, "/problems", "")
			return status == http.StatusOK
		})
		ended := s.follow(made.Key)
		end(made.About.ID)
		if text := <-ended; !strings.Contains(text, "has ended, or its rights have changed") { // see whileAllowed
			t.Errorf("%s: the stream ended with %q", name, text)
		}
		if status, _ := s.ask(made.Key, http.MethodGet, "/v1/events", ""); status != http.StatusUnauthorized && status != http.StatusForbidden {
			t.Errorf("%s: then the key gets %d", name, status)
		}
	}
}

// follow opens a live stream and waits until it has begun. The channel gets its text when it ends.
func (s *keyedShop) follow(key string) <-chan string {
	s.t.Helper()
	return s.followWith("Authorization", "Bearer "+key)
}

// followWith is follow with credentials in a header.
func (s *keyedShop) followWith(header, credentials string) <-chan string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), noticeMax+slack)
	s.t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/v1/events/live", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header["Authorization"] = nil // otherwise the admin's key would be sent
	request.Header.Set(header, credentials)
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != http.StatusOK {
		s.t.Fatalf("follow: %v, %v", response, err)
	}
	lines := bufio.NewReader(response.Body)
	if first, err := lines.ReadString('\n'); err != nil {
		s.t.Fatalf("the stream began with %q, %v", first, err)
	}
	ended := make(chan string, 1)
	go func() {
		defer response.Body.Close()
		rest, err := io.ReadAll(lines)
		ended <- fmt.Sprint(string(rest), err)
	}()
	return ended
}

// The first start of a server with a database of its own writes a key for its admin.
func TestTheFirstStartWritesAnAdminsKey(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := &keyedShop{t: t}
	s.running = serve(t, "--data", dir)
	file := dir + "/" + adminKeyFile
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", file, info.Mode(), err)
	}
	if keys := s.must(strings.TrimSpace(string(text)), http.MethodGet, "/v1/keys", ""); !strings.Contains(keys, "first admin") || strings.Contains(keys, "hash") {
		t.Errorf("its keys: %s", keys)
	}
}

// A response that has a secret tells caches not to keep it.
func TestSecretsAreNotStored(t *testing.T) {
	t.Parallel()
	s := serve(t, "--database-url", pgtest.URL(t))
	post := func(path, body string) *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := contract.Client(t).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
	made := post("/v1/keys", `{"name":"a","role":"operator"}`)
	defer made.Body.Close()
	text, err := io.ReadAll(made.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, id, _ := strings.Cut(string(text), `"key_id":"`)
	id, _, _ = strings.Cut(id, `"`)
	rotated := post("/v1/keys/"+id+"/rotate", `{}`)
	rotated.Body.Close()
	ended := post("/v1/keys/"+id+"/revoke", `{}`)
	ended.Body.Close()
	for what, c := range map[string]struct {
		response *http.Response
		want     string
	}{"a new key": {made, "no-store"}, "a new secret": {rotated, "no-store"}, "the end of a key": {ended, "no-cache"}} {
		if got := c.response.Header.Get("Cache-Control"); got != c.want || c.response.StatusCode/100 != 2 {
			t.Errorf("%s: %s, Cache-Control %q", what, c.response.Status, got)
		}
	}
}

// A key that is rotated keeps its old secret for the overlap only.
func TestARotatedKey(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	admin := s.keys["admin"]
	old := s.keys["auditor"]
	id := strings.Split(old, "_")[1]
	rotate := func(body string) string {
		var made struct {
			Key string `json:"api_key"`
		}
		if err := json.Unmarshal([]byte(s.must(admin, http.MethodPost, "/v1/keys/"+id+"/rotate", body)), &made); err != nil {
			t.Fatal(err)
		}
		eventually(t, noticeMax, "the new secret is good", func() bool {
			status, _ := s.ask(made.Key, http.MethodGet, "/v1/keys", "")
			return status == http.StatusOK
		})
		return made.Key
	}
	next := rotate(`{"overlap_seconds":3600}`)
	s.must(old, http.MethodGet, "/v1/keys", "")
	rotate(`{}`)
	for _, ended := range []string{old, next} {
		if status, _ := s.ask(ended, http.MethodGet, "/v1/keys", ""); status != http.StatusUnauthorized {
			t.Errorf("an old secret gets %d", status)
		}
	}
}
