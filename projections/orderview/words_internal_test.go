package orderview

import (
	"strings"
	"testing"

	"daybook/domain/order"
	"daybook/domain/returns"
)

// The time of an event is kept under the same word for each version of its type.
func TestEachVersionOfAnEventHasOneWord(t *testing.T) {
	versions := map[string]int{}
	for _, eventType := range append(order.Types(), returns.Types()...) {
		parts := strings.Split(eventType, ".")
		if got := wordOf(eventType); len(parts) != 3 || got != parts[1] {
			t.Errorf("%s: %q", eventType, got)
		}
		versions[parts[0]+"."+parts[1]]++
	}
	if versions["order.confirmed"] < 2 {
		t.Error("no event has two versions, so the test shows nothing")
	}
	if key := timeKey("order.confirmed.v2", order.Confirmed{Allocated: true}); key != "confirmed" {
		t.Errorf("the time of an order that is confirmed at once is kept as %q", key)
	}
}
