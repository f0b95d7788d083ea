package payments_test

import (
	"math"
	"slices"
	"testing"

	"daybook/commands/payments"
	"daybook/domain/unit"
)

func TestAmountsInTheSmallestUnit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		minor    int64
		currency unit.Currency
		digits   int32
		text     string
	}{
		{1234, "EUR", 2, "12.34 EUR"},
		{1, "EUR", 2, "0.01 EUR"},
		{1234, "JPY", 0, "1234 JPY"},
		{1234, "BHD", 3, "1.234 BHD"},
		{1200, "ISK", 2, "12 ISK"}, // as Stripe counts it
		{math.MaxInt64, "EUR", 2, "92233720368547758.07 EUR"},
	} {
		m := payments.FromMinor(test.minor, test.currency, test.digits)
		if m.String() != test.text {
			t.Errorf("%d of %s is %s, want %s", test.minor, test.currency, m, test.text)
		}
		if back, err := payments.ToMinor(m, test.digits); err != nil || back != test.minor {
			t.Errorf("%s is %d, %v, want %d", m, back, err, test.minor)
		}
	}
	for text, currency := range map[string]string{"0.001": "EUR", "100.5": "JPY", "0.0001": "BHD", "92233720368547758.08": "EUR"} {
		m, err := unit.ParseMoney(text, currency)
		if err != nil {
			t.Fatal(err)
		}
		if minor, err := payments.ToMinor(m, m.Currency.Digits()); err == nil {
			t.Errorf("%s is %d, want an error", m, minor)
		}
	}
}

func TestAPersonSettlesWhatIsManual(t *testing.T) {
	t.Parallel()
	all, err := payments.NewProviders(nil)
	if err != nil {
		t.Fatal(err)
	}
	if names := all.Names(); !slices.Equal(names, []string{"manual"}) {
		t.Errorf("the providers are %q", names)
	}
	manual, known := all.Provider("manual")
	if !known {
		t.Fatal("there is no manual provider")
	}
	i := payments.Instruction{Key: "k"}
	for _, done := range []payments.Outcome{manual.Capture(t.Context(), i), manual.Void(t.Context(), i), manual.Refund(t.Context(), i), manual.LookUp(t.Context(), i)} {
		if done != (payments.Outcome{State: payments.Pending}) {
			t.Errorf("the outcome is %+v, want it pending", done)
		}
	}
	if _, reports := all.Reporter("manual"); reports {
		t.Error("a person sends messages")
	}
	if _, known := all.Provider("stripe"); known {
		t.Error("a provider is known that nobody named")
	}
}

func TestNamesOfProviders(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{
		"simulated": true, "stripe-eu-2": true, "": false, "Stripe": false, "a b": false, "a/b": false, "manual": false,
		"abcdefghijklmnopqrstuvwxyz0123456": false,
	} {
		if _, err := payments.NewProviders(map[string]payments.Provider{name: payments.Manual{}}); (err == nil) != good {
			t.Errorf("%q: %v, want it good: %t", name, err, good)
		}
	}
}
