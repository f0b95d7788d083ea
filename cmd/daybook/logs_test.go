package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"daybook/commands"
	"daybook/commands/streams"
	"daybook/domain/access"
	"daybook/internal/pgtest"
	"daybook/internal/problem"
	"daybook/internal/telemetry"
)

// Everything personal in this test has the word quentin in it.
const (
	personName     = "Quentin Zeb"
	personEmail    = "quentin@zeb.example"
	personCustomer = "quentin-17"
)

// openLogged starts a server that sends traces, and whose log has all levels. It returns the log.
func openLogged(t *testing.T) (*keyedShop, *logBuffer) {
	t.Helper()
	traces, err := telemetry.NewTraces(t.Context(), "test", sdktrace.WithSyncer(tracetest.NewInMemoryExporter()))
	if err != nil {
		t.Fatal(err)
	}
	lines := &logBuffer{}
	shop := &keyedShop{t: t, database: pgtest.URL(t), keys: map[string]string{}}
	for _, role := range []access.Role{access.Admin, access.Manager, access.Storefront} {
		shop.keys[string(role)] = shop.makeKey("--role", string(role))
	}
	shop.keys["customer"] = shop.makeKey("--role", "customer", "--customer", personCustomer)
	p := &program{
		options: options{DatabaseURL: shop.database, Store: storePostgres}, environment: testEnvironment(nil, nil, io.Discard, io.Discard),
		log: traces.WithTraceIDs(slog.New(slog.NewJSONHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug}))),
	}
	cfg := p.nodeConfig(commands.DefaultPolicy())
	cfg.Telemetry, cfg.Web.Guests = &telemetry.Telemetry{Traces: traces, Own: streams.Wrote}, true
	server, err := p.openServer(t.Context(), "127.0.0.1:0", gatewayConfig{}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	shop.url = server.url
	return shop, lines
}

