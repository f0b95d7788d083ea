package verify

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"

	"daybook/eventstore"
)

// Other programs may have streams in the same log. They may end, truncate and scavenge these
// streams, so gaps in them are no fault. Verify counts the streams, names their categories in
// one line of its report, and checks nothing in them.

// Others says how many streams of other programs are in the log.
type Others struct {
	Streams int   `json:"streams"`
	Events  int64 `json:"events"`
	// Names are the categories of these streams, those with the most streams first. A
	// category is a stream's name up to the first "-". More is how many categories are not
	// in Names.
	Names []OtherName `json:"names"`
	More  int         `json:"more,omitzero"`
}

// OtherName is a category of streams of other programs.
type OtherName struct {
	Name    string `json:"name"`
	Streams int    `json:"streams"`
}

func (n OtherName) String() string { return fmt.Sprintf("%s (%d)", n.Name, n.Streams) }

const (
	maxOtherNames = 5      // categories that the report names
	maxCategories = 10_000 // categories whose names are kept
)

// otherStreams counts the streams of other programs. There may be millions of them, so it
// keeps a hash of each stream's name and only the names of the categories.
type otherStreams struct {
	seed       maphash.Seed
	seen       map[uint64]struct{}
	events     int64
	categories map[string]int // number of streams
	rest       int            // streams whose category is not in categories
}

func newOtherStreams() *otherStreams {
	return &otherStreams{seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}, categories: map[string]int{}}
}

func (o *otherStreams) add(stream string) {
	o.events++
	hash := maphash.String(o.seed, stream)
	if _, known := o.seen[hash]; known {
		return
	}
	o.seen[hash] = struct{}{}
	category, _, more := strings.Cut(stream, "-")
	if more {
		category += "-…"
	}
	if _, known := o.categories[category]; !known && len(o.categories) >= maxCategories {
		o.rest++
		return
	}
	o.categories[strings.Clone(category)]++
}

func (o *otherStreams) summary() *Others {
	if o.events == 0 {
		return nil
	}
	sum := &Others{Streams: len(o.seen), Events: o.events, More: o.rest}
	names := slices.SortedFunc(maps.Keys(o.categories), func(a, b string) int {
		return cmp.Or(cmp.Compare(o.categories[b], o.categories[a]), cmp.Compare(a, b))
	})
	sum.More += max(0, len(names)-maxOtherNames)
	for _, name := range names[:min(len(names), maxOtherNames)] {
		sum.Names = append(sum.Names, OtherName{eventstore.Visible(name), o.categories[name]})
	}
	return sum
}

// isTombstone tells whether an event ends its stream for good. The revision of such an event
// may leave a gap, because KurrentDB gives it the highest revision there is.
func (e *event) isTombstone() bool { return e.Type == eventstore.TombstoneType }
