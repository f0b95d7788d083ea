package main

import (
	"fmt"
	"reflect"
	"time"

	"github.com/alecthomas/kong"
)

// plainValues are options of the parser. With them, an error about a value that cannot be read says
// in plain words which values the flag takes: "--hold-for: want a duration such as 15m, not "3"".
// Without them, the error has Go's own words, because kong passes them on.
func plainValues() (all []kong.Option) {
	usual := kong.NewRegistry().RegisterDefaults()
	for value, want := range map[any]string{
		time.Duration(0): "a duration such as 15m",
		int(0):           "a whole number",
		int64(0):         "a whole number",
		float64(0):       "a number",
		false:            "true or false",
	} {
		t := reflect.TypeOf(value)
		plain := plainMapper{usual.ForType(t), want}
		if t.Kind() == reflect.Bool {
			all = append(all, kong.TypeMapper(t, plainSwitch{plain}))
		} else {
			all = append(all, kong.TypeMapper(t, plain))
		}
	}
	return all
}

// plainMapper reads a value as another mapper does, but returns an error that says which values the
// flag takes.
type plainMapper struct {
	kong.Mapper

	want string
}

func (m plainMapper) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	given := ctx.Scan.Peek()
	err := m.Mapper.Decode(ctx, target)
	if err == nil || given.IsEOL() {
		return err
	}
	return fmt.Errorf("want %s, not %q", m.want, given.String())
}

// plainSwitch is a plainMapper of flags that need no value.
type plainSwitch struct{ plainMapper }

// IsBool implements kong.BoolMapper.
func (plainSwitch) IsBool() bool { return true }
