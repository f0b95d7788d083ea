package sealing

import (
	"bytes"
	"fmt"
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
	elements *tree    // of an array
	quoted   [][]byte // at the root: the last name of each path, as it begins in JSON; see mayHave
}

// plant makes a tree.
func plant(fields []Field) *tree {
	root := &tree{}
	for _, field := range fields {
		at := root
		segments := strings.Split(string(field), ".")
		for _, segment := range segments {
			at = at.child(segment)
		}
		at.sealed = true
		for len(segments) > 1 && segments[len(segments)-1] == "*" { // an element has no name
			segments = segments[:len(segments)-1]
		}
		root.quoted = append(root.quoted, []byte(strconv.Quote(segments[len(segments)-1])+":"))
	}
	return root
}

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
	for _, name := range t.quoted {
		if bytes.Contains(data, name) {
			return true
		}
	}
	return false
}

// replacement replaces a value. at is its JSON pointer. It returns nil if the value stays as it is.
type replacement func(at string, value []byte) ([]byte, error)

// sealFields replaces the values of the tree's fields. It returns data if there are none.
func sealFields(data []byte, fields *tree, replace replacement) ([]byte, error) {
	return rewrite(data, "", func(at, name string, value []byte) ([]byte, error) {
		return sealValue(fields.step(name), at, value, replace)
	})
}

// step returns the tree of a member; an element of an array has no name. It is nil if nothing there
// is sealed.
func (t *tree) step(name string) *tree {
	if name == "" {
		return t.elements
	}
	return t.members[name]
}

func sealValue(t *tree, at string, value []byte, replace replacement) ([]byte, error) {
	switch {
	case t == nil:
		return nil, nil
	case t.sealed && isEmpty(value):
		return nil, nil
	case t.sealed:
		return replace(at, value)
	case !isContainer(value):
		return nil, nil
	}
	changed, err := rewrite(value, at, func(at, name string, value []byte) ([]byte, error) {
		return sealValue(t.step(name), at, value, replace)
	})
	if err != nil || bytes.Equal(changed, value) {
		return nil, err
	}
	return changed, nil
}

// openFields replaces all envelopes, wherever they are. So a field that is not sealed any more in a
// later version is still opened in old events.
func openFields(data []byte, replace replacement) ([]byte, error) {
	return openIn(data, "", replace)
}

func openIn(data []byte, path string, replace replacement) ([]byte, error) {
	return rewrite(data, path, func(at, _ string, value []byte) ([]byte, error) {
		switch {
		case isEnvelope(value):
			return replace(at, value)
		case isContainer(value) && bytes.Contains(value, openingBytes):
			return openIn(value, at, replace)
		}
		return nil, nil
	})
}

// decoders are reused, because each container of an event needs one.
var decoders = sync.Pool{New: func() any { return new(jsontext.Decoder) }}

// rewrite calls each with each member of an object, or with each element of an array, and puts
// what it returns in place of the value. Everything else stays byte for byte. name is empty for an
// element. path is the JSON pointer of data.
func rewrite(data []byte, path string, each func(at, name string, value []byte) ([]byte, error)) ([]byte, error) {
	dec := decoders.Get().(*jsontext.Decoder)
	defer decoders.Put(dec)
	dec.Reset(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true))
	start, err := dec.ReadToken()
	if err != nil {
		return nil, fmt.Errorf("read the fields of an event: %w", err)
	}
	object := start.Kind() == '{'
	var changed []byte
	copied := 0 // bytes of data that changed has
	for n := 0; dec.PeekKind() != '}' && dec.PeekKind() != ']'; n++ {
		name, segment := "", strconv.Itoa(n)
		if object {
			token, err := dec.ReadToken()
			if err != nil {
				return nil, fmt.Errorf("read the fields of an event: %w", err)
			}
			name = token.String()
			segment = escapePointer(name)
		}
		value, err := dec.ReadValue()
		if err != nil {
			return nil, fmt.Errorf("read the fields of an event: %w", err)
		}
		end := int(dec.InputOffset())
		fresh, err := each(path+"/"+segment, name, value)
		if err != nil {
			return nil, err
		}
		if fresh != nil {
			changed = append(append(changed, data[copied:end-len(value)]...), fresh...)
			copied = end
		}
	}
	if changed == nil {
		return data, nil
	}
	return append(changed, data[copied:]...), nil
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
