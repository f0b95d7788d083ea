package httpapi

import (
	"fmt"
	"regexp"

	"github.com/danielgtaylor/huma/v2"
)

// Limits of any JSON body.
const (
	maxDepth       = 16
	maxNameBytes   = 128 // of a member
	maxNumberBytes = 64
	maxRequired    = 64 // members of an object: container.seen has a bit for each
)

// shape is what the body of a route may be. It is checked once, token by token. A body that passes
// the check fits its schema. So huma does not validate it again, and the decoder needs no more time
// for it than for the largest valid body.
type shape struct {
	limit   int64        // bytes
	root    *huma.Schema // nil if the route takes no body
	values  int          // how many values a body may have in all: objects, lists, texts, numbers and so on
	schemas huma.Registry
	names   map[string]string // the names of all members that a body may have; key and value are the same
	// notEmpty are the texts that must not be empty, because their pattern in the document forbids
	// it. The check uses the patterns only for this. The parsers of package unit check the form of
	// a text.
	notEmpty map[*huma.Schema]bool
}

// nameOf is the name of a member. If the schema has the name, its text is used again.
func (s *shape) nameOf(plain []byte) string {
	if name, known := s.names[string(plain)]; known {
		return name
	}
	return string(plain)
}

// count is how many values a value of this schema may have in it, including itself.
func (s *shape) count(schema *huma.Schema, pointer string, depth int) (int, error) {
	schema = s.resolve(schema)
	switch {
	case schema == nil:
		return 0, fmt.Errorf("#%s has no schema", pointer)
	case depth > maxDepth:
		return 0, fmt.Errorf("#%s is nested deeper than %d", pointer, maxDepth)
	case len(schema.OneOf)+len(schema.AnyOf)+len(schema.AllOf) > 0 || schema.Not != nil:
		return 0, fmt.Errorf("#%s is a choice of schemas (oneOf and the like), whose size cannot be computed", pointer)
	case schema.UniqueItems || schema.MinProperties != nil || schema.MaxProperties != nil || len(schema.DependentRequired) > 0 || len(schema.Required) > maxRequired:
		return 0, fmt.Errorf("#%s has a rule that the scan of bodies does not check", pointer)
	}
	switch schema.Type {
	case huma.TypeArray:
		if schema.MaxItems == nil {
			return 0, fmt.Errorf("#%s is a list without maxItems", pointer)
		}
		each, err := s.count(schema.Items, pointer+"/0", depth+1)
		return 1 + *schema.MaxItems*each, err
	case huma.TypeObject:
		if open, closed := schema.AdditionalProperties.(bool); !closed || open {
			return 0, fmt.Errorf("#%s takes any members", pointer)
		}
		values := 1
		for name, member := range schema.Properties {
			s.names[name] = name
			n, err := s.count(member, pointer+"/"+name, depth+1)
			if err != nil {
				return 0, err
			}
			values += n
		}
		return values, nil
	case huma.TypeString:
		if pattern, is := schema.Extensions["pattern"].(string); is {
			form, err := regexp.Compile(pattern)
			if err != nil {
				return 0, fmt.Errorf("#%s: %w", pointer, err)
			}
			s.notEmpty[schema] = !form.MatchString("")
		}
		if schema.MaxLength == nil && len(schema.Enum) == 0 && schema.Format != "date-time" {
			return 0, fmt.Errorf("#%s is a text without maxLength", pointer)
		}
	}
	return 1, nil
}

func (s *shape) resolve(schema *huma.Schema) *huma.Schema {
	for schema != nil && schema.Ref != "" {
		schema = s.schemas.SchemaFromRef(schema.Ref)
	}
	return schema
}
