package reactor

import (
	"testing"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/eventstore"
)

// shop is a service with helpers for the tests of this package.
type shop struct{ *shoptest.Shop }

func open(t *testing.T, store eventstore.Store, policy commands.Policy) *shop {
	t.Helper()
	return &shop{shoptest.Open(t, store, policy)}
}
