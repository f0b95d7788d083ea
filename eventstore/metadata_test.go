package eventstore_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"daybook/eventstore"
)

// Encode writes each member as json.Marshal does: each one alone, all of them, and none. A new
// member that Encode forgets makes this test fail.
func TestEncodeWritesEveryMemberAsMarshalDoes(t *testing.T) {
	t.Parallel()
	texts := []string{"plain", "\"quoted\" \\ back", "line\nbreak\ttab\x00\x1f\x7f", "<b>&amp;</b>", "Übergröße 漢字 \u2028 \U0001f600"}
	times := []time.Time{
		time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC), time.Date(2026, 11, 30, 1, 2, 3, 456_000_000, time.UTC), time.Date(0, 1, 1, 0, 0, 0, 1, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), time.Date(2026, 6, 1, 12, 0, 0, 0, time.FixedZone("", -3*3600-1800)), time.Unix(1_700_000_000, 0),
	}
	check := func(meta eventstore.Metadata) {
		t.Helper()
		want, err := json.Marshal(meta)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := meta.Encode(); err != nil || string(got) != string(want) {
			t.Errorf("got  %s (%v)\nwant %s", got, err, want)
		}
	}
	check(eventstore.Metadata{})
	var all eventstore.Metadata
	for i := range reflect.TypeFor[eventstore.Metadata]().NumField() {
		for n := range max(len(texts), len(times)) {
			var value any
			switch kind := reflect.ValueOf(all).Field(i).Interface().(type) {
			case uuid.UUID:
				value = uuid.UUID{0: byte(n + 1), 15: 0xff}
			case string:
				value = texts[n%len(texts)]
			case time.Time:
				value = times[n%len(times)]
			default:
				t.Fatalf("a member has the type %T", kind)
			}
			var one eventstore.Metadata
			reflect.ValueOf(&one).Elem().Field(i).Set(reflect.ValueOf(value))
			check(one)
			reflect.ValueOf(&all).Elem().Field(i).Set(reflect.ValueOf(value))
			check(all)
		}
	}
}

func TestEncodeRefusesWhatJSONCannotHave(t *testing.T) {
	t.Parallel()
	for name, meta := range map[string]eventstore.Metadata{
		"UTF-8": {Channel: "\xff", Request: "1.good"},
		"year":  {OccurredAt: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if data, err := meta.Encode(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %s, %v", name, data, err)
		}
	}
}

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
