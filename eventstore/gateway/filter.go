package gateway

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"daybook/eventstore"
)

const (
	defaultWindow = 32 // events examined between checkpoints, if the client gives no number
	// storeMarks is how many events the store may examine between two marks. For shorter
	// checkpoint intervals, the gateway examines each event itself.
	storeMarks = 1000
	// examinedAtOnce is the least number of events that a read with a regular expression asks
	// the store for.
	examinedAtOnce = 500
)

// Limits of a regular expression. They bound the cost of compiling and matching it, even for
// repeats within repeats, or for classes of thousands of characters.
const (
	maxExpression = 1 << 10 // bytes
	maxSteps      = 1000    // with repeats written out
	maxClasses    = 4       // Unicode's classes, and ranges that end beyond ASCII
)

// Limits of prefixes, because each event may be compared with all of them.
const (
	maxPrefixes    = 256
	maxPrefixBytes = 64 << 10 // of all
)

// filter selects events of $all, by prefixes or by a regular expression.
type filter struct {
	prefixes eventstore.Filter
	pattern  *regexp.Regexp // nil: by prefixes
	onType   bool           // the pattern is matched with the event's type; otherwise with its stream
	// interval is the largest number of examined events between two checkpoints.
	interval uint64
}

// expression is the selecting part of a filter, in the messages of either service.
type expression interface {
	GetRegex() string
	GetPrefix() []string
}

// newFilter makes a filter on the type or on the stream of events. Checkpoints come every
// window*multiplier examined events. Zero means the default.
func newFilter(onType bool, by expression, window, multiplier uint32) (*filter, error) {
	if window == 0 {
		window = defaultWindow
	}
	f := &filter{onType: onType, interval: uint64(window) * uint64(max(multiplier, 1))}
	pattern, prefixes := by.GetRegex(), by.GetPrefix()
	switch {
	case pattern != "" && len(prefixes) > 0:
		return nil, invalid("a filter has a regular expression or prefixes, not both")
	case pattern != "":
		return f.matching(pattern)
	case len(prefixes) == 0:
		return nil, invalid("a filter needs a regular expression or prefixes")
	case len(prefixes) > maxPrefixes:
		return nil, invalid("filter of %d prefixes is over the limit of %d", len(prefixes), maxPrefixes)
	case size(prefixes) > maxPrefixBytes:
		return nil, invalid("prefixes of %d bytes are over the limit of %d", size(prefixes), maxPrefixBytes)
	case onType:
		f.prefixes.TypePrefixes = prefixes
	default:
		f.prefixes.StreamPrefixes = prefixes
	}
	return f, nil
}

// size is how many bytes the prefixes have together.
func size(prefixes []string) (bytes int) {
	for _, prefix := range prefixes {
		bytes += len(prefix)
	}
	return bytes
}

// matching makes f select names in which the pattern is found. The pattern has RE2's syntax,
// which lacks some parts of .NET's syntax.
func (f *filter) matching(pattern string) (*filter, error) {
	if len(pattern) > maxExpression {
		return nil, invalid("regular expression of %d bytes is over the limit of %d", len(pattern), maxExpression)
	}
	if n := classes(pattern); n > maxClasses {
		return nil, invalid("regular expression with %d classes and ranges beyond ASCII is over the limit of %d", n, maxClasses)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, invalid("regular expression: %v", err)
	}
	if n := steps(parsed); n > maxSteps {
		return nil, invalid("regular expression with %d steps, repeats written out, is over the limit of %d", n, maxSteps)
	}
	if f.pattern, err = regexp.Compile(pattern); err != nil {
		return nil, invalid("regular expression: %v", err)
	}
	return f, nil
}

// classes is an upper bound of the number of classes and ranges in a pattern with characters
// beyond ASCII. They are counted in the text, because parsing them costs much, most of all if
// case is ignored.
func classes(pattern string) (n int) {
	for _, mark := range []string{`\p`, `\P`, `-\x{`} {
		n += strings.Count(pattern, mark)
	}
	for i := 1; i < len(pattern); i++ {
		if pattern[i-1] == '-' && pattern[i] >= utf8.RuneSelf {
			n++
		}
	}
	return n
}

// steps is about the length of the program that an expression is compiled to. The parser
// bounds repeats within repeats to a thousand.
func steps(re *syntax.Regexp) int {
	n := 0
	for _, sub := range re.Sub {
		n += steps(sub)
	}
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpRepeat:
		return n * max(re.Min, re.Max, 1)
	default:
		return n + 1
	}
}

// selects tells whether f selects an event. A nil filter selects all.
func (f *filter) selects(e *eventstore.Recorded) bool {
	switch {
	case f == nil:
		return true
	case f.pattern == nil:
		return f.prefixes.Selects(e.Type, e.Stream)
	case f.onType:
		return f.pattern.MatchString(e.Type)
	default:
		return f.pattern.MatchString(e.Stream)
	}
}

// readFilter is the part of the filter that the store applies in a read. selects applies the
// rest.
func (f *filter) readFilter() eventstore.Filter {
	if f == nil {
		return eventstore.Filter{}
	}
	return f.prefixes
}

// atOnce is how many events to ask the store for, to find at most limit (0: all). It may ask
// for more, because selects may leave out many of them.
func (f *filter) atOnce(limit int) int {
	if limit == 0 || f == nil || f.pattern == nil {
		return limit
	}
	return max(limit, examinedAtOnce)
}

// followFilter is the part of the filter that the store applies in a subscription. A
// subscription must know how many events were examined.
func (f *filter) followFilter() eventstore.Filter {
	if f == nil || f.interval < storeMarks {
		return eventstore.Filter{}
	}
	return f.prefixes
}
