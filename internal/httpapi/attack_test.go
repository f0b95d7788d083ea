package httpapi_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/internal/httpapi"
	"daybook/internal/problem"
)

// bodyRoute is a route that takes a body, as the document describes it.
type bodyRoute struct {
	method, path string
	forms        []string // the media types of its body
	limit        int
	list         string            // the name of a member that is a list; empty if there is none
	most         int               // items of the list
	items        map[string]string // the type of each member of an item; empty if the items are not objects
}

func bodyRoutes(t *testing.T) []bodyRoute {
	t.Helper()
	doc := document(t)
	var routes []bodyRoute
	for path, methods := range object(t, doc, "paths") {
		for method := range methods.(map[string]any) {
			operation := object(t, doc, "paths", path, method)
			if operation["requestBody"] == nil {
				continue
			}
			if isForeign(object(t, operation, "requestBody", "content", "application/json", "schema")) {
				continue
			}
			limit, _ := operation["x-max-body-bytes"].(float64)
			route := bodyRoute{method: strings.ToUpper(method), path: strings.NewReplacer("{line}", "1", "{", "", "}", "").Replace(path), limit: int(limit)}
			route.forms = slices.Sorted(maps.Keys(object(t, operation, "requestBody", "content")))
			schema := resolved(t, doc, object(t, operation, "requestBody", "content", "application/json", "schema"))
			for name := range object(t, schema, "properties") {
				member := resolved(t, doc, object(t, schema, "properties", name))
				if kind := fmt.Sprint(member["type"]); kind == "array" || kind == "[array null]" {
					most, _ := member["maxItems"].(float64)
					route.list, route.most, route.items = name, int(most), make(map[string]string)
					item := resolved(t, doc, object(t, member, "items"))
					if item["properties"] == nil {
						continue
					}
					for name := range object(t, item, "properties") {
						kind, _ := resolved(t, doc, object(t, item, "properties", name))["type"].(string)
						route.items[name] = kind
					}
				}
			}
			routes = append(routes, route)
		}
	}
	if len(routes) < 30 {
		t.Fatalf("%d routes take a body, want those of all commands", len(routes))
	}
	return routes
}

// isForeign tells whether a body is in somebody else's words, such as those of a provider.
func isForeign(schema map[string]any) bool {
	return schema["additionalProperties"] == true && schema["properties"] == nil
}

func resolved(t *testing.T, doc, schema map[string]any) map[string]any {
	t.Helper()
	if reference, ok := schema["$ref"].(string); ok {
		return object(t, doc, "components", "schemas", strings.TrimPrefix(reference, "#/components/schemas/"))
	}
	return schema
}

func attack(t *testing.T, handler http.Handler, route bodyRoute, body string) (status int, answer []byte) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), route.method, route.path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", "attack")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// definesPrices tells whether a route is about prices, shipping or taxes. A definition has long
// lists.
func definesPrices(path string) bool {
	return slices.ContainsFunc([]string{"/v1/price-", "/v1/shipping-methods/", "/v1/legal-entities/"}, func(prefix string) bool { return strings.HasPrefix(path, prefix) }) ||
		strings.HasPrefix(path, "/v1/promotions/") && strings.Count(path, "/") == 3
}

// Only a body with a list of lines may be large, and each route says how large.
func TestEveryRouteBoundsItsBody(t *testing.T) {
	t.Parallel()
	handler := both(t)
	for _, route := range bodyRoutes(t) {
		want := httpapi.DefaultBodyBytes
		if route.list == "lines" && len(route.items) > 0 || strings.HasSuffix(route.path, "/wishes") || definesPrices(route.path) {
			want = httpapi.MaxBodyBytes
		}
		if route.limit != want {
			t.Errorf("%s %s: a body of %d bytes is documented, want %d", route.method, route.path, route.limit, want)
		}
		for _, size := range []int{want, want + 1, 2 * want, 10 << 20} {
			body := `{"x":"` + strings.Repeat("a", size-len(`{"x":""}`)) + `"}`
			for _, announced := range []bool{true, false} {
				r := httptest.NewRequestWithContext(t.Context(), route.method, route.path, strings.NewReader(body))
				r.Header.Set("Idempotency-Key", "size")
				if !announced {
					r.ContentLength = -1
				}
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if tooLarge := w.Code == http.StatusRequestEntityTooLarge; tooLarge != (size > want) {
					t.Errorf("%s %s: %d bytes, announced: %t, answer %d %.200s", route.method, route.path, size, announced, w.Code, w.Body)
				}
			}
		}
	}
}

