package httpapi_test

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"daybook/internal/problem"
)

// wholeMembers has an entry for each whole number in the body of a route. The key is the number's
// JSON pointer, and the value is a body with N instead of the number.
func wholeMembers(t *testing.T, doc map[string]any, schema map[string]any) map[string]string {
	t.Helper()
	found := map[string]string{}
	var walk func(schema map[string]any, pointer, before, after string)
	walk = func(schema map[string]any, pointer, before, after string) {
		schema = resolved(t, doc, schema)
		switch schema["type"] {
		case "integer":
			found[pointer] = before + "N" + after
		case "array":
			walk(object(t, schema, "items"), pointer+"/0", before+"[", "]"+after)
		case "object":
			if isForeign(schema) {
				return
			}
			for name := range object(t, schema, "properties") {
				walk(object(t, schema, "properties", name), pointer+"/"+name, before+`{"`+name+`":`, "}"+after)
			}
		}
	}
	walk(schema, "#", "", "")
	return found
}

// A whole number may be written as 5.0 or 1e3. If it is too large or is not whole, the refusal
// names its place in the body. The test tries each number of each body.
func TestWholeNumbersAreReadAsJSONHasThem(t *testing.T) {
	t.Parallel()
	handler := both(t)
	doc := document(t)
	members := 0
	for path, methods := range object(t, doc, "paths") {
		for method := range methods.(map[string]any) {
			operation := object(t, doc, "paths", path, method)
			if operation["requestBody"] == nil {
				continue
			}
			route := bodyRoute{method: strings.ToUpper(method), path: strings.NewReplacer("{line}", "1", "{", "", "}", "").Replace(path)}
			for pointer, body := range wholeMembers(t, doc, object(t, operation, "requestBody", "content", "application/json", "schema")) {
				members++
				for _, number := range []string{"99999999999999999999", "-99999999999999999999", "1e400", "-1e999999", "9.223372036854775808e18", "1.5", "1e-1", "1e-999999"} {
					status, got := sendForm(t, handler, route, strings.Replace(body, "N", number, 1))
					if status != http.StatusUnprocessableEntity || !pointsAt(got, pointer) {
						t.Errorf("%s %s, %s at %s: answer %d %+v, want 422 that points there", route.method, path, number, pointer, status, got)
					}
				}
				for _, number := range []string{"5.0", "1e1", "1E+1", "10e-1", "0.5e1", "50.00e-1", "1000000e-6"} {
					if pointer == "#/conditions/days/0" { // a day of the week is never 10
						number = strings.Replace(strings.ToLower(number), "1e", "0.1e", 1)
					}
					if status, got := sendForm(t, handler, route, strings.Replace(body, "N", number, 1)); pointsAt(got, pointer) || status == http.StatusBadRequest || status >= 500 {
						t.Errorf("%s %s, %s at %s: answer %d %+v, want it read as a number", route.method, path, number, pointer, status, got.Errors)
					}
				}
			}
		}
	}
	if members < 20 {
		t.Errorf("%d numbers, want those of all bodies", members)
	}
}

func pointsAt(d problem.Document, pointer string) bool {
	return slices.ContainsFunc(d.Errors, func(e problem.Invalid) bool { return e.Pointer == pointer })
}

// A whole number that is out of its bounds is refused in the same words, whether it is one too
// large or far too large. The words name both bounds, in plain digits. The test tries each bounded
// number of each body, and each bounded parameter of each route.
func TestNumbersOutOfBoundsAreRefusedInTheSameWords(t *testing.T) {
	t.Parallel()
	handler := both(t)
	doc := document(t)
	members, parameters := 0, 0
	for path, methods := range object(t, doc, "paths") {
		for method := range methods.(map[string]any) {
			operation := object(t, doc, "paths", path, method)
			route := bodyRoute{method: strings.ToUpper(method), path: strings.NewReplacer("{line}", "1", "{", "", "}", "").Replace(path)}
			if operation["requestBody"] != nil {
				root := object(t, doc, "paths", path, method, "requestBody", "content", "application/json", "schema")
				for pointer, body := range wholeMembers(t, doc, root) {
					want, numbers := outside(schemaAt(t, doc, root, pointer))
					for _, number := range numbers {
						members++
						_, got := sendForm(t, handler, route, strings.Replace(body, "N", number, 1))
						at := slices.IndexFunc(got.Errors, func(e problem.Invalid) bool { return e.Pointer == pointer })
						if at < 0 || got.Errors[at].Detail != want {
							t.Errorf("%s %s, %s at %s: %+v, want %q", route.method, path, number, pointer, got.Errors, want)
						}
					}
				}
			}
			list, _ := operation["parameters"].([]any)
			for _, one := range list {
				param := one.(map[string]any)
				schema, _ := param["schema"].(map[string]any)
				if schema["type"] != "integer" {
					continue
				}
				want, numbers := outside(schema)
				for _, number := range numbers {
					parameters++
					name, asked := param["name"].(string), route
					switch param["in"] {
					case "path":
						asked.path = strings.NewReplacer("{"+name+"}", number, "{line}", "1", "{", "", "}", "").Replace(path)
					case "query":
						asked.path += "?" + name + "=" + number
					}
					_, got := sendForm(t, handler, asked, "{}")
					at := slices.IndexFunc(got.Errors, func(e problem.Invalid) bool { return e.Parameter == name })
					if at < 0 || got.Errors[at].Detail != want {
						t.Errorf("%s %s, %s as %s: %+v, want %q", asked.method, asked.path, number, name, got.Errors, want)
					}
				}
			}
		}
	}
	if members < 60 || parameters < 20 {
		t.Errorf("%d numbers in bodies and %d in parameters, want those of all routes", members, parameters)
	}
}

// outside returns the refusal of a number that a schema does not allow, and such numbers: the ones
// beside the bounds, and some that are larger than 64 bits.
func outside(schema map[string]any) (refusal string, numbers []string) {
	least, most := int64(math.MinInt64), int64(math.MaxInt64)
	numbers = []string{"99999999999999999999", "-99999999999999999999"}
	if minimum, given := schema["minimum"].(float64); given {
		least = int64(minimum)
		numbers = append(numbers, fmt.Sprint(least-1))
	}
	if maximum, given := schema["maximum"].(float64); given {
		most = int64(maximum)
		numbers = append(numbers, fmt.Sprint(most+1))
	}
	return fmt.Sprintf("does not fit: want a whole number from %d to %d", least, most), numbers
}

// schemaAt returns the schema of the member at a JSON pointer.
func schemaAt(t *testing.T, doc, schema map[string]any, pointer string) map[string]any {
	t.Helper()
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "#/"), "/") {
		schema = resolved(t, doc, schema)
		if schema["type"] == "array" {
			schema = object(t, schema, "items")
		} else {
			schema = object(t, schema, "properties", step)
		}
	}
	return resolved(t, doc, schema)
}
