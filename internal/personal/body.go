package personal

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Body returns a copy of a response body in which the personal texts are withheld: the members that
// have a tag such as `class:"personal"`. A body without such members is returned as it is.
func (w *Withholder) Body(body any) any {
	value := reflect.ValueOf(body)
	if !value.IsValid() || !hasPersonal(value.Type()) {
		return body
	}
	return w.copied(value, Open).Interface()
}

// copied copies a value. class is that of the member which has it.
func (w *Withholder) copied(value reflect.Value, class Class) reflect.Value {
	if class == Open && !hasPersonal(value.Type()) {
		return value
	}
	fresh := reflect.New(value.Type()).Elem()
	switch value.Kind() {
	case reflect.String:
		fresh.SetString(w.Text(class, value.String()))
	case reflect.Pointer:
		if !value.IsNil() {
			fresh.Set(reflect.New(value.Type().Elem()))
			fresh.Elem().Set(w.copied(value.Elem(), class))
		}
	case reflect.Slice:
		if !value.IsNil() {
			fresh.Set(reflect.MakeSlice(value.Type(), value.Len(), value.Len()))
			for i := range value.Len() {
				fresh.Index(i).Set(w.copied(value.Index(i), class))
			}
		}
	case reflect.Struct:
		fresh.Set(value)
		for i := range value.NumField() {
			field := value.Type().Field(i)
			if field.IsExported() {
				fresh.Field(i).Set(w.copied(value.Field(i), classOf(field)))
			}
		}
	default: // a member of another kind cannot have a part that is withheld, so it is left out
	}
	return fresh
}

func classOf(member reflect.StructField) Class {
	class, _, _ := strings.Cut(member.Tag.Get("class"), ",")
	return cmp.Or(Class(class), Open)
}

// withPersonal tells whether a type has personal texts, by reflect.Type.
var withPersonal sync.Map

// hasPersonal tells whether a type of a body has members with a tag.
func hasPersonal(t reflect.Type) bool {
	if found, known := withPersonal.Load(t); known {
		return found.(bool) //nolint:forcetypeassert // only truth values are stored
	}
	found := looksPersonal(t, nil)
	withPersonal.Store(t, found)
	return found
}

// looksPersonal looks into a type. around are the types that contain it, for a type that contains
// itself.
func looksPersonal(t reflect.Type, around []reflect.Type) bool {
	if slices.Contains(around, t) {
		return false
	}
	around = append(around, t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return looksPersonal(t.Elem(), around)
	case reflect.Struct:
		for f := range t.Fields() {
			if classOf(f) != Open || looksPersonal(f.Type, around) {
				return true
			}
		}
	default:
	}
	return false
}
