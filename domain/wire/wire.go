// Package wire is what the codecs of all aggregates share. The names and shapes
// of the events themselves are not its business: each aggregate's codec.go is
// the one definition of its own.
package wire

import (
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
)

// UnknownTypeError means that a stream holds an event this program has no
// decoder for: it was written by a newer version, or by something else. An
// aggregate must not be folded without it.
type UnknownTypeError struct{ Type string }

func (e *UnknownTypeError) Error() string { return fmt.Sprintf("unknown event type %q", e.Type) }

// Decoders maps wire names, "stock.reserved.v1", to what reads them. A name
// once written to a log stays here for ever.
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

// Read reads one shape. Members it does not know are ignored, so that a field
// can be added to a version without breaking older programs.
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
