package unit_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/shopspring/decimal"

	"daybook/domain/unit"
)

// TestSmallAmountsAreLikeAllOthers compares the shortcuts for amounts of few digits with the
// library, which has none.
func TestSmallAmountsAreLikeAllOthers(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	currencies := []unit.Currency{"GBP", "JPY", "BHD"}
	draw := func() decimal.Decimal {
		coefficient := random.Int64() >> random.IntN(64)
		switch random.IntN(4) {
		case 0:
			coefficient = -coefficient
		case 1:
			coefficient *= 100 // trailing zeros
		}
		return decimal.New(coefficient, int32(random.IntN(26)-22))
	}
	for range 200_000 {
		currency := currencies[random.IntN(len(currencies))]
		a, b := unit.Money{Amount: draw(), Currency: currency}, unit.Money{Amount: draw(), Currency: currency}
		if random.IntN(3) == 0 {
			b.Amount = decimal.RequireFromString(a.Amount.String()) // equal, with other digits
		}
		if got, want := a.Compare(b), a.Amount.Cmp(b.Amount); got != want || a.Equal(b) != (want == 0) {
			t.Fatalf("%s to %s: %d, want %d", a.Amount, b.Amount, got, want)
		}
		if got, want := a.Plus(b).Amount, a.Amount.Add(b.Amount); got.String() != want.String() || got.Exponent() != want.Exponent() {
			t.Fatalf("%s plus %s is %#v, want %#v", a.Amount, b.Amount, got, want)
		}
		if got, want := a.Minus(b).Amount, a.Amount.Sub(b.Amount); got.String() != want.String() || got.Exponent() != want.Exponent() {
			t.Fatalf("%s minus %s is %#v, want %#v", a.Amount, b.Amount, got, want)
		}
		units := unit.Quantity(random.Int64() >> random.IntN(64))
		if got, want := a.Times(units).Amount, a.Amount.Mul(decimal.NewFromInt(int64(units))); got.String() != want.String() {
			t.Fatalf("%s times %d is %s, want %s", a.Amount, units, got, want)
		}
		if got, want := a.Charge().Amount, a.Amount.Round(currency.Digits()); got.String() != want.String() {
			t.Fatalf("%s in whole units is %s, want %s", a, got, want)
		}
		if got, want := string(a.AppendAmount([]byte("x"))), "x"+a.Amount.String(); got != want {
			t.Fatalf("%#v is written %s, want %s", a.Amount, got, want)
		}
		if got, want := a.TooFine(), !a.Amount.Round(currency.Digits()).Equal(a.Amount); got != want {
			t.Fatalf("%s: too fine %t, want %t", a, got, want)
		}
		shifted := a.Amount.Mul(decimal.New(1, currency.Digits()))
		want, possible := shifted.IntPart(), shifted.IsInteger() && shifted.Abs().LessThanOrEqual(decimal.NewFromInt(unit.MaxMinor))
		if got, ok := a.Minor(); ok != possible || ok && got != want {
			t.Fatalf("%s is %d minor units, %t; want %d, %t", a, got, ok, want, possible)
		}
	}
}

func ExampleMoney_AppendAmount() {
	m, err := unit.ParseMoney("-0.050", "GBP")
	fmt.Println(string(m.AppendAmount(nil)), err)
	// Output: -0.05 <nil>
}
