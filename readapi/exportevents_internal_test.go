package readapi

import (
	"testing"

	"daybook/internal/eventtypes"
)

// An export looks only into events that the shop records.
func TestExportsLookIntoEventsThatThereAre(t *testing.T) {
	t.Parallel()
	all := eventtypes.All()
	for _, name := range []string{cartOpenedV1, cartOpened, cartCustomerChanged, cartMergedFrom, customerMerged, customerRefused} {
		if _, exists := all[name]; !exists {
			t.Errorf("no event has the type %s", name)
		}
	}
}