// Whatever a person or a customer does, and at every route with every kind of credentials, the log
// names nobody and has no secret, at any level. Each line about a request has the ids of its trace.
func TestTheLogNamesNobodyAndHasNoSecret(t *testing.T) {
	t.Parallel()
	s, log := openLogged(t)
	secrets := map[string]string{"the password": goodPassword}
	for role, key := range s.keys {
		secrets["the key of "+role] = key[strings.LastIndex(key, "_")+1:]
	}
	s.personWorks(secrets)
	s.customerBuys(secrets)
	s.everyRouteWithNames(secrets)

	text := log.String()
	for line := range strings.Lines(text) {
		if strings.Contains(strings.ToLower(line), "quentin") {
			t.Errorf("the log names somebody: %s", line)
		}
	}
	for name, secret := range secrets {
		if len(secret) < 6 {
			t.Errorf("%s was not learned: %q", name, secret)
		}
		if strings.Contains(text, secret) {
			t.Errorf("the log has %s", name)
		}
	}
	requests, levels := 0, map[string]int{}
	for line := range strings.Lines(text) {
		var said struct {
			Level, Msg, Path string
			Request          string `json:"request_id"`
			Trace            string `json:"trace_id"`
			Span             string `json:"span_id"`
		}
		if err := json.Unmarshal([]byte(line), &said, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if said.Request == "" {
			continue
		}
		requests++
		levels[said.Level]++
		if len(said.Trace) != 32 || len(said.Span) != 16 {
			t.Errorf("a line without its trace: %s", line)
		}
	}
	if requests < 300 || levels["DEBUG"] == 0 || levels["WARN"] == 0 {
		t.Errorf("only %d lines about requests: %v", requests, levels)
	}
}

// personWorks invites a person, who signs in, makes mistakes and signs out.
func (s *keyedShop) personWorks(secrets map[string]string) {
	t := s.t
	t.Helper()
	invitation := fmt.Sprintf(`{"email":%q,"name":%q,"role":"manager"}`, personEmail, personName)
	invited := s.must(s.keys["admin"], http.MethodPost, "/v1/staff", invitation)
	secrets["the token"] = member(t, invited, "token")
	s.ask(s.keys["admin"], http.MethodPost, "/v1/staff", invitation) // the address is taken
	s.redeem(secrets["the token"])
	s.plain(http.MethodPost, "/v1/auth/token", fmt.Sprintf(`{"token":%q,"password":%q}`, secrets["the token"], goodPassword))
	secrets["a step's token"] = member(t, s.signIn(personEmail, goodPassword).text, "step_token")
	app := s.setUpFactor(personEmail)
	secrets["the secret of the app"], secrets["a recovery code"], secrets["the session"] = app.secret, app.recovery[0], app.session
	secrets["a wrong password"] = "wrong-" + goodPassword
	s.signIn(personEmail, secrets["a wrong password"])
	s.signIn("quentin@nowhere.example", goodPassword)
	s.signIn(personName, goodPassword)
	for _, path := range []string{"/v1/auth/me", "/v1/auth/sessions", "/v1/staff", "/v1/staff?q=quentin&email=" + personEmail, "/v1/orders/none"} {
		s.as(app.session, http.MethodGet, path, "")
	}
	s.as(app.session, http.MethodPost, "/v1/auth/sign-out", "")
	s.as(app.session, http.MethodGet, "/v1/auth/me", "")
	s.plain(http.MethodGet, "/v1/auth/me", "", "Cookie", problem.SessionCookie+"="+app.session+"x")
	s.plain(http.MethodGet, "/v1/auth/me", "", "Authorization", "Basic cXVlbnRpbjpxdWVudGlu")
	// Names and secrets in the wrong place.
	id := member(t, invited, "person", "person_id")
	for _, path := range []string{
		"/v1/staff/" + personEmail, "/v1/staff/quentin%40zeb.example/token", "/v1/" + personEmail + "/orders", "/" + s.keys["admin"], "/v1/keys/" + app.session,
		"/v1/keys?api_key=" + s.keys["admin"], "/v1/customers/" + personCustomer, "/v1/customers/" + personEmail + "/orders", "/v1/staff/" + id,
	} {
		s.ask(s.keys["admin"], http.MethodGet, path, "")
		s.ask(s.keys["admin"], http.MethodPost, path, `{"name":"Quentin"`)
		s.plain(http.MethodGet, path, "")
	}
	s.ask(s.keys["admin"], http.MethodGet, "/v1/orders", "", "X-Request-Id", personEmail, "User-Agent", personName, "Referer", "https://shop.example/"+personEmail, "Daybook-Actor", personEmail)
}

// customerBuys lets a customer and a guest buy.
func (s *keyedShop) customerBuys(secrets map[string]string) {
	s.t.Helper()
	manager, customer := s.keys["manager"], s.keys["customer"]
	s.must(manager, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	s.must(manager, http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":1}`, "Idempotency-Key", "r")
	const filled = `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`
	for n, buyer := range []struct {
		key  string
		head []string
	}{{customer, nil}, {s.keys["storefront"], []string{"Daybook-Act-For", personCustomer}}} { // the second cart gets no stock
		once := func(what string) []string {
			return append([]string{"Idempotency-Key", fmt.Sprint(what, n)}, buyer.head...)
		}
		cart := member(s.t, s.must(buyer.key, http.MethodPost, "/v1/carts", filled, once("open")...), "cart_id")
		s.ask(buyer.key, http.MethodPost, "/v1/carts/"+cart+"/checkout", `{}`, once("buy")...)
	}
	cart, token := s.openAsGuest("", filled)
	secrets["a guest's token"] = token[len(token)-64:]
	s.ask(token, http.MethodGet, "/v1/carts/"+cart, "")
	s.ask(token[:len(token)-1]+"x", http.MethodGet, "/v1/carts/"+cart, "")
	s.ask(token, http.MethodGet, "/v1/carts/another", "")
	s.ask(customer, http.MethodGet, "/v1/customers/quentin-18/orders", "")
}

// everyRouteWithNames asks every route about a customer and a person, with good and with wrong
// credentials. Names and secrets are in the path, in the query, in the body and in headers.
func (s *keyedShop) everyRouteWithNames(secrets map[string]string) {
	wrong := strings.Repeat("5e", 32)
	secrets["a wrong key"] = wrong
	named := map[string]any{
		"email": personEmail, "name": personName, "customer_id": personCustomer, "password": secrets["a wrong password"], "token": secrets["the token"], "note": personName,
		"step_token": secrets["a step's token"], "code": secrets["a recovery code"], "actor": personEmail, "reason": "Quentin asked for it",
	}
	for _, r := range walkedRoutes(s.t) {
		if r.id == "follow-events" { // it does not end
			continue
		}
		body := ""
		if r.content != "" {
			whole := maps.Clone(r.body)
			if whole == nil {
				whole = map[string]any{}
			}
			maps.Copy(whole, named)
			text, err := json.Marshal(whole)
			if err != nil {
				s.t.Fatal(err)
			}
			body = string(text)
		}
		path := filled(r.path, map[string]string{"customer_id": personCustomer, "person_id": personEmail})
		query := []string{"email=" + personEmail, "customer_id=" + personCustomer}
		for _, name := range r.query {
			query = append(query, name+"=quentin")
		}
		for n, key := range []string{s.keys["admin"], s.keys["customer"], "dbk_quentin1_" + wrong, "quentin:" + wrong} {
			s.ask(key, r.method, path, body, "Content-Type", r.content, "Idempotency-Key", fmt.Sprint(r.id, n))
			s.ask(key, r.method, path+"?"+strings.Join(query, "&"), body, "Content-Type", r.content, "Idempotency-Key", fmt.Sprint(r.id, n, "q"), "Daybook-Act-For", personCustomer)
		}
	}
	if len(slices.Collect(maps.Keys(secrets))) < 10 {
		s.t.Errorf("only %d secrets", len(secrets))
	}
}
