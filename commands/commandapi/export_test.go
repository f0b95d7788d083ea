package commandapi

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/order"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// Routes are all routes. What is behind them can be replaced when no request is under way.
type Routes struct{ api *api }

// RegisterRoutes is Register for routes with nothing behind them yet.
func RegisterRoutes(to huma.API) Routes {
	a := &api{huma: to, keys: &keys{}}
	a.routes()
	return Routes{a}
}

// Serve puts a service behind the routes.
func (r Routes) Serve(service *commands.Service, options Options) { r.api.serve(service, options) }

// Release lets go of all that is behind the routes.
func (r Routes) Release() {
	*r.api = api{huma: r.api.huma, keys: r.api.keys}
	r.api.keys.answers, r.api.keys.holds, r.api.keys.underWay = nil, nil, nil
}

// RegisterNeeding registers a route that states this permission.
func RegisterNeeding(to huma.API, needs access.Permission) {
	a := &api{huma: to, keys: &keys{}}
	add(a, "Orders", op{method: post, path: "/v1/orders/{order_id}/forget", id: "forget-order", needs: needs, summary: "Forget an order"},
		func(_ context.Context, _ call, _ *OrderPath) (*response[resource.Order], error) {
			return nil, order.ErrNotFound
		})
}

// TakeKept returns what tells whether the answer to a request is kept.
func TakeKept(limits KeptLimits) func(*problem.Request) bool {
	allowed := newKeptAllowances(limits)
	return func(r *problem.Request) bool { return allowed.take(r, scopeOf(r.Who, "")) }
}
