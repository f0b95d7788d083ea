package commandapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// A code may be typed in several ways, but it is always the same product with the same stock.
func TestAProductIsOneUnderEachSpelling(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]string{
		"accent": "café-1", "Greek": "οδος", "Cyrillic": "майка", "Turkish": "ılık-İ", "longest": strings.Repeat("é", 64), "blank and slash": "a b/é",
	} {
		s := open(t)
		s.must("PUT", "/v1/products/"+url.PathEscape(code), `{"title":"One","kind":"stocked"}`)
		units := 0
		for i, spelled := range []string{code, norm.NFC.String(code), norm.NFD.String(code), strings.ToUpper(code), norm.NFD.String(strings.ToUpper(code))} {
			if name == "Turkish" && i > 2 {
				continue // ToUpper turns ı into I, which is also the upper case of i: another code
			}
			if len([]rune(spelled)) > 64 {
				continue
			}
			header, value := key()
			got := s.must("POST", "/v1/stock/"+url.PathEscape(spelled)+"/main/receipts", `{"quantity":1}`, header, value)
			if units++; got.at("on_hand") != float64(units) {
				t.Errorf("%s, spelled %+q: %v on hand, want %d", name, spelled, got.at("on_hand"), units)
			}
		}
	}
}

func TestACodeThatCannotBeToldApartIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, code := range []string{"%2e%2e", "%2E", "a%E2%80%AEb", "a%E2%80%8Bb", "a%00b", "a%0Ab", "%EF%AC%81", "%C5%BF", "%FF", strings.Repeat("x", 65)} {
		got := s.ask("PUT", "/v1/products/"+code, `{"title":"One","kind":"stocked"}`)
		if got.status != http.StatusUnprocessableEntity && got.status != http.StatusBadRequest {
			t.Errorf("%s: %d, want it refused: %s", code, got.status, got.text)
		}
	}
	for _, title := range []string{"", " ", `\t`, `\u00a0`, `\u200b`, `a\nb`, `a\u202eb`} {
		got := s.ask("PUT", "/v1/products/MUG", fmt.Sprintf(`{"title":"%s","kind":"stocked"}`, title))
		if got.status < 400 || got.status >= 500 {
			t.Errorf("title %q: %d, want it refused", title, got.status)
		}
	}
}
