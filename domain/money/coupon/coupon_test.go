package coupon

import (
	"strings"
	"testing"

	"daybook/domain/decidertest"
)

var coupons = decidertest.Decider[Command, Event, State]{Decide: Decide, Evolve: Evolve}

type row = decidertest.Case[Command, Event]

func rows(testing.TB) map[string]row {
	given := Given{Code: "SPRING10", Promotion: "spring"}
	return map[string]row{
		"a code is given":                                   {When: Give{Code: "SPRING10", Promotion: "spring"}, Then: []Event{given}},
		"it is given once":                                  {Given: []Event{given}, When: Give{Code: "SPRING10", Promotion: "spring"}, Nothing: true},
		"another promotion does not get it":                 {Given: []Event{given}, When: Give{Code: "SPRING10", Promotion: "summer"}, Refused: ErrTaken.With("", map[string]any{"code": "SPRING10", "promotion_id": "spring"})},
		"not even if a third one has ended":                 {Given: []Event{given}, When: Give{Code: "SPRING10", Promotion: "summer", Ended: "winter"}, Refused: ErrTaken},
		"another promotion gets it after the end":           {Given: []Event{given}, When: Give{Code: "SPRING10", Promotion: "summer", Ended: "spring"}, Then: []Event{Given{"SPRING10", "summer"}}},
		"another promotion gets it after it was withdrawn":  {Given: []Event{given, Withdrawn(given)}, When: Give{Code: "SPRING10", Promotion: "summer"}, Then: []Event{Given{"SPRING10", "summer"}}},
		"a code is withdrawn":                               {Given: []Event{given}, When: Withdraw{Code: "SPRING10", Promotion: "spring"}, Then: []Event{Withdrawn(given)}},
		"it is withdrawn once":                              {Given: []Event{given, Withdrawn(given)}, When: Withdraw{Code: "SPRING10", Promotion: "spring"}, Nothing: true},
		"a promotion withdraws no code of another":          {Given: []Event{given}, When: Withdraw{Code: "SPRING10", Promotion: "summer"}, Nothing: true},
		"a code is given in the form in which it is stored": {When: Give{Code: "spring-10", Promotion: "spring"}, Refused: ErrInvalid},
	}
}

func TestCoupon(t *testing.T) { coupons.Run(t, rows(t)) }

func TestEveryRefusalHasARow(t *testing.T) { coupons.EveryRefusalHasARow(t, Rejections, rows(t)) }

func TestEveryTextIsChecked(t *testing.T) {
	coupons.EveryTextIsChecked(t, map[string]string{
		"Give.Ended":         "it is compared with a recorded name, and never recorded",
		"Withdraw.Code":      "the recorded code is recorded again",
		"Withdraw.Promotion": "it is compared with a recorded name",
	}, rows(t))
}

func TestWireForm(t *testing.T) {
	decidertest.Codec[Event]{Encode: Encode, Decode: Decode}.Golden(t, []Event{Given{"SPRING10", "spring"}, Withdrawn{"SPRING10", "spring"}})
}

func TestFold(t *testing.T) {
	for given, want := range map[string]string{
		" spring-10 ": "SPRING10", "SPRING 10": "SPRING10", "a_b.c": "A_B.C",
		"": "", "-": "", "é": "", "a@b": "", "a\x00": "", strings.Repeat("A", 65): "",
	} {
		got, err := Fold(given)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", given, got, err, want)
		}
		if again, _ := Fold(got); got != "" && again != got {
			t.Errorf("%q is folded to %q, and that to %q", given, got, again)
		}
	}
	if Stream("A") == Stream("B") || strings.Contains(Stream("SPRING10"), "SPRING10") {
		t.Error("two codes share a stream, or the name shows the code")
	}
}
