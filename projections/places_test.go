package projections_test

import (
	"slices"
	"testing"

	"daybook/eventstore"
	"daybook/projections"
)

// The place of each build is kept with the last event that was posted to it. This includes a build
// that is kept for a roll-back.
func TestViewsKeepTheirPlacesWithTheirEvents(t *testing.T) {
	b := newBench(t)
	views := fourViews()
	r, stop := b.run(projections.Config{Views: views})
	first := b.append("number.v1", 20)
	b.wait(r, first)
	if err := r.Rebuild(t.Context(), views[0].Name); err != nil {
		t.Fatal(err)
	}
	last := b.append("number.v1", 20)
	b.wait(r, last)
	stop()

	places, err := projections.KeptPlaces(t.Context(), b.pool, views)
	if err != nil {
		t.Fatal(err)
	}
	old := "build 1 of the view " + views[0].Name
	least := map[string]eventstore.Position{old: first}
	for _, v := range views {
		least["the view "+v.Name] = last
	}
	for _, p := range places {
		at, known := least[p.Keeper]
		delete(least, p.Keeper)
		if !known || p.At.Before(at) || p.Anchor != b.event(p.At) || p.Filter == nil || !slices.Equal(p.Filter.TypePrefixes, []string{"number."}) {
			t.Errorf("%s has the place %s with the anchor %q and the filter %v; want the place %s or a later one", p.Keeper, p.At, p.Anchor, p.Filter, at)
		}
	}
	if len(least) != 0 {
		t.Errorf("no place is kept of %v", least)
	}
}

// event returns the anchor of the event at a position.
func (b *bench) event(at eventstore.Position) eventstore.Anchor {
	b.Helper()
	for e, err := range b.log.ReadAll(b.Context(), eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			b.Fatal(err)
		}
		if e.Position == at {
			return eventstore.AnchorOf(&e)
		}
	}
	b.Fatalf("no event is at %s", at)
	return eventstore.Anchor{}
}
