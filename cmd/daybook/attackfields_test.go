package main

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/domain/access"
)

// ofCustomers are the members and headers that a customer may send, by operation. Everything else
// that a customer's operations take must be refused. So a new member is not open to customers
// unless somebody writes it down here.
var ofCustomers = map[string][]string{
	"open-cart":            {"country", "currency", "customer_id", "join", "lines", "lines/*/quantity", "lines/*/sku"},
	"patch-cart":           {"country", "customer_id", "lines", "lines/*/line", "lines/*/quantity"},
	"add-cart-lines":       {"join", "lines", "lines/*/quantity", "lines/*/sku"},
	"change-cart-line":     {"quantity"},
	"merge-cart":           {"from"},
	"claim-cart":           {"customer_id", "guest_token", "into_cart_id"},
	"claim-order":          {"customer_id", "guest_token"},
	"abandon-cart":         {"reason"},
	"set-cart-details":     {"billing", "billing/city", "billing/company", "billing/country", "billing/lines", "billing/name", "billing/phone", "billing/postcode", "billing/region", "buyer_reference", "delivery_notes", "email", "gift_message", "phone", "shipping", "shipping/city", "shipping/company", "shipping/country", "shipping/lines", "shipping/name", "shipping/phone", "shipping/postcode", "shipping/region"},
	"checkout-cart":        {"details", "details/billing", "details/billing/city", "details/billing/company", "details/billing/country", "details/billing/lines", "details/billing/name", "details/billing/phone", "details/billing/postcode", "details/billing/region", "details/buyer_reference", "details/delivery_notes", "details/email", "details/gift_message", "details/phone", "details/shipping", "details/shipping/city", "details/shipping/company", "details/shipping/country", "details/shipping/lines", "details/shipping/name", "details/shipping/phone", "details/shipping/postcode", "details/shipping/region", "reference", "quote_hash", "expected_total", "expected_total/amount", "expected_total/currency", "accept_lower", "gift_cards", "use_credit"},
	"choose-cart-shipping": {"method_id"},
	"find-gift-card":       {"code"},
	"cancel-order":         {"lines", "lines/*/line", "lines/*/quantity", "reason"},
	"request-return": {
		"country", "currency", "customer_id", "lines", "lines/*/order_line", "lines/*/quantity", "lines/*/sku", "order_id", "reason", "reference",
	},
	"cancel-return":     {"reason"},
	"register-customer": {"customer_id", "email", "locale", "name", "phone"},
	"patch-customer":    {"email", "locale", "name", "phone"},
	"add-address": {
		"city", "company", "country", "default_billing", "default_shipping", "lines", "name", "phone", "postcode", "region",
	},
	"change-address": {
		"city", "company", "country", "default_billing", "default_shipping", "lines", "name", "phone", "postcode", "region",
	},
	"make-wish-list":   {"name"},
	"rename-wish-list": {"name"},
	"set-wish":         {"quantity"},
	"add-wishes":       {"customer_id", "list_id", "share_token", "skus"},
	"record-consent":   {"given", "purpose", "version"},
	"change-password":  {"new_password", "password"},
	"ask-email":        {"email", "password"},
	"replace-factor":   {"code", "new_code", "password", "step_token"},

	"renew-recovery-codes": {"code", "password"},
}

// ofEverybody are the headers that everybody may send with a write.
var ofEverybody = []string{"Idempotency-Key", "If-Match", "If-None-Match", "Traceparent", "X-Correlation-ID"}

// sampleOf is a value of the right type for a member.
func sampleOf(schema map[string]any) any {
	if values, is := schema["enum"].([]any); is {
		return values[0]
	}
	kind := schema["type"]
	if kinds, is := kind.([]any); is {
		kind = kinds[0]
	}
	switch kind {
	case "integer", "number":
		return 1
	case "boolean":
		return true
	case "array":
		items, _ := schema["items"].(map[string]any)
		return []any{sampleOf(items)}
	case "object":
		object := map[string]any{}
		properties, _ := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		for _, name := range required {
			text, _ := name.(string)
			inner, _ := properties[text].(map[string]any)
			object[text] = sampleOf(inner)
		}
		return object
	}
	if schema["format"] == "date-time" {
		return "2026-01-01T00:00:00Z"
	}
	return "5"
}

