package readapi_test

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"daybook/projections/salesview"
	"daybook/projections/views"
)

// oneValue are filters that take one value, with the reason.
var oneValue = map[string]string{"list-customers currency": "amounts of different currencies cannot be ranked"}

// unsorted are lists that have one order, with the reason.
var unsorted = map[string]string{
	"list-processes": "open work is in memory, and parked work is read by id",
	"list-keys":      "keys are in memory, by id",
	"list-staff":     "people are in memory, by id",

	"list-price-lists":      "definitions are in memory, by id",
	"list-shipping-methods": "definitions are in memory, by id",
	"list-legal-entities":   "definitions are in memory, by id",
	"list-promotions":       "definitions are in memory, by id",
	"list-list-prices":      "definitions are in memory, and their prices are by SKU",
	"list-codes":            "definitions are in memory, and their codes are in alphabetical order",
}

// parameter is a query parameter of an operation.
type parameter struct {
	name string
	list bool // it takes several values
	enum []string
}

func queryParameters(operation response) (all []parameter) {
	parameters, _ := operation.value("parameters").([]any)
	for i := range parameters {
		if operation.value("parameters", i, "in") != "query" {
			continue
		}
		p := parameter{name: fmt.Sprint(operation.value("parameters", i, "name")), list: operation.value("parameters", i, "schema", "type") == "array"}
		enum, _ := operation.value("parameters", i, "schema", "enum").([]any)
		if p.list {
			enum, _ = operation.value("parameters", i, "schema", "items", "enum").([]any)
		}
		for _, value := range enum {
			p.enum = append(p.enum, fmt.Sprint(value))
		}
		all = append(all, p)
	}
	return all
}

// chooses tells whether a parameter is a filter whose values are ids, codes or words of a set.
func (p parameter) chooses() bool {
	shape := []string{"cursor", "limit", "count", "sort", "include", "by"}
	names := []string{"sku", "location", "reference", "country", "channel", "currency", "kind"}
	flag := slices.Equal(p.enum, []string{"true", "false"})
	return !slices.Contains(shape, p.name) && !flag && (len(p.enum) > 0 || strings.HasSuffix(p.name, "_id") || slices.Contains(names, p.name))
}

// Each list can be counted and sorted, and each of its filters that is an id, a code or a word of
// a set takes two values. What two values choose is what the one and what the other chooses.
func TestEveryListCountsAndTakesTwoValuesPerFilter(t *testing.T) {
	t.Parallel()
	s := filled(t)
	path := strings.NewReplacer("{sku}", "MUG", "{location}", "main", "{customer_id}", "ann", "{price_list_id}", "base", "{promotion_id}", "spring")
	lists, filters, compared := 0, 0, 0
	paths, _ := s.get("/openapi.json").value("paths").(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		described, _ := paths[name].(map[string]any)["get"].(map[string]any)
		operation := response{body: described}
		id, _ := operation.value("operationId").(string)
		parameters := queryParameters(operation)
		has := func(name string) bool {
			return slices.ContainsFunc(parameters, func(p parameter) bool { return p.name == name })
		}
		if described == nil || !has("cursor") && id != "total-sales" || strings.HasPrefix(id, "export-") { // an export is no list, but has pages
			continue
		}
		lists++
		base := path.Replace(name) + "?limit=500"
		if id == "list-customers" {
			base += "&currency=GBP"
		}
		if id == "total-sales" { // it has no pages, and all its rows
			base = path.Replace(name) + "?by=day,month,sku"
		} else if !has("count") || has("sort") == (unsorted[id] != "") {
			t.Errorf("%s: count %t, sort %t", id, has("count"), has("sort"))
		}
		counted := func(more string) float64 {
			got := s.get(base + more)
			items, _ := got.value("items").([]any)
			if has("count") {
				counted := s.get(base + more + "&count=true")
				if counted.value("count", "value") != float64(len(items)) || counted.value("count", "exact") != true {
					t.Errorf("%s%s: %.300s, want %d counted", base, more, counted.text, len(items))
				}
			}
			if got.status != 200 {
				t.Errorf("%s%s: %.300s", base, more, got.text)
			}
			return float64(len(items))
		}
		all := s.get(base)
		counted("")
		for _, p := range parameters {
			if !p.chooses() || oneValue[id+" "+p.name] != "" {
				continue
			}
			filters++
			if !p.list {
				t.Errorf("%s: the filter %s takes one value", id, p.name)
				continue
			}
			values := all.ids(p.name) // of the items themselves, where they have the member
			values = slices.DeleteFunc(values, func(v string) bool { return v == "" || v == "<nil>" })
			slices.Sort(values)
			values = append(slices.Compact(values), p.enum...)
			values = append(values, "one", "other")
			if len(p.enum) > 0 {
				values = slices.DeleteFunc(values, func(v string) bool { return !slices.Contains(p.enum, v) })
			}
			first, second := url.QueryEscape(values[0]), url.QueryEscape(values[1])
			one, other := counted("&"+p.name+"="+first), counted("&"+p.name+"="+second)
			if both := counted("&" + p.name + "=" + first + "," + second); both < max(one, other) || both > one+other {
				t.Errorf("%s: %s=%s,%s chooses %v, want between what each chooses, %v and %v", id, p.name, first, second, both, one, other)
			} else if one > 0 && other > 0 {
				compared++
			}
		}
	}
	if lists < 14 || filters < 35 || compared < 4 {
		t.Errorf("%d lists with %d filters were walked, and %d compared", lists, filters, compared)
	}
}

// The names of the views are a closed set, and the document lists all of them.
func TestTheDocumentListsAllViews(t *testing.T) {
	t.Parallel()
	s := open(t)
	var names []string
	for _, view := range views.All(salesview.Options{}) {
		names = append(names, view.Name)
	}
	slices.Sort(names)
	if listed := s.get("/openapi.json").value("components", "schemas", "ProjectionStatus", "properties", "view", "enum"); fmt.Sprint(listed) != fmt.Sprint(names) {
		t.Errorf("the document lists the views %v, and there are %v", listed, names)
	}
}
