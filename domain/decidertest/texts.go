package decidertest

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"daybook/domain/rule"
)

// badTexts cannot be recorded in any free text: they change the direction of the text around
// them, hold a control character, show nothing, or are not UTF-8.
var badTexts = []string{"a\u202eb", "a\x07b", "  ", "\u200b", "\xff"}

// EveryTextIsChecked tests that each text in a command is checked. It takes each row whose
// command gives events, and puts a text that cannot be recorded into one string field at a
// time. Each such command must be refused. Each string field of each command needs a row in
// which it is set. The exceptions are in unchecked, with the reason, under keys such as
// "Place.Reference" and "Place.Lines.Title".
func (d Decider[C, E, S]) EveryTextIsChecked(t testing.TB, unchecked map[string]string, tables ...map[string]Case[C, E]) {
	t.Helper()
	rows, wanted, tried := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, table := range tables {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			c := table[name]
			command := reflect.TypeOf(c.When)
			rows[command.Name()] = true
			for path := range stringFields(command, command.Name()) {
				wanted[path] = true
			}
			if len(c.Then) == 0 {
				continue
			}
			for _, bad := range badTexts {
				for path, changed := range withText(reflect.ValueOf(c.When), command.Name(), bad) {
					if unchecked[path] != "" {
						continue
					}
					tried[path] = true
					cmd, _ := changed.Interface().(C)
					events, err := d.Ask(cmd, d.Fold(c.Given...), c.Given)
					rejection, refused := errors.AsType[*rule.Rejection](err)
					_, field := splitLast(path)
					switch {
					case !refused:
						t.Errorf("%s with the %s %q: %v, %s; want it refused", name, path, bad, err, lines(t, events))
					case !strings.Contains(strings.ReplaceAll(strings.ToLower(rejection.Detail), "_", ""), strings.ToLower(field)):
						t.Errorf("%s with the %s %q is refused with %q, want it to name the field", name, path, bad, rejection.Detail)
					}
				}
			}
		}
	}
	for _, command := range Sealed(t, "Command") {
		if !rows[command] {
			t.Errorf("%s has no row", command)
		}
	}
	for path := range wanted {
		if unchecked[path] == "" && !tried[path] {
			t.Errorf("%s: no row has it in a command that is answered with events", path)
		}
	}
	for path := range unchecked {
		if !wanted[path] {
			t.Errorf("%s is said to be unchecked, but no command in the rows has it", path)
		}
	}
}

func splitLast(path string) (before, last string) {
	i := strings.LastIndexByte(path, '.')
	return path[:i], path[i+1:]
}

// stringFields are the paths of the fields of type string below a type.
func stringFields(t reflect.Type, path string) map[string]bool {
	found := map[string]bool{}
	switch {
	case t == reflect.TypeFor[string]():
		found[path] = true
	case t.Kind() == reflect.Slice:
		return stringFields(t.Elem(), path)
	case t.Kind() == reflect.Struct && strings.HasPrefix(t.PkgPath(), "daybook/"):
		for f := range t.Fields() {
			below := path + "." + f.Name
			if f.Anonymous {
				below = path
			}
			maps.Copy(found, stringFields(f.Type, below))
		}
	}
	return found
}

// withText returns copies of a command, each with the text in one string field. In a list,
// the text goes into the first element.
func withText(command reflect.Value, path, text string) map[string]reflect.Value {
	copies := map[string]reflect.Value{}
	for i := range command.NumField() {
		f := command.Type().Field(i)
		below := path + "." + f.Name
		if f.Anonymous {
			below = path
		}
		for at, value := range valuesWithText(command.Field(i), below, text) {
			changed := reflect.New(command.Type()).Elem()
			changed.Set(command)
			changed.Field(i).Set(value)
			copies[at] = changed
		}
	}
	return copies
}

func valuesWithText(v reflect.Value, path, text string) map[string]reflect.Value {
	switch {
	case v.Type() == reflect.TypeFor[string]():
		return map[string]reflect.Value{path: reflect.ValueOf(text)}
	case v.Kind() == reflect.Struct && strings.HasPrefix(v.Type().PkgPath(), "daybook/"):
		return withText(v, path, text)
	case v.Kind() == reflect.Slice && v.Len() > 0:
		copies := map[string]reflect.Value{}
		for at, value := range valuesWithText(v.Index(0), path, text) {
			changed := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			reflect.Copy(changed, v)
			changed.Index(0).Set(value)
			copies[at] = changed
		}
		return copies
	}
	return nil
}
