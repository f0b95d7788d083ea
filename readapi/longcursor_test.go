package readapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/domain/product"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/projections/viewtest"
)

// A cursor holds what a list is sorted by, which may be long: titles that are not ASCII, longer
// than commands record them, and the longest ids. The server takes each cursor that it gives out.
// The test walks the sorts of all lists.
func TestTheLongestCursorIsTaken(t *testing.T) {
	t.Parallel()
	s := open(t)
	meta := eventstore.Metadata{OccurredAt: time.Date(2011, 1, 4, 10, 0, 0, 0, time.UTC)}
	var written eventstore.Position
	for i := range 2 {
		sku := unit.SKU(strings.Repeat("Ж", 63) + fmt.Sprint(i))
		id := strings.Repeat("x", 63) + fmt.Sprint(i)
		viewtest.Fact(s.Bench, product.Stream(sku), meta, product.Encode, product.Event(product.Listed{SKU: sku, Title: strings.Repeat("😀", 500) + fmt.Sprint(i), Kind: unit.Stocked}))
		price := unit.Money{Currency: "GBP"}
		price.Amount, _ = unit.ParseAmount("2.50")
		key := stock.Key{SKU: sku, Location: unit.LocationID(id)}
		_, err := s.service.MoveStock(t.Context(), call("ann"), key, stock.Receive{At: s.service.At(key), Quantity: 5})
		if err != nil {
			t.Fatal(err)
		}
		plain := unit.SKU(fmt.Sprint("MUG", i))
		s.sell(plain, 10)
		written = s.buy(unit.OrderID(id), unit.CustomerID(id), plain, 1)
	}
	for _, list := range []string{"/v1/products", "/v1/orders", "/v1/carts", "/v1/stock", "/v1/customers?currency=GBP"} {
		s.at(written, list)
	}
	s.untilReady()
	s.CaughtUp()
	paths, _ := s.get("/openapi.json").value("paths").(map[string]any)
	longest, followed := 0, 0
	for path, methods := range paths {
		described, _ := methods.(map[string]any)["get"].(map[string]any)
		at := slices.IndexFunc(queryParameters(response{body: described}), func(p parameter) bool { return p.name == "sort" })
		if at < 0 || strings.Contains(path, "{") {
			continue
		}
		for _, sort := range queryParameters(response{body: described})[at].enum {
			target := path + "?limit=1&sort=" + sort
			if path == "/v1/customers" {
				target += "&currency=GBP"
			}
			for next, page := "", 0; page == 0 || next != ""; page++ {
				got := s.get(target + next)
				if got.status != 200 {
					t.Errorf("%s, page %d: answer %d %.300s", target, page, got.status, got.text)
					break
				}
				cursor, _ := got.value("next").(string)
				longest, next = max(longest, len(cursor)), ""
				if cursor != "" {
					next = "&cursor=" + cursor
					followed++
				}
			}
		}
	}
	if followed < 30 || longest < 1000 {
		t.Errorf("%d cursors were followed, the longest of %d characters", followed, longest)
	}
}
