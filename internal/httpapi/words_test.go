package httpapi_test

import (
	"maps"
	"regexp"
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
		for member, schema := range allMembersOf(described) {
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

// allMembersOf returns the members of a schema, and those of the parts that it is made of.
func allMembersOf(schema map[string]any) map[string]any {
	members := make(map[string]any)
	properties, _ := schema["properties"].(map[string]any)
	maps.Copy(members, properties)
	parts, _ := schema["allOf"].([]any)
	for _, part := range parts {
		maps.Copy(members, allMembersOf(part.(map[string]any)))
	}
	return members
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
	return schema["type"] == "object" || schema["type"] == "integer" && schema["format"] == "int64" && schema["minimum"] != nil
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
	"code-refused":  "whoever signs in gets sign-in-refused",
	"factor-exists": "whoever signs in gets sign-in-refused",
	"key-exists":    "the server chooses the ids of keys at random",
	// Only processes send the commands that are refused in this way.
	"gift-card-back-exceeded": "process", "cart-quote-invalid": "process", "order-quote-invalid": "process",
	"price-missing": "a checkout says price-changed, and a quote or a preview says it in its body",
	"order-empty":   "process", "order-exists": "process", "order-currency-mixed": "process", "order-stock-not-held": "process",
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

// A hold is a stop on an order. Of stock, the document says reserve, allocate or have.
func TestOnlyOrdersAreOnHold(t *testing.T) {
	t.Parallel()
	texts := 0
	eachDescription(document(t), func(about string) {
		texts++
		if strings.HasPrefix(about, "An event of the type ") {
			return // the types of events are no prose
		}
		if word := ofHold.FindString(strings.NewReplacer("on hold", "", "the hold", "").Replace(about)); word != "" {
			t.Errorf("%q says %q, want another word, or \"on hold\" of an order", about, word)
		}
	})
	if texts < 1500 {
		t.Errorf("%d descriptions are found, want more", texts)
	}
}

var ofHold = regexp.MustCompile(`(?i)\b(?:holds?|held|holding)\b`)

// eachDescription calls do with each description in a part of a document.
func eachDescription(part any, do func(about string)) {
	switch part := part.(type) {
	case map[string]any:
		for name, member := range part {
			if about, is := member.(string); is && (name == "description" || name == "summary") {
				do(about)
			}
			eachDescription(member, do)
		}
	case []any:
		for _, member := range part {
			eachDescription(member, do)
		}
	}
}

// Generators of clients name the type of a member with an enum after its schema and the member: the
// member state of Shipment gets the type ShipmentState. So no other schema may have that name.
func TestNoSchemaHasTheNameOfAMembersType(t *testing.T) {
	t.Parallel()
	schemas := object(t, document(t), "components", "schemas")
	looked := 0
	for name, schema := range schemas {
		described, _ := schema.(map[string]any)
		for member, schema := range allMembersOf(described) {
			if schema, _ := schema.(map[string]any); schema["enum"] == nil {
				continue
			}
			looked++
			words := strings.Split(member, "_")
			for i, word := range words {
				words[i] = strings.ToUpper(word[:min(1, len(word))]) + word[min(1, len(word)):]
			}
			if made := name + strings.Join(words, ""); schemas[made] != nil {
				t.Errorf("%s.%s gets the type %s in a generated client, and there is a schema with that name", name, member, made)
			}
		}
	}
	if looked < 50 {
		t.Errorf("%d members have an enum, want those of all schemas", looked)
	}
}
