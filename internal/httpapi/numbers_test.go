package httpapi_test

import (
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
