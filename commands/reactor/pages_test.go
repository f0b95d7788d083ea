package reactor

import (
	"testing"

	"daybook/eventstore"
)

// All events of a page are in memory until the page is noted. So a page of large events has fewer
// of them.
func TestAPageOfTheReactorIsBoundedInBytes(t *testing.T) {
	const each, events = 300 << 10, 100
	data := make([]byte, each)
	seen := 0
	for p, err := range pages(func(yield func(eventstore.Item, error) bool) {
		for n := range events {
			e := eventstore.Recorded{Event: eventstore.Event{Data: data}, Position: eventstore.At(uint64(n + 1))}
			if !yield(eventstore.Item{Event: &e, Checkpoint: e.Position, CaughtUp: n == events-1}, nil) {
				return
			}
		}
	}) {
		if err != nil {
			t.Fatal(err)
		}
		bytes := 0
		for _, item := range p.items {
			bytes += item.Event.Size()
		}
		if bytes > pageBytes+each {
			t.Errorf("a page has %d bytes, the bound is %d and one event", bytes, pageBytes)
		}
		seen += len(p.items)
	}
	if seen != events {
		t.Errorf("%d events came in pages, want %d", seen, events)
	}
}
