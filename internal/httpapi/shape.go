package httpapi

import (
	"bytes"
	"fmt"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/internal/problem"
)

// Bounds of any JSON body.
const (
	maxDepth       = 16
	maxNameBytes   = 128 // of a member
	maxNumberBytes = 64
)

// shape is how large a route's body may be. A body that passes has been looked at
// once, token by token, and costs the decoder and the validation no more than the
// largest that is valid.
type shape struct {
	limit   int64        // bytes
	root    *huma.Schema // nil: the route takes no body
	values  int          // that a body may hold in all: objects, lists, texts, numbers, ...
	schemas huma.Registry
}

// count is how many values something of a schema may hold, itself included.
func (s *shape) count(schema *huma.Schema, pointer string, depth int) (int, error) {
	schema = s.resolve(schema)
	switch {
	case schema == nil:
		return 0, fmt.Errorf("#%s has no schema", pointer)
	case depth > maxDepth:
		return 0, fmt.Errorf("#%s is nested deeper than %d", pointer, maxDepth)
	case len(schema.OneOf)+len(schema.AnyOf)+len(schema.AllOf) > 0:
		return 0, fmt.Errorf("#%s is a choice of schemas (oneOf and the like), whose size cannot be computed", pointer)
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
			n, err := s.count(member, pointer+"/"+name, depth+1)
			if err != nil {
				return 0, err
			}
			values += n
		}
		return values, nil
	case huma.TypeString:
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

// check refuses a body that cannot be valid because of its size. What is not JSON,
// or not as the schema says, passes: the decoder and the validation tell that better,
// and a body of this size costs them little.
func (s *shape) check(body []byte) error {
	if s.root == nil || len(body) == 0 {
		return nil
	}
	scan := scanner{shape: s, decoder: jsontext.NewDecoder(bytes.NewBuffer(body)), within: make([]container, 0, 4)}
	for {
		done, err := scan.next()
		if err != nil || done {
			return err
		}
	}
}

// container is a list or an object that is being read.
type container struct {
	schema *huma.Schema // nil: not one that the route knows
	list   bool
	items  int
}

// scanner goes through a body.
type scanner struct {
	shape   *shape
	decoder *jsontext.Decoder
	within  []container
	values  int
	name    string // of the member whose value comes next
	naming  bool   // a member's name comes next, or the end of the object
}

// next reads a token. It is done at the end of the value, and where the body is no
// JSON.
func (s *scanner) next() (done bool, err error) {
	switch kind := s.decoder.PeekKind(); kind {
	case '}', ']':
		if _, err := s.decoder.ReadToken(); err != nil {
			return true, nil //nolint:nilerr // the decoder tells it later
		}
		s.within = s.within[:len(s.within)-1]
	case '{', '[':
		return s.open(kind == '[')
	case '"':
		return s.text()
	default:
		value, err := s.decoder.ReadValue()
		if err != nil {
			return true, nil //nolint:nilerr // the decoder tells it later
		}
		if len(value) > maxNumberBytes {
			return true, s.fault(fmt.Sprintf("a number of more than %d characters", maxNumberBytes))
		}
		if _, err := s.value(); err != nil {
			return true, err
		}
	}
	return s.after(), nil
}

// after tells whether the whole value has been read.
func (s *scanner) after() bool {
	s.naming = len(s.within) > 0 && !s.within[len(s.within)-1].list
	return len(s.within) == 0
}

func (s *scanner) open(list bool) (done bool, err error) {
	schema, err := s.value()
	if err != nil {
		return true, err
	}
	if _, err := s.decoder.ReadToken(); err != nil {
		return true, nil //nolint:nilerr // the decoder tells it later
	}
	if len(s.within) == maxDepth {
		return true, s.fault(fmt.Sprintf("nested deeper than %d", maxDepth))
	}
	s.within = append(s.within, container{schema: schema, list: list})
	s.naming = !list
	return false, nil
}

// text reads a member's name or a text.
func (s *scanner) text() (done bool, err error) {
	naming := s.naming
	raw, err := s.decoder.ReadValue()
	if err != nil {
		return true, nil //nolint:nilerr // the decoder tells it later
	}
	plain := []byte(raw[1 : len(raw)-1]) // shares its memory
	if bytes.IndexByte(plain, '\\') >= 0 {
		plain, _ = jsontext.AppendUnquote(nil, raw) // it was just read, so it is one
	}
	if bytes.IndexByte(plain, 0) >= 0 {
		// The one character that databases take in no text. A log that held it could
		// not be posted to any read model.
		return true, problem.Malformed("The body is not valid JSON: a text holds the character U+0000.")
	}
	if !naming {
		if _, err := s.value(); err != nil {
			return true, err
		}
		return s.after(), nil
	}
	if len(plain) > maxNameBytes {
		return true, s.faultAt(string(s.decoder.StackPointer().Parent()), fmt.Sprintf("a member whose name has more than %d bytes", maxNameBytes))
	}
	s.name, s.naming = string(plain), false
	return false, nil
}

// value counts a value, whose first token was seen, and returns its schema.
func (s *scanner) value() (*huma.Schema, error) {
	if s.values++; s.values > s.shape.values {
		return nil, s.fault(fmt.Sprintf("more values than a body may hold here, which is %d", s.shape.values))
	}
	if len(s.within) == 0 {
		return s.shape.resolve(s.shape.root), nil
	}
	in := &s.within[len(s.within)-1]
	in.items++
	switch {
	case in.schema == nil:
		return nil, nil
	case !in.list:
		return s.shape.resolve(in.schema.Properties[s.name]), nil
	case in.schema.MaxItems != nil && in.items > *in.schema.MaxItems:
		return nil, s.faultAt(string(s.decoder.StackPointer().Parent()), fmt.Sprintf("more than %d items", *in.schema.MaxItems))
	}
	return s.shape.resolve(in.schema.Items), nil
}

func (s *scanner) fault(detail string) error {
	return s.faultAt(string(s.decoder.StackPointer()), detail)
}

func (s *scanner) faultAt(pointer, detail string) error {
	return problem.NotValid(problem.InBody(pointer, detail))
}
