package readapi

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"daybook/internal/problem"
)

// lister is the input of a list that has pages.
type lister interface{ paging() *Paging }

func (p *Paging) paging() *Paging { return p }

// linked is the response of a list that has pages.
type linked interface {
	// ReplaceNext changes the form of the next page's cursor.
	ReplaceNext(form func(cursor string) string)
}

// shaping are the parameters that change neither the items of a list nor their order.
var shaping = []string{"cursor", "limit", "include", "count"}

// openCursor reads the cursor of a request for a page, and puts the view's own cursor into the
// input. A cursor is valid only with the list, sort and filters of the page that gave it out.
// With other ones, the next page would silently leave items out. seal makes the next page's
// cursor from the view's own; it is nil if the list has no pages.
func openCursor(operation string, in any) (seal func(string) string, err error) {
	list, ok := in.(lister)
	if !ok {
		return nil, nil
	}
	mark := markOf(operation, in)
	seal = func(cursor string) string { return mark + "." + cursor }
	page := list.paging()
	if page.Cursor == "" {
		return seal, nil
	}
	given, own, whole := strings.Cut(page.Cursor, ".")
	if !whole || own == "" || len(given) != len(mark) {
		return nil, problem.NotValid(problem.InParameter("query", "cursor", "this list did not give out this cursor"))
	}
	if given != mark {
		return nil, problem.NotValid(problem.InParameter("query", "cursor",
			"it was given out for another list, sort or filter: give the same parameters as for the page before, or no cursor"))
	}
	page.Cursor = own
	return seal, nil
}

// markOf is a short text that differs between lists, sorts and filters.
func markOf(operation string, in any) string {
	hash := sha256.New()
	_, _ = io.WriteString(hash, operation)
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if field.Anonymous && field.Type.Kind() == reflect.Struct {
				walk(v.Field(i))
				continue
			}
			name := field.Tag.Get("query") + field.Tag.Get("path")
			if name == "" || slices.Contains(shaping, name) || v.Field(i).IsZero() {
				continue
			}
			value := v.Field(i).Interface()
			if at, is := value.(time.Time); is {
				value = at.UTC().Format(time.RFC3339Nano)
			}
			_, _ = fmt.Fprintf(hash, "\x00%s=%#v", name, value)
		}
	}
	walk(reflect.ValueOf(in).Elem())
	return base64.RawURLEncoding.EncodeToString(hash.Sum(nil)[:6])
}
