// Package apidoc makes the schemas of the API's document: it names them, says what each
// member means, and gives each kind of event its own.
//
// What routes there are is not its business: commandapi and readapi register theirs.
// Nor does it change what requests are checked against: a form that it adds, such as a
// pattern, is for readers of the document, because the parsers of package unit say
// better what is wrong.
package apidoc

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// prefix is where the schemas stand in the document.
const prefix = "#/components/schemas/"

// Registry makes schemas from Go types and keeps those of structs under their names.
// It is huma's own registry with one difference: members have words (see Words).
type Registry struct {
	schemas map[string]*huma.Schema
	types   map[string]reflect.Type
	aliases map[reflect.Type]reflect.Type
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{
		schemas: make(map[string]*huma.Schema), types: make(map[string]reflect.Type),
		// In events, too, money is an amount and a currency.
		aliases: map[reflect.Type]reflect.Type{reflect.TypeFor[unit.Money](): reflect.TypeFor[resource.Money]()},
	}
}

// Schema implements huma.Registry.
func (r *Registry) Schema(t reflect.Type, allowRef bool, hint string) *huma.Schema {
	original := t
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Array || t.Kind() == reflect.Slice {
		original = t
	}
	if alias, known := r.aliases[t]; known {
		return r.Schema(alias, allowRef, hint)
	}
	if !isNamed(t) {
		return huma.SchemaFromType(r, original)
	}
	name := nameOf(original, hint)
	if other, taken := r.types[name]; taken && other != t {
		panic(fmt.Errorf("two types want to be the schema %s: %s and %s", name, other, t))
	}
	if _, made := r.types[name]; !made {
		r.types[name], r.schemas[name] = t, &huma.Schema{} // first, because a type may hold itself
		schema := huma.SchemaFromType(r, original)
		describe(name, schema)
		sayReadsOnly(t, schema)
		r.schemas[name] = schema
	}
	if allowRef {
		return &huma.Schema{Ref: prefix + name}
	}
	return r.schemas[name]
}

// Add puts a schema in by hand, under a name that no type has.
func (r *Registry) Add(name string, schema *huma.Schema) *huma.Schema {
	r.schemas[name] = schema
	return &huma.Schema{Ref: prefix + name}
}

// SchemaFromRef implements huma.Registry.
func (r *Registry) SchemaFromRef(ref string) *huma.Schema {
	name, ours := strings.CutPrefix(ref, prefix)
	if !ours {
		return nil
	}
	return r.schemas[name]
}

// TypeFromRef implements huma.Registry.
func (r *Registry) TypeFromRef(ref string) reflect.Type {
	return r.types[strings.TrimPrefix(ref, prefix)]
}

// Map implements huma.Registry.
func (r *Registry) Map() map[string]*huma.Schema { return r.schemas }

// RegisterTypeAlias implements huma.Registry.
func (r *Registry) RegisterTypeAlias(t, alias reflect.Type) { r.aliases[t] = alias }

// MarshalJSON writes the document's components/schemas.
func (r *Registry) MarshalJSON() ([]byte, error) { return json.Marshal(r.schemas) }

// MarshalYAML is MarshalJSON for YAML.
func (r *Registry) MarshalYAML() (any, error) { return r.schemas, nil }

var (
	provider = reflect.TypeFor[huma.SchemaProvider]()
	asText   = reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()
)

// isNamed tells whether a type's schema stands under a name of its own: structs do,
// except those that are one value, such as a time or a decimal.
func isNamed(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for _, single := range []reflect.Type{provider, asText} {
		if t.Implements(single) || reflect.PointerTo(t).Implements(single) {
			return false
		}
	}
	return true
}

// sayReadsOnly says which members only a read's answer has; see package resource.
func sayReadsOnly(t reflect.Type, s *huma.Schema) {
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if member := s.Properties[name]; member != nil && resource.OnlyInReads(field) {
			member.Description = strings.TrimSpace(member.Description + " Only reads tell it; answers to commands leave it out.")
		}
	}
}

