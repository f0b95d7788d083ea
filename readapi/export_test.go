package readapi

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/access"
)

// RegisterNeeding registers a route that states this permission.
func RegisterNeeding(to huma.API, needs access.Permission) {
	type input struct{ Reading }
	get(&api{huma: to}, "Orders", route{path: "/v1/forgotten", id: "list-forgotten", needs: needs, summary: "List forgotten orders"}, nil,
		func(context.Context, *input) (struct{}, error) { return struct{}{}, nil })
}
