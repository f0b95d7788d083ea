package readapi

import (
	"cmp"
	"context"
	"slices"

	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/projections/orderview"
	"daybook/projections/query"
)

// A principal may have a permission only for what belongs to one customer. Then a list has only the
// rows of this customer. A row of somebody else is not found, so that nobody learns which ids
// others have.

// mayRead returns query.ErrNotFound for a row of somebody else. customer is the customer of the
// row. cart is the cart that the row shows or comes from, if there is one. Its holder may read the
// row only if the row has no customer.
func mayRead(ctx context.Context, needs access.Permission, customer, cart string) error {
	owner, limited := problem.RequestOf(ctx).Who.Owned(needs)
	if limited && (owner == "" || owner != cmp.Or(unit.CustomerID(customer).Owner(), unit.CartID(cart).Owner())) {
		problem.RequestOf(ctx).NoteHidden()
		return query.ErrNotFound
	}
	return nil
}

// noCustomer is an id that no customer can have, because the ids of customers have no slash.
const noCustomer = "/nobody/"

// ownRows limits the customers of a filter to those whose rows the caller may read. If the caller
// may read the rows of none of them, the list is empty. In every other way the response is like
// those of full lists. For example, it has a count if the request asks for one.
func ownRows(ctx context.Context, needs access.Permission, asked []string) (customers []string) {
	owner, limited := problem.RequestOf(ctx).Who.Owner(needs)
	switch {
	case !limited:
		return asked
	case owner == "" || len(asked) > 0 && !slices.Contains(asked, string(owner)):
		return []string{noCustomer}
	}
	return []string{string(owner)}
}

// atLocations limits the locations of a filter to those that the caller's key reaches. It returns
// an *access.ScopeError if the request asks for another one. in says where the request has them:
// in its query or in its path.
func atLocations(ctx context.Context, in string, asked []string) ([]string, error) {
	scope := problem.RequestOf(ctx).Who.Scope
	if len(scope.Locations) == 0 {
		return asked, nil
	}
	if len(asked) == 0 {
		for _, location := range scope.Locations {
			asked = append(asked, string(location))
		}
		return asked, nil
	}
	for _, text := range asked {
		location, err := unit.ParseLocationID(text)
		if err != nil { // a problem does not show what cannot be a location
			return nil, problem.NotValid(problem.InParameter(in, "location", err.Error()))
		}
		if err := scope.ReachesLocations(location); err != nil {
			return nil, err
		}
	}
	return asked, nil
}

// hideStaff removes from a timeline who acted, if the caller may read only its own orders or
// returns. A customer need not know which person or program of the shop acted. The caller's own
// name stays.
func hideStaff(ctx context.Context, needs access.Permission, timeline []orderview.Entry) []orderview.Entry {
	who := problem.RequestOf(ctx).Who
	if _, limited := who.Owner(needs); !limited {
		return timeline
	}
	shown := slices.Clone(timeline)
	for i := range shown {
		if shown[i].Actor != who.ID {
			shown[i].Actor = ""
		}
	}
	return shown
}
