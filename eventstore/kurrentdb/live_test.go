package kurrentdb

import (
	"testing"

	"daybook/eventstore"
)

func at(n uint64, size int) eventstore.Recorded {
	return eventstore.Recorded{Event: eventstore.Event{Type: "t", Data: make([]byte, size)}, Position: eventstore.At(n)}
}

// The ring keeps no more events than its bounds allow, and says after which position its events
// begin.
func TestRingIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		events, size int
		kept         uint64
	}{
		"by events": {3*ringEvents + 7, 10, ringEvents},
		"by bytes":  {100, 1 << 20, 15}, // 16 events with their type names would be over the bound
	} {
		t.Run(name, func(t *testing.T) {
			r := newRing()
			r.begin(eventstore.At(5))
			for i := range c.events {
				r.push(at(uint64(6+i), c.size))
			}
			last := uint64(5 + c.events)
			oldest := last - c.kept
			if !r.covers(eventstore.At(oldest)) || r.covers(eventstore.At(oldest-1)) {
				t.Errorf("it reaches back to before %d or not to %d", oldest, oldest)
			}
			if r.bytes > ringBytes {
				t.Errorf("it holds %d bytes", r.bytes)
			}
			next := oldest
			for {
				v := r.read(eventstore.At(next))
				if len(v.events) == 0 {
					break
				}
				for _, e := range v.events {
					if next++; e.Position != eventstore.At(next) {
						t.Fatalf("position %s where %d should be", e.Position, next)
					}
				}
			}
			if next != last {
				t.Errorf("it ends at %d, want %d", next, last)
			}
		})
	}
}

// If an event comes again, because the subscription was opened again, the ring ignores it.
func TestRingTakesAnEventOnce(t *testing.T) {
	r := newRing()
	r.begin(eventstore.Start)
	for _, n := range []uint64{1, 3, 3, 1, 4} {
		r.push(at(n, 1))
	}
	if v := r.read(eventstore.Start); len(v.events) != 3 {
		t.Errorf("%d events, want 3", len(v.events))
	}
}

// A reader at the ring's end is at the head only if it is known that the ring ends at the head. The
// events of an append come one by one, so the ring may end in the middle of an append.
func TestRingKnowsWhereTheHeadIs(t *testing.T) {
	r := newRing()
	r.begin(eventstore.At(5))
	if v := r.read(eventstore.At(5)); !v.head {
		t.Error("an empty ring begins at the head")
	}
	r.push(at(6, 1))
	if v := r.read(eventstore.At(6)); v.head {
		t.Error("event 6 may be in the middle of an append")
	}
	if len(r.headRequest) != 1 {
		t.Error("the store was not asked to read the head")
	}
	r.prove(eventstore.At(7))
	if v := r.read(eventstore.At(6)); v.head {
		t.Error("event 7 is known to be there")
	}
	r.push(at(7, 1))
	if v := r.read(eventstore.At(7)); !v.head {
		t.Error("event 7 is the head")
	}
	if v := r.read(eventstore.At(6)); v.head || len(v.events) != 1 {
		t.Errorf("%+v, want event 7", v)
	}
}

func TestRingWakesWhoWaits(t *testing.T) {
	r := newRing()
	r.begin(eventstore.Start)
	for name, change := range map[string]func(){
		"an event":      func() { r.push(at(1, 1)) },
		"a proof":       func() { r.prove(eventstore.At(2)) },
		"its own fault": func() { r.fail(errClosed) },
	} {
		v := r.read(eventstore.At(9))
		change()
		select {
		case <-v.changed:
		default:
			t.Errorf("%s wakes no reader", name)
		}
	}
}

// While the outcome of an earlier append is unknown, each append first reads the head, even if
// another caller is reading it already. A read counts only if it began after the append with the
// unknown outcome.
func TestTheHeadMustBeReadUntilAReadBeganAfterTheLastMove(t *testing.T) {
	var h knownHead
	h.mayHaveMoved()
	first, _ := h.mustRead()
	if _, must := h.mustRead(); !must {
		t.Error("the head has not been read yet, but a second caller is told that it need not read it")
	}
	h.mayHaveMoved()
	h.wasRead(first)
	second, must := h.mustRead()
	if !must {
		t.Error("the head was read only before the second append, and need not be read again")
	}
	h.wasRead(second)
	h.wasRead(first) // late
	if _, must := h.mustRead(); must {
		t.Error("the head was read after both appends, and must be read again")
	}
}
