package guard_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/guard"
	"daybook/eventstore/memory"
	"daybook/eventstore/storetest"
)

// A log behind the guard keeps the contract of every log.
func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) eventstore.Store {
		t.Helper()
		guarded := guard.New(memory.New(), guard.Options{})
		if err := guarded.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		return guarded
	}, storetest.Contiguous(), storetest.LogWideIDs(), storetest.AppendsAll())
}

// BenchmarkSubscribe measures what the guard costs for each event that a subscription brings. For
// comparison: a view spends at least some ten microseconds on an event.
func BenchmarkSubscribe(b *testing.B) {
	log := memory.New()
	const events = 10_000
	for n := range events / 100 {
		batch := make([]eventstore.Event, 100)
		for i := range batch {
			batch[i] = eventstore.Event{ID: uuid.New(), Type: "order.placed.v1", Data: []byte(`{}`)}
		}
		if _, err := log.Append(b.Context(), fmt.Sprint("order-", n), eventstore.NoStream, batch); err != nil {
			b.Fatal(err)
		}
	}
	for name, open := range map[string]func() eventstore.Store{
		"unguarded": func() eventstore.Store { return log },
		"guarded": func() eventstore.Store { // a new guard, so that each event is the latest that it has seen
			return guard.New(log, guard.Options{Own: own})
		},
	} {
		b.Run(name, func(b *testing.B) {
			for seen := 0; seen < b.N; {
				for item, err := range open().Subscribe(b.Context(), eventstore.Start, eventstore.Filter{}) {
					if err != nil {
						b.Fatal(err)
					}
					if seen++; item.CaughtUp || seen >= b.N {
						break
					}
				}
			}
		})
	}
}
