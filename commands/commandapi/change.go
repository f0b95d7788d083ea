package commandapi

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Change is a member of a merge patch (RFC 7396). A member that is left out changes nothing.
// null takes the value away.
type Change[T any] struct {
	Given bool
	Value T // the zero value if the member is null
}

// UnmarshalJSONFrom reads the member. It is called only if the member is given.
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
