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

// A log is shared: other programs have streams in it, which they end, truncate and
// scavenge as they like. Those are counted, named in one line, and left out.

// Others are the streams of other programs.
type Others struct {
	Streams int   `json:"streams"`
	Events  int64 `json:"events"`
	// Names are the first parts of their names (up to "-", which is the category), those
	// with most streams first; More is how many other names there are.
	Names []OtherName `json:"names"`
	More  int         `json:"more,omitzero"`
}

// OtherName is a name that streams of other programs have in common.
type OtherName struct {
	Name    string `json:"name"`
	Streams int    `json:"streams"`
}

func (n OtherName) String() string { return fmt.Sprintf("%s (%d)", n.Name, n.Streams) }

const (
	maxOtherNames = 5      // told
	maxCategories = 10_000 // counted by name
)

// others counts the streams of other programs. There may be millions, so it keeps
// no names but those of categories.
type others struct {
	seed       maphash.Seed
	seen       map[uint64]struct{}
	events     int64
	categories map[string]int // streams
	rest       int            // of further categories
}

func newOthers() *others {
	return &others{seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}, categories: map[string]int{}}
}

func (o *others) add(stream string) {
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

func (o *others) summary() *Others {
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

// strange are the events of a stream with a name of the shop's that are not the
// shop's, while it has none that is.
type strange struct {
	events int64
	first  string
	last   int64 // revision
}

// isTombstone tells of the event that ends its stream for good. Its revision need
// not follow that of the event before it: KurrentDB gives it the last one there is.
func (e *event) isTombstone() bool { return e.Type == eventstore.TombstoneType }

// noteUnreadable keeps an event that cannot be read, of a stream in which nothing is the
// shop's so far.
func (b *Book) noteUnreadable(e *event) {
	s := b.strange[e.Stream]
	if s == nil {
		s = &strange{first: fmt.Sprintf("%s at revision %d: %s", e.Type, e.Revision, e.unread)}
		b.strange[strings.Clone(e.Stream)] = s
	}
	s.events, s.last = s.events+1, e.Revision
}

// noteUnreadableAsDifferences deals with the strange events of a stream that turns out to be the shop's:
// they are differences, each.
func (b *Book) noteUnreadableAsDifferences(stream string) (last int64) {
	s := b.strange[stream]
	if s == nil {
		return -1
	}
	delete(b.strange, stream)
	b.readable.differ("stream %s: %s", stream, s.first)
	b.readable.Differences += s.events - 1
	return s.last
}

// checkNames tells of the streams that have a name of the shop's, and nothing of the
// shop's in them.
func (b *Book) checkNames() *Check {
	check := &Check{Name: "log: streams with names of the shop's are the shop's", Examined: int64(len(b.streams) + len(b.strange))}
	for _, stream := range sorted(b.strange) {
		s := b.strange[stream]
		check.differ("stream %s has a name of the shop's, and none of its %d events is the shop's (%s)", stream, s.events, s.first)
	}
	return check
}
