package commandapi_test

import (
	"fmt"
	"strings"
	"testing"
)

// A refusal by the catalogue names each refused line of the request by its place and its SKU,
// whatever the reason. The code and the member sku are those of the first one.
func TestEachRefusedLineIsNamed(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 0)
	s.sell("OLD", 0)
	s.must("DELETE", "/v1/products/OLD", "")
	s.must("PUT", "/v1/products/FREE", `{"title":"Without a price"}`)
	cart := s.cart("MUG", 1)
	codes := map[string]string{"NOPE": "product-not-found", "OLD": "product-retired", "FREE": "product-not-priced"}
	for _, wanted := range [][]string{
		{"MUG", "NOPE", "MUG", "NOPE2"}, {"OLD"}, {"MUG", "FREE"}, {"FREE", "OLD", "MUG", "NOPE"}, {"NOPE", "FREE", "OLD"},
	} {
		var lines, places, skus []string
		for i, sku := range wanted {
			lines = append(lines, fmt.Sprintf(`{"sku":%q,"quantity":1}`, sku))
			if sku != "MUG" {
				places, skus = append(places, fmt.Sprintf("#/lines/%d/sku", i)), append(skus, sku)
			}
		}
		list := "[" + strings.Join(lines, ",") + "]"
		before := s.lastEvent()
		for path, body := range map[string]string{
			"/v1/carts":                    `{"currency":"GBP","lines":` + list + `}`,
			"/v1/carts/" + cart + "/lines": `{"lines":` + list + `}`,
		} {
			got := s.ask("POST", path, body)
			status := 404
			if !strings.HasSuffix(codes[skus[0]], "-not-found") {
				status = 409
			}
			got.problem(t, status, codes[skus[0]])
			faults, _ := got.body["errors"].([]any)
			if got.body["sku"] != skus[0] || len(faults) != len(places) || s.lastEvent() != before {
				t.Fatalf("%s %s: %s, want the lines %v and nothing recorded", path, body, got.text, places)
			}
			for i, fault := range faults {
				fault, _ := fault.(map[string]any)
				detail, _ := fault["detail"].(string)
				if fault["pointer"] != places[i] || !strings.HasPrefix(detail, skus[i]+": ") {
					t.Errorf("%s: fault %d is %v, want %s at %s", path, i, fault, skus[i], places[i])
				}
			}
			if codes[skus[0]] == "product-not-priced" && got.body["currency"] != "GBP" {
				t.Errorf("%s: %s, want the currency", path, got.text)
			}
		}
	}
	many := strings.TrimSuffix(strings.Repeat(`{"sku":"NOPE","quantity":1},`, 100), ",")
	got := s.ask("POST", "/v1/carts", `{"currency":"GBP","lines":[`+many+`]}`)
	if faults, _ := got.body["errors"].([]any); got.status != 404 || len(faults) != 20 {
		t.Errorf("100 refused lines: answer %d with %d faults, want the first 20", got.status, len(faults))
	}
}
