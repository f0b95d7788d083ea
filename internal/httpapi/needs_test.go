package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"github.com/gorilla/mux"

	"daybook/domain/access"
	"daybook/internal/problem"
)

// A plain handler that is not guarded, or is guarded by no permission or an unknown one, stops the
// program at its start. Packages commandapi and readapi have the same test of their operations.
func TestAPlainHandlerWithoutAPermissionStopsTheProgram(t *testing.T) {
	t.Parallel()
	handle := func(http.ResponseWriter, *http.Request) {}
	for name, test := range map[string]struct {
		handler http.Handler
		stops   bool
	}{
		"not guarded":              {http.HandlerFunc(handle), true},
		"no permission":            {guarded{"", handle}, true},
		"an unknown permission":    {guarded{"everything.do", handle}, true},
		"a permission":             {guarded{access.Look, handle}, false},
		"open to everyone, stated": {guarded{access.Open, handle}, false},
	} {
		router := mux.NewRouter()
		api := humamux.New(router, config(""))
		router.Path("/plain").Methods(http.MethodGet).Handler(test.handler)
		if said := panicOf(func() { checkRoutes(router, api.OpenAPI()) }); strings.Contains(said, "/plain does not say which permission it needs") != test.stops {
			t.Errorf("%s: panic %s, want one: %t", name, said, test.stops)
		}
	}
}

// So does a plain handler beside an operation, unless the operation has its method.
func TestAPlainHandlerBesideAnOperationNeedsAPermission(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		methods []string
		stops   bool
	}{
		"the method of the operation":       {[]string{http.MethodGet}, false},
		"another method":                    {[]string{http.MethodDelete}, true},
		"that of the operation and another": {[]string{http.MethodGet, http.MethodDelete}, true},
		"every method":                      {nil, true},
	} {
		for _, path := range []string{"/v1/thing", hiddenDocument} {
			router := mux.NewRouter()
			api := humamux.New(router, config(""))
			op := huma.Operation{OperationID: "get-thing", Method: http.MethodGet, Path: "/v1/thing", Metadata: problem.Listing(access.Look)}
			huma.Register(api, op, func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
			beside := router.Path(path).Handler(http.NotFoundHandler())
			if test.methods != nil {
				beside.Methods(test.methods...)
			}
			said := panicOf(func() { checkRoutes(router, api.OpenAPI()) })
			if strings.Contains(said, path+" does not say which permission it needs") != test.stops {
				t.Errorf("%s at %s: panic %s, want one: %t", name, path, said, test.stops)
			}
		}
	}
}

// So does an operation that is registered with huma itself.
func TestAnOperationWithoutAPermissionStopsTheProgram(t *testing.T) {
	t.Parallel()
	said := panicOf(func() {
		_, _ = New(Options{}, func(api huma.API) { // it panics
			huma.Get(api, "/v1/plain", func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
		})
	})
	if !strings.Contains(said, "does not say which permission it needs") {
		t.Errorf("panic: %s", said)
	}
}

func panicOf(do func()) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	do()
	return ""
}
