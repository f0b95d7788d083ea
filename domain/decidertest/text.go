package decidertest

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// text is a value as JSON. Tests compare values by this text. So 2.5 equals 2.50, and a nil
// list equals an empty one, as in the log.
func text(t testing.TB, value any) string {
	t.Helper()
	data, err := json.Marshal(value, json.Deterministic(true))
	if err != nil {
		t.Fatalf("%T as JSON: %v", value, err)
	}
	return string(data)
}

func lines[E any](t testing.TB, events []E) string {
	t.Helper()
	if len(events) == 0 {
		return "nothing"
	}
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "\n    %T %s", e, text(t, e))
	}
	return b.String()
}

// unwritten lists the fields of our own types under t that JSON leaves out.
func unwritten(t reflect.Type, seen []reflect.Type) []string {
	if slices.Contains(seen, t) {
		return nil
	}
	seen = append(seen, t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return unwritten(t.Elem(), seen)
	case reflect.Map:
		return append(unwritten(t.Key(), seen), unwritten(t.Elem(), seen)...)
	case reflect.Struct:
		if !strings.HasPrefix(t.PkgPath(), "daybook/") || t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
			return nil // a type of another package, or one that writes its own form
		}
	default:
		return nil
	}
	var fields []string
	for f := range t.Fields() {
		if !f.IsExported() && !f.Anonymous || f.Tag.Get("json") == "-" {
			fields = append(fields, t.Name()+"."+f.Name)
			continue
		}
		fields = append(fields, unwritten(f.Type, seen)...)
	}
	return fields
}
