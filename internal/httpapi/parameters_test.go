package httpapi_test

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/internal/problem"
)

// operation is an operation of the document.
type operation struct {
	method, path string
	described    map[string]any
}

// operations returns all operations of the document except probes. Each parameter in a path has a
// value.
func operations(t *testing.T) []operation {
	t.Helper()
	doc := document(t)
	var all []operation
	for path, methods := range object(t, doc, "paths") {
		for method := range methods.(map[string]any) {
			if path == "/livez" || path == "/readyz" {
				continue
			}
			filled := strings.NewReplacer("{line}", "1", "{currency}", "GBP", "{", "", "}", "").Replace(path)
			all = append(all, operation{strings.ToUpper(method), filled, object(t, doc, "paths", path, method)})
		}
	}
	if len(all) < 70 {
		t.Fatalf("%d operations, want those of both APIs", len(all))
	}
	return all
}

// parameters returns the parameters that an operation has in the query or in the path.
func (o operation) parameters(in string) (all []map[string]any) {
	listed, _ := o.described["parameters"].([]any)
	for _, parameter := range listed {
		if parameter, _ := parameter.(map[string]any); parameter["in"] == in {
			all = append(all, parameter)
		}
	}
	return all
}

// refusal sends a request without a body and returns the problem in the response.
func refusal(t *testing.T, handler http.Handler, method, target string, headers ...string) (int, problem.Document) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, http.NoBody)
	r.Header.Set("Idempotency-Key", "parameters")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	var got problem.Document
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Errorf("%s %s: answer %d %.200s: %v", method, target, w.Code, w.Body, err)
	}
	return w.Code, got
}

// names says whether a problem names a parameter.
func names(d problem.Document, in, parameter string) bool {
	return slices.ContainsFunc(d.Errors, func(e problem.Invalid) bool { return e.In == in && e.Parameter == parameter && e.Detail != "" })
}

// detailOf is what a problem says about a parameter, or "".
func detailOf(d problem.Document, in, parameter string) string {
	for _, fault := range d.Errors {
		if fault.In == in && fault.Parameter == parameter {
			return fault.Detail
		}
	}
	return ""
}

// Every operation refuses query parameters that are unknown, given twice, empty or not valid UTF-8,
// and lists with an empty value. The refusal names the parameter.
func TestEveryOperationNamesWhatIsWrongInItsQuery(t *testing.T) {
	t.Parallel()
	handler := both(t)
	parameters, lists := 0, 0
	for _, op := range operations(t) {
		wrong := map[string]string{ // the parameter that the refusal must name, by query
			"colour=red": "colour", "colour": "colour", "colour=%zz": "colour", "%00=1": "%00", "=1": "",
		}
		for _, parameter := range op.parameters("query") {
			parameters++
			name, _ := parameter["name"].(string)
			for _, query := range []string{"N=%00", "N=a%00b", "N=%ff", "N=%C3%28", "N=%", "N=%zz", "N=1&N=1", "N=1&N=2", "N&N=", "N=1&%4e=1", "N=", "N"} {
				query = strings.ReplaceAll(strings.ReplaceAll(query, "N", name), "%4e", encoded(name))
				wrong[query] = name
			}
			if schema, _ := parameter["schema"].(map[string]any); schema["type"] == "array" {
				lists++
				for _, query := range []string{"N=,", "N=a,", "N=,a", "N=a,,b", "N=%2C", "N=a%2C%2Cb", `N=a\,,,b`} {
					wrong[strings.ReplaceAll(query, "N", name)] = name
				}
			}
		}
		for query, name := range wrong {
			status, got := refusal(t, handler, op.method, op.path+"?"+query)
			if status != http.StatusUnprocessableEntity || got.Code() != problem.CodeInvalid || (name != "" && !names(got, "query", name)) {
				t.Errorf("%s %s?%s: answer %d %+v, want 422 that names %s", op.method, op.path, query, status, got, name)
			}
		}
	}
	if parameters < 100 || lists < 40 {
		t.Errorf("%d parameters, %d of them lists of values, want those of all lists", parameters, lists)
	}
}

