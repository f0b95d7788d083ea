package commandapi_test

import (
	"testing"

	"daybook/domain/unit"
)

// In JSON, 5 and 5.0 are the same number, and some programs write 1000 as 1e3.
func TestAQuantityMayBeWrittenAsAnyWholeNumber(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 0)
	for text, want := range map[string]unit.Quantity{"5.0": 5, "1e3": 1000, "70e-1": 7} {
		name, value := key()
		before := s.stock("MUG").OnHand()
		s.must("POST", "/v1/stock/MUG/main/receipts", `{ "quantity" : `+text+`, "document":"PO \"1\"" }`, name, value)
		if after := s.stock("MUG").OnHand(); after != before+want {
			t.Errorf("%s of %v units make %v", text, before, after)
		}
		if again := s.must("POST", "/v1/stock/MUG/main/receipts", `{ "quantity" : `+text+`, "document":"PO \"1\"" }`, name, value); again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s: the same request is not known again: %s", text, again.text)
		}
	}
}
