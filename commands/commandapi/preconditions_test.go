package commandapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"daybook/internal/problem"
)

// With If-None-Match: * a PUT may only create. So it changes nothing that exists already.
func TestAPutWithIfNoneMatchStarReplacesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	paths := commandsOf(s.must("GET", "/openapi.json", ""))
	bodies := map[string]string{
		"/v1/products/{sku}":                   `{"title":"A mug"}`,
		"/v1/products/{sku}/prices/{currency}": `{"amount":"2.50"}`,
		"/v1/price-lists/{price_list_id}":      `{"title":"A mug","currency":"GBP","price_mode":"incl"}`,
		"/v1/shipping-methods/{method_id}":     `{"title":"A mug","price_mode":"incl","rates":[{"currency":"GBP","basis":"flat","steps":[{"price":"1"}]}]}`,
		"/v1/legal-entities/{entity_id}":       `{"title":"A mug","home":{"country":"GB"},"price_mode":"incl"}`,
		"/v1/promotions/{promotion_id}":        `{"title":"A mug","kind":"coupon","class":"order","action":{"type":"percent_off","percent":"10"}}`,
		"/v1/stock/{sku}/{location}/policy":    `{"safety_stock":0,"backorder_limit":0,"reorder_point":3}`,
	}
	// These replace a part of a thing, which must exist.
	parts := []string{"/v1/carts/{cart_id}/details", "/v1/carts/{cart_id}/coupons/{code}", "/v1/carts/{cart_id}/shipping", "/v1/carts/{cart_id}/discounts/{discount_id}", "/v1/carts/{cart_id}/tax-status", "/v1/customers/{customer_id}/tax-status", "/v1/customers/{customer_id}/groups", "/v1/customers/{customer_id}/addresses/{address_id}", "/v1/customers/{customer_id}/wish-lists/{list_id}/wishes/{sku}"}
	for path, methods := range paths {
		if methods.(map[string]any)["put"] == nil || keyless(path) || slices.Contains(parts, path) {
			continue
		}
		body, known := bodies[path]
		if !known {
			t.Errorf("%s is put, and this test has no body for it", path)
			continue
		}
		sku := fmt.Sprintf("mug-%d", len(bodies))
		target := strings.NewReplacer("{sku}", sku, "{location}", "main", "{currency}", "GBP", "{price_list_id}", sku, "{method_id}", sku, "{entity_id}", sku, "{promotion_id}", sku).Replace(path)
		if strings.HasSuffix(path, "/prices/{currency}") {
			s.must("PUT", "/v1/products/"+sku, `{"title":"A mug"}`)
		}
		s.must("PUT", target, body, "If-None-Match", "*")
		refused := s.ask("PUT", target, strings.Replace(body, "A mug", "Another", 1), "If-None-Match", "*")
		refused.problem(t, 412, problem.CodeStale)
		if refused.at("actual_revision") == nil {
			t.Errorf("%s: answer %s, want the revision it is at", target, refused.text)
		}
		delete(bodies, path)
		if after := s.must("PUT", target, body); strings.Contains(after.text, "Another") {
			t.Errorf("%s: %s, want it as it was", target, after.text)
		}
	}
	if len(bodies) > 0 {
		t.Errorf("not put: %v", bodies)
	}
}

