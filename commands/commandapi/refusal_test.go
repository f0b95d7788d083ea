package commandapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"daybook/eventstore"
	"daybook/internal/problem"
)

func TestTwoBuyersRaceForTheLastUnit(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("LAST", 1)
	const buyers = 8
	carts := make([]string, buyers)
	for i := range carts {
		carts[i] = s.cart("LAST", 1)
	}
	got := make([]response, buyers)
	var wait sync.WaitGroup
	for i, cart := range carts {
		name, value := key()
		wait.Go(func() {
			got[i] = s.ask("POST", "/v1/carts/"+cart+"/checkout", `{"payment":{},"confirm":true}`, name, value)
		})
	}
	wait.Wait()
	orders := 0
	for i, r := range got {
		if r.status == http.StatusCreated {
			orders++
			continue
		}
		r.problem(t, 409, "stock-insufficient")
		if r.at("available") != 0.0 || r.at("requested") != 1.0 || r.at("sku") != "LAST" || r.at("shortages", 0, "sku") != "LAST" || r.at("shortages", 0, "lines", 0) != 1.0 {
			t.Errorf("refusal %s, want what was asked for and what is left", r.text)
		}
		again := s.must("POST", "/v1/carts/"+carts[i]+"/lines", `{"lines":[{"sku":"LAST","quantity":1}]}`)
		if again.at("status") != "open" {
			t.Errorf("cart %s after the refusal, want it open", again.text)
		}
	}
	if orders != 1 {
		t.Errorf("%d orders for one unit", orders)
	}
}

func TestAPreconditionThatIsNotMetIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 0)
	cart := s.cart("MUG", 1)
	changed := s.must("PATCH", "/v1/carts/"+cart+"/lines/1", `{"quantity":2}`, "If-Match", `"0"`)
	if !strings.HasPrefix(changed.header.Get("ETag"), `"1.`) {
		t.Errorf("ETag %s, want revision 1", changed.header.Get("ETag"))
	}
	stale := s.ask("PATCH", "/v1/carts/"+cart+"/lines/1", `{"quantity":3}`, "If-Match", `"0"`)
	stale.problem(t, 412, problem.CodeStale)
	if stale.at("actual_revision") != 1.0 || stale.at("expected_revision") != 0.0 {
		t.Errorf("refusal %s, want both revisions", stale.text)
	}
	s.ask("PATCH", "/v1/carts/"+cart+"/lines/1", `{"quantity":3}`, "If-Match", `1`).problem(t, 422, problem.CodeInvalid)
	s.must("PATCH", "/v1/carts/"+cart+"/lines/1", `{"quantity":3}`, "If-Match", `"1"`)
}

