package commandapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"daybook/commands"
	"daybook/domain/order"
	"daybook/eventstore"
	"daybook/internal/verify"
)

// verify checks the whole log. Each difference is an error of the test.
func (s *shop) verify(when string) {
	s.t.Helper()
	report, err := verify.Run(s.t.Context(), verify.Config{Store: s.store, Now: time.Now()})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, check := range report.Checks {
		for _, words := range check.First {
			s.t.Errorf("%s, verify: %s: %s", when, check.Name, words)
		}
	}
}

// order places an order of MUGs under an id, and confirms it if confirm is set.
func (s *shop) order(id string, quantity int, confirm bool) {
	s.t.Helper()
	name, value := key()
	s.must("POST", "/v1/carts/"+s.cart("MUG", quantity)+"/checkout", fmt.Sprintf(`{"order_id":%q,"payment":{},"confirm":%t}`, id, confirm), name, value)
}

// directly has the direct stock commands that could change something of order o-1: its reservation
// while it is pending, its allocation after it is confirmed, or its return r-1.
var directly = map[string]struct {
	method, path, body string // %s is the reservation
	live               string // pending, confirmed or returned
	forced             string // the body or query that forces the command; empty if it cannot be forced
}{
	"release-reservation": {method: "DELETE", path: "/reservations/%s", live: "pending", forced: "?force=true&reason=counter"},
	"extend-reservation": {
		method: "PATCH", path: "/reservations/%s", body: `{"hold_seconds":7200}`, live: "pending",
		forced: `{"hold_seconds":7200,"force":true,"reason":"counter"}`,
	},
	"commit-reservation": {method: "POST", path: "/reservations/%s/commit", live: "pending"},
	"reserve-stock":      {method: "POST", path: "/reservations", body: `{"order_id":"o-1","reservation_id":"%s","quantity":3,"hold_seconds":60}`, live: "pending"},
	"allocate-stock":     {method: "POST", path: "/allocations", body: `{"order_id":"o-1","quantity":5}`, live: "confirmed"},
	"deallocate-stock": {
		method: "POST", path: "/deallocations", body: `{"order_id":"o-1","quantity":2}`, live: "confirmed",
		forced: `{"order_id":"o-1","quantity":2,"force":true,"reason":"counter"}`,
	},
	"ship-stock": {
		method: "POST", path: "/shipments", body: `{"order_id":"o-1","shipment_id":"p","quantity":2,"force":true}`, live: "confirmed",
		forced: `{"order_id":"o-1","shipment_id":"p","quantity":2,"force":true,"reason":"counter"}`,
	},
	"return-stock": {
		method: "POST", path: "/returns", body: `{"return_id":"r-1","receipt":1,"quantity":2,"condition":"available"}`, live: "returned",
		forced: `{"return_id":"r-1","receipt":1,"quantity":2,"condition":"available","force":true,"reason":"counter"}`,
	},
}

// A direct command is refused if it would change what belongs to an order. If it is forced, its
// reason is recorded. The order then recovers by itself or by retry-allocation, and it is shipped.
// Verify finds no difference at any step.
func TestADirectCommandLeavesWhatBelongsToAnOrder(t *testing.T) {
	t.Parallel()
	for name, test := range directly {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.sell("MUG", 10)
			s.order("o-1", 3, test.live != "pending")
			if test.live == "returned" {
				header, value := key()
				s.must("POST", "/v1/orders/o-1/shipments", `{"shipment_id":"p-1"}`, header, value)
				s.must("POST", "/v1/returns", `{"return_id":"r-1","order_id":"o-1","lines":[{"order_line":1,"quantity":2}]}`)
				s.must("POST", "/v1/returns/r-1/approve", "")
			}
			head, err := s.store.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			fill := func(text string) string {
				for id := range s.stock("MUG").Reservations {
					text = strings.ReplaceAll(text, "%s", string(id))
				}
				return text
			}
			path := "/v1/stock/MUG/main" + fill(test.path)
			header, value := key()
			got := s.ask(test.method, path, fill(test.body), header, value)
			got.problem(t, 409, "stock-belongs-to-order")
			if got.at("forcible") != (test.forced != "") {
				t.Errorf("refusal %s, want it to say whether it can be forced", got.text)
			}
			if now, err := s.store.Head(t.Context()); err != nil || now != head {
				t.Errorf("the refusal recorded something: log at %s, %v, was at %s", now, err, head)
			}
			if test.forced == "" {
				s.finish(test.live)
				return
			}
			header, value = key()
			if strings.HasPrefix(test.forced, "?") {
				s.ask(test.method, path+"?force=true", "", header, value).problem(t, 422, "request-invalid")
				s.must(test.method, path+test.forced, "", header, value)
			} else {
				s.must(test.method, path, test.forced, header, value)
			}
			if !strings.Contains(s.lastEvent(), `"override":"counter"`) {
				t.Errorf("the last event is %s, want the reason in it", s.lastEvent())
			}
			s.verify("after the forced command")
			s.finish(test.live)
		})
	}
}

// lastEvent is the JSON of the log's last event.
func (s *shop) lastEvent() (data string) {
	s.t.Helper()
	for recorded, err := range s.store.ReadAll(s.t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			s.t.Fatal(err)
		}
		data = string(recorded.Data)
	}
	return data
}

