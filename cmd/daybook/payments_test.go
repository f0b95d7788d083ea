package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/internal/simulatedprovider"
)

const providerSecret = "a secret of the tests"

// secretFile is a file with the secret that the shop and the provider share.
func secretFile(t *testing.T, secret string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// payer sends requests to a simulated provider, as the browser of a customer does.
func payer(t *testing.T, address, path, key, body string) {
	t.Helper()
	eventually(t, patience, "the provider carries out "+path, func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+simulatedprovider.APIKey(providerSecret))
		request.Header.Set(simulatedprovider.HeaderKey, key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// A customer pays at the provider, and the order is paid. The order is canceled, and the provider
// gives the money back, once, although it has bad days and its messages come late, twice and in any
// order.
func TestAProviderMovesTheMoney(t *testing.T) {
	t.Parallel()
	var shop atomic.Pointer[url.URL]
	var lost atomic.Bool // the answer to the first refund
	relay := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		if to := shop.Load(); to != nil {
			r.SetURL(to)
		}
	}})
	t.Cleanup(relay.Close)
	days := simulatedprovider.BadDays(5, 0.4, 20*time.Millisecond)
	provider := simulatedprovider.New(simulatedprovider.Options{
		Secret: providerSecret, Webhooks: relay.URL + "/v1/payments/webhooks/simulated", Retry: 20 * time.Millisecond,
		Copies: simulatedprovider.Shuffled(5, 50*time.Millisecond),
		Faults: func(operation string) simulatedprovider.Fault {
			fault := days(operation)
			if operation == simulatedprovider.OpRefund && !lost.Swap(true) {
				return simulatedprovider.Fault{Lose: simulatedprovider.LostBad}
			}
			if operation == simulatedprovider.OpCreate {
				fault.Decline = ""
			}
			if fault.Lose == simulatedprovider.LostLate {
				fault.Lose = simulatedprovider.LostLine // the same for the shop, and quicker
			}
			if fault.Decline != "" && operation == simulatedprovider.OpRefund {
				fault.Decline, fault.Pending = "", time.Millisecond // it succeeds later
			}
			return fault
		},
	})
	served, err := serveProvider(t.Context(), "--listen", "127.0.0.1:0", provider)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(served.close)
	s := &scopedShop{keyedShop: openKeyed(t, "--payments", "simulated", "--payments-url", served.url, "--payments-secret-file", secretFile(t, providerSecret))}
	to, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	shop.Store(to)
	manager := s.keys["manager"]
	s.must(manager, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked","prices":[{"amount":"2.50","currency":"GBP"}]}`)
	s.must(manager, http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":99}`, "Idempotency-Key", "r")
	const orders = 5
	for i := range orders {
		s.must(manager, http.MethodPost, "/v1/carts", fmt.Sprintf(`{"cart_id":"c%d","currency":"GBP","lines":[{"sku":"MUG","quantity":2}]}`, i))
		s.must(manager, http.MethodPost, fmt.Sprintf("/v1/carts/c%d/checkout", i), fmt.Sprintf(`{"order_id":"o%d"}`, i), "Idempotency-Key", fmt.Sprint("c", i))
		payer(t, served.url, "/v1/payment_intents", fmt.Sprint("pay ", i), fmt.Sprintf(`{"amount":500,"currency":"gbp","confirm":true,"metadata":{"order_id":"o%d"}}`, i))
	}
	state := func(i int) (payment, text string) {
		_, text = s.ask(manager, http.MethodGet, fmt.Sprintf("/v1/orders/o%d", i), "")
		var order struct {
			PaymentState string `json:"payment_state"`
		}
		if err := json.Unmarshal([]byte(text), &order); err != nil {
			t.Fatal(err)
		}
		return order.PaymentState, text
	}
	for i := range orders {
		eventually(t, patience, "an order is paid", func() bool { payment, _ := state(i); return payment == "paid" })
		s.must(manager, http.MethodPost, fmt.Sprintf("/v1/orders/o%d/cancel", i), `{"reason":"no"}`, "Idempotency-Key", fmt.Sprint("x", i))
	}
	for i := range orders {
		eventually(t, patience, "the money of an order is back", func() bool { payment, _ := state(i); return payment == "refunded" })
	}
	eventually(t, patience, "all messages are accepted", provider.Idle)
	for _, payment := range provider.Payments() {
		refunded, times := int64(0), 0
		for _, transaction := range payment.Transactions {
			if transaction.Kind == "refund" {
				refunded, times = refunded+transaction.Amount, times+1
			}
		}
		if refunded != 500 || times != 1 {
			t.Errorf("payment %s was refunded %d in %d refunds", payment.ID, refunded, times)
		}
	}
	for i := range orders {
		if _, text := state(i); strings.Count(text, `"type":"refund"`) != 1 || strings.Count(text, `"type":"capture"`) != 1 {
			t.Errorf("order %d is %s", i, text)
		}
	}
	if count := provider.Counts(); count.Lost == 0 {
		t.Errorf("the provider had only good days: %+v", count)
	}
}

// The provider serves until it is told to stop.
func TestTheSimulatedProviderServes(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, ended := new(logBuffer), make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"simulated-provider", "--json", "--listen", "127.0.0.1:0", "--faults", "0", "--slow", "0", "--secret-file", secretFile(t, providerSecret)},
			environment{stdout: out, stderr: new(logBuffer), getenv: func(string) string { return "" }, now: time.Now})
	}()
	var announced providerReady
	eventually(t, patience, "the provider says where it is", func() bool { return json.Unmarshal([]byte(out.String()), &announced) == nil && announced.URL != "" })
	payer(t, announced.URL, "/v1/payment_intents", "k", `{"amount":500,"currency":"gbp","confirm":true}`)
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("it ended with %d", code)
	}
}

