package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// openTexts are the texts of requests into which the test of what analysts see does not put its
// word, with the reason. Their names are those of members, parameters and headers.
var openTexts = func() map[string]string {
	all := map[string]string{}
	for why, names := range map[string]string{
		"docs/access.md says that it is open": "title country channels Daybook-Channel document sku skus location locations role " +
			"cart_id into_cart_id order_id return_id shipment_id transaction_id transfer_id reservation_id parent from to " +
			"groups locale region version categories channel component countries coupons customer_groups default_class entity_id " +
			"charge_id credit_id methods method_id number part_id payment price_list_id promotion_id refund_id tax_class discount_id reason_code",
		"it is the server's own id":             "key_id person_id session_id address_id list_id gift_card_id quote_hash",
		"its form has no place for a word":      "phone",
		"it is a code":                          "codes currency permission If-Match If-None-Match",
		"it is a number":                        "free_above from_value per_extra percent rate",
		"it has SKUs and numbers":               "csv",
		"no event and no body has it":           "gift_cards password new_password code new_code token step_token guest_token share_token Idempotency-Key",
		"with keys it is who sends the request": "Daybook-Actor",
	} {
		for name := range strings.FieldsSeq(names) {
			all[name] = why
		}
	}
	return all
}()

// requestTexts returns the texts that a sender chooses in requests that change something, by their
// names. The values are the operations.
func requestTexts(t *testing.T) map[string][]string {
	t.Helper()
	document, err := apiDocument()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			ID         string `json:"operationId"`
			Parameters []struct {
				Name   string         `json:"name"`
				Schema map[string]any `json:"schema"`
			} `json:"parameters"`
			Body struct {
				Content map[string]struct {
					Schema map[string]any `json:"schema"`
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
	found := map[string][]string{}
	var collect func(operation, name string, schema map[string]any)
	collect = func(operation, name string, schema map[string]any) {
		schema = resolve(schema, doc.Components.Schemas)
		if properties, is := schema["properties"].(map[string]any); is {
			for name, inner := range properties {
				member, _ := inner.(map[string]any)
				collect(operation, name, member)
			}
		}
		if items, is := schema["items"].(map[string]any); is {
			collect(operation, name, items)
		}
		kinds, several := schema["type"].([]any)
		text := schema["type"] == "string" || several && slices.Contains(kinds, any("string"))
		if text && schema["enum"] == nil && schema["format"] == nil && !slices.Contains(found[name], operation) {
			found[name] = append(found[name], operation)
		}
	}
	for _, methods := range doc.Paths {
		for method, operation := range methods {
			if method == "get" {
				continue
			}
			for _, parameter := range operation.Parameters {
				collect(operation.ID, parameter.Name, parameter.Schema)
			}
			for _, content := range operation.Body.Content {
				collect(operation.ID, "", content.Schema)
			}
		}
	}
	return found
}

// A text that a sender may choose freely is planted by the test of what analysts see, or docs say
// that everybody sees it. So a new member or header cannot be forgotten.
func TestEveryTextOfARequestIsPlantedOrOpen(t *testing.T) {
	t.Parallel()
	texts := requestTexts(t)
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		isPlanted := slices.Contains(plantedMembers, name) || slices.Contains(plantedHeaders, name) || slices.Contains(plantedOfCustomers, name)
		if isPlanted == (openTexts[name] != "") {
			t.Errorf("%s of %s: planted %t; plant it, or say in openTexts why everybody may see it", name, strings.Join(texts[name], ", "), isPlanted)
		}
	}
	for name := range openTexts {
		if len(texts[name]) == 0 {
			t.Errorf("no request has the text %s", name)
		}
	}
}