// finish completes order o-1, or its return.
func (s *shop) finish(live string) {
	s.t.Helper()
	if live == "returned" {
		header, value := key()
		s.must("POST", "/v1/returns/r-1/receipts", `{"lines":[{"line":1,"quantity":2,"disposition":"restocked"}]}`, header, value)
		s.verify("after the receipt")
		return
	}
	if live == "pending" {
		s.must("POST", "/v1/orders/o-1/confirm", "")
		s.verify("after the confirmation")
	}
	header, value := key()
	s.must("POST", "/v1/orders/o-1/retry-allocation", "", header, value)
	s.verify("after the retry")
	header, value = key()
	shipped := s.must("POST", "/v1/orders/o-1/shipments", `{"shipment_id":"p-1"}`, header, value)
	if shipped.at("order", "fulfillment_state") != "fulfilled" {
		s.t.Errorf("order %s, want it shipped", shipped.text)
	}
	s.verify("after the shipment")
	if now := s.stock("MUG"); now.Allocated() != 0 || now.Reserved(time.Now()) != 0 {
		s.t.Errorf("%d allocated, %d reserved at the end", now.Allocated(), now.Reserved(time.Now()))
	}
}

// The table has every command on a stock, except those that have nothing to do with orders.
func TestEveryStockRouteIsTriedOnALiveOrder(t *testing.T) {
	t.Parallel()
	notOfOrders := "receive-stock adjust-stock count-stock move-stock transfer-stock-out transfer-stock-in set-stock-policy expire-reservations"
	paths := commandsOf(open(t).must("GET", "/openapi.json", ""))
	for path, methods := range paths {
		if !strings.HasPrefix(path, "/v1/stock/") {
			continue
		}
		for _, value := range methods.(map[string]any) {
			id, _ := value.(map[string]any)["operationId"].(string)
			if _, tried := directly[id]; tried == strings.Contains(notOfOrders, id) {
				t.Errorf("%s: tried on a live order %t", id, tried)
			}
		}
	}
}

// A retry tells what it did.
func TestARetryTellsWhatItDid(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 5)
	s.order("o-1", 3, true)
	retry := func() response {
		header, value := key()
		got := s.must("POST", "/v1/orders/o-1/retry-allocation", "", header, value)
		s.verify("after a retry")
		return got
	}
	take := func(units int) {
		header, value := key()
		s.must("POST", "/v1/stock/MUG/main/deallocations", fmt.Sprintf(`{"order_id":"o-1","quantity":%d,"force":true,"reason":"counter"}`, units), header, value)
		s.verify("after a promise was taken")
	}
	if got := retry(); got.at("retry", "outcome") != "nothing_to_do" || got.at("order", "order_id") != "o-1" {
		t.Errorf("answer %s, want that nothing was to do", got.text)
	}
	take(2)
	header, value := key()
	s.ask("POST", "/v1/orders/o-1/shipments", `{"shipment_id":"p-1"}`, header, value).problem(t, 409, "stock-not-allocated")
	got := retry()
	if got.at("retry", "outcome") != "allocated" || got.at("retry", "lost", 0, "quantity") != 2.0 || s.stock("MUG").Allocated() != 3 {
		t.Errorf("answer %s, %d allocated; want 2 found lost and 3 allocated", got.text, s.stock("MUG").Allocated())
	}
	take(3)
	header, value = key()
	s.must("POST", "/v1/stock/MUG/main/adjustments", `{"change":-4,"reason":"shrinkage"}`, header, value)
	got = retry()
	if got.at("retry", "outcome") != "canceled" || got.at("retry", "shortages", 0, "available") != 1.0 || got.at("order", "status") != "canceled" {
		t.Errorf("answer %s, want the order canceled by the shop's remedy, and the shortage", got.text)
	}
}

// With the remedy backorder, the order waits for the units that a retry did not find.
func TestARetryThatIsShortWaits(t *testing.T) {
	t.Parallel()
	s := open(t)
	policy := commands.DefaultPolicy()
	policy.Remedy = order.RemedyBackorder
	s = s.withPolicy(policy)
	s.sell("MUG", 3)
	s.order("o-1", 3, true)
	header, value := key()
	s.must("POST", "/v1/stock/MUG/main/deallocations", `{"order_id":"o-1","quantity":2,"force":true,"reason":"counter"}`, header, value)
	header, value = key()
	s.must("POST", "/v1/stock/MUG/main/adjustments", `{"change":-1,"reason":"shrinkage"}`, header, value)
	for i, want := range []string{"short", "short", "allocated", "nothing_to_do"} {
		if i == 2 {
			s.receive("MUG", 1)
		}
		header, value = key()
		got := s.must("POST", "/v1/orders/o-1/retry-allocation", "", header, value)
		if got.at("retry", "outcome") != want || want == "short" && got.at("retry", "shortages", 0, "available") != 1.0 {
			t.Errorf("answer %s, want %s", got.text, want)
		}
		s.verify("after a retry")
		if s.answers.count(value) == 0 && want != "nothing_to_do" {
			t.Errorf("the answer %s is not kept", want)
		}
	}
}
