package readapi_test

import (
	"testing"

	"daybook/internal/httpapi/needstest"
	"daybook/readapi"
)

// A route that does not state a permission, or states one that does not exist, stops the program at
// its start.
func TestARouteWithoutAPermissionStopsTheProgram(t *testing.T) {
	t.Parallel()
	needstest.Run(t, readapi.RegisterNeeding)
}