// encoded is a name with its first letter percent-encoded.
func encoded(name string) string {
	const digits = "0123456789ABCDEF"
	return "%" + string(digits[name[0]>>4]) + string(digits[name[0]&15]) + name[1:]
}

func TestEveryOperationNamesWhatIsWrongInItsPath(t *testing.T) {
	t.Parallel()
	handler := both(t)
	doc := document(t)
	parameters := 0
	for path, methods := range object(t, doc, "paths") {
		for method := range methods.(map[string]any) {
			op := operation{strings.ToUpper(method), path, object(t, doc, "paths", path, method)}
			for _, parameter := range op.parameters("path") {
				name, _ := parameter["name"].(string)
				parameters++
				for _, text := range []string{"%00", "a%00", "%ff", "a%C3%28"} {
					target := strings.Replace(path, "{"+name+"}", text, 1)
					target = strings.NewReplacer("{line}", "1", "{currency}", "GBP", "{", "", "}", "").Replace(target)
					status, got := refusal(t, handler, op.method, target)
					if status != http.StatusUnprocessableEntity || !names(got, "path", name) {
						t.Errorf("%s %s: answer %d %+v, want 422 that names %s", op.method, target, status, got, name)
					}
				}
			}
		}
	}
	if parameters < 60 {
		t.Errorf("%d parameters, want those of all paths", parameters)
	}
}

// A header that is given twice is refused, because the second value would be lost. A header that is
// a list may have several lines.
func TestAHeaderThatIsGivenTwiceIsNamed(t *testing.T) {
	t.Parallel()
	handler := both(t)
	for _, op := range operations(t) {
		for _, parameter := range op.parameters("header") {
			name, _ := parameter["name"].(string)
			status, got := refusal(t, handler, op.method, op.path, name, "1", name, "1")
			list := slices.Contains([]string{"If-Match", "If-None-Match", "Prefer", "Accept"}, name)
			if refused := status == http.StatusUnprocessableEntity && strings.Contains(detailOf(got, "header", name), "more than once"); refused == list {
				t.Errorf("%s %s, %s twice: answer %d %+v", op.method, op.path, name, status, got)
			}
		}
	}
}

// Writes take as many ETags in a condition as reads.
func TestEveryConditionTakesAsManyTags(t *testing.T) {
	t.Parallel()
	handler := both(t)
	conditions := 0
	for _, op := range operations(t) {
		for _, name := range []string{"If-Match", "If-None-Match"} {
			if !slices.ContainsFunc(op.parameters("header"), func(p map[string]any) bool { return p["name"] == name }) {
				continue
			}
			conditions++
			tags := strings.Repeat(`"4.uhx0cXJUUGPW7vBT-gzip",`, 100)
			if status, got := refusal(t, handler, op.method, op.path, name, tags); names(got, "header", name) {
				t.Errorf("%s %s, %s with 100 tags: answer %d %+v", op.method, op.path, name, status, got)
			}
			if status, got := refusal(t, handler, op.method, op.path, name, tags+`"5"`); !strings.Contains(detailOf(got, "header", name), "at most 100") {
				t.Errorf("%s %s, %s with 101 tags: answer %d %+v, want it to name the header and the limit", op.method, op.path, name, status, got)
			}
		}
	}
	if conditions < 150 {
		t.Errorf("%d conditions, want those of all reads and writes", conditions)
	}
}

