package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// Wishes names a wish list, and which of its wishes are meant.
type Wishes struct {
	Customer unit.CustomerID
	List     customer.WishListID
	// Share is the number of the share whose token the caller has. 0 means that the caller has
	// none, so the list must be the caller's own.
	Share int
	// Only are the products that are meant. Without any, all of the list are meant.
	Only []unit.SKU
}

// AddWishes puts what is on a wish list into a cart, all or none. Units join the line that has the
// same price. The list stays as it is.
//
// A call that may change all carts needs access.ReadCustomers for a list without a share, because
// the cart then shows what is on the list.
//
// Errors: customer.ErrWishListUnknown, also if the list is no longer shared, and those of AddLines.
func (s *Service) AddWishes(ctx context.Context, call Call, id unit.CartID, from Wishes) (aggregate.Result[cart.Event], error) {
	if err := s.admitCart(ctx, call, id, access.WriteCarts); err != nil {
		return aggregate.Result[cart.Event]{}, err
	}
	owner := call.Owner()
	if from.Share == 0 && owner == "" && !call.Who.May(access.ReadCustomers) {
		return aggregate.Result[cart.Event]{}, &access.LacksError{Permission: access.ReadCustomers}
	}
	if from.Share == 0 && owner != "" && owner != from.Customer.Owner() {
		return aggregate.Result[cart.Event]{}, access.Hide(customer.ErrWishListUnknown)
	}
	var lines []WantedLine
	refusal := error(customer.ErrWishListUnknown)
	viewed := s.ViewCustomer(ctx, from.Customer, func(state customer.State, _ int64) {
		list, found := state.WishList(from.List)
		if !found || state.MergedInto != "" || from.Share != 0 && (!list.Shared || list.Shares != from.Share) {
			return
		}
		refusal = nil
		for _, wish := range list.Wishes {
			if len(from.Only) == 0 || slices.Contains(from.Only, wish.SKU) {
				lines = append(lines, WantedLine{SKU: wish.SKU, Quantity: wish.Quantity, Join: true})
			}
		}
	})
	if refusal == nil && len(lines) == 0 {
		refusal = customer.ErrWishListEmpty
	}
	if err := cmp.Or(viewed, refusal); err != nil {
		// The lines may be in the cart already, from the first time that this request was made.
		repeats, known := s.carts.Repeats(ctx, cart.Stream(id), call.Meta)
		if viewed != nil || known != nil || !repeats {
			return aggregate.Result[cart.Event]{}, err
		}
	}
	return s.AddLines(ctx, call, id, nil, lines)
}

// emptyAccount ends what an erased customer, who may have no account, must not have any more: the
// wish lists, and the tax status, whose proof is erased. An empty id means that there is no
// customer.
func (s *Service) emptyAccount(ctx context.Context, meta eventstore.Metadata, id unit.CustomerID) (aggregate.Result[customer.Event], error) {
	if id == "" {
		return aggregate.Result[customer.Event]{}, nil
	}
	removed, err := s.customers.Handle(ctx, aggregate.Request[customer.Command]{
		Stream: customer.Stream(id), Meta: meta, Commands: []customer.Command{customer.RemoveWishLists{}, customer.WithdrawTaxStatus{}},
	})
	if errors.Is(err, customer.ErrNotFound) {
		return removed, nil
	}
	if err != nil {
		return removed, fmt.Errorf("empty the account of an erased customer: %w", err)
	}
	return removed, nil
}
