package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Prices, shipping and taxes are defined over HTTP, and a preview of a cart shows at once what they
// do and why. A manager may not change taxes, and an operator may not change prices.
func TestPricesAreManagedOverHTTP(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	manager, admin, operator := s.keys["manager"], s.keys["admin"], s.keys["operator"]
	const taxes = `{"title":"Example B.V.","home":{"country":"NL"},"price_mode":"incl","registrations":[{"country":"NL","number":"NL001234567B01"}],"default_class":"standard","taxes":[{"place":{"country":"NL"},"tax_class":"standard","component":"NL VAT","rate":"21"},{"place":{"country":"NL"},"tax_class":"books","component":"NL VAT","rate":"9"}]}`
	for key, path := range map[string]string{manager: "/v1/legal-entities/nl", operator: "/v1/price-lists/trade"} {
		if status, text := s.ask(key, http.MethodPut, path, taxes); status != http.StatusForbidden {
			t.Errorf("PUT %s: %d %s", path, status, text)
		}
	}
	s.must(admin, http.MethodPut, "/v1/legal-entities/nl", taxes)
	if status, text := s.ask(manager, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","tax_class":"toys"}`); status != http.StatusConflict || !strings.Contains(text, "tax-class-unknown") {
		t.Errorf("a tax class that does not exist: %d %s", status, text)
	}
	s.must(manager, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","tax_class":"standard","weight_grams":350,"prices":[{"amount":"10.00","currency":"EUR"}]}`)
	s.must(manager, http.MethodPut, "/v1/price-lists/trade", `{"currency":"EUR","price_mode":"incl","active":true,"customer_groups":["trade"]}`)
	s.must(manager, http.MethodPost, "/v1/price-lists/trade/prices", `{"prices":[{"sku":"mug","tiers":[{"price":"9.00"},{"from_quantity":10,"price":"8.00"}]}]}`)
	s.must(manager, http.MethodPut, "/v1/shipping-methods/parcel", `{"title":"Parcel","price_mode":"incl","active":true,"rates":[{"zone":{"country":"NL"},"currency":"EUR","basis":"by_weight","steps":[{"price":"4.95"},{"from_value":"2000","price":"6.95"}],"free_above":"90.00"}]}`)
	preview := func(groups string) string {
		t.Helper()
		return s.must(operator, http.MethodPost, "/v1/price-preview", `{"currency":"EUR","ship_to":{"country":"NL"},"customer_groups":[`+groups+`],"lines":[{"sku":"mug","quantity":10}],"method_id":"parcel"}`)
	}
	for groups, want := range map[string][]string{
		`"trade"`: {`"total":{"amount":"86.95","currency":"EUR"}`, `"price_list_id":"trade"`, `"component":"NL VAT","rate":"21"`, `"what":"price_list","rule_id":"trade","line":1,"applied":true`},
		"":        {`"total":{"amount":"100.00","currency":"EUR"}`, `"what":"price_list","rule_id":"trade","applied":false,"reason":`},
	} {
		for _, part := range want {
			if text := preview(groups); !strings.Contains(text, part) {
				t.Errorf("the groups %s: %s, want %s", groups, text, part)
			}
		}
	}
	if text := s.must(operator, http.MethodGet, "/v1/price-lists/trade/prices?sku_prefix=m", ""); !strings.Contains(text, `{"sku":"MUG","tiers":[{"from_quantity":1,"price":{"amount":"9.00","currency":"EUR"}}`) {
		t.Errorf("the prices: %s", text)
	}
	if text := s.must(s.keys["auditor"], http.MethodGet, "/v1/streams/pricelist-trade", ""); !strings.Contains(text, "pricelist.prices_set.v1") || !strings.Contains(text, `"actor":"key:`) {
		t.Errorf("the history: %s", text)
	}
	if status, text := s.ask(manager, http.MethodPut, "/v1/price-lists/bad", `{"currency":"EUR","price_mode":"incl","countries":["XX"],"valid_from":"2026-02-01T00:00:00Z","valid_until":"2026-01-01T00:00:00Z"}`); status != http.StatusUnprocessableEntity ||
		!strings.Contains(text, "#/countries/0") || !strings.Contains(text, "#/valid_until") {
		t.Errorf("two faults: %d %s", status, text)
	}
}

// Of many who change a list at the same revision, one wins.
func TestOfTwoWritersOfAPriceListOneWins(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	response, text := s.send(s.keys["manager"], http.MethodPut, "/v1/price-lists/trade", `{"currency":"EUR","price_mode":"incl"}`)
	if response.StatusCode != http.StatusOK {
		t.Fatal(text)
	}
	var won, lost atomic.Int32
	var writers sync.WaitGroup
	for _, title := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		writers.Go(func() {
			status, text := s.ask(s.keys["manager"], http.MethodPut, "/v1/price-lists/trade", `{"currency":"EUR","price_mode":"incl","title":"`+title+`"}`, "If-Match", response.Header.Get("ETag"))
			switch status {
			case http.StatusOK:
				won.Add(1)
			case http.StatusPreconditionFailed:
				lost.Add(1)
			default:
				t.Errorf("%d %s", status, text)
			}
		})
	}
	writers.Wait()
	if won.Load() != 1 || lost.Load() != 7 {
		t.Errorf("%d won and %d lost", won.Load(), lost.Load())
	}
}

// daybook prices import says what it would change, and changes it only without --dry-run.
func TestPricesAreImportedByTheConsole(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	manager := s.keys["manager"]
	s.must(manager, http.MethodPut, "/v1/price-lists/trade", `{"currency":"EUR","price_mode":"incl","active":true}`)
	file := filepath.Join(t.TempDir(), "prices.csv")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("sku,from,price\nMUG,1,9.00\nMUG,10,8.00\nCUP,1,3.00\n")
	count := func() string {
		// A definition that is there already changes nothing, and shows the list.
		return s.must(manager, http.MethodPut, "/v1/price-lists/trade", `{"currency":"EUR","price_mode":"incl","active":true}`)
	}
	if code, out, errs := s.console("prices", "import", file, "--list", "trade", "--dry-run"); code != exitOK || !strings.Contains(out, `"added": 2`) || !strings.Contains(count(), `"sku_count":0`) {
		t.Errorf("a dry run: %d %s %s", code, out, errs)
	}
	if code, out, errs := s.console("prices", "import", file, "--list", "trade"); code != exitOK || !strings.Contains(out, `"added": 2`) || !strings.Contains(count(), `"sku_count":2`) {
		t.Errorf("the import: %d %s %s", code, out, errs)
	}
	if said := call(t, nil, "prices", "import", file, "--list", "trade", "--replace", "--database-url", s.database); said.code != exitOK || !strings.Contains(said.stdout, "3 rows for the price list trade: 0 SKUs were added, 0 changed, 0 removed; 2 stay as they are.") {
		t.Errorf("again: %+v", said)
	}
	write("sku,from,price\nMUG,x,9.00\n")
	if said := call(t, nil, "prices", "import", file, "--list", "trade", "--database-url", s.database); said.code == exitOK || !strings.Contains(said.stderr, `line 2: from "x": want a whole number`) {
		t.Errorf("a wrong row: %+v", said)
	}
	if said := call(t, nil, "prices", "import", file, "--list", "none", "--database-url", s.database); said.code == exitOK || !strings.Contains(said.stderr, "No price list has this id") {
		t.Errorf("a list that does not exist: %+v", said)
	}
}