func TestPreconditionsAreReadAsTheStandardHasThem(t *testing.T) {
	t.Parallel()
	s := open(t)
	for header, holds := range map[string]bool{
		"If-Match: *": true, "If-Match: TAG": true, "If-Match: W/TAG": true, "If-Match: GZIP": true, "If-Match: W/GZIP": true,
		`If-Match: "1"`: true, `If-Match: W/"1"`: true, `If-Match: "0.x", "1.y" , "2"`: true, `If-Match: "1.of-another-body"`: true,
		`If-Match: "0"`: false, `If-Match: "0", "2"`: false, `If-Match: "-1"`: false, `If-Match: "abc"`: false, `If-Match: "body.abc"`: false, `If-Match: ""`: false,
		`If-Match: "01x"`: false, `If-Match: "1e0"`: false,
		"If-None-Match: *": false, "If-None-Match: TAG": false, "If-None-Match: W/TAG": false, `If-None-Match: "0", "1"`: false,
		`If-None-Match: "0", "2"`: true, `If-None-Match: "abc"`: true, `If-None-Match: "-1"`: true,
	} {
		product := "/v1/products/" + strings.Map(func(r rune) rune {
			if r == ' ' || r == '"' || r == '*' || r == ',' || r == '/' || r == ':' || r == '.' {
				return '-'
			}
			return r
		}, header)
		s.must("PUT", product, `{"title":"First"}`)
		tag := s.must("PUT", product, `{"title":"Second"}`).header.Get("ETag")
		gzip := strings.TrimSuffix(tag, `"`) + `-gzip"`
		name, value, _ := strings.Cut(strings.NewReplacer("TAG", tag, "GZIP", gzip).Replace(header), ": ")
		got := s.ask("PUT", product, `{"title":"Third"}`, name, value)
		if holds && (got.status != 200 || got.at("revision") != 2.0) {
			t.Errorf("%s at %s: answer %d %s, want it done", header, tag, got.status, got.text)
		}
		if !holds {
			got.problem(t, 412, problem.CodeStale)
		}
		if nothing := s.ask("PUT", product+"-new", `{"title":"First"}`, name, value); (nothing.status == 200) != (name == "If-None-Match") {
			t.Errorf("%s where nothing is: answer %d %s", header, nothing.status, nothing.text)
		}
	}
	for _, value := range []string{"1", `"1`, `1"`, "*, \"1\"", `"1" "2"`, "", " ", ","} {
		for _, name := range []string{"If-Match", "If-None-Match"} {
			got := s.ask("PUT", "/v1/products/MUG", `{"title":"A mug"}`, name, value)
			got.problem(t, 422, problem.CodeInvalid)
			if got.at("errors", 0, "parameter") != name {
				t.Errorf("%s: %q: answer %s, want it to name the header", name, value, got.text)
			}
		}
	}
}

// A thing without events has no revision. So its ETag has none, and no If-Match fits it.
func TestStockWithoutEventsHasNoRevisionInItsTag(t *testing.T) {
	t.Parallel()
	s := open(t)
	nothing := s.must("POST", "/v1/stock/none/main/expirations", "")
	tag := nothing.header.Get("ETag")
	if !strings.HasPrefix(tag, `"body.`) {
		t.Errorf("ETag %s, want one without a revision", tag)
	}
	for _, condition := range []string{`"-1"`, `W/"-1"`, tag, "*"} {
		name, value := key()
		s.ask("POST", "/v1/stock/none/main/receipts", `{"quantity":1}`, "If-Match", condition, name, value).problem(t, 412, problem.CodeStale)
	}
	name, value := key()
	s.must("POST", "/v1/stock/none/main/receipts", `{"quantity":1}`, "If-None-Match", "*", name, value)
	name, value = key()
	s.ask("POST", "/v1/stock/none/main/receipts", `{"quantity":1}`, "If-None-Match", "*", name, value).problem(t, 412, problem.CodeStale)
}

// A condition is part of a request. So the same request with another condition is another request
// under the key.
func TestAConditionIsPartOfTheRequest(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 0)
	for i, header := range []string{"If-Match", "If-None-Match"} {
		path := fmt.Sprintf("/v1/stock/S%d/main/receipts", i)
		if header == "If-Match" {
			s.receive("S0", 1)
		}
		name, value := key()
		first := s.must("POST", path, `{"quantity":1}`, header, "*", name, value)
		again := s.must("POST", path, `{"quantity":1}`, header, "*", name, value)
		if again.header.Get("Idempotency-Replayed") != "true" || again.header.Get("ETag") != first.header.Get("ETag") {
			t.Errorf("%s: the repeated request is answered with %v %s", header, again.header, again.text)
		}
		s.ask("POST", path, `{"quantity":1}`, name, value).problem(t, 422, problem.CodeKeyReused)
		s.answers.lose()
		if again := s.must("POST", path, `{"quantity":1}`, header, "*", name, value); again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s: after its answer was lost: %v %s", header, again.header, again.text)
		}
	}
}

