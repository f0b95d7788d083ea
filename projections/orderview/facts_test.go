package orderview_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/domain/filestest"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/projections/orderview"
)

// If an event has a member with the name of a fact, its entry in the timeline has the same value.
// The test takes the samples of all events.
func TestFactsAreWhatTheEventSays(t *testing.T) {
	t.Parallel()
	elsewhere := map[string]string{
		"order.placed.v1 lines": "the order has them", "return.requested.v1 lines": "the return has them", "return.credit_noted.v1 lines": "the note has them",
	}
	names := map[string]bool{}
	for field := range reflect.TypeFor[orderview.Facts]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names[name] = true
	}
	told := map[string]bool{}
	for _, file := range filestest.OfAggregates(t, "../../domain", "testdata/*.json") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		event, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".json"), "~")
		var facts orderview.Facts
		if e, err := order.Decode(event, data); err == nil {
			facts = orderview.OrderFacts(e)
		} else if e, err := returns.Decode(event, data); err == nil {
			facts = orderview.ReturnFacts(e)
		} else {
			continue
		}
		var said, got map[string]any
		if err := json.Unmarshal(data, &said); err != nil {
			t.Fatal(err)
		}
		written, err := json.Marshal(facts)
		if err == nil {
			err = json.Unmarshal(written, &got)
		}
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range said {
			if !names[name] || elsewhere[event+" "+name] != "" || value == "" {
				continue
			}
			told[name] = true
			if name == "lines" {
				got, _ := got[name].([]any)
				if lines, _ := value.([]any); len(got) != len(lines) {
					t.Errorf("%s: lines %v, want those of %v", file, got, value)
				}
				continue
			}
			if !reflect.DeepEqual(got[name], value) {
				t.Errorf("%s: %s is %v, want %v", file, name, got[name], value)
			}
		}
	}
	if len(told) < 12 {
		t.Errorf("only %v were looked at", told)
	}
}
