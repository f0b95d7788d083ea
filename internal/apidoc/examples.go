package apidoc

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/stock"
	"daybook/internal/problem"
)

// addExamples gives an example to each parameter, body and successful response of each operation,
// and to each problem.
func addExamples(document *huma.OpenAPI) {
	r, ok := document.Components.Schemas.(*Registry)
	if !ok {
		return
	}
	steps := make(map[string]Step, len(story))
	for _, step := range slices.Backward(story) {
		steps[step.Operation] = step
	}
	for _, op := range operationsOf(document) {
		r.exemplify(op, steps[op.OperationID])
	}
	for code, entry := range catalogue() {
		schema := r.schemas[schemaOfProblem(code)]
		example, is := r.exampleOf(schemaOfProblem(code), schema).(map[string]any)
		if is && code != stock.ErrInsufficient.Code {
			example["detail"] = entry.Detail
		}
		schema.Examples = []any{example}
	}
	for name, response := range document.Components.Responses {
		if media := response.Content[problem.ContentType]; media != nil {
			media.Example = r.schemas[name+"Problem"].Examples[0]
		}
	}
}

// exemplify gives an operation its examples. step is the operation's first step of the story, or
// empty.
func (r *Registry) exemplify(op *huma.Operation, step Step) {
	for _, p := range op.Parameters {
		given, told := step.In[p.Name]
		switch {
		case told:
			p.Example = ofType(p.Schema, given)
		case p.Name == "Idempotency-Key" && step.Operation != "":
			p.Example = step.Key()
		case p.Schema != nil && p.Example == nil && len(p.Schema.Examples) == 0:
			p.Example = r.exampleOf(op.OperationID+"."+p.Name, p.Schema)
		}
	}
	if op.RequestBody != nil {
		for _, media := range op.RequestBody.Content {
			if step.Body == "" {
				media.Example = r.exampleOf("", media.Schema)
			} else if err := json.Unmarshal([]byte(step.Body), &media.Example); err != nil {
				panic(fmt.Errorf("the example of %s: %w", op.OperationID, err))
			}
		}
	}
	for status, response := range op.Responses {
		if status[0] != '2' {
			continue
		}
		for kind, media := range response.Content {
			if kind == "text/event-stream" {
				media.Example = "event: order.placed.v1\nid: 1042\ndata: " + asLine(r.exampleOf("", &huma.Schema{Ref: prefix + "Event"})) + "\n\n"
			} else if media.Schema != nil {
				media.Example = r.exampleOf("", media.Schema)
				if members, is := media.Example.(map[string]any); is {
					maps.Copy(members, exampleOfOperation[op.OperationID])
				}
			}
		}
	}
}

// ofType reads a parameter's text as its schema says.
func ofType(s *huma.Schema, text string) any {
	switch s.Type {
	case huma.TypeInteger:
		if number, err := strconv.ParseInt(text, 10, 64); err == nil {
			return number
		}
	case huma.TypeBoolean:
		return text == "true"
	}
	return text
}

func asLine(value any) string {
	line, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Errorf("an example: %w", err))
	}
	return string(line)
}

// exampleOf is an example of a schema. An object has all members except some that are not required
// (see rareMembers and onlyRequired). name is that of the schema or of the member.
func (r *Registry) exampleOf(name string, s *huma.Schema) any {
	if s.Ref != "" {
		name = strings.TrimPrefix(s.Ref, prefix)
		if value, known := exampleValues[name]; known {
			return value
		}
		if parts := r.schemas[name]; parts != nil {
			return r.exampleOf(name, parts)
		}
		return nil
	}
	if value, is := s.Extensions["const"]; is {
		return value
	}
	if len(s.Examples) > 0 {
		return s.Examples[0]
	}
	if values, is := s.Extensions["enum"].([]any); is {
		return values[0]
	}
	if len(s.Enum) > 0 {
		return s.Enum[0]
	}
	if merged := r.exampleOfParts(name, s); merged != nil {
		return merged
	}
	switch s.Type {
	case huma.TypeObject:
		return r.exampleOfObject(name, s)
	case huma.TypeArray:
		return []any{r.exampleOf(name, s.Items)}
	case huma.TypeInteger, huma.TypeNumber:
		if s.Minimum != nil {
			return *s.Minimum
		}
		return 1
	case huma.TypeBoolean:
		return strings.HasSuffix(name, ".count") // the other flags are more often false
	}
	if s.Format == "date-time" {
		return "2026-01-31T12:00:00Z"
	}
	return "text"
}

// exampleOfParts is an example of a schema that is made of others; nil if it is not.
func (r *Registry) exampleOfParts(name string, s *huma.Schema) any {
	if name == "Event" {
		return r.exampleOf("", &huma.Schema{Ref: prefix + "OrderPlacedEvent"})
	}
	for _, choice := range [][]*huma.Schema{s.OneOf, s.AnyOf} {
		if len(choice) > 0 {
			return r.exampleOf(name, choice[0])
		}
	}
	if len(s.AllOf) == 0 {
		return nil
	}
	all := make(map[string]any)
	for _, part := range s.AllOf {
		if members, is := r.exampleOf(name, part).(map[string]any); is {
			maps.Copy(all, members)
		}
	}
	return all
}

