package readapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/problem"
)

func TestWhatWasWrittenIsRead(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	written := s.buy("o-1", "jane", "MUG", 3)

	order := s.at(written, "/v1/orders/o-1")
	if order.value("status") != "confirmed" || order.value("lines", 0, "sku") != "MUG" || order.value("total", "amount") != "7.50" {
		t.Errorf("order %s", order.text)
	}
	if order.value("timeline", 0, "actor") != "customer:jane" {
		t.Errorf("timeline %v, want who did it", order.value("timeline"))
	}
	if revision := order.value("revision"); !strings.HasPrefix(order.header.Get("ETag"), fmt.Sprintf(`"%v.`, revision)) {
		t.Errorf("ETag %s at revision %v", order.header.Get("ETag"), revision)
	}
	if reflected, err := eventstore.ParsePosition(order.header.Get("Daybook-Position")); err != nil || reflected.Before(written) {
		t.Errorf("position %s, %v, want %s or later", order.header.Get("Daybook-Position"), err, written)
	}
	s.untilReady()
	for path, want := range map[string][]any{
		"/v1/orders?customer_id=jane&status=confirmed&sku=mug": {"items", 0, "order_id", "o-1"},
		"/v1/orders?reference=ref-o-1":                         {"items", 0, "order_id", "o-1"},
		"/v1/orders?status=canceled":                           {"items", 0, nil},
		"/v1/customers/jane/orders":                            {"items", 0, "order_id", "o-1"},
		"/v1/customers/jane":                                   {"totals", 0, "amount", "amount", "7.50"},
		"/v1/customers?currency=gbp":                           {"items", 0, "customer_id", "jane"},
		"/v1/stock/mug/main":                                   {"allocated", 3.0},
		"/v1/stock/MUG":                                        {"items", 0, "available", 7.0},
		"/v1/stock?sku_prefix=mu":                              {"items", 0, "on_hand", 10.0},
		"/v1/stock/MUG/main/movements?kind=received,shipped":   {"items", 0, "quantity", 10.0},
		"/v1/stock/MUG/main/movements?sort=revision":           {"items", 0, "kind", "received"},
		"/v1/allocations?order_id=o-1":                         {"items", 0, "quantity", 3.0},
		"/v1/reservations?order_id=o-1":                        {"items", 0, nil},
		"/v1/reorder-alerts":                                   {"items", 0, nil},
		"/v1/carts/cart-of-o-1":                                {"status", "completed"},
		"/v1/carts?status=completed":                           {"items", 0, "order_id", "o-1"},
		"/v1/products/mug":                                     {"prices", 0, "amount", "2.50"},
		"/v1/products?q=mug&status=on_sale":                    {"items", 0, "title", "A MUG"},
		"/v1/sales?by=country,kind":                            {"items", 0, "amount", "amount", "7.50"},
		"/v1/sales?by=sku":                                     {"items", 0, "sku", "MUG"},
		"/v1/sales/documents?kind=sale":                        {"items", 0, "reference", "ref-o-1"},
		"/v1/returns?order_id=o-1":                             {"items", 0, nil},
		"/v1/projections":                                      {"items", 0, "in_use", true},
		"/livez":                                               {"status", "alive"},
		"/readyz":                                              {"status", "ready"},
	} {
		var got response
		if strings.HasPrefix(path, "/v1/projections") || !strings.HasPrefix(path, "/v1/") {
			got = s.get(path)
		} else {
			got = s.at(written, path)
		}
		if value := got.value(want[:len(want)-1]...); value != want[len(want)-1] {
			t.Errorf("%s: %v is %v, want %v in %s", path, want[:len(want)-1], value, want[len(want)-1], got.text)
		}
	}
}

func TestAReadCanAskForAPosition(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 10)
	head, err := s.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	beyond, _ := head.Pair()
	got := s.get("/v1/orders", "Daybook-Min-Position", eventstore.At(beyond+1).String(), "Prefer", "wait=0")
	got.problem(t, 503, problem.CodePositionNotYet)
	if got.header.Get("Retry-After") == "" || got.value("position") == nil || got.value("wanted") != eventstore.At(beyond+1).String() {
		t.Errorf("answer %s, want it to say how far it is", got.text)
	}
	for _, wrong := range []string{"soon", "1/2", "1/2/3"} { // this log has positions of one number
		got := s.get("/v1/orders", "Daybook-Min-Position", wrong, "Prefer", "wait=0")
		got.problem(t, 422, problem.CodeInvalid)
		if name := got.value("errors", 0, "parameter"); name != "Daybook-Min-Position" {
			t.Errorf("%s: answer %s, want it to name the header", wrong, got.text)
		}
	}
	s.get("/v1/orders", "Daybook-Min-Position", "1", "Prefer", "wait=long").problem(t, 422, problem.CodeInvalid)

	answered := make(chan response, 1)
	go func() {
		answered <- s.get("/v1/stock/CUP/main", "Daybook-Min-Position", eventstore.At(beyond+3).String(), "Prefer", "respond-async, wait=10")
	}()
	s.sell("CUP", 4) // three events
	if got := <-answered; got.value("on_hand") != 4.0 {
		t.Errorf("answer %d %s, want the stock it waited for", got.status, got.text)
	}
}

