package postgres

import (
	"testing"

	"daybook/eventstore"
	"daybook/internal/pgtest"
)

// made returns events at positions first to last.
func made(first, last uint64) []eventstore.Recorded {
	var events []eventstore.Recorded
	for n := first; n <= last; n++ {
		events = append(events, eventstore.Recorded{Position: eventstore.At(n), Event: eventstore.Event{Data: []byte(`{}`)}})
	}
	return events
}

// tailFrom is a tail with a reader that begins after a position.
func tailFrom(head uint64) *tail {
	t := newTail()
	t.join()
	t.begin(head)
	return t
}

// holds fails unless the tail yields exactly the events after a position up to last.
func (t *tail) holds(tb testing.TB, after, last uint64) {
	tb.Helper()
	for after < last {
		v := t.read(after)
		if !v.covered || len(v.events) == 0 {
			tb.Fatalf("after %d: covered %t, %d events; want all up to %d", after, v.covered, len(v.events), last)
		}
		for _, e := range v.events {
			if after++; number(e.Position) != after {
				tb.Fatalf("position %s where %d should come", e.Position, after)
			}
		}
	}
	if v := t.read(last); len(v.events) > 0 || !v.covered {
		tb.Fatalf("after %d: covered %t and %d events, want none", last, v.covered, len(v.events))
	}
}

func TestTailPutsCommitsInOrder(t *testing.T) {
	for name, added := range map[string][][]eventstore.Recorded{
		"in order":                   {made(11, 12), made(13, 15), made(16, 16)},
		"answers crossed":            {made(13, 15), made(11, 12), made(16, 16)},
		"the other way round":        {made(16, 16), made(13, 15), made(11, 12)},
		"known already":              {made(9, 10), made(11, 15), made(5, 13), made(16, 16)},
		"partly known":               {made(11, 14), made(13, 16)},
		"read from the database too": {made(14, 15), made(11, 16), made(11, 13)},
		"same start, longer":         {made(12, 13), made(12, 16), made(11, 11)},
		"same start, shorter":        {made(12, 16), made(12, 13), made(11, 11)},
	} {
		t.Run(name, func(t *testing.T) {
			tail := tailFrom(10)
			for _, events := range added {
				tail.add(events)
			}
			tail.holds(t, 10, 16)
			if tail.hasGap() {
				t.Error("a gap is left")
			}
		})
	}
}

func TestTailKeepsWhatCameBeforeItBegan(t *testing.T) {
	tail := newTail()
	tail.join()
	tail.add(made(11, 12)) // committed while follow reads the head
	if v := tail.read(10); v.covered {
		t.Error("a tail that has not begun covers nothing")
	}
	tail.begin(10)
	tail.holds(t, 10, 12)
}

// A node may know the head before it has all events up to the head. The missing events are from
// another node, or from this node's other writer, whose answer comes later.
func TestTailEndsBeforeTheHeadIsReached(t *testing.T) {
	tail := tailFrom(10)
	if !tail.read(10).head {
		t.Error("a reader at the head is not told that it is there")
	}
	tail.prove(12)
	tail.add(made(11, 11))
	<-tail.headRequest // the request that join made
	if tail.read(11).head {
		t.Error("a reader at 11 is told that it is at the head, but the head is 12")
	}
	select {
	case <-tail.headRequest:
	default:
		t.Error("no reader is asked to read the missing events")
	}
	tail.add(made(12, 12))
	if !tail.read(12).head {
		t.Error("a reader that has reached the head is not told that it is there")
	}
}

// If a subscription is told that it has caught up, it has reached every position that Head has
// returned before.
func TestHeadIsKnownToTheTail(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	store := &Store{pool: pool, tail: tailFrom(0)}
	if _, err := pool.Exec(t.Context(), "UPDATE eventstore.head SET position = 2"); err != nil { // as another node does
		t.Fatal(err)
	}
	if head, err := store.Head(t.Context()); err != nil || head != eventstore.At(2) || store.tail.read(0).head {
		t.Errorf("head %s (error %v), and a reader at the start is at the head: %t", head, err, store.tail.read(0).head)
	}
}

func TestTailReportsGap(t *testing.T) {
	tail := tailFrom(10)
	tail.add(made(12, 12))
	tail.holds(t, 10, 10)
	select {
	case <-tail.gap:
	default:
		t.Error("the gap is not reported")
	}
	tail.add(made(11, 11))
	tail.holds(t, 10, 12)
}

func TestTailIsBounded(t *testing.T) {
	t.Run("by count", func(t *testing.T) {
		tail := tailFrom(0)
		tail.add(made(1, tailEvents+100))
		if tail.covers(99) {
			t.Error("more events are held than the bound")
		}
		tail.holds(t, 100, tailEvents+100)
	})
	t.Run("by bytes", func(t *testing.T) {
		tail := tailFrom(0)
		events := made(1, 100)
		for i := range events {
			events[i].Data = make([]byte, 1<<20)
		}
		tail.add(events)
		if tail.bytes > tailBytes+1<<20 {
			t.Errorf("%d bytes are held, the bound is %d", tail.bytes, tailBytes)
		}
		tail.holds(t, tail.first-1, 100)
	})
	t.Run("ahead of a gap", func(t *testing.T) {
		tail := tailFrom(0)
		for n := uint64(2); n <= tailEvents+100; n++ {
			tail.add(made(n, n))
		}
		if tail.held > tailEvents {
			t.Errorf("%d events are held ahead, the bound is %d", tail.held, tailEvents)
		}
		select {
		case <-tail.headRequest:
		default:
			t.Error("no reader is asked to read the dropped events")
		}
		tail.add(made(1, tailEvents+200)) // as follow reads it
		tail.holds(t, tailEvents, tailEvents+200)
	})
	t.Run("ahead of a gap, by bytes", func(t *testing.T) {
		tail := tailFrom(0)
		for n := uint64(2); n <= 2000; n++ {
			large := made(n, n)
			large[0].Data = make([]byte, 256<<10)
			tail.add(large)
			held := 0
			for _, events := range tail.ahead {
				held += size(events)
			}
			if held > tailBytes || held != tail.heldSum {
				t.Fatalf("after %d events %d bytes are held ahead, counted as %d; the bound is %d", n-1, held, tail.heldSum, tailBytes)
			}
		}
		select {
		case <-tail.headRequest:
		default:
			t.Error("no reader is asked to read the dropped events")
		}
		tail.add(made(1, 2000)) // as follow reads it
		tail.holds(t, 0, 2000)
		if tail.heldSum != 0 {
			t.Errorf("%d bytes count as held after all was taken over", tail.heldSum)
		}
	})
	t.Run("without readers", func(t *testing.T) {
		tail := tailFrom(0)
		tail.add(made(1, 10))
		tail.leave()
		tail.add(made(11, 20))
		if tail.events != nil || tail.bytes != 0 || len(tail.ahead) > 0 {
			t.Error("the tail still holds events after its last subscription has left")
		}
		tail.join()
		tail.begin(20)
		tail.add(made(21, 21))
		tail.holds(t, 20, 21)
	})
}

// A subscriber that stops for a while keeps the events that it was given in memory, so large events
// are given in small numbers.
func TestTheTailHandsOutFewLargeEvents(t *testing.T) {
	tail := tailFrom(0)
	large := made(1, 20)
	for i := range large {
		large[i].Data = make([]byte, smallBytes/2-1)
	}
	tail.add(large)
	if n := len(tail.read(0).events); n != 3 {
		t.Errorf("%d events are handed out, want 3", n)
	}
	tail.holds(t, 0, 20)
}
