package readapi_test

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"daybook/internal/problem"
)

// A cursor is valid only for the list, sort and filters of the answer that gave it. Every list with
// pages refuses it with any others.
func TestACursorIsGoodForItsListOnly(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	s.sell("CUP", 10)
	s.buy("o-1", "jane", "MUG", 1)
	s.buy("o-2", "jane", "MUG", 2)
	written := s.buy("o-3", "joe", "CUP", 2)
	s.untilReady()
	for _, list := range []string{"/v1/stock", "/v1/carts", "/v1/products", "/v1/sales"} {
		s.at(written, list)
	}
	names := strings.NewReplacer("{sku}", "MUG", "{location}", "main", "{customer_id}", "jane")
	first := s.at(written, "/v1/orders?limit=1")
	foreign, _ := first.value("next").(string)
	lists, followed := 0, 0
	paths, _ := s.get("/openapi.json").value("paths").(map[string]any)
	for path, methods := range paths {
		described, _ := methods.(map[string]any)["get"].(map[string]any)
		parameters, _ := response{body: described}.value("parameters").([]any)
		var filters []string
		paged := false
		for _, parameter := range parameters {
			described := response{body: parameter.(map[string]any)}
			name, _ := described.value("name").(string)
			if described.value("in") != "query" {
				continue
			}
			paged = paged || name == "cursor"
			if slices.Contains([]string{"cursor", "limit", "count", "include", "currency"}, name) {
				continue
			}
			filters = append(filters, name+"="+valueOf(described))
		}
		if !paged {
			continue
		}
		lists++
		target := names.Replace(path) + "?"
		if path == "/v1/customers" {
			target += "currency=GBP&"
		}
		if path != "/v1/orders" {
			refused := s.get(target + "cursor=" + foreign)
			refused.problem(t, 422, problem.CodeInvalid)
			if refused.value("errors", 0, "parameter") != "cursor" || !strings.Contains(refused.text, "another list") {
				t.Errorf("%s with the cursor of another list: %s", target, refused.text)
			}
		}
		next, _ := s.get(target + "limit=1").value("next").(string)
		if next == "" {
			continue
		}
		followed++
		if page := s.get(target + "limit=2&cursor=" + next); page.status != 200 {
			t.Errorf("%s: its own cursor: answer %d %s", target, page.status, page.text)
		}
		for _, filter := range filters {
			refused := s.get(target + filter + "&cursor=" + next)
			refused.problem(t, 422, problem.CodeInvalid)
			if !strings.Contains(refused.text, "another list, sort or filter") {
				t.Errorf("%s%s with the cursor of the list without it: %s", target, filter, refused.text)
			}
		}
	}
	if lists < 13 || followed < 7 {
		t.Errorf("%d lists have pages, of which %d are long enough; want all", lists, followed)
	}
	for _, cursor := range []string{"nonsense", ".", foreign + "!", foreign[1:], strings.Repeat("a", 8) + foreign[8:], foreign[:9]} {
		refused := s.get("/v1/orders?cursor=" + cursor)
		refused.problem(t, 422, problem.CodeInvalid)
		if refused.value("errors", 0, "parameter") != "cursor" {
			t.Errorf("cursor %s: %s, want it to be named", cursor, refused.text)
		}
	}
	refused := func(what, cursor string) {
		t.Helper()
		got := s.get("/v1/orders?limit=1&cursor=" + url.QueryEscape(cursor))
		got.problem(t, 422, problem.CodeInvalid)
		if got.value("errors", 0, "parameter") != "cursor" {
			t.Errorf("%s, %s: answer %d %s, want the cursor refused", what, cursor, got.status, got.text)
		}
	}
	for i := range len(foreign) {
		refused("without character "+strconv.Itoa(i), foreign[:i]+foreign[i+1:])
		refused("cut off", foreign[:max(1, i)])
		for _, other := range "AQgw0_.~" {
			refused("with one more character", foreign[:i]+string(other)+foreign[i:])
			if byte(other) != foreign[i] {
				refused("with another character", foreign[:i]+string(other)+foreign[i+1:])
			}
		}
	}
	for _, other := range "AQgw0_.~" {
		refused("with one more character", foreign+string(other))
	}
	parts := strings.Split(foreign, ".")
	refused("of the version before", parts[0]+"."+parts[1])
	if same := s.get("/v1/orders?sort=-placed_at&limit=2&cursor=" + foreign); same.status != 200 {
		t.Errorf("the sort that is the default: answer %d %s", same.status, same.text)
	}
}

// valueOf returns a value of a parameter that is not the default.
func valueOf(parameter response) string {
	schema := response{body: parameter.body["schema"].(map[string]any)}
	if kind := schema.value("type"); kind == "array" {
		if first, _ := schema.value("items", "enum", 0).(string); first != "" {
			return first
		}
		return "x"
	}
	if choices, _ := schema.value("enum").([]any); len(choices) > 0 {
		for _, choice := range choices {
			if choice != schema.value("default") {
				return fmt.Sprint(choice)
			}
		}
	}
	switch {
	case schema.value("type") == "boolean":
		return "true"
	case schema.value("format") == "date":
		return "2020-01-31"
	case schema.value("format") == "date-time":
		return "2020-01-31T12:00:00Z"
	}
	return "x"
}
