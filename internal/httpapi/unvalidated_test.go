package httpapi

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/commandapi"
	"daybook/eventstore/memory"
)

// validates changes the routes that are registered after it: huma validates their bodies, and the
// scan refuses none.
func validates(api huma.API) {
	document := api.OpenAPI()
	document.OnAddOperation = append(document.OnAddOperation, func(_ *huma.OpenAPI, op *huma.Operation) {
		if op.RequestBody != nil {
			op.SkipValidateBody = false
			op.Middlewares = op.Middlewares[:len(op.Middlewares)-1]
		}
	})
}

// writing is the handler of all commands.
func writing(t *testing.T, before ...Part) *front {
	t.Helper()
	service := commands.NewService(memory.New(), commands.DefaultPolicy(), time.Now, aggregate.Options{})
	t.Cleanup(func() {
		if err := service.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	handler, err := New(Options{PublicHosts: []string{"example.com"}}, append(before, func(api huma.API) {
		commandapi.Register(api, service, commandapi.Options{})
	})...)
	if err != nil {
		t.Fatal(err)
	}
	return handler.(*front) //nolint:forcetypeassert // New makes no other
}

// routesOf are the routes of a handler that take a body.
func routesOf(t *testing.T, f *front) map[*huma.Operation]*shape {
	t.Helper()
	b := newBodies(nil, 0, 0)
	if err := b.learn(f.document); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(b.routes, func(_ *huma.Operation, s *shape) bool { return s.root == nil })
	if len(b.routes) < 20 {
		t.Fatalf("only %d routes take a body", len(b.routes))
	}
	return b.routes
}

// sample is a value that has each member of its schema. Most of its texts fit.
func (s *shape) sample(schema *huma.Schema) any {
	schema = s.resolve(schema)
	switch schema.Type {
	case huma.TypeObject:
		all := make(map[string]any, len(schema.Properties))
		for name, member := range schema.Properties {
			all[name] = s.sample(member)
		}
		return all
	case huma.TypeArray:
		return []any{s.sample(schema.Items), s.sample(schema.Items)}
	case huma.TypeInteger, huma.TypeNumber:
		return 1
	case huma.TypeBoolean:
		return true
	}
	switch {
	case len(schema.Enum) > 0:
		return schema.Enum[0]
	case schema.Format == "date-time":
		return "2026-01-31T12:00:00Z"
	case schema.Format == "decimal":
		return "1"
	case schema.MaxLength != nil && *schema.MaxLength == 3:
		return "GBP"
	case schema.MinLength != nil:
		return strings.Repeat("A", *schema.MinLength)
	}
	return "A"
}

// odd has unusual values, such as an empty list. The function changes replaces other values by each
// of them.
var odd = []any{
	nil, true, false, 0, 1, 2, -1, 0.5, 1e30, -1e30, uint64(1) << 63, 2147483648, "", "a", "A", " A", "é", "null", "2026-13-01T00:00:00Z", "2026-01-31",
	strings.Repeat("a", 3), strings.Repeat("é", 64), strings.Repeat("a", 65), strings.Repeat("é", 101), strings.Repeat("a", 2001),
	[]any{},
	[]any{nil},
	[]any{1, "a"},
	[]any{[]any{}},
	slices.Repeat([]any{"a"}, 30),
	map[string]any{},
	map[string]any{"zz": 1},
}

// changes makes variants of a value and calls use with each. Each variant differs in one place: an
// odd value, a missing member, or a member that the schema does not have.
func changes(value any, use func(any)) {
	for _, other := range odd {
		use(other)
	}
	switch in := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(in)) {
			was := in[name]
			changes(was, func(changed any) { in[name] = changed; use(in) })
			delete(in, name)
			use(in)
			in[strings.ToUpper(name)] = was
			use(in)
			delete(in, strings.ToUpper(name))
			in[name] = was
		}
		in["zz"] = 1
		use(in)
		delete(in, "zz")
	case []any:
		was := in[0]
		changes(was, func(changed any) { in[0] = changed; use(in) })
		in[0] = was
	}
}

