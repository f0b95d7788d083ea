package commandapi_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"daybook/commands"
	"daybook/internal/problem"
)

func TestARepeatedRequestGetsItsFirstAnswer(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 0)
	name, value := key()
	first := s.must("POST", "/v1/stock/MUG/main/receipts", `{"quantity":5}`, name, value)
	again := s.must("POST", "/v1/stock/MUG/main/receipts", `{"quantity":5}`, name, value)
	if again.text != first.text || again.status != first.status {
		t.Errorf("again %d %s, first %d %s", again.status, again.text, first.status, first.text)
	}
	for _, header := range []string{"ETag", "Daybook-Position", "Content-Type"} {
		if got, want := again.header.Get(header), first.header.Get(header); got != want {
			t.Errorf("%s %q, want %q", header, got, want)
		}
	}
	if first.header.Get("Idempotency-Replayed") != "" || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("replayed: first %q, again %q", first.header.Get("Idempotency-Replayed"), again.header.Get("Idempotency-Replayed"))
	}
	other := s.ask("POST", "/v1/stock/MUG/main/receipts", `{"quantity":6}`, name, value)
	other.problem(t, 422, problem.CodeKeyReused)
	elsewhere := s.ask("POST", "/v1/stock/MUG/shop/receipts", `{"quantity":5}`, name, value)
	elsewhere.problem(t, 422, problem.CodeKeyReused)

	mine := s.must("POST", "/v1/stock/MUG/main/receipts", `{"quantity":5}`, name, value, "Daybook-Actor", "operator:ann")
	if mine.at("on_hand") != 10.0 {
		t.Errorf("another caller's key: %s, want it to count as another key", mine.text)
	}
}

