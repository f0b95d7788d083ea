package unit

import (
	"fmt"
	"slices"
	"testing"
)

// Two things have different ids if any part differs, and so do two kinds of thing.
func TestADerivedIDFollowsFromEachOfItsParts(t *testing.T) {
	seen := map[string]string{}
	for _, d := range Derivations() {
		values := make([]string, len(d.Parts()))
		for i := range values {
			values[i] = fmt.Sprint("v", i)
		}
		all := [][]string{values}
		for i := range values {
			other := slices.Clone(values)
			other[i] = "other"
			all = append(all, other)
		}
		for _, of := range all {
			id := d.Of(of...)
			if before, taken := seen[id.ID()]; taken {
				t.Errorf("%q and %q have the same id", before, id)
			}
			seen[id.ID()] = id.String()
			if again := d.Of(of...); again.ID() != id.ID() || again.UUID() != id.UUID() {
				t.Errorf("%q has two ids", id)
			}
		}
	}
	if len(seen) < 40 {
		t.Errorf("%d ids were derived, want those of all kinds", len(seen))
	}
}
