package postgres_test

import (
	"testing"

	"daybook/eventstore"
	"daybook/eventstore/gateway/groups"
	"daybook/eventstore/gateway/postgres"
)

// Each group's place is stored with the event that the group has read last. The place of a group on
// $all is its checkpoint. A group on a stream counts revisions, so its place is the position of
// that event.
func TestGroupsKeepTheirPlacesWithTheirEvents(t *testing.T) {
	t.Parallel()
	pool := migrated(t, 1)
	store := postgres.Open(pool)
	read := eventstore.Anchor{Position: eventstore.At(40), Stream: "orders", Revision: 3, ID: [16]byte{1}}
	later := eventstore.Anchor{Position: eventstore.AtPair(90, 80), Stream: "a b", Revision: 7, ID: [16]byte{2}}
	all := groups.Key{Source: groups.All, Name: "x"}
	for _, key := range []groups.Key{key, all, {Source: "unread", Name: "y"}} {
		must(t, store.Put(t.Context(), 1, groups.Group{Definition: groups.Definition{Key: key}}))
	}
	must(t, store.Save(t.Context(), 1, key, groups.Changes{Checkpoint: new(groups.InStream(2)), Seen: read}))
	must(t, store.Save(t.Context(), 1, all, groups.Changes{Checkpoint: new(eventstore.AtPair(70, 60)), Seen: later}))
	wants := func(when string) {
		t.Helper()
		places, err := postgres.KeptPlaces(t.Context(), pool)
		must(t, err)
		want := map[string]eventstore.Place{
			"the group " + key.String():                                     {At: read.Position, Anchor: read},
			"the group " + all.String():                                     {At: eventstore.AtPair(70, 60), Anchor: later},
			"the group " + groups.Key{Source: "unread", Name: "y"}.String(): {},
		}
		if len(places) != len(want) {
			t.Errorf("%s: %d places, want %d", when, len(places), len(want))
		}
		for _, p := range places {
			if w, is := want[p.Keeper]; !is || p.At != w.At || p.Anchor != w.Anchor || p.Filter != nil {
				t.Errorf("%s: %s has the place %s with the anchor %q, want %s with %q", when, p.Keeper, p.At, p.Anchor, w.At, w.Anchor)
			}
		}
	}
	wants("after they have read")
	must(t, store.Save(t.Context(), 1, all, groups.Changes{Park: parked(1)}))
	wants("after a change without an event")
}
