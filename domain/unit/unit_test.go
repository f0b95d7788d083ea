package unit

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/bojanz/currency"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

// The library lists these currencies, but this program does not accept them, for the reason given.
var notToPayIn = map[string]string{
	"BOV": "unit of account (Mvdol)",
	"CHE": "complementary currency (WIR euro)",
	"CHW": "complementary currency (WIR franc)",
	"CLF": "unit of account (Unidad de Fomento)",
	"COU": "unit of account (Unidad de Valor Real)",
	"MXV": "unit of account (Unidad de Inversion)",
	"USN": "US dollar, next day: a funds code of banks",
	"UYI": "unit of account (Uruguay Peso en Unidades Indexadas)",
	"UYW": "unit of account (Unidad Previsional)",
	"XAD": "unit of account of the Arab Monetary Fund",
}

func TestCurrenciesAndDigitsAgreeWithAMaintainedLibrary(t *testing.T) {
	listed := currency.GetCurrencyCodes()
	for _, code := range listed {
		parsed, err := ParseCurrency(code)
		if _, meant := notToPayIn[code]; meant {
			if err == nil {
				t.Errorf("%s is taken, although it is a %s", code, notToPayIn[code])
			}
			continue
		}
		if err != nil {
			t.Errorf("the library knows %s, and it is refused: %v", code, err)
			continue
		}
		want, _ := currency.GetDigits(code)
		if got := parsed.Digits(); got != int32(want) {
			t.Errorf("%s: %d digits, want %d", code, got, want)
		}
		if strings.Contains(withdrawnCodes, " "+code+" ") {
			t.Errorf("%s is active, but it is listed as a withdrawn currency", code)
		}
	}
	for code := range strings.FieldsSeq(currencyCodes) {
		if !slices.Contains(listed, code) {
			t.Errorf("the library does not know %s: has ISO 4217 withdrawn it?", code)
		}
	}
	for code := range maps.Keys(notToPayIn) {
		if !slices.Contains(listed, code) {
			t.Errorf("the library does not know %s, so it needs no exception", code)
		}
	}
	for code := range strings.FieldsSeq(withdrawnCodes) {
		if parsed, err := ParseOldCurrency(code); err != nil || parsed.Digits() != 2 {
			t.Errorf("the withdrawn %s: %v, %d digits; want it taken for old orders, with 2", code, err, parsed.Digits())
		}
		if _, err := ParseCurrency(code); err == nil {
			t.Errorf("the withdrawn %s is taken for new prices", code)
		}
	}
}