// One response names all faults of a request: unknown names and wrong values of the query, headers,
// and members of the body.
func TestOneAnswerNamesAllFaults(t *testing.T) {
	t.Parallel()
	handler := both(t)
	for _, c := range []struct {
		method, target, body string
		headers              []string
		want                 []string
	}{
		{
			"GET", "/v1/orders?from=yesterday&limit=x&foo=1&status=a,pending&count=maybe&sort=x", "",
			[]string{"Daybook-Min-Position", strings.Repeat("1", 65), "If-Match", "5"},
			[]string{"foo", "If-Match", "Daybook-Min-Position", "limit", "from", "status", "count", "sort"},
		},
		{
			"GET", "/v1/orders/%ff?foo=1", "", []string{"If-None-Match", "5"}, []string{"order_id", "foo", "If-None-Match"},
		},
		{
			"POST", "/v1/carts?foo=1", `{"currency":"XYZ","cart_id":"a b","lines":[{"sku":"mug@","quantity":0}],"country":"\n","a":1}`,
			[]string{"Daybook-Occurred-At", "1066-10-14T09:00:00Z", "Daybook-Actor", "é", "Daybook-Channel", strings.Repeat("x", 33), "If-Match", "5"},
			[]string{"foo", "If-Match", "Daybook-Channel", "Daybook-Actor", "Daybook-Occurred-At", "#/lines/0/quantity", "#/country", "#/a", "#/currency", "#/lines/0/sku", "#/cart_id"},
		},
		{
			"PATCH", "/v1/carts/c/lines/x?foo=1", `{"quantity":-1}`,
			[]string{"Daybook-Occurred-At", "today", "Idempotency-Key", strings.Repeat("k", 256)},
			[]string{"line", "foo", "Idempotency-Key", "Daybook-Occurred-At", "#/quantity"},
		},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, c.target, strings.NewReader(c.body))
		for i := 0; i+1 < len(c.headers); i += 2 {
			r.Header.Set(c.headers[i], c.headers[i+1])
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		var got problem.Document
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		var named []string
		for _, fault := range got.Errors {
			if fault.Detail == "" {
				t.Errorf("%s %s: %+v has no text", c.method, c.target, fault)
			}
			named = append(named, fault.Parameter+fault.Pointer)
		}
		slices.Sort(named)
		slices.Sort(c.want)
		if w.Code != http.StatusUnprocessableEntity || !slices.Equal(named, c.want) {
			t.Errorf("%s %s: answer %d names %q, want 422 that names %q", c.method, c.target, w.Code, named, c.want)
		}
	}
}

// If all parameters of a request are wrong, one response names them all. So a fault that is found
// late, such as a cursor that was cut off, does not hide behind one that is found early.
func TestEveryWrongParameterOfARequestIsNamed(t *testing.T) {
	t.Parallel()
	handler := both(t)
	wrong := map[string]string{ // by name, or else by form or type
		"cursor": "cut.off", "after": "soon", "Daybook-Min-Position": "soon", "Last-Event-ID": "1/2/3", "Prefer": "wait=long",
		"date": "0000-01-31", "date-time": "yesterday", "integer": "x", "boolean": "maybe",
	}
	routes := 0
	for _, op := range operations(t) {
		parameters := op.parameters("query")
		if len(parameters) == 0 {
			continue
		}
		routes++
		query, headers, want := []string{"foo=1"}, []string{}, []string{"foo"}
		for _, parameter := range slices.Concat(parameters, op.parameters("header")) {
			name, _ := parameter["name"].(string)
			schema, _ := parameter["schema"].(map[string]any)
			format, _ := schema["format"].(string)
			typ, _ := schema["type"].(string)
			value := cmp.Or(wrong[name], wrong[format], wrong[typ])
			switch {
			case parameter["in"] == "query":
				query = append(query, name+"="+cmp.Or(value, "%00"))
			case wrong[name] != "":
				headers = append(headers, name, value)
			default:
				continue
			}
			want = append(want, name)
		}
		status, got := refusal(t, handler, op.method, op.path+"?"+strings.Join(query, "&"), headers...)
		for _, name := range want {
			if len(got.Errors) < problem.MaxFaults && !slices.ContainsFunc(got.Errors, func(e problem.Invalid) bool { return e.Parameter == name }) {
				t.Errorf("%s %s: answer %d %+v, want it to name %s", op.method, op.path, status, got.Errors, name)
			}
		}
		if status != http.StatusUnprocessableEntity || len(got.Errors) < min(2, len(want)) {
			t.Errorf("%s %s: answer %d %+v, want 422 that names %q", op.method, op.path, status, got.Errors, want)
		}
	}
	if routes < 15 {
		t.Errorf("%d routes with query parameters, want more", routes)
	}
}