// domainPackages is where the types are that events hold.
const domainPackages = "daybook/domain/"

// ofView finds a view's type in a type's name: "…/orderview.Summary".
var ofView = regexp.MustCompile(`[\w/.-]*/(\w+)view\.(\w+)`)

// nameOf names types as they are, those of a view after it ("StockLevel"), events after
// their aggregate ("CartOpened"), because several are Expired, and parts of events after
// them ("EventShortage").
func nameOf(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Name() == "" {
		return plainName(hint)
	}
	if t == reflect.TypeFor[problem.Document]() {
		return "Problem"
	}
	full := t.Name()
	if !strings.Contains(full, "[") {
		full = t.PkgPath() + "." + full
	}
	if name, known := ofDomain[full]; known {
		return name
	}
	if strings.HasPrefix(full, domainPackages) {
		return "Event" + t.Name() // a part of events; answers have types of their own
	}
	full = ofView.ReplaceAllStringFunc(full, func(found string) string {
		parts := ofView.FindStringSubmatch(found)
		view := strings.ToUpper(parts[1][:1]) + parts[1][1:]
		return view + strings.TrimPrefix(parts[2], view)
	})
	return plainName(full)
}

// plainName drops packages, and makes one word of a generic type's name.
func plainName(name string) string {
	var plain strings.Builder
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '[' || r == ']' || r == ',' || r == '-' }) {
		part = part[strings.LastIndexAny(part, "./")+1:]
		plain.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return plain.String()
}

// describe says of each member of a schema what its tags have not said.
func describe(schema string, s *huma.Schema) {
	switch {
	case s.Description != "":
	case strings.HasPrefix(schema, "List") && s.Properties["next"] != nil:
		s.Description = "A page of a list."
	case strings.HasSuffix(schema, "InputBody"):
		s.Description = "What a request asks for."
	default:
		s.Description = schemas[schema]
	}
	for name, member := range s.Properties {
		Say(schema, name, member)
		if member.Default != nil {
			// Generators of clients make a member with a default one that must be given,
			// although it is the server that fills it in.
			member.Description = strings.TrimSpace(member.Description + fmt.Sprintf(" By default `%v`.", member.Default))
			member.Default = nil
		}
	}
}

// Say gives a member of a schema, or a parameter, the meaning, form and example that its
// name has, where it has none of its own.
func Say(schema, name string, member *huma.Schema) {
	word, known := words[schema+"."+name]
	if part, isPart := strings.CutPrefix(schema, "Event"); !known && isPart {
		word, known = words[part+"."+name] // it means the same in an event
	}
	if !known {
		word, known = words[name]
	}
	if !known {
		return
	}
	if member.Description == "" {
		member.Description = word.about
	}
	of := member
	for of.Type == huma.TypeArray && of.Items != nil {
		of = of.Items
	}
	if of.Ref != "" || of.Extensions["const"] != nil {
		return
	}
	word.fill(of)
}

// fill adds what the document says of a value beside what a request is checked against.
func (w word) fill(s *huma.Schema) {
	if s.Format != "" && s.Type == huma.TypeString && w.pattern != "" {
		return // another thing of the same name, such as the time from which a list is wanted
	}
	add := func(key string, value any) {
		if s.Extensions == nil {
			s.Extensions = make(map[string]any)
		}
		s.Extensions[key] = value
	}
	if w.format != "" && s.Format == "" && s.Type == huma.TypeString {
		add("format", w.format)
	}
	if w.pattern != "" && s.Pattern == "" && s.Type == huma.TypeString && len(s.Enum) == 0 {
		add("pattern", w.pattern)
	}
	if len(w.values) > 0 && len(s.Enum) == 0 && s.Type == huma.TypeString {
		add("enum", w.values)
	}
	if w.example != nil && len(s.Examples) == 0 && len(w.values) == 0 && len(s.Enum) == 0 {
		s.Examples = []any{w.example}
	}
}
