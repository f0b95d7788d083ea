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

// unmarked are the parameters that the mark of a list leaves out, because they change neither its
// items nor their order.
var unmarked = []string{"cursor", "limit", "include", "count"}

// openCursor reads the cursor of a request for a page, and puts the view's own cursor into the
// input. A cursor is valid only with the list, sort and filters of the page that gave it out. With
// others, the next page would silently leave items out. seal makes the cursor of the next page from
// the view's own cursor. It is nil if the list has no pages.
//
// A cursor has three parts: the mark of its list, the view's own cursor, and a checksum over both.
// Example: "q1w2E3r4.MTUw.a1b2c3d4e5f6". So a cursor that was cut off or changed is refused.
func openCursor(operation string, in any) (seal func(string) string, err error) {
	list, ok := in.(lister)
	if !ok {
		return nil, nil
	}
	mark := markOf(operation, in)
	seal = func(cursor string) string { return mark + "." + cursor + "." + checksum(mark+"."+cursor) }
	page := list.paging()
	if page.Cursor == "" {
		return seal, nil
	}
	given, own, whole := splitCursor(page.Cursor)
	if !whole {
		return nil, problem.NotValid(problem.InParameter("query", "cursor", faultCursor))
	}
	if given != mark {
		return nil, problem.NotValid(problem.InParameter("query", "cursor",
			"it was given out for another list, sort or filter: give the same parameters as for the page before, or no cursor"))
	}
	page.Cursor = own
	return seal, nil
}

// splitCursor reads a cursor. It is whole if its checksum is right.
func splitCursor(cursor string) (mark, own string, whole bool) {
	end := max(0, strings.LastIndexByte(cursor, '.'))
	mark, own, _ = strings.Cut(cursor[:end], ".")
	return mark, own, own != "" && checksum(cursor[:end]) == cursor[min(end+1, len(cursor)):]
}

// checksumVersion is a part of every checksum. Raise it if the meaning of cursors changes. Then
// earlier cursors are refused, and do not go on at a wrong place.
const checksumVersion = "cursor 2\x00"

// checksum is over the rest of a cursor. It protects from accidents, and not from a client that
// makes cursors itself, because a cursor shows nothing that a filter would not show.
func checksum(rest string) string {
	sum := sha256.Sum256([]byte(checksumVersion + rest))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
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
			if name == "" || slices.Contains(unmarked, name) || v.Field(i).IsZero() {
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
