package commandapi_test

import (
	"context"
	"errors"
	"net/http"
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

func TestARefusalIsKeptToo(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 0)
	name, value := key()
	cart := s.cart("MUG", 1)
	refused := s.ask("POST", "/v1/carts/"+cart+"/checkout", `{}`, name, value)
	refused.problem(t, 409, "stock-insufficient")
	receive, fresh := key()
	s.must("POST", "/v1/stock/MUG/main/receipts", `{"quantity":5}`, receive, fresh)
	again := s.ask("POST", "/v1/carts/"+cart+"/checkout", `{}`, name, value)
	again.problem(t, 409, "stock-insufficient")
	if again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again %s, want the kept answer", again.text)
	}
}

// A node that dies before it keeps its answer, or another node that has not
// seen it, meets the repetition with the command's id.
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

// failing is a place for answers that is away.
type failing struct{ answers }

func (*failing) Find(context.Context, string, string) (*commands.StoredAnswer, error) {
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
