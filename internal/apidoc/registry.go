// Package apidoc makes the schemas of the OpenAPI document. It names them, describes each member,
// and makes a schema for each event type and each problem.
//
// The routes are registered by commandapi and readapi. Requests are not checked against the
// patterns that this package adds. Patterns are for readers of the document, and the parsers of
// package unit give better error messages.
package apidoc

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// prefix is the path of the schemas in the document.
const prefix = "#/components/schemas/"

// Registry makes schemas from Go types, and keeps those of structs under their names. It differs
// from huma's own registry in one way: it describes members (see Say).
type Registry struct {
	schemas map[string]*huma.Schema
	types   map[string]reflect.Type
	aliases map[reflect.Type]reflect.Type
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{
		schemas: make(map[string]*huma.Schema), types: make(map[string]reflect.Type),
		// Money has an amount and a currency in events too.
		aliases: map[reflect.Type]reflect.Type{reflect.TypeFor[unit.Money](): reflect.TypeFor[resource.Money]()},
	}
}

// Fixed returns a registry with the schemas that there are now. It can be read while Complete adds
// schemas to r.
func (r *Registry) Fixed() *Registry {
	return &Registry{schemas: maps.Clone(r.schemas), types: maps.Clone(r.types), aliases: maps.Clone(r.aliases)}
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
		r.types[name], r.schemas[name] = t, &huma.Schema{} // stored first, because a type may have members of the same type
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

// Add adds a schema that is not made from a Go type.
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

// isNamed tells whether the schema of a type has a name. Structs have one, except those that are a
// single value, such as a time or a decimal.
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

// sayReadsOnly marks the members that only the responses of reads have: see package resource.
func sayReadsOnly(t reflect.Type, s *huma.Schema) {
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if member := s.Properties[name]; member != nil && resource.OnlyInReads(field) {
			member.Description = strings.TrimSpace(member.Description + " Only reads have it; responses to commands leave it out.")
		}
	}
}

// domainPackages is the path of the packages whose types are in events.
const domainPackages = "daybook/domain/"

// ofView finds the type of a view in a type's name, such as "…/orderview.Summary".
var ofView = regexp.MustCompile(`[\w/.-]*/(\w+)view\.(\w+)`)

// nameOf is the name of a type's schema. Usually it is the type's own name. A type of a view begins
// with the view's name ("StockLevel"). An event begins with its aggregate ("CartOpened"), because
// several aggregates have an event Expired. A type that is only in events begins with Event
// ("EventShortage").
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
		return "Event" + t.Name() // a part of an event; responses have other types
	}
	full = ofView.ReplaceAllStringFunc(full, func(found string) string {
		parts := ofView.FindStringSubmatch(found)
		view := strings.ToUpper(parts[1][:1]) + parts[1][1:]
		return view + strings.TrimPrefix(parts[2], view)
	})
	return plainName(full)
}

// plainName removes packages from a name, and makes one word of the name of a generic type.
func plainName(name string) string {
	var plain strings.Builder
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '[' || r == ']' || r == ',' || r == '-' }) {
		part = part[strings.LastIndexAny(part, "./")+1:]
		plain.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return plain.String()
}

// describe describes each member of a schema that its tags do not describe.
func describe(schema string, s *huma.Schema) {
	switch {
	case s.Description != "":
	case strings.HasPrefix(schema, "List") && s.Properties["next"] != nil:
		s.Description = "A page of a list."
	case strings.HasSuffix(schema, "InputBody"):
		s.Description = "What a request asks for."
	default:
		s.Description = cmp.Or(schemas[schema], schemas[asStaff(schema)])
	}
	for name, member := range s.Properties {
		Say(schema, name, member)
		if member.Default != nil {
			// The default is only in the description. If it were in the schema, generators would
			// make clients that must send the member, although the server fills it in.
			member.Description = strings.TrimSpace(member.Description + fmt.Sprintf(" By default `%v`.", member.Default))
			member.Default = nil
		}
	}
}

// asStaff returns the schema of the staff that has the same members as one of a login, because most
// of their events are alike.
func asStaff(schema string) string { return strings.Replace(schema, "Shoplogin", "Shopstaff", 1) }

// Say sets the description, form and example of a member of a schema, or of a parameter, by its
// name. It changes none that the member has already.
func Say(schema, name string, member *huma.Schema) {
	word, known := words[schema+"."+name]
	if part, isPart := strings.CutPrefix(schema, "Event"); !known && isPart {
		word, known = words[part+"."+name] // the name has the same meaning in an event
	}
	if alike := asStaff(schema); !known && alike != schema {
		Say(alike, name, member)
		return
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

// fill adds the parts of a schema that describe a value and that no request is checked against.
func (w word) fill(s *huma.Schema) {
	if s.Format != "" && s.Type == huma.TypeString && w.pattern != "" {
		return // here the name has another meaning: "from" is a location in most schemas, but a time in a period
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
