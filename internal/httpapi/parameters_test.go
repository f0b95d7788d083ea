package httpapi_test

import (
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

// operations returns all operations of the document under /v1. Each parameter in a path has a
// value.
func operations(t *testing.T) []operation {
	t.Helper()
	doc := document(t)
	var all []operation
	for path, methods := range object(t, doc, "paths") {
		for method := range methods.(map[string]any) {
			if !strings.HasPrefix(path, "/v1/") {
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

// refusal sends a request without a body and returns the problem in the answer.
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

// Every operation refuses a query parameter that is unknown, that is given twice, that is empty, or
// that is not valid UTF-8. The refusal names the parameter.
func TestEveryOperationNamesWhatIsWrongInItsQuery(t *testing.T) {
	t.Parallel()
	handler := both(t)
	parameters := 0
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
		}
		for query, name := range wrong {
			status, got := refusal(t, handler, op.method, op.path+"?"+query)
			if status != http.StatusUnprocessableEntity || got.Code() != problem.CodeInvalid || (name != "" && !names(got, "query", name)) {
				t.Errorf("%s %s?%s: answer %d %+v, want 422 that names %s", op.method, op.path, query, status, got, name)
			}
		}
	}
	if parameters < 100 {
		t.Errorf("%d parameters, want those of all lists", parameters)
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
				if !strings.HasPrefix(path, "/v1/") {
					continue
				}
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
			if refused := status == http.StatusUnprocessableEntity && names(got, "header", name) && strings.Contains(got.Detail, "more than once"); refused == list {
				t.Errorf("%s %s, %s twice: answer %d %+v", op.method, op.path, name, status, got)
			}
		}
	}
}

// If a date, time, number or boolean is wrong, the refusal says which form is expected.
func TestAWrongValueNamesTheFormThatIsWanted(t *testing.T) {
	t.Parallel()
	handler := both(t)
	times, days := 0, 0
	for _, op := range operations(t) {
		if op.described["requestBody"] != nil {
			continue // faults of the body are reported first
		}
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
