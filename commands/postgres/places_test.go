package postgres

import (
	"log/slog"
	"reflect"
	"testing"

	"daybook/commands"
	"daybook/commands/reactor"
	"daybook/eventstore"
)

// The place of each reader is kept with the event that it has seen. The readers are the reactor
// with its timers and parked work, the answers under keys, and the node.
func TestReadersKeepTheirPlacesWithTheirEvents(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	event := func(at uint64) eventstore.Anchor {
		return eventstore.Anchor{Position: eventstore.At(at), Stream: "order-1", Revision: int64(at), ID: [16]byte{byte(at)}} //nolint:gosec // it is small
	}
	filter := reactor.Filter()
	place := func(keeper string, at, seen uint64, filter *eventstore.Filter) eventstore.Place {
		return eventstore.Place{Keeper: keeper, At: eventstore.At(at), Anchor: event(seen), Filter: filter}
	}
	wants := func(when string, want ...eventstore.Place) {
		t.Helper()
		got, err := KeptPlaces(t.Context(), pool)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s the places are\n%+v (%v), want\n%+v", when, got, err, want)
		}
	}
	journal := Journal{Pool: pool, Reader: ReactorReader}
	advance := func(from, to eventstore.Position, seen eventstore.Anchor) {
		t.Helper()
		if err := journal.Advance(t.Context(), from, to, reactor.Notes{Seen: seen}); err != nil {
			t.Fatal(err)
		}
	}
	answers := NewAnswers(pool, slog.New(slog.DiscardHandler))
	answer := func(key string, seen uint64) {
		t.Helper()
		answers.Seen = func() eventstore.Anchor { return event(seen) }
		answers.Keep(commands.KeptAnswer{Scope: "ann", Key: key, RequestHash: []byte{1}, Status: 201, Body: []byte("b")})
		if err := answers.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	advance(eventstore.Start, eventstore.At(5), event(7))
	answer("k", 9)
	if err := KeepSeen(t.Context(), pool, event(11)); err != nil {
		t.Fatal(err)
	}
	other := Journal{Pool: pool, Reader: "other"}
	if err := other.Advance(t.Context(), eventstore.Start, eventstore.At(2), reactor.Notes{Seen: event(2)}); err != nil {
		t.Fatal(err)
	}
	wants("after the first moves",
		place("the kept answers", 9, 9, nil), place("the reader other", 2, 2, nil), place("the reactor", 5, 7, &filter), place("the node that last found a difference", 11, 11, nil))

	advance(eventstore.At(5), eventstore.At(6), eventstore.Anchor{}) // no event was seen since
	answer("l", 12)
	answer("m", 8) // a node that is behind keeps an answer
	if err := KeepSeen(t.Context(), pool, event(13)); err != nil {
		t.Fatal(err)
	}
	wants("after the next moves",
		place("the kept answers", 12, 12, nil), place("the reader other", 2, 2, nil), place("the reactor", 6, 7, &filter), place("the node that last found a difference", 13, 13, nil))
}
