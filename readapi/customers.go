package readapi

import (
	"context"
	"errors"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
	"daybook/projections/customerview"
	"daybook/projections/query"
	"daybook/projections/salesview"
)

type customerInput struct {
	Reading
	CustomerID string `path:"customer_id" class:"customer" maxLength:"64"`
}

// customer shows an account with what its customer bought. One of the two is enough: an imported
// customer has no account, and a new one has bought nothing.
func (a *api) customer(ctx context.Context, in *customerInput) (resource.Customer, error) {
	if err := a.mayRead(ctx, access.ReadCustomers, in.CustomerID, ""); err != nil {
		return resource.Customer{}, err
	}
	_, limited := problem.RequestOf(ctx).Who.Owned(access.ReadCustomers)
	return a.accountOf(ctx, in.CustomerID, !limited)
}

// accountOf reads the account of a customer. staff tells whether the result has what usually only
// the staff sees. Without an account and purchases it returns query.ErrNotFound.
func (a *api) accountOf(ctx context.Context, id string, staff bool) (resource.Customer, error) {
	all, err := a.withAbsorbed(ctx, []string{id})
	if err != nil {
		return resource.Customer{}, err
	}
	totals, err := salesview.CustomerTotals(ctx, a.DB, all)
	bought := !errors.Is(err, query.ErrNotFound)
	if bought && err != nil {
		return resource.Customer{}, err
	}
	row, err := customerview.Get(ctx, a.DB, id)
	switch {
	case errors.Is(err, query.ErrNotFound) && bought:
		row.Revision = -1
	case err != nil:
		return resource.Customer{}, err
	}
	out := resource.CustomerOf(unit.CustomerID(id), row.Fold, row.Revision, staff)
	if out.Registered {
		out.RegisteredAt, out.ChangedAt = &row.RegisteredAt, &row.ChangedAt
	}
	out.Totals = each(totals, customerOf)
	return out, nil
}

// SharedList is what a token of a shared wish list names. The share may have ended.
type SharedList struct {
	CustomerID, ListID string
	Share              int // the number of the share
}

type sharedListInput struct {
	Reading
	Token string `header:"Daybook-Wish-List" maxLength:"400" doc:"The token of a shared wish list. Without a good one, nothing is found."`
}

// Resolve implements huma.Resolver. It tells caches that the answer depends on the token.
func (*sharedListInput) Resolve(ctx huma.Context) []error {
	ctx.AppendHeader("Vary", "Daybook-Wish-List")
	return nil
}

// sharedList shows a wish list to whoever has a token of its present share. Without a token, with a
// wrong one and with one of a share that has ended, the response is the same.
func (a *api) sharedList(ctx context.Context, in *sharedListInput) (resource.SharedWishList, error) {
	if a.SharedList == nil {
		return resource.SharedWishList{}, query.ErrNotFound
	}
	share, good := a.SharedList(in.Token)
	if !good {
		return resource.SharedWishList{}, query.ErrNotFound
	}
	row, err := customerview.Get(ctx, a.DB, share.CustomerID)
	if err != nil {
		return resource.SharedWishList{}, err
	}
	for _, list := range row.Fold.WishLists {
		if row.Fold.MergedInto == "" && string(list.ListID) == share.ListID && list.Shared && list.Shares == share.Share {
			return resource.SharedWishListOf(list), nil
		}
	}
	return resource.SharedWishList{}, query.ErrNotFound
}

type accountsInput struct {
	Reading
	Paging
	Counting
	CustomerID  []string `query:"customer_id" class:"customer" maxItems:"100" minLength:"1" maxLength:"64"`
	Name        string   `query:"name" class:"personal" minLength:"2" maxLength:"100" doc:"The beginning of the name. Upper and lower case are the same."`
	Email       string   `query:"email" class:"personal" minLength:"3" maxLength:"254" doc:"The whole e-mail address."`
	EmailPrefix string   `query:"email_prefix" class:"personal" minLength:"3" maxLength:"254" doc:"The beginning of the e-mail address."`
	OrderID     []string `query:"order_id" maxItems:"100" minLength:"1" maxLength:"64" doc:"The customers who placed these orders."`
	Group       string   `query:"group" minLength:"1" maxLength:"64" doc:"Customers in this group."`
	Blocked     string   `query:"blocked" enum:"true,false"`
	Sort        string   `query:"sort" enum:"registered_at,-registered_at,changed_at,-changed_at" default:"-registered_at" doc:"The newest first by default."`
}

func (a *api) accounts(ctx context.Context, in *accountsInput) (query.List[resource.CustomerSummary], error) {
	rows, err := customerview.List(ctx, a.DB, customerview.Filter{
		CustomerIDs: values(in.CustomerID), Name: in.Name, Email: in.Email, EmailPrefix: in.EmailPrefix,
		OrderIDs: in.OrderID, Group: in.Group, Blocked: yesOrNo(in.Blocked),
	}, in.listing(in.Counting, in.Sort))
	return page(rows, err, accountSummary)
}

func accountSummary(s customerview.Summary) resource.CustomerSummary {
	return resource.CustomerSummary(s)
}
