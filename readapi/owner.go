package readapi

import (
	"cmp"
	"context"
	"slices"

	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/projections/customerview"
	"daybook/projections/orderview"
	"daybook/projections/query"
)

// A principal may have a permission only for what belongs to one customer. Then a list has only the
// rows of this customer. A row of somebody else is not found, so that nobody learns which ids
// others have.

// mayRead returns query.ErrNotFound for a row of somebody else. customer is the customer of the
// row. cart is the cart that the row shows or comes from, if there is one. Its holder may read the
// row only if the row has no customer. The rows of accounts that were merged into the caller's are
// the caller's own.
func (a *api) mayRead(ctx context.Context, needs access.Permission, customer, cart string) error {
	who := problem.RequestOf(ctx).Who
	owner, limited := who.Owned(needs)
	if !limited || owner != "" && owner == cmp.Or(unit.CustomerID(customer).Owner(), unit.CartID(cart).Owner()) {
		return nil
	}
	if own, _ := who.Owner(needs); owner != "" && who.Cart == "" && customer != "" {
		absorbed, err := customerview.Absorbed(ctx, a.DB, []string{string(own)})
		if err != nil || slices.Contains(absorbed, customer) {
			return err
		}
	}
	problem.RequestOf(ctx).NoteHidden()
	return query.ErrNotFound
}

// noCustomer is an id that no customer can have, because the ids of customers have no slash.
const noCustomer = "/nobody/"

// ownRows limits the customers of a filter to those whose rows the caller may read. If the caller
// may read the rows of none of them, the list is empty. In every other way the response is like
// those of full lists. For example, it has a count if the request asks for one. Who asks for a
// customer gets also the rows of the accounts that were merged into theirs.
func (a *api) ownRows(ctx context.Context, needs access.Permission, asked []string) (customers []string, err error) {
	owner, limited := problem.RequestOf(ctx).Who.Owner(needs)
	if !limited {
		return a.withAbsorbed(ctx, asked)
	}
	if owner == "" {
		return []string{noCustomer}, nil
	}
	own, err := a.withAbsorbed(ctx, []string{string(owner)})
	if err != nil || len(asked) == 0 || slices.Contains(asked, string(owner)) {
		return own, err
	}
	asked = slices.DeleteFunc(slices.Clone(asked), func(id string) bool { return !slices.Contains(own, id) })
	if len(asked) == 0 {
		return []string{noCustomer}, nil
	}
	return asked, nil
}

// withAbsorbed returns customers and those whose accounts were merged into theirs.
func (a *api) withAbsorbed(ctx context.Context, customers []string) ([]string, error) {
	if len(customers) == 0 {
		return customers, nil
	}
	absorbed, err := customerview.Absorbed(ctx, a.DB, customers)
	if err != nil {
		return nil, err
	}
	for _, id := range absorbed {
		if !slices.Contains(customers, id) {
			customers = append(slices.Clip(customers), id)
		}
	}
	return customers, nil
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
