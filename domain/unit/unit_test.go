package unit

import (
	"testing"

	"github.com/bojanz/currency"
)

func TestCurrenciesAndDigitsAgreeWithAMaintainedLibrary(t *testing.T) {
	for _, code := range currency.GetCurrencyCodes() {
		parsed, err := ParseCurrency(code)
		if err != nil {
			t.Logf("library knows %s, we do not", code)
			continue
		}
		want, _ := currency.GetDigits(code)
		if got := parsed.Digits(); got != int32(want) {
			t.Errorf("%s: %d digits, want %d", code, got, want)
		}
	}
}
