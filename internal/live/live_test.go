package live_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/live"
)

// A foreign event may have any content, but the events after it are still shown.
func TestOddEventsAreShown(t *testing.T) {
	t.Parallel()
	odd := []struct{ data, meta string }{
		{`{"a":1,"a":2}`, ``},
		{`{}`, `{"actor":{"id":1}}`},
		{`{}`, `{"trace":1}`},
		{`{}`, `{"command_id":"x"}`},
		{`{}`, `{"a":1,"a":2}`},
		{`{}`, `{"occurred_at":"yesterday"}`},
		{`{"$foreign":{"content_type":"text/plain","data":"aGk="}}`, ``},
		{`{"fine":true}`, `{"actor":"ann"}`},
	}
	store := memory.New()
	for _, content := range odd {
		event := eventstore.Event{ID: uuid.New(), Type: "t.v1", Data: []byte(content.data), Meta: []byte(content.meta)}
		if _, err := store.Append(t.Context(), "foreign", eventstore.Any, []eventstore.Event{event}); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	for event, err := range (live.Log{Store: store}).Page(t.Context(), "0", nil, 0) {
		if err != nil {
			t.Fatalf("after %d events: %v", seen, err)
		}
		if !event.Foreign {
			t.Errorf("event %d is shown as the shop's", seen)
		}
		if text, err := json.Marshal(event); err != nil {
			t.Errorf("data %s, metadata %s: %v", odd[seen].data, odd[seen].meta, err)
		} else if seen == len(odd)-1 && (event.Actor != "ann" || !strings.Contains(string(text), odd[seen].data)) {
			t.Errorf("the last event is shown as %s", text)
		}
		seen++
	}
	if seen != len(odd) {
		t.Errorf("%d events are shown, of %d", seen, len(odd))
	}
}
