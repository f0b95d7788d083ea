package eventstore

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

func TestMetadataIsWrittenAsItsStructSays(t *testing.T) {
	t.Parallel()
	full := Metadata{
		CommandID: uuid.MustParse("0f8a1c1e-0b77-5d0e-9f0a-6f1f0f1f2a3b"), CorrelationID: "c \"1\"", CausationID: "2",
		Actor: "operator:zoë\n", Channel: "web", OccurredAt: time.Date(2011, 7, 1, 9, 30, 0, 500, time.FixedZone("BST", 3600)), Trace: "00-a-b-01",
	}
	for name, m := range map[string]Metadata{
		"full": full, "empty": {}, "no id": {Actor: "a"}, "only id": {CommandID: full.CommandID}, "time": {OccurredAt: full.OccurredAt},
	} {
		got, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		back, err := DecodeMetadata(got)
		if err != nil || back.CommandID != m.CommandID || back.Actor != m.Actor || !back.OccurredAt.Equal(m.OccurredAt) {
			t.Errorf("%s: read back as %+v, %v", name, back, err)
		}
	}
	if _, err := (Metadata{Actor: "\xff"}).Encode(); err == nil {
		t.Error("text that is not UTF-8 was written")
	}
}

func BenchmarkMetadataEncode(b *testing.B) {
	m := Metadata{CommandID: uuid.New(), CorrelationID: uuid.NewString(), CausationID: uuid.NewString(), Actor: "system:import", Channel: "import", OccurredAt: time.Now()}
	b.Run("by hand", func(b *testing.B) {
		for b.Loop() {
			if _, err := m.Encode(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("by the struct", func(b *testing.B) {
		for b.Loop() {
			if _, err := json.Marshal(m); err != nil {
				b.Fatal(err)
			}
		}
	})
}
