package commandapi

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Change is a member of a merge patch (RFC 7396): one that is left out changes nothing,
// and null takes the value away.
type Change[T any] struct {
	Given bool
	Value T // the zero value if it is taken away
}

// UnmarshalJSONFrom reads the member, which is given then.
func (c *Change[T]) UnmarshalJSONFrom(from *jsontext.Decoder) error {
	*c = Change[T]{Given: true}
	if from.PeekKind() == 'n' {
		return from.SkipValue()
	}
	return json.UnmarshalDecode(from, &c.Value)
}

// Schema is that of the value, or null.
func (Change[T]) Schema(r huma.Registry) *huma.Schema {
	schema := r.Schema(reflect.TypeFor[T](), false, "")
	schema.Nullable = true
	return schema
}
