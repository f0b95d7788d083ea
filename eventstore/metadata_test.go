package eventstore_test

import (
	"testing"
	"time"

	"daybook/eventstore"
)

func TestAnEffectiveTimeThatCannotBeTrueCountsAsNotGiven(t *testing.T) {
	t.Parallel()
	recorded := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, believed := range map[string]bool{
		"0000-01-01T00:00:00Z": false, "1066-10-14T09:00:00Z": false, "1899-12-31T23:59:59Z": false, "9999-12-31T00:00:00Z": false,
		"2027-02-01T12:00:01Z": false, "1900-01-01T00:00:00Z": true, "2011-12-09T12:50:00Z": true, "2027-02-01T12:00:00Z": true,
	} {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		meta := eventstore.Metadata{OccurredAt: at}
		want := recorded
		if believed {
			want = at
		}
		if got := meta.EffectiveAt(recorded); !got.Equal(want) || meta.Credible(recorded) != believed {
			t.Errorf("%s: took effect at %s, want %s", text, got, want)
		}
	}
	if got := (eventstore.Metadata{}).EffectiveAt(recorded); !got.Equal(recorded) {
		t.Errorf("without a time: %s", got)
	}
}
