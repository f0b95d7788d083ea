package main

import (
	"net/http"
	"strings"
	"testing"
)

// The texts of a guest whose cart and order were not changed for the time of --retain-guests are
// erased, in the program's own name. An order that is not finished keeps them, and so does a
// customer.
func TestGuestsAreErasedAfterTheirTime(t *testing.T) {
	t.Parallel()
	file := writeMasterKey(t)
	s := openPrivate(t, "--master-key-file", file, "--retain-guests", "1s")
	pool := poolOf(t, s.database)
	s.tellOf("dave")()
	for _, id := range []string{"gone", "buys"} {
		s.must(s.admin, http.MethodPost, "/v1/carts", `{"cart_id":"`+id+`","currency":"GBP","lines":[{"sku":"MUG","quantity":2}]}`)
	}
	s.must(s.admin, http.MethodPost, "/v1/carts/buys/checkout", `{"order_id":"buys"}`, "Idempotency-Key", "c")
	s.must(s.admin, http.MethodPost, "/v1/orders/buys/cancel", `{"lines":[{"line":1,"quantity":1}],"reason":"`+mark+`buys"}`, "Idempotency-Key", "l")
	s.must(s.admin, http.MethodPost, "/v1/carts/gone/abandon", `{"reason":"`+mark+`gone"}`)
	eventually(t, recoveryLimit, "the guest is erased", func() bool { return liveKeys(t, pool, "cart:gone") == 0 })
	aMinuteLater(t, pool)
	eventually(t, recoveryLimit, "no copy is left", func() bool { return len(marksIn(dump(t, pool), "gone")) == 0 })
	events := s.must(s.admin, http.MethodGet, "/v1/events?limit=500", "")
	for _, line := range strings.Split(events, "\n") {
		if strings.Contains(line, "subject.erased.v1") && (!strings.Contains(line, "system:retention") || !strings.Contains(line, `"reason":"retention"`)) {
			t.Errorf("the erasure has another actor or reason: %s", line)
		}
	}
	if !strings.Contains(events, "subject.erased.v1") {
		t.Error("no erasure is in the log")
	}
	if liveKeys(t, pool, "cart:buys") == 0 || liveKeys(t, pool, "customer:dave") == 0 {
		t.Error("the texts of an open order, or of a customer, were erased")
	}
	s.must(s.admin, http.MethodPost, "/v1/orders/buys/cancel", `{"reason":"`+mark+`buys"}`, "Idempotency-Key", "a")
	eventually(t, recoveryLimit, "the guest is erased after the order has ended", func() bool { return liveKeys(t, pool, "cart:buys") == 0 })
	verified(t, "--database-url", s.database, "--master-key-file", file)
}
