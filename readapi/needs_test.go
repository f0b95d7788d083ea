package readapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/access"
	"daybook/internal/httpapi"
	"daybook/readapi"
)

// A route that does not state a permission, or states one that does not exist, stops the program at
// its start.
func TestARouteWithoutAPermissionStopsTheProgram(t *testing.T) {
	t.Parallel()
	for _, needs := range []access.Permission{"", "orders.forget", access.HandleOrders, access.Open} {
		stops := needs != access.Open && !needs.Known()
		var panicked any
		func() {
			defer func() { panicked = recover() }()
			if _, err := httpapi.New(httpapi.Options{}, func(api huma.API) { readapi.RegisterNeeding(api, needs) }); err != nil {
				t.Errorf("%q: %v", needs, err)
			}
		}()
		if said := strings.Contains(fmt.Sprint(panicked), "does not say which permission it needs"); said != stops {
			t.Errorf("a route that needs %q: panic %v, want one: %t", needs, panicked, stops)
		}
	}
}
