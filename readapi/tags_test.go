package readapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// changing are reads whose body says how old things are, so that it is never twice the
// same.
var changing = []string{"list-projections"}

// Each read that has an ETag answers 304 to a reader who has its body, in every form in
// which a tag may be named.
func TestEveryReadIsAnsweredWith304ToWhoHasItsBody(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	written := s.buy("o-1", "jane", "MUG", 3)
	s.at(written, "/v1/orders/o-1")
	s.untilReady()
	s.CaughtUp()
	names := strings.NewReplacer("{order_id}", "o-1", "{cart_id}", "cart-of-o-1", "{sku}", "MUG", "{location}", "main", "{customer_id}", "jane", "{stream}", "order-o-1")
	reads := 0
	paths, _ := s.get("/openapi.json").value("paths").(map[string]any)
	for path, methods := range paths {
		described, _ := methods.(map[string]any)["get"].(map[string]any)
		operation := response{body: described}
		if described == nil || strings.Contains(path, "{return_id}") || operation.value("responses", "304") == nil {
			continue
		}
		id, _ := operation.value("operationId").(string)
		target := names.Replace(path)
		if id == "list-customers" {
			target += "?currency=GBP"
		}
		first := s.get(target)
		tag := first.header.Get("ETag")
		if first.status != http.StatusOK || tag == "" {
			t.Errorf("%s: answer %d, ETag %q", target, first.status, tag)
			continue
		}
		gzip := strings.TrimSuffix(tag, `"`) + `-gzip"`
		reads++
		for _, known := range []string{tag, "W/" + tag, `"x", ` + tag + `,"y"`, "*", gzip, "W/" + gzip} {
			got := s.get(target, "If-None-Match", known)
			want := tag
			if strings.HasSuffix(known, gzip) {
				want = gzip
			}
			if got.status != http.StatusNotModified || got.text != "" || got.header.Get("ETag") != want || got.header.Get("Content-Type") != "" {
				if !slices.Contains(changing, id) || known == "*" {
					t.Errorf("%s, If-None-Match: %s: answer %d, ETag %s, %.100s; want 304 without a body", target, known, got.status, got.header.Get("ETag"), got.text)
				}
			}
			if first.header.Get("Daybook-Position") != "" && got.header.Get("Daybook-Position") == "" {
				t.Errorf("%s, If-None-Match: %s: no position", target, known)
			}
		}
		for _, other := range []string{`"x"`, `W/"body.x"`, strings.Replace(tag, ".", ".x", 1)} {
			if got := s.get(target, "If-None-Match", other); got.status != http.StatusOK || got.text == "" {
				t.Errorf("%s, If-None-Match: %s: answer %d %.100s, want the body", target, other, got.status, got.text)
			}
		}
	}
	if reads < 22 {
		t.Errorf("%d reads, want all", reads)
	}
	s.get("/v1/orders/none", "If-None-Match", "*").problem(t, http.StatusNotFound, "not-found")
}
