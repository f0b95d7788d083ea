package decidertest

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"daybook/domain/rule"
)

// ComparedTextsSaySo tests that a text has the class compared if a rule compares it. It takes each
// row, and changes one personal text of one recorded event at a time. If the command then has
// another outcome, a rule has compared the text. Its tag must say so, as in
// `class:"personal,compared"`. A text that no row compares is not found. changed is how many texts
// were changed.
func (d Decider[C, E, S]) ComparedTextsSaySo(t testing.TB, tables ...map[string]Case[C, E]) (changed int) {
	t.Helper()
	for _, table := range tables {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			c := table[name]
			before := outcome(d.Ask(c.When, d.Fold(c.Given...), c.Given))
			for i, event := range c.Given {
				for path, other := range withOtherTexts(reflect.ValueOf(event), reflect.TypeOf(event).Name(), "") {
					given := slices.Clone(c.Given)
					given[i], _ = other.Interface().(E)
					changed++
					if after := outcome(d.Ask(c.When, d.Fold(given...), given)); after != before {
						t.Errorf("%s: with another %s in a recorded event the outcome is %s and not %s, so a rule compares the text: add \"compared\" to its class", name, path, after, before)
					}
				}
			}
		}
	}
	return changed
}

// outcome is the code of a refusal, or the types of events.
func outcome[E any](events []E, err error) string {
	if rejection, refused := errors.AsType[*rule.Rejection](err); refused {
		return rejection.Code
	}
	types := make([]string, len(events))
	for i, e := range events {
		types[i] = fmt.Sprintf("%T", e)
	}
	return fmt.Sprint(types, err)
}

// withOtherTexts returns copies of a value, each with another text in one personal field that is
// not said to be compared. class is the tag of the field that has the value.
func withOtherTexts(v reflect.Value, path, class string) map[string]reflect.Value {
	copies := map[string]reflect.Value{}
	switch {
	case v.Kind() == reflect.String:
		word, more, _ := strings.Cut(class, ",")
		if word != "" && word != "open" && more == "" {
			other := reflect.New(v.Type()).Elem()
			other.SetString(v.String() + " and more")
			copies[path] = other
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		for at, value := range withOtherTexts(v.Elem(), path, class) {
			other := reflect.New(v.Type().Elem())
			other.Elem().Set(value)
			copies[at] = other
		}
	case v.Kind() == reflect.Slice && v.Len() > 0:
		for at, value := range withOtherTexts(v.Index(0), path, class) {
			other := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			reflect.Copy(other, v)
			other.Index(0).Set(value)
			copies[at] = other
		}
	case v.Kind() == reflect.Struct && strings.HasPrefix(v.Type().PkgPath(), "daybook/"):
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() {
				continue
			}
			for at, value := range withOtherTexts(v.Field(i), path+"."+field.Name, field.Tag.Get("class")) {
				other := reflect.New(v.Type()).Elem()
				other.Set(v)
				other.Field(i).Set(value)
				copies[at] = other
			}
		}
	}
	return copies
}
