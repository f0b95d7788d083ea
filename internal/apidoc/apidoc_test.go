package apidoc_test

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"github.com/go-json-experiment/json"
	"github.com/gorilla/mux"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"daybook/domain/access"
	"daybook/domain/filestest"
	"daybook/internal/apidoc"
	"daybook/internal/eventtypes"
	"daybook/internal/problem"
)

// envelope has the members that the test's events have around their data.
type envelope struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	DataSchema string `json:"dataschema"`
	Data       any    `json:"data"`
}

// document is a document with all problems and all events, and one operation.
func document(t *testing.T) map[string]any {
	t.Helper()
	problem.Install()
	config := huma.DefaultConfig("test", "1")
	config.CreateHooks = nil
	config.Components.Schemas = apidoc.NewRegistry()
	apidoc.Describe(config.OpenAPI)
	api := humamux.New(mux.NewRouter(), config)
	apidoc.Events(config.Components.Schemas, reflect.TypeFor[envelope]())
	huma.Register(api, huma.Operation{
		OperationID: "try", Method: http.MethodPost, Path: "/v1/try", Metadata: problem.Listing(access.Look, "stock-insufficient", "cart-not-open", "cart-not-found"),
	}, func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
	apidoc.Complete(api.OpenAPI())
	data, err := json.Marshal(api.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// schemas compiles schemas of a document by their names.
func schemas(t *testing.T, doc map[string]any) func(name string) *jsonschema.Schema {
	t.Helper()
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("doc.json", plain); err != nil {
		t.Fatal(err)
	}
	return func(name string) *jsonschema.Schema {
		t.Helper()
		schema, err := compiler.Compile("doc.json#/components/schemas/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return schema
	}
}

// Each golden file of an event, of every version, fits the schema of its type. dataschema decides
// which schema that is.
func TestEveryEventTypeHasASchemaThatItsSamplesFit(t *testing.T) {
	t.Parallel()
	compiled := schemas(t, document(t))
	files := filestest.OfAggregates(t, "../../domain", "testdata/*.json")
	union, foreign := compiled("Event"), compiled("ForeignEvent")
	sampled := make(map[string]bool)
	for _, file := range files {
		typ, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".json"), "~")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sampled[typ] = true
		event := func(typ, dataSchema string) any {
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(`{"id":"0192f0c1-2f6a-7cc0-8f5e-0a6f2d1f4b11","type":"` + typ + `","dataschema":"` + dataSchema + `","data":` + string(data) + `}`))
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
		if err := union.Validate(event(typ, apidoc.DataSchema(typ, false))); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if err := union.Validate(event("warehouse.door_opened", apidoc.DataSchema(typ, false))); err == nil {
			t.Errorf("%s: fits an event of the shop although its type is none", file)
		}
		for _, other := range []string{typ, "warehouse.door_opened"} { // another program may use a type of the shop
			if union.Validate(event(other, apidoc.DataSchema(other, true))) != nil || foreign.Validate(event(other, apidoc.DataSchema(typ, false))) == nil {
				t.Errorf("%s as %s: dataschema does not tell whose event it is", file, other)
			}
		}
	}
	if got := apidoc.DataSchema("order.placed.v99", false); got != apidoc.DataSchema("warehouse.door_opened", true) {
		t.Errorf("an event type of a newer version has the form %s", got)
	}
	for typ := range eventtypes.All() {
		if !sampled[typ] {
			t.Errorf("%s has no sample", typ)
		}
	}
}

// Every code has a schema with the type, title and status of the code. The union accepts each
// problem.
func TestEveryProblemHasASchema(t *testing.T) {
	t.Parallel()
	doc := document(t)
	all, _ := doc["components"].(map[string]any)["schemas"].(map[string]any)
	union, _ := all["Problem"].(map[string]any)["discriminator"].(map[string]any)["mapping"].(map[string]any)
	codes := make([]string, 0, len(union))
	for _, entry := range problem.Catalogue() {
		codes = append(codes, entry.Type)
		ref, _ := union[entry.Type].(string)
		schema, _ := all[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any)
		members, _ := schema["properties"].(map[string]any)
		for name, want := range map[string]any{"type": entry.Type, "title": entry.Title, "status": float64(entry.Status)} {
			if got, _ := members[name].(map[string]any); got["const"] != want {
				t.Errorf("%s: %s is %v, want %v", entry.Code, name, got["const"], want)
			}
		}
	}
	codes = append(codes, "about:blank")
	slices.Sort(codes)
	if got := slices.Sorted(maps.Keys(union)); !slices.Equal(got, codes) {
		t.Errorf("the union is of %v, want %v", got, codes)
	}
}

// A problem's facts fit its schema, and others do not.
func TestAProblemHasItsFacts(t *testing.T) {
	t.Parallel()
	compiled := schemas(t, document(t))
	for body, fits := range map[string]bool{
		`{"type":"/problems/stock-insufficient","title":"Stock insufficient","status":409,"sku":"MUG","available":1,"requested":3}`:                true,
		`{"type":"/problems/stock-insufficient","title":"Stock insufficient","status":409,"sku":"MUG","available":1}`:                              false,
		`{"type":"/problems/stock-insufficient","title":"Stock insufficient","status":409,"sku":"MUG","available":1,"requested":3,"colour":"red"}`: true, // responses may gain members
		`{"type":"/problems/stock-insufficient","title":"Stock insufficient","status":404,"sku":"MUG","available":1,"requested":3}`:                false,
		`{"type":"/problems/cart-empty","title":"Cart empty","status":409,"detail":"The cart has no lines.","order_id":"o-1"}`:                     true,
		`{"type":"/problems/cart-empty","title":"Cart full","status":409}`:                                                                         false,
		`{"type":"/problems/never-heard-of","title":"Never heard of","status":409}`:                                                                false,
		`{"type":"about:blank","title":"Internal Server Error","status":500,"request_id":"r-1"}`:                                                   true,
	} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiled("Problem").Validate(value); (err == nil) != fits {
			t.Errorf("%s: %v, want it to fit: %t", body, err, fits)
		}
	}
}

// An operation lists its own problems, and those that every request may get, by status.
func TestAnOperationListsItsProblems(t *testing.T) {
	t.Parallel()
	doc := document(t)
	responses, _ := doc["paths"].(map[string]any)["/v1/try"].(map[string]any)["post"].(map[string]any)["responses"].(map[string]any)
	for status, want := range map[string]string{"409": "StockInsufficientProblem", "404": "CartNotFoundProblem", "421": "HostUnknownHere", "500": "Internal", "503": "LogDivergedProblem"} {
		text, err := json.Marshal(responses[status])
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %s, want %s in it", status, text, want)
		}
	}
	if responses["default"] != nil || responses["412"] != nil {
		t.Errorf("statuses %v: what cannot be answered is listed", slices.Sorted(maps.Keys(responses)))
	}
}