func (r *Registry) exampleOfObject(name string, s *huma.Schema) any {
	members := make(map[string]any, len(s.Properties))
	for member, schema := range s.Properties {
		if value, known := exampleValues[name+"."+member]; known {
			members[member] = value
			continue
		}
		needed := slices.Contains(s.Required, member)
		if !needed && (slices.Contains(rareMembers, member) || slices.Contains(rareMembers, name+"."+member) || slices.Contains(onlyRequired, name)) {
			continue
		}
		members[member] = r.exampleOf(name+"."+member, schema)
	}
	return members
}

// rareMembers are the members that examples leave out, because most responses do not have them.
var rareMembers = []string{
	"attempt", "count", "dismissed_at", "dismissed_by", "dismissed_reason", "dropped_lines", "error", "hold_reason", "hold_seconds",
	"lost", "merged_into", "missing", "next", "orphaned_payments", "overridden", "owner", "parent", "reason", "remedy", "short", "shortages", "sku_text",
	"Cart.order_id", "CartSummary.order_id", "Health.components", "Order.ended_at", "Order.returns", "Payment.return_id", "RetriedProcess.process", "Return.closed_at", "Return.credit_lines", "StockMovement.order_id", "StockMovement.return_id",
	"SalesTotal.kind", "SalesTotal.channel", "SalesTotal.country", "SalesTotal.day", "SalesTotal.sku", "Invalid.in", "Invalid.parameter",
}

// onlyRequired are the schemas whose examples have only the required members. Most of the other
// members exclude each other.
var onlyRequired = []string{"TimelineEntry", "EventAttributes"}

// exampleValues are the values of members, or of whole schemas, in place of the members' own
// examples, which would not fit together.
var exampleValues = map[string]any{
	"Order.status": "confirmed", "OrderSummary.status": "confirmed",
	"Order.payment_state": "paid", "OrderSummary.payment_state": "paid",
	"Order.fulfillment_state": "delivered", "OrderSummary.fulfillment_state": "delivered",
	"Order.refunded": nothing, "OrderSummary.refunded": nothing,
	"Payment.type": "capture", "Payment.state": "succeeded",
	"Return.status": "received", "ReturnSummary.status": "received",
	"ReturnLine.awaited":          0,
	"ReturnRefund.transaction_id": "refund-1",
	"ReturnedOutcome.disposition": "damaged",
	"SalesCustomer.orders":        1, "SalesCustomer.units": 1,
	"SalesDocument.kind": "sale",
	"StockChange":        map[string]any{"on_hand": 1},
	"StockMovement.kind": "received", "StockMovement.quantity": 1,
	"Stock.on_hand": 10, "Stock.reserved": 2, "Stock.allocated": 3, "Stock.available": 5, "Stock.below_reorder_point": true,
	"TimelineEntry.type": "order.placed.v1", "TimelineEntry.revision": 0,
	"OrderPlacedEvent.revision": 0,
	"Process.state":             "parked",
	"ProcessList.leading":       true,
	"ProjectionStatus.complete": true, "ProjectionStatus.in_use": true,
	"Health.projections": []any{}, "Health.parked": 0,
}

var nothing = map[string]any{"amount": "0.00", "currency": "GBP"}

// exampleOfOperation has the members that differ in the response of an operation from those of
// other operations with the same schema. Example: the order that archive-order returns is archived.
var exampleOfOperation = map[string]map[string]any{
	"archive-order":  {"archived": true},
	"cancel-order":   {"order_id": "order-ann", "cart_id": "ann", "status": "canceled", "fulfillment_state": "unfulfilled", "shipments": []any{}},
	"complete-order": {"status": "completed"},
	"hold-order":     {"on_hold": true, "hold_reason": "address unclear"},
	"abandon-cart":   {"cart_id": "ann-2", "status": "abandoned", "lines": []any{}, "line_count": 0, "units": 0, "total": nothing},
	"approve-return": {"status": "open", "receipts": []any{}, "refunds": []any{}, "refunded": nothing},
	"request-return": {"status": "requested", "receipts": []any{}, "refunds": []any{}, "refunded": nothing},
	"cancel-return":  {"return_id": "back-3", "status": "canceled", "receipts": []any{}, "refunds": []any{}, "refunded": nothing},
	"decline-return": {"return_id": "back-2", "status": "declined", "receipts": []any{}, "refunds": []any{}, "refunded": nothing},
	"close-return":   {"status": "closed", "closed_at": "2026-01-31T12:00:00Z"},
	"note-credit": {
		"return_id": "credit-1", "status": "noted", "lines": []any{}, "receipts": []any{}, "refunds": []any{}, "refunded": nothing,
		"value": map[string]any{"amount": "-1.50", "currency": "GBP"},
		"credit_lines": []any{map[string]any{
			"line": 1, "sku": "MUG", "title": "Late delivery", "quantity": -1, "price": map[string]any{"amount": "1.50", "currency": "GBP"},
		}},
	},
	"retire-product": {"status": "retired"},
	"dismiss-process": {
		"state": "dismissed", "dismissed_at": "2026-01-31T12:00:00Z", "dismissed_by": "operator:eve", "dismissed_reason": "the stream was deleted by hand",
	},
}
