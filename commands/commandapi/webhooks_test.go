package commandapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"daybook/commands/payments"
	"daybook/commands/payments/simulated"
	"daybook/internal/simulatedprovider"
)

// A message is believed only if the provider has signed it. One for an order that is not there yet
// is refused, so that it comes again. What has no consequence is accepted.
func TestAMessageOfAProvider(t *testing.T) {
	t.Parallel()
	s := open(t)
	const secret, route = "a secret of the tests", "/v1/payments/webhooks/simulated"
	client, err := simulated.New("http://127.0.0.1:9", secret)
	if err != nil {
		t.Fatal(err)
	}
	if s.service.Payments, err = payments.NewProviders(map[string]payments.Provider{simulated.Name: client}); err != nil {
		t.Fatal(err)
	}
	s.sell("MUG", 9)
	s.must("POST", "/v1/carts", `{"cart_id":"c1","currency":"GBP","lines":[{"sku":"MUG","quantity":2}]}`)
	s.must("POST", "/v1/carts/c1/checkout", `{"order_id":"o1"}`, "Idempotency-Key", "c")
	event := func(order, amount string) string {
		return `{"id":"evt_1","data":{"object":{"id":"pi_1","object":"payment_intent","currency":"gbp","metadata":{"order_id":"` + order + `"},"more":{"of":["its",{"own":1.5}]},` +
			`"transactions":[{"id":"ca_1","type":"capture","status":"succeeded","amount":` + amount + `}]}}}`
	}
	for name, test := range map[string]struct {
		route, body, secret string
		status              int
		code                string
	}{
		"not signed":           {route, event("o1", "500"), "another secret of the tests", http.StatusForbidden, "webhook-forged"},
		"of another provider":  {"/v1/payments/webhooks/stripe", event("o1", "500"), secret, http.StatusNotFound, "webhook-provider-unknown"},
		"of a person":          {"/v1/payments/webhooks/manual", event("o1", "500"), secret, http.StatusNotFound, "webhook-provider-unknown"},
		"about another order":  {route, event("o9", "500"), secret, http.StatusNotFound, "order-not-found"},
		"about no order":       {route, event("", "500"), secret, http.StatusNotFound, "order-not-found"},
		"in other words":       {route, event("o1", `"five"`), secret, http.StatusUnprocessableEntity, "webhook-unreadable"},
		"not JSON":             {route, `five`, secret, http.StatusUnprocessableEntity, "webhook-unreadable"},
		"empty":                {route, ``, secret, http.StatusBadRequest, "request-malformed"},
		"of nothing that pays": {route, `{"id":"evt_2","data":{"object":{"object":"payout"}}}`, secret, http.StatusOK, ""},
	} {
		answer := s.ask("POST", test.route, test.body, simulated.SignatureHeader, simulatedprovider.Sign(test.secret, []byte(test.body), time.Now()))
		if answer.status != test.status || test.code != "" && !strings.Contains(answer.text, "/problems/"+test.code) {
			t.Errorf("%s: %d %s, want %d %s", name, answer.status, answer.text, test.status, test.code)
		}
	}
	old := simulatedprovider.Sign(secret, []byte(event("o1", "500")), time.Now().Add(-time.Hour))
	if answer := s.ask("POST", route, event("o1", "500"), simulated.SignatureHeader, old); answer.status != http.StatusForbidden {
		t.Errorf("with an old signature: %d %s", answer.status, answer.text)
	}
	for range 3 {
		body := event("o1", "500")
		answer := s.ask("POST", route, body, simulated.SignatureHeader, simulatedprovider.Sign(secret, []byte(body), time.Now()))
		if answer.status != http.StatusOK || !strings.Contains(answer.text, `"received":true`) {
			t.Fatalf("a good message: %d %s", answer.status, answer.text)
		}
	}
	confirmed := s.must("POST", "/v1/orders/o1/confirm", "")
	if strings.Count(confirmed.text, `"reference":"ca_1"`) != 1 || !strings.Contains(confirmed.text, `"payment_state":"paid"`) {
		t.Errorf("the order is %s", confirmed.text)
	}
	large := event("o1", "500"+strings.Repeat(" ", 70_000))
	if answer := s.ask("POST", route, large, simulated.SignatureHeader, simulatedprovider.Sign(secret, []byte(large), time.Now())); answer.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large message: %d", answer.status)
	}
}
