package httpapi_test

import (
	"slices"
	"strings"
	"testing"

	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/internal/problem"
)

// Money is one schema in all responses, so no other schema of a response has a decimal of its own.
// Events keep the form that they were recorded in.
func TestMoneyHasOneSchemaInAllAnswers(t *testing.T) {
	t.Parallel()
	doc := document(t)
	uses := 0
	for name, schema := range object(t, doc, "components", "schemas") {
		if strings.HasPrefix(name, "Event") || strings.HasSuffix(name, "Input") || strings.HasSuffix(name, "InputBody") {
			continue
		}
		members, _ := schema.(map[string]any)["properties"].(map[string]any)
		for member, form := range members {
			form, _ := form.(map[string]any)
			if form["format"] == "decimal" && name != "Money" {
				t.Errorf("%s.%s is a decimal, want Money", name, member)
			}
			if form["$ref"] == "#/components/schemas/Money" {
				uses++
			}
		}
	}
	if uses < 30 {
		t.Errorf("%d members are Money", uses)
	}
}

// A problem names a member as the resource does that it is about. Every problem has a status, which
// is that of HTTP, so the cart's is cart_status.
func TestAProblemNamesAMemberAsItsResourceDoes(t *testing.T) {
	t.Parallel()
	schemas := object(t, document(t), "components", "schemas")
	for name, members := range map[string][]string{
		"CartNotOpenProblem": {"cart_status", "merged_into", "cart_id", "order_id"}, "OrderNotFinishedProblem": {"payment_state", "fulfillment_state"},
	} {
		of := object(t, schemas, strings.TrimRight(name[:5], "N"))["properties"].(map[string]any)
		own := object(t, schemas, name, "properties")
		for _, member := range members {
			resource := of[member]
			if member == "cart_status" {
				resource = of["status"]
			}
			if resource == nil || own[member] == nil {
				t.Errorf("%s of %s: in the problem %t, in the resource %t", member, name, own[member] != nil, resource != nil)
			}
		}
	}
}

// Only a problem that is about an order, or that a checkout may end with after it has placed its
// order, has order_id.
func TestOnlyProblemsOfOrdersNameOne(t *testing.T) {
	t.Parallel()
	doc := document(t)
	schemas := object(t, doc, "components", "schemas")
	mapping := object(t, schemas, "Problem", "discriminator", "mapping")
	names := func(code string) bool {
		ref, _ := mapping["/problems/"+code].(string)
		return object(t, schemas, strings.TrimPrefix(ref, "#/components/schemas/"), "properties")["order_id"] != nil
	}
	none := []string{
		problem.CodeMisdirected, problem.CodeCrossOrigin, problem.CodeAddressLong, problem.CodeMethod, problem.CodeInvalid,
		problem.CodeBeyondHead, problem.CodePositionNotYet, "cart-empty", "cart-not-found", "stock-below-zero",
	}
	for _, refusal := range slices.Concat(product.Rejections, returns.Rejections) {
		none = append(none, refusal.Code)
	}
	for _, code := range none {
		if names(code) {
			t.Errorf("%s has order_id", code)
		}
	}
	for _, code := range []string{"order-on-hold", "order-id-taken", "cart-not-open", "stock-belongs-to-order", problem.CodeOutcomeUnknown, problem.CodeTimeout} {
		if !names(code) {
			t.Errorf("%s has no order_id", code)
		}
	}
}
