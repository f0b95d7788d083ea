package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/commandapi"
	"daybook/eventstore/memory"
	"daybook/internal/apidoc"
	"daybook/internal/httpapi"
	"daybook/internal/httpapi/contracttest"
)

// compiled compiles the schemas of a document by their place in it.
func compiled(t *testing.T, doc map[string]any) func(steps ...string) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("openapi.json", plain); err != nil {
		t.Fatal(err)
	}
	escaper := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	return func(steps ...string) *jsonschema.Schema {
		t.Helper()
		place := "openapi.json#"
		for _, step := range steps {
			place += "/" + escaper.Replace(step)
		}
		schema, err := compiler.Compile(place)
		if err != nil {
			t.Fatal(err)
		}
		return schema
	}
}

// Each parameter, each body and each successful response of the document has an example that fits
// its schema. So has each problem.
func TestEverythingOfTheDocumentHasAnExample(t *testing.T) {
	t.Parallel()
	doc := document(t)
	schema := compiled(t, doc)
	seen := 0
	fits := func(where string, example any, steps ...string) {
		seen++
		if example == nil {
			t.Errorf("%s has no example", where)
		} else if err := schema(steps...).Validate(example); err != nil {
			t.Errorf("%s: its example %v: %v", where, example, err)
		}
	}
	content := func(where string, steps ...string) {
		for kind, media := range object(t, doc, append(steps, "content")...) {
			fits(where+" "+kind, media.(map[string]any)["example"], append(steps[:len(steps):len(steps)], "content", kind, "schema")...)
		}
	}
	for path, methods := range object(t, doc, "paths") {
		for method := range methods.(map[string]any) {
			steps := []string{"paths", path, method}
			operation := object(t, doc, steps...)
			where := strings.ToUpper(method) + " " + path
			parameters, _ := operation["parameters"].([]any)
			for i, parameter := range parameters {
				parameter, _ := parameter.(map[string]any)
				example := parameter["example"]
				if examples, _ := object(t, parameter, "schema")["examples"].([]any); example == nil && len(examples) > 0 {
					example = examples[0]
				}
				fits(where+" "+parameter["name"].(string), example, append(steps[:3:3], "parameters", strconv.Itoa(i), "schema")...)
			}
			if operation["requestBody"] != nil {
				content(where, append(steps[:3:3], "requestBody")...)
			}
			for status, response := range object(t, operation, "responses") {
				if status[0] == '2' && response.(map[string]any)["content"] != nil {
					content(where+" "+status, append(steps[:3:3], "responses", status)...)
				}
			}
		}
	}
	for _, ref := range object(t, doc, "components", "schemas", "Problem", "discriminator", "mapping") {
		name := strings.TrimPrefix(ref.(string), "#/components/schemas/")
		examples, _ := object(t, doc, "components", "schemas", name)["examples"].([]any)
		fits(name, append(examples, nil)[0], "components", "schemas", name)
	}
	for name := range object(t, doc, "components", "responses") {
		content(name, "components", "responses", name)
	}
	if seen < 900 {
		t.Errorf("saw %d examples", seen)
	}
}

// The examples of requests tell one story. A server without data carries out all of its steps in
// order, except those about a process, because no work has failed, and those about an API key or a
// person, because the server chooses their ids and tokens.
func TestTheExamplesOfRequestsAreCarriedOut(t *testing.T) {
	t.Parallel()
	at, err := time.Parse(time.RFC3339, apidoc.StoryTime)
	if err != nil {
		t.Fatal(err)
	}
	service := commands.NewService(memory.New(), commands.DefaultPolicy(), func() time.Time { return at }, aggregate.Options{})
	handler, err := httpapi.New(httpapi.Options{Version: "test"},
		func(api huma.API) { commandapi.Register(api, service, commandapi.Options{}) })
	if err != nil {
		t.Fatal(err)
	}
	handler = new(contracttest.Server).Checked(t, handler)
	paths := object(t, document(t), "paths")
	told := make(map[string]int)
	for _, step := range apidoc.Story() {
		method, target := "", ""
		for path, methods := range paths {
			for name, operation := range methods.(map[string]any) {
				if operation.(map[string]any)["operationId"] == step.Operation {
					method, target = strings.ToUpper(name), path
				}
			}
		}
		query := url.Values{}
		for name, value := range step.In {
			if placed := strings.ReplaceAll(target, "{"+name+"}", value); placed != target {
				target = placed
			} else {
				query.Set(name, value)
			}
		}
		if told[step.Operation]++; strings.Contains(target, "{") || target == "" {
			t.Errorf("%s: the story lacks a part of %s", step.Operation, target)
			continue
		}
		r := httptest.NewRequestWithContext(t.Context(), method, target+"?"+query.Encode(), strings.NewReader(step.Body))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/json")
		if !strings.Contains(target, "/processes/") && !strings.Contains(target, "/keys") && !strings.Contains(target, "/roles") && !ofPeople(target) {
			r.Header.Set("Idempotency-Key", fmt.Sprintf("%s-%d", step.Operation, told[step.Operation]))
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		want := 2
		// This server has no rules of prices, so no order is of a legal entity, and nothing is
		// clawed back.
		if strings.HasSuffix(target, "/clawbacks") || strings.Contains(target, "/processes/") || strings.Contains(target, "/keys/") || strings.Contains(target, "/webhooks/") || strings.HasSuffix(target, "/find") || strings.HasSuffix(target, "/code") || ofPeople(target) && target != "/v1/staff" {
			want = 4
		}
		if w.Code/100 != want || w.Code == http.StatusUnprocessableEntity {
			t.Errorf("%s %s %s: answer %d %s", method, target, step.Body, w.Code, w.Body)
		}
	}
	for path, methods := range paths {
		for method, operation := range methods.(map[string]any) {
			id, _ := operation.(map[string]any)["operationId"].(string)
			if method != "get" && told[id] == 0 {
				t.Errorf("%s %s: the story has no %s", method, path, id)
			}
		}
	}
}

// ofPeople tells whether a path is about people who sign in.
func ofPeople(path string) bool {
	return strings.HasPrefix(path, "/v1/auth/") || strings.HasPrefix(path, "/v1/staff")
}
