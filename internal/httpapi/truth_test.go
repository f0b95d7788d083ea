package httpapi_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
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
	"daybook/internal/problem"
)

// member is a member of a body, or an item of a list in it.
type member struct {
	pointer string
	schema  map[string]any
	// with returns the whole body in which this member has another value.
	with func(value any) any
}

// membersOf returns all members of a body at any depth. body is a value of the schema.
func membersOf(t *testing.T, doc, schema map[string]any, body any, pointer string, with func(any) any) (all []member) {
	t.Helper()
	schema = resolved(t, doc, schema)
	all = append(all, member{pointer: pointer, schema: schema, with: with})
	switch value := body.(type) {
	case map[string]any:
		for name, inner := range value {
			all = append(all, membersOf(t, doc, object(t, schema, "properties", name), inner, pointer+"/"+name, func(other any) any {
				changed := maps.Clone(value)
				changed[name] = other
				return with(changed)
			})...)
		}
	case []any:
		all = append(all, membersOf(t, doc, object(t, schema, "items"), value[0], pointer+"/0", func(other any) any {
			return with(append([]any{other}, value[1:]...))
		})...)
	}
	return all
}

// wholeBody has a value for each member of a schema.
func wholeBody(t *testing.T, doc, schema map[string]any) any {
	t.Helper()
	schema = resolved(t, doc, schema)
	if examples, _ := schema["examples"].([]any); len(examples) > 0 {
		return examples[0]
	}
	if values, _ := schema["enum"].([]any); len(values) > 0 {
		return values[0]
	}
	switch kind := fmt.Sprint(schema["type"]); {
	case strings.Contains(kind, "object"):
		value := make(map[string]any)
		for name := range object(t, schema, "properties") {
			value[name] = wholeBody(t, doc, object(t, schema, "properties", name))
		}
		return value
	case strings.Contains(kind, "array"):
		return []any{wholeBody(t, doc, object(t, schema, "items"))}
	case kind == "boolean":
		return true
	case schema["format"] == "date-time":
		return "2026-01-31T12:00:00Z"
	}
	t.Fatalf("no value for %v", schema)
	return nil
}

// wrongValues returns values that the schema of a member may forbid, by what is wrong with them.
func wrongValues(m member, body any) map[string]any {
	values := map[string]any{"null": nil}
	kind := fmt.Sprint(m.schema["type"])
	switch {
	case strings.Contains(kind, "string"):
		text := "text"
		if examples, _ := m.schema["examples"].([]any); len(examples) > 0 {
			text, _ = examples[0].(string)
		}
		most, _ := m.schema["maxLength"].(float64)
		values["a number"], values["a list"], values["empty"] = 5, []any{}, ""
		values["a control character"], values["a control character within"] = text+"\u0001", text[:1]+"\u0007"+text[1:]
		if most > 0 {
			values["too long"], values["too long digits"] = strings.Repeat("a", int(most)+1), strings.Repeat("1", int(most)+1)
			values["longest"], values["longest digits"] = strings.Repeat("a", int(most)), strings.Repeat("1", int(most))
			values["too long, not ASCII"] = strings.Repeat("ä", int(most)+1)
		}
	case strings.Contains(kind, "integer"):
		values["a text"], values["no whole number"], values["true"] = "5", 1.5, true
		if least, is := m.schema["minimum"].(float64); is {
			values["below the minimum"], values["the minimum"] = int64(least)-1, int64(least)
		}
		if most, is := m.schema["maximum"].(float64); is {
			values["above the maximum"], values["the maximum"] = int64(most)+1, int64(most)
		}
	case strings.Contains(kind, "boolean"):
		values["a text"], values["a number"] = "true", 1
	case strings.Contains(kind, "array"):
		values["an object"], values["a text"], values["empty"] = map[string]any{}, "x", []any{}
		if most, is := m.schema["maxItems"].(float64); is {
			items, _ := body.([]any)
			values["too many"] = slices.Repeat(items[:1], int(most)+1)
		}
	case strings.Contains(kind, "object"):
		members, _ := body.(map[string]any)
		more := maps.Clone(members)
		more["colour"] = "red"
		values["a list"], values["a text"], values["empty"], values["an unknown member"] = []any{}, "x", map[string]any{}, more
	}
	return values
}