// attacks are bodies that cost more to decode than their size suggests. The refusal must contain
// the text said. For lists in lists said is empty, because the refusal may name their depth or
// their number.
func attacks(route bodyRoute) map[string]struct{ body, said string } {
	fill := func(unit string) string { return strings.Repeat(unit, (route.limit-100)/len(unit)) }
	all := map[string]struct{ body, said string }{
		"empty objects in a list that is unknown": {`{"x":[` + strings.TrimSuffix(fill(`{},`), ",") + `]}`, "more values"},
		"an object of many members":               {"{" + strings.TrimSuffix(members(route.limit-100), ",") + "}", "unexpected property"},
		"a list instead of an object":             {`[` + strings.TrimSuffix(fill(`0,`), ",") + `]`, "more values"},
		"lists in lists":                          {fill(`[`), ""},
		"objects in objects":                      {strings.Repeat(`{"a":`, 1000) + `1` + strings.Repeat(`}`, 1000), ""},
		"a long number":                           {`{"x":` + fill("9") + `}`, "a number of more than 64 characters"},
		"a long name":                             {`{"` + fill("a") + `":1}`, "more than 128 bytes"},
	}
	if route.list == "" {
		return all
	}
	body := `{"` + route.list + `":[` + strings.TrimSuffix(fill(`{},`), ",") + `]}`
	more := "there may be more"
	if route.most <= 10 { // the scan ends at so few items
		more = ""
	}
	all["empty objects in its list"] = struct{ body, said string }{body, more}
	all["empty objects in its list, its name escaped"] = struct{ body, said string }{
		strings.Replace(body, route.list, fmt.Sprintf(`\u%04x`, route.list[0])+route.list[1:], 1), more,
	}
	// Each of these bodies has the largest allowed number of items, and each item has a fault.
	for name, item := range faultyItems(route) {
		number := min(route.most, (route.limit-100)/(len(item)+1))
		all["in each item "+name] = struct{ body, said string }{`{"` + route.list + `":[` + strings.TrimSuffix(strings.Repeat(item+",", number), ",") + `]}`, `"errors":[`}
	}
	return all
}

// faultyItems are items of a route's list, each with another kind of fault.
func faultyItems(route bodyRoute) map[string]string {
	items := map[string]string{
		"nothing": `{}`, "a list": `[]`, "null": `null`, "a number": `0`, "a long text": `"` + strings.Repeat("a", 200) + `"`,
		"an unknown member": `{"x":1}`, "unknown members": `{"x":1,"y":1}`, "unknown members that hold more": `{"x":[{},{}],"y":{"z":[]}}`,
		"unknown names that are escaped": `{"\u0001~/":1,"\u0002~/":1}`,
	}
	var wrong []string
	for name, kind := range route.items {
		// The value has the right type, so the check goes on to the other rules of the schema.
		right := map[string]string{"integer": "-1e18", "number": "-1e18", "string": `"` + strings.Repeat("\\n", 300) + `"`, "boolean": "null"}[kind]
		if right == "" {
			right = "null"
		}
		items["a wrong type of "+name] = `{"` + name + `":[]}`
		items["a wrong value of "+name] = `{"` + name + `":` + right + `}`
		wrong = append(wrong, `"`+name+`":`+right)
	}
	if len(wrong) > 0 {
		items["all members wrong"] = "{" + strings.Join(wrong, ",") + "}"
	}
	return items
}

func members(bytes int) string {
	var b strings.Builder
	for i := 0; b.Len() < bytes-20; i++ {
		fmt.Fprintf(&b, `"%x":{},`, i)
	}
	return b.String()
}

// A request may allocate only a few times its own size. Its response is small, even if the body has
// very many faults.
func TestNoBodyCostsOutOfProportion(t *testing.T) {
	handler := both(t) // not parallel: it counts what is allocated
	lists := 0
	for _, route := range bodyRoutes(t) {
		if route.list != "" {
			lists++
		}
		for name, attacked := range attacks(route) {
			var status int
			var answer []byte
			spent := allocated(func() { status, answer = attack(t, handler, route, attacked.body) })
			if status != http.StatusUnprocessableEntity || !strings.Contains(string(answer), attacked.said) {
				t.Errorf("%s %s: %s: answer %d %.300s, want 422, %s", route.method, route.path, name, status, answer, attacked.said)
			}
			if len(answer) > 8<<10 {
				t.Errorf("%s %s: %s: an answer of %d bytes to %d", route.method, route.path, name, len(answer), len(attacked.body))
			}
			if most := uint64(12*len(attacked.body) + 256<<10); spent > most {
				t.Errorf("%s %s: %s: %d bytes were allocated for a body of %d", route.method, route.path, name, spent, len(attacked.body))
			}
		}
	}
	if lists < 8 {
		t.Errorf("%d routes take lists, want those of carts, orders, returns, credit notes and prices", lists)
	}
}

