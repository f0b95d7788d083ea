package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/commandapi"
	"daybook/domain/unit"
	"daybook/eventstore/memory"
	"daybook/internal/httpapi"
	"daybook/internal/problem"
	"daybook/readapi"
)

// both returns a handler of both APIs over an empty log.
func both(t *testing.T) http.Handler {
	t.Helper()
	handler, err := newBoth()
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

func newBoth() (http.Handler, error) {
	service := commands.NewService(memory.New(), commands.DefaultPolicy(), time.Now, aggregate.Options{})
	return httpapi.New(httpapi.Options{Version: "1.2.3", PublicHosts: []string{"example.com"}},
		func(api huma.API) { commandapi.Register(api, service, commandapi.Options{}) },
		func(api huma.API) { readapi.Register(api, readapi.Config{}) })
}

// served is the OpenAPI document of both APIs, as it is served to all tests.
var served = sync.OnceValues(func() ([]byte, error) {
	handler, err := newBoth()
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/openapi.json", nil))
	if w.Code != http.StatusOK {
		return nil, fmt.Errorf("document: %d", w.Code)
	}
	return w.Body.Bytes(), nil
})

// document is a copy of the OpenAPI document of both APIs.
func document(t *testing.T) map[string]any {
	t.Helper()
	text, err := served()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTheDocumentIsServedAsYAML(t *testing.T) {
	t.Parallel()
	yaml := httptest.NewRecorder()
	both(t).ServeHTTP(yaml, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.yaml", nil))
	if !strings.Contains(yaml.Body.String(), "openapi: 3.1.0") {
		t.Errorf("as YAML it is %d, %.60s", yaml.Code, yaml.Body)
	}
}

// object takes a member that has to be an object.
func object(t *testing.T, in map[string]any, path ...string) map[string]any {
	t.Helper()
	for _, name := range path {
		inner, ok := in[name].(map[string]any)
		if !ok {
			t.Fatalf("no object %s in %v", name, path)
		}
		in = inner
	}
	return in
}

func TestOneDocumentDescribesBothAPIs(t *testing.T) {
	t.Parallel()
	doc := document(t)
	if doc["openapi"] != "3.1.0" || object(t, doc, "info")["version"] != "1.2.3" {
		t.Errorf("document of OpenAPI %v, version %v", doc["openapi"], object(t, doc, "info")["version"])
	}
	var names []string
	for path, methods := range object(t, doc, "paths") {
		for method := range methods.(map[string]any) {
			operation := object(t, doc, "paths", path, method)
			name, _ := operation["operationId"].(string)
			if name == "" || slices.Contains(names, name) {
				t.Errorf("%s %s: operationId %q, want one of its own", method, path, name)
			}
			names = append(names, name)
			if summary, _ := operation["summary"].(string); summary == "" || operation["tags"] == nil {
				t.Errorf("%s %s: no summary or no tag", method, path)
			}
			for _, part := range strings.Split(path, "/") {
				if name, parameter := strings.CutPrefix(part, "{"); parameter && !describes(operation, strings.TrimSuffix(name, "}")) {
					t.Errorf("%s %s: the parameter %s is not described", method, path, name)
				}
			}
		}
	}
	for _, want := range []string{"checkout-cart", "get-order", "list-stock", "follow-events", "is-ready", "get-document", "list-problem-types", "get-problem-type"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is missing among %d operations", want, len(names))
		}
	}
}

func describes(operation map[string]any, name string) bool {
	parameters, _ := operation["parameters"].([]any)
	return slices.ContainsFunc(parameters, func(parameter any) bool {
		described, _ := parameter.(map[string]any)
		return described["name"] == name && described["in"] == "path" && described["required"] == true
	})
}

// The document must not list the values of a response's header. Such a list has no name, so ogen
// makes a type of it for each operation. Then it confuses these types, and the client that it makes
// does not compile.
func TestNoHeaderOfAnAnswerListsItsValues(t *testing.T) {
	t.Parallel()
	doc := document(t)
	seen := 0
	for path, methods := range object(t, doc, "paths") {
		for method := range methods.(map[string]any) {
			for status, response := range object(t, doc, "paths", path, method, "responses") {
				headers, _ := response.(map[string]any)["headers"].(map[string]any)
				for name := range headers {
					seen++
					if values := object(t, headers, name, "schema")["enum"]; values != nil {
						t.Errorf("%s %s: %s: the header %s lists its values %v", method, path, status, name, values)
					}
				}
			}
		}
	}
	if seen < 100 {
		t.Errorf("saw %d headers", seen)
	}
}

// If the responses of an operation always have a header, the document says that it is required. So
// a client in a typed language need not check whether it is there.
func TestHeadersThatAreAlwaysSentAreRequired(t *testing.T) {
	t.Parallel()
	sometimes := []string{"Idempotency-Replayed", "Daybook-More", "Set-Cookie", "read-stream Daybook-Position", "list-events Daybook-Position", "open-cart Daybook-Guest-Token"}
	doc := document(t)
	seen := map[string]int{}
	for path, methods := range object(t, doc, "paths") {
		for method := range methods.(map[string]any) {
			id, _ := object(t, doc, "paths", path, method)["operationId"].(string)
			for status, response := range object(t, doc, "paths", path, method, "responses") {
				headers, _ := response.(map[string]any)["headers"].(map[string]any)
				for name := range headers {
					required := object(t, headers, name)["required"] == true
					want := status < "400" && !slices.Contains(sometimes, name) && !slices.Contains(sometimes, id+" "+name)
					if required != want {
						t.Errorf("%s: %s: the header %s is required: %t, want %t", id, status, name, required, want)
					}
					if required {
						seen[name]++
					}
				}
			}
		}
	}
	for name, least := range map[string]int{"ETag": 90, "Daybook-Position": 80, "Daybook-Event-Count": 2, "Location": 5} {
		if seen[name] < least {
			t.Errorf("%s is required %d times, want at least %d", name, seen[name], least)
		}
	}
	if object(t, doc, "components", "responses", "RateLimited", "headers", "Retry-After")["required"] != true {
		t.Error("Retry-After of 429 is not required")
	}
}

// A list in a response has at most as many items as the parameter limit says. A list without this
// parameter has another bound, which is named here.
func TestEveryListOfTheDocumentIsBounded(t *testing.T) {
	t.Parallel()
	bounded := map[string]string{
		"list-projections":    "the read models of this program",
		"list-sku-stock":      "the shop's locations",
		"total-sales":         "10,000; more are refused",
		"report-orders-taken": "10,000; more are refused",
		"report-discounts":    "10,000; more are refused",
		"report-taxes":        "10,000; more are refused",
		"report-money":        "10,000; more are refused",
		"report-open-items":   "10,000; more are refused",
		"report-bridge":       "10,000; more are refused",
		"list-sessions":       "the latest 100",
		"list-staff-sessions": "the latest 100",
		"list-roles":          "those that every shop has, and up to 100 of its own",
	}
	doc := document(t)
	lists := 0
	for path := range object(t, doc, "paths") {
		get, _ := object(t, doc, "paths", path)["get"].(map[string]any)
		if get == nil {
			continue
		}
		content := object(t, get, "responses", "200")["content"]
		media, _ := content.(map[string]any)
		_, isLines := media["application/x-ndjson"]
		if page, ok := media["application/json"].(map[string]any); ok {
			schema := resolved(t, doc, object(t, page, "schema"))
			properties, _ := schema["properties"].(map[string]any)
			isLines = properties["items"] != nil
		}
		id, _ := get["operationId"].(string)
		if !isLines || bounded[id] != "" {
			continue
		}
		lists++
		if most := limitOf(get); most < 1 || most > 1000 {
			t.Errorf("%s: a list of up to %v items, want a limit of 1 to 1000", id, most)
		}
	}
	if lists < 10 {
		t.Errorf("%d lists, want all", lists)
	}
}

// limitOf is the maximum of an operation's parameter limit, or 0.
func limitOf(operation map[string]any) float64 {
	parameters, _ := operation["parameters"].([]any)
	for _, parameter := range parameters {
		described, _ := parameter.(map[string]any)
		if schema, _ := described["schema"].(map[string]any); described["name"] == "limit" && schema != nil {
			most, _ := schema["maximum"].(float64)
			return most
		}
	}
	return 0
}

func TestEveryReferenceOfTheDocumentLeadsSomewhere(t *testing.T) {
	t.Parallel()
	doc := document(t)
	schemas := object(t, doc, "components", "schemas")
	answers := object(t, doc, "components", "responses")
	references := 0
	var walk func(at string, value any)
	walk = func(at string, value any) {
		switch value := value.(type) {
		case map[string]any:
			if reference, ok := value["$ref"].(string); ok {
				references++
				_, found := schemas[strings.TrimPrefix(reference, "#/components/schemas/")]
				_, answer := answers[strings.TrimPrefix(reference, "#/components/responses/")]
				if !found && !answer {
					t.Errorf("%s refers to %s, which is nowhere", at, reference)
				}
			}
			for name, inner := range value {
				walk(at+"/"+name, inner)
			}
		case []any:
			for _, inner := range value {
				walk(at, inner)
			}
		}
	}
	walk("", doc)
	if references < 100 {
		t.Errorf("%d references, want those of all bodies", references)
	}
	for name, schema := range schemas {
		if strings.ContainsAny(name, "/.[]-") {
			t.Errorf("schema %q has no plain name", name)
		}
		if described, _ := schema.(map[string]any); described["type"] == nil && described["oneOf"] == nil && described["anyOf"] == nil && described["allOf"] == nil {
			t.Errorf("schema %s says nothing", name)
		}
	}
}

// lengths has the longest text that the server accepts for each member of a request, by the
// member's name.
var lengths = map[string]int{
	"sku": unit.MaxSKU, "sku_prefix": unit.MaxSKU,
	"title": unit.MaxTitle,
	"note":  unit.MaxNote, "reason": unit.MaxNote,
	"reference": unit.MaxReference, "document": unit.MaxReference, "country": unit.MaxReference,
	"location": unit.MaxName, "from": unit.MaxName, "to": unit.MaxName,
	"cart_id": unit.MaxName, "order_id": unit.MaxName, "return_id": unit.MaxName, "shipment_id": unit.MaxName, "transaction_id": unit.MaxName,
	"transfer_id": unit.MaxName, "customer_id": unit.MaxName, "reservation_id": unit.MaxName, "parent": unit.MaxName,
	"currency": len("GBP"),
}

// The document has the same maximum lengths as the server. So the server accepts every length that
// the document allows, and no other.
func TestTheDocumentSaysTheLengthsOfTheServer(t *testing.T) {
	t.Parallel()
	doc := document(t)
	seen := map[string]bool{}
	check := func(where, name string, schema map[string]any) {
		want, known := lengths[name]
		if schema["type"] != "string" && !isNullable(schema["type"]) || schema["enum"] != nil || schema["format"] == "date" || schema["format"] == "date-time" || !known {
			return
		}
		seen[name] = true
		if code, _ := schema["minLength"].(float64); name == "country" && code == 2 {
			want = len("GB") // of an address, which has a code
		}
		if got, _ := schema["maxLength"].(float64); int(got) != want {
			t.Errorf("%s: %s has maxLength %v, want %d", where, name, schema["maxLength"], want)
		}
	}
	for path, methods := range object(t, doc, "paths") {
		for method := range methods.(map[string]any) {
			operation := object(t, doc, "paths", path, method)
			where := strings.ToUpper(method) + " " + path
			parameters, _ := operation["parameters"].([]any)
			for _, parameter := range parameters {
				parameter, _ := parameter.(map[string]any)
				name, _ := parameter["name"].(string)
				check(where, name, object(t, parameter, "schema"))
			}
			if operation["requestBody"] == nil {
				continue
			}
			for kind := range object(t, operation, "requestBody", "content") {
				walkMembers(t, doc, object(t, operation, "requestBody", "content", kind, "schema"), func(name string, schema map[string]any) { check(where, name, schema) })
			}
		}
	}
	for name := range lengths {
		if !seen[name] {
			t.Errorf("no request has a text called %s", name)
		}
	}
}

func isNullable(kind any) bool {
	kinds, _ := kind.([]any)
	return slices.Contains(kinds, any("string"))
}

// walkMembers visits every member of a schema, and of the schemas it refers to.
func walkMembers(t *testing.T, doc, schema map[string]any, visit func(name string, schema map[string]any)) {
	t.Helper()
	if ref, refers := schema["$ref"].(string); refers {
		schema = object(t, doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	if items, is := schema["items"].(map[string]any); is {
		walkMembers(t, doc, items, visit)
	}
	members, _ := schema["properties"].(map[string]any)
	for name, member := range members {
		member, _ := member.(map[string]any)
		visit(name, member)
		walkMembers(t, doc, member, visit)
	}
}

// heldBy are the names of the schemas that a part of the document holds, at any depth.
func heldBy(doc map[string]any, value any, names map[string]bool) {
	switch value := value.(type) {
	case map[string]any:
		ref, _ := value["$ref"].(string)
		if name, is := strings.CutPrefix(ref, "#/components/schemas/"); is && !names[name] {
			names[name] = true
			heldBy(doc, doc["components"].(map[string]any)["schemas"].(map[string]any)[name], names)
		}
		if name, is := strings.CutPrefix(ref, "#/components/responses/"); is {
			heldBy(doc, doc["components"].(map[string]any)["responses"].(map[string]any)[name], names)
		}
		for _, member := range value {
			heldBy(doc, member, names)
		}
	case []any:
		for _, item := range value {
			heldBy(doc, item, names)
		}
	}
}

// requestsAndAnswers are the names of the schemas of both.
func requestsAndAnswers(t *testing.T, doc map[string]any) (requests, answers map[string]bool) {
	t.Helper()
	requests, answers = make(map[string]bool), make(map[string]bool)
	for path, methods := range object(t, doc, "paths") {
		for method := range methods.(map[string]any) {
			operation := object(t, doc, "paths", path, method)
			heldBy(doc, operation["requestBody"], requests)
			heldBy(doc, operation["responses"], answers)
		}
	}
	return requests, answers
}

// A member that is added to a response tomorrow must not break a strict client of today, and a
// request with a member that the server does not know is refused (decision 46).
func TestAnswersMayGainMembersAndRequestsMayNot(t *testing.T) {
	t.Parallel()
	doc := document(t)
	requests, answers := requestsAndAnswers(t, doc)
	closed, open := 0, 0
	for name, schema := range object(t, doc, "components", "schemas") {
		schema, _ := schema.(map[string]any)
		if schema["type"] != "object" {
			continue
		}
		is := schema["additionalProperties"] == false
		if is != requests[name] {
			t.Errorf("%s is closed: %t; it is in requests: %t, in answers: %t", name, is, requests[name], answers[name])
		}
		if is {
			closed++
		} else {
			open++
		}
	}
	if closed < 40 || open < 200 {
		t.Errorf("%d closed and %d open schemas", closed, open)
	}
	if schema := object(t, doc, "paths", "/v1/events", "get", "responses", "200", "content", "application/json", "schema"); schema["additionalProperties"] != nil {
		t.Error("a page of events is closed")
	}
}

// freeTexts are the members of responses whose values no list can name: what people and other
// programs write, names, and sentences.
var freeTexts = []string{
	"actingfor", "actor", "carrier", "causationid", "channel", "claim", "correlationid", "country", "detail", "dismissed_by", "dismissed_reason", "document", "entry",
	"error", "expected", "found", "hold_reason", "keeper", "name", "next", "note", "onbehalfof", "override", "owner", "parameter", "pointer", "provider",
	"reason", "recorded_with", "ref", "reference", "request_id", "requested_with", "sku_text", "source", "stream", "subject", "title",
	"traceparent", "tracking", "wanted",
	"Process.step",                                                                                     // an id or a type, by the kind
	"opening",                                                                                          // an id
	"ProjectionStatus.view",                                                                            // names of views
	"CartTextTooLongProblem.field", "OrderTextInvalidProblem.field", "ProductTextTooLongProblem.field", // names of members
	"ReturnTextInvalidProblem.field", "StockTextTooLongProblem.field", "KeyInvalidProblem.field", "RoleInvalidProblem.field", "PersonInvalidProblem.field",
	"email", "recovery_codes", "recovery_hashes",
	"city", "company", "postcode", "region", "phone", "locale", "text", "block_reason", "delivery_notes", "gift_message", "buyer_reference", "share_token",
	"Address.lines", "CustomerAddress.lines", "EventAddress.lines", "CustomerConsent.version", "CustomerConsentGiven.version",
	"PriceListInvalidProblem.field", "PriceListFixedProblem.field", "ShippingMethodInvalidProblem.field", "LegalEntityInvalidProblem.field", "ProductDescriptionInvalidProblem.field",
	"TaxRegistration.number", "EventRegistration.number", "EventTaxRow.component", "TaxRate.component", "TaxAmount.component", "Refused.code", "Adjustment.code", "coupons", "rule_id",
	"OrderRefundPart.code", "OrderRefundPart.payment", "OrderRefundSettled.code", "OrderRefundSubmitted.idempotency_key", "OrderTransactionRecorded.payment", "OrderTransactionUnreadable.code",
	"PromotionInvalidProblem.field", "PromotionFixedProblem.field", "CouponInvalidProblem.field", "GiftCardInvalidProblem.field",
	"EventAdjustment.by", "EventOverride.by", "tax_id", "proof", "checked_by", "legal_words",
	"CartTaxStatusInvalidProblem.field", "CustomerTaxStatusInvalidProblem.field", "EventTaxEntry.component", "EventTaxTotal.component",
	"OrderTransactionRecorded.payment", "OrderTransactionUnreadable.type", "OrderTransactionUnreadable.state", "OrderTransactionUnreadable.code",
	"OrderRefundSubmitted.idempotency_key", "OrderRefundSettled.code",
	"CustomerTextInvalidProblem.field", "CartDetailsInvalidProblem.field",
	"entity", "OrdersTakenTotal.customer_groups", "DiscountTotal.customer_groups", "OrdersTakenTotal.charge", "DiscountTotal.charge", "DiscountTotal.code", "TaxTotal.component", "TaxTotal.place",
}

// A member of a response that has only some values says which.
func TestEveryTextOfAnAnswerIsFreeOrSaysItsForm(t *testing.T) {
	t.Parallel()
	doc := document(t)
	_, answers := requestsAndAnswers(t, doc)
	texts := 0
	for name := range answers {
		members, _ := object(t, doc, "components", "schemas", name)["properties"].(map[string]any)
		for member, schema := range members {
			schema, _ := schema.(map[string]any)
			if items, is := schema["items"].(map[string]any); is {
				schema = items
			}
			if schema["type"] != "string" {
				continue
			}
			texts++
			formed := schema["enum"] != nil || schema["format"] != nil || schema["pattern"] != nil || schema["const"] != nil
			if free := slices.Contains(freeTexts, member) || slices.Contains(freeTexts, name+"."+member); !formed && !free {
				t.Errorf("%s.%s is any text: list its values, give it a form, or say here that it is free", name, member)
			}
		}
	}
	if texts < 500 {
		t.Errorf("%d texts", texts)
	}
	for _, shortage := range []string{"Shortage", "EventShortage"} {
		if object(t, doc, "components", "schemas", shortage, "properties", "reason")["enum"] == nil {
			t.Errorf("%s.reason is any text", shortage)
		}
	}
}

// One rule says which code tells that something does not exist: a read responds with not-found. A
// write responds with a code that names the thing, such as product-not-found, because it may need
// several. Parked work is no thing of the shop, so writes about it respond with not-found too.
func TestOneRuleSaysWhichCodeAMissingThingHas(t *testing.T) {
	t.Parallel()
	for _, entry := range problem.Catalogue() {
		names := entry.Code != problem.CodeOutcomeUnknown && (strings.HasSuffix(entry.Code, "-not-found") || strings.HasSuffix(entry.Code, "-unknown"))
		if strings.HasPrefix(entry.Code, "tax-") { // the thing exists, and its tax is unknown
			names = false
		}
		if want := names || entry.Code == problem.CodeNotFound; want != (entry.Status == http.StatusNotFound) {
			t.Errorf("%s has the status %d", entry.Code, entry.Status)
		}
	}
	doc := document(t)
	reads, writes := 0, 0
	for _, op := range operations(t) {
		response, _ := object(t, op.described, "responses")["404"].(map[string]any)
		if ref, is := response["$ref"].(string); is {
			response = object(t, doc, "components", "responses", strings.TrimPrefix(ref, "#/components/responses/"))
		}
		text, err := json.Marshal(response)
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.Contains(string(text), `schemas/NotFoundProblem"`)
		named := strings.Contains(strings.ReplaceAll(string(text), `schemas/NotFoundProblem"`, ""), `Problem"`)
		switch read := op.method == http.MethodGet || strings.HasPrefix(op.path, "/v1/processes/"); {
		case read && named, !read && plain:
			t.Errorf("%s %s: its problems with 404 are %s", op.method, op.path, text)
		case plain:
			reads++
		case named:
			writes++
		}
	}
	if reads < 8 || writes < 30 {
		t.Errorf("%d reads and %d writes may find nothing, want more", reads, writes)
	}
}