// resolve follows a reference, also in the members of a member.
func resolve(schema map[string]any, all map[string]map[string]any) map[string]any {
	if ref, is := schema["$ref"].(string); is {
		schema = all[ref[strings.LastIndex(ref, "/")+1:]]
	}
	schema = maps.Clone(schema)
	if items, is := schema["items"].(map[string]any); is {
		schema["items"] = resolve(items, all)
	}
	if properties, is := schema["properties"].(map[string]any); is {
		resolved := map[string]any{}
		for name, inner := range properties {
			member, _ := inner.(map[string]any)
			resolved[name] = resolve(member, all)
		}
		schema["properties"] = resolved
	}
	return schema
}

// A customer may send only the members and headers in ofCustomers and ofEverybody. The walk sends
// each other one alone, beside the rest of the route's example, and it must be refused by name.
func TestEveryOtherFieldOfACustomerIsRefused(t *testing.T) {
	t.Parallel()
	s := openKeyed(t)
	document, err := apiDocument()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			ID         string `json:"operationId"`
			Needs      string `json:"x-permission"`
			Parameters []struct {
				Name   string         `json:"name"`
				In     string         `json:"in"`
				Schema map[string]any `json:"schema"`
			} `json:"parameters"`
			Body struct {
				Content map[string]struct {
					Schema  map[string]any `json:"schema"`
					Example map[string]any `json:"example"`
				} `json:"content"`
			} `json:"requestBody"`
		} `json:"paths"`
		Components struct {
			Schemas map[string]map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	customer, _ := access.BuiltIn(access.Customer)
	refused := 0
	for path, methods := range doc.Paths {
		for method, operation := range methods {
			if customer[access.Permission(operation.Needs)] == access.None || method == "get" {
				continue
			}
			method := strings.ToUpper(method)
			send := func(name string, body map[string]any, header, value string) {
				t.Helper()
				text := ""
				if len(operation.Body.Content) > 0 {
					bytes, err := json.Marshal(body, json.Deterministic(true))
					if err != nil {
						t.Fatal(err)
					}
					text = string(bytes)
				}
				headers := []string{"Idempotency-Key", "field " + operation.ID + name}
				if header != "" {
					headers = append(headers, header, value)
				}
				refused++
				status, answer := s.ask(s.keys["customer alice"], method, filled(path, map[string]string{"line": "1"}), text, headers...)
				if status != http.StatusForbidden || !strings.Contains(answer, "field-forbidden") || !strings.Contains(answer, `"`+name+`"`) {
					t.Errorf("%s with %s (%s): %d %s", operation.ID, name, text, status, answer)
				}
			}
			content := operation.Body.Content["application/json"]
			plain := map[string]any{}
			for name, value := range content.Example {
				if slices.Contains(ofCustomers[operation.ID], name) && name != "customer_id" {
					plain[name] = withoutForbidden(value, name+"/*/", ofCustomers[operation.ID])
				}
			}
			schema := resolve(content.Schema, doc.Components.Schemas)
			properties, _ := schema["properties"].(map[string]any)
			for name, inner := range properties {
				member, _ := inner.(map[string]any)
				if !slices.Contains(ofCustomers[operation.ID], name) {
					body := maps.Clone(plain)
					body[name] = sampleOf(member)
					send("#/"+name, body, "", "")
					continue
				}
				if name == "customer_id" { // only another customer's id is refused
					body := maps.Clone(plain)
					body[name] = "bob"
					send("#/"+name, body, "", "")
				}
				items, _ := member["items"].(map[string]any)
				within, _ := items["properties"].(map[string]any)
				for inner, value := range within {
					if slices.Contains(ofCustomers[operation.ID], name+"/*/"+inner) {
						continue
					}
					schema, _ := value.(map[string]any)
					body := maps.Clone(plain)
					item, _ := sampleOf(items).(map[string]any)
					item[inner] = sampleOf(schema)
					body[name] = []any{item}
					send("#/"+name+"/0/"+inner, body, "", "")
				}
			}
			for _, parameter := range operation.Parameters {
				if parameter.In == "header" && !slices.Contains(ofEverybody, parameter.Name) {
					value, _ := sampleOf(parameter.Schema).(string)
					send(parameter.Name, plain, parameter.Name, value)
				}
			}
		}
	}
	if refused < 40 {
		t.Errorf("%d members and headers were tried", refused)
	}
}

// withoutForbidden leaves out the members of a list's items that a customer may not send.
func withoutForbidden(value any, at string, allowed []string) any {
	list, is := value.([]any)
	if !is {
		return value
	}
	var clean []any
	for _, item := range list {
		object, is := item.(map[string]any)
		if !is {
			return value
		}
		object = maps.Clone(object)
		maps.DeleteFunc(object, func(name string, _ any) bool { return !slices.Contains(allowed, at+name) })
		clean = append(clean, object)
	}
	return clean
}