// No body is validated twice: the scan passes none that huma would refuse.
func TestABodyThatPassesTheScanPassesItsSchema(t *testing.T) {
	t.Parallel()
	passed, refused := 0, 0
	for op, route := range routesOf(t, writing(t)) {
		check := func(value any) {
			body, err := json.Marshal(value, json.Deterministic(true))
			if err != nil {
				t.Fatal(err)
			}
			plain, faults, err := route.check(t.Context(), body)
			if err != nil || len(faults) > 0 {
				refused++
				return
			}
			passed++
			var read any
			if err := json.Unmarshal(plain, &read); err != nil {
				t.Fatalf("%s: the scan passes %s: %v", op.OperationID, body, err)
			}
			var found huma.ValidateResult
			huma.Validate(route.schemas, route.root, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, read, &found)
			if len(found.Errors) > 0 {
				t.Errorf("%s: the scan passes %s: %v", op.OperationID, body, found.Errors)
			}
		}
		whole := route.sample(route.root)
		check(whole)
		changes(whole, check)
	}
	t.Logf("%d bodies pass, %d are refused", passed, refused)
	if passed < 100 || refused < 1000 {
		t.Errorf("%d bodies pass and %d are refused, so the bodies are not diverse", passed, refused)
	}
}

// A body that is not JSON gets the response that huma would give.
func TestABodyThatIsNotJSONIsRefusedInTheDecodersWords(t *testing.T) {
	t.Parallel()
	scans, asks := writing(t), writing(t, validates)
	wrong := 0
	for op, route := range routesOf(t, scans) {
		whole, err := json.Marshal(route.sample(route.root), json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		text := string(whole)
		bodies := []string{
			" ", "\x00", "nul", "{", "[", `"`, `{"a"`, `{"a":`, `{"a":1,}`, `{"a":1 "b":2}`, "{'a':1}", `{"a":01}`, `{"a":+1}`, `{"a":1.}`, `{"\ud800":1}`, "{\"\xff\":1}",
			text + "x", text + "{}", text + "\x00", "\ufeff" + text, text[:len(text)/2], text[:len(text)-1], strings.ReplaceAll(text, `"`, `'`), strings.ReplaceAll(text, ":", "="),
			strings.Replace(text, "{", "{,", 1), strings.Replace(text, "}", ",}", 1), strings.Replace(text, `"A`, "\"\xff", 1), strings.Replace(text, `"A`, `"\x`, 1), strings.Replace(text, `"A`, "\"\n", 1),
			strings.Replace(text, `"A`, `"\ud800`, 1), "// x\n" + text,
		}
		if name, _, found := strings.Cut(strings.TrimPrefix(text, "{"), ":"); found {
			bodies = append(bodies, strings.Replace(text, "{", "{"+name+":1,", 1), text[:len(text)-1]+","+name+":1}")
		}
		for _, body := range bodies {
			if _, faults, err := route.check(t.Context(), []byte(body)); len(faults) > 0 || err == nil {
				continue // it is JSON, or the scan ends at the first faults
			}
			for _, headers := range []map[string]string{
				{"Idempotency-Key": "k"},
				{},
				{"Idempotency-Key": "k", "Accept": "text/html"},
				{"Idempotency-Key": "k", "If-Match": `"1"`, "Daybook-Occurred-At": "today"},
				{"Idempotency-Key": "k", "Content-Type": "application/json"},
				{"Idempotency-Key": "k", "Daybook-Channel": strings.Repeat("x", 99)},
			} {
				got, want := answerTo(t, scans, op, body, headers), answerTo(t, asks, op, body, headers)
				if strings.HasPrefix(want, "400 ") {
					wrong++
				}
				if got != want {
					t.Errorf("%s, %v: %q is answered with\n%s, want\n%s", op.OperationID, headers, body, got, want)
				}
			}
		}
	}
	if wrong < 1000 {
		t.Errorf("only %d answers say that the body is not JSON", wrong)
	}
}

// answerTo is the whole response of a handler to a body.
func answerTo(t *testing.T, handler http.Handler, op *huma.Operation, body string, headers map[string]string) string {
	t.Helper()
	path := strings.NewReplacer("{sku}", "A", "{location}", "main", "{line}", "1").Replace(op.Path)
	for strings.Contains(path, "{") {
		before, rest, _ := strings.Cut(path, "{")
		_, after, _ := strings.Cut(rest, "}")
		path = before + "A" + after
	}
	r := httptest.NewRequestWithContext(t.Context(), op.Method, path, strings.NewReader(body))
	r.Header.Set("X-Request-ID", "same")
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	var all strings.Builder
	fmt.Fprintf(&all, "%d ", w.Code)
	for _, name := range slices.Sorted(maps.Keys(w.Header())) {
		fmt.Fprintf(&all, "%s=%q ", name, w.Header()[name])
	}
	return all.String() + w.Body.String()
}