// A price is a thing of its own: * asks whether there is one in its currency, and a tag asks for
// the revision of its product.
func TestAnyAndNoneAskForThePriceOfACurrency(t *testing.T) {
	t.Parallel()
	s := open(t)
	const pounds, euros = "/v1/products/MUG/prices/GBP", "/v1/products/MUG/prices/EUR"
	s.ask("PUT", pounds, `{"amount":"1"}`, "If-None-Match", "*").problem(t, 404, "product-not-found")
	s.ask("PUT", pounds, `{"amount":"1"}`, "If-Match", "*").problem(t, 412, problem.CodeStale)
	s.must("PUT", "/v1/products/MUG", `{"title":"A mug","prices":[{"amount":"1","currency":"GBP"}]}`)
	refused := s.ask("PUT", pounds, `{"amount":"2"}`, "If-None-Match", "*")
	if refused.problem(t, 412, problem.CodeStale); refused.at("actual_revision") != 1.0 {
		t.Errorf("refusal %s, want the product's revision", refused.text)
	}
	s.ask("PUT", euros, `{"amount":"2"}`, "If-Match", "*").problem(t, 412, problem.CodeStale)
	s.ask("PUT", euros, `{"amount":"2"}`, "If-None-Match", "*", "If-Match", `"0"`).problem(t, 412, problem.CodeStale)
	s.ask("PUT", euros, `{"amount":"2"}`, "If-None-Match", `"1"`).problem(t, 412, problem.CodeStale)
	name, value := key()
	first := s.must("PUT", euros, `{"amount":"2"}`, "If-None-Match", "*", "If-Match", `"1"`, name, value)
	s.answers.lose()
	if again := s.must("PUT", euros, `{"amount":"2"}`, "If-None-Match", "*", "If-Match", `"1"`, name, value); again.text != first.text || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again %v %s, first %s", again.header, again.text, first.text)
	}
	s.must("PUT", euros, `{"amount":"3"}`, "If-Match", "*")
}

// Of several requests that each want to be the first to price a product, one succeeds, and
// changes of other prices in between do not refuse it.
func TestOnePriceIsTheFirst(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.must("PUT", "/v1/products/MUG", `{"title":"A mug"}`)
	const callers = 12
	status := make(chan int, 2*callers)
	for i := range callers {
		go func() {
			status <- s.ask("PUT", "/v1/products/MUG/prices/EUR", fmt.Sprintf(`{"amount":"%d"}`, i), "If-None-Match", "*").status
		}()
		go func() {
			status <- 1000 + s.ask("PUT", "/v1/products/MUG/prices/GBP", fmt.Sprintf(`{"amount":"%d"}`, i)).status
		}()
	}
	count := make(map[int]int)
	for range 2 * callers {
		count[<-status]++
	}
	if count[200] != 1 || count[412] != callers-1 || count[1200] != callers {
		t.Errorf("answers %v, want one first price in EUR, and all prices in GBP", count)
	}
}

// A process has no revision, so a condition on its revision is refused, whatever process it is.
func TestAProcessMeetsNoConditionOnItsRevision(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, id := range []string{"retry-process", "dismiss-process"} {
		request := keyedRequests[id]
		for header, want := range map[string]string{
			`If-Match: "5"`: problem.CodeStale, `If-Match: W/"body.x"`: problem.CodeStale, "If-None-Match: *": problem.CodeStale,
			"If-Match: *": problem.CodeNotFound, `If-None-Match: "5"`: problem.CodeNotFound, "If-Match: 5": problem.CodeInvalid, "If-None-Match: 5": problem.CodeInvalid,
		} {
			name, value, _ := strings.Cut(header, ": ")
			status := map[string]int{problem.CodeStale: 412, problem.CodeNotFound: 404, problem.CodeInvalid: 422}[want]
			s.ask("POST", request.path, request.body, name, value).problem(t, status, want)
		}
	}
}
