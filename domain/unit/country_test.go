package unit_test

import (
	"strings"
	"testing"

	"daybook/domain/unit"
)

func TestACountryIsAKnownCode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]unit.Country{"GB": "GB", "gb": "GB", "De": "DE", "XK": "XK"} {
		if got, err := unit.ParseCountry(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "G", "GBR", "UK", "ZZ", "D ", " A", "AD AE", "United Kingdom", "Öo"} {
		got, err := unit.ParseCountry(text)
		if err == nil || got != "" {
			t.Errorf("%q is taken for the country %q", text, got)
		} else if !strings.Contains(err.Error(), "GB") {
			t.Errorf("%q: the error gives no example: %v", text, err)
		}
	}
}