func TestParseCurrency(t *testing.T) {
	for text, want := range map[string]Currency{"GBP": "GBP", " eur ": "EUR", "JPY": "JPY"} {
		if got, err := ParseCurrency(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "GB", "GBPX", "XXX", "P B", "BP ", " GB", "ZZZ", "£££"} {
		if got, err := ParseCurrency(text); err == nil {
			t.Errorf("%q is taken for %q", text, got)
		}
	}
}

func TestParseNames(t *testing.T) {
	parsers := map[string]func(string) error{
		"cart":        func(s string) error { _, err := ParseCartID(s); return err },
		"order":       func(s string) error { _, err := ParseOrderID(s); return err },
		"return":      func(s string) error { _, err := ParseReturnID(s); return err },
		"shipment":    func(s string) error { _, err := ParseShipmentID(s); return err },
		"transaction": func(s string) error { _, err := ParseTransactionID(s); return err },
		"transfer":    func(s string) error { _, err := ParseTransferID(s); return err },
		"customer":    func(s string) error { _, err := ParseCustomerID(s); return err },
		"location":    func(s string) error { _, err := ParseLocationID(s); return err },
	}
	for name, parse := range parsers {
		for _, text := range []string{"1", "aZ09._-", strings.Repeat("x", 64)} {
			if err := parse(text); err != nil {
				t.Errorf("%s %q: %v", name, text, err)
			}
		}
		for _, text := range []string{"a b", "a/b", "a@b", "é", "a\n", ".", "..", strings.Repeat("x", 65)} {
			if err := parse(text); err == nil {
				t.Errorf("%s: %q is taken", name, text)
			}
		}
		if err := parse(""); (err == nil) != (name == "location") {
			t.Errorf("%s: empty gives %v", name, err)
		}
	}
	if got, err := ParseLocationID(""); err != nil || got != DefaultLocation {
		t.Errorf("no location is %q, %v, want the default", got, err)
	}
}

func TestParseQuantity(t *testing.T) {
	for n, valid := range map[int64]bool{-1: false, 0: false, 1: true, int64(MaxQuantity): true, int64(MaxQuantity) + 1: false} {
		if got, err := ParseQuantity(n); (err == nil) != valid || valid && int64(got) != n {
			t.Errorf("%d: %d, %v", n, got, err)
		}
	}
}

func TestFits(t *testing.T) {
	for text, want := range map[string]bool{"": true, "abc": true, "äöü": true, "a\nb": true, "abcd": false, "\xff": false, "\x00": false} {
		if got := Fits(text, 3); got != want {
			t.Errorf("%q fits 3: %v, want %v", text, got, want)
		}
	}
}

func TestParseAmount(t *testing.T) {
	for text, want := range map[string]string{
		"2.55": "2.55", "-0.01": "-0.01", "0": "0", "007": "7", "1.230000": "1.23", "-0": "0", strings.Repeat("9", 18) + ".999999": "999999999999999999.999999",
	} {
		if got, err := ParseAmount(text); err != nil || got.String() != want {
			t.Errorf("%q: %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "-", ".", "1.", ".5", "-.5", "+1", "1e5", "1E5", "0x1", "1,5", " 1", "1 ", "1.2.3", "--1", "1-", "NaN", "Inf", "½", "١",
		"1.0000001", strings.Repeat("9", 19),
	} {
		if got, err := ParseAmount(text); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}

// Every valid amount is exactly the number that its digits say.
func FuzzParseAmount(f *testing.F) {
	for _, text := range []string{"2.55", "-0.001", "000", "1e999999", "9.", "-", "١.١"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseAmount(text)
		if err != nil {
			return
		}
		want, err := decimal.NewFromString(text)
		if err != nil || !got.Equal(want) {
			t.Errorf("%q: %s, want %s, %v", text, got, want, err)
		}
		if again, err := ParseAmount(got.String()); err != nil || !again.Equal(got) {
			t.Errorf("%q: %s reads back as %s, %v", text, got, again, err)
		}
	})
}

func money(t *testing.T, amount string, code Currency) Money {
	t.Helper()
	m, err := ParseMoney(amount, string(code))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestParseMoney(t *testing.T) {
	if got := money(t, "2.550", "gbp"); got.String() != "2.55 GBP" {
		t.Errorf("got %s", got)
	}
	for _, pair := range [][2]string{{"2.55", "XXX"}, {"1e5", "GBP"}} {
		if got, err := ParseMoney(pair[0], pair[1]); err == nil {
			t.Errorf("%v is taken for %s", pair, got)
		}
	}
}

func TestAChargeIsRoundedHalfAwayFromZero(t *testing.T) {
	for _, c := range []struct {
		amount string
		code   Currency
		want   string
	}{
		{"2.554", "GBP", "2.55"},
		{"2.555", "GBP", "2.56"},
		{"2.545", "GBP", "2.55"},
		{"-2.555", "GBP", "-2.56"},
		{"-2.554999", "GBP", "-2.55"},
		{"0.005", "GBP", "0.01"},
		{"2.5", "JPY", "3"},
		{"2.4999", "JPY", "2"},
		{"2.5555", "KWD", "2.556"},
		{"1578702.172", "GBP", "1578702.17"},
	} {
		if got := money(t, c.amount, c.code).Charge(); !got.Equal(money(t, c.want, c.code)) {
			t.Errorf("%s %s is charged as %s, want %s", c.amount, c.code, got, c.want)
		}
	}
}

func TestMoneyArithmeticIsExact(t *testing.T) {
	mill := money(t, "0.001", "GBP")
	if got, want := mill.Times(541_909), money(t, "541.909", "GBP"); !got.Equal(want) {
		t.Errorf("got %s, want %s", got, want)
	}
	sum := Zero("GBP")
	for range 1000 {
		sum = sum.Plus(mill)
	}
	if got, want := sum, money(t, "1", "GBP"); !got.Equal(want) || got.Compare(want) != 0 {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := sum.Minus(money(t, "3", "GBP")); got.Sign() != -1 || !got.Negated().Equal(money(t, "2", "GBP")) {
		t.Errorf("got %s, want -2", got)
	}
	if money(t, "1", "GBP").Equal(money(t, "1", "EUR")) {
		t.Error("a pound is not a euro")
	}
}

func TestCurrenciesAreNotMixed(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("added euros to pounds")
		}
	}()
	money(t, "1", "GBP").Plus(money(t, "1", "EUR"))
}

func TestADerivedIDIsAUUIDv5OfItsNameAndParts(t *testing.T) {
	space := uuid.UUID(namespace)
	for _, parts := range [][]string{{"", ""}, {"a", "b"}, {"o1", "85123A", "main"}} {
		d := Derivation{name: "kind", parts: parts}
		want := uuid.NewSHA1(space, []byte(strings.Join(append([]string{"kind"}, parts...), "\x1f")))
		if got := d.Of(parts...).ID(); got != want.String() {
			t.Errorf("%q: %s, want %s", parts, got, want)
		}
		if got := uuid.UUID(d.Of(parts...).UUID()); got != want || got.Version() != 5 || got.Variant() != uuid.RFC4122 {
			t.Errorf("%q: %s, want %s", parts, got, want)
		}
	}
}

// Each part changes the id, and no two kinds can give the same id.
func TestDerivedIDsThatDifferInAnyPartDiffer(t *testing.T) {
	seen := map[Derived]string{}
	note := func(id Derived, of string) {
		if earlier, twice := seen[id]; twice {
			t.Errorf("%s and %s are derived alike", earlier, of)
		}
		seen[id] = of
	}
	for _, d := range Derivations() {
		values := slices.Repeat([]string{"x"}, len(d.parts))
		note(d.Of(values...), d.name)
		for i := range values {
			other := slices.Clone(values)
			other[i] = "y"
			note(d.Of(other...), d.name+" with another "+d.parts[i])
		}
		func() {
			defer func() {
				if recover() == nil && !d.open {
					t.Errorf("%s takes more parts than it has", d.name)
				}
			}()
			d.Of(append(values, "z")...)
		}()
	}
}

// Ids in old logs depend on it.
func TestTheNamespaceIsFixedForEver(t *testing.T) {
	if got, want := (Derived{"daybook"}).ID(), "5c145a2c-4428-50fc-b5c3-f545d63b9839"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The fault of a text is described in words. A line and a note differ only in line breaks.
func TestTextFaults(t *testing.T) {
	for _, test := range []struct{ text, line, note string }{
		{"", "", ""},
		{"Côte d’Ivoire", "", ""},
		{" a ", "", ""},
		{"\u0645\u0635\u0631", "", ""}, // its letters alone make it right to left
		{"a\u200db", "", ""},           // joins letters, and changes their meaning
		{"12345", "", ""},
		{"123456", "it has more than 5 characters", "it has more than 5 characters"},
		{"\xff", "it is not valid UTF-8", "it is not valid UTF-8"},
		{"  ", "it has only characters that cannot be seen", "it has only characters that cannot be seen"},
		{"\u200b", "it has only characters that cannot be seen", "it has only characters that cannot be seen"},
		{"a\nb", "character 2 is U+000A, which is not allowed here", ""},
		{"a\r\tb", "character 2 is U+000D, which is not allowed here", ""},
		{"\n", "character 1 is U+000A, which is not allowed here", "it has only characters that cannot be seen"},
		{"a\u2028b", "character 2 is U+2028, which is not allowed here", ""},
		{"a\x00", "character 2 is U+0000, which is not allowed here", "character 2 is U+0000, which is not allowed here"},
		{"ü\u0085", "character 2 is U+0085, which is not allowed here", "character 2 is U+0085, which is not allowed here"},
		{"a\u202eb", "character 2 is U+202E, which is not allowed here", "character 2 is U+202E, which is not allowed here"},
		{"a\u2066b", "character 2 is U+2066, which is not allowed here", "character 2 is U+2066, which is not allowed here"},
	} {
		limit := 5
		if len(test.text) > 8 {
			limit = 100
		}
		if got := LineFault(test.text, limit); got != test.line {
			t.Errorf("%q as a line: %q, want %q", test.text, got, test.line)
		}
		if got := TextFault(test.text, limit); got != test.note {
			t.Errorf("%q as a note: %q, want %q", test.text, got, test.note)
		}
	}
}

func TestAnAmountIsWrittenWithItsCurrencysDigits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		amount   string
		currency Currency
		want     string
	}{
		{"7.5", "GBP", "7.50"},
		{"7.50", "GBP", "7.50"},
		{"7", "GBP", "7.00"},
		{"0", "GBP", "0.00"},
		{"-12.5", "GBP", "-12.50"},
		{"0.0025", "GBP", "0.0025"},
		{"1.00500", "GBP", "1.005"},
		{"800", "JPY", "800"},
		{"800.5", "JPY", "800.5"},
		{"1.5", "KWD", "1.500"},
		{"999999999999999999.999999", "EUR", "999999999999999999.999999"},
		{"7.5", "", "7.5"},
	} {
		amount, err := ParseAmount(c.amount)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.currency.Text(amount); got != c.want {
			t.Errorf("%s of %q is written %s, want %s", c.amount, c.currency, got, c.want)
		}
	}
	if got := (Money{Amount: decimal.New(12, 3), Currency: "GBP"}).String(); got != "12000.00 GBP" {
		t.Errorf("12e3 is written %s", got)
	}
}

// The text of an amount is the amount, with at least the digits of its currency and without zeros
// beyond them.
func TestTheTextOfAnAmountKeepsItsDigits(t *testing.T) {
	t.Parallel()
	for _, value := range []int64{0, 1, -1, 5, 10, 100, 250, 1000, -1200, 123456, 999999999999999999, -100000} {
		for exponent := int32(-8); exponent <= 4; exponent++ {
			amount := decimal.New(value, exponent)
			for currency, digits := range map[Currency]int32{"GBP": 2, "JPY": 0, "KWD": 3} {
				for amount.Truncate(digits).Cmp(amount) != 0 {
					digits++
				}
				if got, want := currency.Text(amount), amount.StringFixed(digits); got != want {
					t.Errorf("%d with exponent %d in %s is %q, want %q", value, exponent, currency, got, want)
				}
			}
		}
	}
}
