package sealing

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Field names a text of an event by its path. The segments are the names of members, and * stands
// for every element of an array. Example: lines.*.note is the note of each line.
type Field string

// Fields says which fields of an event are personal, by the event's type.
type Fields func(eventType string) []Field

// tree has the paths of the fields that are sealed.
type tree struct {
	sealed   bool // the value here is sealed
	members  map[string]*tree
	elements *tree   // of an array
	names    []names // at the root: of the paths; see mayHave
}

// names are the first name of some paths and the last names of these paths, as they begin in JSON.
type names struct {
	first []byte
	lasts [][]byte
}

// plant makes a tree.
func plant(fields []Field) *tree {
	root := &tree{}
	lasts := make(map[string][]string)
	for _, field := range fields {
		at := root
		segments := strings.Split(string(field), ".")
		for _, segment := range segments {
			at = at.child(segment)
		}
		at.sealed = true
		first, last := segments[0], len(segments)-1
		for last > 0 && segments[last] == "*" { // an element has no name
			last--
		}
		if !slices.Contains(lasts[first], segments[last]) {
			lasts[first] = append(lasts[first], segments[last])
		}
	}
	for first, ofFirst := range lasts {
		n := names{first: quoted(first)}
		for _, last := range ofFirst {
			n.lasts = append(n.lasts, quoted(last))
		}
		root.names = append(root.names, n)
	}
	return root
}

func quoted(name string) []byte { return []byte(strconv.Quote(name) + ":") }

// has tells whether the value at a JSON pointer is sealed.
func (t *tree) has(pointer string) bool {
	at := t
	for segment := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		next := at.members[segment]
		if next == nil {
			next = at.elements
		}
		if next == nil {
			return false
		}
		at = next
	}
	return at.sealed
}

func (t *tree) child(segment string) *tree {
	if segment == "*" {
		if t.elements == nil {
			t.elements = &tree{}
		}
		return t.elements
	}
	if t.members == nil {
		t.members = make(map[string]*tree)
	}
	if t.members[segment] == nil {
		t.members[segment] = &tree{}
	}
	return t.members[segment]
}

// mayHave tells whether an event may have one of the fields. It costs little, and most events have
// none.
func (t *tree) mayHave(data []byte) bool {
	has := func(name []byte) bool { return bytes.Contains(data, name) }
	for _, n := range t.names {
		if has(n.first) && slices.ContainsFunc(n.lasts, has) {
			return true
		}
	}
	return false
}

// replacement replaces a value. at is its JSON pointer. It returns nil if the value stays as it is.
type replacement func(at string, value []byte) ([]byte, error)

// replaceFields replaces the values of the tree's fields. It returns data if there are none.
func replaceFields(data []byte, fields *tree, replace replacement) ([]byte, error) {
	return rewrite(data, func(m member, value []byte) ([]byte, error) {
		return replaceBelow(m.step(fields), "", m, value, replace)
	})
}

// replaceBelow replaces what is sealed in a member of the container at a path. t is the member's
// tree.
func replaceBelow(t *tree, path string, m member, value []byte, replace replacement) ([]byte, error) {
	switch {
	case t == nil:
		return nil, nil
	case t.sealed && isEmpty(value):
		return nil, nil
	case t.sealed:
		return replace(m.at(path), value)
	case !isContainer(value):
		return nil, nil
	}
	path = m.at(path)
	changed, err := rewrite(value, func(m member, value []byte) ([]byte, error) {
		return replaceBelow(m.step(t), path, m, value, replace)
	})
	if err != nil || bytes.Equal(changed, value) {
		return nil, err
	}
	return changed, nil
}

// replaceBeginning replaces all values that begin with some bytes, wherever they are. So a field
// that is not sealed any more in a later version is still opened in old events. Only objects are
// looked for, and path is the JSON pointer of data.
func replaceBeginning(begin, data []byte, path string, replace replacement) ([]byte, error) {
	return rewrite(data, func(m member, value []byte) ([]byte, error) {
		switch {
		case bytes.HasPrefix(value, begin):
			return replace(m.at(path), value)
		case isContainer(value) && bytes.Contains(value, begin):
			return replaceBeginning(begin, value, m.at(path), replace)
		}
		return nil, nil
	})
}

// member is the place of a value in the object or array that has it.
type member struct {
	name []byte // in JSON; nil: an element of an array
	n    int    // the number of an element
}

