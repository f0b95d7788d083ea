package postgres_test

import (
	"bytes"
	"iter"
	"runtime"
	"testing"

	"github.com/google/uuid"

	"daybook/eventstore"
)

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A reader that stops reading for a while holds little memory, with each way to read, and later
// gets every event. The test does not run in parallel, because it would count the memory of other
// tests.
func TestReadersThatDoNotGoOnHoldLittle(t *testing.T) {
	store := open(t, migrated(t))
	const events, each, readers = 128, 64 << 10, 16
	data := append(append([]byte(`{"x":"`), bytes.Repeat([]byte("x"), each)...), `"}`...)
	for range events / 8 {
		batch := make([]eventstore.Event, 8)
		for i := range batch {
			batch[i] = eventstore.Event{ID: uuid.New(), Type: "t.v1", Data: data}
		}
		if _, err := store.Append(t.Context(), "a", eventstore.Any, batch); err != nil {
			t.Fatal(err)
		}
	}
	everything, ctx := eventstore.Filter{}, t.Context()
	ways := map[string]func() iter.Seq2[eventstore.Recorded, error]{
		"a stream": func() iter.Seq2[eventstore.Recorded, error] { return store.ReadStream(ctx, "a", 0, 0) },
		"all": func() iter.Seq2[eventstore.Recorded, error] {
			return store.ReadAll(ctx, eventstore.Start, everything, 0)
		},
		"all backwards": func() iter.Seq2[eventstore.Recorded, error] {
			return store.ReadAllBackwards(ctx, eventstore.End, everything, 0)
		},
		"a subscription": func() iter.Seq2[eventstore.Recorded, error] {
			return func(yield func(eventstore.Recorded, error) bool) {
				for item, err := range store.Subscribe(ctx, eventstore.Start, everything) {
					if item.CaughtUp {
						return
					}
					if item.Event != nil && !yield(*item.Event, err) {
						return
					}
				}
			}
		},
	}
	before := heap()
	type reader struct {
		way  string
		next func() (eventstore.Recorded, error, bool)
	}
	var open []reader
	for way, read := range ways {
		for range readers {
			next, stop := iter.Pull2(read())
			defer stop()
			if _, err, ok := next(); err != nil || !ok {
				t.Fatalf("%s: %t, %v", way, ok, err)
			}
			open = append(open, reader{way, next})
		}
	}
	// A quarter of the readers have large pages, of 4 MiB each.
	const most = readers*(4<<20+each) + 3*readers*(128<<10+2*each) + 16<<20
	if now := heap(); now > before+most {
		t.Errorf("%d readers hold %d bytes, want at most %d", len(open), now-before, most)
	}
	for _, r := range open {
		seen := 1
		for {
			_, err, ok := r.next()
			if !ok {
				break
			}
			if seen++; err != nil {
				t.Fatalf("%s: %v", r.way, err)
			}
		}
		if seen != events {
			t.Errorf("%s: %d events, want %d", r.way, seen, events)
		}
	}
}
