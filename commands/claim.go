package commands

import (
	"cmp"
	"context"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/unit"
)

// Claim is the wish of a customer to have the cart that they filled as a guest.
type Claim struct {
	CartID   unit.CartID
	Customer unit.CustomerID
	// Proven means that the caller has the token of the cart, so the cart may be one without a
	// customer.
	Proven bool
	// Into, if set, is a cart of the customer, which takes the lines. Otherwise the cart itself
	// becomes the customer's.
	Into unit.CartID
}

// ClaimCart gives a guest's cart to a customer, and then puts its lines into another cart of
// theirs, if the claim says so. Each of the two steps leaves all lines in a cart that is open, or
// whose merge has begun. So if the program is killed in between, the customer has both carts, and
// the same call goes on.
//
// The result is that of the cart which has the lines then. The errors are those of Cart and of
// MergeCart. A cart of somebody else does not exist for the call, also with the token of a guest
// who had it before.
func (s *Service) ClaimCart(ctx context.Context, call Call, claim Claim) (MergeResult, error) {
	if err := s.admit(call, access.ClaimCarts); err != nil {
		return MergeResult{}, err
	}
	owner, theirs, err := s.claimant(ctx, call, claim)
	if err != nil {
		return MergeResult{}, err
	}
	var answer MergeResult
	if !theirs || claim.Into == "" {
		take := aggregate.Request[cart.Command]{
			Stream: cart.Stream(claim.CartID), Meta: call.Meta, Commands: []cart.Command{cart.ChangeCustomer{CustomerID: claim.Customer}},
			If: call.If, Owner: string(owner), Also: call.also(),
		}
		if claim.Into != "" {
			take.If = nil // the condition is about the other cart
			take.Meta.CommandID = uuid.UUID(unit.StepCommand.Of("claim", call.Meta.CommandID.String()).UUID())
			take.Meta.CausationID = call.Meta.CommandID.String()
			if err := s.ownsCart(ctx, call, claim.Into, false); err != nil {
				return answer, err
			}
		}
		if answer.Result, err = s.carts.Handle(ctx, take); err != nil {
			return answer, err
		}
	}
	if claim.Into == "" {
		return answer, nil
	}
	call.Needs = access.WriteCarts
	return s.MergeCart(ctx, call, claim.Into, claim.CartID)
}

// claimant returns as whose cart a claim changes the cart: as the guest's while it has no customer,
// and then as the customer's. theirs tells whether it is the customer's already.
func (s *Service) claimant(ctx context.Context, call Call, claim Claim) (owner unit.Owner, theirs bool, err error) {
	if err := s.ownsCart(ctx, call, claim.CartID, false); err != nil && !claim.Proven {
		return "", false, err
	}
	viewed := s.ViewCart(ctx, claim.CartID, func(state cart.State, revision int64) {
		theirs = state.CustomerID == claim.Customer
		if call.Owner() == "" {
			owner = "" // the call may reach all carts
		} else if claim.Proven && state.CustomerID == "" {
			owner = claim.CartID.Owner()
		} else {
			owner = claim.Customer.Owner()
		}
		if revision < 0 {
			err = cart.ErrNotFound
		}
	})
	return owner, theirs, cmp.Or(viewed, err)
}