// text is the member's name.
func (m member) text() []byte {
	if bytes.IndexByte(m.name, '\\') < 0 {
		return m.name[1 : len(m.name)-1]
	}
	text, _ := jsontext.AppendUnquote(nil, m.name) // the decoder has accepted it
	return text
}

// step returns the tree of the value. It is nil if nothing there is sealed.
func (m member) step(t *tree) *tree {
	if m.name == nil {
		return t.elements
	}
	return t.members[string(m.text())]
}

// at is the JSON pointer of the value. path is that of the object or array.
func (m member) at(path string) string {
	if m.name == nil {
		return path + "/" + strconv.Itoa(m.n)
	}
	return path + "/" + escapePointer(string(m.text()))
}

// decoders are reused, because each container of an event needs one.
var decoders = sync.Pool{New: func() any { return new(jsontext.Decoder) }}

// rewrite calls each with each member of an object, or with each element of an array, and puts
// what it returns in place of the value. Everything else stays byte for byte.
func rewrite(data []byte, each func(m member, value []byte) ([]byte, error)) ([]byte, error) {
	dec := decoders.Get().(*jsontext.Decoder)
	defer decoders.Put(dec)
	dec.Reset(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true))
	// next returns the next name or value, which stays as it is when the decoder goes on.
	next := func() ([]byte, int, error) {
		value, err := dec.ReadValue()
		if err != nil {
			return nil, 0, fmt.Errorf("read the fields of an event: %w", err)
		}
		end := int(dec.InputOffset())
		return data[end-len(value) : end], end, nil
	}
	start, err := dec.ReadToken()
	if err != nil {
		return nil, fmt.Errorf("read the fields of an event: %w", err)
	}
	object := start.Kind() == '{'
	var changed []byte
	copied := 0 // bytes of data that changed has
	for n := 0; dec.PeekKind() != '}' && dec.PeekKind() != ']'; n++ {
		m := member{n: n}
		if object {
			if m.name, _, err = next(); err != nil {
				return nil, err
			}
		}
		value, end, err := next()
		if err != nil {
			return nil, err
		}
		fresh, err := each(m, value)
		if err != nil {
			return nil, err
		}
		if fresh != nil {
			if changed == nil {
				changed = make([]byte, 0, len(data)+len(fresh))
			}
			changed = append(append(changed, data[copied:end-len(value)]...), fresh...)
			copied = end
		}
	}
	if changed == nil {
		return data, nil
	}
	return append(changed, data[copied:]...), nil
}

// number is what stands in place of the value with a number.
func number(n int) []byte {
	return append(strconv.AppendInt(append(make([]byte, 0, len(numbering)+4), numbering...), int64(n), 10), '}') //nolint:mnd // room for digits
}

// numbered returns the JSON pointers of the numbers in an event, in their order. They must be 0, 1,
// 2 and so on. If one is not, the error is a *TamperedError that has only the field and the cause.
func numbered(data []byte) (fields []string, err error) {
	_, err = replaceBeginning(numberingBytes, data, "", func(at string, value []byte) ([]byte, error) {
		if !bytes.Equal(value, number(len(fields))) {
			return nil, &TamperedError{Field: at, Cause: fmt.Errorf("it is not number %d", len(fields))}
		}
		fields = append(fields, at)
		return nil, nil
	})
	return fields, err
}

// fill puts values in place of the numbers of an event. See numbered, which has found as many.
func fill(data []byte, values [][]byte) []byte {
	room := len(data)
	for _, value := range values {
		room += len(value)
	}
	filled := make([]byte, 0, room)
	for _, value := range values {
		at := bytes.Index(data, numberingBytes) // in no text, because its quotation marks are escaped
		filled = append(append(filled, data[:at]...), value...)
		data = data[at+bytes.IndexByte(data[at:], '}')+1:]
	}
	return append(filled, data...)
}

// elements returns the n elements of a JSON array.
func elements(array []byte, n int) (values [][]byte, err error) {
	values = make([][]byte, 0, n)
	_, err = rewrite(array, func(_ member, value []byte) ([]byte, error) {
		values = append(values, value)
		return nil, nil
	})
	if err == nil && len(values) != n {
		err = fmt.Errorf("%d values are in its box, and the event has %d numbers", len(values), n)
	}
	return values, err
}

// escapePointer is a name as a segment of a JSON pointer.
func escapePointer(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// isEmpty tells whether a value says nothing about anybody.
func isEmpty(value []byte) bool {
	switch string(value) {
	case `""`, `null`, `[]`, `{}`:
		return true
	}
	return false
}

func isContainer(value []byte) bool { return value[0] == '{' || value[0] == '[' }