// allocated counts the bytes that a piece of work allocates. Processor time rises with that number,
// but the number does not depend on the machine.
func allocated(work func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// The body has the largest allowed number of lines, and each line has a fault.
func TestOfManyFaultsTwentyAreListed(t *testing.T) {
	t.Parallel()
	route := bodyRoute{method: "POST", path: "/v1/carts"}
	body := `{"currency":"GBP","lines":[` + strings.Repeat(`{},`, 1999) + `{}]}`
	status, answer := attack(t, both(t), route, body)
	var got problem.Document
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatal(err)
	}
	if status != http.StatusUnprocessableEntity || len(got.Errors) != 20 || !strings.Contains(got.Detail, "The first 20 faults are listed; there may be more.") {
		t.Errorf("answer %d, %d faults: %.400s", status, len(got.Errors), answer)
	}
	if len(answer) > 4<<10 {
		t.Errorf("an answer of %d bytes", len(answer))
	}
}

// Sixteen bodies of the largest size come at once. Together they allocate a bounded number of
// bytes.
func TestManyLargeBodiesAtOnceFitIntoMemory(t *testing.T) {
	handler := both(t)
	route := bodyRoute{method: "POST", path: "/v1/carts", limit: httpapi.MaxBodyBytes, list: "lines"}
	body := attacks(route)["a list instead of an object"].body
	spent := allocated(func() {
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() { attack(t, handler, route, body) })
		}
		all.Wait()
	})
	if most := uint64(16 * 8 * len(body)); spent > most {
		t.Errorf("%d MiB were allocated in all, want at most %d", spent>>20, most>>20)
	}
}

// These are numbers and names that other JSON parsers read in different ways.
func TestOddBodiesAreProblems(t *testing.T) {
	t.Parallel()
	handler := both(t)
	for body, want := range map[string]int{
		`{"currency":"GBP","lines":[{"sku":"A","quantity":1e999999}]}`:    422,
		`{"currency":"GBP","lines":[{"sku":"A","quantity":-1e999999}]}`:   422,
		`{"currency":"GBP","lines":[{"sku":"A","quantity":1e-999999}]}`:   422,
		`{"currency":"GBP","lines":[{"sku":"A","quantity":1e18}]}`:        422,
		`{"currency":"GBP","lines":[{"sku":"A","sku":"B"}]}`:              400,
		`{"currency":"GBP","currency":"GBP"}`:                             400,
		`{"currency":"GBP","curr\u0065ncy":"GBP"}`:                        400,
		"{\"currency\":\"\xff\"}":                                         400,
		`{"currency":"\ud800"}`:                                           400,
		`{"currency":"GBP"}{}`:                                            400,
		`{"currency":"GBP","country":"\u0000"}`:                           422,
		`{"currency":"GBP","country":"` + strings.Repeat("a", 101) + `"}`: 422,
		`null`: 422, `[]`: 422, `"x"`: 422, `1e999999`: 422, `nul`: 400, `{`: 400, `}`: 400, `]`: 400, ``: 400,
	} {
		status, answer := attack(t, handler, bodyRoute{method: "POST", path: "/v1/carts"}, body)
		var got problem.Document
		if err := json.Unmarshal(answer, &got); err != nil || status != want || got.Status != want || len(answer) > 1000 {
			t.Errorf("%.100s: answer %d %s, want %d", body, status, answer, want)
		}
	}
}

// The escape of U+0000 is JSON, but no text may hold this character. The refusal names each place.
func TestEachTextWithANullIsNamed(t *testing.T) {
	t.Parallel()
	handler := both(t)
	for body, want := range map[string][]string{
		`{"currency":"GBP","country":"x\u0000"}`:                                     {"#/country"},
		`{"currency":"\u0000","country":"\u0000","customer_id":"a\u0000b"}`:          {"#/currency", "#/country", "#/customer_id"},
		`{"currency":"GBP","lines":[{"sku":"\u0000","quantity":0}]}`:                 {"#/lines/0/sku", "#/lines/0/quantity"},
		`{"currency":"GBP","a\u0000":1}`:                                             {"#/a\x00"},
		`{"currency":"GBP","a":"\u0000"}`:                                            {"#/a"},
		`{"currency":"GBP","join":"\u0000"}`:                                         {"#/join"},
		`{"currency":"GBP","lines":[{"sku":"MUG","quantity":1}],"cart_id":"\u0000"}`: {"#/cart_id"},
	} {
		status, answer := attack(t, handler, bodyRoute{method: "POST", path: "/v1/carts"}, body)
		var got problem.Document
		if err := json.Unmarshal(answer, &got); err != nil {
			t.Fatal(err)
		}
		var places []string
		for _, fault := range got.Errors {
			places = append(places, fault.Pointer)
		}
		if status != 422 || got.Code() != problem.CodeInvalid || !slices.Equal(places, want) {
			t.Errorf("%s: answer %d %s, want 422 that names %q", body, status, answer, want)
		}
	}
}
