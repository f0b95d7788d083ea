// Package wire is the code that all aggregates' codecs share. It does not define events: each
// aggregate's codec.go is the only definition of the names and shapes of its events.
package wire

import (
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
)

// UnknownTypeError means that this program has no decoder for an event of a stream. A newer
// version, or another program, wrote the event. An aggregate must not be folded without that
// event.
type UnknownTypeError struct{ Type string }

func (e *UnknownTypeError) Error() string { return fmt.Sprintf("unknown event type %q", e.Type) }

// Decoders maps wire names, such as "stock.reserved.v1", to their decoders. A name that was
// ever written to a log stays here for ever.
type Decoders[E any] map[string]func(data []byte) (E, error)

// Decode reads an event of a known type; else it returns *UnknownTypeError.
func (d Decoders[E]) Decode(typ string, data []byte) (E, error) {
	var none E
	read, known := d[typ]
	if !known {
		return none, &UnknownTypeError{Type: typ}
	}
	event, err := read(data)
	if err != nil {
		return none, fmt.Errorf("decode %s: %w", typ, err)
	}
	return event, nil
}

// Types are the known wire names, sorted.
func (d Decoders[E]) Types() []string { return slices.Sorted(maps.Keys(d)) }

// Read reads one shape. It ignores members that it does not know, so a field can be added to
// a version without an error in older programs.
func Read[T any](data []byte) (T, error) {
	var event T
	err := json.Unmarshal(data, &event)
	return event, err
}

// Write gives an event's wire form under its name.
func Write(typ string, event any) (string, []byte, error) {
	data, err := json.Marshal(event)
	if err != nil {
		return "", nil, fmt.Errorf("encode %s: %w", typ, err)
	}
	return typ, data, nil
}
