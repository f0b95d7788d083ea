package payment

import (
	"strings"
	"testing"

	"daybook/domain/decidertest"
)

var paymentsOf = decidertest.Decider[Command, Event, State]{Decide: Decide, Evolve: Evolve}

func rows(testing.TB) map[string]decidertest.Case[Command, Event] {
	claimed := Claimed{OrderID: "o1"}
	return map[string]decidertest.Case[Command, Event]{
		"an order claims a payment":       {When: Claim{OrderID: "o1"}, Then: []Event{claimed}},
		"it claims it once":               {Given: []Event{claimed}, When: Claim{OrderID: "o1"}, Nothing: true},
		"another order does not get it":   {Given: []Event{claimed}, When: Claim{OrderID: "o2"}, Refused: ErrClaimed},
		"not even after a second attempt": {Given: []Event{claimed, claimed}, When: Claim{OrderID: "o2"}, Refused: ErrClaimed},
	}
}

func TestPayment(t *testing.T) { paymentsOf.Run(t, rows(t)) }

func TestEveryRefusalHasARow(t *testing.T) { paymentsOf.EveryRefusalHasARow(t, Rejections, rows(t)) }

func TestWireForm(t *testing.T) {
	decidertest.Codec[Event]{Encode: Encode, Decode: Decode}.Golden(t, []Event{Claimed{OrderID: "o1"}})
}

// Providers write their numbers in any form, and upper and lower case differ.
func TestEachPaymentHasAStreamOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, of := range [][2]string{{"stripe", "pi_1"}, {"stripe", "PI_1"}, {"stripe", "pi_2"}, {"adyen", "pi_1"}, {"stripep", "i_1"}} {
		stream := Stream(of[0], of[1])
		if seen[stream] || strings.Contains(stream, of[1]) {
			t.Errorf("%v shares the stream %s, or the name shows the number", of, stream)
		}
		seen[stream] = true
	}
}