// A refusal is not kept under its key, whatever its status is. The same request is decided again,
// and a corrected request may use the key.
func TestARefusalIsDecidedAgainUnderItsKey(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status          int
		path, body      string
		mend            func(s *shop) // makes the same request possible; nil if only another body is possible
		corrected       string
		contentType     string
		headers, wanted []string
	}{
		"a shortage": {
			status: 409, path: "/v1/stock/CUP/main/reservations", body: `{"order_id":"o1","quantity":4,"hold_seconds":60}`,
			mend:      func(s *shop) { s.receive("CUP", 5) },
			corrected: `{"order_id":"o1","quantity":1,"hold_seconds":60}`,
		},
		"a shortage at a checkout": {
			status: 409, path: "/v1/carts/c1/checkout", body: `{}`,
			mend:      func(s *shop) { s.receive("MUG", 5) },
			corrected: `{"policy":"line-by-line"}`,
		},
		"an unknown order":        {status: 404, path: "/v1/orders/none/cancel", body: `{"reason":"x"}`},
		"a body that is not JSON": {status: 400, path: "/v1/stock/MUG/main/receipts", body: `{`, corrected: `{"quantity":1}`},
		"a quantity of 0":         {status: 422, path: "/v1/stock/MUG/main/receipts", body: `{"quantity":0}`, corrected: `{"quantity":1}`},
		"a media type":            {status: 415, path: "/v1/stock/MUG/main/receipts", body: `{"quantity":1}`, contentType: "text/plain", corrected: `{"quantity":1}`},
		"a stale If-Match":        {status: 412, path: "/v1/stock/MUG/main/receipts", body: `{"quantity":1}`, headers: []string{"If-Match", `"9"`}, corrected: `{"quantity":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			try := func(s *shop, value string) {
				t.Helper()
				headers := append([]string{"Idempotency-Key", value}, test.headers...)
				if test.contentType != "" {
					headers = append(headers, "Content-Type", test.contentType)
				}
				for range 2 {
					if got := s.ask("POST", test.path, test.body, headers...); got.status != test.status || got.header.Get("Idempotency-Replayed") != "" {
						t.Fatalf("answer %d %s, want status %d, decided again", got.status, got.text, test.status)
					}
				}
				if n := s.answers.count(value); n != 0 {
					t.Errorf("%d answers are kept under the key of a refusal", n)
				}
			}
			fresh := func() *shop {
				s := open(t)
				s.sell("MUG", 0)
				s.sell("CUP", 2)
				s.must("POST", "/v1/carts", `{"cart_id":"c1","currency":"GBP","lines":[{"sku":"MUG","quantity":3},{"sku":"CUP","quantity":1}]}`)
				return s
			}
			_, value := key()
			if test.mend != nil {
				s := fresh()
				try(s, value)
				test.mend(s)
				s.must("POST", test.path, test.body, "Idempotency-Key", value)
			}
			s := fresh()
			try(s, value)
			if test.corrected != "" {
				s.must("POST", test.path, test.corrected, "Idempotency-Key", value)
			}
		})
	}
}

// If a request was allowed but changed nothing, its answer is not kept either.
func TestOnlyWhatChangedSomethingIsKeptUnderItsKey(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 5)
	_, first := key()
	s.must("PUT", "/v1/stock/MUG/main/policy", `{"safety_stock":1,"backorder_limit":0,"reorder_point":0}`, "Idempotency-Key", first)
	_, again := key()
	s.must("PUT", "/v1/stock/MUG/main/policy", `{"safety_stock":1,"backorder_limit":0,"reorder_point":0}`, "Idempotency-Key", again)
	if s.answers.count(first) != 1 || s.answers.count(again) != 0 {
		t.Errorf("kept: %d of the change, %d of the request that changed nothing; want 1 and 0", s.answers.count(first), s.answers.count(again))
	}
}

// Earlier versions kept refusals, too, and their hash covered less of a request.
func TestAnswersOfEarlierVersions(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 0)
	s.answers.Keep(commands.KeptAnswer{Scope: "anonymous", Key: "old-refusal", RequestHash: []byte("other"), Status: 409, Body: []byte(`{"old":true}`)})
	got := s.must("POST", "/v1/stock/MUG/main/receipts", `{"quantity":2}`, "Idempotency-Key", "old-refusal")
	if got.at("on_hand") != 2.0 {
		t.Errorf("answer %s, want the request decided again, and not the refusal that an older version kept", got.text)
	}
	body := `{"quantity":5}`
	hash := sha256.Sum256([]byte("POST\x00/v1/stock/MUG/main/receipts\x00\x00\x00" + body))
	kept := strings.Replace(got.text, `"on_hand":2`, `"on_hand":999`, 1)
	s.answers.Keep(commands.KeptAnswer{
		Scope: "anonymous", Key: "old-receipt", RequestHash: hash[:], Status: 200,
		Headers: map[string]string{"Content-Type": "application/json", "Daybook-Position": got.header.Get("Daybook-Position")}, Body: []byte(kept),
	})
	if got := s.must("POST", "/v1/stock/MUG/main/receipts", body, "Idempotency-Key", "old-receipt"); got.at("on_hand") != 999.0 {
		t.Errorf("answer %s, want the one kept before", got.text)
	}
	s.ask("POST", "/v1/stock/MUG/main/receipts", `{"quantity":6}`, "Idempotency-Key", "old-receipt").problem(t, 422, problem.CodeKeyReused)
}

// A request is more than its path and its body, so a key also covers the query and some headers.
func TestAKeyTellsRequestsApartByAllTheySay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		path    string
		headers []string
		same    bool
	}{
		"the same":                   {path: "?reason=sold+out", same: true},
		"the query in other escapes": {path: "?reason=sold%20out", same: true},
		"a charset":                  {path: "?reason=sold+out", headers: []string{"Content-Type", "Application/JSON; charset=utf-8"}, same: true},
		"another query":              {path: "?reason=broken"},
		"no query":                   {path: ""},
		"another media type":         {path: "?reason=sold+out", headers: []string{"Content-Type", "application/problem+json"}},
		"another belief":             {path: "?reason=sold+out", headers: []string{"If-Match", `"0"`}},
		"another effective time":     {path: "?reason=sold+out", headers: []string{"Daybook-Occurred-At", "2020-01-01T00:00:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.sell("MUG", 0)
			s.must("DELETE", "/v1/products/MUG?reason=sold+out", "{}", "Idempotency-Key", "k")
			got := s.ask("DELETE", "/v1/products/MUG"+test.path, "{}", append([]string{"Idempotency-Key", "k"}, test.headers...)...)
			if !test.same {
				got.problem(t, 422, problem.CodeKeyReused)
			} else if got.status != 200 || got.header.Get("Idempotency-Replayed") != "true" {
				t.Errorf("answer %d %s, want the first again", got.status, got.text)
			}
		})
	}
}

// A checkout has placed its order even if the payment was refused. The same request continues with
// that order, and a corrected payment is accepted.
func TestACheckoutPartlyDoneCarriesOn(t *testing.T) {
	t.Parallel()
	const wrong = `{"payment":{"amount":{"amount":"1.00","currency":"EUR"}},"confirm":true}`
	s := open(t)
	s.sell("MUG", 10)
	id := s.cart("MUG", 2)
	_, value := key()
	var orders []any
	for range 2 {
		got := s.ask("POST", "/v1/carts/"+id+"/checkout", wrong, "Idempotency-Key", value)
		got.problem(t, 409, "currency-differs")
		orders = append(orders, got.at("order_id"))
	}
	if orders[0] == nil || orders[0] != orders[1] {
		t.Fatalf("orders %v, want the same one twice", orders)
	}
	_, corrected := key()
	got := s.must("POST", "/v1/carts/"+id+"/checkout", fmt.Sprintf(`{"order_id":%q,"payment":{},"confirm":true}`, orders[0]), "Idempotency-Key", corrected)
	if got.at("order", "order_id") != orders[0] || got.at("order", "payment_state") != "paid" || got.at("order", "status") != "confirmed" {
		t.Errorf("answer %s, want order %v paid and confirmed", got.text, orders[0])
	}
	if n := s.answers.count(corrected); n != 1 {
		t.Errorf("%d answers kept of the request that paid", n)
	}
}

// An order id of the caller can be used for one checkout only. After a refusal, the id is spent.
// The answer then says nothing about the cart, which may have changed.
func TestASpentOrderIDSaysSo(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 5)
	id := s.cart("MUG", 99)
	_, first := key()
	s.ask("POST", "/v1/carts/"+id+"/checkout", `{"order_id":"o-1"}`, "Idempotency-Key", first).problem(t, 409, "stock-insufficient")
	s.must("PATCH", "/v1/carts/"+id+"/lines/1", `{"quantity":1}`)
	_, second := key()
	for _, value := range []string{first, second} {
		got := s.ask("POST", "/v1/carts/"+id+"/checkout", `{"order_id":"o-1"}`, "Idempotency-Key", value)
		got.problem(t, 409, "order-id-spent")
		if got.at("order_id") != "o-1" || got.at("requested") != nil {
			t.Errorf("answer %s, want it to name the order id and no shortage of now", got.text)
		}
		if got.at("shortages", 0, "sku") != "MUG" || got.at("shortages", 0, "requested") != 99.0 || got.at("shortages", 0, "available") != 5.0 {
			t.Errorf("answer %s, want the shortage of the refusal", got.text)
		}
	}
	got := s.must("POST", "/v1/carts/"+id+"/checkout", `{"order_id":"o-2"}`, "Idempotency-Key", first)
	if got.at("order", "order_id") != "o-2" {
		t.Errorf("answer %s, want order o-2, under the key of the refusal", got.text)
	}
}

// After each refusal the server makes a new order id, even on a node that has none of the answers.
// After the order is placed, its id stays the same.
func TestAKeyCanSucceedAfterAnyNumberOfRefusals(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 0)
	id := s.cart("MUG", 3)
	_, value := key()
	for range 5 {
		s.ask("POST", "/v1/carts/"+id+"/checkout", `{"confirm":true}`, "Idempotency-Key", value).problem(t, 409, "stock-insufficient")
		s = s.start()
	}
	s.receive("MUG", 3)
	placed := s.must("POST", "/v1/carts/"+id+"/checkout", `{"confirm":true}`, "Idempotency-Key", value)
	s.answers.lose()
	again := s.start().must("POST", "/v1/carts/"+id+"/checkout", `{"confirm":true}`, "Idempotency-Key", value)
	if again.at("order", "order_id") != placed.at("order", "order_id") || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again %s, first %s", again.text, placed.text)
	}
	if stock := s.stock("MUG"); stock.Allocated() != 3 || stock.OnHand() != 3 {
		t.Errorf("%d of %d allocated, want 3 of 3", stock.Allocated(), stock.OnHand())
	}
}

// A key that was used for another request on a cart cannot be used for its checkout.
func TestAKeyOfACartsLinesIsNotFreeForItsCheckout(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 5)
	id := s.cart("MUG", 1)
	s.must("POST", "/v1/carts/"+id+"/lines", `{"lines":[{"sku":"MUG","quantity":1}]}`, "Idempotency-Key", "k")
	s.answers.lose()
	s.ask("POST", "/v1/carts/"+id+"/checkout", `{}`, "Idempotency-Key", "k").problem(t, 422, problem.CodeKeyReused)
}

// A node may die before it keeps its answer, or the repetition may come to another node. Then
// the command id makes the repetition harmless.
func TestARepetitionIsHarmlessWithoutTheAnswer(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	cart := s.cart("MUG", 3)
	receiveKey, receive := key()
	s.must("POST", "/v1/stock/MUG/main/receipts", `{"quantity":5}`, receiveKey, receive)
	checkoutKey, checkout := key()
	first := s.must("POST", "/v1/carts/"+cart+"/checkout", `{"payment":{},"confirm":true}`, checkoutKey, checkout)
	head, err := s.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	s.answers.lose()
	other := s.start()
	stock := other.must("POST", "/v1/stock/MUG/main/receipts", `{"quantity":5}`, receiveKey, receive)
	if stock.at("on_hand") != 15.0 || stock.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("stock %s, replayed %q; want 15 on hand", stock.text, stock.header.Get("Idempotency-Replayed"))
	}
	again := other.must("POST", "/v1/carts/"+cart+"/checkout", `{"payment":{},"confirm":true}`, checkoutKey, checkout)
	if again.at("order", "order_id") != first.at("order", "order_id") || again.at("order", "payment_state") != "paid" {
		t.Errorf("again %s, first %s", again.text, first.text)
	}
	if again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repeated checkout does not say it is one: %v", again.header)
	}
	if now, err := s.store.Head(t.Context()); err != nil || now != head {
		t.Errorf("log at %s, %v, was at %s: a repetition recorded something", now, err, head)
	}
	s.answers.lose()
	for _, path := range []string{"/v1/carts", "/v1/credit-notes"} {
		body := `{"currency":"GBP","reason":"x","lines":[{"sku":"MUG","quantity":1,"price":"1"}]}`
		if path == "/v1/carts" {
			body = `{"currency":"GBP"}`
		}
		other.ask("POST", path, body, receiveKey, receive).problem(t, 422, problem.CodeKeyReused)
		s.answers.lose()
	}
}

func TestOneKeyAtOnceIsOneRequest(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 0)
	name, value := key()
	const callers = 16
	got := make([]response, callers)
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			got[i] = s.ask("POST", "/v1/stock/MUG/main/receipts", `{"quantity":5}`, name, value)
		})
	}
	wait.Wait()
	first := 0
	for _, r := range got {
		if r.status != http.StatusOK || r.at("on_hand") != 5.0 {
			t.Errorf("answer %d %s, want 5 on hand", r.status, r.text)
		}
		if r.header.Get("Idempotency-Replayed") == "" {
			first++
		}
	}
	if first != 1 {
		t.Errorf("%d answers are not replays, want 1", first)
	}
}

func TestStockAndMoneyNeedAKey(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, path := range []string{
		"/v1/stock/MUG/main/receipts", "/v1/stock/MUG/main/reservations", "/v1/carts/1/checkout", "/v1/orders/1/transactions",
		"/v1/orders/1/shipments", "/v1/returns/1/refunds", "/v1/credit-notes",
	} {
		s.ask("POST", path, `{}`).problem(t, 400, problem.CodeKeyRequired)
	}
}

// failing is a store of answers that cannot be reached.
type failing struct{ answers }

func (*failing) Find(context.Context, string, string) (*commands.KeptAnswer, error) {
	return nil, errors.New("connection refused")
}

func TestNothingIsDoneWhileAnswersCannotBeFound(t *testing.T) {
	t.Parallel()
	s := open(t)
	away := s.withAnswers(&failing{})
	name, value := key()
	got := away.ask("POST", "/v1/stock/MUG/main/receipts", `{"quantity":5}`, name, value)
	got.problem(t, 503, problem.CodeUnavailable)
	if head, err := s.store.Head(t.Context()); err != nil || !head.IsStart() {
		t.Errorf("log at %s, %v, want nothing recorded", head, err)
	}
}
