package gateway

import (
	"regexp"

	"daybook/eventstore"
)

const (
	defaultWindow = 32   // events examined between checkpoints, where a client does not say
	maxExpression = 4096 // bytes of a regular expression
	// storeMarks is how many events the store may examine between two marks. A
	// shorter checkpoint interval is kept by examining each event here.
	storeMarks = 1000
)

// filter selects events of $all, by prefixes or by a regular expression.
type filter struct {
	prefixes eventstore.Filter
	pattern  *regexp.Regexp // nil: by prefixes
	onType   bool           // what the pattern is matched with; else the stream
	// interval is how many examined events lie between two checkpoints, at most.
	interval uint64
}

// expression is what selects, on either service.
type expression interface {
	GetRegex() string
	GetPrefix() []string
}

// newFilter makes a filter on the type or on the stream of events, with
// checkpoints every window*multiplier examined events; zero is the default.
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
	case onType:
		f.prefixes.TypePrefixes = prefixes
	default:
		f.prefixes.StreamPrefixes = prefixes
	}
	return f, nil
}

// matching makes f select names in which the pattern is found. What it says is
// RE2's, which lacks some of what .NET's has.
func (f *filter) matching(pattern string) (_ *filter, err error) {
	if len(pattern) > maxExpression {
		return nil, invalid("regular expression of %d bytes is over the limit of %d", len(pattern), maxExpression)
	}
	if f.pattern, err = regexp.Compile(pattern); err != nil {
		return nil, invalid("regular expression: %v", err)
	}
	return f, nil
}

// lets tells whether f, which may be nil, lets an event through.
func (f *filter) lets(e *eventstore.Recorded) bool {
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

// whenReading is what the store may select by itself in a read; the rest is for lets.
func (f *filter) whenReading() eventstore.Filter {
	if f == nil {
		return eventstore.Filter{}
	}
	return f.prefixes
}

// whenFollowing is the same in a subscription, which must know how many events
// were examined.
func (f *filter) whenFollowing() eventstore.Filter {
	if f == nil || f.interval < storeMarks {
		return eventstore.Filter{}
	}
	return f.prefixes
}
