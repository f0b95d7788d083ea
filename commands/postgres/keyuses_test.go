package postgres

import (
	"maps"
	"testing"
	"time"

	"daybook/domain/access"
	"daybook/internal/pgtest"
)

// Of several uses of a key, the latest is kept, whichever node stores it last.
func TestTheLatestUseOfAKeyIsKept(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	uses := KeyUses{Pool: pool}
	noon := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, batch := range []map[access.KeyID]time.Time{
		{"k1": noon, "k2": noon}, {"k1": noon.Add(time.Minute)}, {"k1": noon.Add(-time.Minute), "k3": noon}, {},
	} {
		if err := uses.Keep(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	got, err := uses.All(t.Context())
	want := map[access.KeyID]time.Time{"k1": noon.Add(time.Minute), "k2": noon, "k3": noon}
	if err != nil || !maps.EqualFunc(got, want, time.Time.Equal) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}
