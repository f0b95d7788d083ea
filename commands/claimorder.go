package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/contact"
	"daybook/domain/customer"
	"daybook/domain/fulfilment"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// OrderClaim is the wish of a customer to have the order that they placed as a guest.
type OrderClaim struct {
	OrderID  unit.OrderID
	Customer unit.CustomerID
	// Guest is the cart whose token the caller has. It is empty if they have none.
	Guest unit.CartID
}

// GuestOrders finds orders of guests.
type GuestOrders interface {
	// ByEmail returns the orders that no customer has and whose details have this e-mail address,
	// in upper or lower case. It has all that were recorded when it is called. It may have others,
	// which were taken over meanwhile.
	ByEmail(ctx context.Context, email string) ([]unit.OrderID, error)
}

// ClaimOrder gives an order that no customer has to a customer. Then the returns of the order and
// the cart that it was made of become the customer's, too. If the program is killed in between, the
// reactor goes on.
//
// Errors: order.ErrNotFound, also if the order is somebody else's or a guest's whose token the
// caller does not have; order.ErrHasCustomer for a caller who may reach all orders; and
// customer.ErrErased.
func (s *Service) ClaimOrder(ctx context.Context, call Call, claim OrderClaim) (aggregate.Result[order.Event], error) {
	var none aggregate.Result[order.Event]
	if err := s.admit(call, access.ClaimOrders); err != nil {
		return none, err
	}
	owner, who, err := s.orderClaimant(ctx, call, claim)
	if err != nil {
		return none, err
	}
	take := request(call, order.Stream(claim.OrderID), []order.Command{order.TakeOver{CustomerID: who}})
	take.Owner = string(owner)
	if err := s.refuseErased(ctx, who); err != nil {
		// The order may be the customer's from the first time that this request was made.
		if repeats, fault := s.orders.Repeats(ctx, take.Stream, call.Meta); !repeats {
			return none, cmp.Or(fault, err)
		}
	}
	return s.takeOver(ctx, take, claim.OrderID)
}

// orderClaimant returns as whose order a claim changes the order: as the guest's while it has no
// customer, and then as the customer's. who is the customer, or an account that was merged into
// theirs and has the order already.
func (s *Service) orderClaimant(ctx context.Context, call Call, claim OrderClaim) (owner unit.Owner, who unit.CustomerID, err error) {
	owner, who = call.Owner(), claim.Customer
	limited, has := owner != "", unit.CustomerID("")
	if limited && owner != who.Owner() { // a guest, or a customer who claims for somebody else
		return "", "", access.Hide(order.ErrNotFound)
	}
	viewed := s.ViewOrder(ctx, claim.OrderID, func(state order.State, revision int64) {
		has = state.CustomerID
		switch {
		case !state.Exists():
			err = hidden(revision, order.ErrNotFound)
		case limited && has == "" && claim.Guest != "" && claim.Guest == state.CartID:
			owner = claim.Guest.Owner()
		case limited && !call.owns(state):
			err = access.Hide(order.ErrNotFound)
		}
	})
	if err = cmp.Or(viewed, err); err != nil || has == "" || has == who {
		return owner, who, err
	}
	err = s.ViewCustomer(ctx, who, func(account customer.State, _ int64) {
		if account.StandsFor(has) {
			who = has
		}
	})
	return owner, who, err
}

// takeOver sends the command TakeOver, and lets the returns and the cart follow.
func (s *Service) takeOver(ctx context.Context, take aggregate.Request[order.Command], id unit.OrderID) (aggregate.Result[order.Event], error) {
	defer s.drive(take.Stream)()
	result, err := s.orders.Handle(ctx, take)
	if err != nil {
		return result, err
	}
	last, err := s.followTakenOver(ctx, take.Meta, id, freshEnough)
	result.Position = later(result.Position, last)
	return result, err
}