// If a date, time, number or boolean is wrong, the refusal says which form is expected.
func TestAWrongValueNamesTheFormThatIsWanted(t *testing.T) {
	t.Parallel()
	handler := both(t)
	times, days := 0, 0
	for _, op := range operations(t) {
		for _, parameter := range slices.Concat(op.parameters("query"), op.parameters("header")) {
			name, _ := parameter["name"].(string)
			in, _ := parameter["in"].(string)
			schema, _ := parameter["schema"].(map[string]any)
			want := ""
			switch {
			case schema["format"] == "date-time":
				want = "2026-01-31T12:00:00Z"
				times++
			case schema["format"] == "date":
				want = "2026-01-31"
				days++
			case schema["type"] == "integer":
				want = "whole number"
			case schema["type"] == "boolean":
				want = "true or false"
			default:
				continue
			}
			for _, value := range []string{"x", "2026", "31.01.2026", "2026-02-30", "1e1", "2026-13-01T00:00:00Z", "99999999999999999999"} {
				target, headers := op.path, []string{name, value}
				if in == "query" {
					target, headers = op.path+"?"+name+"="+value, nil
				}
				status, got := refusal(t, handler, op.method, target, headers...)
				at := slices.IndexFunc(got.Errors, func(e problem.Invalid) bool { return e.Parameter == name })
				if value == "2026" && schema["type"] == "integer" {
					continue // it is one
				}
				if status != http.StatusUnprocessableEntity || at < 0 || !strings.Contains(got.Errors[at].Detail, want) {
					t.Errorf("%s %s, %s: answer %d %+v, want it to say %q", op.method, target, value, status, got.Errors, want)
				}
			}
		}
	}
	if times < 20 || days < 3 {
		t.Errorf("%d times and %d days, want those of all lists and of all writes", times, days)
	}
}

// sendForm sends a body with headers; each is name, value.
func sendForm(t *testing.T, handler http.Handler, route bodyRoute, body string, headers ...string) (int, problem.Document) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), route.method, route.path, strings.NewReader(body))
	r.Header.Set("Idempotency-Key", "form")
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	var got problem.Document
	_ = json.Unmarshal(w.Body.Bytes(), &got) // some are no problem
	return w.Code, got
}

// Every route refuses a body that is compressed or has another charset, as its headers say.
// Otherwise the server would read such a body wrongly.
func TestOnlyPlainJSONInUTF8IsTaken(t *testing.T) {
	t.Parallel()
	handler := both(t)
	for _, route := range bodyRoutes(t) {
		for _, headers := range [][]string{
			{"Content-Encoding", "gzip"},
			{"Content-Encoding", "GZIP"},
			{"Content-Encoding", "br"},
			{"Content-Encoding", "identity, gzip"},
			{"Content-Type", "application/json; charset=latin1"},
			{"Content-Type", "application/json; charset=utf-16"},
			{"Content-Type", "application/json; charset="},
			{"Content-Type", `application/json; charset=""`},
			{"Content-Type", "application/json; charset=utf-8; charset=latin1"},
			{"Content-Type", ""},
			{"Content-Type", "text/plain"},
			{"Content-Type", "text/json-like"},
			{"Content-Type", "application/x-www-form-urlencoded"},
			{"Content-Type", ";"},
			{"Content-Type", "application/problem+json"},
			{"Content-Type", "text/evil+json"},
			{"Content-Type", "+json"},
			{"Content-Type", "application/merge-patch+json"},
		} {
			if slices.Contains(route.forms, headers[1]) {
				continue
			}
			status, got := sendForm(t, handler, route, `{}`, headers...)
			if status != http.StatusUnsupportedMediaType || got.Code() != problem.CodeMediaType || got.Detail == "" {
				t.Errorf("%s %s, %q: answer %d %+v, want 415", route.method, route.path, headers, status, got)
			}
		}
		for _, headers := range [][]string{
			nil,
			{"Content-Encoding", "identity"},
			{"Content-Type", "application/json; charset=utf-8"},
			{"Content-Type", `application/json;charset="UTF-8"`},
			{"Content-Type", "Application/JSON"},
			{"Content-Type", "APPLICATION/JSON"},
			{"Content-Type", "application/json ;charset=\"utf-8\""},
			{"Content-Type", " application/json"},
		} {
			if status, got := sendForm(t, handler, route, `{"no such member":1}`, headers...); status != http.StatusUnprocessableEntity {
				t.Errorf("%s %s, %q: answer %d %+v, want it read as JSON", route.method, route.path, headers, status, got)
			}
		}
	}
}
