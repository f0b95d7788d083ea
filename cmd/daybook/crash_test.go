package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"daybook/cmd/daybook/shoppers"
	"daybook/internal/verify"
)

// attempt is one checkout as its buyer knows it.
type attempt struct {
	cart, key string
	lines     []shoppers.Line
	pay       bool // the order is paid and confirmed with the checkout; otherwise it stays pending

	order   string // the id of the order, from the answer or from a repeated request
	refused bool   // the answer was that stock is short
}

// hasAnswer tells whether the server has answered.
func (a *attempt) hasAnswer() bool { return a.order != "" || a.refused }

const (
	crashBuyers   = 64
	crashAnswers  = 150 // checkouts answered before the server is killed
	crashRounds   = 2
	crashScarce   = 60 // units of the product that sells out
	crashPlenty   = 1_000_000
	recoveryLimit = patience
)

var crashStock = []shoppers.Product{
	{SKU: "PLENTY-A", Title: "A", Price: shoppers.Money{Amount: "1.25", Currency: "GBP"}, Opening: crashPlenty},
	{SKU: "PLENTY-B", Title: "B", Price: shoppers.Money{Amount: "2.50", Currency: "GBP"}, Opening: crashPlenty},
	{SKU: "SCARCE", Title: "C", Price: shoppers.Money{Amount: "9.99", Currency: "GBP"}, Opening: crashScarce},
}

// The program is killed twice in the middle of many checkouts, by a signal that it cannot catch. No
// acknowledged order may be lost, no stock may stay reserved for a checkout that was cut off, and a
// repeated request must get the same answer.
func TestKilledInTheMiddleOfCheckouts(t *testing.T) {
	t.Parallel()
	path := build(t)
	onEachEngine(t, func(t *testing.T, log []string) { killAmidCheckouts(t, path, log) })
}

func killAmidCheckouts(t *testing.T, path string, log []string) {
	t.Helper()
	dir := dataDir(t)
	server := startChild(t, path, dir, log...)
	client := newShopper(server.url, crashBuyers)
	if _, err := shoppers.Open(t.Context(), client, crashStock); err != nil {
		t.Fatal(err)
	}
	var attempts []*attempt
	for round := range crashRounds {
		attempts = append(attempts, buyUntilKilled(t, server, client, round)...)
		client.Close()
		server = startChild(t, path, dir, log...)
		client = newShopper(server.url, crashBuyers)
	}
	defer client.Close()
	if unknown := countIf(attempts, func(a *attempt) bool { return !a.hasAnswer() }); unknown == 0 {
		t.Error("the server was not killed in the middle of a checkout: every checkout was answered")
	}

	eventually(t, recoveryLimit, "no stock stays reserved for a checkout that was cut off", func() bool { return recovered(t, server.url) })
	for _, a := range attempts {
		if a.order != "" {
			expectOrder(t, server.url, a)
		}
	}
	askAgain(t, client, attempts)
	expectAll(t, server.url, attempts)

	if code := server.terminate(t); code != exitOK {
		t.Errorf("exit code %d, want %d", code, exitOK)
	}
	expectVerified(t, dir, log...)
}

// buyUntilKilled lets all buyers check out, and kills the server when it has
// answered so many of them.
func buyUntilKilled(t *testing.T, server *child, client *shoppers.Client, round int) []*attempt {
	t.Helper()
	var (
		mu       sync.Mutex
		attempts []*attempt
		answered atomic.Int64
		kill     sync.Once
		wait     sync.WaitGroup
	)
	for buyer := range crashBuyers {
		wait.Go(func() {
			for n := 0; ; n++ {
				a := &attempt{key: uuid.NewString(), pay: (buyer+n)%3 > 0, lines: []shoppers.Line{
					{SKU: "PLENTY-A", Quantity: 1}, {SKU: "PLENTY-B", Quantity: int64(1 + n%3)},
				}}
				if (buyer+n)%4 == 0 {
					a.lines = append(a.lines, shoppers.Line{SKU: "SCARCE", Quantity: 1})
				}
				var err error
				if a.cart, err = client.OpenCart(t.Context(), fmt.Sprintf("buyer-%d-%d", round, buyer), "GBP", "", a.lines); err != nil {
					return // the server is gone
				}
				mu.Lock()
				attempts = append(attempts, a)
				mu.Unlock()
				if !a.checkout(t, client) {
					return
				}
				if answered.Add(1) >= crashAnswers {
					kill.Do(func() { server.kill(t) })
				}
			}
		})
	}
	wait.Wait()
	return attempts
}

// checkout requests the order and notes the answer. It returns false if there was no answer.
func (a *attempt) checkout(t *testing.T, client *shoppers.Client) bool {
	t.Helper()
	order, _, err := client.Checkout(t.Context(), a.key, a.cart, a.pay)
	switch {
	case err == nil:
		a.order = order.OrderID
	case shoppers.IsShort(err):
		a.refused = true
	default:
		return false
	}
	return true
}

