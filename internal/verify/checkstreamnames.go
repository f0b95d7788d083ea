package verify

import (
	"fmt"
	"strings"
)

// unreadableStream is a stream that is named like a stream of the shop, such as order-o-1, but in
// which no event is the shop's so far.
type unreadableStream struct {
	events int64
	first  string
	last   int64 // revision
}

// noteUnreadable counts an event that cannot be read, in a stream in which no event is the
// shop's so far.
func (b *Book) noteUnreadable(e *event) {
	s := b.unreadable[e.Stream]
	if s == nil {
		s = &unreadableStream{first: fmt.Sprintf("%s at revision %d: %s", e.Type, e.Revision, e.unreadable)}
		b.unreadable[strings.Clone(e.Stream)] = s
	}
	s.events, s.last = s.events+1, e.Revision
}

// noteUnreadableAsDifferences is called when a stream turns out to be the shop's, because one
// of its events can be read. Each unreadable event before it is then a difference. last is the
// revision of the latest of them, or -1.
func (b *Book) noteUnreadableAsDifferences(stream string) (last int64) {
	s := b.unreadable[stream]
	if s == nil {
		return -1
	}
	delete(b.unreadable, stream)
	b.readable.differ("stream %s: %s", stream, s.first)
	b.readable.Differences += s.events - 1
	return s.last
}

// checkStreamNames reports the streams that are named like a stream of the shop, but in which no
// event is the shop's. Example: another program writes its own orders into the stream order-7.
func (b *Book) checkStreamNames() *Check {
	check := &Check{Name: "log: each stream that is named like one of the shop has events of the shop", Examined: int64(len(b.streams) + len(b.unreadable))}
	for _, stream := range sorted(b.unreadable) {
		s := b.unreadable[stream]
		check.differ("stream %s is named like a stream of the shop, but none of its %d events is an event of the shop (%s)", stream, s.events, s.first)
	}
	return check
}