// valueAt is the value at a pointer of a body, which begins with #.
func valueAt(body any, pointer string) any {
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "#"), "/") {
		switch value := body.(type) {
		case map[string]any:
			if step != "" {
				body = value[step]
			}
		case []any:
			body = value[0]
		}
	}
	return body
}

// ruled has rules that the document's schemas cannot express, by operation and pointer, or by the
// member's name. Each rule forbids values that the schema allows. Example: a currency must be a
// code of ISO 4217, but the schema allows any three letters.
var ruled = map[string]string{
	"currency":                  "is a code of ISO 4217",
	"deallocate-stock #/reason": "must be given with force", "extend-reservation #/reason": "must be given with force",
	"erase-subject #/customer_id":                   "stands without cart_id",
	"settle-refund #/code":                          "is one line, of a part that failed",
	"invite-staff #/name":                           "is one line",
	"invite-staff #/email":                          "is an e-mail address",
	"add-address #/lines/0":                         "is one line",
	"change-address #/lines/0":                      "is one line",
	"set-cart-details #/billing/lines/0":            "is one line",
	"set-cart-details #/shipping/lines/0":           "is one line",
	"checkout-cart #/details/billing/lines/0":       "is one line",
	"checkout-cart #/details/shipping/lines/0":      "is one line",
	"claim-cart #":                                  "names a customer, if the caller is none",
	"claim-order #":                                 "names a customer, if the caller is none",
	"add-wishes #":                                  "has either list_id or share_token",
	"set-cart-details #/shipping/country":           "is a code of ISO 3166",
	"set-cart-details #/billing/country":            "is a code of ISO 3166",
	"checkout-cart #/details/shipping/country":      "is a code of ISO 3166",
	"checkout-cart #/details/billing/country":       "is a code of ISO 3166",
	"add-address #/country":                         "is a code of ISO 3166",
	"change-address #/country":                      "is a code of ISO 3166",
	"set-tax-status #/country":                      "is a code of ISO 3166, of a business",
	"set-tax-status #/tax_id":                       "is one line, of a business",
	"set-tax-status #/checked_by":                   "is one line, of a check",
	"set-tax-status #/proof":                        "is one line, of a check",
	"set-tax-status #/kind":                         "fits the other members",
	"set-cart-tax-status #/country":                 "is a code of ISO 3166, of a business",
	"set-cart-tax-status #/tax_id":                  "is one line, of a business",
	"set-cart-tax-status #/checked_by":              "is one line, of a check",
	"set-cart-tax-status #/proof":                   "is one line, of a check",
	"set-cart-tax-status #/kind":                    "fits the other members",
	"give-cart-discount #/percent":                  "stands without an amount",
	"email":                                         "is an e-mail address",
	"define-legal-entity #/home/country":            "is a code of ISO 3166",
	"define-legal-entity #/home":                    "has a country",
	"define-legal-entity #/taxes/0/place/country":   "is a code of ISO 3166",
	"define-legal-entity #/registrations/0/country": "is a code of ISO 3166",
	"define-legal-entity #/registrations/0/number":  "is one line",
	"define-legal-entity #/taxes/0/component":       "is one line",
	"define-legal-entity #/default_class":           "is the class of a row",
	"define-legal-entity #/taxes":                   "has the default class",
	"define-legal-entity #/taxes/0/tax_class":       "is the default class, in this body",
	"define-shipping-method #/rates/0/zone/country": "is a code of ISO 3166",
	"define-price-list #/countries/0":               "is a code of ISO 3166",
	"preview-price #/ship_to/country":               "is a code of ISO 3166",
	"preview-price #/tax_id":                        "is one line",
	"preview-price #/coupons/0":                     "is one line",
	"checkout-cart #/gift_cards/0":                  "is the code of a gift card",
	"define-promotion #/conditions/countries/0":     "is a code of ISO 3166",
	"define-promotion #/action/buy":                 "is of another type, in this body",
	"define-promotion #/action/get":                 "is of another type, in this body",
	"define-promotion #/action/max_sets":            "is of another type, in this body",
	"phone":                                         "is a phone number",
	"locale":                                        "is a language",
	"region":                                        "is the code of a region",
	"name":                                          "is one line",
	"version":                                       "is a plain name",
	"list_id":                                       "is there, or share_token is",
	"share_token":                                   "is there, or list_id is",
	"change-email #/email":                          "is an e-mail address",
	"return-stock #/reason":                         "must be given with force",
	"extend-reservation #":                          "has either expires_at or hold_seconds",
	"request-return #/lines/0/sku":                  "is that of the order's line",
}