func TestPagesAreWalkedWithoutGapsOrDoubles(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 1000)
	const count = 23
	var written eventstore.Position
	var want []string
	for i := range count {
		id := fmt.Sprintf("o-%02d", i)
		want = append(want, id)
		written = s.buy(unit.OrderID(id), "jane", "MUG", 1)
	}
	for _, list := range []string{"/v1/orders?sort=placed_at", "/v1/orders?sort=-placed_at", "/v1/customers/jane/orders", "/v1/carts?status=completed"} {
		joint := "&"
		if !strings.Contains(list, "?") {
			joint = "?"
		}
		var got []string
		for cursor, pages := "", 0; ; pages++ {
			page := s.at(written, strings.TrimSuffix(list+joint+"limit=5&cursor="+cursor, "&cursor="))
			items, _ := page.value("items").([]any)
			for i := range items {
				got = append(got, fmt.Sprint(page.value("items", i, "order_id")))
			}
			next, _ := page.value("next").(string)
			if cursor = next; cursor == "" {
				if pages != 4 {
					t.Errorf("%s: %d pages follow the first, want 4", list, pages)
				}
				break
			}
		}
		if strings.Contains(list, "sort=placed_at") && !slices.Equal(got, want) {
			t.Errorf("%s: %v, want them as placed", list, got)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want each once", list, got)
		}
	}
	s.get("/v1/orders?cursor=nonsense").problem(t, 422, problem.CodeInvalid)
	s.get("/v1/orders?limit=501").problem(t, 422, problem.CodeInvalid)
}

// Totals have no pages. So a request whose answer would be too long is refused, and the refusal
// says what helps.
func TestTotalsThatWouldBeTooManyAreRefused(t *testing.T) {
	t.Parallel()
	s := open(t)
	if _, err := s.Pool.Exec(s.Context(), `INSERT INTO read.sales_skus (day, sku, kind, country, channel, currency, lines, units, amount)
		SELECT date '2020-01-01' + n % 100, 'S' || n, 'sale', '', 'web', 'GBP', 1, 1, 1 FROM generate_series(1, 10001) AS n`); err != nil {
		t.Fatal(err)
	}
	refused := s.get("/v1/sales?by=day,sku")
	refused.problem(t, 422, problem.CodeInvalid)
	if !strings.Contains(refused.text, "more than 10000 totals") || len(refused.text) > 1000 {
		t.Errorf("answer %.300s", refused.text)
	}
	if got := s.get("/v1/sales?by=day,sku&to=2020-04-08"); got.status != 200 || len(got.value("items").([]any)) != 9901 {
		t.Errorf("of fewer days: answer %d %.300s", got.status, got.text)
	}
}

func TestAMissingThingIsNotFound(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, path := range []string{
		"/v1/orders/none", "/v1/returns/none", "/v1/stock/NONE/main", "/v1/carts/none", "/v1/products/NONE", "/v1/customers/none",
		"/v1/streams/order-none", "/v1/stock/NONE/main/movements",
	} {
		got := s.get(path)
		got.problem(t, 404, problem.CodeNotFound)
		whose := "read model"
		if strings.HasPrefix(path, "/v1/streams/") {
			whose = "log"
		}
		if detail, _ := got.value("detail").(string); !strings.Contains(detail, whose) {
			t.Errorf("%s: %q, want it to say that the %s does not have it", path, detail, whose)
		}
	}
	for _, path := range []string{
		"/v1/orders?status=lost", "/v1/orders?from=yesterday", "/v1/sales?by=weather", "/v1/sales?from=2011-13-45", "/v1/customers",
		"/v1/orders?customer_id=%00", "/v1/orders?customer_id=%ff", "/v1/orders/%00", "/v1/sales?from=0000-01-01", "/v1/events?after=x", "/v1/events/live?after=x", "/v1/orders?colour=red",
	} {
		s.get(path).problem(t, 422, problem.CodeInvalid)
	}
}

func TestASKUWithASlashIsRead(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("GIFT A/B", 2)
	head, err := s.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := s.at(head, "/v1/stock/gift%20a%2Fb/main"); got.value("on_hand") != 2.0 {
		t.Errorf("stock %s", got.text)
	}
}

func TestReadinessFollowsTheReadModels(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.untilReady()
	if _, err := s.Pool.Exec(t.Context(), `UPDATE projections.builds SET error = 'broken by hand' WHERE view = 'stock'`); err != nil {
		t.Fatal(err)
	}
	got := s.get("/readyz")
	if got.status != 503 || got.value("status") != "not_ready" {
		t.Errorf("answer %d %s with a failed read model, want 503", got.status, got.text)
	}
	if got := s.get("/livez"); got.status != 200 {
		t.Errorf("the process is alive and says %d", got.status)
	}
}