func TestFlagsOfTheProvider(t *testing.T) {
	t.Parallel()
	good, short := secretFile(t, providerSecret), secretFile(t, "short")
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"another provider":         {[]string{"serve", "--payments", "stripe"}, `--payments "stripe": want simulated`},
		"no address":               {[]string{"serve", "--payments", "simulated", "--payments-secret-file", good}, "--payments needs --payments-url and --payments-secret-file"},
		"no secret":                {[]string{"serve", "--payments", "simulated", "--payments-url", "http://127.0.0.1:9"}, "--payments needs --payments-url and --payments-secret-file"},
		"an address without it":    {[]string{"serve", "--payments-url", "http://127.0.0.1:9"}, "--payments-url does nothing without --payments"},
		"a secret without it":      {[]string{"serve", "--payments-secret-file", good}, "--payments-secret-file does nothing without --payments"},
		"another machine":          {[]string{"serve", "--payments", "simulated", "--payments-url", "http://bank.example", "--payments-secret-file", good}, "begins with https://"},
		"a short secret":           {[]string{"serve", "--payments", "simulated", "--payments-url", "http://127.0.0.1:9", "--payments-secret-file", short}, "at least 16 characters"},
		"no file":                  {[]string{"serve", "--payments", "simulated", "--payments-url", "http://127.0.0.1:9", "--payments-secret-file", good + "x"}, "no such file"},
		"provider: no secret":      {[]string{"simulated-provider"}, "missing flags: --secret-file=FILE"},
		"provider: short secret":   {[]string{"simulated-provider", "--secret-file", short}, "at least 16 characters"},
		"provider: other machines": {[]string{"simulated-provider", "--secret-file", good, "--listen", "0.0.0.0:8090"}, "the provider is for tests and has no TLS"},
		"provider: webhooks":       {[]string{"simulated-provider", "--secret-file", good, "--webhooks", "shop.example"}, "--webhooks"},
		"provider: faults":         {[]string{"simulated-provider", "--secret-file", good, "--faults", "1.5"}, "--faults must be 0 to 1"},
		"provider: not a number":   {[]string{"simulated-provider", "--secret-file", good, "--faults", "NaN"}, "--faults must be 0 to 1"},
		"provider: slow":           {[]string{"simulated-provider", "--secret-file", good, "--slow", "2h"}, "--slow must be 0 to 1m0s"},
		"provider: seed":           {[]string{"simulated-provider", "--secret-file", good, "--seed=-1"}, "--seed must be 0 or more"},
	} {
		said := new(logBuffer)
		code := run(t.Context(), test.args, environment{stdout: new(logBuffer), stderr: said, getenv: func(string) string { return "" }, now: time.Now})
		if code != exitUsage || !strings.Contains(said.String(), test.want) {
			t.Errorf("%s: exit %d, %s, want %q", name, code, said, test.want)
		}
	}
}