func TestWhatIsNotValidIsPointedAt(t *testing.T) {
	t.Parallel()
	s := open(t)
	for name, test := range map[string]struct {
		method, path, body string
		header             string // name=value
		says               []string
	}{
		"a quantity of 0":          {"POST", "/v1/carts", `{"currency":"GBP","lines":[{"sku":"A","quantity":1},{"sku":"B","quantity":0}]}`, "", []string{`"#/lines/1/quantity"`}},
		"a price in a cart's line": {"POST", "/v1/carts", `{"currency":"GBP","lines":[{"sku":"A","quantity":1,"price":{"amount":"0.01","currency":"GBP"}}]}`, "", []string{`"#/lines/0/price"`}},
		"no currency":              {"POST", "/v1/carts", `{}`, "", []string{`"#/currency"`}},
		"no such currency":         {"POST", "/v1/carts", `{"currency":"XYZ"}`, "", []string{`"#/currency"`, "XYZ"}},
		"two faults at once":       {"POST", "/v1/carts", `{"currency":"XYZ","lines":[{"sku":"A@B","quantity":1}]}`, "", []string{`"#/currency"`, `"#/lines/0/sku"`}},
		"an amount too long":       {"PUT", "/v1/products/A/prices/GBP", `{"amount":"1e999999"}`, "", []string{`"#/amount"`}},
		"a SKU in the path":        {"PUT", "/v1/products/A%40B", `{"title":"A"}`, "", []string{`"in":"path"`, `"parameter":"sku"`}},
		"a time in words":          {"PUT", "/v1/products/A", `{"title":"A"}`, "Daybook-Occurred-At=yesterday", []string{`"parameter":"Daybook-Occurred-At"`}},
		"an actor with an accent":  {"PUT", "/v1/products/A", `{"title":"A"}`, "Daybook-Actor=ann\u00e9", []string{`"parameter":"Daybook-Actor"`}},
		"a count without expected": {"POST", "/v1/stock/A/main/counts", `{"counted":3}`, "Idempotency-Key=c1", []string{`"#/expected"`}},
		"two deadlines":            {"POST", "/v1/stock/A/main/reservations", `{"order_id":"1","quantity":1,"hold_seconds":5,"expires_at":"2030-01-01T00:00:00Z"}`, "Idempotency-Key=c2", []string{`"#/expires_at"`}},
		"a key that is not ASCII":  {"PUT", "/v1/products/A", `{"title":"A"}`, "Idempotency-Key=\xff", []string{`"parameter":"Idempotency-Key"`}},
		"a key too long":           {"PUT", "/v1/products/A", `{"title":"A"}`, "Idempotency-Key=" + strings.Repeat("k", 256), []string{`"parameter":"Idempotency-Key"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var headers []string
			if header, value, given := strings.Cut(test.header, "="); given {
				headers = []string{header, value}
			}
			got := s.ask(test.method, test.path, test.body, headers...)
			got.problem(t, 422, problem.CodeInvalid)
			for _, want := range test.says {
				if !strings.Contains(got.text, want) {
					t.Errorf("answer %s, want it to say %s", got.text, want)
				}
			}
		})
	}
	if head, err := s.store.Head(t.Context()); err != nil || !head.IsStart() {
		t.Errorf("log at %s, %v: something that is not valid was recorded", head, err)
	}
}

func TestRefusalsOfRulesAreProblems(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 3)
	s.sell("CUP", 0)
	s.must("PUT", "/v1/products/FEE", `{"title":"Fee","kind":"service"}`)
	s.must("PUT", "/v1/products/OLD", `{"title":"Old"}`)
	s.must("DELETE", "/v1/products/OLD?reason=gone", "")
	for name, test := range map[string]struct {
		method, path, body string
		status             int
		code               string
	}{
		"an unknown product":   {"POST", "/v1/carts", `{"currency":"GBP","lines":[{"sku":"NONE","quantity":1}]}`, 404, "product-not-found"},
		"a retired product":    {"POST", "/v1/carts", `{"currency":"GBP","lines":[{"sku":"OLD","quantity":1}]}`, 409, "product-retired"},
		"no price":             {"POST", "/v1/carts", `{"currency":"EUR","lines":[{"sku":"MUG","quantity":1}]}`, 409, "product-not-priced"},
		"another kind":         {"PUT", "/v1/products/MUG", `{"title":"Mug","kind":"service"}`, 409, "product-kind-fixed"},
		"an unknown cart":      {"POST", "/v1/carts/none/lines", `{"lines":[{"sku":"MUG","quantity":1}]}`, 404, "cart-not-found"},
		"an unknown order":     {"POST", "/v1/orders/none/confirm", "", 404, "order-not-found"},
		"an unknown return":    {"POST", "/v1/returns/none/approve", "", 404, "return-not-found"},
		"a return of no order": {"POST", "/v1/returns", `{"order_id":"none","lines":[{"order_line":1,"quantity":1}]}`, 404, "order-not-found"},
		"more than there is":   {"POST", "/v1/stock/MUG/main/reservations", `{"order_id":"o1","quantity":4,"hold_seconds":60}`, 409, "stock-insufficient"},
		"a stock that has changed since the count began": {"POST", "/v1/stock/MUG/main/counts", `{"expected":7,"counted":3}`, 409, "stock-count-stale"},
		"more missing than on hand":                      {"POST", "/v1/stock/MUG/main/adjustments", `{"change":-9,"reason":"shrinkage"}`, 409, "stock-below-zero"},
		"the reason other without a note":                {"POST", "/v1/stock/MUG/main/adjustments", `{"change":-1,"reason":"other"}`, 409, "stock-note-missing"},
		"an unknown reservation":                         {"POST", "/v1/stock/MUG/main/reservations/none/commit", "", 404, "reservation-unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header, value := key()
			s.ask(test.method, test.path, test.body, header, value).problem(t, test.status, test.code)
		})
	}
}

// A checkout may also ask to pay and confirm the order. If that is refused, the refusal names the
// order that was placed.
func TestARefusedPaymentNamesItsOrder(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 3)
	name, value := key()
	got := s.ask("POST", "/v1/carts/"+s.cart("MUG", 1)+"/checkout",
		`{"order_id":"o-1","payment":{"amount":{"amount":"1.00","currency":"EUR"}},"confirm":true}`, name, value)
	got.problem(t, 409, "currency-differs")
	if got.at("order_id") != "o-1" {
		t.Errorf("answer %s, want the order's id", got.text)
	}
	if confirmed := s.must("POST", "/v1/orders/o-1/confirm", ""); confirmed.at("status") != "confirmed" {
		t.Errorf("order %s, want it to stand", confirmed.text)
	}
}

func TestASKUMayHoldBlanksAndSlashes(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.must("PUT", "/v1/products/gift%20a%2Fb", `{"title":"Gift","prices":[{"amount":"1","currency":"GBP"}]}`)
	name, value := key()
	got := s.must("POST", "/v1/stock/GIFT%20A%2FB/main/receipts", `{"quantity":2}`, name, value)
	if got.at("sku") != "GIFT A/B" || got.at("on_hand") != 2.0 {
		t.Errorf("stock %s, want 2 of GIFT A/B", got.text)
	}
	if cart := s.must("POST", "/v1/carts", `{"currency":"GBP","lines":[{"sku":"Gift A/B","quantity":1}]}`); cart.at("lines", 0, "sku") != "GIFT A/B" {
		t.Errorf("cart %s, want the SKU in its usual form", cart.text)
	}
}

func TestWhoAskedIsRecorded(t *testing.T) {
	t.Parallel()
	s := open(t)
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	s.must("PUT", "/v1/products/MUG", `{"title":"Mug"}`,
		"Daybook-Actor", "operator:ann", "Daybook-Channel", "web", "Traceparent", trace, "Daybook-Occurred-At", "2011-12-09T12:50:00Z")
	for recorded, err := range s.store.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		meta, err := eventstore.DecodeMetadata(recorded.Meta)
		if err != nil {
			t.Fatal(err)
		}
		if meta.Actor != "operator:ann" || meta.Channel != "web" || meta.Trace != trace ||
			meta.CorrelationID != "0af7651916cd43dd8448eb211c80319c" || meta.OccurredAt.Year() != 2011 {
			t.Errorf("metadata %+v, want who asked, where, when and the trace", meta)
		}
	}
}

func TestLineByLineTellsWhatWasLeftOut(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 3)
	s.sell("CUP", 0)
	cart := s.must("POST", "/v1/carts", `{"currency":"GBP","lines":[{"sku":"MUG","quantity":3},{"sku":"CUP","quantity":2}]}`)
	name, value := key()
	got := s.must("POST", fmt.Sprintf("/v1/carts/%s/checkout", cart.at("cart_id")), `{"policy":"line-by-line"}`, name, value)
	if got.at("dropped_lines", 0) != 2.0 || got.at("shortages", 0, "sku") != "CUP" || got.at("shortages", 0, "lines", 0) != 2.0 || got.at("order", "total", "amount") != "7.50" {
		t.Errorf("checkout %s, want line 2 left out, because there is no CUP", got.text)
	}
}