// The server refuses exactly the values that the schema of a body forbids. It tries each member of
// each body with each kind of wrong value, and the refusal points at the member. The requests go to
// a server that has carried out the story of the examples, so the things that they name exist.
func TestTheSchemaOfABodySaysTheTruth(t *testing.T) {
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
	sent := 0
	send := func(method, target string, body any) (int, problem.Document, string) {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		sent++
		r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(string(text)))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/json")
		if !strings.Contains(target, "/processes/") {
			r.Header.Set("Idempotency-Key", fmt.Sprint("truth-", sent))
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		var got problem.Document
		_ = json.Unmarshal(w.Body.Bytes(), &got)
		return w.Code, got, fmt.Sprintf("%.200s", text)
	}
	doc := document(t)
	schema := compiled(t, doc)
	places := make(map[string][3]string) // method, path and address of an operation
	for path, methods := range object(t, doc, "paths") {
		for method := range methods.(map[string]any) {
			id, _ := object(t, doc, "paths", path, method)["operationId"].(string)
			places[id] = [3]string{method, path, path}
		}
	}
	for _, step := range apidoc.Story() {
		place := places[step.Operation]
		address := place[1]
		for name, value := range step.In {
			address = strings.ReplaceAll(address, "{"+name+"}", value)
		}
		if place[1] == place[2] {
			place[2] = address
			places[step.Operation] = place
		}
		if step.Operation == "retire-product" {
			continue
		}
		send(strings.ToUpper(place[0]), address, json.RawMessage(cmp.Or(step.Body, "{}")))
	}
	members := 0
	for id, place := range places {
		operation := object(t, doc, "paths", place[1], place[0])
		if operation["requestBody"] == nil || isForeign(object(t, operation, "requestBody", "content", "application/json", "schema")) {
			continue
		}
		steps := []string{"paths", place[1], place[0], "requestBody", "content", "application/json", "schema"}
		whole := wholeBody(t, doc, object(t, doc, steps...))
		valid := schema(steps...)
		for _, m := range membersOf(t, doc, object(t, doc, steps...), whole, "#", func(value any) any { return value }) {
			members++
			for what, value := range wrongValues(m, valueAt(whole, m.pointer)) {
				body := m.with(value)
				plain, err := json.Marshal(body)
				if err != nil {
					t.Fatal(err)
				}
				read, err := jsonschema.UnmarshalJSON(strings.NewReader(string(plain)))
				if err != nil {
					t.Fatal(err)
				}
				forbidden := valid.Validate(read)
				status, got, text := send(strings.ToUpper(place[0]), place[2], body)
				points := slices.ContainsFunc(got.Errors, func(e problem.Invalid) bool {
					return e.Pointer == m.pointer || strings.HasPrefix(e.Pointer, m.pointer+"/")
				})
				refused := status == http.StatusUnprocessableEntity || status == http.StatusBadRequest
				if status == http.StatusRequestEntityTooLarge && strings.HasPrefix(what, "too long") {
					refused, points = true, true // a file may be as long as a body
				}
				switch {
				case forbidden != nil && (!refused || !points):
					t.Errorf("%s, %s at %s: the schema forbids it, and the answer is %d %+v\n%s", id, what, m.pointer, status, got, text)
				case forbidden == nil && refused && points && ruled[id+" "+m.pointer] == "" && ruled[m.pointer[strings.LastIndex(m.pointer, "/")+1:]] == "":
					t.Errorf("%s, %s at %s: the schema allows it, and the answer is %d %+v\n%s", id, what, m.pointer, status, got, text)
				}
			}
		}
	}
	if members < 150 {
		t.Errorf("%d members", members)
	}
}
