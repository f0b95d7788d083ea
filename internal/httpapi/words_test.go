package httpapi_test

import (
	"slices"
	"strings"
	"testing"

	"daybook/internal/problem"
)

// The document describes the meaning of each member. It has an example for each value whose form is
// not clear from the schema.
func TestEveryMemberIsDescribedAndHasAnExample(t *testing.T) {
	t.Parallel()
	doc := document(t)
	members := 0
	for name, schema := range object(t, doc, "components", "schemas") {
		described, _ := schema.(map[string]any)
		if described["description"] == nil {
			t.Errorf("schema %s is not described", name)
		}
		properties, _ := described["properties"].(map[string]any)
		for member, schema := range properties {
			members++
			schema, _ := schema.(map[string]any)
			if schema["description"] == nil {
				t.Errorf("%s.%s is not described: give it a tag doc, or its name a row in apidoc.words", name, member)
			}
			if schema["default"] != nil {
				t.Errorf("%s.%s has a default, which makes generators of clients ask for it", name, member)
			}
			if !showsItsForm(schema) {
				t.Errorf("%s.%s has no example", name, member)
			}
			if wrong := wrongExample(schema); wrong != nil {
				t.Errorf("%s.%s is of type %v, and its example is %v", name, member, schema["type"], wrong)
			}
		}
	}
	if members < 1000 {
		t.Errorf("%d members, want those of all schemas", members)
	}
	for path, methods := range object(t, doc, "paths") {
		for method := range methods.(map[string]any) {
			operation := object(t, doc, "paths", path, method)
			if operation["description"] == nil {
				t.Errorf("%s %s is not described", method, path)
			}
			parameters, _ := operation["parameters"].([]any)
			for _, parameter := range parameters {
				parameter, _ := parameter.(map[string]any)
				schema, _ := parameter["schema"].(map[string]any)
				if parameter["description"] == nil || schema["default"] == nil && !showsItsForm(schema) {
					t.Errorf("%s %s: the parameter %v is not described, or has no example", method, path, parameter["name"])
				}
			}
			for status, response := range object(t, operation, "responses") {
				headers, _ := response.(map[string]any)["headers"].(map[string]any)
				for name, header := range headers {
					if header.(map[string]any)["description"] == nil {
						t.Errorf("%s %s: the header %s of %s is not described", method, path, name, status)
					}
				}
			}
		}
	}
}

// wrongExample is an example of another type than the member's, or nil.
func wrongExample(schema map[string]any) any {
	examples, _ := schema["examples"].([]any)
	for _, example := range examples {
		_, isText := example.(string)
		_, isBool := example.(bool)
		_, isNumber := example.(float64)
		is := map[any]bool{"string": isText, "boolean": isBool, "integer": isNumber, "number": isNumber}
		if kind, plain := schema["type"].(string); plain {
			if fits, known := is[kind]; known && !fits {
				return example
			}
		}
	}
	return nil
}

// showsItsForm tells whether a schema shows what its values look like: by an example, by a list of
// all values, or by its members.
func showsItsForm(schema map[string]any) bool {
	if items, is := schema["items"].(map[string]any); is && schema["examples"] == nil {
		schema = items
	}
	for _, told := range []string{"$ref", "const", "enum", "examples", "properties", "anyOf", "not"} {
		if schema[told] != nil {
			return true
		}
	}
	return schema["type"] == "boolean" || schema["type"] == "object" || schema["type"] == "integer" && schema["format"] == "int64" && schema["minimum"] != nil
}

// notAnswered are problems that no operation of the document lists, and why.
var notAnswered = map[string]string{
	problem.CodeMethod: "is of addresses, whose other methods the document has",
	// The schema of the body already forbids these, so the rules never see them.
	"cart-quantity-invalid": "schema", "cart-kind-unknown": "schema", "cart-policy-unknown": "schema", "line-quantity-invalid": "schema",
	"product-kind-unknown": "schema", "return-quantity-invalid": "schema", "return-disposition-invalid": "schema",
	"stock-condition-unknown": "schema", "stock-reason-unknown": "schema", "stock-policy-invalid": "schema", "transaction-invalid": "schema",
	"return-empty": "schema",
	// The API fills in these values itself.
	"cart-price-negative": "prices are the catalogue's", "cart-hold-until-missing": "the deadline is the shop's",
	// Only processes send the commands that are refused in this way.
	"order-empty": "process", "order-exists": "process", "order-currency-mixed": "process", "order-stock-not-held": "process",
}

// Each problem code is listed by an operation, or notAnswered says why it is not.
func TestEveryProblemIsListedByAnOperation(t *testing.T) {
	t.Parallel()
	doc := document(t)
	listed := make(map[string]bool)
	var walk func(value any)
	walk = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			if ref, is := value["$ref"].(string); is {
				name, isAnswer := strings.CutPrefix(ref, "#/components/responses/")
				if isAnswer {
					walk(object(t, doc, "components", "responses", name))
				}
				listed[strings.TrimPrefix(ref, "#/components/schemas/")] = true
			}
			for _, inner := range value {
				walk(inner)
			}
		case []any:
			for _, inner := range value {
				walk(inner)
			}
		}
	}
	walk(doc["paths"])
	mapping := object(t, doc, "components", "schemas", "Problem", "discriminator", "mapping")
	for _, entry := range problem.Catalogue() {
		ref, _ := mapping[entry.Type].(string)
		is := listed[strings.TrimPrefix(ref, "#/components/schemas/")]
		switch why := notAnswered[entry.Code]; {
		case !is && why == "":
			t.Errorf("no operation lists %s", entry.Code)
		case is && why != "":
			t.Errorf("an operation lists %s, although: %s", entry.Code, why)
		}
	}
	for code := range notAnswered {
		if !slices.ContainsFunc(problem.Catalogue(), func(e problem.Entry) bool { return e.Code == code }) {
			t.Errorf("there is no problem %s", code)
		}
	}
}
