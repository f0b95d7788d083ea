package commandapi

import (
	"github.com/danielgtaylor/huma/v2"

	"daybook/commands"
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
