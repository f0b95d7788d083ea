package apidoc

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/stock"
)

// EventTypes returns the type names of all events that this or an earlier version writes, each with
// the Go type that it is decoded into.
func EventTypes() map[string]reflect.Type {
	all := make(map[string]reflect.Type)
	learn(all, product.Types(), product.Decode)
	learn(all, cart.Types(), cart.Decode)
	learn(all, order.Types(), order.Decode)
	learn(all, returns.Types(), returns.Decode)
	learn(all, stock.Types(), stock.Decode)
	return all
}

// learn finds the Go type of each type name. It decodes an event without members for this. A test
// compares each schema with the golden files of its event type. So it finds old versions whose form
// differs from the Go type that they are decoded into. Such a version needs its own schema.
func learn[E any](all map[string]reflect.Type, types []string, decode func(string, []byte) (E, error)) {
	for _, name := range types {
		event, err := decode(name, []byte(`{}`))
		if err != nil {
			panic(fmt.Errorf("the event %s cannot be read without members: %w", name, err))
		}
		all[name] = reflect.TypeOf(event)
	}
}

// ofDomain has names for types of the domain whose own names are not unique: all events, and the
// lines of a return, because a cart has lines too.
var ofDomain = domainNames()

func domainNames() map[string]string {
	names := map[string]string{"daybook/domain/returns.Line": "EventReturnLine"}
	types := EventTypes()
	for _, wire := range slices.Sorted(maps.Keys(types)) {
		t := types[wire]
		if name := t.PkgPath() + "." + t.Name(); names[name] == "" {
			names[name] = schemaOfEvent(wire) // versions that are read into one type have one schema
		}
	}
	return names
}

// schemaOfEvent makes "CartLineAdded" from "cart.line_added.v1". Later versions keep their number:
// "CartLineAddedV2".
func schemaOfEvent(wire string) string {
	plain := strings.TrimSuffix(wire, ".v1")
	var name strings.Builder
	for word := range strings.FieldsFuncSeq(plain, func(r rune) bool { return r == '.' || r == '_' }) {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return name.String()
}

// Events adds the schemas of events as consumers get them. It returns the schema of any event: one
// of the shop, of a known type, or one of another program. envelope is the Go type of the members
// that all events have around their data. Its members type and data are different for each event
// type.
func Events(r huma.Registry, envelope reflect.Type) *huma.Schema {
	ours, ok := r.(*Registry)
	if !ok {
		return r.Schema(envelope, true, "") // the document of another program
	}
	attributes := huma.SchemaFromType(r, envelope)
	describe("Event", attributes)
	typeMember := attributes.Properties["type"]
	for _, own := range []string{"type", "data"} {
		delete(attributes.Properties, own)
		attributes.Required = slices.DeleteFunc(attributes.Required, func(name string) bool { return name == own })
	}
	attributes.AdditionalProperties = nil // each event has further members
	attributes.Description = "What every event has around its data: the attributes of CloudEvents 1.0 and this log's own."
	base := ours.Add("EventAttributes", attributes)

	types := EventTypes()
	wires := make([]string, 0, len(types))
	for wire := range types {
		wires = append(wires, wire)
	}
	slices.Sort(wires)
	shop := &huma.Schema{
		Description:   "An event of the shop. Its type says what its data is.",
		Discriminator: &huma.Discriminator{PropertyName: "type", Mapping: make(map[string]string, len(wires))},
	}
	known := make([]any, 0, len(wires))
	for _, wire := range wires {
		data := r.Schema(types[wire], true, "")
		one := ours.Add(schemaOfEvent(wire)+"Event", &huma.Schema{
			Description: "An event of the type " + wire + ".",
			AllOf: []*huma.Schema{base, {
				Type: huma.TypeObject, Required: []string{"type", "data"},
				Properties: map[string]*huma.Schema{"type": constant(wire, typeMember.Description), "data": data},
			}},
		})
		shop.OneOf = append(shop.OneOf, one)
		shop.Discriminator.Mapping[wire] = one.Ref
		known = append(known, wire)
	}
	shopEvent := ours.Add("ShopEvent", shop)
	foreign := ours.Add("ForeignEvent", &huma.Schema{
		Description: "An event that another program wrote to the log, or a newer version of this one. What its data is, only its writer knows.",
		AllOf: []*huma.Schema{base, {
			Type: huma.TypeObject, Required: []string{"type", "data"},
			Properties: map[string]*huma.Schema{
				"type": {Type: huma.TypeString, Description: typeMember.Description, Examples: []any{"warehouse.door_opened"}, Not: &huma.Schema{Enum: known}},
				"data": {Type: huma.TypeObject, Description: "As it was written.", AdditionalProperties: true},
			},
		}},
	})
	return ours.Add("Event", &huma.Schema{
		Description: "An event of the log: of the shop, or of somebody else.",
		AnyOf:       []*huma.Schema{shopEvent, foreign},
	})
}

// constant is the schema of a string with only one value.
func constant(text, about string) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Description: about, Extensions: map[string]any{"const": text}}
}
