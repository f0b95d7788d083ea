package readapi

import (
	"context"
	"slices"
	"strings"

	"daybook/internal/problem"
	"daybook/internal/resource"
	"daybook/projections/query"
)

// Access lists API keys and roles.
type Access interface {
	// Keys returns all API keys, in no particular order and without their secrets. The error is
	// that of reading when they were used.
	Keys(ctx context.Context) ([]resource.APIKey, error)
	// Roles returns all roles: first those that every shop has, and then the custom ones.
	Roles() []resource.Role
}

type listKeysInput struct {
	Paging
	Counting
	Status []string `query:"key_status" maxItems:"3" enum:"active,revoked,expired"`
}

type keysOutput struct{ Body query.List[resource.APIKey] }

// keys lists API keys by id.
func (a *api) keys(ctx context.Context, in *listKeysInput) (*keysOutput, error) {
	seal, err := openCursor("list-keys", in)
	if err != nil {
		return nil, err
	}
	var all []resource.APIKey
	if a.Access != nil {
		if all, err = a.Access.Keys(ctx); err != nil {
			return nil, problem.From(ctx, err)
		}
	}
	all = slices.DeleteFunc(all, func(k resource.APIKey) bool {
		return len(in.Status) > 0 && !slices.Contains(in.Status, string(k.Status))
	})
	out := &keysOutput{}
	if in.Count {
		out.Body.Count = &query.Count{Value: int64(len(all)), Exact: true}
	}
	all = slices.DeleteFunc(all, func(k resource.APIKey) bool { return string(k.KeyID) <= in.Cursor })
	sortKeys(all)
	out.Body.Items = all
	if len(all) > in.Limit {
		out.Body.Items = all[:in.Limit]
		out.Body.Next = seal(string(all[in.Limit-1].KeyID))
	}
	return out, nil
}

func sortKeys(all []resource.APIKey) {
	slices.SortFunc(all, func(a, b resource.APIKey) int { return strings.Compare(string(a.KeyID), string(b.KeyID)) })
}

type rolesOutput struct{ Body resource.RoleList }

// roles lists all roles.
func (a *api) roles(context.Context, *nothing) (*rolesOutput, error) {
	out := &rolesOutput{}
	if a.Access != nil {
		out.Body.Items = a.Access.Roles()
	}
	return out, nil
}
