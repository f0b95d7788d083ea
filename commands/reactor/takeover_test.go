package reactor

import (
	"testing"

	"github.com/google/uuid"

	"daybook/domain/order"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// The reactor looks at an order that a customer has taken over, also if nothing else is open, and
// also if a step of it was settled after that.
func TestAnOrderThatWasTakenOverIsWork(t *testing.T) {
	t.Parallel()
	log := memory.New()
	for _, event := range []order.Event{
		order.Confirmed{}, order.TakenOver{CustomerID: "u1"}, order.StockSettled{Step: order.StepConfirm},
	} {
		name, data, err := order.Encode(event)
		if err == nil {
			_, err = log.Append(t.Context(), "order-o1", eventstore.Any, []eventstore.Event{{ID: eventstore.EventID(uuid.New(), 0), Type: name, Data: data}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	work := newTracker(eventstore.Start, 0)
	for e, err := range log.ReadAll(t.Context(), eventstore.Start, reactorReads, 0) {
		if err == nil {
			err = work.event(e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	open := work.open[workKey{workOrder, "o1", ""}]
	if open == nil || open.steps != 1 {
		t.Fatalf("open is %+v", open)
	}
	work.removeWork(*open) // as after the reactor has finished it
	if len(work.open) > 0 {
		t.Errorf("open is %+v", work.open)
	}
}
