package apidoc

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"daybook/internal/eventtypes"
)

// eventTypes are the types of events. A test compares each schema with the golden files of its
// event type. So it finds old versions whose form differs from the Go type that they are decoded
// into. Such a version needs its own schema.
var eventTypes = eventtypes.All()

// ofDomain has names for types of the domain whose own names are not unique: all events, and the
// lines of a return, because a cart has lines too.
var ofDomain = domainNames()

func domainNames() map[string]string {
	names := map[string]string{"daybook/domain/returns.Line": "EventReturnLine"}
	for _, wire := range slices.Sorted(maps.Keys(eventTypes)) {
		t := eventTypes[wire]
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
// that all events have around their data. Its members type, dataschema and data are different for
// each event type.
func Events(r huma.Registry, envelope reflect.Type) *huma.Schema {
	ours, ok := r.(*Registry)
	if !ok {
		return r.Schema(envelope, true, "") // the document of another program
	}
	attributes := huma.SchemaFromType(r, envelope)
	describe("Event", attributes)
	typeMember, dataSchemaMember := attributes.Properties["type"], attributes.Properties["dataschema"]
	for _, own := range []string{"type", "dataschema", "data"} {
		delete(attributes.Properties, own)
		attributes.Required = slices.DeleteFunc(attributes.Required, func(name string) bool { return name == own })
	}
	attributes.AdditionalProperties = nil // each event has further members
	attributes.Description = "The members that every event has beside its data: the attributes of CloudEvents 1.0, and those of this log."
	base := ours.Add("EventAttributes", attributes)

	union := &huma.Schema{
		Description:   "An event of the log: an event of the shop or of another program. dataschema says which of these forms it has.",
		Discriminator: &huma.Discriminator{PropertyName: "dataschema", Mapping: make(map[string]string, len(eventTypes)+1)},
	}
	form := func(name, about, dataSchema string, typ, data *huma.Schema) {
		one := ours.Add(name, &huma.Schema{
			Description: about,
			AllOf: []*huma.Schema{base, {
				Type: huma.TypeObject, Required: []string{"type", "dataschema", "data"},
				Properties: map[string]*huma.Schema{"type": typ, "dataschema": constant(dataSchema, dataSchemaMember.Description), "data": data},
			}},
		})
		union.OneOf = append(union.OneOf, one)
		union.Discriminator.Mapping[dataSchema] = one.Ref
	}
	for _, wire := range slices.Sorted(maps.Keys(eventTypes)) {
		data := r.Schema(eventTypes[wire], true, "")
		data.Description = "What happened: the members of this type of event, as they were recorded. Amounts have the digits that they were recorded with: 7.5 stays 7.5."
		form(schemaOfEvent(wire)+"Event", "An event of the type "+wire+".", DataSchema(wire, false), constant(wire, typeMember.Description), data)
	}
	form("ForeignEvent", "An event that another program, or a newer version of this one, wrote to the log. This program does not know the form of its data.", unknownData,
		&huma.Schema{Type: huma.TypeString, Description: typeMember.Description, Examples: []any{"warehouse.door_opened"}},
		&huma.Schema{Type: huma.TypeObject, Description: "The data as it was recorded.", AdditionalProperties: true})
	return ours.Add("Event", union)
}

// unknownData is the dataschema of events whose data may have any form.
const unknownData = "urn:daybook:unknown"

// DataSchema is the attribute dataschema of CloudEvents: it names the form of an event's data.
// Events of the shop have one for each type. An event of another program has the one that stands
// for any form, even if its type is one of the shop's. An event type of a newer version has it too.
//
// The union of all events needs such a member. Its discriminator must list all values, and nobody
// can list the types of other programs.
func DataSchema(wire string, foreign bool) string {
	if name, known := dataSchemas[wire]; known && !foreign {
		return name
	}
	return unknownData
}

// dataSchemas has the dataschema of each event type, so that a page of events makes no texts.
var dataSchemas = func() map[string]string {
	all := make(map[string]string, len(eventTypes))
	for wire := range eventTypes {
		all[wire] = "urn:daybook:" + wire
	}
	return all
}()

// constant is the schema of a string with only one value.
func constant(text, about string) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Description: about, Extensions: map[string]any{"const": text}}
}
