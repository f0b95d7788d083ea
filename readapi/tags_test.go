package readapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"daybook/domain/customer"
	"daybook/internal/problem"
)

// changing are reads whose body contains ages, so the body is different each time.
var changing = []string{"list-projections"}

// taggedReads are addresses of all reads of the document whose answers have an ETag, by their
// operations. The things that they read exist.
func (s *shop) taggedReads() map[string]string {
	s.Helper()
	s.sell("MUG", 10)
	written := s.buy("o-1", "jane", "MUG", 3)
	if _, err := s.service.Customer(s.Context(), call("ann"), "jane", customer.Register{CustomerID: "jane"},
		customer.MakeWishList{ListID: "w-1", Name: "Birthday"}, customer.SetWish{ListID: "w-1", SKU: "MUG", Quantity: 1}, customer.ShareWishList{ListID: "w-1"}); err != nil {
		s.Fatal(err)
	}
	card := s.define()
	s.at(written, "/v1/orders/o-1")
	s.untilReady()
	s.CaughtUp()
	names := strings.NewReplacer("{order_id}", "o-1", "{cart_id}", "cart-of-o-1", "{sku}", "MUG", "{location}", "main", "{customer_id}", "jane", "{stream}", "order-o-1", "{code}", "stock-insufficient",
		"{price_list_id}", "base", "{method_id}", "post", "{entity_id}", "seller", "{promotion_id}", "spring", "{gift_card_id}", string(card))
	reads := make(map[string]string)
	paths, _ := s.get("/openapi.json").value("paths").(map[string]any)
	for path, methods := range paths {
		described, _ := methods.(map[string]any)["get"].(map[string]any)
		operation := response{body: described}
		if described == nil || strings.Contains(path, "{return_id}") || strings.HasSuffix(path, "/login") || strings.HasSuffix(path, "/kept-record") || // nobody signs in here, and nobody is erased
			operation.value("responses", "200", "headers", "ETag") == nil {
			continue
		}
		id, _ := operation.value("operationId").(string)
		for _, status := range []string{"304", "412"} {
			if operation.value("responses", status) == nil {
				s.Errorf("%s has an ETag, and does not list %s", id, status)
			}
		}
		reads[id] = names.Replace(path)
		if id == "list-customers" {
			reads[id] += "?currency=GBP"
		}
	}
	if len(reads) < 25 {
		s.Errorf("%d reads, want all", len(reads))
	}
	return reads
}

// Each read that has an ETag answers 304 if the client has its body. The test names the tag in
// every possible form.
func TestEveryReadAnswers304IfTheClientHasTheBody(t *testing.T) {
	t.Parallel()
	s := open(t)
	for id, target := range s.taggedReads() {
		first := s.get(target)
		tag := first.header.Get("ETag")
		if first.status != http.StatusOK || tag == "" {
			t.Errorf("%s: answer %d, ETag %q", target, first.status, tag)
			continue
		}
		gzip := strings.TrimSuffix(tag, `"`) + `-gzip"`
		for _, condition := range []string{tag, "W/" + tag, `"x", ` + tag + `,"y"`, "*", gzip, "W/" + gzip} {
			got := s.get(target, "If-None-Match", condition)
			want := tag
			if strings.HasSuffix(condition, gzip) {
				want = gzip
			}
			if got.status != http.StatusNotModified || got.text != "" || got.header.Get("ETag") != want || got.header.Get("Content-Type") != "" {
				if !slices.Contains(changing, id) || condition == "*" {
					t.Errorf("%s, If-None-Match: %s: answer %d, ETag %s, %.100s; want 304 without a body", target, condition, got.status, got.header.Get("ETag"), got.text)
				}
			}
			if first.header.Get("Daybook-Position") != "" && got.header.Get("Daybook-Position") == "" {
				t.Errorf("%s, If-None-Match: %s: no position", target, condition)
			}
		}
		for _, other := range []string{`"x"`, `W/"body.x"`, strings.Replace(tag, ".", ".x", 1)} {
			if got := s.get(target, "If-None-Match", other); got.status != http.StatusOK || got.text == "" {
				t.Errorf("%s, If-None-Match: %s: answer %d %.100s, want the body", target, other, got.status, got.text)
			}
		}
	}
	s.get("/v1/orders/none", "If-None-Match", "*").problem(t, http.StatusNotFound, "not-found")
}

// Each read that has an ETag answers 412 if the client asks for another body. The test names the
// tag in every possible form. If-Match is checked before If-None-Match.
func TestEveryReadAnswers412IfAnotherBodyIsWanted(t *testing.T) {
	t.Parallel()
	s := open(t)
	for id, target := range s.taggedReads() {
		first := s.get(target)
		tag := first.header.Get("ETag")
		gzip := strings.TrimSuffix(tag, `"`) + `-gzip"`
		for _, wanted := range []string{tag, "W/" + tag, `"x", ` + tag + `,"y"`, "*", gzip, "W/" + gzip} {
			got := s.get(target, "If-Match", wanted)
			if got.status != http.StatusOK || got.text != first.text || got.header.Get("ETag") != tag {
				if !slices.Contains(changing, id) || wanted == "*" {
					t.Errorf("%s, If-Match: %s: answer %d, ETag %s, %.100s; want the body", target, wanted, got.status, got.header.Get("ETag"), got.text)
				}
			}
			if got := s.get(target, "If-Match", wanted, "If-None-Match", "*"); got.status != http.StatusNotModified && !slices.Contains(changing, id) {
				t.Errorf("%s, If-Match: %s, If-None-Match: *: answer %d, want 304", target, wanted, got.status)
			}
		}
		for _, other := range []string{`"x"`, `W/"body.x"`, `"-1"`, `"x", "y"`, strings.Replace(tag, ".", ".x", 1)} {
			for _, also := range []string{`"other"`, "*", tag} {
				got := s.get(target, "If-Match", other, "If-None-Match", also)
				got.problem(t, http.StatusPreconditionFailed, problem.CodeStale)
				if revision, _, _ := strings.Cut(strings.Trim(tag, `"`), "."); got.status == http.StatusPreconditionFailed && revision != "body" && fmt.Sprint(got.value("actual_revision")) != revision {
					t.Errorf("%s, If-Match: %s: answer %s, want the revision %s", target, other, got.text, revision)
				}
			}
		}
		s.get(target, "If-Match", "none").problem(t, http.StatusUnprocessableEntity, problem.CodeInvalid)
	}
	s.get("/v1/orders/none", "If-Match", `"x"`).problem(t, http.StatusNotFound, problem.CodeNotFound)
}