// recovered tells whether the read models have caught up, no checkout is under way, and every
// reservation belongs to a pending order.
func recovered(t *testing.T, base string) bool {
	t.Helper()
	for _, p := range list[struct {
		InUse bool   `json:"in_use"`
		Lag   uint64 `json:"lag"`
	}](t, base+"/v1/projections?") {
		if p.InUse && p.Lag > 0 {
			return false
		}
	}
	if len(list[struct{}](t, base+"/v1/carts?status=completing&limit=500")) > 0 {
		return false
	}
	pending := map[string]bool{}
	for _, o := range list[orderRow](t, base+"/v1/orders?status=pending&limit=500") {
		pending[o.OrderID] = true
	}
	return !slices.ContainsFunc(list[promise](t, base+"/v1/reservations?limit=500"), func(p promise) bool { return !pending[p.OrderID] })
}

type orderRow struct {
	OrderID      string `json:"order_id"`
	Status       string `json:"status"`
	PaymentState string `json:"payment_state"`
	CartID       string `json:"cart_id"`
	Units        int64  `json:"units"`
}

type promise struct {
	SKU      string `json:"sku"`
	OrderID  string `json:"order_id"`
	Quantity int64  `json:"quantity"`
}

// expectOrder fails unless an order is as its buyer was told.
func expectOrder(t *testing.T, base string, a *attempt) {
	t.Helper()
	got := get[orderRow](t, base+"/v1/orders/"+url.PathEscape(a.order))
	want := orderRow{OrderID: a.order, Status: "pending", PaymentState: "unpaid", CartID: a.cart, Units: a.units("")}
	if a.pay {
		want.Status, want.PaymentState = "confirmed", "paid"
	}
	if got != want {
		t.Errorf("order %+v, want %+v", got, want)
	}
}

// units is the number of units of a SKU in the attempt, or of all SKUs if sku is "".
func (a *attempt) units(sku string) (sum int64) {
	for _, line := range a.lines {
		if sku == "" || line.SKU == sku {
			sum += line.Quantity
		}
	}
	return sum
}

// askAgain repeats every checkout under its key. A checkout that was answered gets the same answer
// again. A checkout that was not answered gets an answer now.
func askAgain(t *testing.T, client *shoppers.Client, attempts []*attempt) {
	t.Helper()
	for _, a := range attempts {
		before, known := *a, a.hasAnswer()
		a.order, a.refused = "", false
		order, reply, err := client.Checkout(t.Context(), a.key, a.cart, a.pay)
		switch {
		case shoppers.IsShort(err):
			a.refused = true
		case err != nil:
			t.Fatalf("asking again: %v", err)
		default:
			a.order = order.OrderID
		}
		if known && (a.order != before.order || a.refused != before.refused) {
			t.Errorf("asked again, order %q refused %t; was order %q refused %t", a.order, a.refused, before.order, before.refused)
		}
		if known && err == nil && !reply.Replayed {
			t.Errorf("order %s was answered again without saying that it was there before", a.order)
		}
	}
}

// expectAll fails unless there is one order for each attempt that got one and no other order, and
// stock is promised for exactly these orders.
func expectAll(t *testing.T, base string, attempts []*attempt) {
	t.Helper()
	eventually(t, recoveryLimit, "the answers just given show, and all is settled", func() bool {
		return recovered(t, base) && len(list[orderRow](t, base+"/v1/orders?status=confirmed&limit=500")) ==
			countIf(attempts, func(a *attempt) bool { return a.order != "" && a.pay })
	})
	byCart := map[string]*attempt{}
	for _, a := range attempts {
		byCart[a.cart] = a
	}
	orders := list[orderRow](t, base+"/v1/orders?limit=500")
	for _, o := range orders {
		if a := byCart[o.CartID]; a == nil || a.order != o.OrderID {
			t.Errorf("order %s of cart %s belongs to no buyer", o.OrderID, o.CartID)
		}
	}
	if want := countIf(attempts, func(a *attempt) bool { return a.order != "" }); len(orders) != want {
		t.Errorf("%d orders, want %d", len(orders), want)
	}
	for _, a := range attempts {
		if a.order != "" {
			expectOrder(t, base, a)
		}
	}
	for _, p := range crashStock {
		var reserved, allocated int64
		for _, a := range attempts {
			switch {
			case a.order == "":
			case a.pay:
				allocated += a.units(p.SKU)
			default:
				reserved += a.units(p.SKU)
			}
		}
		got := get[shoppers.Stock](t, base+"/v1/stock/"+p.SKU+"/main")
		want := shoppers.Stock{OnHand: p.Opening, Reserved: reserved, Allocated: allocated, Available: p.Opening - reserved - allocated}
		if got != want || got.Available < 0 {
			t.Errorf("%s: %+v, want %+v, none below zero", p.SKU, got, want)
		}
	}
}

// expectVerified folds the whole log of a server that has stopped, and compares
// the read models with it.
func expectVerified(t *testing.T, dir string, flags ...string) {
	t.Helper()
	got := call(t, nil, append([]string{"verify", "--data", dir, "--json"}, flags...)...)
	var report verify.Report
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatalf("verify: exit code %d, %v: %s", got.code, err, got.stderr)
	}
	for _, check := range report.Checks {
		if check.Differences > 0 {
			t.Errorf("verify: %s: %d differences: %s", check.Name, check.Differences, strings.Join(check.First, "; "))
		}
	}
	if got.code != exitOK || report.Events == 0 {
		t.Errorf("verify: exit code %d, %d events: %s", got.code, report.Events, got.stderr)
	}
}

func countIf(attempts []*attempt, is func(*attempt) bool) (n int) {
	for _, a := range attempts {
		if is(a) {
			n++
		}
	}
	return n
}
