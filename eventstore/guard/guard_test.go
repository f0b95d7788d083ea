package guard_test

import (
	"testing"

	"daybook/eventstore"
	"daybook/eventstore/guard"
	"daybook/eventstore/memory"
	"daybook/eventstore/storetest"
)

// A log under guard is a log like any other.
func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) eventstore.Store {
		t.Helper()
		guarded := guard.New(memory.New(), guard.Options{})
		if err := guarded.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		return guarded
	}, storetest.Contiguous(), storetest.LogWideIDs())
}