// followTakenOver lets the returns and the cart of an order follow it to the customer who has taken
// it over, and returns the position of the last event. For other orders it does nothing. Any number
// of drivers may do this at once and stop anywhere.
func (s *Service) followTakenOver(ctx context.Context, meta eventstore.Metadata, id unit.OrderID, maxAge time.Duration) (eventstore.Position, error) {
	var followers []fulfilment.Follower
	err := s.orders.ViewAged(ctx, order.Stream(id), maxAge, func(state order.State, _ int64) { followers = fulfilment.Followers(state) })
	if err != nil {
		return eventstore.Position{}, err
	}
	at := make([]eventstore.Position, len(followers))
	err = each(ctx, s, followers, func(ctx context.Context, i int, f fulfilment.Follower) (err error) {
		as := derivedMeta(meta, f.ID)
		if f.Cart != nil {
			var done aggregate.Result[cart.Event]
			done, err = s.carts.Handle(ctx, aggregate.Request[cart.Command]{Stream: cart.Stream(f.CartID), Meta: as, Commands: []cart.Command{f.Cart}, Redecide: true})
			at[i] = done.Position
		} else {
			var done aggregate.Result[returns.Event]
			done, err = s.returns.Handle(ctx, aggregate.Request[returns.Command]{Stream: returns.Stream(f.ReturnID), Meta: as, Commands: []returns.Command{f.Return}, Redecide: true})
			at[i] = done.Position
		}
		if _, gone := refusedBy(err); gone { // it does not exist, so nothing follows
			return nil
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("what follows order %s: %w", id, err)
	}
	last := eventstore.Position{}
	for _, one := range at {
		last = later(last, one)
	}
	return last, err
}

// ClaimGuestOrders gives a customer all orders that no customer has and whose details have an
// e-mail address. Upper and lower case are the same. The caller must know that the customer reads
// the mail of this address, for example because they have used a link that was sent there.
//
// claimed is how many orders the customer got. If there is an error, the call can be repeated: it
// goes on with the other orders. An order that somebody else takes over at this moment stays
// theirs. Errors: customer.ErrErased, and order.ErrNotFound if the caller may claim only for
// somebody else.
func (s *Service) ClaimGuestOrders(ctx context.Context, call Call, who unit.CustomerID, email string) (claimed int, err error) {
	if err := s.admit(call, access.ClaimOrders); err != nil {
		return 0, err
	}
	if owner := call.Owner(); owner != "" && owner != who.Owner() {
		return 0, access.Hide(order.ErrNotFound)
	}
	key := contact.FoldEmail(email)
	if s.GuestOrders == nil || who == "" || key == "" || contact.EmailFault(key) != "" { // such as the text of an erased address
		return 0, nil
	}
	if err := s.refuseErased(ctx, who); err != nil {
		return 0, err
	}
	found, err := s.GuestOrders.ByEmail(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("the orders of an e-mail address: %w", err)
	}
	for _, id := range found {
		theirs := false
		err := s.ViewOrder(ctx, id, func(state order.State, _ int64) {
			// Anybody can place an order with any address. So it counts only once the shop has
			// confirmed it, or money came for it.
			meant := state.Status == order.StatusConfirmed || state.Status == order.StatusCompleted || len(state.Transactions) > 0
			theirs = meant && state.CustomerID == "" && state.Details != nil && contact.FoldEmail(state.Details.Email) == key
		})
		if err != nil {
			return claimed, err
		}
		if !theirs { // the read model is behind
			continue
		}
		meta := call.Meta
		meta.CommandID = uuid.UUID(unit.StepCommand.Of("claim order "+string(id), meta.CommandID.String()).UUID())
		meta.CausationID = call.Meta.CommandID.String()
		done, err := s.takeOver(ctx, aggregate.Request[order.Command]{Stream: order.Stream(id), Meta: meta, Commands: []order.Command{order.TakeOver{CustomerID: who}}}, id)
		if len(done.Events) > 0 {
			claimed++
		}
		if err != nil && !errors.Is(err, order.ErrHasCustomer) {
			return claimed, err
		}
	}
	return claimed, nil
}
