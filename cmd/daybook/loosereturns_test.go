package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/internal/pgtest"
	"daybook/internal/problem"
)

// A customer, a guest and a storefront that acts for a customer cannot ask for a return of no
// order. The missing order is the only fault that the response names. Staff may ask for such a
// return with the same request.
func TestOnlyStaffSendBackWhatIsOfNoOrder(t *testing.T) {
	t.Parallel()
	s := &keyedShop{t: t, database: pgtest.URL(t)}
	operator, storefront := s.makeKey("--role", "operator"), s.makeKey("--role", "storefront")
	alice := s.makeKey("--role", "customer", "--customer", "alice")
	s.running = serve(t, "--guests", "--database-url", s.database)
	_, guest := s.openAsGuest("", `{"currency":"GBP"}`, "Idempotency-Key", "open")
	const (
		priced  = `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1,"price":"2.00"}]}`
		noPrice = `{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}` // customers may not name a price
	)
	for name, c := range map[string]struct {
		key, body string
		headers   []string
	}{
		"a customer":                  {key: alice, body: noPrice},
		"a guest":                     {key: guest, body: noPrice},
		"a storefront for a customer": {key: storefront, body: priced, headers: []string{"Daybook-Act-For", "alice"}},
	} {
		status, text := s.ask(c.key, http.MethodPost, "/v1/returns", c.body, c.headers...)
		var refused problem.Document
		if err := json.Unmarshal([]byte(text), &refused); err != nil {
			t.Fatalf("%s: %v %s", name, err, text)
		}
		want := problem.InBody("/order_id", "required, because only what was bought here can be sent back")
		if status != http.StatusUnprocessableEntity || refused.Type != "/problems/"+problem.CodeInvalid || len(refused.Errors) != 1 || refused.Errors[0] != want {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	if text := s.must(operator, http.MethodPost, "/v1/returns", priced); !strings.Contains(text, `"return_id"`) {
		t.Errorf("an operator: %s", text)
	}
	if status, text := s.ask(operator, http.MethodPost, "/v1/returns", noPrice); status != http.StatusUnprocessableEntity || strings.Contains(text, "order_id\"") {
		t.Errorf("an operator names no price: %d %s", status, text)
	}
}
