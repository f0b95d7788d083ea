package importer

import (
	"testing"

	"github.com/google/uuid"

	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// An adjustment is begun only if the shop has recorded it, not if another program says so.
func TestAnotherProgramsAdjustmentIsNotTheImports(t *testing.T) {
	t.Parallel()
	log := memory.New()
	r := &run{Importer: &Importer{Store: log}}
	eventType, data, err := stock.Encode(stock.Adjusted{Document: "536800", Change: -1})
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range []uuid.UUID{uuid.New(), eventstore.EventID(uuid.New(), 0)} {
		event := eventstore.Event{ID: id, Type: eventType, Data: data}
		if _, err := log.Append(t.Context(), stock.Stream("MUG", unit.DefaultLocation), eventstore.Any, []eventstore.Event{event}); err != nil {
			t.Fatal(err)
		}
		if begun, err := r.begunToAdjust(t.Context(), "536800", "MUG"); err != nil || begun != (i == 1) {
			t.Errorf("after an event with the id %s: begun %t, %v", id, begun, err)
		}
	}
}
