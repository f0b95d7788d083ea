package readapi_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// The server takes each value that the document lists for a query parameter, and refuses others.
// The refusal names the parameter.
func TestEveryListedValueIsTakenAndNoOther(t *testing.T) {
	t.Parallel()
	s := filled(t)
	place := strings.NewReplacer("{sku}", "MUG", "{location}", "main", "{customer_id}", "ann")
	values := 0
	paths, _ := s.get("/openapi.json").value("paths").(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		described, _ := paths[name].(map[string]any)["get"].(map[string]any)
		for _, p := range queryParameters(response{body: described}) {
			if len(p.enum) == 0 {
				continue
			}
			target := place.Replace(name) + "?"
			if name == "/v1/customers" {
				target += "currency=GBP&"
			}
			for _, value := range p.enum {
				values++
				if got := s.get(target + p.name + "=" + url.QueryEscape(value)); got.status != http.StatusOK {
					t.Errorf("%s%s=%s: answer %d %.300s, want 200", target, p.name, value, got.status, got.text)
				}
			}
			for _, value := range []string{"bogus", strings.ToUpper(p.enum[0])} {
				got := s.get(target + p.name + "=" + value)
				if value != p.enum[0] && (got.status != http.StatusUnprocessableEntity || got.value("errors", 0, "parameter") != p.name) {
					t.Errorf("%s%s=%s: answer %d %.300s, want 422 that names %s", target, p.name, value, got.status, got.text, p.name)
				}
			}
		}
	}
	if values < 100 {
		t.Errorf("%d values were sent", values)
	}
	kinds := map[string]string{"/v1/stock/{sku}/{location}/movements": "received", "/v1/sales": "sale", "/v1/sales/documents": "free_order", "/v1/products": "service"}
	for path, value := range kinds {
		described, _ := paths[path].(map[string]any)["get"].(map[string]any)
		all := queryParameters(response{body: described})
		at := slices.IndexFunc(all, func(p parameter) bool { return p.name == "kind" })
		if at < 0 || !slices.Contains(all[at].enum, value) {
			t.Errorf("%s: kind lists %v, want %s among them", path, fmt.Sprint(all), value)
		}
	}
}
