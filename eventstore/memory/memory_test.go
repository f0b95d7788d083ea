package memory_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/eventstore/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) eventstore.Store { return memory.New() }, storetest.Contiguous(), storetest.LogWideIDs(), storetest.AppendsAll())
}

func TestSharedStore(t *testing.T) {
	store := memory.New()
	storetest.Run(t, func(*testing.T) eventstore.Store { return store }, storetest.Contiguous(), storetest.LogWideIDs(), storetest.AppendsAll())
}

// If the clock goes backwards, recorded times must still not become earlier.
func TestRecordedTimesNeverFall(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("CET", 3600))
	store := memory.New(memory.WithClock(func() time.Time { return at }))
	appendOne(t, store)
	at = at.Add(-time.Hour)
	appendOne(t, store)
	at = at.Add(2 * time.Hour)
	appendOne(t, store)

	first := time.Date(2026, 3, 1, 11, 0, 0, 123456000, time.UTC)
	want := []time.Time{first, first, first.Add(time.Hour)}
	for e, err := range store.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.RecordedAt != want[e.Revision] {
			t.Errorf("event %d is recorded at %s, want %s", e.Revision, e.RecordedAt, want[e.Revision])
		}
	}
}

func TestSubscribeBeyondHead(t *testing.T) {
	store := memory.New()
	appendOne(t, store)
	items := 0
	for _, err := range store.Subscribe(t.Context(), eventstore.At(2), eventstore.Filter{}) {
		if items++; err == nil {
			t.Error("a position beyond the head was taken")
			break
		}
	}
	if items != 1 {
		t.Errorf("%d items, want one error", items)
	}
}

func appendOne(t *testing.T, store eventstore.Store) {
	t.Helper()
	events := []eventstore.Event{{ID: uuid.New(), Type: "t.v1", Data: []byte(`{}`)}}
	if _, err := store.Append(t.Context(), "a", eventstore.Any, events); err != nil {
		t.Fatal(err)
	}
}
