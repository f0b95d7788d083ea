// Package needstest has a test of the functions that register operations. The packages that have
// such a function call it.
package needstest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/access"
	"daybook/internal/httpapi"
)

// Run checks that a route which does not state a permission, or states one that does not exist,
// stops the program at its start. register registers a route that states this permission.
func Run(t *testing.T, register func(to huma.API, needs access.Permission)) {
	t.Helper()
	for _, needs := range []access.Permission{"", "orders.forget", access.HandleOrders, access.Open} {
		stops := needs != access.Open && !needs.Known()
		var panicked any
		func() {
			defer func() { panicked = recover() }()
			if _, err := httpapi.New(httpapi.Options{}, func(api huma.API) { register(api, needs) }); err != nil {
				t.Errorf("%q: %v", needs, err)
			}
		}()
		if said := strings.Contains(fmt.Sprint(panicked), "does not say which permission it needs"); said != stops {
			t.Errorf("a route that needs %q: panic %v, want one: %t", needs, panicked, stops)
		}
	}
}
