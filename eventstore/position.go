package eventstore

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Position is a place in the log. Positions are ordered and have a stable text form. Nothing
// else about them is known: they need not be contiguous. The zero Position is Start.
type Position struct {
	commit, prepare uint64
}

// Start is the position before the first event.
var Start Position

// End is the position after every event.
var End = Position{commit: math.MaxUint64, prepare: math.MaxUint64}

// At is a position of an engine with one counter. For an event, n is at least 1.
func At(n uint64) Position { return Position{commit: n, prepare: n} }

// AtPair is a position of an engine that counts commits and prepares separately (KurrentDB).
func AtPair(commit, prepare uint64) Position { return Position{commit: commit, prepare: prepare} }

// Pair returns both counters; equal when the engine has only one.
func (p Position) Pair() (commit, prepare uint64) { return p.commit, p.prepare }

// Whole is p for an engine that has only one counter. It is the commit, or the commit minus 1
// if p lies before the event at the commit. Example: a checkpoint of KurrentDB, (commit, 0),
// lies before that event.
func (p Position) Whole() uint64 {
	if p.prepare < p.commit {
		return p.commit - 1
	}
	return p.commit
}

// IsStart tells whether p is before the first event.
func (p Position) IsStart() bool { return p == Start }

// Compare orders positions: negative if p comes before other.
func (p Position) Compare(other Position) int {
	return cmp.Or(cmp.Compare(p.commit, other.commit), cmp.Compare(p.prepare, other.prepare))
}

// Before tells whether p comes before other.
func (p Position) Before(other Position) bool { return p.Compare(other) < 0 }

// String is the stable text form: "123", or "123/120" where the two counters
// differ.
func (p Position) String() string {
	if p.commit == p.prepare {
		return strconv.FormatUint(p.commit, 10)
	}
	return strconv.FormatUint(p.commit, 10) + "/" + strconv.FormatUint(p.prepare, 10)
}

// ParsePosition reads the text form.
func ParsePosition(text string) (Position, error) {
	first, second, pair := strings.Cut(text, "/")
	commit, err := strconv.ParseUint(first, 10, 64)
	if err != nil {
		return Start, fmt.Errorf("position %q: want digits, or two numbers with a slash", text)
	}
	if !pair {
		return At(commit), nil
	}
	prepare, err := strconv.ParseUint(second, 10, 64)
	if err != nil {
		return Start, fmt.Errorf("position %q: want digits, or two numbers with a slash", text)
	}
	return AtPair(commit, prepare), nil
}

// MarshalText and UnmarshalText use the text form.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the text form.
func (p *Position) UnmarshalText(text []byte) error {
	parsed, err := ParsePosition(string(text))
	if err == nil {
		*p = parsed
	}
	return err
}
